/* report/bars.c -- where the time of a step went, beside what the plan said;
 * the operations of one step. */
#include "report/report_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAR_RANKS 16 /* shown of a group */
#define BAR_ROWS 64  /* shown in all */

/* The y axis of a frame whose rows are names: a step so large that no tick
 * falls between the ends. */
static const struct axis no_ticks = {
    .low = 0.25, .high = 0.75, .step = 10, .unit = 1};

/* -- where the time went --------------------------------------------------- */

/* Columns of summary.csv of which a step consists. */
static const struct {
  const char *name, *words;
} part[] = {
    {"plain", "plain backpropagation"}, {"extra", "extra gradient passes"},
    {"heads", "inner heads"},           {"wait", "waiting for a neighbour"},
    {"exposed", "messages not hidden"}, {"data", "waiting for data"},
    {"agree", "comparing gradients"}};
#define PARTS 7

struct row { /* of a group's rank; seconds of a step */
  const struct group *group;
  int rank;
  double v[PARTS], busy, cycle;
};

static double
steps_of (const struct run *run)
{
  return run->steps - run->start[run->n_starts - 1].step;
}

/* Means over the runs of a group that have a summary. */
static bool
fill_row (const struct report *r, const struct group *g, int rank,
          struct row *out)
{
  int n = 0, plans = 0;
  *out = (struct row){.group = g, .rank = rank};
  for (int i = 0; i < g->n; i++) {
    const struct run *run = &r->run[g->run[i]];
    double steps = steps_of (run);
    if (rank >= run->summary.n_rows || !(steps > 0))
      continue;
    for (int c = 0; c < PARTS; c++) {
      double v = sheet_at (&run->summary, rank,
                           sheet_column (&run->summary, part[c].name));
      out->v[c] += isfinite (v) ? v / steps : 0;
    }
    n++;
    if (isfinite (run_planned (run, rank)) && isfinite (run->cycle_s)) {
      out->busy += run_planned (run, rank);
      out->cycle += run->cycle_s;
      plans++;
    }
  }
  for (int c = 0; c < PARTS && n > 0; c++)
    out->v[c] /= n;
  out->busy = plans > 0 ? out->busy / plans : NAN;
  out->cycle = plans > 0 ? out->cycle / plans : NAN;
  return n > 0;
}

static int
fill_rows (struct report *r, struct row *row, double *most)
{
  int n = 0;
  for (int i = 0; i < r->n_groups && n < BAR_ROWS; i++)
    for (int k = 0; k < BAR_RANKS && n < BAR_ROWS; k++) {
      if (r->group[i].style < 0 || !fill_row (r, &r->group[i], k, &row[n]))
        continue;
      double all = 0;
      for (int c = 0; c < PARTS; c++)
        all += row[n].v[c];
      *most = fmax (*most, all);
      *most = fmax (*most, row[n].cycle);
      n++;
    }
  return n;
}

static void
draw_part (struct frame *f, double from, double to, double y, double height,
           const char *css)
{
  if (to > from)
    text_add (f->out,
              "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
              "height=\"%.1f\"/>",
              css, frame_x (f, from), y, frame_x (f, to) - frame_x (f, from),
              height);
}

static void
draw_row (struct frame *f, const struct row *row, double y)
{
  char css[32];
  double at = 0;
  for (int c = 0; c < PARTS; c++) {
    snprintf (css, sizeof css, "part %s", part[c].name);
    draw_part (f, at, at + row->v[c], y, 11, css);
    at += row->v[c];
  }
  if (isfinite (row->cycle)) {
    draw_part (f, 0, row->busy, y + 12, 6, "part busy");
    draw_part (f, row->busy, row->cycle, y + 12, 6, "part idle");
  }
  text_add (f->out, "\n");
}

static void
time_legend (const struct row *row, int n, struct text *out)
{
  text_add (out, "<ul class=\"legend\">");
  for (int c = 0; c < PARTS; c++) {
    bool some = false;
    for (int i = 0; i < n; i++)
      some = some || row[i].v[c] > 0;
    if (some)
      text_add (out, "<li><i class=\"%s\"></i> %s</li>", part[c].name,
                part[c].words);
  }
  text_add (out, "<li><i class=\"busy\"></i> plan: busy</li>"
                 "<li><i class=\"idle\"></i> plan: idle</li></ul>\n");
}

/* The name of a group stands above its first rank. */
static double
layout (const struct row *row, int n, int i, double top)
{
  double y = top;
  for (int k = 0; k <= i; k++)
    y += (k == 0 || row[k].group != row[k - 1].group ? 22 : 0) +
         (k < i ? 23 : 0);
  (void)n;
  return y;
}

void
picture_time (struct report *r, struct text *out)
{
  struct row *row = pool_take (&r->pool, BAR_ROWS, sizeof *row);
  double most = 0;
  char words[32];
  int n = fill_rows (r, row, &most);
  if (n == 0)
    return;
  struct frame f = {.out = out,
                    .width = 1040,
                    .left = 66,
                    .right = 20,
                    .top = 6,
                    .bottom = 42};
  f.height = layout (row, n, n - 1, f.top) + 26 + f.bottom;
  f.x.high = most;
  f.x.unit = 1e-3;
  axis_make (&f.x, 8, true);
  snprintf (f.x.title, sizeof f.x.title, "milliseconds of a step");
  f.y = no_ticks;
  text_add (out,
            "<figure id=\"time\"><figcaption>Where the time of a step went, on "
            "each rank (thick: measured, mean over runs%s); beside it what "
            "the plan predicted before the first step (thin).</figcaption>\n",
            n == BAR_ROWS ? ", the first ones only" : "");
  time_legend (row, n, out);
  frame_begin (r, &f, "where the time went");
  for (int i = 0; i < n; i++)
    draw_row (&f, &row[i], layout (row, n, i, f.top));
  frame_data_end (&f);
  for (int i = 0; i < n; i++) {
    double y = layout (row, n, i, f.top);
    snprintf (words, sizeof words, "rank %d", row[i].rank);
    svg_text (out, f.left - 6, y + 12, "end", "tick", words);
    if (i == 0 || row[i].group != row[i - 1].group)
      svg_text (out, f.left, y - 6, "start", "label",
                svg_short (&r->pool, row[i].group->label, 90));
  }
  frame_end (&f);
  text_add (out, "</figure>\n");
}

/* -- one step -------------------------------------------------------------- */

#define GANTTS 8

struct gantt {
  const struct group *group;
  struct store_trace_op *bar; /* of one step */
  int n, ranks;
  double begin_s, end_s;
};

static const struct {
  const char *verb, *css, *words;
} kinds[] = {
    {"FORWARD", "forward", "forward"},
    {"PASS", "pass", "data gradient, often with that of weights"},
    {"WEIGHTS", "weights", "weight gradient"},
    {"HEAD", "heads", "head and loss"},
    {"HEAD_WEIGHTS", "heads", NULL},
    {"UPDATE", "update", "update"},
    {"TAKE", "data", "waiting for data"},
    {"RECV_ACT", "wait", "waiting for a neighbour"},
    {"RECV_GRAD", "wait", NULL},
    {"SEND_ACT", "exposed", "messages"},
    {"SEND_GRAD", "exposed", NULL},
    {"REDUCE", "exposed", NULL},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* The operations of the second step that was recorded, which the trace has
 * whole of all ranks. */
static bool
read_gantt (struct report *r, const struct group *g, struct gantt *out)
{
  char *text = NULL;
  for (int i = 0; i < g->n && !text; i++)
    if (store_run_get (r->run[g->run[i]].path, "trace.json", &text) != OK)
      fail_clear ();
  if (!text)
    return false;
  *out = (struct gantt){.group = g, .begin_s = INFINITY, .end_s = -INFINITY};
  int n;
  int64_t first = INT64_MAX;
  struct store_trace_op *all = trace_read (&r->pool, text, &n);
  mem_free (&text);
  for (int i = 0; i < n; i++)
    first = all[i].step < first ? all[i].step : first;
  bool second = false;
  for (int i = 0; i < n; i++)
    second = second || all[i].step == first + 1;
  out->bar = all;
  for (int i = 0; i < n; i++) {
    struct store_trace_op b = all[i];
    if (b.step != first + second || b.rank >= BAR_RANKS)
      continue;
    out->bar[out->n++] = b;
    out->ranks = b.rank + 1 > out->ranks ? b.rank + 1 : out->ranks;
    out->begin_s = fmin (out->begin_s, b.begin_s);
    out->end_s = fmax (out->end_s, b.end_s);
  }
  return out->n > 0;
}

static void
draw_bar (struct frame *f, const struct gantt *g,
          const struct store_trace_op *b, double y)
{
  size_t k = 0;
  while (k < KINDS && strcmp (kinds[k].verb, b->verb) != 0)
    k++;
  double from = frame_x (f, b->begin_s - g->begin_s);
  double width = frame_x (f, b->end_s - g->begin_s) - from;
  if (k == KINDS || width < 0.15)
    return;
  text_add (f->out,
            "<rect class=\"part %s\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" "
            "height=\"18\"><title>",
            kinds[k].css, from, y, width);
  escape_html (b->verb, f->out);
  text_add (f->out, ", stage %d, micro-batch %d: %s</title></rect>", b->stage,
            b->micro, text_seconds (b->end_s - b->begin_s));
  char words[16];
  snprintf (words, sizeof words, "%d", b->stage);
  bool works = strcmp (kinds[k].css, "wait") != 0 &&
               strcmp (kinds[k].css, "exposed") != 0;
  if (works && width > svg_width (words, 10) + 3)
    svg_text (f->out, from + width / 2, y + 13, "middle", "inside", words);
}

static void
draw_gantt (struct report *r, struct text *out, const struct gantt *g,
            double most)
{
  struct frame f = {.out = out,
                    .width = 1040,
                    .left = 66,
                    .right = 20,
                    .top = 22,
                    .bottom = 40};
  f.height = f.top + 21 * g->ranks + 4 + f.bottom;
  f.x.high = most;
  f.x.unit = 1e-3;
  axis_make (&f.x, 8, true);
  snprintf (f.x.title, sizeof f.x.title, "milliseconds");
  f.y = no_ticks;
  snprintf (f.y.title, sizeof f.y.title, "%.90s",
            svg_short (&r->pool, g->group->label, 60));
  frame_begin (r, &f, "operations of one step");
  for (int i = 0; i < g->n; i++)
    draw_bar (&f, g, &g->bar[i], f.top + 3 + 21 * g->bar[i].rank);
  frame_data_end (&f);
  for (int k = 0; k < g->ranks; k++)
    svg_text (out, f.left - 6, f.top + 16 + 21 * k, "end", "tick",
              pool_text (&r->pool, "rank %d", k));
  frame_end (&f);
}

void
picture_gantt (struct report *r, struct text *out)
{
  struct gantt g[GANTTS], next;
  int n = 0, more = 0;
  double most = 0;
  for (int i = 0; i < r->n_groups && !more; i++) {
    if (r->group[i].style < 0 || !read_gantt (r, &r->group[i], &next))
      continue;
    more = n == GANTTS;
    if (more)
      break;
    most = fmax (most, next.end_s - next.begin_s);
    g[n++] = next;
  }
  if (n == 0)
    return;
  text_add (out,
            "<figure id=\"step\"><figcaption>One step, as it was traced; "
            "the numbers are those of stages. Pauses between are "
            "bookkeeping.%s",
            more ? " The first groups that were traced, not all." : "");
  card_cuts (r, out);
  text_add (out, "</figcaption>\n<ul class=\"legend\">");
  for (size_t k = 0; k < KINDS; k++)
    if (kinds[k].words)
      text_add (out, "<li><i class=\"%s\"></i> %s</li>", kinds[k].css,
                kinds[k].words);
  text_add (out, "</ul>\n");
  for (int i = 0; i < n; i++)
    draw_gantt (r, out, &g[i], most);
  text_add (out, "</figure>\n");
}

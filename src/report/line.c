/* report/line.c -- losses and accuracies as lines: over samples, steps, time
 * and operations; by depth.
 *
 * A large chart has a label at the end of each line; labels are moved apart
 * until none touches another.  Small ones share a legend.
 */
#include "report/report_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_HEIGHT 15.0
#define LABEL_LETTERS 34

struct lines { /* of one chart; one curve per group, in their order */
  struct curve *curve;
  bool percent, small;
};

/* -- drawing --------------------------------------------------------------- */

static void
draw_band (struct frame *f, const struct curve *c, int style)
{
  if (c->n < 2)
    return;
  text_add (f->out, "<path class=\"band s%d\" d=\"M", style);
  for (int i = 0; i < c->n; i++)
    text_add (f->out, "%.1f %.1f ", frame_x (f, c->x[i]),
              frame_y (f, c->high[i]));
  for (int i = c->n - 1; i >= 0; i--)
    text_add (f->out, "L%.1f %.1f ", frame_x (f, c->x[i]),
              frame_y (f, c->low[i]));
  text_add (f->out, "Z\"/>\n");
}

static void
draw_line (struct frame *f, const struct curve *c, int style)
{
  text_add (f->out, "<path class=\"line s%d\" d=\"M", style);
  for (int i = 0; i < c->n; i++)
    text_add (f->out, "%s%.1f %.1f", i ? " " : "", frame_x (f, c->x[i]),
              frame_y (f, c->mean[i]));
  text_add (f->out, "\"/>\n");
  if (c->n > 24)
    return;
  for (int i = 0; i < c->n; i++)
    text_add (f->out,
              "<circle class=\"dot s%d\" cx=\"%.1f\" cy=\"%.1f\" "
              "r=\"2.4\"/>",
              style, frame_x (f, c->x[i]), frame_y (f, c->mean[i]));
  text_add (f->out, "\n");
}

/* -- labels ---------------------------------------------------------------- */

struct label {
  int group;
  double want, y;
};

static int
by_want (const void *a, const void *b)
{
  const struct label *p = a, *q = b;
  return p->want != q->want ? (p->want > q->want) - (p->want < q->want)
                            : p->group - q->group;
}

/* Moved apart within the height of the frame. */
static void
spread (struct label *l, int n, double top, double bottom)
{
  qsort (l, (size_t)n, sizeof *l, by_want);
  for (int i = 0; i < n; i++) {
    l[i].y = l[i].want;
    if (l[i].y < top)
      l[i].y = top;
    if (i > 0 && l[i].y < l[i - 1].y + LABEL_HEIGHT)
      l[i].y = l[i - 1].y + LABEL_HEIGHT;
  }
  for (int i = n - 1; i >= 0; i--) {
    double most = i == n - 1 ? bottom : l[i + 1].y - LABEL_HEIGHT;
    if (l[i].y > most)
      l[i].y = most;
  }
}

static void
draw_labels (struct report *r, struct frame *f, const struct lines *s)
{
  struct label l[REPORT_SHOWN];
  int n = 0;
  for (int i = 0; i < r->n_groups; i++) {
    const struct curve *c = &s->curve[i];
    if (r->group[i].style < 0 || c->n == 0 || n == REPORT_SHOWN)
      continue;
    l[n++] = (struct label){i, frame_y (f, c->mean[c->n - 1]), 0};
  }
  spread (l, n, f->top + 4, f->height - f->bottom - 2);
  double end = f->width - f->right;
  for (int i = 0; i < n; i++) {
    const struct group *g = &r->group[l[i].group];
    const struct curve *c = &s->curve[l[i].group];
    double want = fmin (fmax (l[i].want, f->top), f->height - f->bottom);
    text_add (f->out,
              "<path class=\"lead\" d=\"M%.1f %.1fH%.1fL%.1f %.1f\"/>"
              "<path class=\"line s%d\" d=\"M%.1f %.1fh26\"/>",
              frame_x (f, c->x[c->n - 1]) + 3, want, end + 4, end + 16, l[i].y,
              g->style, end + 18, l[i].y);
    svg_text (f->out, end + 50, l[i].y + 4, "start", "label",
              svg_short (&r->pool, g->label, LABEL_LETTERS));
  }
}

static double
label_room (struct report *r)
{
  double most = 0;
  for (int i = 0; i < r->n_groups; i++)
    if (r->group[i].style >= 0)
      most = fmax (most, svg_width (svg_short (&r->pool, r->group[i].label,
                                               LABEL_LETTERS),
                                    12));
  return most + 56;
}

/* -- a chart --------------------------------------------------------------- */

/* Highest and lowest of what is drawn; a few wild values at the beginning do
 * not flatten the rest. */
static void
reach_of (struct report *r, const struct lines *s, struct axis *x,
          struct axis *y)
{
  double settled = NAN;
  x->low = y->low = NAN;
  x->high = y->high = NAN;
  for (int i = 0; i < r->n_groups; i++) {
    const struct curve *c = &s->curve[i];
    for (int k = 0; k < c->n && r->group[i].style >= 0; k++) {
      x->high = fmax (x->high, c->x[k]);
      x->low = fmin (x->low, c->x[k]);
      y->low = fmin (y->low, c->low[k]);
      y->high = fmax (y->high, c->high[k]);
      if (k >= c->n / 20)
        settled = fmax (settled, c->high[k]);
    }
  }
  if (!s->percent && y->high > 2 * settled)
    y->high = 1.2 * settled;
}

static void
draw (struct report *r, struct frame *f, const struct lines *s,
      const char *about)
{
  frame_begin (r, f, about);
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; i < r->n_groups; i++) {
      const struct group *g = &r->group[i];
      const struct curve *c = &s->curve[i];
      if (g->style < 0 || c->n == 0)
        continue;
      if (pass == 0)
        draw_band (f, c, g->style);
      else
        draw_line (f, c, g->style);
    }
  frame_data_end (f);
  if (!s->small)
    draw_labels (r, f, s);
  frame_end (f);
}

static struct frame
frame_for (struct report *r, struct text *out, bool small)
{
  struct frame f = {.out = out, .left = 44, .top = 24, .bottom = 42};
  f.right = small ? 14 : label_room (r);
  f.width = small ? 252 : 1040;
  f.height = small ? 180 : 320;
  return f;
}

/* Curves of all groups; false when there is nothing to see. */
static bool
make_curves (struct report *r, enum store_split split, const char *column,
             enum run_axis axis, struct curve *out)
{
  bool some = false;
  for (int i = 0; i < r->n_groups; i++) {
    if (r->group[i].style >= 0)
      group_curve (r, &r->group[i], split, column, axis, &out[i]);
    some = some || out[i].n > 0;
  }
  return some;
}

bool
line_chart (struct report *r, struct text *out, enum store_split split,
            const char *column, enum run_axis axis, bool small,
            const char *title)
{
  struct lines s = {
      .curve = pool_take (&r->pool, (size_t)r->n_groups, sizeof *s.curve),
      .percent = strstr (column, "accuracy") != NULL,
      .small = small};
  if (!make_curves (r, split, column, axis, s.curve))
    return false;
  struct frame f = frame_for (r, out, small);
  reach_of (r, &s, &f.x, &f.y);
  if (s.percent)
    f.y.unit = 0.01;
  axis_run (&f.x, axis, small ? 3 : 8);
  axis_make (&f.y, small ? 4 : 6, false);
  snprintf (f.y.title, sizeof f.y.title, "%.80s%s", title,
            s.percent ? ", %" : "");
  draw (r, &f, &s, title);
  return true;
}

/* -- pages of charts, one for each axis ------------------------------------ */

static const struct {
  enum run_axis axis;
  const char *name;
} views[] = {{AXIS_SAMPLES, "samples"},
             {AXIS_STEPS, "steps"},
             {AXIS_SECONDS, "training time"},
             {AXIS_FLOPS, "executed FLOPs"},
             {AXIS_CORES, "core-hours"}};
#define VIEWS (sizeof views / sizeof *views)

/* Is there more than a last evaluation? */
static enum store_split
split_of_curves (struct report *r)
{
  for (int i = 0; i < r->n_groups; i++) {
    struct curve c;
    group_curve (r, &r->group[i], r->split, "output loss", AXIS_STEPS, &c);
    if (c.n > 1)
      return r->split;
  }
  return STORE_TRAIN;
}

/* chart: adds one view; its charts, or nothing. */
static void
add_views (struct report *r, struct text *out, const char *name,
           void (*chart) (struct report *r, struct text *out,
                          enum run_axis axis))
{
  struct text body;
  int n = 0;
  text_init (&body);
  text_add (out, "<div class=\"tabs\">");
  for (size_t v = 0; v < VIEWS; v++) {
    size_t before = body.size;
    text_add (&body, "<section>\n");
    size_t empty = body.size;
    chart (r, &body, views[v].axis);
    if (body.size == empty) {
      body.data[body.size = before] = '\0';
      continue;
    }
    text_add (&body, "</section>\n");
    text_add (out,
              "<input type=\"radio\" name=\"%s\" id=\"%s-%d\"%s/>"
              "<label for=\"%s-%d\">%s</label>\n",
              name, name, n, n == 0 ? " checked=\"checked\"" : "", name, n,
              views[v].name);
    n++;
  }
  text_add (out, "%s</div>\n", body.data);
  text_clear (&body);
}

static void
output_view (struct report *r, struct text *out, enum run_axis axis)
{
  enum store_split split = split_of_curves (r);
  const char *name = store_split_name (split);
  const char *what[] = {"accuracy", "loss"};
  for (int i = 0; i < 2; i++)
    line_chart (r, out, split, pool_text (&r->pool, "output %s", what[i]), axis,
                false,
                pool_text (&r->pool, "%s of the output, %s", what[i], name));
}

void
picture_output (struct report *r, struct text *out)
{
  size_t before = out->size;
  text_add (out, "<figure id=\"output\"><figcaption>The network's own output "
                 "while it learns. Lines are means over seeds, bands reach "
                 "from the lowest to the highest seed. Along:</figcaption>\n");
  size_t empty = out->size;
  add_views (r, out, "output-axis", output_view);
  if (out->size == empty)
    out->data[out->size = before] = '\0';
  else
    text_add (out, "</figure>\n");
}

static void
heads_row (struct report *r, struct text *out, enum store_split split,
           const char *what, enum run_axis axis)
{
  int K = 0;
  for (int i = 0; i < r->n_groups; i++)
    K = r->group[i].K > K ? r->group[i].K : K;
  size_t before = out->size;
  text_add (out, "<div class=\"row\">");
  size_t empty = out->size;
  for (int k = 0; k < K; k++)
    line_chart (r, out, split, pool_text (&r->pool, "head%d_%s", k, what), axis,
                true,
                pool_text (&r->pool, "head %d: %s, %s", k, what,
                           store_split_name (split)));
  if (out->size == empty)
    out->data[out->size = before] = '\0';
  else
    text_add (out, "</div>\n");
}

static void
heads_view (struct report *r, struct text *out, enum run_axis axis)
{
  enum store_split split = split_of_curves (r);
  heads_row (r, out, split, "accuracy", axis);
  heads_row (r, out, split, "loss", axis);
  if (split != STORE_TRAIN)
    heads_row (r, out, STORE_TRAIN, "loss", axis);
}

void
picture_heads (struct report *r, struct text *out)
{
  text_add (out, "<figure id=\"heads\"><figcaption>Every head; the last is the "
                 "output. Scales differ between charts. Along:</figcaption>\n");
  svg_legend (r, out);
  add_views (r, out, "heads-axis", heads_view);
  text_add (out, "</figure>\n");
}

/* -- by depth -------------------------------------------------------------- */

static double
last_of (const struct report *r, const struct run *run, const void *column)
{
  return run_last (run, r->split, column);
}

static void
depth_curve (struct report *r, const struct group *g, bool share,
             struct curve *c)
{
  double **row[] = {&c->x, &c->mean, &c->low, &c->high};
  for (int i = 0; i < 4; i++)
    *row[i] = pool_take (&r->pool, (size_t)g->K + 1, sizeof (double));
  for (int k = 0; k < g->K; k++) {
    struct spread s =
        group_stat (r, g, last_of, pool_text (&r->pool, "head%d_accuracy", k));
    if (s.n == 0)
      continue;
    c->x[c->n] = share ? 100.0 * (k + 1) / g->K : k;
    c->mean[c->n] = s.mean;
    c->low[c->n] = s.least;
    c->high[c->n++] = s.most;
  }
}

void
picture_depth (struct report *r, struct text *out)
{
  struct lines s = {
      .curve = pool_take (&r->pool, (size_t)r->n_groups, sizeof *s.curve),
      .percent = true};
  bool share = false, some = false;
  for (int i = 1; i < r->n_groups; i++)
    share = share || r->group[i].K != r->group[0].K;
  for (int i = 0; i < r->n_groups; i++) {
    depth_curve (r, &r->group[i], share, &s.curve[i]);
    some = some || s.curve[i].n > 1;
  }
  if (!some)
    return;
  struct frame f = frame_for (r, out, false);
  reach_of (r, &s, &f.x, &f.y);
  f.y.unit = 0.01;
  axis_make (&f.y, 6, false);
  axis_make (&f.x, 8, true);
  if (f.x.step < 1)
    f.x.step = 1, f.x.digits = 0;
  snprintf (f.y.title, sizeof f.y.title, "accuracy, %s, %%",
            store_split_name (r->split));
  snprintf (f.x.title, sizeof f.x.title, "%s",
            share ? "stages before the head, % of all"
                  : "head (behind the stage of that number)");
  text_add (out, "<figure id=\"depth\"><figcaption>Accuracy by depth: the "
                 "newest evaluation of every head that is trained."
                 "</figcaption>\n");
  draw (r, &f, &s, "accuracy by depth");
  text_add (out, "</figure>\n");
}

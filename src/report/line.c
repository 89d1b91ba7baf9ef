/* report/line.c -- one chart: a line and a band for each group.
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

#define MARK 9.0 /* px above and below the line */

#define WORDS 64 /* of marks in a chart */
#define WORD_HIGH 12.0

struct words_at { /* where words of marks stand: left, right, baseline */
  int n;
  double at[WORDS][3];
};

/* Words beside a mark, left of it where the data ends; none where they would
 * touch others: then the mark stands alone. */
static void
mark_words (struct frame *f, double x, double y, const char *words,
            struct words_at *w)
{
  const double wide = svg_width (words, 11);
  const double left = x + 3 + wide > f->width - f->right ? x - 3 - wide : x + 3;
  y = fmax (y - MARK, f->top + WORD_HIGH - 3);
  bool room = w->n < WORDS && left >= f->left;
  for (int i = 0; i < w->n && room; i++)
    room = left > w->at[i][1] || w->at[i][0] > left + wide ||
           fabs (y - w->at[i][2]) >= WORD_HIGH;
  if (!room)
    return;
  memcpy (w->at[w->n++], (double[]){left, left + wide, y}, sizeof w->at[0]);
  svg_text (f->out, left, y, "start", "tick", words);
}

/* Where a strategy changes, and to what; w NULL: without words. */
static void
draw_marks (struct frame *f, const struct curve *c, int style,
            struct words_at *w)
{
  for (int i = 0; i < c->n_marks; i++) {
    const struct mark *m = &c->mark[i];
    const double x = frame_x (f, m->x), y = frame_y (f, m->y);
    text_add (f->out, "<path class=\"line s%d mark\" d=\"M%.1f %.1fv%.1f\"/>\n",
              style, x, y - MARK, 2 * MARK);
    if (w)
      mark_words (f, x, y, m->words, w);
  }
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

/* Moves labels apart within the frame: from the top down each is pushed below
 * the one before it, then from the bottom up all that stick out are pushed
 * back. */
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

/* The name of a group; in a picture that stands alone its last value as well,
 * and half of its confidence. */
static const char *
label_of (struct report *r, int group, const struct lines *s)
{
  const struct curve *c = &s->curve[group];
  const struct measure *m = r->measure;
  const char *name = svg_short (&r->pool, r->group[group].label, LABEL_LETTERS);
  if (s->size != CHART_ALONE || c->n == 0)
    return name;
  const double half = (c->high[c->n - 1] - c->low[c->n - 1]) / 2;
  name = pool_text (&r->pool, "%s: %.*f", name, m->digits,
                    m->scale * c->mean[c->n - 1]);
  if (r->group[group].n < 3)
    return name;
  return pool_text (&r->pool, "%s ± %.*f", name, m->digits, m->scale * half);
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
              label_of (r, l[i].group, s));
  }
}

static double
label_room (struct report *r, const struct lines *s)
{
  double most = 0;
  for (int i = 0; i < r->n_groups; i++)
    if (r->group[i].style >= 0)
      most = fmax (most, svg_width (label_of (r, i, s), 12));
  return most + 56;
}

/* -- a chart --------------------------------------------------------------- */

/* The range of what is drawn.  A few extreme values at the beginning of
 * training are left out, since they would flatten everything else, and so are
 * the ends of bands there, which are cut off. */
void
lines_reach (struct report *r, struct lines *s)
{
  struct axis *x = &s->x, *y = &s->y;
  double settled = NAN;
  x->low = y->low = NAN;
  x->high = y->high = NAN;
  for (int i = 0; i < r->n_groups; i++) {
    const struct curve *c = &s->curve[i];
    for (int k = 0; k < c->n && r->group[i].style >= 0; k++) {
      x->high = fmax (x->high, c->x[k]);
      x->low = fmin (x->low, c->x[k]);
      const bool late = k >= c->n / 2;
      const double low = late ? fmin (c->low[k], c->least[k]) : c->least[k];
      const double high = late ? fmax (c->high[k], c->most[k]) : c->most[k];
      y->low = fmin (y->low, low);
      y->high = fmax (y->high, high);
      if (k >= c->n / 20)
        settled = fmax (settled, high);
    }
  }
  if (!s->percent && y->high > 2 * settled)
    y->high = 1.2 * settled;
  if (s->percent) {
    y->unit = 0.01;
    y->low = fmax (y->low, 0);
    y->high = fmin (y->high, 1);
  }
}

static struct frame
frame_for (struct report *r, struct text *out, const struct lines *s)
{
  static const double width[] = {252, 512, 1040, CHART_ALONE_WIDTH},
                      height[] = {180, 250, 320, CHART_ALONE_HEIGHT};
  struct frame f = {
      .out = out, .left = 44, .top = 24, .bottom = 42, .x = s->x, .y = s->y};
  f.alone = s->size == CHART_ALONE;
  f.right = s->size >= CHART_FULL ? label_room (r, s) : 14;
  f.width = width[s->size];
  f.height = height[s->size];
  return f;
}

void
lines_draw (struct report *r, struct text *out, const struct lines *s,
            const char *about)
{
  struct frame f = frame_for (r, out, s);
  struct words_at w = {.n = 0};
  frame_begin (r, &f, about);
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; i < r->n_groups; i++) {
      const struct group *g = &r->group[i];
      const struct curve *c = &s->curve[i];
      if (g->style < 0 || c->n == 0)
        continue;
      if (pass == 0)
        draw_band (&f, c, g->style);
      else {
        draw_line (&f, c, g->style);
        draw_marks (&f, c, g->style, s->size >= CHART_FULL ? &w : NULL);
      }
    }
  frame_data_end (&f);
  if (s->size >= CHART_FULL)
    draw_labels (r, &f, s);
  frame_end (&f);
}

/* Curves of all groups; false when there is nothing to see. */
static bool
make_curves (struct report *r, int split, const char *column,
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
line_chart (struct report *r, struct text *out, int split, const char *column,
            enum run_axis axis, enum chart_size size, const char *title)
{
  struct lines s = {
      .curve = pool_take (&r->pool, (size_t)r->n_groups, sizeof *s.curve),
      .percent = strstr (column, "accuracy") != NULL,
      .size = size};
  if (!make_curves (r, split, column, axis, s.curve))
    return false;
  bool small = size == CHART_SMALL;
  lines_reach (r, &s);
  axis_run (r, &s.x, axis, small ? 3 : 8);
  axis_make (&s.y, small ? 4 : 6, false);
  snprintf (s.y.title, sizeof s.y.title, "%.80s%s", title,
            s.percent ? ", %" : "");
  lines_draw (r, out, &s, title);
  return true;
}

/* report/depth.c -- a number of each stage, or of the head behind it, by depth:
 * accuracy or loss of heads, and what probes have found.
 */
#include "report/report_impl.h"

#include <ctype.h>
#include <stdio.h>

struct place {
  const struct depth *what;
  int stage;
};

static double
at_place (const struct report *r, const struct run *run, const void *how)
{
  const struct place *p = how;
  return p->what->of (r, run, p->stage);
}

static void
depth_curve (struct report *r, const struct group *g, const struct depth *what,
             bool share, struct curve *c)
{
  curve_room (r, g->K, c);
  for (int k = 0; k < g->K; k++) {
    const struct place p = {what, k};
    const struct spread s = group_stat (r, g, at_place, &p);
    curve_add (c, share ? 100.0 * (k + 1) / g->K : k, &s);
  }
}

/* Networks of different K lie beside each other by the share of their depth. */
static bool
by_share (const struct report *r)
{
  for (int i = 1; i < r->n_groups; i++)
    if (r->group[i].K != r->group[0].K)
      return true;
  return false;
}

void
depth_chart (struct report *r, struct text *out, const struct depth *what,
             enum chart_size size)
{
  struct lines s = {
      .curve = pool_take (&r->pool, (size_t)r->n_groups, sizeof *s.curve),
      .percent = what->percent,
      .size = size};
  bool share = by_share (r), some = false;
  for (int i = 0; i < r->n_groups; i++) {
    depth_curve (r, &r->group[i], what, share, &s.curve[i]);
    some = some || s.curve[i].n > 1;
  }
  if (!some)
    return;
  lines_reach (r, &s);
  axis_make (&s.y, size == CHART_FULL ? 6 : 5, what->from_zero);
  axis_make (&s.x, 8, true);
  if (s.x.step < 1)
    s.x.step = 1, s.x.digits = 0;
  snprintf (s.y.title, sizeof s.y.title, "%.90s", what->title);
  snprintf (s.x.title, sizeof s.x.title, "%s",
            share         ? "depth, % of the stages"
            : what->heads ? "head (behind the stage of that number)"
                          : "stage");
  lines_draw (r, out, &s, what->title);
}

void
picture_depth (struct report *r, struct text *out)
{
  const struct measure *m = r->measure;
  const struct depth what = {
      .of = measure_head,
      .heads = true,
      .percent = !m->lower,
      .title = pool_text (&r->pool, "%s by depth, %s, %s", m->title,
                          data_split_name (r->split), m->unit)};
  size_t before = out->size;
  text_add (out,
            "<figure id=\"depth\"><figcaption>%c%s by depth: the "
            "newest evaluation of every head that is trained.",
            toupper (m->title[0]), m->title + 1);
  card_cuts (r, out);
  text_add (out, "</figcaption>\n");
  size_t empty = out->size;
  depth_chart (r, out, &what, CHART_FULL);
  if (out->size == empty)
    out->data[out->size = before] = '\0';
  else
    text_add (out, "</figure>\n");
}

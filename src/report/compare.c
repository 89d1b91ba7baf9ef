/* report/compare.c -- the comparison: groups at equal samples, operations, time
 * and core-hours, and how long each takes to a value.
 */
#include "report/report_impl.h"

#include <string.h>

static double
of_budget (const struct report *r, const struct run *run, const void *how)
{
  enum run_axis axis = *(const enum run_axis *)how;
  return run_at ((struct pool *)&r->pool, run, r->split,
                 measure_output (r, run), axis, r->budget[axis]);
}

static double
of_reach (const struct report *r, const struct run *run, const void *how)
{
  return (r->measure->lower ? run_fall : run_reach) (
      (struct pool *)&r->pool, run, r->split, measure_output (r, run),
      *(const enum run_axis *)how, r->target);
}

#define COMPARED 13

/* Names begin or end with the column of the measure; what people see is in its
 * unit.  What is equal is told to programs as well, in each row. */
static const struct column *
compare_columns (struct report *r)
{
  const struct measure *m = r->measure;
  struct pool *p = &r->pool;
#define AT(axis, title)                                                      \
  {                                                                          \
    pool_text (p, "%s_at_" axis, m->column),                                 \
        pool_text (p, "%s at equal " title, m->unit), COLUMN_STAT, m->scale, \
        m->digits                                                            \
  }
  const struct column all[COMPARED] = {
      {"strategy", "strategy", COLUMN_TEXT, 1, 0},
      {"seeds", "runs", COLUMN_NUMBER, 1, 0},
      AT ("samples", "samples"),
      AT ("flops", "executed FLOPs"),
      AT ("seconds", "wall time"),
      AT ("core_hours", "core-hours"),
      {pool_text (p, "seconds_to_%s", m->column),
       pool_text (p, "seconds to %s", m->title), COLUMN_STAT, 1, 1},
      {pool_text (p, "core_hours_to_%s", m->column),
       pool_text (p, "core-seconds to %s", m->title), COLUMN_STAT, 3600, 1},
      {"equal_samples", "", COLUMN_ASIDE, 1, 0},
      {"equal_flops", "", COLUMN_ASIDE, 1, 0},
      {"equal_seconds", "", COLUMN_ASIDE, 1, 0},
      {"equal_core_hours", "", COLUMN_ASIDE, 1, 0},
      {pool_text (p, "%s_to_reach", m->column), "", COLUMN_ASIDE, 1, 0},
  };
#undef AT
  struct column *out = pool_take (p, COMPARED, sizeof *out);
  memcpy (out, all, sizeof all);
  return out;
}

/* A run whose first evaluation came later has no number there. */
static void
put_budget (struct filling *f, const struct group *g, const enum run_axis *axis)
{
  struct cell *c = table_next (f);
  c->s = group_stat (f->r, g, of_budget, axis);
  if (c->s.n > 0 && c->s.n < g->n)
    c->text = pool_text (&f->r->pool, "%d of %d runs", c->s.n, g->n);
  if (c->s.n == 0 && isfinite (f->r->budget[*axis]))
    c->text = "not yet evaluated";
}

static void
put_reach (struct filling *f, const struct group *g, const enum run_axis *axis)
{
  struct cell *c = table_next (f);
  c->s = group_stat (f->r, g, of_reach, axis);
  if (c->s.n > 0 && c->s.n < g->n)
    c->text = pool_text (&f->r->pool, "%d of %d runs reach it", c->s.n, g->n);
  if (c->s.n == 0 && isfinite (f->r->target))
    c->text = "not reached";
}

static void
compare_note (struct report *r, struct table *t)
{
  struct text *n = &t->note;
  text_add (n,
            "%s of the network's own output on the split %s; mean ± "
            "standard deviation, [95 %% confidence of the mean, Student's "
            "t]. ",
            r->measure->of_output, data_split_name (r->split));
  text_add (n, "Equal means what every run has reached:");
  if (isfinite (r->budget[AXIS_SAMPLES]))
    text_add (n, " %s samples;", text_count ((int64_t)r->budget[AXIS_SAMPLES]));
  if (isfinite (r->budget[AXIS_FLOPS]))
    text_add (n, " %.3g executed FLOPs;", r->budget[AXIS_FLOPS]);
  if (isfinite (r->budget[AXIS_SECONDS]))
    text_add (n, " %s of training;", text_seconds (r->budget[AXIS_SECONDS]));
  if (isfinite (r->budget[AXIS_CORES]))
    text_add (n, " %.3g core-hours;", r->budget[AXIS_CORES]);
  text_add (n, " between two evaluations the line between them is taken. Wall "
               "time is that of training steps, over all starts of a run, "
               "without evaluation and without steps that were lost. ");
  if (isfinite (r->target) && r->measure->lower)
    text_add (n, "Less is better; the loss to be reached is %.6g %s.",
              r->target, r->measure->unit);
  else if (isfinite (r->target))
    text_add (n, "The accuracy to be reached is %.4g %%.", r->target * 100);
}

void
compare_fill (struct report *r, struct table *t)
{
  static const enum run_axis axes[] = {AXIS_SAMPLES, AXIS_FLOPS, AXIS_SECONDS,
                                       AXIS_CORES};
  struct filling f = {r, t, 0};
  t->column = compare_columns (r);
  t->n_columns = COMPARED;
  table_rows (r, t, r->n_groups);
  for (int i = 0; i < r->n_groups; i++) {
    const struct group *g = &r->group[i];
    table_put_text (&f, g->label);
    table_put_number (&f, g->n);
    for (int a = 0; a < 4; a++)
      put_budget (&f, g, &axes[a]);
    put_reach (&f, g, &axes[2]);
    put_reach (&f, g, &axes[3]);
    for (int a = 0; a < 4; a++)
      table_put_number (&f, r->budget[axes[a]]);
    table_put_number (&f, r->target);
  }
  compare_note (r, t);
}

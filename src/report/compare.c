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

/* Axes along which runs are equal; predicted times come behind them. */
#define EQUALS 4

struct compared { /* an axis of the table */
  enum run_axis axis;
  const char *name, *title,
      *to; /* to: "seconds to %s" of it; NULL: not asked */
  double scale;
};

static int
compared_axes (struct report *r, struct compared out[EQUALS + REPORT_ON])
{
  static const struct compared plain[EQUALS] = {
      {AXIS_SAMPLES, "samples", "samples", NULL, 1},
      {AXIS_FLOPS, "flops", "executed FLOPs", NULL, 1},
      {AXIS_SECONDS, "seconds", "wall time", "seconds", 1},
      {AXIS_CORES, "core_hours", "core-hours", "core-seconds", 3600}};
  memcpy (out, plain, sizeof plain);
  for (int i = 0; i < r->spec->n_on; i++)
    out[EQUALS + i] = (struct compared){
        (enum run_axis) (AXIS_ON + i),
        pool_text (&r->pool, "predicted_seconds_on_%d", r->spec->on[i]),
        pool_text (&r->pool, "predicted time %s", predict_words (r, i)),
        pool_text (&r->pool, "predicted seconds %s", predict_words (r, i)), 1};
  return EQUALS + r->spec->n_on;
}

/* Names begin or end with the column of the measure; what people see is in its
 * unit.  What is equal is told to programs as well, in each row. */
static void
compare_columns (struct report *r, struct table *t, int n,
                 const struct compared *axes)
{
  const struct measure *m = r->measure;
  struct pool *p = &r->pool;
  struct column *out = pool_take (p, 3 + 3 * (size_t)n, sizeof *out);
  int at = 0;
  out[at++] = (struct column){"strategy", "strategy", COLUMN_TEXT, 1, 0};
  out[at++] = (struct column){"seeds", "runs", COLUMN_NUMBER, 1, 0};
  for (int i = 0; i < n; i++)
    out[at++] =
        (struct column){pool_text (p, "%s_at_%s", m->column, axes[i].name),
                        pool_text (p, "%s at equal %s", m->unit, axes[i].title),
                        COLUMN_STAT, m->scale, m->digits};
  for (int i = 0; i < n; i++)
    if (axes[i].to)
      out[at++] =
          (struct column){pool_text (p, "%s_to_%s", axes[i].name, m->column),
                          pool_text (p, "%s to %s", axes[i].to, m->title),
                          COLUMN_STAT, axes[i].scale, 1};
  for (int i = 0; i < n; i++)
    out[at++] = (struct column){pool_text (p, "equal_%s", axes[i].name), "",
                                COLUMN_ASIDE, 1, 0};
  out[at++] = (struct column){pool_text (p, "%s_to_reach", m->column), "",
                              COLUMN_ASIDE, 1, 0};
  t->column = out;
  t->n_columns = at;
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
  for (int i = 0; i < r->spec->n_on; i++)
    if (isfinite (r->budget[AXIS_ON + i]))
      text_add (n, " predicted %s %s;", text_seconds (r->budget[AXIS_ON + i]),
                predict_words (r, i));
  text_add (n, " between two evaluations the line between them is taken. Wall "
               "time is that of training steps, over all starts of a run, "
               "without evaluation and without steps that were lost. ");
  if (r->spec->n_on > 0)
    text_add (n, "%s ", predict_note);
  if (isfinite (r->target) && r->measure->lower)
    text_add (n, "Less is better; the loss to be reached is %.6g %s.",
              r->target, r->measure->unit);
  else if (isfinite (r->target))
    text_add (n, "The accuracy to be reached is %.4g %%.", r->target * 100);
}

void
compare_fill (struct report *r, struct table *t)
{
  struct compared axes[EQUALS + REPORT_ON];
  const int n = compared_axes (r, axes);
  struct filling f = {r, t, 0};
  compare_columns (r, t, n, axes);
  table_rows (r, t, r->n_groups);
  for (int i = 0; i < r->n_groups; i++) {
    const struct group *g = &r->group[i];
    table_put_text (&f, g->label);
    table_put_number (&f, g->n);
    for (int a = 0; a < n; a++)
      put_budget (&f, g, &axes[a].axis);
    for (int a = 0; a < n; a++)
      if (axes[a].to)
        put_reach (&f, g, &axes[a].axis);
    for (int a = 0; a < n; a++)
      table_put_number (&f, r->budget[axes[a].axis]);
    table_put_number (&f, r->target);
  }
  compare_note (r, t);
}

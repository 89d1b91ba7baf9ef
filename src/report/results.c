/* report/results.c -- what was reached, for a paper: a row for each group, of
 * its runs that have finished alone.
 */
#include "report/report_impl.h"

#include <string.h>

static bool
has_finished (const struct run *run)
{
  return strcmp (run->state, store_run_state_name (STORE_RUN_FINISHED)) == 0;
}

static double
of_steps (const struct report *r, const struct run *run, const void *how)
{
  (void)r;
  (void)how;
  return has_finished (run) ? run->steps : NAN;
}

/* how: the split. */
static double
of_output (const struct report *r, const struct run *run, const void *how)
{
  return has_finished (run)
             ? run_last (run, *(const int *)how, measure_output (r, run))
             : NAN;
}

static double
of_pace (const struct report *r, const struct run *run, const void *how)
{
  (void)r;
  (void)how;
  return has_finished (run) ? run_step_s (run) : NAN;
}

/* how: which of spec.on. */
static double
of_whole (const struct report *r, const struct run *run, const void *how)
{
  (void)r;
  const double *x = run->x[AXIS_ON + *(const int *)how];
  double last = NAN;
  for (int i = 0; i < run->metrics.n_rows && has_finished (run); i++)
    last = fmax (last, x[i]);
  return last;
}

/* Columns in front of those of predictions. */
#define FIXED 7

static void
make_columns (struct report *r, struct table *t)
{
  const struct measure *m = r->measure;
  struct pool *p = &r->pool;
  const struct column fixed[FIXED] = {
      {"strategy", "strategy", COLUMN_TEXT, 1, 0},
      {"seeds", "runs", COLUMN_NUMBER, 1, 0},
      {"finished", "finished", COLUMN_NUMBER, 1, 0},
      {"steps", "steps", COLUMN_STAT, 1, 0},
      {pool_text (p, "valid_%s", m->column), pool_text (p, "valid %s", m->unit),
       COLUMN_STAT, m->scale, m->digits},
      {pool_text (p, "test_%s", m->column), pool_text (p, "test %s", m->unit),
       COLUMN_STAT, m->scale, m->digits},
      {"step_s", "step ms", COLUMN_STAT, 1e3, 1}};
  struct column *out = pool_take (p, FIXED + REPORT_ON, sizeof *out);
  memcpy (out, fixed, sizeof fixed);
  t->n_columns = FIXED;
  for (int i = 0; i < r->spec->n_on; i++)
    out[t->n_columns++] = (struct column){
        pool_text (p, "predicted_seconds_on_%d", r->spec->on[i]),
        pool_text (p, "predicted s %s", predict_words (r, i)), COLUMN_STAT, 1,
        1};
  t->column = out;
}

/* Where runs were made: the processors, and ranks x threads. */
static void
add_places (struct report *r, struct text *out)
{
  const char *between = "Made on";
  for (int i = 0; i < r->n_runs; i++) {
    const struct run *a = &r->run[i];
    const struct start *s = &a->start[a->n_starts - 1];
    bool told = false;
    for (int k = 0; k < i; k++) {
      const struct run *b = &r->run[k];
      const struct start *t = &b->start[b->n_starts - 1];
      told = told || (strcmp (a->processor, b->processor) == 0 &&
                      s->ranks == t->ranks && s->threads == t->threads);
    }
    if (told)
      continue;
    text_add (out, "%s ", between);
    escape_plain (a->processor[0] ? a->processor : "a processor not recorded",
                  out);
    if (isfinite (s->ranks) && isfinite (s->threads))
      text_add (out, ", %.0f rank%s x %.0f thread%s", s->ranks,
                s->ranks == 1 ? "" : "s", s->threads,
                s->threads == 1 ? "" : "s");
    between = "; on";
  }
  text_add (out, ". ");
}

void
results_fill (struct report *r, struct table *t)
{
  static const int splits[] = {DATA_VALID, DATA_TEST};
  struct filling f = {r, t, 0};
  make_columns (r, t);
  table_rows (r, t, r->n_groups);
  for (int i = 0; i < r->n_groups; i++) {
    const struct group *g = &r->group[i];
    int finished = 0;
    for (int k = 0; k < g->n; k++)
      finished += has_finished (&r->run[g->run[k]]);
    table_put_text (&f, g->label);
    table_put_number (&f, g->n);
    table_put_number (&f, finished);
    table_put_stat (&f, g, of_steps, NULL);
    for (int s = 0; s < 2; s++)
      table_put_stat (&f, g, of_output, &splits[s]);
    table_put_stat (&f, g, of_pace, NULL);
    for (int k = 0; k < r->spec->n_on; k++)
      table_put_stat (&f, g, of_whole, &k);
    for (int c = 3; c < t->n_columns; c++)
      if (finished == 0)
        t->cell[f.at - t->n_columns + c].text = "not finished";
  }
  text_add (&t->note,
            "%s of the network's own output at the end, of runs that have "
            "finished: mean ± standard deviation [95 %% confidence of the "
            "mean, Student's t] of their seeds. ",
            r->measure->of_output);
  add_places (r, &t->note);
  if (r->spec->n_on > 0)
    text_add (&t->note, "%s", predict_note);
}

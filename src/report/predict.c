/* report/predict.c -- how long runs would take on other ranks than those that
 * they were made on.  What they learn stays theirs: it does not depend on where
 * stages live.
 *
 * The seconds of a step come from the plan, and the plan from outside of this
 * room: report_spec.predict.
 */
#include "report/report_impl.h"

#include <string.h>

const char predict_note[] =
    "Predicted times are not measured: they are steps times what the plan has "
    "for a step on so many ranks, a core or more for each, from what blocks "
    "took when the runs began (of runs of the same network and cut the "
    "lower quartiles) and assumed messages (20 us, 5 GB/s); what is learned is "
    "the "
    "run's own, since it does not depend on the ranks.";

const char *
predict_words (struct report *r, int i)
{
  return pool_text (&r->pool, "on %d rank%s", r->spec->on[i],
                    r->spec->on[i] == 1 ? "" : "s");
}

/* Runs of one reason are told of once. */
static void
note_failure (struct report *r, int i, int which, const char *const *why)
{
  int same = 0;
  for (int k = 0; k < r->n_runs; k++)
    if (why[k] && strcmp (why[k], why[which]) == 0) {
      if (k < which)
        return;
      same++;
    }
  text_add (&r->notes, "no time is predicted %s for ", predict_words (r, i));
  escape_plain (r->run[which].name, &r->notes);
  if (same > 1)
    text_add (&r->notes, " and %d more", same - 1);
  text_add (&r->notes, ": ");
  escape_plain (why[which], &r->notes);
  text_add (&r->notes, "\n");
}

/* Up to a step. */
static double
seconds_to (const struct report_pace *p, double step)
{
  double sum = 0;
  for (int i = 0; i < p->n && step > p->first[i]; i++) {
    const double end = i + 1 < p->n ? fmin (step, p->first[i + 1]) : step;
    sum += (end - p->first[i]) * p->step_s[i];
  }
  return sum;
}

static void
predict_on (struct report *r, int i, const char *const *dirs)
{
  const char **why = pool_take (&r->pool, (size_t)r->n_runs, sizeof *why);
  for (int k = 0; k < r->n_runs; k++) {
    struct run *run = &r->run[k];
    struct report_pace pace;
    run->on_s[i] = NAN;
    if (r->spec->predict (r->n_runs, dirs, k, r->spec->on[i], &pace) != OK) {
      why[k] = pool_text (&r->pool, "%s", fail_message ());
      fail_clear ();
      continue;
    }
    run->on_s[i] = seconds_to (&pace, run->steps) / run->steps;
    for (int row = 0; row < run->metrics.n_rows; row++)
      run->x[AXIS_ON + i][row] = seconds_to (&pace, run->x[AXIS_STEPS][row]);
  }
  for (int k = 0; k < r->n_runs; k++)
    if (why[k])
      note_failure (r, i, k, why);
}

void
predict_all (struct report *r)
{
  const char **dirs = pool_take (&r->pool, (size_t)r->n_runs, sizeof *dirs);
  for (int k = 0; k < r->n_runs; k++)
    dirs[k] = r->run[k].path;
  for (int i = 0; i < r->spec->n_on; i++)
    predict_on (r, i, dirs);
}

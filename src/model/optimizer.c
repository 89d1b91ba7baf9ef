/* model/optimizer.c -- learning rates of PyTorch's schedulers in closed form.
 *
 * A closed form needs no state: a run that resumes in the middle asks for the
 * same step and gets the same bits.  The arithmetic of the optimizers
 * themselves is in kern, their ranges in params.c.
 */
#include "model/optimizer.h"
#include <math.h>

static const double pi = 3.14159265358979323846;

/* From a at pct = 0 to b at pct = 1, along half a cosine. */
static double
anneal (double a, double b, double pct)
{
  return b + (a - b) / 2.0 * (1.0 + cos (pi * pct));
}

static double
step_lr (const struct schedule *s, int64_t step)
{
  double lr = s->lr;
  for (int i = 0; i < s->n_milestones; i++)
    if (step >= s->milestones[i])
      lr *= 0.1;
  return lr;
}

static double
cosine_lr (const struct schedule *s, int64_t step)
{
  double period = (double)(s->steps - s->warmup);
  if (period <= 0.0)
    return s->lr;
  return anneal (s->lr, 0.0, (double)(step - s->warmup) / period);
}

/* OneCycleLR counts so that the peak is at step pct_start x steps - 1 and the
 * lowest rate at step steps - 1. */
static double
onecycle_lr (const struct schedule *s, int64_t step)
{
  const double div_factor = 25.0, final_div_factor = 1e4;
  double total = (double)s->steps;
  double rise = s->warmup > 0 ? (double)s->warmup : 0.3 * total;
  double up_end = rise - 1.0, down_end = total - 1.0;
  double first = s->lr / div_factor, last = first / final_div_factor;
  double at = (double)step;
  if (at < up_end)
    return anneal (first, s->lr, at / up_end);
  if (down_end <= up_end)
    return s->lr;
  return anneal (s->lr, last, (at - up_end) / (down_end - up_end));
}

double
schedule_lr (const struct schedule *s, int64_t step)
{
  if (s->kind == SCHEDULE_ONECYCLE)
    return onecycle_lr (s, step);
  if (step < s->warmup)
    return s->lr * (double)(step + 1) / (double)s->warmup;
  switch (s->kind) {
  case SCHEDULE_STEP:
    return step_lr (s, step);
  case SCHEDULE_COSINE:
    return cosine_lr (s, step);
  case SCHEDULE_CONSTANT:
  case SCHEDULE_ONECYCLE:
    break;
  }
  return s->lr;
}

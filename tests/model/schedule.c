/* ranks: 0 */
/* tests/model/schedule.c -- learning rates against the recursions and formulas
 * of PyTorch's schedulers, written another way than ours.
 */
#include "model/optimizer.h"
#include "tests/tap.h"

/* CosineAnnealingLR's own recursion: each rate from the one before. */
static double
worst_cosine (int64_t steps, int64_t period, double lr)
{
  struct schedule s = {.kind = SCHEDULE_COSINE, .lr = lr, .steps = steps};
  double now = lr, worst = 0.0;
  for (int64_t t = 0; t < steps; t++) {
    if (t > 0)
      now *= (1.0 + cos (M_PI * (double)t / (double)period)) /
             (1.0 + cos (M_PI * (double)(t - 1) / (double)period));
    worst = fmax (worst, fabs (schedule_lr (&s, t) - now) / lr);
  }
  return worst;
}

/* OneCycleLR with its defaults, by walking its two phases. */
static double
onecycle_twin (int64_t total, double pct_start, double max_lr, int64_t step)
{
  double start[2] = {max_lr / 25.0, max_lr};
  double end[2] = {max_lr, max_lr / 25.0 / 1e4};
  double stop[2] = {pct_start * (double)total - 1.0, (double)total - 1.0};
  double begin = 0.0;
  for (int i = 0; i < 2; begin = stop[i++])
    if ((double)step <= stop[i]) {
      double pct = ((double)step - begin) / (stop[i] - begin);
      double out = cos (M_PI * pct) + 1.0;
      return end[i] + (start[i] - end[i]) / 2.0 * out;
    }
  return -1.0;
}

static double
worst_onecycle (int64_t steps, int64_t warmup)
{
  struct schedule s = {
      .kind = SCHEDULE_ONECYCLE, .lr = 0.4, .steps = steps, .warmup = warmup};
  double pct = warmup ? (double)warmup / (double)steps : 0.3, worst = 0.0;
  for (int64_t t = 0; t < steps; t++)
    worst = fmax (
        worst, fabs (schedule_lr (&s, t) - onecycle_twin (steps, pct, 0.4, t)));
  return worst;
}

static void
steps_and_warmup (void)
{
  struct schedule s = {.kind = SCHEDULE_STEP,
                       .lr = 2.0,
                       .steps = 100,
                       .n_milestones = 2,
                       .milestones = {30, 60}};
  tap_near (schedule_lr (&s, 29), 2.0, 1e-15, "before the first milestone");
  tap_near (schedule_lr (&s, 30), 0.2, 1e-15, "at the first milestone");
  tap_near (schedule_lr (&s, 99), 0.02, 1e-15, "after the second");
  s.warmup = 4;
  tap_near (schedule_lr (&s, 0), 0.5, 1e-15, "warm-up begins above zero");
  tap_near (schedule_lr (&s, 3), 2.0, 1e-15, "and ends at the peak");
  s.kind = SCHEDULE_CONSTANT;
  tap_near (schedule_lr (&s, 1), 1.0, 1e-15, "constant warms up too");
  tap_near (schedule_lr (&s, 99), 2.0, 1e-15, "and stays");
  s.kind = SCHEDULE_COSINE;
  tap_near (schedule_lr (&s, 4), 2.0, 1e-15,
            "the cosine begins behind the warm-up");
  tap_near (schedule_lr (&s, 52), 1.0, 1e-14, "half way down, half the rate");
  s.steps = 4;
  tap_ok (isfinite (schedule_lr (&s, 3)), "nothing but warm-up");
}

int
main (void)
{
  tap_near (worst_cosine (37, 37, 0.1), 0.0, 1e-12, "cosine over 37 steps");
  tap_near (worst_cosine (1, 1, 0.1), 0.0, 1e-12, "cosine over one step");
  tap_ok (worst_cosine (37, 38, 0.1) > 1e-3, "a period off by one is noticed");
  tap_near (worst_onecycle (50, 0), 0.0, 1e-12, "one cycle over 50 steps");
  tap_near (worst_onecycle (47, 0), 0.0, 1e-12, "one cycle, peak in between");
  tap_near (worst_onecycle (50, 9), 0.0, 1e-12, "one cycle with warm-up");
  for (int64_t n = 1; n < 5; n++) {
    struct schedule s = {.kind = SCHEDULE_ONECYCLE, .lr = 1.0, .steps = n};
    bool sane = true;
    for (int64_t t = 0; t < n; t++)
      sane = sane && schedule_lr (&s, t) > 0.0 && schedule_lr (&s, t) <= 1.0;
    tap_ok (sane, "one cycle of %d steps stays in range", (int)n);
  }
  steps_and_warmup ();
  return tap_done ();
}

/* ranks: 1 2 */
/* tests/run/gradient.c -- every stage follows the loss that its row of the
 * route states: the gradient that the engine assembles from messages, along a
 * random direction, against the central difference of that loss.
 */
#define TAP_MPI
#include "tests/run/rig.h"

/* Differences of a ReLU network in float are good to about this; a wrong route
 * is off by more than ten times as much. */
#define LIMIT 2e-2

static void
open_case (struct rig *r, const char *span, const char *mix, int micro,
           struct session *s)
{
  struct run_config c;
  rig_config (r, 4, &c);
  snprintf (c.span, RUN_WORD, "%s", span);
  snprintf (c.mix, RUN_WORD, "%s", mix);
  c.batch = 16;
  c.order = RUN_SEQUENTIAL;
  c.limit = c.batch;
  c.micro = micro;
  c.lr = 0;
  c.weight_decay = 0;
  c.steps = CHECK_STEPS * c.count;
  rig_session (r->w, &c, s);
}

static void
test_case (struct rig *r, const char *span, const char *mix, int micro)
{
  struct session s;
  double worst;
  int stage;
  open_case (r, span, mix, micro, &s);
  rig_must (check_gradients (&s, &worst, &stage));
  session_close (&s);
  tap_ok (worst < LIMIT, "span %s, mix %s, micro %d: off by %.1e in stage %d",
          span, mix, micro, worst, stage);
}

/* The engine walks one span; the stated loss is another's. */
static void
test_fault (struct rig *r, const char *span, const char *mix, int other,
            enum plan_mix other_mix)
{
  struct session s;
  double worst;
  int stage;
  open_case (r, span, mix, 1, &s);
  rig_must (plan_route (s.K, other, other_mix, s.route));
  rig_must (check_gradients (&s, &worst, &stage));
  session_close (&s);
  tap_ok (worst > 5 * LIMIT,
          "planted: span %s, mix %s against the loss of span %d, mix %d: off "
          "by %.1e",
          span, mix, other, (int)other_mix, worst);
}

int
main (int argc, char **argv)
{
  static const char *const mixes[] = {"furthest", "sum", "mean"};
  struct rig r;
  rig_open (&argc, &argv, &r);
  rig_data (&r, 32, 16);
  for (int m = 0; m < 3; m++)
    for (int span = m ? 2 : 1; span <= 4; span++) {
      char word[8];
      snprintf (word, sizeof word, "%d", span);
      test_case (&r, word, mixes[m], 1);
    }
  test_case (&r, "3", "sum", 2);
  test_case (&r, "3", "mean", 4);
  test_case (&r, "4", "sum", 4);
  test_case (&r, "4", "furthest", 2);
  test_fault (&r, "2", "furthest", 3, PLAN_FURTHEST);
  test_fault (&r, "3", "sum", 3, PLAN_MEAN);
  int result = tap_done ();
  rig_close (&r);
  return result;
}

/* ranks: 1 2 */
/* tests/verify/gradient.c -- every stage follows the loss that its row of the
 * route states: the gradient that the engine assembles from messages, along a
 * random direction, against the central difference of that loss.  So does the
 * matrix that stages of a language model share, use by use.
 */
#define TAP_MPI
#include "tests/run/h5.h"
#include "verify/verify_impl.h"

/* A difference of width h sees every ReLU that turns on the way, and what it
 * would have been is off by as much of the slope as h is of a parameter's
 * length. That is the network's and the data's doing: in exact arithmetic it
 * would be the same, and rounding, 1e-6 of a loss over the widest h, is far
 * below.  A wrong route is off by more than ten times as much. */
#define LIMIT 2e-2

static void
open_case (struct rig *r, const char *span, const char *mix, int micro,
           struct session *s)
{
  struct config c;
  rig_config (r, 4, &c);
  snprintf (c.span, CONFIG_WORD, "%s", span);
  key_set (KEY_OF (mix), mix, &c);
  c.batch = 16;
  c.order = CONFIG_SEQUENTIAL;
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
  rig_must (plan_route (s.design->K, other, other_mix, s.design->route));
  rig_must (check_gradients (&s, &worst, &stage));
  session_close (&s);
  tap_ok (worst > 5 * LIMIT,
          "planted: span %s, mix %s against the loss of span %d, mix %d: off "
          "by %.1e",
          span, mix, other, (int)other_mix, worst);
}

/* -- language models ---------------------------------------------------------
 */

/* Nothing in a Transformer has a kink: the widest difference, 3e-2, is off by
 * its square times the third derivative, which is no larger than the slope;
 * once more for rounding. */
#define SMOOTH (2 * 3e-2 * 3e-2)

struct row {
  const char *span, *mix, *head;
  bool tied, all;
  int micro;
  double grow;
};
static const struct row rows[] = {
    {"1", "furthest", "ln-fc", false, true, 1, 0},
    {"1", "furthest", "ln-fc", true, true, 2, 0},
    {"1", "furthest", "ln-shared", true, true, 1, 0},
    {"2", "furthest", "ln-shared", true, true, 1, 0},
    {"2", "furthest", "ln-shared", false, false, 2, 0},
    {"3", "sum", "ln-shared", true, false, 1, 0},
    {"4", "sum", "ln-shared", true, false, 2, 0},
    {"all", "sum", "ln-shared", false, false, 1, 0},
    {"all", "mean", "ln-shared", false, false, 2, 0},
    {"2", "mean", "ln-shared", false, false, 4, 0},
    {"3", "mean", "ln-fc", true, true, 1, 0},
    {"4", "furthest", "ln-fc", true, false, 2, 0},
    {"4", "furthest", "ln-shared", true, true, 1, 0},
};

/* With strategy.grow: passes that do not grow, and those that do. */
static const struct row growing[] = {
    {"1", "furthest", "ln-fc", false, true, 1, 100},
    {"2", "furthest", "ln-fc", false, true, 2, 100},
    {"4", "furthest", "ln-fc", false, false, 1, 100},
    {"3", "sum", "ln-fc", true, false, 2, 100},
    {"3", "furthest", "ln-shared", true, true, 4, 100},
};

static void
open_language (struct rig *r, const struct row *row, int K,
               enum config_border border, struct session *s)
{
  struct config c;
  rig_config (r, K, &c);
  snprintf (c.file, CONFIG_PATH, "%.*s/tokens.h5", CONFIG_PATH - 16, r->folder);
  rig_language (&c);
  c.tied = row->tied;
  snprintf (c.head, CONFIG_TEXT, "%s", row->head);
  snprintf (c.span, CONFIG_WORD, "%s", K == 1 ? "1" : row->span);
  key_set (KEY_OF (mix), row->mix, &c);
  c.heads_all = row->all;
  c.micro = row->micro;
  c.grow = row->grow;
  c.border = border;
  c.order = CONFIG_SEQUENTIAL;
  c.limit = c.batch;
  c.lr = 0;
  c.weight_decay = 0;
  c.steps = CHECK_STEPS * c.count;
  rig_session (r->w, &c, s);
}

static void
test_language (struct rig *r, const struct row *row, int K,
               enum config_border border)
{
  struct session s;
  double worst;
  int stage;
  open_language (r, row, K, border, &s);
  rig_must (check_gradients (&s, &worst, &stage));
  tap_ok (worst < SMOOTH,
          "%d stages, span %s, mix %s, %s%s%s%s, micro %d, grow %g: off by "
          "%.1e in %s",
          K, row->span, row->mix, row->head, row->tied ? ", tied" : "",
          row->all ? ", all heads" : "", border ? ", border" : "", row->micro,
          row->grow, worst,
          stage == s.design->K ? "the shared matrix" : "a stage");
  session_close (&s);
}

/* The engine learns from the outputs' size with one weight; the stated one is
 * another. */
static void
test_grow_fault (struct rig *r)
{
  const struct row row = {"2", "furthest", "ln-fc", false, false, 1, 200};
  struct session s;
  double worst;
  int stage;
  open_language (r, &row, 4, CONFIG_BORDER_NONE, &s);
  ((struct design *)s.design)->config.grow = 100;
  rig_must (check_gradients (&s, &worst, &stage));
  tap_ok (worst > 5 * LIMIT, "planted: half the penalty: off by %.1e", worst);
  session_close (&s);
}

/* Where the tied embedding follows another loss than is stated, the matrix is
 * noticed, and the stages behind the first are not. */
static void
test_shared_fault (struct rig *r)
{
  const struct row row = {"2", "furthest", "ln-fc", true, false, 1, 0};
  struct session s;
  double worst, right;
  int stage;
  open_language (r, &row, 4, CONFIG_BORDER_NONE, &s);
  rig_must (check_gradients (&s, &right, &stage));
  session_close (&s);
  open_language (r, &row, 4, CONFIG_BORDER_NONE, &s);
  s.design->route[1] = 0;
  s.design->route[3] = 1;
  rig_must (check_gradients (&s, &worst, &stage));
  tap_ok (right < SMOOTH && worst > 5 * LIMIT,
          "planted: stage 0 and its embedding against another loss: off by "
          "%.1e",
          worst);
  session_close (&s);
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
  h5_language (&r, "tokens", 20);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    test_language (&r, &rows[i], 4, CONFIG_BORDER_NONE);
  test_language (&r, &rows[0], 4, CONFIG_BORDER_RMS);
  test_language (&r, &rows[3], 4, CONFIG_BORDER_RMS);
  test_language (&r, &rows[5], 4, CONFIG_BORDER_LN);
  test_language (&r, &rows[11], 4, CONFIG_BORDER_RMS);
  for (size_t i = 0; i < sizeof growing / sizeof *growing; i++)
    test_language (&r, &growing[i], 4,
                   i % 2 ? CONFIG_BORDER_RMS : CONFIG_BORDER_NONE);
  test_grow_fault (&r);
  if (wire_size (r.w) == 1)
    test_language (&r, &rows[11], 1, CONFIG_BORDER_NONE);
  test_shared_fault (&r);
  int result = tap_done ();
  rig_close (&r);
  return result;
}

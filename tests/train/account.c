/* ranks: 2 */
/* tests/train/account.c -- waiting is booked as waiting: where two ranks share
 * a matrix and one of them comes late to every step, the other waits for it,
 * and does not send or compute.  The matrix is too large to be sent before the
 * other is there to take it.
 */
#define TAP_MPI
#include "tests/run/h5.h"
#include <time.h>

enum { WORDS = 4000, STEPS = 4 };
#define LATE_S 0.2

static void
make_tokens (const struct rig *r)
{
  static unsigned short row[20 * RIG_LENGTH + 1];
  const size_t n = sizeof row / sizeof *row;
  char path[CONFIG_PATH + 16];
  for (size_t i = 0; i < n; i++)
    row[i] = (unsigned short)((i * 977) % WORDS);
  snprintf (path, sizeof path, "%s/tokens.h5", r->folder);
  if (wire_rank (r->w) == 0)
    h5_write_tokens (path, WORDS, n, row, n / 2, row);
  wire_barrier (r->w);
}

static void
open_run (struct rig *r, double clip, struct session *s)
{
  struct config c;
  rig_config (r, 2, &c);
  snprintf (c.file, CONFIG_PATH, "%.*s/tokens.h5", CONFIG_PATH - 16, r->folder);
  rig_language (&c);
  snprintf (c.cut, CONFIG_TEXT, "2,rest");
  snprintf (c.head, CONFIG_TEXT, "ln-fc");
  snprintf (c.span, CONFIG_WORD, "1");
  c.layers = 2;
  c.d_model = 24;
  c.tied = true;
  c.clip = clip;
  c.steps = STEPS;
  rig_session (r->w, &c, s);
}

static void
test_late (struct rig *r, int late, double clip)
{
  struct session s;
  const struct timespec nap = {0, (long)(LATE_S * 1e9)};
  double mine[2], all[4];
  open_run (r, clip, &s);
  rig_must (session_begin (&s, 0, STEPS));
  wire_barrier (r->w);
  clock_start (&s.account, CLOCK_OTHER);
  for (int64_t step = 0; step < STEPS; step++) {
    if (wire_rank (r->w) == late)
      nanosleep (&nap, NULL);
    rig_step (&s, step);
  }
  mine[0] = s.account.spent_s[CLOCK_WAIT];
  mine[1] = s.account.spent_s[CLOCK_EXPOSED];
  rig_must (session_end (&s));
  session_close (&s);
  rig_must (wire_all_gather (r->w, mine, 2, all));
  const double *other = all + 2 * (1 - late);
  tap_ok (
      other[0] > other[1] && other[0] > LATE_S,
      "rank %d is late, clip %g: the other waits %.2f s, %.2f s of messages",
      late, clip, other[0], other[1]);
}

int
main (int argc, char **argv)
{
  struct rig r;
  rig_open (&argc, &argv, &r);
  make_tokens (&r);
  for (int late = 0; late < 2; late++) {
    test_late (&r, late, 0);
    test_late (&r, late, 0.1);
  }
  int result = tap_done ();
  rig_close (&r);
  return result;
}

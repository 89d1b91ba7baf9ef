/* ranks: 2 */
/* tests/wire/watch.c -- a rank that is slow or stopped is waited for, whatever
 * the patience.
 */
#include "base/clock.h"
#include "base/place.h"
#include "tests/wire/tool.h"
#include <pthread.h>
#include <signal.h>
#include <time.h>

#define PATIENCE_S 1.0
#define LONG_S 3.0 /* more than what would end the job */

static void
rest (double seconds)
{
  struct timespec t = {.tv_sec = (time_t)seconds};
  t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
  nanosleep (&t, NULL);
}

static void *
wake (void *pid)
{
  rest (LONG_S);
  kill (*(const pid_t *)pid, SIGCONT);
  return NULL;
}

/* Rank 0 does `slowly` before it sends; rank 1 waits. */
static void
test_wait (struct wire *w, const char *name, void (*slowly) (void))
{
  char *block;
  struct tensor t = tool_tensor (64, &block);
  struct wire_id id = {.step = 3, .micro = 1, .border = 1, .stream = -1};
  int request = WIRE_NONE;
  enum status s;
  if (wire_rank (w) == 0) {
    slowly ();
    s = wire_send (w, WIRE_STEPS, &t, 1, 5, id, &request);
    if (s == OK)
      s = wire_wait (w, &request, NULL, NULL);
  } else {
    s = wire_post (w, WIRE_STEPS, &t, 0, 5, &request);
    if (s == OK)
      s = wire_wait (w, &request, &id, NULL);
  }
  tap_ok (wire_agree (w, s) == OK, "%s", name);
  mem_free (&block);
}

static void
in_pieces (void)
{
  for (double start = clock_now_s (); clock_now_s () - start < LONG_S;) {
    rest (0.01);
    place_move ();
  }
}

static void
in_one_call (void)
{
  rest (LONG_S);
}

static void
stopped (void)
{
  raise (SIGSTOP);
}

int
main (int argc, char **argv)
{
  struct wire *w;
  double mine = (double)getpid (), all[2];
  if (wire_open (&argc, &argv, &w) != OK || wire_grid (w, 1) != OK)
    return 1;
  wire_patience (w, PATIENCE_S);
  test_wait (w, "one that works in pieces", in_pieces);
  place_lasts (60); /* as all ranks of a call of ScaLAPACK say */
  test_wait (w, "one that is in a call that lasts", in_one_call);
  place_set (-1, -1, "afterwards");
  tap_ok (place_lasting () == 0, "the next place is not that call");
  wire_all_gather (w, &mine, 1, all);
  pid_t other = (pid_t)all[0];
  pthread_t thread;
  bool wakes = wire_rank (w) == 1;
  if (wakes && pthread_create (&thread, NULL, wake, &other) != 0)
    wire_abort (fail (E_MEMORY, "no thread"));
  test_wait (w, "one that is stopped by a signal", stopped);
  if (wakes)
    pthread_join (thread, NULL);
  wire_patience (w, 0);
  wire_close (&w);
  return tap_done ();
}

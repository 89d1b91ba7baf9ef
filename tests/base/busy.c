/* ranks: 0 */
/* tests/base/busy.c -- who used the cores: from a text, from made moments, and
 * with a neighbour on the same core. */
#define _GNU_SOURCE /* sched_setaffinity */
#include "base/busy.h"
#include "tests/tap.h"

#include <math.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char stat_text[] = "cpu  99 99 99 99 99 99 99 99 0 0\n"
                                "cpu0 100 10 20 500 5 1 2 30 7 7\n"
                                "cpu1 9000 0 0 9000 0 0 0 0 0 0\n"
                                "cpu10 200 0 0 300 0 0 0 0 0 0\n"
                                "intr 1 2 3\n";

static void
test_text (void)
{
  const unsigned char mine[11] = {[0] = 1, [10] = 1};
  struct busy b = {.known = false};
  busy_read (stat_text, 100, 11, mine, &b);
  tap_ok (b.known && fabs (b.all_s - 11.68) < 1e-9 &&
              fabs (b.used_s - 3.63) < 1e-9 && fabs (b.stolen_s - 0.3) < 1e-9,
          "cores that count are added up: %g of %g s, %g stolen", b.used_s,
          b.all_s, b.stolen_s);
  b = (struct busy){.known = false};
  busy_read ("intr 1 2\n", 100, 11, mine, &b);
  tap_ok (!b.known, "a text without cores tells nothing");
}

static void
test_shares (void)
{
  /* Two on the same two cores, one on a core of another node. */
  const struct busy begin[3] = {
      {true, 5, 2, 1, 1, 7}, {true, 5, 2, 1, 3, 7}, {true, 50, 20, 0, 10, 8}};
  struct busy end[3] = {{true, 25, 20, 3, 5, 7},
                        {true, 25, 20, 3, 8, 7},
                        {true, 60, 30, 0, 20, 8}};
  struct busy_share s = busy_others (3, begin, end);
  tap_ok (fabs (s.others - 9.0 / 30) < 1e-12 &&
              fabs (s.stolen - 2.0 / 30) < 1e-12,
          "others used %g of the cores, %g was stolen", s.others, s.stolen);
  end[0].own_s = 500; /* of clocks that do not agree */
  tap_ok (busy_others (3, begin, end).others == 0, "never less than nothing");
  end[1].known = false;
  tap_ok (isnan (busy_others (3, begin, end).others),
          "what one does not know, nobody knows");
}

static void
work (double seconds)
{
  struct timespec a, b;
  clock_gettime (CLOCK_MONOTONIC, &a);
  do
    clock_gettime (CLOCK_MONOTONIC, &b);
  while ((double)(b.tv_sec - a.tv_sec) +
             1e-9 * (double)(b.tv_nsec - a.tv_nsec) <
         seconds);
}

/* One core, for us and for a neighbour. */
static void
test_neighbour (void)
{
  cpu_set_t all, one;
  struct busy begin, end;
  int core = 0;
  busy_now (&begin);
  if (!begin.known || sched_getaffinity (0, sizeof all, &all) != 0) {
    tap_ok (true, "a neighbour # SKIP the system does not tell");
    return;
  }
  while (!CPU_ISSET (core, &all))
    core++;
  CPU_ZERO (&one);
  CPU_SET (core, &one);
  sched_setaffinity (0, sizeof one, &one);
  const pid_t child = fork ();
  if (child == 0)
    for (;;)
      work (1);
  busy_now (&begin);
  work (1);
  busy_now (&end);
  kill (child, SIGKILL);
  waitpid (child, NULL, 0);
  const double others = busy_others (1, &begin, &end).others;
  tap_ok (others > 0.2, "a neighbour is noticed: %g", others);
  tap_ok (end.own_s > begin.own_s, "our own time goes on");
}

int
main (void)
{
  test_text ();
  test_shares ();
  test_neighbour ();
  return tap_done ();
}

/* ranks: 0 */
/* tests/base/signals.c -- handlers run beside the arithmetic, never on its
 * threads.
 */
#include "base/signals.h"
#include "base/spawn.h"
#include "tests/tap.h"
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t came, here;
static pthread_t arithmetic;

static void
on_signal (int number)
{
  (void)number;
  came++;
  if (pthread_equal (pthread_self (), arithmetic))
    here++;
}

/* For up to ten seconds: so many signals more. */
static bool
wait_for (int more)
{
  const struct timespec rest = {.tv_nsec = 1000000};
  const int before = came;
  for (int i = 0; i < 10000 && came < before + more; i++)
    nanosleep (&rest, NULL);
  return came >= before + more;
}

static void
beat (int us)
{
  struct itimerval often = {.it_interval.tv_usec = us, .it_value.tv_usec = us};
  setitimer (ITIMER_REAL, &often, NULL);
}

static void *
second (void *result)
{
  arithmetic = pthread_self ();
  here = 0;
  bool heard = wait_for (50);
  *(bool *)result = heard && here == 0;
  return NULL;
}

/* One that a blocked TERM would keep alive for a minute. */
static void
test_children (void)
{
  static const char *const words[] = {"sh", "-c", "kill -15 $$; sleep 60",
                                      NULL};
  struct spawn_end end = {0, 0};
  pid_t child;
  bool good = spawn_start (words, NULL, "/dev/null", &child) == 0 &&
              spawn_wait (child, NULL, NULL, &end);
  tap_ok (good && end.signal == SIGTERM,
          "programs that are started hear all signals");
}

int
main (void)
{
  struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  pthread_t thread;
  bool apart = false;
  arithmetic = pthread_self ();
  sigaction (SIGALRM, &a, NULL);
  beat (500);
  tap_ok (wait_for (50) && here > 0,
          "without care a handler runs on the thread that is at work");
  tap_ok (signals_apart () == OK && signals_apart () == OK,
          "signals are set apart, once");
  here = 0;
  tap_ok (wait_for (50) && here == 0, "then they are taken by another thread");
  pthread_create (&thread, NULL, second, &apart);
  pthread_join (thread, NULL);
  tap_ok (apart, "threads that are started later are left alone, too");
  raise (SIGALRM);
  tap_ok (here == 0, "a signal that a thread sends itself waits");
  test_children ();
  beat (0);
  return tap_done ();
}

/* ranks: 0 */
/* tests/kern/signals.c -- products keep their numbers, and their memory, where
 * signals come at any moment (base/signals.h says what they would do).
 */
#include "base/signals.h"
#include "tests/kern/twin.h"

#include <signal.h>
#include <sys/time.h>

#define N 64
#define IN 256
#define OUT 192

static volatile sig_atomic_t came;

static void
on_signal (int number)
{
  (void)number;
  came++;
}

static void
beat (int us)
{
  struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  struct itimerval often = {.it_interval.tv_usec = us, .it_value.tv_usec = us};
  sigaction (SIGALRM, &a, NULL);
  setitimer (ITIMER_REAL, &often, NULL);
}

/* All three products of a linear layer, whose last has its first matrix
 * transposed. */
static void
walk (struct kern *k, const float *x, const float *w, const float *d_y,
      float *out)
{
  float *y = out, *d_x = y + N * OUT, *d_w = d_x + N * IN;
  MUST (kern_linear_forward (k, N, IN, OUT, x, w, NULL, y));
  MUST (kern_linear_back_data (k, N, IN, OUT, d_y, w, d_x));
  MUST (kern_linear_back_weights (k, N, IN, OUT, x, d_y, 1, false, d_w, NULL));
}

int
main (void)
{
  const size_t n = N * OUT + N * IN + IN * OUT;
  struct kern *k;
  MUST (signals_apart ());
  MUST (kern_open (1, &k));
  float *x = noise (N * IN, 1), *w = noise (IN * OUT, 2);
  float *d_y = noise (N * OUT, 3), *want = floats (n), *got = floats (n);
  bool same = true;
  walk (k, x, w, d_y, want);
  beat (50);
  for (int i = 0; i < 20000 && (came < 2000 || i < 2000); i++) {
    walk (k, x, w, d_y, got);
    same = same && memcmp (want, got, n * sizeof *got) == 0;
  }
  beat (0);
  tap_ok (same && came > 0, "the same bits in a storm of signals");
  mem_free (&x);
  mem_free (&w);
  mem_free (&d_y);
  mem_free (&want);
  mem_free (&got);
  kern_close (&k);
  tap_ok (mem_leaks () == 0, "nothing is left");
  return tap_done ();
}

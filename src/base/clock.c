/* base/clock.c -- clocks, accounts of time, and the pulse. */
#include "base/clock.h"
#include "base/place.h"
#include "base/status.h"
#include "base/text.h"
#include <stdlib.h>
#include <time.h>

const char *
clock_class_name (enum clock_class c)
{
  static const char *const names[CLOCK_CLASSES] = {
      [CLOCK_PLAIN] = "plain",     [CLOCK_EXTRA] = "extra",
      [CLOCK_HEADS] = "heads",     [CLOCK_WAIT] = "wait",
      [CLOCK_EXPOSED] = "exposed", [CLOCK_DATA] = "data",
      [CLOCK_EVAL] = "eval",       [CLOCK_AGREE] = "agree",
      [CLOCK_OTHER] = "other",
  };
  CHECK ((int)c >= 0 && c < CLOCK_CLASSES, "no clock class %d", (int)c);
  return names[c];
}

static double
clock_read (clockid_t id)
{
  struct timespec t;
  clock_gettime (id, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double
clock_now_s (void)
{
  return clock_read (CLOCK_MONOTONIC);
}

double
clock_wall_s (void)
{
  return clock_read (CLOCK_REALTIME);
}

void
clock_pace (void)
{
  static int64_t pace_ms = -1;
  if (pace_ms < 0) {
    const char *word = getenv ("INTERLOCK_PACE");
    if (!word || !text_to_long (word, &pace_ms) || pace_ms < 0)
      pace_ms = 0;
  }
  const int64_t least_ms = 20; /* short naps, so that progress is seen */
  for (int64_t left = pace_ms; left > 0; left -= least_ms) {
    int64_t ms = left < least_ms ? left : least_ms;
    if (nanosleep (&(struct timespec){.tv_nsec = ms * 1000000}, NULL) != 0)
      return;
    place_move ();
  }
}

void
clock_start (struct clock_account *a, enum clock_class c)
{
  *a = (struct clock_account){.running = c};
  a->start_s = a->last_s = clock_now_s ();
}

double
clock_switch (struct clock_account *a, enum clock_class c)
{
  double now = clock_now_s ();
  a->spent_s[a->running] += now - a->last_s;
  a->last_s = now;
  a->running = c;
  return now;
}

void
clock_move (struct clock_account *a, enum clock_class from, enum clock_class to,
            double s)
{
  a->spent_s[from] -= s;
  a->spent_s[to] += s;
}

/* The hook belongs to a thread: only the one that talks to MPI sets it.  A
 * pulse of another thread counts as progress and does nothing else. */
static _Thread_local void (*hook_function) (void *context);
static _Thread_local void *hook_context;

void
pulse_hook (void (*hook) (void *context), void *context)
{
  hook_function = hook;
  hook_context = context;
}

void
pulse (void)
{
  place_move ();
  if (hook_function != NULL)
    hook_function (hook_context);
}

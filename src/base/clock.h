/* base/clock.h -- time, and where it went.
 *
 * An account is a stopwatch with one running class at a time: switching costs
 * one clock read.  The sum over the classes is the wall time since start.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

enum clock_class {
  CLOCK_PLAIN,   /* arithmetic that plain backpropagation needs */
  CLOCK_EXTRA,   /* extra gradient passes (relays) */
  CLOCK_HEADS,   /* heads that are not the model's output */
  CLOCK_WAIT,    /* waiting for a neighbour that has not sent yet */
  CLOCK_EXPOSED, /* communication not hidden behind arithmetic */
  CLOCK_DATA,    /* waiting for the data set */
  CLOCK_EVAL,    /* evaluation */
  CLOCK_AGREE,   /* comparing gradients, waiting in between included */
  CLOCK_OTHER,   /* the rest: logging, checkpoints, start */
  CLOCK_CLASSES
};
/* One word, as in summary.csv: plain, extra, heads, wait, exposed, data, eval,
 * agree, other. */
const char *
clock_class_name (enum clock_class c);

/* Seconds of a monotonic clock; wall-clock time as seconds since 1970. */
double
clock_now_s (void);
double
clock_wall_s (void);

/* For tests that need slow steps on busy machines: sleep for the milliseconds
 * that INTERLOCK_PACE says, nothing when it is not set.  Local.  A signal ends
 * the sleep. */
void
clock_pace (void);

struct clock_account {
  double spent_s[CLOCK_CLASSES];
  double start_s, last_s;
  enum clock_class running;
};
void
clock_start (struct clock_account *a, enum clock_class c);
/* Book the time since the last switch on the running class; c runs now.
 * Returns the time of the switch. */
double
clock_switch (struct clock_account *a, enum clock_class c);
/* Move s seconds from one class to another (waiting that turned out to be
 * transfer). */
void
clock_move (struct clock_account *a, enum clock_class from, enum clock_class to,
            double s);

/* MPI moves messages only while it is called.  So arithmetic calls pulse ()
 * between primitives, and the hook (wire_poll) lets MPI work.  NULL: no hook.
 * pulse () is cheap and counts as a move (base/status.h). */
void
pulse_hook (void (*hook) (void *context), void *context);
void
pulse (void);

#endif

/* base/busy.h -- who uses the cores: this program, or others beside it.
 *
 * Local.  Two short files of the system are read; where they do not tell,
 * nothing is known, which is no error.
 */
#ifndef BASE_BUSY_H
#define BASE_BUSY_H

#include <stdbool.h>

/* Seconds since some moment in the past, of all cores that this process may run
 * on. */
struct busy {
  bool known;
  double all_s;    /* that have passed, on each of them */
  double used_s;   /* of these not idle, whoever worked; stolen ones, too */
  double stolen_s; /* that the machine below a virtual one kept */
  double own_s;    /* processor time of this process, all its threads */
  double where;    /* the same number: the same cores of the same node */
};
void
busy_now (struct busy *out);
/* The part of it that a text like /proc/stat tells, in ticks of which tick_s
 * are a second; mine[n]: whether a core counts. */
void
busy_read (const char *stat, double ticks, int n, const unsigned char *mine,
           struct busy *out);

/* Between two moments: of n processes, the share of their cores that others
 * used meanwhile, 0..1, and that was stolen; NAN where nobody knows.  Processes
 * on the same cores count together. */
struct busy_share {
  double others, stolen;
};
struct busy_share
busy_others (int n, const struct busy *begin, const struct busy *end);

#endif

/* tests/tap.h -- the Test Anything Protocol for C, header only.
 *
 *     int main (void)
 *     {
 *       tap_ok (1 + 1 == 2, "one and one");
 *       tap_near (sqrt (2), 1.41421356, 1e-8, "root of %d", 2);
 *       return tap_done ();
 *     }
 *
 * A program on several ranks says `#define TAP_MPI` before this header. Between
 * MPI_Init and MPI_Finalize every tap_ok, tap_near, tap_ulp and tap_skip is
 * then collective on the world, in the same order on all ranks: a failure on
 * any rank fails the test, ranks that failed say so on stderr, and rank 0 alone
 * prints the stream.  tap_alone (cond, ...) is the same for a single rank: it
 * is not collective, and only a failure is heard of, at the next collective
 * call.
 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#ifdef TAP_MPI
#include <mpi.h>
#endif

#define TAP_FN static inline __attribute__ ((unused))

struct tap {
  int planned; /* -1: the plan comes at the end */
  int n;       /* tests so far */
  int n_failed;
  int rank;
  bool pending; /* tap_alone failed and nobody else knows yet */
  bool dead;    /* tap_bail was called */
};
static struct tap tap_state = {.planned = -1};

/* All ranks' verdicts in one. */
TAP_FN bool
tap_mpi (bool mine)
{
#ifdef TAP_MPI
  int on = 0, off = 0;
  MPI_Initialized (&on);
  MPI_Finalized (&off);
  if (on && !off) {
    MPI_Comm_rank (MPI_COMM_WORLD, &tap_state.rank);
    int all = 0, one = mine;
    MPI_Allreduce (&one, &all, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    return all != 0;
  }
#endif
  return mine;
}

/* Optional: the number of tests, said before the first. */
TAP_FN void
tap_plan (int n)
{
  (void)tap_mpi (true); /* learns the rank */
  tap_state.planned = n;
  if (tap_state.rank == 0)
    printf ("1..%d\n", n);
  fflush (stdout);
}

/* A comment, by rank 0 alone. */
__attribute__ ((format (printf, 1, 2))) TAP_FN void
tap_note (const char *fmt, ...)
{
  va_list args;
  if (tap_state.rank != 0)
    return;
  va_start (args, fmt);
  fputs ("# ", stdout);
  vprintf (fmt, args);
  fputc ('\n', stdout);
  va_end (args);
  fflush (stdout);
}

TAP_FN bool
tap_verdict (bool mine, const char *name, const char *detail)
{
  bool passed = tap_mpi (mine && !tap_state.pending);
  tap_state.pending = false;
  tap_state.n++;
  if (!mine)
    fprintf (stderr, "# rank %d: failed: %s%s%s\n", tap_state.rank, name,
             detail[0] != '\0' ? ": " : "", detail);
  if (!passed)
    tap_state.n_failed++;
  if (tap_state.rank == 0) {
    printf ("%sok %d - %s\n", passed ? "" : "not ", tap_state.n, name);
    fflush (stdout);
  }
  return passed;
}

#define TAP_NAME(name, fmt)                        \
  char name[512];                                  \
  do {                                             \
    va_list tap_args_;                             \
    va_start (tap_args_, fmt);                     \
    vsnprintf (name, sizeof name, fmt, tap_args_); \
    va_end (tap_args_);                            \
    for (char *p_ = name; *p_ != '\0'; p_++)       \
      if (*p_ == '#' || *p_ == '\n')               \
        *p_ = ' ';                                 \
  } while (0)

__attribute__ ((format (printf, 2, 3))) TAP_FN bool
tap_ok (bool cond, const char *fmt, ...)
{
  TAP_NAME (name, fmt);
  return tap_verdict (cond, name, "");
}

/* Says nothing unless cond is false; then the next collective test fails on all
 * ranks. */
__attribute__ ((format (printf, 2, 3))) TAP_FN bool
tap_alone (bool cond, const char *fmt, ...)
{
  TAP_NAME (name, fmt);
  if (!cond) {
    fprintf (stderr, "# rank %d: failed: %s\n", tap_state.rank, name);
    tap_state.pending = true;
  }
  return cond;
}

/* |got - want| <= tol; a NaN is never near. */
__attribute__ ((format (printf, 4, 5))) TAP_FN bool
tap_near (double got, double want, double tol, const char *fmt, ...)
{
  TAP_NAME (name, fmt);
  char detail[128];
  snprintf (detail, sizeof detail, "got %.9g, want %.9g, limit %.3g", got, want,
            tol);
  return tap_verdict (fabs (got - want) <= tol, name, detail);
}

/* The place of a float among all floats, so that neighbours differ by one. */
TAP_FN int64_t
tap_ordinal (float x)
{
  int32_t bits;
  memcpy (&bits, &x, sizeof bits);
  return bits >= 0 ? bits : (int64_t)INT32_MIN - bits;
}

/* got and want are at most tol floats apart. */
__attribute__ ((format (printf, 4, 5))) TAP_FN bool
tap_ulp (float got, float want, int64_t tol, const char *fmt, ...)
{
  TAP_NAME (name, fmt);
  char detail[128];
  int64_t apart = tap_ordinal (got) - tap_ordinal (want);
  bool good =
      !isnan (got) && !isnan (want) && (apart < 0 ? -apart : apart) <= tol;
  snprintf (detail, sizeof detail, "got %.9g, want %.9g: %lld ulp", (double)got,
            (double)want, (long long)apart);
  return tap_verdict (good, name, detail);
}

TAP_FN void
tap_skip (const char *why)
{
  (void)tap_mpi (true);
  tap_state.n++;
  if (tap_state.rank == 0)
    printf ("ok %d # SKIP %s\n", tap_state.n, why);
  fflush (stdout);
}

/* Nothing after this makes sense. */
TAP_FN void
tap_bail (const char *why)
{
  tap_state.dead = true;
  if (tap_state.rank == 0)
    printf ("Bail out! %s\n", why);
  fflush (stdout);
}

/* Prints the plan where tap_plan did not; the value main returns. */
TAP_FN int
tap_done (void)
{
  if (tap_state.pending) /* too late to ask the others */
    tap_state.n_failed++;
  if (tap_state.planned < 0 && tap_state.rank == 0)
    printf ("1..%d\n", tap_state.n);
  fflush (stdout);
  bool whole = tap_state.planned < 0 || tap_state.planned == tap_state.n;
  return tap_state.n_failed == 0 && whole && !tap_state.dead ? 0 : 1;
}

#endif

/* tests/bench/rounds.h -- what the benchmarks of training steps share: a step,
 * medians over rounds, and how a ratio is printed.
 *
 * A round times the primitives, and steps spread among them, so that a machine
 * whose speed drifts is slow for both.  Ratios are made within a round.
 */
#ifndef TESTS_BENCH_ROUNDS_H
#define TESTS_BENCH_ROUNDS_H

#include "base/clock.h"
#include "base/random.h"
#include "config/config.h"
#include "run/session.h"
#include "train/train.h"
#include <stdlib.h>
#include <string.h>

#define BENCH_FN static inline __attribute__ ((unused))
#define ROUNDS 31
#define SETS_MOST 32
#define CALLS 5       /* of a primitive in a round, at least */
#define CALLS_MOST 41 /* ... and at most */
#define CALLS_S 0.02  /* ... or until this much is spent */
#define STAGGER                                                 \
  4160 /* bytes between tensors: no two at the same offset in a \
          page, as 2^n apart they would share cache sets */

BENCH_FN bool
bench_yes_or_no (const char *word, bool *out)
{
  *out = strcmp (word, "yes") == 0;
  return *out || strcmp (word, "no") == 0;
}

BENCH_FN int
bench_by_size (const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* Median; sorts v. */
BENCH_FN double
bench_median (size_t n, double *v)
{
  qsort (v, n, sizeof *v, bench_by_size);
  return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Median of at most ROUNDS numbers, which stay as they are. */
BENCH_FN double
bench_middle (const double *v, size_t n)
{
  double copy[ROUNDS];
  memcpy (copy, v, n * sizeof *v);
  return bench_median (n, copy);
}

/* Lower quartile, likewise.  Others who use the machine add time and never take
 * any away. */
BENCH_FN double
bench_quiet (size_t n, const double *v)
{
  double copy[ROUNDS];
  memcpy (copy, v, n * sizeof *v);
  bench_median (n, copy);
  return copy[n / 4];
}

/* Numbers that vary, both signs, about 1 in size. */
BENCH_FN void
bench_fill (size_t n, uint64_t seed, float *x)
{
  struct random_key key = {.seed = seed, .purpose = RANDOM_TEST};
  size_t own = n < 65536 ? n : 65536;
  for (size_t i = 0; i < own; i++)
    x[i] = (float)random_normal (&key, i);
  for (size_t i = own; i < n; i++)
    x[i] = x[i - own];
}

/* What `train` does for a step when nobody evaluates or saves. */
BENCH_FN enum status
bench_step (struct session *s, int64_t step)
{
  return train_lone_step (s, step, NULL);
}

/* Whether train.precision may be this word. */
BENCH_FN bool
bench_has_precision (const char *word)
{
  struct config c;
  const struct key *k = KEY_OF (precision);
  config_plain (&c);
  return !key_is_later (k, word) && key_set (k, word, &c);
}

BENCH_FN enum status
bench_set_precision (const char *word, struct config *c)
{
  if (!bench_has_precision (word) || !key_set (KEY_OF (precision), word, c))
    return fail (E_UNSUPPORTED, "there is no %s = %s", KEY_NAME (precision),
                 word);
  return OK;
}

BENCH_FN bool
bench_precision_word (const char *word, const char **out)
{
  *out = word;
  return strcmp (word, "f32") == 0 || strcmp (word, "bf16") == 0 ||
         strcmp (word, "both") == 0;
}

/* What a step's useful operations are of the speed of a large product. */
BENCH_FN void
bench_show_peak (double flops, double step_s, double peak)
{
  put ("  %-34s %9.1f %%    %.1f of %.1f GFLOP/s, a large f32 product here\n",
       "% of product peak", 100 * flops / step_s / peak, flops / step_s * 1e-9,
       peak * 1e-9);
}

/* The same network in bf16, in a session of its own: whole steps alone, after
 * those of f32.  Nothing where there is none. */
BENCH_FN enum status
bench_narrow (struct wire *alone, struct config *c,
              const struct session_spec *spec, int rounds, double seconds,
              double flops, double f32_s, double peak)
{
  struct session s;
  double took[64], round_s[ROUNDS];
  int64_t step = 0;
  if (!bench_has_precision ("bf16"))
    return OK;
  TRY (bench_set_precision ("bf16", c));
  TRY (session_open (alone, c, spec, &s));
  enum status e = session_begin (&s, 0, s.design->steps);
  for (int i = -1; e == OK && i < rounds; i++) { /* the first warms up */
    const double end = clock_now_s () + seconds;
    int n = 0;
    for (; e == OK && n < 64 && (n < 3 || clock_now_s () < end); n++) {
      double start = clock_now_s ();
      e = bench_step (&s, step++);
      took[n] = clock_now_s () - start;
    }
    if (i >= 0)
      round_s[i] = bench_median ((size_t)n, took);
  }
  if (e == OK) {
    const double step_s = bench_middle (round_s, (size_t)rounds);
    put ("\n  %-34s %9.2f ms   f32 : bf16 = %.3f\n",
         "whole training step in bf16", step_s * 1e3, f32_s / step_s);
    bench_show_peak (flops, step_s, peak);
    e = session_end (&s);
  }
  session_close (&s);
  return e;
}

/* A sum of primitives beside the step: medians, and the ratio of each round. */
BENCH_FN void
bench_show_ratio (const char *name, const double *step, const double *prim,
                  size_t n)
{
  double ratio[ROUNDS] = {0};
  for (size_t i = 0; i < n; i++)
    ratio[i] = step[i] / prim[i];
  put ("  %-34s %9.2f ms   step : this = %.3f   (rounds", name,
       bench_middle (prim, n) * 1e3, bench_middle (ratio, n));
  for (size_t i = 0; i < n; i++)
    put (" %.3f", ratio[i]);
  put (")\n");
}

#endif

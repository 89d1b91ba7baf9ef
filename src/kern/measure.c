/* kern/measure.c -- timing the algorithms of a convolution.
 *
 * Fills the table of tune.c.  Every candidate is made, sealed, timed and thrown
 * away again, scratchpad included.
 */
#include "base/clock.h"
#include "kern/tune_impl.h"

#include <stdio.h>
#include <string.h>

#define CANDIDATE_S 0.008 /* time given to a candidate */
#define REPEATS 3         /* at least, the first to warm up */
#define SLOW_S 0.02       /* ... unless they take longer than this */
#define GAIN 0.97         /* a rival must be this much faster */

struct bench { /* tensors of a shape, filled with harmless numbers */
  float *src, *dst, *bias;
  size_t n_src, n_dst, n_bias;
};

static void
bench_clear (struct bench *b)
{
  mem_free (&b->src);
  mem_free (&b->dst);
  mem_free (&b->bias);
}

/* A pattern of 13 numbers, doubled until x is full. */
static void
fill (size_t n, float *x)
{
  size_t have = n < 13 ? n : 13;
  for (size_t i = 0; i < have; i++)
    x[i] = (float)i * 0.1f - 0.6f;
  while (have < n) {
    size_t more = have < n - have ? have : n - have;
    memcpy (x + have, x, more * sizeof *x);
    have += more;
  }
}

static enum status
bench_make (struct kern *k, const struct kern_conv_shape *s, struct bench *b)
{
  struct kern_dims in = {s->n, s->c, s->h, s->w};
  struct kern_dims out = {s->n, s->out_c,
                          kern_conv_out (s->h, s->kernel, s->stride, s->pad),
                          kern_conv_out (s->w, s->kernel, s->stride, s->pad)};
  b->n_src = kern_bytes (k, in, s->src) / sizeof (float);
  b->n_dst = kern_bytes (k, out, s->dst) / sizeof (float);
  b->n_bias = (size_t)s->out_c;
  TRY (MEM_NEW (b->n_src, &b->src, "tuning"));
  TRY (MEM_NEW (b->n_dst, &b->dst, "tuning"));
  TRY (MEM_NEW (b->n_bias, &b->bias, "tuning"));
  fill (b->n_src, b->src);
  fill (b->n_dst, b->dst);
  return OK;
}

static enum status
run_once (struct kern_conv *c, bool bias, enum kern_direction d,
          const struct bench *b, float *master)
{
  float *with = bias ? b->bias : NULL;
  if (d == KERN_FORWARD)
    return kern_conv_forward (c, b->src, master, with, b->dst);
  if (d == KERN_BACK_DATA)
    return kern_conv_back_data (c, b->dst, master, b->src);
  return kern_conv_back_weights (c, b->src, b->dst, 1, false, master, with);
}

/* What a direction wrote must not feed the next measurement: numbers would
 * grow from one to the next. */
static void
restore (enum kern_direction d, struct bench *b)
{
  if (d == KERN_FORWARD)
    fill (b->n_dst, b->dst);
  else if (d == KERN_BACK_DATA)
    fill (b->n_src, b->src);
}

/* Best time of c's direction d.  A slow one is believed at once: what the first
 * run costs beyond the others is small against it. */
static enum status
best_time (struct kern_conv *c, bool bias, enum kern_direction d,
           const struct bench *b, float *master, double *out)
{
  double best = 1e30, spent = 0;
  for (int i = 0; i < REPEATS || spent < CANDIDATE_S; i++) {
    double start = clock_now_s ();
    TRY (run_once (c, bias, d, b, master));
    double took = clock_now_s () - start;
    best = took < best ? took : best;
    spent += took > 1e-7 ? took : 1e-7;
    if (spent > SLOW_S)
      break;
  }
  *out = best;
  return OK;
}

/* AUTO is a name for one of the others, unless it is not. */
static bool
is_alias (char impl[KERN_ALGOS][64], enum kern_algo a)
{
  return a == KERN_AUTO && (strcmp (impl[KERN_AUTO], impl[KERN_DIRECT]) == 0 ||
                            strcmp (impl[KERN_AUTO], impl[KERN_WINOGRAD]) == 0);
}

/* Make, seal, time and throw away one candidate; an alias is not timed. */
static enum status
try_candidate (struct kern *k, const struct kern_conv_shape *shape,
               enum kern_direction d, enum kern_algo a, struct bench *b,
               double *seconds, char impl[KERN_ALGOS][64])
{
  struct kern_conv *c = NULL;
  float *master = NULL;
  enum kern_algo algo[3] = {KERN_DIRECT, KERN_DIRECT, KERN_DIRECT};
  algo[d] = a;
  TRY (kern_conv_create_as (k, shape, algo, 1u << d, &c));
  enum status s = OK;
  snprintf (impl[a], 64, "%s", kern_conv_impl (c, d));
  *seconds = 1e30;
  if (is_alias (impl, a))
    goto done;
  size_t n = kern_conv_weight_bytes (c) / sizeof (float);
  TRY_GOTO (MEM_NEW (n, &master, "tuning"), done);
  fill (n, master);
  TRY_GOTO (kern_seal (k), done);
  TRY_GOTO (kern_conv_refresh (c, master), done);
  TRY_GOTO (best_time (c, shape->bias, d, b, master, seconds), done);
  restore (d, b);
done:
  mem_free (&master);
  kern_conv_destroy (&c);
  return s;
}

/* The fastest algorithm of a direction; the plain one unless a rival is clearly
 * ahead.  only != KERN_NO_ALGO: no choice, just its time. */
static enum status
choose (struct kern *k, const struct kern_conv_shape *s, enum kern_direction d,
        int only, struct bench *b, int *algo, double *seconds)
{
  char impl[KERN_ALGOS][64] = {{0}};
  double best = 0, direct = 0;
  int chosen = KERN_NO_ALGO;
  for (int a = KERN_DIRECT; a < KERN_ALGOS; a++) {
    double t = 0;
    if (only != KERN_NO_ALGO && a != only)
      continue;
    enum status st = try_candidate (k, s, d, (enum kern_algo)a, b, &t, impl);
    if (st == E_UNSUPPORTED && a != KERN_DIRECT && only == KERN_NO_ALGO) {
      fail_clear ();
      continue;
    }
    TRY (st);
    if (a == KERN_DIRECT)
      direct = t;
    if (chosen == KERN_NO_ALGO || (t < best && t < GAIN * direct)) {
      chosen = a;
      best = t;
    }
  }
  *algo = chosen;
  *seconds = best;
  return OK;
}

static enum status
measure_entry (struct kern *k, struct kern_tuning_entry *e, bool back_data,
               bool times)
{
  struct bench b = {0};
  enum status s = bench_make (k, &e->s, &b);
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS && s == OK; d++) {
    if (d == KERN_BACK_DATA && !back_data)
      continue;
    if (e->algo[d] == KERN_NO_ALGO || (times && e->seconds[d] == 0))
      s = choose (k, &e->s, (enum kern_direction)d, e->algo[d], &b, &e->algo[d],
                  &e->seconds[d]);
  }
  bench_clear (&b);
  return s;
}

static bool
complete (const struct kern_tuning_entry *e, bool back_data, bool times)
{
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++)
    if ((d != KERN_BACK_DATA || back_data) &&
        (e->algo[d] == KERN_NO_ALGO || (times && e->seconds[d] == 0)))
      return false;
  return true;
}

enum status
kern_tuning_measure (struct kern *k, const struct kern_conv_shape *s,
                     bool back_data, struct kern_tuning *t, double *best_s)
{
  bool times = best_s != NULL;
  struct kern_tuning_entry *old = kern_tuning_find (t, s);
  struct kern_tuning_entry e = {
      .s = *s, .algo = {KERN_NO_ALGO, KERN_NO_ALGO, KERN_NO_ALGO}};
  if (old != NULL)
    e = *old;
  if (!complete (&e, back_data, times)) {
    struct kern_wishes wishes = kern_wishes_save (k);
    enum status st = measure_entry (k, &e, back_data, times);
    enum status after = kern_wishes_restore (k, wishes);
    TRY (st);
    TRY (after);
    kern_machine (k, t->machine);
    if (old != NULL)
      *old = e;
    else
      TRY (kern_tuning_add (t, &e));
  }
  if (times) {
    *best_s = e.seconds[KERN_FORWARD] + e.seconds[KERN_BACK_WEIGHTS];
    if (back_data)
      *best_s += e.seconds[KERN_BACK_DATA];
  }
  return OK;
}

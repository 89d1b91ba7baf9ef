/* kern/measure.c -- timing the algorithms of a convolution.
 *
 * Fills the table of tune.c.  The algorithms of one direction are made side by
 * side and run in turn, so that what the machine does meanwhile hits all alike,
 * until one is clearly ahead or a few rounds are over.  A convolution that runs
 * long is tried on a part of its batch first, and on all of it only where that
 * part leaves a doubt.  Memory and scratchpad are shared by all measurements of
 * a bench.
 */
#include "base/clock.h"
#include "base/halt.h"
#include "kern/prove_impl.h"
#include "kern/tune_impl.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS 7    /* at most, behind one to warm up */
#define FEW 4       /* enough when the next is a little behind */
#define SLOW_S 0.02 /* a run this long needs no warming up */
#define GAIN 0.97   /* a rival must be this much faster */
#define CLEAR 1.25  /* this much behind twice: decided */
#define LITTLE 1.08
#define PART_CLEAR 1.35 /* ... on a part of the batch */
#define PART_FLOPS 2e9  /* of a run: above, a part of the batch is tried */
#define PART_SAMPLES 4  /* of a part, per thread, at least */

struct kern_bench {
  struct kern *k;
  struct kern_wishes wishes;
  /* Two tensors that are read and one that is written: numbers do not grow
   * from one measurement to the next. */
  struct arena a, b, out;
};

enum status
kern_bench_open (struct kern *k, struct kern_bench **out)
{
  struct kern_bench *b = NULL;
  TRY (MEM_NEW (1, &b, "tuning"));
  b->k = k;
  b->wishes = kern_wishes_save (k);
  *out = b;
  return OK;
}

enum status
kern_bench_close (struct kern_bench **bp)
{
  struct kern_bench *b = *bp;
  if (b == NULL)
    return OK;
  enum status s = kern_wishes_restore (b->k, b->wishes);
  arena_close (&b->a);
  arena_close (&b->b);
  arena_close (&b->out);
  mem_free (bp);
  return s;
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

/* An arena of at least that many bytes; input: filled with harmless numbers. */
static enum status
room_for (size_t bytes, bool input, struct arena *a)
{
  if (a->base != NULL && a->size >= bytes)
    return OK;
  arena_close (a);
  TRY (arena_open (bytes, "tuning", a));
  if (input)
    fill (bytes / sizeof (float), (float *)(void *)a->base);
  return OK;
}

struct rival {
  struct kern_conv *c; /* NULL: not in the race */
  float *master;
  char impl[64];
  double best;
};

struct race { /* one shape, one direction */
  struct kern_bench *b;
  const struct kern_conv_shape *s;
  enum kern_direction d;
  struct rival rival[KERN_ALGOS];
  float *bias;
};

static void
race_clear (struct race *r)
{
  for (int a = 0; a < KERN_ALGOS; a++) {
    kern_conv_destroy (&r->rival[a].c);
    mem_free (&r->rival[a].master);
  }
  mem_free (&r->bias);
}

/* Memory for what the direction reads and writes.  The bench keeps it, so that
 * most races find it there. */
static enum status
race_room (struct race *r)
{
  const struct kern_conv_shape *s = r->s;
  struct kern_dims in = {s->n, s->c, s->h, s->w};
  struct kern_dims out = {s->n, s->out_c,
                          kern_conv_out (s->h, s->kernel, s->stride, s->pad),
                          kern_conv_out (s->w, s->kernel, s->stride, s->pad)};
  size_t src = kern_bytes (r->b->k, in, s->src);
  size_t dst = kern_bytes (r->b->k, out, s->dst);
  TRY (room_for (r->d == KERN_BACK_DATA ? dst : src, true, &r->b->a));
  if (r->d == KERN_BACK_WEIGHTS)
    return room_for (dst, true, &r->b->b);
  return room_for (r->d == KERN_FORWARD ? dst : src, false, &r->b->out);
}

/* Whether AUTO, by which the library chooses, has led to an implementation that
 * is in the race already: then it need not run. */
static bool
is_alias (const struct race *r, int a)
{
  for (int other = 0; other < a; other++)
    if (a == KERN_AUTO && r->rival[other].c != NULL &&
        strcmp (r->rival[a].impl, r->rival[other].impl) == 0)
      return true;
  return false;
}

/* E_UNSUPPORTED: the library does not offer the algorithm.  One that is wrong
 * does not enter. */
static enum status
enter (struct race *r, int a)
{
  struct rival *v = &r->rival[a];
  unsigned wrong = 0;
  enum kern_algo algo[3] = {KERN_DIRECT, KERN_DIRECT, KERN_DIRECT};
  algo[r->d] = (enum kern_algo)a;
  v->best = 1e30;
  TRY (kern_conv_create_as (r->b->k, r->s, algo, 1u << r->d, &v->c));
  snprintf (v->impl, sizeof v->impl, "%s", kern_conv_impl (v->c, r->d));
  if (!is_alias (r, a))
    TRY (kern_conv_prove (r->b->k, v->c, algo, 1u << r->d, &wrong));
  if (is_alias (r, a) || wrong != 0) {
    kern_conv_destroy (&v->c);
    return OK;
  }
  size_t n = kern_conv_weight_bytes (v->c) / sizeof (float);
  TRY (MEM_NEW (n, &v->master, "tuning"));
  fill (n, v->master);
  return OK;
}

static bool
is_empty (const struct race *r)
{
  for (int a = KERN_DIRECT; a < KERN_ALGOS; a++)
    if (r->rival[a].c != NULL)
      return false;
  return true;
}

/* All that the library offers, or `only`. */
static enum status
enter_all (struct race *r, int only)
{
  for (int a = KERN_DIRECT; a < KERN_ALGOS; a++) {
    if (only == KERN_NO_ALGO ? a == KERN_OWN : a != only)
      continue;
    enum status s = enter (r, a);
    if (s == E_UNSUPPORTED && a != KERN_DIRECT && only == KERN_NO_ALGO) {
      fail_clear ();
      continue;
    }
    TRY (s);
  }
  return OK;
}

/* Those that are right, at the start; our own where there is no other. */
static enum status
race_make (struct race *r, int only)
{
  TRY (race_room (r));
  if (r->s->bias)
    TRY (MEM_NEW ((size_t)r->s->out_c, &r->bias, "tuning"));
  TRY (enter_all (r, only));
  if (is_empty (r) && only != KERN_NO_ALGO)
    TRY (enter_all (r, KERN_NO_ALGO));
  if (is_empty (r))
    TRY (enter (r, KERN_OWN));
  TRY (kern_seal (r->b->k));
  for (int a = KERN_DIRECT; a < KERN_ALGOS; a++)
    if (r->rival[a].c != NULL)
      TRY (kern_conv_refresh (r->rival[a].c, r->rival[a].master));
  return OK;
}

static enum status
run_once (const struct race *r, struct rival *v)
{
  float *a = (float *)(void *)r->b->a.base, *b = (float *)(void *)r->b->b.base;
  float *out = (float *)(void *)r->b->out.base;
  if (r->d == KERN_FORWARD)
    return kern_conv_forward (v->c, a, v->master, r->bias, out);
  if (r->d == KERN_BACK_DATA)
    return kern_conv_back_data (v->c, a, v->master, out);
  return kern_conv_back_weights (v->c, a, b, 1, false, v->master, r->bias);
}

/* The fastest; the plain one unless another is clearly ahead.  *behind: by what
 * factor the next one is slower. */
static int
leader (const struct race *r, double *behind)
{
  const struct rival *v = r->rival;
  int best = KERN_NO_ALGO;
  for (int a = KERN_DIRECT; a < KERN_ALGOS; a++)
    if (v[a].c != NULL &&
        (best == KERN_NO_ALGO ||
         v[a].best < v[best].best * (best == KERN_DIRECT ? GAIN : 1)))
      best = a;
  *behind = 1e30;
  for (int a = KERN_DIRECT; a < KERN_ALGOS; a++)
    if (a != best && v[a].c != NULL && v[a].best < *behind * v[best].best)
      *behind = v[a].best / v[best].best;
  return best;
}

/* Whether the leader is so far ahead that more rounds are not needed.  One
 * round is never enough, since the machine may have been busy during one run of
 * it. */
static bool
is_decided (int rounds, double behind)
{
  return (rounds >= 2 && behind > CLEAR) || (rounds >= FEW && behind > LITTLE);
}

static enum status
race_run (struct race *r, int *winner, double *behind)
{
  for (int round = 0; round <= ROUNDS; round++) {
    for (int a = KERN_DIRECT; a < KERN_ALGOS; a++) {
      struct rival *v = &r->rival[a];
      if (v->c == NULL)
        continue;
      TRY (halt_check ("choosing kernels"));
      double start = clock_now_s ();
      TRY (run_once (r, v));
      double took = clock_now_s () - start;
      if (round > 0 || took > SLOW_S)
        v->best = took < v->best ? took : v->best;
      else
        v->best = took; /* replaced in the next round */
    }
    *winner = leader (r, behind);
    bool slow = r->rival[*winner].best > SLOW_S;
    if (is_decided (slow ? round + 2 : round, *behind))
      break;
    for (int a = KERN_DIRECT; a < KERN_ALGOS && round == 0 && !slow; a++)
      r->rival[a].best = 1e30;
  }
  return OK;
}

/* Race on s; *algo KERN_NO_ALGO: a choice, else just its time.  *same: the
 * winner is the implementation `impl` says, or there is none ("": told). */
static enum status
race (struct kern_bench *b, const struct kern_conv_shape *s,
      enum kern_direction d, int *algo, double *seconds, double *behind,
      char impl[64])
{
  struct race r = {.b = b, .s = s, .d = d};
  int winner = *algo;
  enum status st = race_make (&r, *algo);
  if (st == OK)
    st = race_run (&r, &winner, behind);
  if (st == OK) {
    *algo = winner;
    *seconds = r.rival[winner].best;
    snprintf (impl, 64, "%s", r.rival[winner].impl);
  }
  race_clear (&r);
  return st;
}

/* What part of the batch is long enough to tell. */
static int64_t
part_of_batch (const struct kern *k, const struct kern_conv_shape *s)
{
  int64_t least = PART_SAMPLES * (int64_t)k->threads;
  double flops = kern_conv_flops (s);
  int64_t n = s->n;
  for (; flops > PART_FLOPS && n % 2 == 0 && n / 2 >= least; n /= 2)
    flops /= 2;
  return n;
}

/* Whether the library has the same implementation for the whole batch. */
static enum status
holds (struct kern_bench *b, const struct kern_conv_shape *s,
       enum kern_direction d, int algo, const char *impl, bool *out)
{
  struct kern_conv *c = NULL;
  enum kern_algo all[3] = {KERN_DIRECT, KERN_DIRECT, KERN_DIRECT};
  size_t scratch = b->k->scratch_bytes, side = b->k->side_bytes;
  all[d] = (enum kern_algo)algo;
  enum status st = kern_conv_create_as (b->k, s, all, 1u << d, &c);
  *out = st == OK && strcmp (kern_conv_impl (c, d), impl) == 0;
  kern_conv_destroy (&c);
  b->k->scratch_bytes = scratch; /* nothing of the whole is run */
  b->k->side_bytes = side;
  if (st != E_UNSUPPORTED)
    return st;
  fail_clear ();
  return OK;
}

enum status
kern_bench_direction (struct kern_bench *b, const struct kern_conv_shape *s,
                      enum kern_direction d, struct kern_choice *c)
{
  struct kern_conv_shape part = *s;
  char impl[64] = "";
  double seconds = 0, behind = 0;
  int algo = c->algo;
  part.n = part_of_batch (b->k, s);
  if (part.n < s->n) {
    bool same = false;
    enum status st = race (b, &part, d, &algo, &seconds, &behind, impl);
    if (st == OK && behind > PART_CLEAR)
      TRY (holds (b, s, d, algo, impl, &same));
    else if (st == E_UNSUPPORTED)
      fail_clear ();
    else
      TRY (st);
    if (same) {
      *c = (struct kern_choice){algo, seconds * (double)s->n / (double)part.n};
      return OK;
    }
    algo = c->algo;
  }
  TRY (race (b, s, d, &algo, &seconds, &behind, impl));
  *c = (struct kern_choice){algo, seconds};
  return OK;
}

enum status
kern_tuning_measure (struct kern *k, const struct kern_conv_shape *s,
                     bool back_data, struct kern_tuning *t, double *best_s)
{
  struct kern_bench *b = NULL;
  double sum = 0;
  enum status st = kern_bench_open (k, &b);
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS && st == OK; d++) {
    struct kern_choice c = kern_tuning_get (t, s, (enum kern_direction)d);
    if (d == KERN_BACK_DATA && !back_data)
      continue;
    if (c.algo == KERN_NO_ALGO || (best_s != NULL && c.seconds == 0)) {
      st = kern_bench_direction (b, s, (enum kern_direction)d, &c);
      if (st == OK)
        st = kern_tuning_put (k, t, s, (enum kern_direction)d, c);
    }
    sum += c.seconds;
  }
  enum status after = kern_bench_close (&b);
  TRY (st);
  TRY (after);
  if (best_s != NULL)
    *best_s = sum;
  return OK;
}

/* tests/bench/primitives.h -- the primitives of a network, timed alone.
 *
 * Walks the recipes of all units and keeps each distinct convolution,
 * normalisation, residual sum, pooling and linear layer once, with the number
 * of times that a step runs it.  Each is timed by itself: median of several
 * calls, on tensors of the real size, either out of a few sets in turn, which a
 * large cache holds, or out of as much memory as a step keeps for its backward
 * pass, so that everything comes from memory.  A step is in between: what was
 * written last is near, what forward has kept is far.  The sum over a step is
 * what a library of primitives would need that costs nothing itself: no
 * optimizer, no data, no labels, no weights brought into other layouts.
 *
 * oneDNN has no primitive that adds and rectifies two tensors in one pass; the
 * loops of kern stand in for its binary and eltwise primitives, once each.
 * That is less than two library calls would take, and so the stricter measure.
 *
 * Header only, for tests/bench/step.c.  Relies on the choices of a session.
 */
#ifndef TESTS_BENCH_PRIMITIVES_H
#define TESTS_BENCH_PRIMITIVES_H

#include "base/memory.h"
#include "kern/kern.h"
#include "model/recipe_impl.h"
#include "tests/bench/rounds.h"
#include <stdbool.h>

#define THINGS 128
#define PARTS 3

/* The calls of a stage in which a step runs its primitives. */
enum phase { PHASE_FORWARD, PHASE_HEAD, PHASE_BACK, PHASES };

enum prim_class {
  PRIM_CONV_FORWARD,
  PRIM_CONV_DATA,
  PRIM_CONV_WEIGHTS,
  PRIM_BN_FORWARD,
  PRIM_BN_BACK,
  PRIM_SUM_FORWARD,
  PRIM_SUM_RELU_BACK,
  PRIM_SUM_BACK,
  PRIM_POOL_FORWARD,
  PRIM_POOL_BACK,
  PRIM_LINEAR_FORWARD,
  PRIM_LINEAR_DATA,
  PRIM_LINEAR_WEIGHTS,
  PRIM_LOSS,
  PRIM_CLASSES
};
struct prim_about {
  const char *name;
  enum phase phase;
};
static const struct prim_about prim_about[PRIM_CLASSES] = {
    [PRIM_CONV_FORWARD] = {"convolution, forward", PHASE_FORWARD},
    [PRIM_CONV_DATA] = {"convolution, backward data", PHASE_BACK},
    [PRIM_CONV_WEIGHTS] = {"convolution, backward weights", PHASE_BACK},
    [PRIM_BN_FORWARD] = {"batch normalisation, forward", PHASE_FORWARD},
    [PRIM_BN_BACK] = {"batch normalisation, backward", PHASE_BACK},
    [PRIM_SUM_FORWARD] = {"residual sum and ReLU, forward", PHASE_FORWARD},
    [PRIM_SUM_RELU_BACK] = {"its ReLU, backward", PHASE_BACK},
    [PRIM_SUM_BACK] = {"residual sum, backward", PHASE_BACK},
    [PRIM_POOL_FORWARD] = {"pooling, forward", PHASE_HEAD},
    [PRIM_POOL_BACK] = {"pooling, backward", PHASE_HEAD},
    [PRIM_LINEAR_FORWARD] = {"linear, forward", PHASE_HEAD},
    [PRIM_LINEAR_DATA] = {"linear, backward data", PHASE_HEAD},
    [PRIM_LINEAR_WEIGHTS] = {"linear, backward weights", PHASE_BACK},
    [PRIM_LOSS] = {"softmax and loss", PHASE_HEAD},
};

enum thing_kind {
  THING_CONV,
  THING_BN,
  THING_SUM,
  THING_POOL,
  THING_LINEAR,
  THING_LOSS,
  THING_KINDS
};
/* Classes of the parts of a thing; PRIM_CLASSES: no such part. */
static const enum prim_class thing_part[THING_KINDS][PARTS] = {
    [THING_CONV] = {PRIM_CONV_FORWARD, PRIM_CONV_DATA, PRIM_CONV_WEIGHTS},
    [THING_BN] = {PRIM_BN_FORWARD, PRIM_BN_BACK, PRIM_CLASSES},
    [THING_SUM] = {PRIM_SUM_FORWARD, PRIM_SUM_RELU_BACK, PRIM_SUM_BACK},
    [THING_POOL] = {PRIM_POOL_FORWARD, PRIM_POOL_BACK, PRIM_CLASSES},
    [THING_LINEAR] = {PRIM_LINEAR_FORWARD, PRIM_LINEAR_DATA,
                      PRIM_LINEAR_WEIGHTS},
    [THING_LOSS] = {PRIM_LOSS, PRIM_CLASSES, PRIM_CLASSES},
};

struct thing { /* one distinct step of the recipes */
  enum thing_kind kind;
  struct recipe_step step; /* SUM: in and out of the block */
  int count;
  struct kern_conv *conv;
  struct kern_bn *bn;
  struct kern_pool *pool;
  float *weights, *gradients; /* owned; LINEAR, CONV; BN: 3 + 3 vectors of c */
  size_t vector;              /* BN: floats from one vector to the next */
  void *mask[SETS_MOST];      /* owned; BN, POOL */
  size_t in_floats, out_floats;
  double seconds[2][PARTS]; /* of one call, in the latest round; [1]: cold */
  double round[2][PARTS][ROUNDS]; /* ... and in each round */
};

struct primitives {
  struct kern *k;                   /* owned */
  const struct kern_tuning *tuning; /* borrowed */
  enum kern_layout inner;
  int64_t n;
  int sets;  /* of tensors that calls use in turn ... */
  bool cold; /* ... unless all memory there is, from one end to the other */
  int n_things;
  struct thing thing[THINGS];
  struct arena pool;
  float *in, *cotangent, *out; /* room floats each, in the pool */
  size_t room, at;             /* at: of the next cold call */
  int32_t *labels;             /* owned */
};

/* -- collecting -------------------------------------------------------------
 */

BENCH_FN bool
prim_same_dims (struct kern_dims a, struct kern_dims b)
{
  return a.c == b.c && a.h == b.h && a.w == b.w;
}

BENCH_FN bool
prim_same (const struct thing *t, enum thing_kind kind,
           const struct recipe_step *s)
{
  const struct recipe_step *a = &t->step;
  return t->kind == kind && a->kind == s->kind &&
         prim_same_dims (a->in, s->in) && prim_same_dims (a->out, s->out) &&
         a->kernel == s->kernel && a->stride == s->stride && a->pad == s->pad &&
         a->relu == s->relu && a->plain == s->plain;
}

BENCH_FN void
prim_add (struct primitives *p, enum thing_kind kind,
          const struct recipe_step *s)
{
  for (int i = 0; i < p->n_things; i++)
    if (prim_same (&p->thing[i], kind, s)) {
      p->thing[i].count++;
      return;
    }
  CHECK (p->n_things < THINGS, "more distinct primitives than places");
  p->thing[p->n_things++] =
      (struct thing){.kind = kind, .step = *s, .count = 1};
}

BENCH_FN void
prim_collect (struct primitives *p, const struct network *net)
{
  static const enum thing_kind kind_of[] = {
      [RECIPE_CONV] = THING_CONV,  [RECIPE_BN] = THING_BN,
      [RECIPE_RELU] = THING_KINDS, [RECIPE_MAXPOOL] = THING_POOL,
      [RECIPE_GAP] = THING_POOL,   [RECIPE_LINEAR] = THING_LINEAR,
  };
  struct recipe_step loss = {.kind = RECIPE_LINEAR};
  for (int i = 0; i < network_units (net); i++) {
    const struct recipe *r = network_recipe (net, i);
    for (int j = 0; j < recipe_steps (r); j++) {
      const struct recipe_step *s = recipe_step_at (r, j);
      CHECK (kind_of[s->kind] != THING_KINDS, "a ReLU alone in a unit");
      prim_add (p, kind_of[s->kind], s);
      loss.in = loss.out = s->out;
    }
    struct recipe_step sum = {.in = r->in, .out = r->out};
    if (r->residual)
      prim_add (p, THING_SUM, &sum);
  }
  prim_add (p, THING_LOSS, &loss);
}

/* -- making -----------------------------------------------------------------
 */

BENCH_FN enum status
prim_make_conv (struct primitives *p, struct thing *t)
{
  struct kern_conv_shape shape = recipe_shape (&t->step, p->n, p->inner);
  struct random_key key = {.seed = 1, .purpose = RANDOM_TEST};
  TRY (kern_conv_create (p->k, &shape, p->tuning, &t->conv));
  size_t n = kern_conv_weight_bytes (t->conv) / sizeof (float);
  TRY (MEM_NEW (n, &t->weights, "weights"));
  TRY (MEM_NEW (n, &t->gradients, "gradients"));
  for (size_t i = 0; i < n; i++)
    t->weights[i] = 0.05f * (float)random_normal (&key, i);
  return OK;
}

BENCH_FN enum status
prim_make_bn (struct primitives *p, struct thing *t)
{
  struct kern_dims d = t->step.out;
  d.n = p->n;
  TRY (kern_bn_create (p->k, d, p->inner, t->step.relu, KERN_BN_LIBRARY,
                       &t->bn));
  t->vector = arena_round ((size_t)d.c * sizeof (float)) / sizeof (float);
  TRY (MEM_NEW (6 * t->vector, &t->weights, "vectors"));
  for (size_t i = 0; i < t->vector; i++)
    t->weights[i] = 1;
  for (int i = 0; i < p->sets; i++)
    TRY (mem_new (1, kern_bn_mask_bytes (t->bn), "mask", &t->mask[i]));
  return OK;
}

BENCH_FN enum status
prim_make_pool (struct primitives *p, struct thing *t)
{
  const struct recipe_step *s = &t->step;
  struct kern_dims d = s->in;
  d.n = p->n;
  TRY (kern_pool_create (
      p->k, s->kind == RECIPE_GAP ? KERN_POOL_GLOBAL : KERN_POOL_MAX, d,
      p->inner, s->kernel, s->stride, s->pad, &t->pool));
  for (int i = 0; i < p->sets; i++)
    TRY (mem_new (1, kern_pool_mask_bytes (t->pool), "mask", &t->mask[i]));
  return OK;
}

BENCH_FN enum status
prim_make_linear (struct thing *t)
{
  size_t n = (size_t)((t->step.in.c + 1) * t->step.out.c);
  struct random_key key = {.seed = 2, .purpose = RANDOM_TEST};
  TRY (MEM_NEW (n, &t->weights, "weights"));
  TRY (MEM_NEW (n, &t->gradients, "gradients"));
  for (size_t i = 0; i < n; i++)
    t->weights[i] = 0.05f * (float)random_normal (&key, i);
  return OK;
}

BENCH_FN enum status
prim_make (struct primitives *p, struct thing *t)
{
  struct kern_dims in = t->step.in, out = t->step.out;
  in.n = out.n = p->n;
  t->in_floats = kern_bytes (p->k, in, p->inner) / sizeof (float);
  t->out_floats = kern_bytes (p->k, out, p->inner) / sizeof (float);
  switch (t->kind) {
  case THING_CONV:
    return prim_make_conv (p, t);
  case THING_BN:
    return prim_make_bn (p, t);
  case THING_POOL:
    return prim_make_pool (p, t);
  case THING_LINEAR:
    return prim_make_linear (t);
  case THING_SUM:
  case THING_LOSS:
  case THING_KINDS:
    break;
  }
  return OK;
}

/* From one tensor to the next, in floats. */
BENCH_FN size_t
prim_stride (const struct thing *t)
{
  size_t most = t->in_floats > t->out_floats ? t->in_floats : t->out_floats;
  return arena_round (most * sizeof (float) + STAGGER) / sizeof (float);
}

/* Room for the sets of the largest, and for `kept` bytes in all. */
BENCH_FN enum status
prim_make_tensors (struct primitives *p, double kept)
{
  p->room = (size_t)(kept / (3 * sizeof (float)));
  for (int i = 0; i < p->n_things; i++) {
    size_t room = (size_t)p->sets * prim_stride (&p->thing[i]);
    p->room = room > p->room ? room : p->room;
  }
  size_t bytes = arena_round (p->room * sizeof (float)) + STAGGER;
  TRY (arena_open (3 * arena_round (bytes), "tensors", &p->pool));
  p->in = arena_take (&p->pool, bytes);
  p->cotangent = arena_take (&p->pool, bytes);
  p->out = arena_take (&p->pool, bytes);
  bench_fill (p->room, 3, p->in);
  bench_fill (p->room, 4, p->cotangent);
  TRY (MEM_NEW ((size_t)p->n, &p->labels, "labels"));
  for (int64_t i = 0; i < p->n; i++)
    p->labels[i] = (int32_t)(i % 10);
  return OK;
}

/* What a network keeps for its backward pass. */
BENCH_FN double
prim_kept_bytes (const struct network *net, int64_t n)
{
  double bytes = 0;
  struct network_unit u;
  for (int i = 0; i < network_units (net); i++) {
    network_unit (net, i, &u);
    bytes += u.act_bytes * (double)n;
  }
  return bytes;
}

BENCH_FN void
prim_close (struct primitives *p)
{
  for (int i = 0; i < p->n_things; i++) {
    struct thing *t = &p->thing[i];
    kern_conv_destroy (&t->conv);
    kern_bn_destroy (&t->bn);
    kern_pool_destroy (&t->pool);
    mem_free (&t->weights);
    mem_free (&t->gradients);
    for (int j = 0; j < SETS_MOST; j++)
      mem_free (&t->mask[j]);
  }
  p->n_things = 0;
  arena_close (&p->pool);
  mem_free (&p->labels);
  kern_close (&p->k);
}

/* All primitives of net; tuning, inner, n and sets of p are given, the rest is
 * zero.  kept: bytes of memory that cold calls go through. */
BENCH_FN enum status
prim_open (const struct network *net, int threads, double kept,
           struct primitives *p)
{
  prim_collect (p, net);
  enum status s = kern_open (threads, &p->k);
  for (int i = 0; i < p->n_things && s == OK; i++)
    s = prim_make (p, &p->thing[i]);
  if (s == OK)
    s = prim_make_tensors (p, kept);
  if (s == OK)
    s = kern_seal (p->k);
  for (int i = 0; i < p->n_things && s == OK; i++)
    if (p->thing[i].conv)
      s = kern_conv_refresh (p->thing[i].conv, p->thing[i].weights);
  if (s != OK)
    prim_close (p);
  return s;
}

/* -- timing -----------------------------------------------------------------
 */

/* Whether a step asks for this part: nobody wants the gradient of images. */
BENCH_FN bool
prim_wanted (const struct thing *t, int part)
{
  enum prim_class c = thing_part[t->kind][part];
  return c != PRIM_CLASSES && !(c == PRIM_CONV_DATA && t->step.plain);
}

/* Where the tensors of call number i begin. */
BENCH_FN size_t
prim_place (struct primitives *p, const struct thing *t, int i)
{
  size_t stride = prim_stride (t);
  if (!p->cold)
    return (size_t)(i % p->sets) * stride;
  size_t at = p->at + stride > p->room ? 0 : p->at;
  p->at = at + stride;
  return at;
}

BENCH_FN enum status
prim_run (struct primitives *p, struct thing *t, int part, int call)
{
  size_t at = prim_place (p, t, call);
  const float *x = p->in + at, *d_y = p->cotangent + at;
  float *to = p->out + at, *v[6];
  void *mask = t->mask[call % p->sets];
  int64_t n = p->n, in = t->step.in.c, out = t->step.out.c, correct;
  double loss;
  for (int i = 0; i < 6; i++)
    v[i] = t->weights + (size_t)i * t->vector;
  switch (thing_part[t->kind][part]) {
  case PRIM_CONV_FORWARD:
    return kern_conv_forward (t->conv, x, t->weights, NULL, to);
  case PRIM_CONV_DATA:
    return kern_conv_back_data (t->conv, d_y, t->weights, to);
  case PRIM_CONV_WEIGHTS:
    return kern_conv_back_weights (t->conv, x, d_y, 1, false, t->gradients,
                                   NULL);
  case PRIM_BN_FORWARD:
    return kern_bn_forward (t->bn, x, v[0], v[1], to, v[2], v[3], mask);
  case PRIM_BN_BACK:
    return kern_bn_back (t->bn, x, d_y, v[0], v[1], v[2], v[3], mask, to, v[4],
                         v[5]);
  case PRIM_SUM_FORWARD:
    kern_add_relu (p->k, t->out_floats, x, d_y, to);
    return OK;
  case PRIM_SUM_RELU_BACK:
    kern_relu_back (p->k, t->out_floats, d_y, x, to);
    return OK;
  case PRIM_SUM_BACK:
    kern_axpy (p->k, t->in_floats, 1, d_y, to);
    return OK;
  case PRIM_POOL_FORWARD:
    return kern_pool_forward (t->pool, x, to, mask);
  case PRIM_POOL_BACK:
    return kern_pool_back (t->pool, d_y, mask, to);
  case PRIM_LINEAR_FORWARD:
    return kern_linear_forward (p->k, n, in, out, x, t->weights,
                                t->weights + in * out, to);
  case PRIM_LINEAR_DATA:
    return kern_linear_back_data (p->k, n, in, out, d_y, t->weights, to);
  case PRIM_LINEAR_WEIGHTS:
    return kern_linear_back_weights (p->k, n, in, out, x, d_y, 1, false,
                                     t->gradients, t->gradients + in * out);
  case PRIM_LOSS:
    return kern_loss (p->k, n, out, x,
                      &(struct kern_target){p->labels, 1.0f / (float)n, 0},
                      &loss, &correct, to);
  case PRIM_CLASSES:
    break;
  }
  CHECK (false, "no such part");
}

BENCH_FN enum status
prim_time_part (struct primitives *p, struct thing *t, int part, bool cold)
{
  double took[CALLS_MOST], spent = 0;
  size_t n = 0;
  for (int i = 0; i < p->sets; i++) /* all sets seen, masks made */
    TRY (prim_run (p, t, part, i));
  while (n < CALLS || (n < CALLS_MOST && spent < CALLS_S)) {
    double start = clock_now_s ();
    TRY (prim_run (p, t, part, (int)n));
    took[n] = clock_now_s () - start;
    spent += took[n++];
  }
  t->seconds[cold][part] = bench_median (n, took);
  return OK;
}

/* Operations of one call; 0 where they are not counted. */
BENCH_FN double
prim_flops (const struct primitives *p, const struct thing *t)
{
  if (t->kind != THING_CONV)
    return 0;
  struct kern_conv_shape shape = recipe_shape (&t->step, p->n, p->inner);
  return kern_conv_flops (&shape);
}

/* Every part of thing i. */
BENCH_FN enum status
prim_time (struct primitives *p, int i, bool cold, int round)
{
  struct thing *t = &p->thing[i];
  p->cold = cold;
  for (int part = 0; part < PARTS; part++)
    if (prim_wanted (t, part)) {
      TRY (prim_time_part (p, t, part, cold));
      t->round[cold][part][round] = t->seconds[cold][part];
    }
  return OK;
}

/* From now on the seconds are those of quiet rounds, each part for itself. */
BENCH_FN void
prim_quiet (struct primitives *p, int rounds)
{
  for (int i = 0; i < p->n_things; i++)
    for (int part = 0; part < PARTS; part++)
      for (int cold = 0; cold < 2; cold++)
        p->thing[i].seconds[cold][part] =
            bench_quiet ((size_t)rounds, p->thing[i].round[cold][part]);
}

/* Seconds of a step, and by class, of the latest round.  other (may be NULL):
 * the same network in another layout; the faster of the two counts, part by
 * part. */
BENCH_FN double
prim_sum (const struct primitives *p, const struct primitives *other, bool cold,
          double by_class[PRIM_CLASSES])
{
  double sum = 0;
  for (int c = 0; c < PRIM_CLASSES; c++)
    by_class[c] = 0;
  for (int i = 0; i < p->n_things; i++)
    for (int part = 0; part < PARTS; part++) {
      const struct thing *t = &p->thing[i];
      if (!prim_wanted (t, part))
        continue;
      double s = t->seconds[cold][part];
      if (other && other->thing[i].seconds[cold][part] < s)
        s = other->thing[i].seconds[cold][part];
      by_class[thing_part[t->kind][part]] += t->count * s;
      sum += t->count * s;
    }
  return sum;
}

#endif

/* tests/bench/language.h -- what a training step of a language model would cost
 * as primitives of the library alone.
 *
 * Counted, each as often as a step runs it, timed by itself on tensors of the
 * real size that turn over a few sets:
 *   linear layers and the projection to the vocabulary, three directions each:
 *     the faster of a matmul primitive on row-major weights and dnnl_sgemm, the
 *     projection moreover the faster of all rows at once and as many rows at a
 *     time as a stage takes;
 *   attention: six products over all heads on views of the fused tensor, the
 *     softmax over whole rows and its backward pass.  The library knows no
 *     mask, so these compute all T x T numbers.  `tiles` replaces them by the
 *     loops of kern, called alone, where these are faster;
 *   LayerNorm, GELU, the two sums of cotangents per layer; the softmax of the
 *     loss, forward only.
 * Not counted: biases and their gradients, residual sums of the forward pass (a
 * product could add them), scale and mask of attention, embedding, the loss
 * itself, the optimizer, data.
 *
 * Header only, for tests/bench/language.c.
 */
#ifndef TESTS_BENCH_LANGUAGE_H
#define TESTS_BENCH_LANGUAGE_H

#include "model/stage_impl.h"
#include "tests/bench/onednn.h"

enum sum_class {
  SUM_LINEAR_FORWARD,
  SUM_LINEAR_DATA,
  SUM_LINEAR_WEIGHTS,
  SUM_HEAD_FORWARD,
  SUM_HEAD_DATA,
  SUM_HEAD_WEIGHTS,
  SUM_ATTENTION,
  SUM_TILES,
  SUM_NORM,
  SUM_GELU,
  SUM_ADD,
  SUM_LOSS,
  SUM_CLASSES
};
static const char *const sum_names[SUM_CLASSES] = {
    [SUM_LINEAR_FORWARD] = "linear, forward",
    [SUM_LINEAR_DATA] = "linear, backward data",
    [SUM_LINEAR_WEIGHTS] = "linear, backward weights",
    [SUM_HEAD_FORWARD] = "projection, forward",
    [SUM_HEAD_DATA] = "projection, backward data",
    [SUM_HEAD_WEIGHTS] = "projection, backward weights",
    [SUM_ATTENTION] = "attention",
    [SUM_TILES] = "(attention in tiles, own loops)",
    [SUM_NORM] = "LayerNorm",
    [SUM_GELU] = "GELU",
    [SUM_ADD] = "sums of cotangents",
    [SUM_LOSS] = "softmax of the loss",
};

#define ITEMS 96
#define SETS_BYTES 3e8 /* sets that are larger than this are one */

enum item_way { ITEM_PRIMITIVE, ITEM_SGEMM, ITEM_TILES, ITEM_TILES_BACK };

struct item { /* one way to do one piece of work */
  enum sum_class class;
  enum item_way way;
  int count; /* in a step */
  int work;  /* items of the same work: the fastest counts */
  struct kern_op op;
  char a_form, b_form;              /* SGEMM: N or T */
  int64_t m, n, inner, lda, ldb;    /* SGEMM */
  struct kern_attention attention;  /* TILES */
  int n_args, n_results;            /* results are the last */
  size_t floats[KERN_OP_ARGS], all; /* of the arguments */
  double flops;                     /* of one call */
  double round[ROUNDS];             /* seconds of a call */
};

struct sum {
  struct kern *k; /* owned */
  int sets, n, n_works;
  struct item item[ITEMS];
  struct arena pool;
  float *in, *out; /* room floats each, in the pool */
  size_t room;
};

/* -- collecting -------------------------------------------------------------
 */

BENCH_FN struct item *
sum_add (struct sum *p, enum sum_class class, enum item_way way, int count)
{
  CHECK (p->n < ITEMS, "more primitives than places");
  struct item *t = &p->item[p->n++];
  *t = (struct item){
      .class = class, .way = way, .count = count, .work = p->n_works};
  return t;
}

BENCH_FN void
sum_arg (struct item *t, size_t floats)
{
  t->floats[t->n_args++] = floats;
  t->all += arena_round (floats * sizeof (float) + STAGGER) / sizeof (float);
}

BENCH_FN void
sum_args_of_op (struct item *t, enum one_kind kind)
{
  for (int i = 0; i < one_about[kind].n; i++)
    sum_arg (t, dnnl_memory_desc_get_size (
                    kern_op_md (&t->op, one_about[kind].arg[i])) /
                    sizeof (float));
  t->n_results = one_about[kind].n_results;
}

/* A product in both ways: c [m, n] = op (a) op (b), row-major. */
BENCH_FN enum status
sum_product (struct sum *p, enum sum_class class, int count, const char form[2],
             const int64_t shape[3])
{
  const int64_t m = shape[0], n = shape[1], inner = shape[2];
  const bool a_turned = form[0] == 'T', b_turned = form[1] == 'T';
  const struct one_matrix abc[] = {
      {m, inner, a_turned ? 1 : inner, a_turned ? m : 1, {0}},
      {inner, n, b_turned ? 1 : n, b_turned ? inner : 1, {0}},
      {m, n, n, 1, {0}}};
  struct item *t = sum_add (p, class, ITEM_PRIMITIVE, count);
  TRY (one_matmul (p->k, abc, (const int64_t[]){0, 0}, &t->op));
  sum_args_of_op (t, ONE_MATMUL);
  t->flops = 2.0 * (double)(m * n * inner);
  struct item *g = sum_add (p, class, ITEM_SGEMM, count);
  g->a_form = form[0];
  g->b_form = form[1];
  g->m = m;
  g->n = n;
  g->inner = inner;
  g->lda = a_turned ? m : inner;
  g->ldb = b_turned ? inner : n;
  g->flops = t->flops;
  g->n_args = t->n_args;
  g->n_results = 1;
  g->all = t->all;
  memcpy (g->floats, t->floats, sizeof t->floats);
  return OK;
}

/* The three directions of a linear layer on n rows, from class on; done in
 * parts of n / parts rows as well. */
BENCH_FN enum status
sum_linear (struct sum *p, enum sum_class class, int count,
            const int64_t shape[3], int64_t parts)
{
  static const char forms[3][2] = {{'N', 'T'}, {'N', 'N'}, {'T', 'N'}};
  const int64_t in = shape[1], out = shape[2];
  for (int i = 0; i < 3; i++) {
    for (int64_t cut = 1;; cut = parts) {
      const int64_t n = shape[0] / cut;
      const int64_t mni[3][3] = {{n, out, in}, {n, in, out}, {out, in, n}};
      TRY (sum_product (p, (enum sum_class) ((int)class + i), count * (int)cut,
                        forms[i], mni[i]));
      if (cut == parts)
        break;
    }
    p->n_works++;
  }
  return OK;
}

BENCH_FN enum status
sum_rows (struct sum *p, enum sum_class class, enum one_kind kind, int count,
          const int64_t shape[2])
{
  struct item *t = sum_add (p, class, ITEM_PRIMITIVE, count);
  TRY (one_make (p->k, kind, shape[0], shape[1], &t->op));
  sum_args_of_op (t, kind);
  p->n_works++;
  return OK;
}

BENCH_FN enum status
sum_heads (struct sum *p, const struct kern_attention *a, int count)
{
  const int64_t t = a->t, w = a->width, d = a->heads * w;
  const int64_t many[] = {a->batch, a->heads};
  /* Queries, keys or values in the fused tensor, and turned; the same of the
   * output; weights of all pairs, and turned. */
  const struct one_matrix q = {t, w, 3 * d, 1, {t * 3 * d, w}};
  const struct one_matrix q_t = {w, t, 1, 3 * d, {t * 3 * d, w}};
  const struct one_matrix o = {t, w, d, 1, {t * d, w}};
  const struct one_matrix s = {t, t, t, 1, {a->heads * t * t, t * t}};
  const struct one_matrix s_t = {t, t, 1, t, {a->heads * t * t, t * t}};
  const struct one_matrix product[6][3] = {{q, q_t, s}, {s, q, o}, /* forward */
                                           {o, q_t, s}, {s_t, o, q},
                                           {s, q, q},   {s_t, q, q}}; /* back */
  for (int i = 0; i < 6; i++) {
    struct item *x = sum_add (p, SUM_ATTENTION, ITEM_PRIMITIVE, count);
    TRY (one_matmul (p->k, product[i], many, &x->op));
    sum_args_of_op (x, ONE_MATMUL);
    x->flops = 2.0 * (double)(a->batch * d * t * t);
    p->n_works++;
  }
  const int64_t rows[] = {a->batch * a->heads * t, t};
  TRY (sum_rows (p, SUM_ATTENTION, ONE_SOFTMAX_FORWARD, count, rows));
  return sum_rows (p, SUM_ATTENTION, ONE_SOFTMAX_BACK, count, rows);
}

/* kern's own, forward and back. */
BENCH_FN enum status
sum_tiles (struct sum *p, const struct kern_attention *a, int count)
{
  const size_t n = (size_t)(a->batch * a->t), d = (size_t)(a->heads * a->width);
  const size_t lse = n * (size_t)a->heads;
  for (int back = 0; back < 2; back++) {
    struct item *x =
        sum_add (p, SUM_TILES, back ? ITEM_TILES_BACK : ITEM_TILES, count);
    x->attention = *a;
    sum_arg (x, n * 3 * d);
    if (back)
      sum_arg (x, n * d);
    sum_arg (x, back ? lse : n * d);
    if (back)
      sum_arg (x, n * d);
    sum_arg (x, back ? n * 3 * d : lse);
    x->n_results = back ? 1 : 2;
    p->n_works++;
  }
  return kern_attention_want (p->k, a);
}

BENCH_FN enum status
sum_collect (struct sum *p, const struct model_spec *m, int64_t batch)
{
  const int64_t n = batch * m->context, d = m->d_model, V = m->classes;
  const int64_t wide = (int64_t)(m->mlp_ratio * (double)d + 0.5);
  const int64_t chunk = (int64_t)project_chunk ((double)n, V);
  const int64_t linear[4][3] = {
      {n, d, 3 * d}, {n, d, d}, {n, d, wide}, {n, wide, d}};
  const int64_t narrow[] = {n, d}, all[] = {n, V}, hidden[] = {n, wide};
  const struct kern_attention a = {.batch = batch,
                                   .t = m->context,
                                   .heads = m->heads,
                                   .width = d / m->heads};
  for (int i = 0; i < 4; i++)
    TRY (sum_linear (p, SUM_LINEAR_FORWARD, m->layers, linear[i], 1));
  TRY (sum_linear (p, SUM_HEAD_FORWARD, 1, (const int64_t[]){n, d, V},
                   n % chunk == 0 ? n / chunk : 1));
  TRY (sum_heads (p, &a, m->layers));
  TRY (sum_tiles (p, &a, m->layers));
  TRY (sum_rows (p, SUM_NORM, ONE_NORM_FORWARD, 2 * m->layers + 1, narrow));
  TRY (sum_rows (p, SUM_NORM, ONE_NORM_BACK, 2 * m->layers + 1, narrow));
  TRY (sum_rows (p, SUM_GELU, ONE_GELU_FORWARD, m->layers, hidden));
  TRY (sum_rows (p, SUM_GELU, ONE_GELU_BACK, m->layers, hidden));
  TRY (sum_rows (p, SUM_ADD, ONE_ADD, 2 * m->layers, narrow));
  return sum_rows (p, SUM_LOSS, ONE_SOFTMAX_FORWARD, 1, all);
}

/* -- making -----------------------------------------------------------------
 */

BENCH_FN int
sum_sets (const struct sum *p, const struct item *t)
{
  return (double)t->all * sizeof (float) * p->sets > SETS_BYTES ? 1 : p->sets;
}

BENCH_FN void
sum_close (struct sum *p)
{
  for (int i = 0; i < p->n; i++)
    kern_op_clear (&p->item[i].op);
  p->n = 0;
  arena_close (&p->pool);
  kern_close (&p->k);
}

/* sets is given, the rest is zero. */
BENCH_FN enum status
sum_open (const struct model_spec *m, int64_t batch, int threads, struct sum *p)
{
  enum status s = kern_open (threads, &p->k);
  if (s == OK)
    s = sum_collect (p, m, batch);
  for (int i = 0; i < p->n; i++) {
    size_t room = p->item[i].all * (size_t)sum_sets (p, &p->item[i]);
    p->room = room > p->room ? room : p->room;
  }
  const size_t bytes = arena_round (p->room * sizeof (float)) + STAGGER;
  if (s == OK)
    s = arena_open (2 * arena_round (bytes), "tensors", &p->pool);
  if (s == OK)
    s = kern_seal (p->k);
  if (s != OK) {
    sum_close (p);
    return s;
  }
  p->in = arena_take (&p->pool, bytes);
  p->out = arena_take (&p->pool, bytes);
  bench_fill (p->room, 3, p->in);
  for (size_t i = 0; i < p->room; i++) /* may be variances */
    p->in[i] = p->in[i] < 0 ? -p->in[i] : p->in[i];
  return OK;
}

/* -- timing -----------------------------------------------------------------
 */

BENCH_FN enum status
sum_run (struct sum *p, struct item *t, int call)
{
  size_t at = (size_t)(call % sum_sets (p, t)) * t->all;
  float *v[KERN_OP_ARGS];
  for (int i = 0; i < t->n_args; i++) {
    v[i] = (i < t->n_args - t->n_results ? p->in : p->out) + at;
    at +=
        arena_round (t->floats[i] * sizeof (float) + STAGGER) / sizeof (float);
  }
  switch (t->way) {
  case ITEM_PRIMITIVE:
    return kern_op_run (p->k, &t->op, (const void *const *)v);
  case ITEM_SGEMM:
    return dnnl_sgemm (t->a_form, t->b_form, t->m, t->n, t->inner, 1, v[0],
                       t->lda, v[1], t->ldb, 0, v[2], t->n) == dnnl_success
               ? OK
               : fail (E_FAULT, "a product of the sum");
  case ITEM_TILES:
    return kern_attention_forward (p->k, &t->attention, NULL, v[0], v[1], v[2]);
  case ITEM_TILES_BACK:
    return kern_attention_back (p->k, &t->attention, NULL, v[0], v[1], v[2],
                                v[3], v[4]);
  }
  CHECK (false, "no such way");
}

BENCH_FN enum status
sum_time (struct sum *p, int i, int round)
{
  struct item *t = &p->item[i];
  double took[CALLS_MOST], spent = 0;
  size_t n = 0;
  for (int j = 0; j < sum_sets (p, t); j++)
    TRY (sum_run (p, t, j));
  while (n < 3 || (n < CALLS && spent < 10 * CALLS_S) ||
         (n < CALLS_MOST && spent < CALLS_S)) {
    double start = clock_now_s ();
    TRY (sum_run (p, t, (int)n));
    took[n] = clock_now_s () - start;
    spent += took[n++];
  }
  t->round[round] = bench_median (n, took);
  return OK;
}

/* Seconds of a call: of a round, or (round < 0) its quiet rounds. */
BENCH_FN double
sum_seconds (const struct item *t, int round, int rounds)
{
  return round < 0 ? bench_quiet ((size_t)rounds, t->round) : t->round[round];
}

/* Seconds in a step and by class; tiles: attention as kern does it where that
 * is faster.  flops (may be NULL): by class. */
BENCH_FN double
sum_of (const struct sum *p, int round, int rounds, bool tiles,
        double by_class[SUM_CLASSES], double *flops)
{
  double all = 0;
  for (int c = 0; c < SUM_CLASSES; c++)
    by_class[c] = 0;
  for (int i = 0; i < p->n;) {
    const struct item *t = &p->item[i];
    double best = 1e30;
    if (flops)
      flops[t->class] += t->count * t->flops;
    for (; i < p->n && p->item[i].work == t->work; i++) {
      double s = p->item[i].count * sum_seconds (&p->item[i], round, rounds);
      best = s < best ? s : best;
    }
    by_class[t->class] += best;
  }
  const bool own = tiles && by_class[SUM_TILES] < by_class[SUM_ATTENTION];
  for (int c = 0; c < SUM_CLASSES; c++)
    if (c != (own ? SUM_ATTENTION : SUM_TILES))
      all += by_class[c];
  return all;
}

#endif

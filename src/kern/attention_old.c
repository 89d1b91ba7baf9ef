/* kern/attention_old.c -- attention of runs that earlier versions began: tiles
 * by the library's sgemm on strided views of the fused tensor.
 *
 * A task is one head of one sample, done by one thread alone.  In backward the
 * heads that use the same keys and values are one thread's, in order: their
 * gradients add up.
 */
#include "kern/attention_impl.h"
#include "kern/prove_impl.h"

#include <omp.h>

struct scratch {
  float *s, *d_s, *dropped; /* SIDE x SIDE */
  float *row;               /* t */
};

size_t
kern_attention_old_floats (const struct kern_attention *a)
{
  return 3 * SIDE * SIDE + arena_round ((size_t)a->t * 4) / 4 + 2 * SIDE;
}

/* The products of tiles of rows x cols, whatever the distances of rows. */
static enum status
prove_tiles (struct kern *k, int64_t rows, int64_t cols, int64_t width)
{
  bool right;
  for (int i = 0; i < 2; i++) {
    const float beta = (float)i, alpha = i == 0 ? 1 : 0.5f;
    const struct kern_product p[] = {
        {'N', 'T', rows, cols, width, 0, 0, 0, alpha, 0},
        {'N', 'N', rows, width, cols, 0, 0, 0, 1, beta},
        {'T', 'N', cols, width, rows, 0, 0, 0, 1, beta}};
    for (int j = 0; j < 3; j++)
      TRY (kern_product_prove (k, &p[j], true, &right));
  }
  return OK;
}

enum status
kern_attention_old_prove (struct kern *k, const struct kern_attention *a)
{
  const int64_t sizes[] = {a->t < SIDE ? a->t : SIDE,
                           a->t % SIDE > 0 ? a->t % SIDE : SIDE};
  for (int i = 0; i < 4; i++)
    TRY (prove_tiles (k, sizes[i / 2], sizes[i % 2], a->width));
  return kern_verdicts_reserve (k);
}

static struct scratch
scratch_of_thread (struct kern *k, const struct kern_attention *a)
{
  float *at = kern_side (k) +
              (size_t)omp_get_thread_num () * kern_attention_old_floats (a);
  return (struct scratch){at, at + SIDE * SIDE, at + 2 * SIDE * SIDE,
                          at + 3 * SIDE * SIDE};
}

/* How many keys of the tile row i sees. */
static int64_t
seen (const struct tile *p, int64_t i)
{
  int64_t n = p->i0 + i - p->j0 + 1;
  return n < p->cols ? n : p->cols;
}

/* C = alpha op(A) op(B) + beta C, as the library's sgemm has it. */
static dnnl_status_t
multiply (const struct task *t, char a_form, char b_form, int64_t m, int64_t n,
          int64_t inner, float alpha, const float *a, int64_t lda,
          const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
  const struct kern_product p = {a_form, b_form, m,   n,     inner,
                                 lda,    ldb,    ldc, alpha, beta};
  bool right;
  if (kern_product_prove (t->kern, &p, true, &right) == OK && right)
    return dnnl_sgemm (a_form, b_form, m, n, inner, alpha, a, lda, b, ldb, beta,
                       c, ldc);
  kern_own_product (1, &p, a, b, c);
  return dnnl_success;
}

static dnnl_status_t
scores (const struct task *a, const struct tile *p, float *s)
{
  return multiply (a, 'N', 'T', p->rows, p->cols, a->width, a->scale,
                   a->q + p->i0 * a->ld, a->ld, a->k + p->j0 * a->ld, a->ld, 0,
                   s, SIDE);
}

/* The tile's probabilities behind dropout. */
static void
drop_tile (const struct task *a, const struct tile *p, const float *s, float *y)
{
  for (int64_t i = 0; i < p->rows; i++)
    kern_drop_some (a->drop, a->sample, drop_row (a, p->i0 + i) + p->j0,
                    p->cols, s + i * SIDE, y + i * SIDE);
}

/* -- forward --------------------------------------------------------------- */

/* Row i of a tile, filled up to SIDE: what lies behind the diagonal or the last
 * key has the exponential 0. */
__attribute__ ((always_inline)) static inline float *
masked_row (const struct tile *p, int64_t i, float *s)
{
  s += i * SIDE;
  for (int64_t j = seen (p, i); j < SIDE; j++)
    s[j] = -INFINITY;
  return s;
}

/* Scores of a tile become weights relative to each row's largest score so far.
 * Where that has risen, the row of o, which holds the older tiles, is scaled to
 * it as well. */
KERN_CLONES static void
tile_softmax (const struct task *a, const struct tile *p, float *s, float *top,
              float *sum, float *o)
{
  for (int64_t i = 0; i < p->rows; i++) {
    float shrink;
    float more = row_softmax (SIDE, masked_row (p, i, s), &top[i], &shrink);
    sum[i] = sum[i] * shrink + more;
    if (p->j0 > 0 && shrink != 1)
      scale_row (a->width, shrink, o + (p->i0 + i) * a->ld_o);
  }
}

/* The rows of o that begin at i0, from the tiles of all keys that they see. */
static dnnl_status_t
query_rows (const struct task *a, int64_t i0, struct scratch *w, float *o,
            float *lse)
{
  float top[SIDE], sum[SIDE];
  struct tile p = {.i0 = i0, .rows = a->t - i0 < SIDE ? a->t - i0 : SIDE};
  for (int64_t i = 0; i < p.rows; i++) {
    top[i] = -INFINITY;
    sum[i] = 0;
  }
  for (; p.j0 < i0 + p.rows; p.j0 += SIDE) {
    const int64_t end = i0 + p.rows - p.j0;
    p.cols = end < SIDE ? end : SIDE;
    dnnl_status_t s = scores (a, &p, w->s);
    if (s != dnnl_success)
      return s;
    tile_softmax (a, &p, w->s, top, sum, o);
    const float *weight = w->s;
    if (a->drop) {
      drop_tile (a, &p, w->s, w->dropped);
      weight = w->dropped;
    }
    s = multiply (a, 'N', 'N', p.rows, a->width, p.cols, 1, weight, SIDE,
                  a->v + p.j0 * a->ld, a->ld, p.j0 > 0, o + i0 * a->ld_o,
                  a->ld_o);
    if (s != dnnl_success)
      return s;
  }
  for (int64_t i = 0; i < p.rows; i++) {
    scale_row (a->width, 1 / sum[i], o + (i0 + i) * a->ld_o);
    lse[i0 + i] = top[i] + logf (sum[i]);
  }
  return dnnl_success;
}

static enum status
said (dnnl_status_t s)
{
  return s == dnnl_success ? OK
                           : kern_lib_failed (s, "matrix product", "attention");
}

/* Seen by all threads; who fails writes. */
static void
note (dnnl_status_t *worst, dnnl_status_t s)
{
  if (s != dnnl_success) {
#pragma omp atomic write
    *worst = s;
  }
}

enum status
kern_attention_old_forward (struct kern *k, const struct kern_attention *a,
                            const struct kern_drop *drop, const float *qkv,
                            float *o, float *lse)
{
  const int64_t d = a->heads * a->width;
  dnnl_status_t worst = dnnl_success;
#pragma omp parallel for schedule(static) num_threads(k->threads)
  for (int64_t i = 0; i < a->batch * a->heads; i++) {
    struct scratch w = scratch_of_thread (k, a);
    struct task task = task_of (k, a, i, drop, qkv);
    float *to = o + task.sample * a->t * d + task.head * a->width;
    for (int64_t i0 = 0; i0 < a->t; i0 += SIDE)
      note (&worst, query_rows (&task, i0, &w, to, lse + i * a->t));
  }
  return said (worst);
}

/* -- backward -------------------------------------------------------------- */

/* Scores become the probabilities e^(s - lse). */
KERN_CLONES static void
tile_again (const struct tile *p, const float *lse, float *tile)
{
  for (int64_t i = 0; i < p->rows; i++) {
    float *restrict s = masked_row (p, i, tile);
    const float log_sum = lse[p->i0 + i];
#pragma omp simd
    for (int64_t j = 0; j < SIDE; j++) {
      float t = s[j] - log_sum;
      s[j] = t < KERN_EXP_LEAST ? KERN_EXP_LEAST : t;
    }
#pragma omp simd
    for (int64_t j = 0; j < SIDE; j++)
      s[j] = kern_exp (s[j]);
  }
}

/* d_s = p (d_p - delta) scale, where d_s holds d_p. */
KERN_CLONES static void
tile_slope (const struct tile *p, const float *delta, float scale,
            const float *tile, float *d_tile)
{
  for (int64_t i = 0; i < p->rows; i++) {
    const float *restrict s = tile + i * SIDE;
    float *restrict d_s = d_tile + i * SIDE;
    const float d = delta[p->i0 + i];
#pragma omp simd
    for (int64_t j = 0; j < SIDE; j++)
      d_s[j] = s[j] * (d_s[j] - d) * scale;
  }
}

/* Probabilities into w->s and, behind dropout, *weight; their slopes into
 * w->d_s. */
static dnnl_status_t
tile_slopes (const struct task *a, const struct tile *p, const struct slopes *g,
             struct scratch *w, const float **weight)
{
  dnnl_status_t s = scores (a, p, w->s);
  if (s != dnnl_success)
    return s;
  s = multiply (a, 'N', 'T', p->rows, p->cols, a->width, 1,
                g->d_o + p->i0 * a->ld_o, a->ld_o, a->v + p->j0 * a->ld, a->ld,
                0, w->d_s, SIDE);
  tile_again (p, g->lse, w->s);
  *weight = w->s;
  if (a->drop) {
    drop_tile (a, p, w->d_s, w->d_s);
    drop_tile (a, p, w->s, w->dropped);
    *weight = w->dropped;
  }
  tile_slope (p, w->row, a->scale, w->s, w->d_s);
  return s;
}

/* One tile's part of d_v = w' d_o, d_q = d_s k and d_k = d_s' q, with w the
 * probabilities behind dropout.  The first tile of a row of queries sets d_q,
 * the first one of a column of keys (first) sets d_v and d_k, unless another
 * head has; the others add. */
static dnnl_status_t
tile_back (const struct task *a, const struct tile *p, const struct slopes *g,
           struct scratch *w, bool first)
{
  const float *weight;
  dnnl_status_t s = tile_slopes (a, p, g, w, &weight);
  if (s == dnnl_success)
    s = multiply (a, 'T', 'N', p->cols, a->width, p->rows, 1, weight, SIDE,
                  g->d_o + p->i0 * a->ld_o, a->ld_o, !first,
                  g->d_v + p->j0 * a->ld, a->ld);
  if (s == dnnl_success)
    s = multiply (a, 'N', 'N', p->rows, a->width, p->cols, 1, w->d_s, SIDE,
                  a->k + p->j0 * a->ld, a->ld, p->j0 > 0,
                  g->d_q + p->i0 * a->ld, a->ld);
  if (s == dnnl_success)
    s = multiply (a, 'T', 'N', p->cols, a->width, p->rows, 1, w->d_s, SIDE,
                  a->q + p->i0 * a->ld, a->ld, !first, g->d_k + p->j0 * a->ld,
                  a->ld);
  return s;
}

/* All tiles, keys outside: for one row of queries the tiles come with j0
 * rising, so the one with j0 = 0 is its first. */
static dnnl_status_t
task_back (const struct task *a, const float *o, const struct slopes *g,
           struct scratch *w)
{
  /* delta: what the sum over keys of p d_p comes to is d_o . o, so that no row
   * of the t x t probabilities is ever needed as a whole. */
  for (int64_t i = 0; i < a->t; i++)
    w->row[i] = dot (a->width, g->d_o + i * a->ld_o, o + i * a->ld_o);
  for (int64_t j0 = 0; j0 < a->t; j0 += SIDE)
    for (int64_t i0 = j0; i0 < a->t; i0 += SIDE) {
      struct tile p = {i0, j0, a->t - i0 < SIDE ? a->t - i0 : SIDE,
                       a->t - j0 < SIDE ? a->t - j0 : SIDE};
      dnnl_status_t s = tile_back (a, &p, g, w, i0 == j0 && !g->add);
      if (s != dnnl_success)
        return s;
    }
  return dnnl_success;
}

enum status
kern_attention_old_back (struct kern *k, const struct kern_attention *a,
                         const struct kern_drop *drop, const float *qkv,
                         const float *o, const float *lse, const float *d_o,
                         float *d_qkv)
{
  const int64_t d = a->heads * a->width, kv = kern_kv_heads (a);
  const int64_t sharing = a->heads / kv;
  dnnl_status_t worst = dnnl_success;
#pragma omp parallel for schedule(static) num_threads(k->threads)
  for (int64_t j = 0; j < a->batch * kv; j++) {
    struct scratch w = scratch_of_thread (k, a);
    for (int64_t i = j * sharing; i < (j + 1) * sharing; i++) {
      struct task task = task_of (k, a, i, drop, qkv);
      const int64_t at = task.sample * a->t * d + task.head * a->width;
      struct slopes g = slopes_of (a, &task, qkv, lse, d_o, d_qkv);
      note (&worst, task_back (&task, o + at, &g, &w));
    }
  }
  return said (worst);
}

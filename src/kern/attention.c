/* kern/attention.c -- causal attention in tiles, with a running softmax.
 *
 * A tile is SIDE queries against SIDE keys; tiles above the diagonal are
 * skipped, the one on it is masked.  Forward keeps the log of each row's sum,
 * from which backward makes the probabilities again (Dao, Fu, Ermon, Rudra, Re:
 * "FlashAttention", 2022).
 *
 * Tiles lie turned: a row for each key, the queries of a block side by side. So
 * the softmax of all of them goes on in whole vectors, and every product reads
 * its second matrix by rows: only the block of queries (and of cotangents) is
 * ever copied, turned, once for all of its keys.
 *
 * Work is shared out among threads by batch x heads x blocks of queries.
 * Backward adds to the gradients of keys and values, so it goes by heads of
 * these; where there are too few for the threads, once by blocks of queries for
 * the gradients of these, and once by blocks of keys.  Every number has the
 * same terms in the same order in either way, whoever computes it: the bits do
 * not depend on the number of threads.
 */
#include "kern/attention_impl.h"
#include "kern/tile_impl.h"

#include <omp.h>

#define SQUARE 16 /* turned at a time */
#define STRIP 16  /* of a tile on the diagonal */

struct scratch {
  float *s, *d_s, *dropped, *keep; /* [keys, queries], SIDE x SIDE */
  float *q, *d_o;                  /* turned, [width, queries] */
  float *row;                      /* t */
};

static size_t
scratch_floats (const struct kern_attention *a)
{
  return (size_t)(4 * SIDE * SIDE + 2 * SIDE * a->width) +
         arena_round ((size_t)a->t * 4) / 4;
}

enum status
kern_attention_want (struct kern *k, const struct kern_attention *a)
{
  const size_t floats =
      a->by_sgemm ? kern_attention_old_floats (a) : scratch_floats (a);
  kern_side_want (k, (size_t)k->threads * floats * sizeof (float));
  return a->by_sgemm ? kern_attention_old_prove (k, a) : OK;
}

static struct scratch
scratch_of_thread (struct kern *k, const struct kern_attention *a)
{
  float *at =
      kern_side (k) + (size_t)omp_get_thread_num () * scratch_floats (a);
  float *q = at + 4 * SIDE * SIDE;
  return (struct scratch){
      at, at + SIDE * SIDE,    at + 2 * SIDE * SIDE,   at + 3 * SIDE * SIDE,
      q,  q + SIDE * a->width, q + 2 * SIDE * a->width};
}

static int64_t
blocks_of (const struct kern_attention *a)
{
  return (a->t + SIDE - 1) / SIDE;
}

/* -- loops over a tile ----------------------------------------------------- */

/* A square of turn; rows: of x that are there. */
__attribute__ ((always_inline)) static inline void
turn_square (int64_t rows, int64_t columns, int64_t ld, const float *restrict x,
             float *restrict y)
{
  for (int64_t j = 0; j < columns; j++)
    for (int64_t i = 0; i < SQUARE; i++)
      y[j * SIDE + i] = i < rows ? x[i * ld + j] : 0.0f;
}

/* y [n, SIDE]: the columns of x [m, n], m <= SIDE, rows of ld; zero behind. */
KERN_CLONES static void
turn (int64_t m, int64_t n, int64_t ld, const float *x, float *y)
{
  for (int64_t j = 0; j < n; j += SQUARE)
    for (int64_t i = 0; i < SIDE; i += SQUARE) {
      const float *from = x + i * ld + j;
      float *to = y + j * SIDE + i;
      if (i + SQUARE <= m && j + SQUARE <= n)
        turn_square (SQUARE, SQUARE, ld, from, to);
      else
        turn_square (m - i, n - j < SQUARE ? n - j : SQUARE, ld, from, to);
    }
}

/* Keys behind the diagonal are as far away as can be. */
static void
mask (const struct tile *p, float *s)
{
  for (int64_t j = 1; p->i0 == p->j0 && j < p->cols; j++)
    for (int64_t i = 0; i < j; i++)
      s[j * SIDE + i] = -INFINITY;
}

/* e^(s - top), the tile over. */
__attribute__ ((always_inline)) static inline void
exponentials (int64_t cols, const float *restrict top, float *restrict s)
{
  for (int64_t j = 0; j < cols; j++, s += SIDE) {
#pragma omp simd
    for (int64_t i = 0; i < SIDE; i++) {
      float t = s[i] - top[i];
      s[i] = t < KERN_EXP_LEAST ? KERN_EXP_LEAST : t;
    }
#pragma omp simd
    for (int64_t i = 0; i < SIDE; i++)
      s[i] = kern_exp (s[i]);
  }
}

struct sums { /* of the queries of a block, so far */
  float top[SIDE], sum[SIDE], shrink[SIDE];
};

/* Scores become weights relative to each query's largest score so far; shrink:
 * what older weights have to be multiplied by. */
KERN_CLONES static void
tile_softmax (const struct tile *p, float *restrict s, struct sums *restrict r)
{
  float most[SIDE];
  memcpy (most, r->top, sizeof most);
  for (int64_t j = 0; j < p->cols; j++)
#pragma omp simd
    for (int64_t i = 0; i < SIDE; i++)
      most[i] = s[j * SIDE + i] > most[i] ? s[j * SIDE + i] : most[i];
#pragma omp simd
  for (int64_t i = 0; i < SIDE; i++) {
    float t = r->top[i] - most[i];
    r->shrink[i] = t < KERN_EXP_LEAST ? KERN_EXP_LEAST : t;
  }
#pragma omp simd
  for (int64_t i = 0; i < SIDE; i++) {
    r->shrink[i] = kern_exp (r->shrink[i]);
    r->sum[i] *= r->shrink[i];
  }
  memcpy (r->top, most, sizeof most);
  exponentials (p->cols, most, s);
  for (int64_t j = 0; j < p->cols; j++)
#pragma omp simd
    for (int64_t i = 0; i < SIDE; i++)
      r->sum[i] += s[j * SIDE + i];
}

KERN_CLONES static void
tile_again (const struct tile *p, const float *lse, float *s)
{
  exponentials (p->cols, lse, s);
}

/* y may be x. */
KERN_CLONES static void
times (int64_t n, const float *x, const float *keep, float *y)
{
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = x[i] * keep[i];
}

/* d_s = p (d_p - delta) scale, where d_s holds d_p. */
KERN_CLONES static void
tile_slope (const struct tile *p, const float *restrict delta, float scale,
            const float *restrict s, float *restrict d_s)
{
  for (int64_t j = 0; j < p->cols; j++)
#pragma omp simd
    for (int64_t i = 0; i < SIDE; i++) {
      const int64_t at = j * SIDE + i;
      d_s[at] = s[at] * (d_s[at] - delta[i]) * scale;
    }
}

/* What dropout makes of 1, in w->keep. */
static void
drop_factors (const struct task *a, const struct tile *p, struct scratch *w)
{
  float one[SIDE], row[SIDE * SIDE];
  for (int64_t j = 0; j < SIDE; j++)
    one[j] = 1;
  for (int64_t i = 0; i < p->rows; i++)
    kern_drop_some (a->drop, a->sample, drop_row (a, p->i0 + i) + p->j0,
                    p->cols, one, row + i * SIDE);
  turn (p->rows, p->cols, SIDE, row, w->keep);
}

/* Probabilities behind dropout: w->s, or w->dropped. */
static const float *
weights (const struct task *a, const struct tile *p, struct scratch *w)
{
  if (!a->drop)
    return w->s;
  drop_factors (a, p, w);
  times (p->cols * SIDE, w->s, w->keep, w->dropped);
  return w->dropped;
}

/* -- products -------------------------------------------------------------- */

/* Queries, or keys, from first to end of a tile that are multiplied in one
 * call: all, but on the diagonal a strip, which sees a part of the others
 * only. */
static int64_t
strip_of (const struct tile *p, int64_t all)
{
  return p->i0 == p->j0 && all > STRIP ? STRIP : all;
}

/* [keys, queries] = scale x [keys, width], rows of ld, times y, turned.  What
 * lies behind the diagonal by a whole strip is not written. */
static void
from_width (const struct task *a, const struct tile *p, const float *x,
            const float *y, float scale, float *s)
{
  const int64_t step = strip_of (p, p->cols);
  for (int64_t j = 0; j < p->cols; j += step) {
    const int64_t m = p->cols - j < step ? p->cols - j : step;
    kern_tile (&(struct kern_tile){m, SIDE - j, a->width, x + j * a->ld, a->ld,
                                   1, y + j, SIDE, s + j * SIDE + j, SIDE,
                                   scale, false});
  }
}

/* Queries: y [rows, width] = what a tile has for each key times x [keys,
 * width]. */
static void
to_queries (const struct task *a, const struct tile *p, const float *s,
            const float *x, float *y, int64_t ld)
{
  const int64_t step = strip_of (p, p->rows);
  for (int64_t i = 0; i < p->rows; i += step) {
    const int64_t m = p->rows - i < step ? p->rows - i : step;
    const int64_t keys = p->i0 == p->j0 ? i + m : p->cols;
    kern_tile (&(struct kern_tile){m, a->width, keys, s + i, 1, SIDE, x, a->ld,
                                   y + i * ld, ld, 1, p->j0 > 0});
  }
}

/* Keys: y [cols, width] = what a tile has for each query times x [queries,
 * width]. */
static void
to_keys (const struct task *a, const struct tile *p, const float *s,
         const float *x, int64_t ld, bool add, float *y)
{
  const int64_t step = strip_of (p, p->cols);
  for (int64_t j = 0; j < p->cols; j += step) {
    const int64_t m = p->cols - j < step ? p->cols - j : step;
    kern_tile (&(struct kern_tile){m, a->width, p->rows - j, s + j * SIDE + j,
                                   SIDE, 1, x + j * ld, ld, y + j * a->ld,
                                   a->ld, 1, add});
  }
}

static void
scores (const struct task *a, const struct tile *p, struct scratch *w)
{
  from_width (a, p, a->k + p->j0 * a->ld, w->q, a->scale, w->s);
  mask (p, w->s);
}

/* The tile of a block of queries and one of keys. */
static struct tile
tile_at (const struct task *a, int64_t i0, int64_t j0)
{
  return (struct tile){i0, j0, a->t - i0 < SIDE ? a->t - i0 : SIDE,
                       a->t - j0 < SIDE ? a->t - j0 : SIDE};
}

/* -- forward --------------------------------------------------------------- */

/* The rows of o that begin at i0, from the tiles of all keys that they see. */
static void
query_rows (const struct task *a, int64_t i0, struct scratch *w, float *o,
            float *lse)
{
  struct sums r;
  const int64_t rows = tile_at (a, i0, 0).rows;
  for (int64_t i = 0; i < SIDE; i++) {
    r.top[i] = -INFINITY;
    r.sum[i] = 0;
  }
  turn (rows, a->width, a->ld, a->q + i0 * a->ld, w->q);
  o += i0 * a->ld_o;
  for (int64_t j0 = 0; j0 <= i0; j0 += SIDE) {
    const struct tile p = tile_at (a, i0, j0);
    scores (a, &p, w);
    tile_softmax (&p, w->s, &r);
    for (int64_t i = 0; i < rows && j0 > 0; i++)
      if (r.shrink[i] != 1)
        scale_row (a->width, r.shrink[i], o + i * a->ld_o);
    to_queries (a, &p, weights (a, &p, w), a->v + j0 * a->ld, o, a->ld_o);
  }
  for (int64_t i = 0; i < rows; i++) {
    scale_row (a->width, 1 / r.sum[i], o + i * a->ld_o);
    lse[i0 + i] = r.top[i] + logf (r.sum[i]);
  }
}

/* Blocks with the most keys first, so that threads end together. */
enum status
kern_attention_forward (struct kern *k, const struct kern_attention *a,
                        const struct kern_drop *drop, const float *qkv,
                        float *o, float *lse)
{
  const int64_t d = a->heads * a->width, all = a->batch * a->heads;
  const int64_t blocks = blocks_of (a);
  if (a->by_sgemm)
    return kern_attention_old_forward (k, a, drop, qkv, o, lse);
#pragma omp parallel for schedule(dynamic) num_threads(k->threads)
  for (int64_t i = 0; i < all * blocks; i++) {
    struct scratch w = scratch_of_thread (k, a);
    const struct task task = task_of (k, a, i / blocks, drop, qkv);
    const int64_t i0 = (blocks - 1 - i % blocks) * SIDE;
    query_rows (&task, i0, &w,
                o + task.sample * a->t * d + task.head * a->width,
                lse + i / blocks * a->t);
  }
  return OK;
}

/* -- backward -------------------------------------------------------------- */

/* Of a block of queries. */
struct block {
  float delta[SIDE], lse[SIDE];
};

/* delta: what the sum over keys of p d_p comes to is d_o . o, so that no row of
 * the t x t probabilities is ever needed as a whole. */
static void
open_block (const struct task *a, int64_t i0, const float *o,
            const struct slopes *g, struct scratch *w, struct block *b)
{
  const int64_t rows = tile_at (a, i0, 0).rows;
  const float *d_o = g->d_o + i0 * a->ld_o;
  for (int64_t i = 0; i < SIDE; i++) {
    const bool there = i < rows;
    b->lse[i] = there ? g->lse[i0 + i] : 0;
    b->delta[i] =
        there ? dot (a->width, d_o + i * a->ld_o, o + (i0 + i) * a->ld_o) : 0;
  }
  turn (rows, a->width, a->ld, a->q + i0 * a->ld, w->q);
  turn (rows, a->width, a->ld_o, d_o, w->d_o);
}

enum { QUERIES = 1, KEYS = 2 }; /* whose gradients */

/* One tile's part of d_v = w' d_o, d_q = d_s k and d_k = d_s' q, with w the
 * probabilities behind dropout.  The first tile of a block of queries sets d_q;
 * the first one of a block of keys, which is on the diagonal, sets d_v and d_k,
 * unless another head has; the others add. */
static void
tile_back (const struct task *a, const struct tile *p, const struct slopes *g,
           const struct block *b, struct scratch *w, int whose)
{
  const int64_t i = p->i0, j = p->j0;
  const bool add = i > j || g->add;
  scores (a, p, w);
  tile_again (p, b->lse, w->s);
  const float *weight = weights (a, p, w);
  if (whose & KEYS)
    to_keys (a, p, weight, g->d_o + i * a->ld_o, a->ld_o, add,
             g->d_v + j * a->ld);
  from_width (a, p, a->v + j * a->ld, w->d_o, 1, w->d_s);
  if (a->drop)
    times (p->cols * SIDE, w->d_s, w->keep, w->d_s);
  tile_slope (p, b->delta, a->scale, w->s, w->d_s);
  if (whose & QUERIES)
    to_queries (a, p, w->d_s, a->k + j * a->ld, g->d_q + i * a->ld, a->ld);
  if (whose & KEYS)
    to_keys (a, p, w->d_s, a->q + i * a->ld, a->ld, add, g->d_k + j * a->ld);
}

struct back { /* a call */
  struct kern *k;
  const struct kern_attention *a;
  const struct kern_drop *drop;
  const float *qkv, *o, *lse, *d_o;
  float *d_qkv;
};

/* Head i: blocks of queries from first_i to end_i against those of keys from
 * first_j to end_j, in numbers of rows. */
static void
head_back (const struct back *c, int64_t i, int64_t first_i, int64_t end_i,
           int64_t first_j, int64_t end_j, int whose)
{
  struct scratch w = scratch_of_thread (c->k, c->a);
  struct block b;
  const struct task t = task_of (c->k, c->a, i, c->drop, c->qkv);
  const struct slopes g =
      slopes_of (c->a, &t, c->qkv, c->lse, c->d_o, c->d_qkv);
  const float *o = c->o + (g.d_o - c->d_o);
  for (int64_t i0 = first_i; i0 < end_i; i0 += SIDE) {
    open_block (&t, i0, o, &g, &w, &b);
    for (int64_t j0 = first_j; j0 <= i0 && j0 < end_j; j0 += SIDE) {
      const struct tile p = tile_at (&t, i0, j0);
      tile_back (&t, &p, &g, &b, &w, whose);
    }
  }
}

/* Few heads for many threads: seven products a tile in place of five. */
static void
back_by_blocks (const struct back *c)
{
  const struct kern_attention *a = c->a;
  const int64_t blocks = blocks_of (a), kv = kern_kv_heads (a), t = a->t;
  const int64_t sharing = a->heads / kv;
#pragma omp parallel for schedule(dynamic) num_threads(c->k->threads)
  for (int64_t i = 0; i < a->batch * a->heads * blocks; i++) {
    const int64_t i0 = (blocks - 1 - i % blocks) * SIDE;
    head_back (c, i / blocks, i0, i0 + 1, 0, t, QUERIES);
  }
#pragma omp parallel for schedule(dynamic) num_threads(c->k->threads)
  for (int64_t j = 0; j < a->batch * kv * blocks; j++) {
    const int64_t j0 = j % blocks * SIDE, first = j / blocks * sharing;
    for (int64_t i = first; i < first + sharing; i++)
      head_back (c, i, j0, t, j0, j0 + 1, KEYS);
  }
}

enum status
kern_attention_back (struct kern *k, const struct kern_attention *a,
                     const struct kern_drop *drop, const float *qkv,
                     const float *o, const float *lse, const float *d_o,
                     float *d_qkv)
{
  const struct back c = {k, a, drop, qkv, o, lse, d_o, d_qkv};
  const int64_t all = a->batch * kern_kv_heads (a), threads = k->threads;
  const int64_t sharing = a->heads / kern_kv_heads (a);
  const int64_t turns = (all + threads - 1) / threads;
  if (a->by_sgemm)
    return kern_attention_old_back (k, a, drop, qkv, o, lse, d_o, d_qkv);
  if (turns * threads * 5 > all * 7) {
    back_by_blocks (&c);
    return OK;
  }
#pragma omp parallel for schedule(dynamic) num_threads(k->threads)
  for (int64_t j = 0; j < all; j++)
    for (int64_t i = j * sharing; i < (j + 1) * sharing; i++)
      head_back (&c, i, 0, a->t, 0, a->t, QUERIES | KEYS);
  return OK;
}

/* -- one position at a time ------------------------------------------------ */

KERN_CLONES static void
add_scaled (int64_t n, float a, const float *x, float *y)
{
#pragma omp simd
  for (int64_t j = 0; j < n; j++)
    y[j] += a * x[j];
}

/* One query over keys 0 .. n-1 of the cache, rows of ld; p [n] is scratch. */
KERN_CLONES static void
look_back (int64_t n, int64_t width, int64_t ld, const float *q,
           const float *key, const float *value, float *p, float *o)
{
  const float scale = 1.0f / sqrtf ((float)width);
  float top = -INFINITY, shrink;
  for (int64_t j = 0; j < n; j++)
    p[j] = scale * dot (width, q, key + j * ld);
  float sum = row_softmax (n, p, &top, &shrink);
  for (int64_t j = 0; j < width; j++)
    o[j] = 0;
  for (int64_t j = 0; j < n; j++)
    add_scaled (width, p[j] / sum, value + j * ld, o);
}

void
kern_attention_decode (struct kern *k, const struct kern_attention *a,
                       int64_t at, int64_t n, const float *qkv, float *cache,
                       float *o)
{
  const int64_t d = a->heads * a->width, kv = kern_kv_heads (a);
  const int64_t d_kv = kv * a->width, ld = d + 2 * d_kv;
  CHECK (at + n <= a->t, "position %lld of %lld", (long long)(at + n),
         (long long)a->t);
  for (int64_t i = 0; i < n; i++)
    memcpy (cache + (at + i) * 2 * d_kv, qkv + i * ld + d,
            (size_t)(2 * d_kv) * sizeof (float));
#pragma omp parallel for schedule(static) num_threads(k->threads)
  for (int64_t i = 0; i < n * a->heads; i++) {
    const int64_t row = i / a->heads, head = i % a->heads;
    const float *key = cache + head / (a->heads / kv) * a->width;
    struct scratch w = scratch_of_thread (k, a);
    look_back (at + row + 1, a->width, 2 * d_kv,
               qkv + row * ld + head * a->width, key, key + d_kv, w.row,
               o + row * d + head * a->width);
  }
}

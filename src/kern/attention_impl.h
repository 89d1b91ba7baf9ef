/* kern/attention_impl.h -- what the two ways of attention share. */
#ifndef KERN_ATTENTION_IMPL_H
#define KERN_ATTENTION_IMPL_H

#include "kern/kern_impl.h"

#include <math.h>

/* Queries and keys of a tile, at most. */
#define SIDE 64

/* One head of one sample: where its rows are. */
struct task {
  struct kern *kern;
  int64_t t, width, ld; /* ld: floats from row to row of q, k, v */
  int64_t ld_o;         /* of o */
  const float *q, *k, *v;
  float scale;
  int64_t sample, head;
  const struct kern_drop *drop; /* NULL: none */
};

/* A tile: queries i0 .. i0 + rows - 1, keys j0 .. j0 + cols - 1. */
struct tile {
  int64_t i0, j0, rows, cols;
};

struct slopes { /* of one task */
  const float *d_o, *lse;
  float *d_q, *d_k, *d_v;
  bool add; /* to d_k and d_v: another head has set them */
};

/* Heads that keys and values have. */
static inline int64_t
kern_kv_heads (const struct kern_attention *a)
{
  return a->kv_heads > 0 ? a->kv_heads : a->heads;
}

static inline struct task
task_of (struct kern *kern, const struct kern_attention *a, int64_t i,
         const struct kern_drop *drop, const float *qkv)
{
  const int64_t d = a->heads * a->width, sample = i / a->heads;
  const int64_t head = i % a->heads, kv = kern_kv_heads (a);
  const int64_t d_kv = kv * a->width, ld = d + 2 * d_kv;
  const float *q = qkv + sample * a->t * ld;
  const float *k = q + d + head / (a->heads / kv) * a->width;
  return (struct task){.kern = kern,
                       .t = a->t,
                       .width = a->width,
                       .ld = ld,
                       .ld_o = d,
                       .q = q + head * a->width,
                       .k = k,
                       .v = k + d_kv,
                       .scale = 1.0f / sqrtf ((float)a->width),
                       .sample = sample,
                       .head = head,
                       .drop = kern_drop_least (drop) > 0 ? drop : NULL};
}

static inline struct slopes
slopes_of (const struct kern_attention *a, const struct task *t,
           const float *qkv, const float *lse, const float *d_o, float *d_qkv)
{
  const int64_t sharing = a->heads / kern_kv_heads (a);
  const int64_t d = a->heads * a->width;
  return (struct slopes){d_o + t->sample * a->t * d + t->head * a->width,
                         lse + (t->sample * a->heads + t->head) * a->t,
                         d_qkv + (t->q - qkv),
                         d_qkv + (t->k - qkv),
                         d_qkv + (t->v - qkv),
                         t->head % sharing > 0};
}

/* Where row i of a sample's t x t probabilities begins in the numbers that
 * dropout is drawn for: rows are padded to whole blocks of random words. */
static inline int64_t
drop_row (const struct task *a, int64_t i)
{
  const int64_t row =
      (a->t + KERN_DROP_BLOCK - 1) / KERN_DROP_BLOCK * KERN_DROP_BLOCK;
  return (a->head * a->t + i) * row;
}

/* One row of a running softmax.  *top is the largest score of the row so far;
 * it is raised to that of s where needed, s becomes e^(s - *top), and its sum
 * is returned.  What was summed with the old *top has to be multiplied by
 * *shrink. Inlined with n a constant, so that the compiler makes whole vectors
 * of it. */
__attribute__ ((always_inline)) static inline float
row_softmax (int64_t n, float *restrict s, float *top, float *shrink)
{
  float most = *top, sum;
#pragma omp simd reduction(max : most)
  for (int64_t j = 0; j < n; j++)
    most = s[j] > most ? s[j] : most;
#pragma omp simd
  for (int64_t j = 0; j < n; j++) {
    float t = s[j] - most;
    s[j] = t < KERN_EXP_LEAST ? KERN_EXP_LEAST : t;
  }
#pragma omp simd
  for (int64_t j = 0; j < n; j++)
    s[j] = kern_exp (s[j]);
  KERN_SUM (float, n, s[i], sum);
  const float t = *top - most;
  *shrink = kern_exp (t < KERN_EXP_LEAST ? KERN_EXP_LEAST : t);
  *top = most;
  return sum;
}

KERN_CLONES static void
scale_row (int64_t n, float a, float *y)
{
#pragma omp simd
  for (int64_t j = 0; j < n; j++)
    y[j] *= a;
}

KERN_CLONES static float
dot (int64_t n, const float *a, const float *b)
{
  float sum;
  KERN_SUM (float, n, a[i] * b[i], sum);
  return sum;
}

/* As earlier versions computed it; see the public ones. */
size_t
kern_attention_old_floats (const struct kern_attention *a);
enum status
kern_attention_old_prove (struct kern *k, const struct kern_attention *a);
enum status
kern_attention_old_forward (struct kern *k, const struct kern_attention *a,
                            const struct kern_drop *drop, const float *qkv,
                            float *o, float *lse);
enum status
kern_attention_old_back (struct kern *k, const struct kern_attention *a,
                         const struct kern_drop *drop, const float *qkv,
                         const float *o, const float *lse, const float *d_o,
                         float *d_qkv);

#endif

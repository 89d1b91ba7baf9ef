/* kern/token.c -- the small loops of language models: GELU, SwiGLU, embedding,
 * choice of rows, dropout.
 *
 * Threads share out pieces of fixed size or whole columns, so the bits do not
 * depend on their number.
 */
#include "base/random.h"
#include "kern/kern_impl.h"

#include <math.h>
#include <string.h>

/* -- GELU ------------------------------------------------------------------ */

#define ROOT 0.7978845608028654f /* sqrt (2 / pi) */
#define CUBIC 0.044715f

/* tanh (u) of u = ROOT (x + CUBIC x^3), from e^(-2 |u|), which cannot
 * overflow. */
KERN_CLONES static void
tanh_part (size_t n, const float *x, float *t)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    float u = fabsf (ROOT * (x[i] + CUBIC * x[i] * x[i] * x[i]));
    float e = -2.0f * u;
    t[i] = e < KERN_EXP_LEAST ? KERN_EXP_LEAST : e;
  }
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    float e = kern_exp (t[i]);
    t[i] = copysignf ((1.0f - e) / (1.0f + e), x[i]);
  }
}

KERN_CLONES static void
gelu_end (size_t n, const float *x, const float *t, float *y)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++)
    y[i] = 0.5f * x[i] * (1.0f + t[i]);
}

KERN_CLONES static void
gelu_back_end (size_t n, const float *x, const float *t, const float *d_y,
               float *d_x)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    float slope = ROOT * (1.0f + 3.0f * CUBIC * x[i] * x[i]);
    float d = 0.5f * (1.0f + t[i]) + 0.5f * x[i] * (1.0f - t[i] * t[i]) * slope;
    d_x[i] = d_y[i] * d;
  }
}

/* Numbers whose tanh waits in the first cache. */
#define PIECE 1024

static void
gelu (size_t n, const float *x, const float *d_y, float *out)
{
  float t[PIECE];
  for (size_t at = 0; at < n; at += PIECE) {
    size_t m = n - at < PIECE ? n - at : PIECE;
    tanh_part (m, x + at, t);
    if (d_y == NULL)
      gelu_end (m, x + at, t, out + at);
    else
      gelu_back_end (m, x + at, t, d_y + at, out + at);
  }
}

static void
gelu_units (struct kern *k, size_t n, const float *x, const float *d_y,
            float *out)
{
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n > KERN_ALONE / 4)
  for (size_t at = 0; at < n; at += KERN_CHUNK)
    gelu (n - at < KERN_CHUNK ? n - at : KERN_CHUNK, x + at,
          d_y == NULL ? NULL : d_y + at, out + at);
}

void
kern_gelu (struct kern *k, size_t n, const float *x, float *y)
{
  gelu_units (k, n, x, NULL, y);
}

void
kern_gelu_back (struct kern *k, size_t n, const float *x, const float *d_y,
                float *d_x)
{
  gelu_units (k, n, x, d_y, d_x);
}

/* -- SwiGLU ---------------------------------------------------------------- */

/* 1 / (1 + e^-x), from e^-|x|, which cannot overflow. */
KERN_CLONES static void
sigmoid (int64_t n, const float *x, float *s)
{
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    float e = -fabsf (x[i]);
    s[i] = e < KERN_EXP_LEAST ? KERN_EXP_LEAST : e;
  }
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    float e = kern_exp (s[i]), low = e / (1.0f + e);
    s[i] = x[i] < 0 ? low : 1.0f - low;
  }
}

KERN_CLONES static void
swiglu_end (int64_t n, const float *s, const float *gate, const float *up,
            float *y)
{
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = gate[i] * s[i] * up[i];
}

/* d_gate and d_up may lie over gate and up. */
KERN_CLONES static void
swiglu_back_end (int64_t n, const float *s, const float *gate, const float *up,
                 const float *d_y, float *d_gate, float *d_up)
{
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    const float slope = s[i] * (1.0f + gate[i] * (1.0f - s[i]));
    const float g = d_y[i] * up[i] * slope;
    d_up[i] = d_y[i] * (gate[i] * s[i]);
    d_gate[i] = g;
  }
}

void
kern_swiglu (struct kern *k, int64_t n, int64_t d, const float *x, float *y)
{
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * d > KERN_ALONE / 4)
  for (int64_t i = 0; i < n; i++)
    for (int64_t at = 0; at < d; at += PIECE) {
      const int64_t m = d - at < PIECE ? d - at : PIECE;
      const float *gate = x + i * 2 * d + at;
      float s[PIECE];
      sigmoid (m, gate, s);
      swiglu_end (m, s, gate, gate + d, y + i * d + at);
    }
}

void
kern_swiglu_back (struct kern *k, int64_t n, int64_t d, const float *x,
                  const float *d_y, float *d_x)
{
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * d > KERN_ALONE / 4)
  for (int64_t i = 0; i < n; i++)
    for (int64_t at = 0; at < d; at += PIECE) {
      const int64_t m = d - at < PIECE ? d - at : PIECE;
      const float *gate = x + i * 2 * d + at;
      float s[PIECE], *d_gate = d_x + i * 2 * d + at;
      sigmoid (m, gate, s);
      swiglu_back_end (m, s, gate, gate + d, d_y + i * d + at, d_gate,
                       d_gate + d);
    }
}

/* -- embedding ------------------------------------------------------------- */

KERN_CLONES static void
add_rows (int64_t d, const float *a, const float *b, float *y)
{
#pragma omp simd
  for (int64_t j = 0; j < d; j++)
    y[j] = a[j] + b[j];
}

void
kern_embed (struct kern *k, int64_t n, int64_t d, int64_t t, int64_t first,
            const int32_t *token, const float *table, const float *place,
            float *y)
{
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * d > KERN_ALONE)
  for (int64_t i = 0; i < n; i++) {
    const float *row = table + token[i] * d;
    if (place == NULL)
      memcpy (y + i * d, row, (size_t)d * sizeof *y);
    else
      add_rows (d, row, place + (first + i) % t * d, y + i * d);
  }
}

KERN_CLONES static void
columns_add (int64_t n, int64_t d, int64_t t, int64_t m, const int32_t *token,
             const float *d_y, float *d_table, float *d_place)
{
  for (int64_t i = 0; i < n; i++) {
    const float *from = d_y + i * d;
    float *a = d_table + token[i] * d;
#pragma omp simd
    for (int64_t j = 0; j < m; j++)
      a[j] += from[j];
    if (d_place == NULL)
      continue;
    float *b = d_place + i % t * d;
#pragma omp simd
    for (int64_t j = 0; j < m; j++)
      b[j] += from[j];
  }
}

void
kern_embed_back (struct kern *k, int64_t n, int64_t d, int64_t t,
                 const int32_t *token, const float *d_y, float *d_table,
                 float *d_place)
{
  enum { COLUMNS = 32 };
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * d > KERN_ALONE)
  for (int64_t at = 0; at < d; at += COLUMNS)
    columns_add (n, d, t, d - at < COLUMNS ? d - at : COLUMNS, token, d_y + at,
                 d_table + at, d_place == NULL ? NULL : d_place + at);
}

/* -- rows ------------------------------------------------------------------ */

void
kern_rows_take (struct kern *k, int64_t n, int64_t d, const int64_t *index,
                const float *x, float *y)
{
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * d > KERN_ALONE)
  for (int64_t i = 0; i < n; i++)
    memcpy (y + i * d, x + index[i] * d, (size_t)d * sizeof *y);
}

void
kern_rows_put (struct kern *k, int64_t n, int64_t rows, int64_t d,
               const int64_t *index, const float *d_y, float *d_x)
{
  kern_zero (k, (size_t)(rows * d), d_x);
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * d > KERN_ALONE)
  for (int64_t i = 0; i < n; i++)
    memcpy (d_x + index[i] * d, d_y + i * d, (size_t)d * sizeof *d_x);
}

/* -- dropout --------------------------------------------------------------- */

KERN_CLONES static void
drop (int64_t n, uint32_t least, float factor, const uint16_t *word,
      const float *x, float *y)
{
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = x[i] * ((uint32_t)word[i] >= least ? factor : 0.0f);
}

void
kern_drop_some (const struct kern_drop *d, int64_t sample, int64_t first,
                int64_t n, const float *x, float *y)
{
  union {
    uint32_t block[KERN_DROP_WORDS / 2];
    uint16_t half[KERN_DROP_WORDS];
  } word;
  const uint32_t least = kern_drop_least (d);
  const float factor = 65536.0f / (65536.0f - (float)least);
  const struct random_key key = {d->seed, RANDOM_DROPOUT, d->site,
                                 (uint64_t)d->step << 32 |
                                     (uint64_t)(d->first_sample + sample)};
  for (int64_t at = 0; at < n; at += KERN_DROP_WORDS) {
    int64_t m = n - at < KERN_DROP_WORDS ? n - at : KERN_DROP_WORDS;
    random_blocks (&key, (uint64_t)(first + at) / KERN_DROP_BLOCK,
                   (size_t)((m + KERN_DROP_BLOCK - 1) / KERN_DROP_BLOCK),
                   word.block);
    drop (m, least, factor, word.half, x + at, y + at);
  }
}

uint32_t
kern_drop_least (const struct kern_drop *d)
{
  return d == NULL ? 0 : (uint32_t)lrintf (d->p * 65536.0f);
}

void
kern_dropout (struct kern *k, const struct kern_drop *d, int64_t samples,
              int64_t n, const float *x, float *y)
{
  const int64_t pieces = (n + KERN_CHUNK - 1) / KERN_CHUNK;
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (samples * n > KERN_ALONE / 8)
  for (int64_t i = 0; i < samples * pieces; i++) {
    int64_t sample = i / pieces, at = i % pieces * KERN_CHUNK;
    int64_t m = n - at < KERN_CHUNK ? n - at : KERN_CHUNK;
    kern_drop_some (d, sample, at, m, x + sample * n + at, y + sample * n + at);
  }
}

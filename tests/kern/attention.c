/* ranks: 0 */
/* Tiled attention against the naive one in double, its backward pass against
 * differences of that, lengths that do not divide, dropout, and the cache. */
#include "tests/kern/twin.h"

enum fault { NONE, UNMASKED, UNSCALED, UNDROPPED };

/* Which of a sample's numbers survives dropout, from the cipher itself. */
static double
kept (const struct kern_drop *d, int64_t sample, int64_t i)
{
  uint32_t word[4];
  struct random_key key = {d->seed, RANDOM_DROPOUT, d->site,
                           (uint64_t)d->step << 32 |
                               (uint64_t)(d->first_sample + sample)};
  random_block (&key, (uint64_t)i / 8, word);
  uint32_t half = word[i % 8 / 2] >> (i % 2 ? 16 : 0) & 0xffff;
  double least = rint ((double)d->p * 65536);
  return half < least ? 0 : 65536 / (65536 - least);
}

/* What the twin says; sizes are the sums of the absolute values of the terms
 * that each number is made of. */
struct result {
  double *o, *o_size;     /* batch x t x heads x width */
  double *d_qkv, *d_size; /* three times as many; NULL: not asked for */
  double score;           /* the size of the largest one */
};

/* Query i of one head: over how many keys it looks, their probabilities, what
 * dropout makes of 1. */
static int64_t
twin_softmax (const struct kern_attention *a, const struct kern_drop *drop,
              int64_t sample, int64_t head, int64_t i, enum fault fault,
              const double *qkv, double *p, double *keep, double *score)
{
  int64_t d = a->heads * a->width, ld = 3 * d, padded = (a->t + 7) / 8 * 8;
  const double *q = qkv + sample * a->t * ld + head * a->width;
  double scale = fault == UNSCALED ? 1 : 1 / sqrt ((double)a->width);
  double top = -INFINITY, sum = 0;
  int64_t n = fault == UNMASKED && i + 2 <= a->t ? i + 2 : i + 1;
  for (int64_t j = 0; j < n; j++) {
    double size = p[j] = 0;
    for (int64_t c = 0; c < a->width; c++) {
      double term = scale * q[i * ld + c] * q[j * ld + d + c];
      p[j] += term;
      size += fabs (term);
    }
    top = fmax (top, p[j]);
    *score = fmax (*score, size);
  }
  for (int64_t j = 0; j < n; j++)
    sum += p[j] = exp (p[j] - top);
  for (int64_t j = 0; j < n; j++) {
    p[j] /= sum;
    keep[j] = drop && fault != UNDROPPED
                  ? kept (drop, sample, (head * a->t + i) * padded + j)
                  : 1;
  }
  return n;
}

/* Gradients of one query; x and d_o begin at its head, d and size like x. */
static void
twin_back (const struct kern_attention *a, int64_t i, int64_t n,
           const double *p, const double *keep, const double *x,
           const float *d_o, double *d, double *size)
{
  int64_t all = a->heads * a->width, ld = 3 * all;
  double scale = 1 / sqrt ((double)a->width), delta = 0, delta_size = 0;
  double *slope = doubles ((size_t)n), *slope_size = doubles ((size_t)n);
  for (int64_t j = 0; j < n; j++) {
    for (int64_t c = 0; c < a->width; c++) {
      double term = d_o[i * all + c] * x[j * ld + 2 * all + c] * keep[j];
      slope[j] += term;
      slope_size[j] += fabs (term);
      d[j * ld + 2 * all + c] += p[j] * keep[j] * d_o[i * all + c];
      size[j * ld + 2 * all + c] += fabs (p[j] * keep[j] * d_o[i * all + c]);
    }
    delta += p[j] * slope[j];
    delta_size += p[j] * slope_size[j];
  }
  for (int64_t j = 0; j < n; j++) {
    double s = p[j] * (slope[j] - delta) * scale;
    double s_size = p[j] * (slope_size[j] + delta_size) * scale;
    for (int64_t c = 0; c < a->width; c++) {
      d[i * ld + c] += s * x[j * ld + all + c];
      size[i * ld + c] += fabs (s_size * x[j * ld + all + c]);
      d[j * ld + all + c] += s * x[i * ld + c];
      size[j * ld + all + c] += fabs (s_size * x[i * ld + c]);
    }
  }
  mem_free (&slope);
  mem_free (&slope_size);
}

/* One head; d_o NULL: forward alone. */
static void
twin_head (const struct kern_attention *a, const struct kern_drop *drop,
           int64_t sample, int64_t head, enum fault fault, const double *qkv,
           const float *d_o, struct result *r)
{
  int64_t d = a->heads * a->width;
  int64_t at = sample * a->t * d + head * a->width;
  int64_t at_qkv = sample * a->t * 3 * d + head * a->width;
  double *p = doubles ((size_t)a->t), *keep = doubles ((size_t)a->t);
  for (int64_t i = 0; i < a->t; i++) {
    int64_t n =
        twin_softmax (a, drop, sample, head, i, fault, qkv, p, keep, &r->score);
    for (int64_t c = 0; c < a->width; c++) {
      double sum = 0, size = 0;
      for (int64_t j = 0; j < n; j++) {
        double term = p[j] * keep[j] * qkv[at_qkv + j * 3 * d + 2 * d + c];
        sum += term;
        size += fabs (term);
      }
      r->o[at + i * d + c] = sum;
      r->o_size[at + i * d + c] = size;
    }
    if (d_o)
      twin_back (a, i, n, p, keep, qkv + at_qkv, d_o + at, r->d_qkv + at_qkv,
                 r->d_size + at_qkv);
  }
  mem_free (&p);
  mem_free (&keep);
}

static size_t
numbers (const struct kern_attention *a)
{
  return (size_t)(a->batch * a->t * a->heads * a->width);
}

static void
result_clear (struct result *r)
{
  mem_free (&r->o);
  mem_free (&r->o_size);
  mem_free (&r->d_qkv);
  mem_free (&r->d_size);
}

static void
twin_attention (const struct kern_attention *a, const struct kern_drop *drop,
                enum fault fault, const double *qkv, const float *d_o,
                struct result *r)
{
  size_t n = numbers (a);
  *r = (struct result){.o = doubles (n), .o_size = doubles (n)};
  if (d_o) {
    r->d_qkv = doubles (3 * n);
    r->d_size = doubles (3 * n);
  }
  for (int64_t s = 0; s < a->batch; s++)
    for (int64_t h = 0; h < a->heads; h++)
      twin_head (a, drop, s, h, fault, qkv, d_o, r);
}

/* -- limits ---------------------------------------------------------------- */

/* The relative error of a probability follows the error of a score and that of
 * the logarithm of the sum; then come the exponential, its sum over up to t
 * keys, rescaled at every tile, and the sum over values. */
static double
reach (const struct kern_attention *a, const struct result *r)
{
  double exponent = 2 * r->score + log ((double)a->t);
  return exponent * rounding ((double)a->width + 4) +
         2 * rounding ((double)a->t + 2 * EXP_ROUNDINGS + 4);
}

/* Backward has the probability, delta made of the output, and in each of them
 * a sum over the width; then a sum over the queries. */
static double
reach_back (const struct kern_attention *a, const struct result *r)
{
  return 3 * (reach (a, r) + rounding ((double)a->width + 4));
}

/* The twin's gradient is the slope of its output, along a random direction in
 * q, k and v each: central differences in double. */
static bool
twin_is_smooth (const struct kern_attention *a, const struct kern_drop *drop,
                const double *x, const float *d_o, const struct result *r)
{
  int64_t d = a->heads * a->width;
  size_t n = 3 * numbers (a);
  double *moved = doubles (n);
  bool good = true;
  for (int part = 0; part < 3; part++) {
    struct slope f = {.step = 1e-4};
    float *along = noise (n, 50);
    double gradient = 0;
    for (size_t i = 0; i < n; i++) {
      if ((int)((int64_t)i % (3 * d) / d) != part)
        along[i] = 0;
      gradient += along[i] * r->d_qkv[i];
    }
    for (int side = 0; side < 4; side++) {
      struct result moves;
      for (size_t i = 0; i < n; i++)
        moved[i] = x[i] + slope_steps[side] * f.step * along[i];
      twin_attention (a, drop, NONE, moved, NULL, &moves);
      for (size_t i = 0; i < numbers (a); i++) {
        f.at[side] += moves.o[i] * d_o[i];
        f.noise += fabs (moves.o_size[i] * d_o[i]);
      }
      result_clear (&moves);
    }
    f.noise *= roundings ((double)n, DOUBLE_UNIT);
    good = good && slope_agrees (&f, gradient) &&
           (a->t == 1 || !slope_agrees (&f, 1.01 * gradient + 0.01));
    mem_free (&along);
  }
  mem_free (&moved);
  return good;
}

/* -- cases ----------------------------------------------------------------- */

/* Position by position, and all at once in two pieces. */
static bool
decodes (struct kern *k, const struct kern_attention *a, const float *qkv,
         const struct result *r)
{
  int64_t d = a->heads * a->width, t = a->t, half = (t + 1) / 2;
  size_t n = numbers (a);
  float *cache = floats (2 * n), *y = floats (n);
  for (int64_t i = 0; i < t; i++)
    kern_attention_decode (k, a, i, 1, qkv + i * 3 * d, cache, y + i * d);
  bool good = close_to (n, y, r->o, r->o_size, reach (a, r));
  kern_attention_decode (k, a, 0, half, qkv, cache, y);
  if (t > half)
    kern_attention_decode (k, a, half, t - half, qkv + half * 3 * d, cache,
                           y + half * d);
  good = good && close_to (n, y, r->o, r->o_size, reach (a, r));
  /* Planted: the second position does not see the first. */
  if (t > 1)
    kern_attention_decode (k, a, 0, 1, qkv + 3 * d, cache, y + d);
  good = good && (t == 1 || !close_to (n, y, r->o, r->o_size, reach (a, r)));
  mem_free (&cache);
  mem_free (&y);
  return good;
}

/* No planted fault may pass for the twin. */
static bool
faults_show (const struct kern_attention *a, const struct kern_drop *drop,
             const double *x, const float *d_o, const float *o,
             const float *d_qkv)
{
  size_t n = numbers (a);
  bool good = true;
  for (enum fault f = UNMASKED; f <= (drop ? UNDROPPED : UNSCALED); f++) {
    struct result r;
    twin_attention (a, drop, f, x, d_o, &r);
    good =
        good && (a->t == 1 || !close_to (n, o, r.o, r.o_size, reach (a, &r)));
    good = good && (a->t == 1 || !close_to (3 * n, d_qkv, r.d_qkv, r.d_size,
                                            reach_back (a, &r)));
    result_clear (&r);
  }
  return good;
}

static void
test (struct kern *k, int64_t batch, int64_t t, int64_t heads, int64_t width,
      float p)
{
  struct kern_attention a = {batch, t, heads, width};
  struct kern_drop some = {p, 11, 22, 33, 44}, *drop = p > 0 ? &some : NULL;
  size_t n = numbers (&a);
  float *qkv = noise (3 * n, 1), *o = noise (n, 2), *d_o = noise (n, 3);
  float *lse = floats ((size_t)(batch * heads * t)), *d_qkv = noise (3 * n, 4);
  double *x = doubles (3 * n);
  struct result want;
  for (size_t i = 0; i < 3 * n; i++) {
    qkv[i] *= 3;
    x[i] = qkv[i];
  }
  MUST (kern_attention_want (k, &a));
  MUST (kern_seal (k));
  MUST (kern_attention_forward (k, &a, drop, qkv, o, lse));
  MUST (kern_attention_back (k, &a, drop, qkv, o, lse, d_o, d_qkv));
  twin_attention (&a, drop, NONE, x, d_o, &want);
  tap_ok (close_to (n, o, want.o, want.o_size, reach (&a, &want)),
          "%d x %d, %d heads of %d, dropout %g: forward", (int)batch, (int)t,
          (int)heads, (int)width, (double)p);
  tap_ok (twin_is_smooth (&a, drop, x, d_o, &want) &&
              close_to (3 * n, d_qkv, want.d_qkv, want.d_size,
                        reach_back (&a, &want)),
          "backward");
  tap_ok (faults_show (&a, drop, x, d_o, o, d_qkv), "planted faults show");
  d_qkv[n] += 0.02f;
  tap_ok (
      !close_to (3 * n, d_qkv, want.d_qkv, want.d_size, reach_back (&a, &want)),
      "so does a number that is off");
  if (batch == 1 && !drop)
    tap_ok (decodes (k, &a, qkv, &want), "through the cache");
  float *all[] = {qkv, o, d_o, lse, d_qkv};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (&all[i]);
  mem_free (&x);
  result_clear (&want);
}

/* Equal bits for one thread and three. */
static void
test_threads (void)
{
  struct kern_attention a = {2, 150, 3, 8};
  size_t n = 2 * 150 * 24;
  float *qkv = noise (3 * n, 1), *d_o = noise (n, 2), *o[2], *d[2], *lse[2];
  struct kern_drop drop = {0.1f, 1, 2, 3, 4};
  for (int i = 0; i < 2; i++) {
    struct kern *k = NULL;
    MUST (kern_open (i ? 3 : 1, &k));
    MUST (kern_attention_want (k, &a));
    MUST (kern_seal (k));
    o[i] = floats (n);
    d[i] = floats (3 * n);
    lse[i] = floats (2 * 150 * 3);
    MUST (kern_attention_forward (k, &a, &drop, qkv, o[i], lse[i]));
    MUST (kern_attention_back (k, &a, &drop, qkv, o[i], lse[i], d_o, d[i]));
    kern_close (&k);
  }
  tap_ok (memcmp (o[0], o[1], n * sizeof (float)) == 0 &&
              memcmp (d[0], d[1], 3 * n * sizeof (float)) == 0,
          "the same bits for one thread and three");
  float *all[] = {qkv, d_o, o[0], o[1], d[0], d[1], lse[0], lse[1]};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (&all[i]);
}

int
main (void)
{
  struct kern *k = NULL;
  MUST (kern_open (2, &k));
  test (k, 2, 1, 1, 4, 0);
  test (k, 1, 7, 3, 5, 0);
  test (k, 2, 64, 2, 16, 0);
  test (k, 1, 65, 2, 8, 0);
  test (k, 1, 200, 2, 12, 0);
  test (k, 2, 13, 2, 4, 0.25f);
  test (k, 1, 131, 2, 4, 0.1f);
  test (k, 1, 4096, 1, 3, 0);
  kern_close (&k);
  test_threads ();
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left behind");
  return tap_done ();
}

/* ranks: 0 */
/* Tiled attention against the naive one in double, its backward pass against
 * differences of that, lengths that do not divide, dropout, and the cache. */
#include "tests/kern/twin.h"

enum fault { NONE, UNMASKED, UNSCALED, UNDROPPED, UNGROUPED };

/* Heads of keys and values, numbers of a row, and where the keys that a head
 * looks at begin in it; the values are kv x width behind. */
static int64_t
kv_of (const struct kern_attention *a)
{
  return a->kv_heads ? a->kv_heads : a->heads;
}

static int64_t
row_of (const struct kern_attention *a)
{
  return (a->heads + 2 * kv_of (a)) * a->width;
}

static int64_t
keys_at (const struct kern_attention *a, int64_t head, enum fault fault)
{
  const int64_t kv = kv_of (a), mine = head / (a->heads / kv);
  return (a->heads + (fault == UNGROUPED ? head % kv : mine)) * a->width;
}

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
  double *d_qkv, *d_size; /* with keys and values; NULL: not asked for */
  double score;           /* the size of the largest one */
};

/* Query i of one head: over how many keys it looks, their probabilities, what
 * dropout makes of 1. */
static int64_t
twin_softmax (const struct kern_attention *a, const struct kern_drop *drop,
              int64_t sample, int64_t head, int64_t i, enum fault fault,
              const double *qkv, double *p, double *keep, double *score)
{
  int64_t ld = row_of (a), padded = (a->t + 7) / 8 * 8;
  const double *q = qkv + sample * a->t * ld + head * a->width;
  const double *key = qkv + sample * a->t * ld + keys_at (a, head, fault);
  double scale = fault == UNSCALED ? 1 : 1 / sqrt ((double)a->width);
  double top = -INFINITY, sum = 0;
  int64_t n = fault == UNMASKED && i + 2 <= a->t ? i + 2 : i + 1;
  for (int64_t j = 0; j < n; j++) {
    double size = p[j] = 0;
    for (int64_t c = 0; c < a->width; c++) {
      double term = scale * q[i * ld + c] * key[j * ld + c];
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

/* Gradients of one query; d_o begins at its head, x, d and size at its sample.
 */
static void
twin_back (const struct kern_attention *a, int64_t head, int64_t i, int64_t n,
           const double *p, const double *keep, const double *x,
           const float *d_o, double *d, double *size)
{
  int64_t all = a->heads * a->width, ld = row_of (a);
  const int64_t q = i * ld + head * a->width, key = keys_at (a, head, NONE);
  const int64_t value = key + kv_of (a) * a->width;
  double scale = 1 / sqrt ((double)a->width), delta = 0, delta_size = 0;
  double *slope = doubles ((size_t)n), *slope_size = doubles ((size_t)n);
  for (int64_t j = 0; j < n; j++) {
    for (int64_t c = 0; c < a->width; c++) {
      const int64_t at = j * ld + value + c;
      double term = d_o[i * all + c] * x[at] * keep[j];
      slope[j] += term;
      slope_size[j] += fabs (term);
      d[at] += p[j] * keep[j] * d_o[i * all + c];
      size[at] += fabs (p[j] * keep[j] * d_o[i * all + c]);
    }
    delta += p[j] * slope[j];
    delta_size += p[j] * slope_size[j];
  }
  for (int64_t j = 0; j < n; j++) {
    double s = p[j] * (slope[j] - delta) * scale;
    double s_size = p[j] * (slope_size[j] + delta_size) * scale;
    for (int64_t c = 0; c < a->width; c++) {
      const int64_t at = j * ld + key + c;
      d[q + c] += s * x[at];
      size[q + c] += fabs (s_size * x[at]);
      d[at] += s * x[q + c];
      size[at] += fabs (s_size * x[q + c]);
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
  int64_t ld = row_of (a), at_qkv = sample * a->t * ld;
  int64_t value = at_qkv + keys_at (a, head, fault) + kv_of (a) * a->width;
  double *p = doubles ((size_t)a->t), *keep = doubles ((size_t)a->t);
  for (int64_t i = 0; i < a->t; i++) {
    int64_t n =
        twin_softmax (a, drop, sample, head, i, fault, qkv, p, keep, &r->score);
    for (int64_t c = 0; c < a->width; c++) {
      double sum = 0, size = 0;
      for (int64_t j = 0; j < n; j++) {
        double term = p[j] * keep[j] * qkv[value + j * ld + c];
        sum += term;
        size += fabs (term);
      }
      r->o[at + i * d + c] = sum;
      r->o_size[at + i * d + c] = size;
    }
    if (d_o)
      twin_back (a, head, i, n, p, keep, qkv + at_qkv, d_o + at,
                 r->d_qkv + at_qkv, r->d_size + at_qkv);
  }
  mem_free (&p);
  mem_free (&keep);
}

static size_t
numbers (const struct kern_attention *a)
{
  return (size_t)(a->batch * a->t * a->heads * a->width);
}

static size_t
qkv_numbers (const struct kern_attention *a)
{
  return (size_t)(a->batch * a->t * row_of (a));
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
    r->d_qkv = doubles (qkv_numbers (a));
    r->d_size = doubles (qkv_numbers (a));
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
  const int64_t d = a->heads * a->width, ld = row_of (a);
  size_t n = qkv_numbers (a);
  double *moved = doubles (n);
  bool good = true;
  for (int part = 0; part < 3; part++) {
    struct slope f = {.step = 1e-4};
    float *along = noise (n, 50);
    double gradient = 0;
    for (size_t i = 0; i < n; i++) {
      const int64_t at = (int64_t)i % ld - d;
      if ((at < 0 ? 0 : 1 + at / ((ld - d) / 2)) != part)
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
  const int64_t ld = row_of (a);
  size_t n = numbers (a);
  /* As many as keys and values have: what is behind them is guarded. */
  const size_t cached = (size_t)(t * (ld - d));
  float *cache = floats (cached + 1), *y = floats (n);
  for (int64_t i = 0; i < t; i++)
    kern_attention_decode (k, a, i, 1, qkv + i * ld, cache, y + i * d);
  bool good = close_to (n, y, r->o, r->o_size, reach (a, r));
  good = good && cache[cached] == 0 && cache[cached - 1] != 0;
  kern_attention_decode (k, a, 0, half, qkv, cache, y);
  if (t > half)
    kern_attention_decode (k, a, half, t - half, qkv + half * ld, cache,
                           y + half * d);
  good = good && close_to (n, y, r->o, r->o_size, reach (a, r));
  /* Planted: the second position does not see the first. */
  if (t > 1)
    kern_attention_decode (k, a, 0, 1, qkv + ld, cache, y + d);
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
  for (enum fault f = UNMASKED; f <= UNGROUPED; f++) {
    struct result r;
    if ((f == UNDROPPED && !drop) ||
        (f == UNGROUPED && (kv_of (a) == 1 || kv_of (a) == a->heads)))
      continue;
    twin_attention (a, drop, f, x, d_o, &r);
    good =
        good && (a->t == 1 || !close_to (n, o, r.o, r.o_size, reach (a, &r)));
    good = good && (a->t == 1 || f == UNGROUPED ||
                    !close_to (qkv_numbers (a), d_qkv, r.d_qkv, r.d_size,
                               reach_back (a, &r)));
    result_clear (&r);
  }
  return good;
}

static void
test (struct kern *k, struct kern_attention a, float p)
{
  struct kern_drop some = {p, 11, 22, 33, 44}, *drop = p > 0 ? &some : NULL;
  size_t n = numbers (&a), all_n = qkv_numbers (&a);
  float *qkv = noise (all_n, 1), *o = noise (n, 2), *d_o = noise (n, 3);
  float *lse = floats ((size_t)(a.batch * a.heads * a.t));
  float *d_qkv = noise (all_n, 4);
  double *x = doubles (all_n);
  struct result want;
  for (size_t i = 0; i < all_n; i++) {
    qkv[i] *= 3;
    x[i] = qkv[i];
  }
  MUST (kern_attention_want (k, &a));
  MUST (kern_seal (k));
  MUST (kern_attention_forward (k, &a, drop, qkv, o, lse));
  MUST (kern_attention_back (k, &a, drop, qkv, o, lse, d_o, d_qkv));
  twin_attention (&a, drop, NONE, x, d_o, &want);
  tap_ok (close_to (n, o, want.o, want.o_size, reach (&a, &want)),
          "%d x %d, %d heads of %d, %d of keys, dropout %g%s: forward",
          (int)a.batch, (int)a.t, (int)a.heads, (int)a.width, (int)kv_of (&a),
          (double)p, a.by_sgemm ? ", by sgemm" : "");
  tap_ok (twin_is_smooth (&a, drop, x, d_o, &want) &&
              close_to (all_n, d_qkv, want.d_qkv, want.d_size,
                        reach_back (&a, &want)),
          "backward");
  tap_ok (faults_show (&a, drop, x, d_o, o, d_qkv), "planted faults show");
  d_qkv[all_n - 1] += 0.02f;
  tap_ok (
      !close_to (all_n, d_qkv, want.d_qkv, want.d_size, reach_back (&a, &want)),
      "so does a number that is off");
  if (a.batch == 1 && !drop)
    tap_ok (decodes (k, &a, qkv, &want), "through the cache");
  float *all[] = {qkv, o, d_o, lse, d_qkv};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (&all[i]);
  mem_free (&x);
  result_clear (&want);
}

/* Equal bits for one thread and three. */
static void
test_threads (int64_t kv)
{
  struct kern_attention a = {2, 150, 3, 8, kv, false};
  size_t n = numbers (&a), all_n = qkv_numbers (&a);
  float *qkv = noise (all_n, 1), *d_o = noise (n, 2), *o[2], *d[2], *lse[2];
  struct kern_drop drop = {0.1f, 1, 2, 3, 4};
  for (int i = 0; i < 2; i++) {
    struct kern *k = NULL;
    MUST (kern_open (i ? 3 : 1, &k));
    MUST (kern_attention_want (k, &a));
    MUST (kern_seal (k));
    o[i] = floats (n);
    d[i] = floats (all_n);
    lse[i] = floats (2 * 150 * 3);
    MUST (kern_attention_forward (k, &a, &drop, qkv, o[i], lse[i]));
    MUST (kern_attention_back (k, &a, &drop, qkv, o[i], lse[i], d_o, d[i]));
    kern_close (&k);
  }
  tap_ok (memcmp (o[0], o[1], n * sizeof (float)) == 0 &&
              memcmp (d[0], d[1], all_n * sizeof (float)) == 0,
          "the same bits for one thread and three, %d of keys", (int)kv);
  float *all[] = {qkv, d_o, o[0], o[1], d[0], d[1], lse[0], lse[1]};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (&all[i]);
}

int
main (void)
{
  struct kern *k = NULL;
  MUST (kern_open (2, &k));
  static const struct {
    struct kern_attention a;
    float drop;
  } cases[] = {
      {{2, 1, 1, 4, 0, false}, 0},      {{1, 7, 3, 5, 0, false}, 0},
      {{2, 64, 2, 16, 0, false}, 0},    {{1, 65, 2, 8, 0, false}, 0},
      {{1, 200, 2, 12, 0, false}, 0},   {{2, 13, 2, 4, 0, false}, 0.25f},
      {{1, 131, 2, 4, 0, false}, 0.1f}, {{1, 4096, 1, 3, 0, false}, 0},
      {{1, 7, 4, 6, 2, false}, 0},      {{2, 70, 6, 4, 3, false}, 0},
      {{1, 131, 3, 4, 1, false}, 0},    {{2, 13, 4, 4, 2, false}, 0.25f}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int old = 0; old < (cases[i].a.t < 1000 ? 2 : 1); old++) {
      struct kern_attention a = cases[i].a;
      a.by_sgemm = old;
      test (k, a, cases[i].drop);
    }
  kern_close (&k);
  test_threads (3);
  test_threads (1);
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left behind");
  return tap_done ();
}

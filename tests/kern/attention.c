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

/* One head: o [t, width], rows of q, k, v are ld apart. */
static void
twin_head (const struct kern_attention *a, const struct kern_drop *drop,
           int64_t sample, int64_t head, enum fault fault, const double *qkv,
           double *o)
{
  int64_t d = a->heads * a->width, ld = 3 * d, padded = (a->t + 7) / 8 * 8;
  const double *q = qkv + sample * a->t * ld + head * a->width;
  double *p = doubles ((size_t)a->t);
  double scale = fault == UNSCALED ? 1 : 1 / sqrt ((double)a->width);
  for (int64_t i = 0; i < a->t; i++) {
    double top = -INFINITY, sum = 0;
    int64_t n = fault == UNMASKED && i + 2 <= a->t ? i + 2 : i + 1;
    for (int64_t j = 0; j < n; j++) {
      p[j] = 0;
      for (int64_t c = 0; c < a->width; c++)
        p[j] += scale * q[i * ld + c] * q[j * ld + d + c];
      top = fmax (top, p[j]);
    }
    for (int64_t j = 0; j < n; j++)
      sum += p[j] = exp (p[j] - top);
    for (int64_t j = 0; j < n; j++)
      p[j] *= drop && fault != UNDROPPED
                  ? kept (drop, sample, (head * a->t + i) * padded + j) / sum
                  : 1 / sum;
    double *to = o + (sample * a->t + i) * d + head * a->width;
    for (int64_t c = 0; c < a->width; c++) {
      to[c] = 0;
      for (int64_t j = 0; j < n; j++)
        to[c] += p[j] * q[j * ld + 2 * d + c];
    }
  }
  mem_free (&p);
}

static void
twin_attention (const struct kern_attention *a, const struct kern_drop *drop,
                enum fault fault, const double *qkv, double *o)
{
  for (int64_t s = 0; s < a->batch; s++)
    for (int64_t h = 0; h < a->heads; h++)
      twin_head (a, drop, s, h, fault, qkv, o);
}

/* <d_o, o> at qkv + t along. */
static double
twin_value (const struct kern_attention *a, const struct kern_drop *drop,
            const float *qkv, const float *along, double t, const float *d_o)
{
  size_t n = (size_t)(a->batch * a->t * a->heads * a->width);
  double *x = doubles (3 * n), *o = doubles (n), sum = 0;
  for (size_t i = 0; i < 3 * n; i++)
    x[i] = qkv[i] + t * along[i];
  twin_attention (a, drop, NONE, x, o);
  for (size_t i = 0; i < n; i++)
    sum += o[i] * d_o[i];
  mem_free (&x);
  mem_free (&o);
  return sum;
}

/* The gradient along random directions in q, k and v alone, against central
 * differences of the twin. */
static double
slopes_off (const struct kern_attention *a, const struct kern_drop *drop,
            const float *qkv, const float *d_o, const float *d_qkv)
{
  int64_t d = a->heads * a->width;
  size_t n = (size_t)(3 * a->batch * a->t * d);
  double worst = 0;
  for (int part = 0; part < 3; part++)
    for (uint64_t draw = 0; draw < 2; draw++) {
      const double h = 1e-4;
      float *along = noise (n, 50 + draw);
      for (size_t i = 0; i < n; i++)
        if ((int)((int64_t)i % (3 * d) / d) != part)
          along[i] = 0;
      double up = twin_value (a, drop, qkv, along, h, d_o);
      double down = twin_value (a, drop, qkv, along, -h, d_o);
      double want = (up - down) / (2 * h), got = dot (n, d_qkv, along);
      worst = fmax (worst,
                    fabs (got - want) / (sqrt (dot (n, d_qkv, d_qkv)) + 1e-3));
      mem_free (&along);
    }
  return worst;
}

/* Position by position, and all at once in two pieces. */
static bool
decodes (struct kern *k, const struct kern_attention *a, const float *qkv,
         const float *o)
{
  int64_t d = a->heads * a->width, t = a->t, half = (t + 1) / 2;
  float *cache = floats ((size_t)(2 * d * t)), *y = floats ((size_t)(d * t));
  double worst = 0;
  for (int64_t i = 0; i < t; i++)
    kern_attention_decode (k, a, i, 1, qkv + i * 3 * d, cache, y + i * d);
  for (int64_t i = 0; i < t * d; i++)
    worst = fmax (worst, fabs (y[i] - o[i]));
  kern_attention_decode (k, a, 0, half, qkv, cache, y);
  if (t > half)
    kern_attention_decode (k, a, half, t - half, qkv + half * 3 * d, cache,
                           y + half * d);
  for (int64_t i = 0; i < t * d; i++)
    worst = fmax (worst, fabs (y[i] - o[i]));
  mem_free (&cache);
  mem_free (&y);
  return worst < 3e-6;
}

static void
test (struct kern *k, int64_t batch, int64_t t, int64_t heads, int64_t width,
      float p)
{
  struct kern_attention a = {batch, t, heads, width};
  struct kern_drop some = {p, 11, 22, 33, 44}, *drop = p > 0 ? &some : NULL;
  size_t n = (size_t)(batch * t * heads * width);
  float *qkv = noise (3 * n, 1), *o = noise (n, 2), *d_o = noise (n, 3);
  float *lse = floats ((size_t)(batch * heads * t)), *d_qkv = noise (3 * n, 4);
  double *x = doubles (3 * n), *want = doubles (n);
  for (size_t i = 0; i < 3 * n; i++) {
    qkv[i] *= 3;
    x[i] = qkv[i];
  }
  kern_attention_want (k, &a);
  MUST (kern_seal (k));
  MUST (kern_attention_forward (k, &a, drop, qkv, o, lse));
  twin_attention (&a, drop, NONE, x, want);
  bool good = close_to (n, o, want, NULL, 5e-6);
  for (enum fault f = UNMASKED; f <= (drop ? UNDROPPED : UNSCALED); f++) {
    twin_attention (&a, drop, f, x, want);
    good = good && (t == 1 || !close_to (n, o, want, NULL, 5e-6));
  }
  tap_ok (good, "%d x %d, %d heads of %d, dropout %g: forward", (int)batch,
          (int)t, (int)heads, (int)width, (double)p);
  MUST (kern_attention_back (k, &a, drop, qkv, o, lse, d_o, d_qkv));
  double off = slopes_off (&a, drop, qkv, d_o, d_qkv);
  d_qkv[n] += 0.02f;
  d_qkv[n + 1] -= 0.02f;
  double planted = slopes_off (&a, drop, qkv, d_o, d_qkv);
  tap_ok (off < 3e-6 && planted > 10 * off,
          "backward (off by %.1e, planted %.1e)", off, planted);
  if (batch == 1 && !drop)
    tap_ok (decodes (k, &a, qkv, o), "through the cache");
  float *all[] = {qkv, o, d_o, lse, d_qkv};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (&all[i]);
  mem_free (&x);
  mem_free (&want);
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
    kern_attention_want (k, &a);
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

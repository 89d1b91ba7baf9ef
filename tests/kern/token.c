/* ranks: 0 */
/* The loops of language models against their twins: LayerNorm, GELU, embedding,
 * choice of rows, dropout. */
#include "tests/kern/twin.h"

static struct kern *k;

/* -- LayerNorm ------------------------------------------------------------- */

static void
twin_norm (int64_t n, int64_t d, const double *x, const double *scale,
           const float *shift, double eps, double *y)
{
  for (int64_t i = 0; i < n; i++) {
    double mean = 0, var = 0;
    for (int64_t j = 0; j < d; j++)
      mean += x[i * d + j] / (double)d;
    for (int64_t j = 0; j < d; j++)
      var += pow (x[i * d + j] - mean, 2) / (double)d;
    for (int64_t j = 0; j < d; j++)
      y[i * d + j] =
          (x[i * d + j] - mean) / sqrt (var + eps) * scale[j] + shift[j];
  }
}

/* <d_y, y> with x + t a and scale + t b. */
static double
norm_value (int64_t n, int64_t d, const float *x, const float *scale,
            const float *shift, const float *a, const float *b, double t,
            const float *d_y)
{
  size_t all = (size_t)(n * d);
  double *u = doubles (all), *v = doubles ((size_t)d), *y = doubles (all);
  double sum = 0;
  for (size_t i = 0; i < all; i++)
    u[i] = x[i] + t * a[i];
  for (int64_t j = 0; j < d; j++)
    v[j] = scale[j] + t * b[j];
  twin_norm (n, d, u, v, shift, 1e-5, y);
  for (size_t i = 0; i < all; i++)
    sum += y[i] * d_y[i];
  mem_free (&u);
  mem_free (&v);
  mem_free (&y);
  return sum;
}

static void
test_norm (int64_t n, int64_t d)
{
  size_t all = (size_t)(n * d), rows = (size_t)n, width = (size_t)d;
  float *x = noise (all, 1), *scale = noise (width, 2), *y = noise (all, 4);
  float *shift = noise (width, 3), *d_y = noise (all, 5), *d_x = noise (all, 6);
  float *mean = floats (rows), *rstd = floats (rows), *b = noise (width, 7);
  float *d_scale = noise (width, 8), *d_shift = noise (width, 9);
  double *u = doubles (all), *v = doubles (width), *want = doubles (all);
  for (size_t i = 0; i < all; i++)
    u[i] = x[i];
  for (size_t j = 0; j < width; j++)
    v[j] = scale[j];
  kern_norm_forward (k, n, d, x, scale, shift, y, mean, rstd);
  twin_norm (n, d, u, v, shift, 1e-5, want);
  bool good = close_to (all, y, want, NULL, 4e-6);
  twin_norm (n, d, u, v, shift, 1e-3, want);
  good = good && !close_to (all, y, want, NULL, 4e-6);
  tap_ok (good, "LayerNorm %d x %d: forward", (int)n, (int)d);
  kern_norm_back (k, n, d, x, d_y, scale, mean, rstd, d_x);
  kern_norm_back_weights (k, n, d, x, d_y, mean, rstd, false, d_scale, d_shift);
  kern_norm_back_weights (k, n, d, x, d_y, mean, rstd, true, d_scale, d_shift);
  for (size_t j = 0; j < width; j++) {
    double sum = 0;
    for (size_t i = 0; i < rows; i++)
      sum += 2 * (double)d_y[i * width + j];
    good = good && fabs (sum - d_shift[j]) < 4e-6 * (double)n;
    d_scale[j] *= 0.5f;
  }
  double slope = dot (all, d_x, y) + dot (width, d_scale, b), h = 1e-5;
  double up = norm_value (n, d, x, scale, shift, y, b, h, d_y);
  double down = norm_value (n, d, x, scale, shift, y, b, -h, d_y);
  double most = sqrt (dot (all, d_x, d_x) + dot (width, d_scale, d_scale));
  double off = fabs (slope - (up - down) / (2 * h)) / most;
  tap_ok (good && off < 5e-6, "backward (off by %.1e)", off);
  float *f[] = {x, scale, y, shift, d_y, d_x, mean, rstd, b, d_scale, d_shift};
  for (size_t i = 0; i < sizeof f / sizeof *f; i++)
    mem_free (&f[i]);
  mem_free (&u);
  mem_free (&v);
  mem_free (&want);
}

/* -- GELU ------------------------------------------------------------------ */

static double
twin_gelu (double x)
{
  return 0.5 * x *
         (1 +
          tanh (sqrt (2 / 3.14159265358979324) * (x + 0.044715 * x * x * x)));
}

static void
test_gelu (size_t n)
{
  float *x = noise (n, 1), *y = noise (n, 2), *d_y = noise (n, 3);
  float *d_x = noise (n, 4);
  double worst = 0, slope = 0, erf_form = 0;
  for (size_t i = 0; i < n; i++)
    x[i] *= i % 3 == 0 ? 40 : 4;
  kern_gelu (k, n, x, y);
  kern_gelu_back (k, n, x, d_y, d_x);
  for (size_t i = 0; i < n; i++) {
    double at = x[i], h = 1e-4;
    double size = fmax (1, fabs (at));
    double want = (twin_gelu (at + h) - twin_gelu (at - h)) / (2 * h);
    worst = fmax (worst, fabs (y[i] - twin_gelu (at)) / size);
    slope = fmax (slope, fabs (d_x[i] - d_y[i] * want));
    double other = 0.5 * at * (1 + erf (at / sqrt (2)));
    erf_form = fmax (erf_form, fabs (y[i] - other) / size);
  }
  float odd[2] = {NAN, INFINITY}, out[2];
  kern_gelu (k, 2, odd, out);
  tap_ok (worst < 3e-7 && erf_form > 1e-5,
          "GELU of %d: forward (off by %.1e; %.1e from the other form)", (int)n,
          worst, erf_form);
  tap_ok (slope < 2e-6 && isnan (out[0]) && isinf (out[1]),
          "backward (off by %.1e); NaN and infinity go through", slope);
  mem_free (&x);
  mem_free (&y);
  mem_free (&d_y);
  mem_free (&d_x);
}

/* -- embedding and rows ---------------------------------------------------- */

static void
test_embed (int64_t b, int64_t t, int64_t d, int64_t words)
{
  int64_t n = b * t;
  size_t all = (size_t)(n * d);
  int32_t token[512];
  float *table = noise ((size_t)(words * d), 1), *place = noise (all, 2);
  float *y = noise (all, 3), *d_y = noise (all, 4);
  float *d_table = floats ((size_t)(words * d)), *d_place = floats (all);
  double *want = doubles ((size_t)(words * d)), *at = doubles (all);
  bool good = true;
  for (int64_t i = 0; i < n; i++)
    token[i] = (int32_t)((i * i + 3 * i / 2) % words);
  kern_embed (k, n, d, t, 0, token, table, place, y);
  kern_embed_back (k, n, d, t, token, d_y, d_table, d_place);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < d; j++) {
      good = good &&
             y[i * d + j] == table[token[i] * d + j] + place[i % t * d + j];
      want[token[i] * d + j] += d_y[i * d + j];
      at[i % t * d + j] += d_y[i * d + j];
    }
  good = good && close_to ((size_t)(words * d), d_table, want, NULL, 1e-5);
  good = good && close_to ((size_t)(t * d), d_place, at, NULL, 1e-5);
  want[token[n - 1] * d] += 1e-3;
  good = good && !close_to ((size_t)(words * d), d_table, want, NULL, 1e-5);
  kern_embed (k, 1, d, t, 2, token + 2, table, place, d_y);
  good = good && memcmp (d_y, y + 2 * d, (size_t)d * sizeof *y) == 0;
  tap_ok (good, "embedding of %d x %d tokens, %d wide, %d words", (int)b,
          (int)t, (int)d, (int)words);
  float *f[] = {table, place, y, d_y, d_table, d_place};
  for (size_t i = 0; i < sizeof f / sizeof *f; i++)
    mem_free (&f[i]);
  mem_free (&want);
  mem_free (&at);
}

static void
test_rows (void)
{
  enum { N = 3, ROWS = 7, D = 5 };
  const int64_t index[N] = {0, 3, 6};
  float *x = noise (ROWS * D, 1), *y = noise (N * D, 2),
        *z = noise (ROWS * D, 3);
  bool good = true;
  kern_rows_take (k, N, D, index, x, y);
  kern_rows_put (k, N, ROWS, D, index, y, z);
  for (int i = 0; i < ROWS * D; i++)
    good = good && z[i] == (i / D % 3 == 0 ? x[i] : 0);
  tap_ok (good, "rows taken and put back");
  mem_free (&x);
  mem_free (&y);
  mem_free (&z);
}

/* -- dropout --------------------------------------------------------------- */

/* A batch in one call, and each sample of it alone. */
static void
test_dropout (float p)
{
  enum { SAMPLES = 3, N = 5001 };
  struct kern_drop d = {p, 5, 6, 7, 8};
  float *x = floats (SAMPLES * N), *y = floats (SAMPLES * N), *z = floats (N);
  bool good = true;
  int64_t gone = 0, same = 0;
  for (int i = 0; i < SAMPLES * N; i++)
    x[i] = 1;
  kern_dropout (k, &d, SAMPLES, N, x, y);
  const float factor = 65536.0f / (65536.0f - rintf (p * 65536));
  for (int i = 0; i < SAMPLES * N; i++) {
    gone += y[i] == 0;
    good = good && (y[i] == 0 || y[i] == factor);
  }
  for (int s = 0; s < SAMPLES; s++) {
    d.first_sample = 8 + s;
    kern_dropout (k, &d, 1, N, x, z);
    good = good && memcmp (z, y + s * N, N * sizeof *z) == 0;
  }
  d.step++;
  kern_dropout (k, &d, 1, N, x, z);
  for (int i = 0; i < N; i++)
    same += z[i] == y[2 * N + i];
  double share = (double)gone / (SAMPLES * N), q = 1 - p;
  double spread = sqrt (p * q / (SAMPLES * N));
  double alike = p * p + q * q;
  tap_ok (good && fabs (share - p) < 4 * spread &&
              fabs ((double)same / N - alike) < 4 * sqrt (alike / N),
          "dropout %g: %.4f dropped; by sample, not by batch; other steps "
          "differ",
          (double)p, share);
  mem_free (&x);
  mem_free (&y);
  mem_free (&z);
}

/* random_blocks is random_block many times. */
static void
test_blocks (void)
{
  struct random_key key = {1, RANDOM_TEST, 2, 3};
  uint32_t many[4 * 37], one[4];
  bool good = true;
  random_blocks (&key, 0xfffffff0u, 37, many);
  for (uint64_t i = 0; i < 37; i++) {
    random_block (&key, 0xfffffff0u + i, one);
    good = good && memcmp (one, many + 4 * i, sizeof one) == 0;
  }
  tap_ok (good, "blocks of random words, many at once");
}

int
main (void)
{
  MUST (kern_open (2, &k));
  test_norm (5, 7);
  test_norm (33, 70);
  test_norm (1000, 64);
  test_gelu (11);
  test_gelu (50001);
  test_embed (2, 5, 7, 4);
  test_embed (4, 100, 100, 300);
  test_rows ();
  test_dropout (0.1f);
  test_dropout (0.5f);
  test_blocks ();
  kern_close (&k);
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left behind");
  return tap_done ();
}

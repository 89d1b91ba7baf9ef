/* ranks: 0 */
/* The loops of language models against their twins: LayerNorm, RMSNorm, GELU,
 * SwiGLU, rotary positions, embedding, choice of rows, dropout. */
#include "tests/kern/twin.h"

static struct kern *k;

/* -- LayerNorm ------------------------------------------------------------- */

/* y, the gradients at x, scale and shift; each with how far float may lie from
 * it.  Of one row, or of all with sums over them. */
struct norm {
  double *y, *d_x, *d_scale, *d_shift;
  double *y_reach, *d_x_reach, *d_scale_reach, *d_shift_reach;
};

static void
twin_norm_row (int64_t d, const float *x, const float *scale,
               const float *shift, const float *d_y, double eps, bool fault,
               struct norm *r)
{
  double *v = doubles ((size_t)d), *g = doubles ((size_t)d);
  struct twin_moments w;
  for (int64_t j = 0; j < d; j++) {
    v[j] = x[j];
    g[j] = (double)scale[j] * d_y[j];
  }
  twin_moments_of (d, v, eps, &w);
  twin_normal_back (d, &w, v, g, fault, r->d_x, r->d_x_reach);
  for (int64_t j = 0; j < d; j++) {
    double unit = (v[j] - w.mean) * w.inv, off = twin_unit_reach (&w, v[j]);
    r->y[j] = unit * scale[j] + shift[j];
    r->y_reach[j] = fabs (scale[j]) * off +
                    rounding (3) * (fabs (unit * scale[j]) + fabs (shift[j]));
    r->d_scale[j] = d_y[j] * unit;
    r->d_scale_reach[j] = fabs (d_y[j]) * off;
    r->d_shift[j] = d_y[j];
  }
  mem_free (&v);
  mem_free (&g);
}

static void
norm_clear (struct norm *t)
{
  double **all[] = {
      &t->y,       &t->d_x,       &t->d_scale,       &t->d_shift,
      &t->y_reach, &t->d_x_reach, &t->d_scale_reach, &t->d_shift_reach};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (all[i]);
}

/* eps and fault are right, or planted. */
static void
twin_norm (int64_t n, int64_t d, const float *x, const float *scale,
           const float *shift, const float *d_y, double eps, bool fault,
           struct norm *t)
{
  size_t all = (size_t)(n * d), width = (size_t)d;
  double *part[4], reach = rounding ((double)n + 4);
  *t = (struct norm){doubles (all),   doubles (all),  doubles (width),
                     doubles (width), doubles (all),  doubles (all),
                     doubles (width), doubles (width)};
  for (int i = 0; i < 4; i++)
    part[i] = doubles (width);
  for (int64_t i = 0; i < n; i++) {
    struct norm r = {
        t->y + i * d,       t->d_x + i * d,       part[0], part[1],
        t->y_reach + i * d, t->d_x_reach + i * d, part[2], part[3]};
    twin_norm_row (d, x + i * d, scale, shift, d_y + i * d, eps, fault, &r);
    for (int64_t j = 0; j < d; j++) {
      t->d_scale[j] += part[0][j];
      t->d_shift[j] += part[1][j];
      t->d_scale_reach[j] += part[2][j] + reach * fabs (part[0][j]);
      t->d_shift_reach[j] += reach * fabs (part[1][j]);
    }
  }
  for (int i = 0; i < 4; i++)
    mem_free (&part[i]);
}

static void
test_norm (int64_t n, int64_t d)
{
  size_t all = (size_t)(n * d), rows = (size_t)n, width = (size_t)d;
  float *x = noise (all, 1), *scale = noise (width, 2), *y = noise (all, 4);
  float *shift = noise (width, 3), *d_y = noise (all, 5), *d_x = noise (all, 6);
  float *mean = floats (rows), *rstd = floats (rows);
  float *d_scale = noise (width, 8), *d_shift = noise (width, 9);
  struct norm want, other;
  twin_norm (n, d, x, scale, shift, d_y, 1e-5, false, &want);
  twin_norm (n, d, x, scale, shift, d_y, 1e-3, true, &other);
  kern_norm_forward (k, n, d, x, scale, shift, y, mean, rstd);
  tap_ok (close_to (all, y, want.y, want.y_reach, 1) &&
              !close_to (all, y, other.y, other.y_reach, 1),
          "LayerNorm %d x %d: forward", (int)n, (int)d);
  kern_norm_back (k, n, d, x, d_y, scale, mean, rstd, d_x);
  tap_ok (close_to (all, d_x, want.d_x, want.d_x_reach, 1) &&
              !close_to (all, d_x, other.d_x, other.d_x_reach, 1),
          "backward, data");
  kern_norm_back_weights (k, n, d, x, d_y, mean, rstd, false, d_scale, d_shift);
  kern_norm_back_weights (k, n, d, x, d_y, mean, rstd, true, d_scale, d_shift);
  bool planted =
      !close_to (width, d_scale, want.d_scale, want.d_scale_reach, 2);
  for (size_t j = 0; j < width; j++) {
    want.d_scale[j] *= 2;
    want.d_shift[j] *= 2;
  }
  tap_ok (planted &&
              close_to (width, d_scale, want.d_scale, want.d_scale_reach, 2) &&
              close_to (width, d_shift, want.d_shift, want.d_shift_reach, 2),
          "backward, weights: set, and added");
  float *f[] = {x, scale, y, shift, d_y, d_x, mean, rstd, d_scale, d_shift};
  for (size_t i = 0; i < sizeof f / sizeof *f; i++)
    mem_free (&f[i]);
  norm_clear (&want);
  norm_clear (&other);
}

/* -- normalisation without parameters ----------------------------------------
 */

/* Rows of y and d_x with how far float may lie from them.  Without a mean the
 * gradient has no part along it: the gradient is handed in less that part. */
static void
twin_bare (int64_t n, int64_t d, bool centred, const float *x, const float *d_y,
           double eps, bool fault, double *part[4])
{
  double *v = doubles ((size_t)d), *g = doubles ((size_t)d);
  for (int64_t i = 0; i < n; i++) {
    double *y = part[0] + i * d, *d_x = part[1] + i * d;
    double *y_reach = part[2] + i * d, *d_x_reach = part[3] + i * d;
    struct twin_moments w;
    for (int64_t j = 0; j < d; j++) {
      v[j] = x[i * d + j];
      g[j] = d_y[i * d + j];
    }
    twin_moments_about (d, v, eps, centred, &w);
    struct twin_sums s = twin_normal_back (d, &w, v, g, fault, d_x, d_x_reach);
    for (int64_t j = 0; j < d; j++) {
      y[j] = (v[j] - w.mean) * w.inv;
      y_reach[j] = twin_unit_reach (&w, v[j]);
      d_x[j] += centred ? 0 : w.inv * s.sum / (double)d;
    }
  }
  mem_free (&v);
  mem_free (&g);
}

static void
test_bare (int64_t n, int64_t d, bool centred)
{
  size_t all = (size_t)(n * d);
  float *x = noise (all, 1), *y = noise (all, 2), *d_y = noise (all, 3);
  float *d_x = noise (all, 4), *rstd = floats ((size_t)n);
  double *want[4], *other[4];
  for (int i = 0; i < 4; i++) {
    want[i] = doubles (all);
    other[i] = doubles (all);
  }
  for (size_t i = 0; i < all; i++)
    x[i] = 3 * x[i] + 0.5f; /* a mean that shows */
  twin_bare (n, d, centred, x, d_y, 1e-5, false, want);
  twin_bare (n, d, !centred, x, d_y, 1e-5, true, other);
  kern_norm_bare (k, n, d, centred, x, y, rstd);
  tap_ok (close_to (all, y, want[0], want[2], 1) &&
              !close_to (all, y, other[0], other[2], 1),
          "%s without parameters, %d x %d: forward",
          centred ? "LayerNorm" : "RMS", (int)n, (int)d);
  kern_norm_bare_back (k, n, d, centred, y, d_y, rstd, d_x);
  tap_ok (close_to (all, d_x, want[1], want[3], 1) &&
              !close_to (all, d_x, other[1], other[3], 1),
          "backward");
  kern_norm_bare_back (k, n, d, centred, y, d_y, rstd, d_y);
  tap_ok (memcmp (d_y, d_x, all * sizeof *d_x) == 0, "the same over its input");
  twin_bare (n, d, centred, x, d_x, 1e-2, false, other);
  tap_ok (!close_to (all, y, other[0], other[2], 1), "another eps is noticed");
  float *f[] = {x, y, d_y, d_x, rstd};
  for (size_t i = 0; i < sizeof f / sizeof *f; i++)
    mem_free (&f[i]);
  for (int i = 0; i < 4; i++) {
    mem_free (&want[i]);
    mem_free (&other[i]);
  }
}

/* -- RMSNorm -----------------------------------------------------------------
 */

/* Pieces of rows; what is behind them stays as it is. */
static void
test_rms (int64_t n, int64_t pieces, int64_t d, int64_t more)
{
  const struct kern_rms r = {n, pieces, d, pieces * d + more};
  const int64_t all = n * r.ld, parts = n * pieces;
  float *x = noise ((size_t)all, 1), *scale = noise ((size_t)d, 2);
  float *y = noise ((size_t)all, 3), *d_y = noise ((size_t)all, 4);
  float *d_x = noise ((size_t)all, 5), *rstd = floats ((size_t)parts);
  float *d_scale = noise ((size_t)d, 6), *same = noise ((size_t)all, 3);
  double *want = doubles ((size_t)d), *reach = doubles ((size_t)d);
  bool good = true, back = true, kept = true, eps = false, mean = false;
  for (int64_t i = 0; i < all; i++)
    x[i] = 0.06f * x[i] + 0.01f; /* a mean that shows, and an eps */
  kern_rms_forward (k, &r, x, scale, y, rstd);
  kern_rms_back (k, &r, x, d_y, scale, rstd, d_x);
  kern_rms_back_weights (k, &r, x, d_y, rstd, false, d_scale);
  kern_rms_back_weights (k, &r, x, d_y, rstd, true, d_scale);
  const double off = rounding ((double)d + 6);
  for (int64_t p = 0; p < parts; p++) {
    const int64_t at = p / pieces * r.ld + p % pieces * d;
    double squares = 0, sum = 0, along = 0, size = 0;
    for (int64_t j = 0; j < d; j++) {
      squares += (double)x[at + j] * x[at + j];
      sum += x[at + j];
    }
    const double inv = 1 / sqrt (squares / (double)d + 1e-5);
    for (int64_t j = 0; j < d; j++) {
      const double term =
          (double)scale[j] * d_y[at + j] * x[at + j] * inv / (double)d;
      along += term;
      size += fabs (term);
    }
    for (int64_t j = 0; j < d; j++) {
      const double z = x[at + j] * inv, g = (double)scale[j] * d_y[at + j];
      const double v = (z - sum / (double)d * inv) * scale[j];
      good = good && fabs (y[at + j] - z * scale[j]) <=
                         off * fabs (z * scale[j]) + 1e-30;
      mean = mean || fabs (y[at + j] - v) > off * fabs (v);
      eps = eps || fabs (y[at + j] - z * scale[j] * (1 - 1e-5 * inv * inv)) >
                       off * fabs (z * scale[j]);
      back = back && fabs (d_x[at + j] - inv * (g - z * along)) <=
                         4 * off * inv * (fabs (g) + fabs (z) * size);
      want[j] += 2 * d_y[at + j] * z;
      reach[j] += 2 * fabs (d_y[at + j] * z);
    }
  }
  for (int64_t i = 0; i < n; i++)
    kept =
        kept && memcmp (y + i * r.ld + pieces * d, same + i * r.ld + pieces * d,
                        (size_t)more * sizeof *y) == 0;
  tap_ok (good && mean && eps && kept,
          "RMSNorm %d x %d x %d: forward, by no mean, with its eps", (int)n,
          (int)pieces, (int)d);
  const double sums = rounding ((double)parts + (double)d + 8);
  bool weights = close_to ((size_t)d, d_scale, want, reach, sums);
  want[0] *= 1.001;
  tap_ok (back && weights && !close_to ((size_t)d, d_scale, want, reach, sums),
          "backward, data and weights");
  kern_rms_back (k, &r, x, d_y, scale, rstd, d_y);
  for (int64_t p = 0; p < parts; p++) {
    const int64_t at = p / pieces * r.ld + p % pieces * d;
    kept = kept && memcmp (d_y + at, d_x + at, (size_t)d * sizeof *d_x) == 0;
  }
  tap_ok (kept, "the same over its input");
  float *f[] = {x, scale, y, d_y, d_x, rstd, d_scale, same};
  for (size_t i = 0; i < sizeof f / sizeof *f; i++)
    mem_free (&f[i]);
  mem_free (&want);
  mem_free (&reach);
}

/* -- SwiGLU ----------------------------------------------------------------
 */

static void
test_swiglu (int64_t n, int64_t d)
{
  const size_t all = (size_t)(n * d);
  float *x = noise (2 * all, 1), *y = noise (all, 2), *d_y = noise (all, 3);
  float *d_x = noise (2 * all, 4);
  bool good = true, back = true, turned = false;
  for (size_t i = 0; i < 2 * all; i++)
    x[i] *= i % 3 == 0 ? 40 : 4;
  kern_swiglu (k, n, d, x, y);
  kern_swiglu_back (k, n, d, x, d_y, d_x);
  const double off = rounding (EXP_ROUNDINGS + 8);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < d; j++) {
      const int64_t at = i * 2 * d + j;
      const double g = x[at], u = x[at + d], t = d_y[i * d + j];
      const double s = 1 / (1 + exp (-g)), bend = s * (1 + g * (1 - s));
      const double size = fabs (g * s) + 0x1p-120;
      good = good && fabs (y[i * d + j] - g * s * u) <= off * size * fabs (u);
      turned = turned || fabs (y[i * d + j] - u / (1 + exp (-u)) * g) >
                             off * size * fabs (u);
      back = back && fabs (d_x[at + d] - t * g * s) <= off * size * fabs (t);
      back = back && fabs (d_x[at] - t * u * bend) <=
                         off * fabs (t * u) * (s * (1 + fabs (g)) + 0x1p-100);
    }
  tap_ok (good && turned, "SwiGLU %d x %d: forward, the first half the gate",
          (int)n, (int)d);
  kern_swiglu_back (k, n, d, x, d_y, x);
  tap_ok (back && memcmp (x, d_x, 2 * all * sizeof *x) == 0,
          "backward, and over its input");
  float *f[] = {x, y, d_y, d_x};
  for (size_t i = 0; i < sizeof f / sizeof *f; i++)
    mem_free (&f[i]);
}

/* -- rotary positions --------------------------------------------------------
 */

static void
test_rope (int64_t n, int64_t t, int64_t first, int64_t heads, int64_t width,
           int64_t more)
{
  const struct kern_rope r = {n, t, first, heads, width, heads * width + more};
  const size_t all = (size_t)(n * r.ld);
  const int64_t half = width / 2;
  float *x = noise (all, 1), *y = noise (all, 1), *z = noise (all, 2);
  const float *angles, *again;
  bool good = true, pairs = width == 2, back = true;
  MUST (kern_rope_angles (k, t, width, &angles));
  MUST (kern_rope_angles (k, t, width, &again));
  kern_rope (k, &r, angles, false, x, y);
  memcpy (z, y, all * sizeof *z);
  kern_rope (k, &r, angles, true, z, z);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < r.ld; j++) {
      const int64_t row = i * r.ld, h = j / width * width, c = j - h;
      const double at = (double)((first + i) % t);
      const double angle =
          at * pow (10000, -2 * (double)(c % half) / (double)width);
      const double a = x[row + h + c % half];
      const double b = j < heads * width ? x[row + h + half + c % half] : 0;
      const double want = j >= heads * width ? x[row + j]
                          : c < half         ? a * cos (angle) - b * sin (angle)
                                     : b * cos (angle) + a * sin (angle);
      const double size = fabs (a) + fabs (b);
      good = good && fabs (y[row + j] - want) <= rounding (4) * size;
      back = back && fabs (z[row + j] - x[row + j]) <= rounding (8) * size;
      if (j < width && c % 2 == 0 && at > 0) { /* Meta's pairs: neighbours */
        const double other = at * pow (10000, -(double)c / (double)width);
        const double p = x[row + j], q = x[row + j + 1];
        pairs =
            pairs || fabs (y[row + j] - (p * cos (other) - q * sin (other))) >
                         rounding (4) * size;
      }
    }
  tap_ok (good && pairs && angles == again,
          "rotary positions, %d rows of %d heads of %d, from %d: halves",
          (int)n, (int)heads, (int)width, (int)first);
  tap_ok (back, "and back again");
  mem_free (&x);
  mem_free (&y);
  mem_free (&z);
}

/* -- GELU ------------------------------------------------------------------ */

static double
twin_gelu (double x)
{
  return 0.5 * x *
         (1 +
          tanh (sqrt (2 / 3.14159265358979324) * (x + 0.044715 * x * x * x)));
}

/* The slope; reach: how far value and slope in float may be off.  With u the
 * argument, tanh u = 1 - 2 / (1 + e^2u) is off by the error of u, at most that
 * of five roundings, times (1 - tanh^2) u, and by the few roundings after it.
 * 1 - tanh^2 is then off by twice that, unless tanh is 1 in float. */
static double
gelu_slope (double x, double reach[2])
{
  const double root = sqrt (2 / 3.14159265358979324);
  double u = root * (x + 0.044715 * x * x * x), t = tanh (u);
  double inner = root * (1 + 3 * 0.044715 * x * x), bend = 1 - t * t;
  double off = fabs (u) * bend * rounding (6) +
               (1 - fabs (t)) * rounding (EXP_ROUNDINGS + 2) + 2 * FLOAT_UNIT;
  reach[0] = 0.5 * fabs (x) * (off + rounding (3) * (1 + t)) + 0x1p-126;
  reach[1] = 0.5 * off + rounding (6) * (1 + fabs (x * bend * inner)) +
             (fabs (u) < 10 ? fabs (x) * inner * off : 0);
  return 0.5 * (1 + t) + 0.5 * x * bend * inner;
}

static void
test_gelu (size_t n)
{
  float *x = noise (n, 1), *y = noise (n, 2), *d_y = noise (n, 3);
  float *d_x = noise (n, 4);
  bool good = true, good_back = true, erf_form = true, erf_back = true;
  for (size_t i = 0; i < n; i++)
    x[i] *= i % 3 == 0 ? 40 : 4;
  kern_gelu (k, n, x, y);
  kern_gelu_back (k, n, x, d_y, d_x);
  for (size_t i = 0; i < n; i++) {
    double at = x[i], reach[2], phi = 0.5 * (1 + erf (at / sqrt (2)));
    double bell = exp (-at * at / 2) / sqrt (2 * 3.14159265358979324);
    double want = gelu_slope (at, reach);
    good = good && fabs (y[i] - twin_gelu (at)) <= reach[0];
    good_back =
        good_back && fabs (d_x[i] - d_y[i] * want) <= fabs (d_y[i]) * reach[1];
    erf_form = erf_form && fabs (y[i] - at * phi) <= reach[0];
    erf_back = erf_back && fabs (d_x[i] - d_y[i] * (phi + at * bell)) <=
                               fabs (d_y[i]) * reach[1];
  }
  float odd[2] = {NAN, INFINITY}, out[2];
  kern_gelu (k, 2, odd, out);
  tap_ok (good && !erf_form, "GELU of %d: forward, and not the other form",
          (int)n);
  tap_ok (good_back && !erf_back && isnan (out[0]) && isinf (out[1]),
          "backward, and not the other form; NaN and infinity go through");
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
  double *size = doubles ((size_t)(words * d)), *at_size = doubles (all);
  const double reach = rounding ((double)n);
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
      size[token[i] * d + j] += fabs (d_y[i * d + j]);
      at[i % t * d + j] += d_y[i * d + j];
      at_size[i % t * d + j] += fabs (d_y[i * d + j]);
    }
  good = good && close_to ((size_t)(words * d), d_table, want, size, reach);
  good = good && close_to ((size_t)(t * d), d_place, at, at_size, reach);
  want[token[n - 1] * d] += 1e-3;
  good = good && !close_to ((size_t)(words * d), d_table, want, size, reach);
  kern_embed (k, 1, d, t, 2, token + 2, table, place, d_y);
  good = good && memcmp (d_y, y + 2 * d, (size_t)d * sizeof *y) == 0;
  kern_embed (k, n, d, t, 0, token, table, NULL, y);
  for (int64_t i = 0; i < n; i++)
    good = good &&
           memcmp (y + i * d, table + token[i] * d, (size_t)d * sizeof *y) == 0;
  for (int64_t i = 0; i < words * d; i++)
    want[i] = 0;
  for (int64_t i = 0; i < n * d; i++)
    want[token[i / d] * d + i % d] += d_y[i];
  kern_zero (k, (size_t)(words * d), d_table);
  kern_embed_back (k, n, d, t, token, d_y, d_table, NULL);
  good = good && close_to ((size_t)(words * d), d_table, want, size, reach);
  tap_ok (good, "embedding of %d x %d tokens, %d wide, %d words", (int)b,
          (int)t, (int)d, (int)words);
  float *f[] = {table, place, y, d_y, d_table, d_place};
  for (size_t i = 0; i < sizeof f / sizeof *f; i++)
    mem_free (&f[i]);
  mem_free (&want);
  mem_free (&at);
  mem_free (&size);
  mem_free (&at_size);
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
  for (int centred = 0; centred < 2; centred++) {
    test_bare (5, 7, centred);
    test_bare (33, 70, centred);
    test_bare (3, 16 * 9 * 7, centred);
    test_bare (1000, 64, centred);
  }
  test_rms (5, 1, 7, 0);
  test_rms (33, 3, 10, 7);
  test_rms (1000, 1, 64, 0);
  test_rms (2, 1, 1030, 5);
  test_swiglu (3, 5);
  test_swiglu (70, 1100);
  test_rope (5, 5, 0, 1, 2, 0);
  test_rope (23, 7, 0, 3, 10, 5);
  test_rope (3, 300, 290, 4, 64, 64);
  test_rope (600, 300, 0, 2, 48, 0);
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

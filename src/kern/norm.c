/* kern/norm.c -- LayerNorm and RMSNorm over rows, and normalisation without
 * parameters.
 *
 * Own loops: a pass that only hands a gradient on needs backward for the data
 * alone, which the library does not have; and rows are short enough to stay in
 * the first cache between the sweeps.  Rows are shared out among threads, sums
 * over rows by columns, so the bits do not depend on the number of threads.
 */
#include "kern/kern_impl.h"

#include <math.h>

#define EPS 1e-5f

/* Columns that one thread sums at a time. */
#define COLUMNS 64

KERN_CLONES static void
row_forward (int64_t d, const float *x, const float *scale, const float *shift,
             float *y, float *mean, float *rstd)
{
  float sum, squares;
  KERN_SUM (float, d, x[i], sum);
  const float m = sum / (float)d;
  KERN_SUM (float, d, (x[i] - m) * (x[i] - m), squares);
  const float r = 1.0f / sqrtf (squares / (float)d + EPS);
#pragma omp simd
  for (int64_t i = 0; i < d; i++)
    y[i] = (x[i] - m) * r * scale[i] + shift[i];
  *mean = m;
  *rstd = r;
}

void
kern_norm_forward (struct kern *k, int64_t n, int64_t d, const float *x,
                   const float *scale, const float *shift, float *y,
                   float *mean, float *rstd)
{
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * d > KERN_ALONE)
  for (int64_t i = 0; i < n; i++) {
    float m, r;
    row_forward (d, x + i * d, scale, shift, y + i * d, &m, &r);
    if (mean != NULL) {
      mean[i] = m;
      rstd[i] = r;
    }
  }
}

/* With z = (x - mean) rstd and g = scale d_y: d_x = rstd (g - mean of g - z
 * mean of (g z)). */
KERN_CLONES static void
row_back (int64_t d, const float *x, const float *d_y, const float *scale,
          float mean, float rstd, float *d_x)
{
  float sum, along;
  KERN_SUM (float, d, scale[i] * d_y[i], sum);
  KERN_SUM (float, d, scale[i] * d_y[i] * ((x[i] - mean) * rstd), along);
  sum /= (float)d;
  along /= (float)d;
#pragma omp simd
  for (int64_t i = 0; i < d; i++) {
    float g = scale[i] * d_y[i];
    d_x[i] = rstd * (g - sum - (x[i] - mean) * rstd * along);
  }
}

void
kern_norm_back (struct kern *k, int64_t n, int64_t d, const float *x,
                const float *d_y, const float *scale, const float *mean,
                const float *rstd, float *d_x)
{
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * d > KERN_ALONE)
  for (int64_t i = 0; i < n; i++)
    row_back (d, x + i * d, d_y + i * d, scale, mean[i], rstd[i], d_x + i * d);
}

/* m <= COLUMNS columns from x and d_y on, rows of d. */
KERN_CLONES static void
columns_back (int64_t n, int64_t d, int64_t m, const float *x, const float *d_y,
              const float *mean, const float *rstd, float *scale, float *shift)
{
  for (int64_t i = 0; i < n; i++) {
    const float *a = x + i * d, *b = d_y + i * d;
    const float mu = mean[i], r = rstd[i];
#pragma omp simd
    for (int64_t j = 0; j < m; j++) {
      scale[j] += b[j] * ((a[j] - mu) * r);
      shift[j] += b[j];
    }
  }
}

void
kern_norm_back_weights (struct kern *k, int64_t n, int64_t d, const float *x,
                        const float *d_y, const float *mean, const float *rstd,
                        bool accumulate, float *d_scale, float *d_shift)
{
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * d > KERN_ALONE)
  for (int64_t at = 0; at < d; at += COLUMNS) {
    int64_t m = d - at < COLUMNS ? d - at : COLUMNS;
    float scale[COLUMNS] = {0}, shift[COLUMNS] = {0};
    columns_back (n, d, m, x + at, d_y + at, mean, rstd, scale, shift);
    for (int64_t j = 0; j < m; j++) {
      d_scale[at + j] = (accumulate ? d_scale[at + j] : 0) + scale[j];
      d_shift[at + j] = (accumulate ? d_shift[at + j] : 0) + shift[j];
    }
  }
}

/* -- RMSNorm -----------------------------------------------------------------
 */

KERN_CLONES static float
rms_forward (int64_t d, const float *x, const float *scale, float *y)
{
  float squares;
  KERN_SUM (float, d, x[i] * x[i], squares);
  const float r = 1.0f / sqrtf (squares / (float)d + EPS);
#pragma omp simd
  for (int64_t i = 0; i < d; i++)
    y[i] = x[i] * r * scale[i];
  return r;
}

/* Where piece i of all lies. */
static int64_t
piece_at (const struct kern_rms *r, int64_t i)
{
  return i / r->pieces * r->ld + i % r->pieces * r->d;
}

void
kern_rms_forward (struct kern *k, const struct kern_rms *r, const float *x,
                  const float *scale, float *y, float *rstd)
{
  const int64_t n = r->n * r->pieces;
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * r->d > KERN_ALONE)
  for (int64_t i = 0; i < n; i++) {
    const int64_t at = piece_at (r, i);
    const float one = rms_forward (r->d, x + at, scale, y + at);
    if (rstd != NULL)
      rstd[i] = one;
  }
}

/* With z = x rstd and g = scale d_y: d_x = rstd (g - z mean of (g z)). */
KERN_CLONES static void
rms_back (int64_t d, const float *x, const float *d_y, const float *scale,
          float rstd, float *d_x)
{
  float along;
  KERN_SUM (float, d, scale[i] * d_y[i] * (x[i] * rstd), along);
  along /= (float)d;
#pragma omp simd
  for (int64_t i = 0; i < d; i++)
    d_x[i] = rstd * (scale[i] * d_y[i] - x[i] * rstd * along);
}

void
kern_rms_back (struct kern *k, const struct kern_rms *r, const float *x,
               const float *d_y, const float *scale, const float *rstd,
               float *d_x)
{
  const int64_t n = r->n * r->pieces;
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * r->d > KERN_ALONE)
  for (int64_t i = 0; i < n; i++) {
    const int64_t at = piece_at (r, i);
    rms_back (r->d, x + at, d_y + at, scale, rstd[i], d_x + at);
  }
}

KERN_CLONES static void
rms_column (int64_t m, const float *x, const float *d_y, float rstd,
            float *scale)
{
#pragma omp simd
  for (int64_t j = 0; j < m; j++)
    scale[j] += d_y[j] * (x[j] * rstd);
}

void
kern_rms_back_weights (struct kern *k, const struct kern_rms *r, const float *x,
                       const float *d_y, const float *rstd, bool accumulate,
                       float *d_scale)
{
  const int64_t n = r->n * r->pieces;
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * r->d > KERN_ALONE)
  for (int64_t c = 0; c < r->d; c += COLUMNS) {
    int64_t m = r->d - c < COLUMNS ? r->d - c : COLUMNS;
    float scale[COLUMNS] = {0};
    for (int64_t i = 0; i < n; i++) {
      const int64_t at = piece_at (r, i) + c;
      rms_column (m, x + at, d_y + at, rstd[i], scale);
    }
    for (int64_t j = 0; j < m; j++)
      d_scale[c + j] = (accumulate ? d_scale[c + j] : 0) + scale[j];
  }
}

/* -- without parameters ------------------------------------------------------
 */

/* A row may be a whole image, so sums are in double. */
KERN_CLONES static void
bare_forward (int64_t d, bool centred, const float *x, float *y, float *rstd)
{
  double sum = 0, squares;
  if (centred)
    KERN_SUM (double, d, (double)x[i], sum);
  const float m = (float)(sum / (double)d);
  KERN_SUM (double, d, (double)(x[i] - m) * (double)(x[i] - m), squares);
  const float r = (float)(1 / sqrt (squares / (double)d + (double)EPS));
#pragma omp simd
  for (int64_t i = 0; i < d; i++)
    y[i] = (x[i] - m) * r;
  *rstd = r;
}

void
kern_norm_bare (struct kern *k, int64_t n, int64_t d, bool centred,
                const float *x, float *y, float *rstd)
{
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * d > KERN_ALONE)
  for (int64_t i = 0; i < n; i++) {
    float r;
    bare_forward (d, centred, x + i * d, y + i * d, &r);
    if (rstd != NULL)
      rstd[i] = r;
  }
}

/* d_x = rstd (d_y - mean of d_y - y mean of (d_y y)); the first mean where the
 * row was centred. */
KERN_CLONES static void
bare_back (int64_t d, bool centred, const float *y, const float *d_y,
           float rstd, float *d_x)
{
  double sum = 0, along;
  if (centred)
    KERN_SUM (double, d, (double)d_y[i], sum);
  KERN_SUM (double, d, (double)d_y[i] * (double)y[i], along);
  const float s = (float)(sum / (double)d), a = (float)(along / (double)d);
#pragma omp simd
  for (int64_t i = 0; i < d; i++)
    d_x[i] = rstd * (d_y[i] - s - y[i] * a);
}

void
kern_norm_bare_back (struct kern *k, int64_t n, int64_t d, bool centred,
                     const float *y, const float *d_y, const float *rstd,
                     float *d_x)
{
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * d > KERN_ALONE)
  for (int64_t i = 0; i < n; i++)
    bare_back (d, centred, y + i * d, d_y + i * d, rstd[i], d_x + i * d);
}

/* kern/linear.c -- linear layers by the library's sgemm.
 *
 * W is [out, in] row-major as files have it, so nothing is ever reordered: the
 * transpositions are flags.  Biases and their gradients are own loops.
 */
#include "base/clock.h"
#include "kern/kern_impl.h"

#include <omp.h>
#include <stdio.h>

/* C [m, n] = alpha op(A) op(B) + beta C, all row-major; A has lda numbers in a
 * row, and so on. */
struct product {
  char a_form, b_form; /* N or T */
  int64_t m, n, inner;
  int64_t lda, ldb;
  float alpha, beta;
};

static enum status
multiply (struct kern *k, const struct product *p, const float *a,
          const float *b, float *c)
{
  omp_set_num_threads (k->threads);
  dnnl_status_t s =
      dnnl_sgemm (p->a_form, p->b_form, p->m, p->n, p->inner, p->alpha, a,
                  p->lda, b, p->ldb, p->beta, c, p->n);
  if (s == dnnl_success)
    return OK;
  char what[112];
  snprintf (what, sizeof what, "m=%lld n=%lld inner=%lld", (long long)p->m,
            (long long)p->n, (long long)p->inner);
  return kern_lib_failed (s, "matrix product", what);
}

KERN_CLONES static void
set_rows (int64_t rows, int64_t out, const float *restrict bias,
          float *restrict y)
{
  for (int64_t i = 0; i < rows; i++)
#pragma omp simd
    for (int64_t j = 0; j < out; j++)
      y[i * out + j] = bias[j];
}

enum status
kern_linear_forward (struct kern *k, int64_t n, int64_t in, int64_t out,
                     const float *x, const float *w, const float *bias,
                     float *y)
{
  struct product p = {.a_form = 'N',
                      .b_form = 'T',
                      .m = n,
                      .n = out,
                      .inner = in,
                      .lda = in,
                      .ldb = in,
                      .alpha = 1,
                      .beta = bias == NULL ? 0 : 1};
  if (bias != NULL) {
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * out > KERN_ALONE)
    for (int64_t i = 0; i < n; i++)
      set_rows (1, out, bias, y + i * out);
  }
  return multiply (k, &p, x, w, y);
}

enum status
kern_linear_back_data (struct kern *k, int64_t n, int64_t in, int64_t out,
                       const float *d_y, const float *w, float *d_x)
{
  struct product p = {.a_form = 'N',
                      .b_form = 'N',
                      .m = n,
                      .n = in,
                      .inner = out,
                      .lda = out,
                      .ldb = in,
                      .alpha = 1};
  return multiply (k, &p, d_y, w, d_x);
}

/* Sums of n rows over the columns [c0, c1), each in row order. */
#define COLUMNS 64
KERN_CLONES static void
column_sums (int64_t n, int64_t out, int64_t c0, int64_t c1, float scale,
             bool accumulate, const float *restrict d_y, float *restrict d_bias)
{
  float sum[COLUMNS] = {0};
  for (int64_t i = 0; i < n; i++)
#pragma omp simd
    for (int64_t j = c0; j < c1; j++)
      sum[j - c0] += d_y[i * out + j];
  for (int64_t j = c0; j < c1; j++)
    d_bias[j] = (accumulate ? d_bias[j] : 0) + scale * sum[j - c0];
}

enum status
kern_linear_back_weights (struct kern *k, int64_t n, int64_t in, int64_t out,
                          const float *x, const float *d_y, float scale,
                          bool accumulate, float *d_w, float *d_bias)
{
  struct product p = {.a_form = 'T',
                      .b_form = 'N',
                      .m = out,
                      .n = in,
                      .inner = n,
                      .lda = out,
                      .ldb = in,
                      .alpha = scale,
                      .beta = accumulate ? 1 : 0};
  if (d_bias != NULL) {
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (n * out > KERN_ALONE)
    for (int64_t c = 0; c < out; c += COLUMNS)
      column_sums (n, out, c, c + COLUMNS < out ? c + COLUMNS : out, scale,
                   accumulate, d_y, d_bias);
  }
  return multiply (k, &p, d_y, x, d_w);
}

/* -- the machine's rate ---------------------------------------------------- */

enum status
kern_peak_flops (struct kern *k, double *flops)
{
  enum { SIDE = 2048, ROUNDS = 3 };
  struct product p = {.a_form = 'N',
                      .b_form = 'N',
                      .m = SIDE,
                      .n = SIDE,
                      .inner = SIDE,
                      .lda = SIDE,
                      .ldb = SIDE,
                      .alpha = 1};
  size_t one = (size_t)SIDE * SIDE;
  float *a = NULL;
  TRY (mem_new (3 * one, sizeof *a, "matrices", (void **)&a));
  for (size_t i = 0; i < 2 * one; i++)
    a[i] = (float)(i % 7) - 3;
  enum status s = multiply (k, &p, a, a + one, a + 2 * one);
  double best = 1e30;
  for (int i = 0; i < ROUNDS && s == OK; i++) {
    double start = clock_now_s ();
    s = multiply (k, &p, a, a + one, a + 2 * one);
    double t = clock_now_s () - start;
    best = t < best ? t : best;
  }
  mem_free (&a);
  if (s == OK)
    *flops = 2.0 * SIDE * SIDE * SIDE / best;
  return s;
}

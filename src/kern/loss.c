/* kern/loss.c -- softmax, cross-entropy and its gradient in one pass.
 *
 * Rows are shared out among the threads; their results are added in row order.
 * The exponential is our own, so that the compiler can turn it into vectors
 * and its bits do not change with the C library.
 */
#include "base/fault.h"
#include "kern/kern_impl.h"

#include <math.h>

/* Rows whose results wait to be added, and numbers of a row at a time. */
#define ROWS 1024
#define BLOCK 512

struct row {
  double loss;
  bool correct;
};

/* e^(x - top) for x <= top into y, and their sum.  y may be x. */
KERN_CLONES static float
exp_block (int64_t n, const float *x, float top, float *y)
{
  float sum;
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    float t = x[i] - top;
    y[i] = t < KERN_EXP_LEAST ? KERN_EXP_LEAST : t;
  }
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = kern_exp (y[i]);
  KERN_SUM (float, n, y[i], sum);
  return sum;
}

/* The largest of x; *finite: none of them is infinite or not a number. */
KERN_CLONES static float
largest (int64_t n, const float *restrict x, bool *finite)
{
  float top = x[0];
  int odd = 0;
#pragma omp simd reduction(max : top) reduction(| : odd)
  for (int64_t i = 0; i < n; i++) {
    top = x[i] > top ? x[i] : top;
    odd |= !(fabsf (x[i]) <= 3.4e38f);
  }
  *finite = !odd;
  return top;
}

/* Whether any of x is a. */
KERN_CLONES static bool
holds (int64_t n, const float *restrict x, float a)
{
  int found = 0;
#pragma omp simd reduction(| : found)
  for (int64_t i = 0; i < n; i++)
    found |= x[i] == a;
  return found;
}

KERN_CLONES static void
multiply (int64_t n, float a, float *restrict y)
{
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] *= a;
}

/* Sum of all x. */
KERN_CLONES static double
total (int64_t n, const float *x)
{
  double sum;
  KERN_SUM (double, n, (double)x[i], sum);
  return sum;
}

KERN_CLONES static void
lower (int64_t n, float a, float *restrict y)
{
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] -= a;
}

static void
fill (int64_t n, float value, float *y)
{
  for (int64_t i = 0; i < n; i++)
    y[i] = value;
}

/* What the target makes of the logits, less the largest: the label's share of
 * its own, and each class its share of the rest. */
static double
expected (int64_t n, const float *x, float top, int32_t label, double smoothing)
{
  const double at_label = (double)x[label] - top;
  if (smoothing == 0)
    return at_label;
  return (1 - smoothing) * at_label +
         smoothing * (total (n, x) / (double)n - top);
}

static struct row
one_row (int64_t n, const float *x, int32_t label, const struct kern_target *t,
         float *d)
{
  float block[BLOCK];
  bool finite;
  if (label < 0) {
    if (d != NULL)
      fill (n, 0, d);
    return (struct row){0, false};
  }
  float top = largest (n, x, &finite);
  if (!finite) {
    if (d != NULL)
      fill (n, NAN, d);
    return (struct row){NAN, false};
  }
  /* Right: the first of the largest is the label's.  d may lie over x. */
  const double at_target = expected (n, x, top, label, t->smoothing);
  const bool right = x[label] == top && !holds (label, x, top);
  double sum = 0;
  for (int64_t i = 0; i < n; i += BLOCK)
    sum += exp_block (n - i < BLOCK ? n - i : BLOCK, x + i, top,
                      d != NULL ? d + i : block);
  if (d != NULL) {
    multiply (n, (float)(t->scale / sum), d);
    if (t->smoothing > 0)
      lower (n, t->scale * t->smoothing / (float)n, d);
    d[label] -= t->scale * (1 - t->smoothing);
  }
  return (struct row){log (sum) - at_target, right};
}

enum status
kern_loss (struct kern *k, int64_t n, int64_t classes, const float *logits,
           const struct kern_target *target, double *loss, int64_t *correct,
           float *d_logits)
{
  const int32_t *labels = target->labels;
  struct row rows[ROWS];
  double sum = 0;
  int64_t right = 0;
  for (int64_t i = 0; i < n; i++)
    CHECK (labels[i] < classes, "label %d of %lld classes", (int)labels[i],
           (long long)classes);
  for (int64_t r0 = 0; r0 < n; r0 += ROWS) {
    int64_t m = n - r0 < ROWS ? n - r0 : ROWS;
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (m * classes > KERN_ALONE / 8)
    for (int64_t i = 0; i < m; i++) {
      int64_t at = (r0 + i) * classes;
      rows[i] = one_row (classes, logits + at, labels[r0 + i], target,
                         d_logits != NULL ? d_logits + at : NULL);
    }
    for (int64_t i = 0; i < m; i++) {
      sum += rows[i].loss;
      right += rows[i].correct;
    }
  }
  *loss = fault_here ("loss") ? NAN : sum;
  *correct = right;
  return OK;
}

/* kern/loops.c -- own loops over blocks of numbers.
 *
 * Threads share out units of fixed size, so the bits do not depend on their
 * number.  Inner functions are compiled for several instruction sets and stay
 * clear of fast-math: a number that is not finite must come out as it went in.
 */
#include "kern/kern_impl.h"

#include <math.h>

#define UNITS KERN_UNITS

/* -- elementwise ------------------------------------------------------------
 */

/* "0 > s ? 0 : s" and not "s > 0 ? s : 0": a NaN stays a NaN. */
KERN_CLONES static void
add_relu (size_t n, const float *a, const float *b, float *y)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    float s = a[i] + b[i];
    y[i] = 0.0f > s ? 0.0f : s;
  }
}

void
kern_add_relu (struct kern *k, size_t n, const float *a, const float *b,
               float *y)
{
  UNITS (k, n, add_relu (m, a + at, b + at, y + at));
}

KERN_CLONES static void
relu (size_t n, const float *x, float *y)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++)
    y[i] = 0.0f > x[i] ? 0.0f : x[i];
}

void
kern_relu (struct kern *k, size_t n, const float *x, float *y)
{
  UNITS (k, n, relu (m, x + at, y + at));
}

KERN_CLONES static void
relu_back (size_t n, const float *d_y, const float *y, float *d_x)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++)
    d_x[i] = y[i] > 0.0f ? d_y[i] : 0.0f;
}

void
kern_relu_back (struct kern *k, size_t n, const float *d_y, const float *y,
                float *d_x)
{
  UNITS (k, n, relu_back (m, d_y + at, y + at, d_x + at));
}

KERN_CLONES static void
add_gate (size_t n, const float *x, const float *gate, float *y)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    float s = y[i] + x[i];
    y[i] = gate[i] > 0.0f ? s : 0.0f;
  }
}

void
kern_add_gate (struct kern *k, size_t n, const float *x, const float *gate,
               float *y)
{
  UNITS (k, n, add_gate (m, x + at, gate + at, y + at));
}

KERN_CLONES static void
axpy (size_t n, float a, const float *x, float *y)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++)
    y[i] += a * x[i];
}

void
kern_axpy (struct kern *k, size_t n, float a, const float *x, float *y)
{
  UNITS (k, n, axpy (m, a, x + at, y + at));
}

KERN_CLONES static void
scale_into (size_t n, float a, const float *x, float *y)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++)
    y[i] = a * x[i];
}

/* Goes through all terms one unit at a time, since a unit stays in the first
 * cache: y is not read and written from memory once per term. */
static void
combine (size_t at, size_t n, int m, const float *const *x, const float *a,
         float *y)
{
  scale_into (n, a[0], x[0] + at, y + at);
  for (int j = 1; j < m; j++)
    axpy (n, a[j], x[j] + at, y + at);
}

void
kern_combine (struct kern *k, size_t n, int terms, const float *const *x,
              const float *a, float *y)
{
  CHECK (terms >= 1, "a sum of nothing");
  UNITS (k, n, combine (at, m, terms, x, a, y));
}

KERN_CLONES static void
zero (size_t n, float *x)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++)
    x[i] = 0;
}

void
kern_zero (struct kern *k, size_t n, float *x)
{
  UNITS (k, n, zero (m, x + at));
}

/* -- sums of products ------------------------------------------------------ */

KERN_CLONES static double
products (size_t n, const float *x, const float *y)
{
  double sum;
  KERN_SUM (double, n, (double)x[i] * (double)y[i], sum);
  return sum;
}

/* Sums of units are added in their order; the table of sums is refilled as
 * often as needed. */
double
kern_dot (struct kern *k, size_t n, const float *x, const float *y)
{
  enum { TABLE = 1024 };
  double part[TABLE], sum = 0;
  for (size_t done = 0; done < n; done += (size_t)TABLE * KERN_CHUNK) {
    size_t now = n - done < (size_t)TABLE * KERN_CHUNK
                     ? n - done
                     : (size_t)TABLE * KERN_CHUNK;
    UNITS (k, now,
           part[at / KERN_CHUNK] = products (m, x + done + at, y + done + at));
    for (size_t i = 0; i < (now + KERN_CHUNK - 1) / KERN_CHUNK; i++)
      sum += part[i];
  }
  return sum;
}

double
kern_sum_squares (struct kern *k, size_t n, const float *x)
{
  return kern_dot (k, n, x, x);
}

/* -- optimizers ------------------------------------------------------------ */

KERN_CLONES static void
sgd (size_t n, const struct kern_sgd *o, float *restrict w,
     const float *restrict g, float *restrict v)
{
  float keep = o->momentum, decay = o->weight_decay, lr = o->lr;
  float grad_scale = o->grad_scale;
  /* Nesterov steps along g + momentum v, else along v itself. */
  float along_g = o->nesterov ? 1.0f : 0.0f;
  float along_v = o->nesterov ? keep : 1.0f;
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    float d = grad_scale * g[i] + decay * w[i];
    float u = keep * v[i] + d;
    v[i] = u;
    w[i] -= lr * (along_g * d + along_v * u);
  }
}

/* The first step has no velocity yet, and v may hold anything.  A factor of 0
 * would not do: 0 times NaN is NaN. */
static void
sgd_unit (size_t n, const struct kern_sgd *o, float *w, const float *g,
          float *v)
{
  if (o->first)
    zero (n, v);
  sgd (n, o, w, g, v);
}

void
kern_sgd (struct kern *k, size_t n, const struct kern_sgd *o, float *w,
          const float *g, float *v)
{
  UNITS (k, n, sgd_unit (m, o, w + at, g + at, v + at));
}

struct adamw { /* what is the same for all elements of a step */
  float beta1, beta2, step, root, eps, keep, grad_scale;
};

KERN_CLONES static void
adamw (size_t n, const struct adamw *o, float *restrict w,
       const float *restrict g, float *restrict m, float *restrict v)
{
  const struct adamw a = *o;
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    float d = a.grad_scale * g[i];
    float m1 = a.beta1 * m[i] + (1 - a.beta1) * d;
    float v1 = a.beta2 * v[i] + (1 - a.beta2) * d * d;
    m[i] = m1;
    v[i] = v1;
    w[i] = a.keep * w[i] - a.step * m1 / (sqrtf (v1) * a.root + a.eps);
  }
}

/* w shrinks first, then moves by lr m / (sqrt (v) + eps), with m and v freed of
 * their start at zero. */
void
kern_adamw (struct kern *k, size_t n, const struct kern_adamw *o, float *w,
            const float *g, float *mom, float *v)
{
  CHECK (o->step >= 1, "AdamW counts steps from 1");
  double step = (double)o->step;
  struct adamw a = {.beta1 = o->beta1,
                    .beta2 = o->beta2,
                    .step = (float)(o->lr / (1 - pow (o->beta1, step))),
                    .root = (float)(1 / sqrt (1 - pow (o->beta2, step))),
                    .eps = o->eps,
                    .keep = (float)(1 - (double)o->lr * o->weight_decay),
                    .grad_scale = o->grad_scale};
  UNITS (k, n, adamw (m, &a, w + at, g + at, mom + at, v + at));
}

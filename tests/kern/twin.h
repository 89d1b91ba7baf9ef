/* tests/kern/twin.h -- slow and obvious versions of the kernels, in double.
 *
 * Twins know one layout, plain NCHW, and no library.  Each takes a planted
 * fault, so that a test can see that its own comparison would notice.
 */
#ifndef TESTS_KERN_TWIN_H
#define TESTS_KERN_TWIN_H

#include "base/memory.h"
#include "base/random.h"
#include "kern/kern.h"
#include "tests/rounding.h"
#include "tests/tap.h"

#include <stdlib.h>

/* -- memory and numbers ---------------------------------------------------- */

#define MUST(call)                                              \
  do {                                                          \
    enum status must_ = (call);                                 \
    if (must_ != OK) {                                          \
      printf ("Bail out! %s:%d: %s (%s)\n", __FILE__, __LINE__, \
              fail_message (), status_text (must_));            \
      exit (1);                                                 \
    }                                                           \
  } while (0)

TAP_FN float *
floats (size_t n)
{
  float *p = NULL;
  MUST (mem_new (n + 16, sizeof *p, "test", (void **)&p));
  return p;
}

TAP_FN double *
doubles (size_t n)
{
  double *p = NULL;
  MUST (mem_new (n + 16, sizeof *p, "test", (void **)&p));
  return p;
}

/* n numbers in [-1, 1), different for every tag. */
TAP_FN float *
noise (size_t n, uint64_t tag)
{
  struct random_key key = {.seed = 7, .purpose = RANDOM_TEST, .a = tag};
  float *p = floats (n);
  for (size_t i = 0; i < n; i++)
    p[i] = (float)(2 * random_uniform (&key, i) - 1);
  return p;
}

TAP_FN double
dot (size_t n, const float *a, const float *b)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++)
    sum += (double)a[i] * b[i];
  return sum;
}

/* Whether got is want within tol times what each number is made of: size[i] is
 * the sum of the absolute values of its terms.  NULL: 1.  tol comes from
 * tests/rounding.h. */
TAP_FN bool
close_to (size_t n, const float *got, const double *want, const double *size,
          double tol)
{
  for (size_t i = 0; i < n; i++)
    if (!(fabs (got[i] - want[i]) <=
          tol * (size == NULL ? 1 : size[i]) + 1e-30))
      return false;
  return true;
}

/* -- layouts --------------------------------------------------------------- */

TAP_FN size_t
count (struct kern_dims d)
{
  return (size_t)(d.n * d.c * d.h * d.w);
}

/* Where an element lies. */
TAP_FN size_t
place (int block, struct kern_dims d, enum kern_layout l, int64_t n, int64_t c,
       int64_t y, int64_t x)
{
  int64_t blocks = (d.c + block - 1) / block;
  switch (l) {
  case KERN_LAST:
    return (size_t)(((n * d.h + y) * d.w + x) * d.c + c);
  case KERN_BLOCKED:
    return (size_t)((((n * blocks + c / block) * d.h + y) * d.w + x) * block +
                    c % block);
  default:
    return (size_t)(((n * d.c + c) * d.h + y) * d.w + x);
  }
}

/* A copy in another layout, padding zero; free it. */
TAP_FN float *
laid_out (const struct kern *k, struct kern_dims d, enum kern_layout l,
          const float *plain)
{
  float *out = floats (kern_bytes (k, d, l) / sizeof *out);
  for (int64_t n = 0; n < d.n; n++)
    for (int64_t c = 0; c < d.c; c++)
      for (int64_t y = 0; y < d.h; y++)
        for (int64_t x = 0; x < d.w; x++)
          out[place (kern_block (k), d, l, n, c, y, x)] =
              plain[place (1, d, KERN_PLAIN, n, c, y, x)];
  return out;
}

/* A plain copy; free it. */
TAP_FN float *
plain_of (const struct kern *k, struct kern_dims d, enum kern_layout l,
          const float *p)
{
  float *out = floats (count (d));
  for (int64_t n = 0; n < d.n; n++)
    for (int64_t c = 0; c < d.c; c++)
      for (int64_t y = 0; y < d.h; y++)
        for (int64_t x = 0; x < d.w; x++)
          out[place (1, d, KERN_PLAIN, n, c, y, x)] =
              p[place (kern_block (k), d, l, n, c, y, x)];
  return out;
}

/* Nothing but zeros where a blocked tensor has no channel. */
TAP_FN bool
padding_is_zero (const struct kern *k, struct kern_dims d, enum kern_layout l,
                 const float *p)
{
  float *plain = plain_of (k, d, l, p), *again = laid_out (k, d, l, plain);
  size_t n = kern_bytes (k, d, l) / sizeof *p;
  bool same = true;
  for (size_t i = 0; i < n; i++)
    same = same && (p[i] == again[i] || (isnan (p[i]) && isnan (again[i])));
  mem_free (&plain);
  mem_free (&again);
  return same;
}

/* -- finite differences ---------------------------------------------------- */

/* f at -2, -1, 1, 2 steps along a direction.  The slope is trusted as far as
 * the two central differences agree, plus noise, the rounding error of f. */
struct slope {
  double at[4], step, noise;
};

TAP_FN bool
slope_agrees (const struct slope *s, double gradient)
{
  double near = (s->at[2] - s->at[1]) / (2 * s->step);
  double far = (s->at[3] - s->at[0]) / (4 * s->step);
  double limit = fabs (far - near) + s->noise / s->step;
  return fabs (near - gradient) <= limit;
}

/* base + t along, n numbers; free it. */
TAP_FN float *
moved (size_t n, const float *base, double t, const float *along)
{
  float *p = floats (n);
  for (size_t i = 0; i < n; i++)
    p[i] = (float)(base[i] + t * along[i]);
  return p;
}
static const double slope_steps[4] = {-2, -1, 1, 2};

/* -- normalisation --------------------------------------------------------- */

/* What a set of m numbers is normalised by, and how far float may lie from it:
 * the mean is a sum of m terms, the variance one of the squares of differences
 * from that mean. */
struct twin_moments {
  double mean, var, inv;
  double mean_reach, var_reach;
  double inv_reach; /* relative */
};

/* centred false: the mean is taken for 0. */
TAP_FN void
twin_moments_about (int64_t m, const double *x, double eps, bool centred,
                    struct twin_moments *t)
{
  double size = 0, far = 0, reach = rounding ((double)m + 4);
  *t = (struct twin_moments){.mean = 0};
  for (int64_t i = 0; i < m && centred; i++) {
    t->mean += x[i] / (double)m;
    size += fabs (x[i]) / (double)m;
  }
  for (int64_t i = 0; i < m; i++) {
    t->var += pow (x[i] - t->mean, 2) / (double)m;
    far += fabs (x[i] - t->mean) / (double)m;
  }
  t->inv = 1 / sqrt (t->var + eps);
  t->mean_reach = reach * size;
  t->var_reach =
      reach * t->var + 2 * t->mean_reach * far + t->mean_reach * t->mean_reach;
  t->inv_reach = t->var_reach / (2 * (t->var + eps)) + rounding (4);
}

TAP_FN void
twin_moments_of (int64_t m, const double *x, double eps, struct twin_moments *t)
{
  twin_moments_about (m, x, eps, true, t);
}

/* How far (x - mean) inv may be off. */
TAP_FN double
twin_unit_reach (const struct twin_moments *t, double x)
{
  return t->mean_reach * t->inv +
         fabs ((x - t->mean) * t->inv) * (t->inv_reach + rounding (2));
}

/* Backward: g is the gradient at the m units.  d [m], its reach, and the sums
 * of g and of g times the unit with theirs.  fault: the variance is taken for a
 * constant. */
struct twin_sums {
  double sum, along, sum_reach, along_reach;
};

TAP_FN struct twin_sums
twin_normal_back (int64_t m, const struct twin_moments *t, const double *x,
                  const double *g, bool fault, double *d, double *d_reach)
{
  struct twin_sums s = {0};
  double size = 0, along_size = 0, n = (double)m, reach = rounding (n + 4);
  for (int64_t i = 0; i < m; i++) {
    double unit = (x[i] - t->mean) * t->inv;
    s.sum += g[i];
    s.along += g[i] * unit;
    size += fabs (g[i]);
    along_size += fabs (g[i] * unit);
    s.along_reach += fabs (g[i]) * twin_unit_reach (t, x[i]);
  }
  s.sum_reach = reach * size;
  s.along_reach += reach * along_size;
  for (int64_t i = 0; i < m; i++) {
    double unit = (x[i] - t->mean) * t->inv;
    double terms = fabs (g[i]) + size / n + fabs (unit) * along_size / n;
    d[i] = t->inv * (g[i] - s.sum / n - (fault ? 0 : unit * s.along / n));
    d_reach[i] = t->inv * (s.sum_reach / n + fabs (unit) * s.along_reach / n +
                           twin_unit_reach (t, x[i]) * fabs (s.along) / n +
                           (t->inv_reach + rounding (6)) * terms);
  }
  return s;
}

/* -- convolution ----------------------------------------------------------- */

enum twin_fault { SOUND, SHIFTED, TURNED, FORGETFUL };

/* Visit all (n, o, c, y, x, r, q) with the places of source, weight and result;
 * body uses at_x, at_w, at_y.  SHIFTED: one column off; TURNED: the kernel
 * transposed; FORGETFUL: the last input channel left out. */
#define TWIN_CONV(s, fault, body)                                              \
  do {                                                                         \
    struct kern_dims di_ = twin_src (s), do_ = twin_dst (s);                   \
    int k_ = (s)->kernel;                                                      \
    for (int64_t n_ = 0; n_ < di_.n; n_++)                                     \
      for (int64_t o_ = 0; o_ < do_.c; o_++)                                   \
        for (int64_t c_ = 0; c_ < di_.c - ((fault) == FORGETFUL); c_++)        \
          for (int64_t y_ = 0; y_ < do_.h; y_++)                               \
            for (int64_t x_ = 0; x_ < do_.w; x_++)                             \
              for (int r_ = 0; r_ < k_; r_++)                                  \
                for (int q_ = 0; q_ < k_; q_++) {                              \
                  int64_t yi_ = y_ * (s)->stride - (s)->pad + r_;              \
                  int64_t xi_ =                                                \
                      x_ * (s)->stride - (s)->pad + q_ + ((fault) == SHIFTED); \
                  if (yi_ < 0 || xi_ < 0 || yi_ >= di_.h || xi_ >= di_.w)      \
                    continue;                                                  \
                  int64_t at_x =                                               \
                      ((n_ * di_.c + c_) * di_.h + yi_) * di_.w + xi_;         \
                  int64_t at_y =                                               \
                      ((n_ * do_.c + o_) * do_.h + y_) * do_.w + x_;           \
                  int64_t at_w =                                               \
                      (o_ * di_.c + c_) * k_ * k_ +                            \
                      ((fault) == TURNED ? q_ * k_ + r_ : r_ * k_ + q_);       \
                  body;                                                        \
                }                                                              \
  } while (0)

TAP_FN struct kern_dims
twin_src (const struct kern_conv_shape *s)
{
  return (struct kern_dims){s->n, s->c, s->h, s->w};
}

TAP_FN struct kern_dims
twin_dst (const struct kern_conv_shape *s)
{
  return (struct kern_dims){s->n, s->out_c,
                            (s->h + 2 * s->pad - s->kernel) / s->stride + 1,
                            (s->w + 2 * s->pad - s->kernel) / s->stride + 1};
}

TAP_FN size_t
twin_weights (const struct kern_conv_shape *s)
{
  return (size_t)(s->out_c * s->c * s->kernel * s->kernel);
}

/* The results, each with the sums of absolute terms behind it. */
TAP_FN void
twin_forward (const struct kern_conv_shape *s, const float *x, const float *w,
              const float *bias, enum twin_fault fault, double *y, double *size)
{
  struct kern_dims d = twin_dst (s);
  int64_t pixels = d.h * d.w;
  for (size_t j = 0; j < count (d); j++) {
    y[j] = bias == NULL ? 0 : bias[(int64_t)j / pixels % d.c];
    size[j] = fabs (y[j]);
  }
  TWIN_CONV (s, fault, {
    double t = (double)x[at_x] * w[at_w];
    y[at_y] += t;
    size[at_y] += fabs (t);
  });
}

TAP_FN void
twin_back_data (const struct kern_conv_shape *s, const float *d_y,
                const float *w, enum twin_fault fault, double *d_x,
                double *size)
{
  for (size_t j = 0; j < count (twin_src (s)); j++)
    d_x[j] = size[j] = 0;
  TWIN_CONV (s, fault, {
    double t = (double)d_y[at_y] * w[at_w];
    d_x[at_x] += t;
    size[at_x] += fabs (t);
  });
}

TAP_FN void
twin_back_weights (const struct kern_conv_shape *s, const float *x,
                   const float *d_y, enum twin_fault fault, double *d_w,
                   double *size)
{
  for (size_t j = 0; j < twin_weights (s); j++)
    d_w[j] = size[j] = 0;
  TWIN_CONV (s, fault, {
    double t = (double)d_y[at_y] * x[at_x];
    d_w[at_w] += t;
    size[at_w] += fabs (t);
  });
}

TAP_FN void
twin_back_bias (const struct kern_conv_shape *s, const float *d_y, double *d_b,
                double *size)
{
  struct kern_dims d = twin_dst (s);
  int64_t pixels = d.h * d.w;
  for (int64_t c = 0; c < d.c; c++)
    d_b[c] = size[c] = 0;
  for (size_t j = 0; j < count (d); j++) {
    d_b[(int64_t)j / pixels % d.c] += d_y[j];
    size[(int64_t)j / pixels % d.c] += fabs (d_y[j]);
  }
}

#endif

/* kern/own.c -- plain kernels of our own: convolution, batch normalisation,
 * pooling, matrix product.
 *
 * They take the place of a kernel of the library that was found to be wrong
 * (prove.c): any layout, no memory, the same bits for any number of threads.
 */
#include "kern/own_impl.h"
#include "kern/kern_impl.h"

#include <math.h>

struct kern_view
kern_view_of (const struct kern *k, struct kern_dims d, enum kern_layout l)
{
  struct kern_view v = {.n = d.n,
                        .c = d.c,
                        .h = d.h,
                        .w = d.w,
                        .wide = l == KERN_PLAIN  ? 1
                                : l == KERN_LAST ? d.c
                                                 : kern_block (k)};
  v.groups = (d.c + v.wide - 1) / v.wide;
  return v;
}

/* -- convolution ----------------------------------------------------------- */

/* Sum over channels of one tap: weights from w on, `step` apart. */
static double
tap_sum (const struct kern_view *v, const float *x, int64_t n, int64_t y,
         int64_t col, const float *w, int64_t step)
{
  double sum = 0;
  for (int64_t c = 0; c < v->c; c++)
    sum += (double)x[kern_view_channel (v, n, c, y, col)] * w[c * step];
  return sum;
}

static double
forward_at (const struct kern_own_conv *o, const float *src, const float *w,
            int64_t n, int64_t oc, int64_t oy, int64_t ox)
{
  const int64_t k = o->kernel;
  double sum = 0;
  for (int64_t ky = 0; ky < k; ky++)
    for (int64_t kx = 0; kx < k; kx++) {
      int64_t y = oy * o->stride - o->pad + ky;
      int64_t x = ox * o->stride - o->pad + kx;
      if (y >= 0 && y < o->src.h && x >= 0 && x < o->src.w)
        sum += tap_sum (&o->src, src, n, y, x,
                        w + (oc * o->src.c * k + ky) * k + kx, k * k);
    }
  return sum;
}

void
kern_own_conv_forward (const struct kern_own_conv *o, const float *src,
                       const float *w, const float *bias, float *dst)
{
  const struct kern_view *d = &o->dst;
#pragma omp parallel for collapse(2) schedule(static) num_threads(o->threads)
  for (int64_t n = 0; n < d->n; n++)
    for (int64_t y = 0; y < d->h; y++)
      for (int64_t x = 0; x < d->w; x++)
        for (int64_t c = 0; c < d->groups * d->wide; c++) {
          double sum = c < d->c && bias ? bias[c] : 0;
          if (c < d->c)
            sum += forward_at (o, src, w, n, c, y, x);
          dst[kern_view_channel (d, n, c, y, x)] = (float)sum;
        }
}

/* The gradient of one input: from every output in which it took part.  With a
 * stride that is only each stride-th one. */
static double
back_data_at (const struct kern_own_conv *o, const float *d_dst, const float *w,
              int64_t n, int64_t ic, int64_t y, int64_t x)
{
  const int64_t k = o->kernel;
  double sum = 0;
  for (int64_t ky = 0; ky < k; ky++)
    for (int64_t kx = 0; kx < k; kx++) {
      int64_t oy = y + o->pad - ky, ox = x + o->pad - kx;
      if (oy < 0 || ox < 0 || oy % o->stride != 0 || ox % o->stride != 0)
        continue;
      oy /= o->stride;
      ox /= o->stride;
      if (oy < o->dst.h && ox < o->dst.w)
        sum += tap_sum (&o->dst, d_dst, n, oy, ox, w + (ic * k + ky) * k + kx,
                        o->src.c * k * k);
    }
  return sum;
}

void
kern_own_conv_back_data (const struct kern_own_conv *o, const float *d_dst,
                         const float *w, float *d_src)
{
  const struct kern_view *s = &o->src;
#pragma omp parallel for collapse(2) schedule(static) num_threads(o->threads)
  for (int64_t n = 0; n < s->n; n++)
    for (int64_t y = 0; y < s->h; y++)
      for (int64_t x = 0; x < s->w; x++)
        for (int64_t c = 0; c < s->groups * s->wide; c++)
          d_src[kern_view_channel (s, n, c, y, x)] =
              c < s->c ? (float)back_data_at (o, d_dst, w, n, c, y, x) : 0;
}

/* The first output whose tap at `shift` = tap - pad lies inside, and the one
 * behind the last. */
static void
inside (int64_t shift, int64_t stride, int64_t in, int64_t out, int64_t *first,
        int64_t *end)
{
  *first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
  *end = in - 1 - shift < 0 ? 0 : (in - 1 - shift) / stride + 1;
  *end = *end < out ? *end : out;
}

static double
back_weight_at (const struct kern_own_conv *o, const float *src,
                const float *d_dst, int64_t oc, int64_t ic, int64_t ky,
                int64_t kx)
{
  int64_t y0, y1, x0, x1;
  double sum = 0;
  inside (ky - o->pad, o->stride, o->src.h, o->dst.h, &y0, &y1);
  inside (kx - o->pad, o->stride, o->src.w, o->dst.w, &x0, &x1);
  for (int64_t n = 0; n < o->dst.n; n++)
    for (int64_t y = y0; y < y1; y++) {
      const float *a = src + kern_view_channel (&o->src, n, ic,
                                                y * o->stride + ky - o->pad, 0);
      const float *b = d_dst + kern_view_channel (&o->dst, n, oc, y, 0);
      for (int64_t x = x0; x < x1; x++)
        sum += (double)a[(x * o->stride + kx - o->pad) * o->src.wide] *
               b[x * o->dst.wide];
    }
  return sum;
}

/* A strip of neighbouring channels at a time. */
#define CHANNELS 8
void
kern_own_conv_back_bias (const struct kern_view *dst, int threads,
                         const float *d_dst, float *d_bias)
{
  const struct kern_view *v = dst;
  const int64_t strip = v->wide < CHANNELS ? v->wide : CHANNELS;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t c0 = 0; c0 < v->c; c0 += strip) {
    const int64_t m = v->c - c0 < strip ? v->c - c0 : strip;
    double sum[CHANNELS] = {0};
    for (int64_t n = 0; n < v->n; n++) {
      const float *b = d_dst + kern_view_channel (v, n, c0, 0, 0);
      for (int64_t i = 0; i < v->h * v->w; i++)
        for (int64_t c = 0; c < m; c++)
          sum[c] += b[i * v->wide + c];
    }
    for (int64_t c = 0; c < m; c++)
      d_bias[c0 + c] = (float)sum[c];
  }
}

void
kern_own_conv_back_weights (const struct kern_own_conv *o, const float *src,
                            const float *d_dst, float *d_w, float *d_bias)
{
  const int64_t k = o->kernel;
#pragma omp parallel for schedule(static) num_threads(o->threads)
  for (int64_t oc = 0; oc < o->dst.c; oc++)
    for (int64_t i = 0; i < o->src.c * k * k; i++)
      d_w[oc * o->src.c * k * k + i] = (float)back_weight_at (
          o, src, d_dst, oc, i / (k * k), i / k % k, i % k);
  if (d_bias)
    kern_own_conv_back_bias (&o->dst, o->threads, d_dst, d_bias);
}

/* -- batch normalisation --------------------------------------------------- */

/* The pixels of channel c in sample n: `wide` apart. */
static int64_t
line_of (const struct kern_view *v, int64_t n, int64_t c)
{
  return kern_view_channel (v, n, c, 0, 0);
}

void
kern_own_bn_statistics (const struct kern_own_bn *o, const float *src,
                        float *mean, float *var)
{
  const struct kern_view *v = &o->v;
  const int64_t pixels = v->h * v->w;
  const double count = (double)(v->n * pixels);
#pragma omp parallel for schedule(static) num_threads(o->threads)
  for (int64_t c = 0; c < v->c; c++) {
    double sum = 0, squares = 0;
    for (int64_t n = 0; n < v->n; n++)
      for (int64_t i = 0; i < pixels; i++)
        sum += src[line_of (v, n, c) + i * v->wide];
    sum /= count;
    for (int64_t n = 0; n < v->n; n++)
      for (int64_t i = 0; i < pixels; i++) {
        double x = src[line_of (v, n, c) + i * v->wide] - sum;
        squares += x * x;
      }
    mean[c] = (float)sum;
    var[c] = (float)(squares / count);
  }
}

void
kern_own_bn_apply (const struct kern_own_bn *o, const float *src,
                   const float *scale, const float *shift, const float *mean,
                   const float *var, bool relu, float *dst, uint8_t *mask)
{
  const struct kern_view *v = &o->v;
#pragma omp parallel for schedule(static) num_threads(o->threads)
  for (int64_t n = 0; n < v->n; n++)
    for (int64_t c = 0; c < v->groups * v->wide; c++) {
      const bool real = c < v->c;
      const double a =
          real ? scale[c] / sqrt ((double)var[c] + (double)o->eps) : 0;
      const int64_t at = line_of (v, n, c);
      for (int64_t i = at; i < at + v->h * v->w * v->wide; i += v->wide) {
        double y = real ? (src[i] - (double)mean[c]) * a + shift[c] : 0;
        bool off = relu && y <= 0; /* NaN goes through */
        dst[i] = off ? 0 : (float)y;
        if (mask)
          mask[i] = !off;
      }
    }
}

/* With z = (x - mean) rstd and g the gradient behind the ReLU:
 *   d_x = scale rstd (g - mean of g - z mean of (g z)) */
static void
bn_back_channel (const struct kern_own_bn *o, int64_t c, const float *src,
                 const float *d_dst, const float *scale, const float *mean,
                 const float *var, const uint8_t *mask, float *d_src,
                 float *d_scale, float *d_shift)
{
  const struct kern_view *v = &o->v;
  const int64_t length = v->h * v->w * v->wide;
  const double count = (double)(v->n * v->h * v->w);
  const double rstd = 1 / sqrt ((double)var[c] + (double)o->eps);
  double sum = 0, along = 0;
  for (int64_t n = 0; n < v->n; n++)
    for (int64_t i = line_of (v, n, c), j = 0; j < length; j += v->wide) {
      double g = mask && !mask[i + j] ? 0 : d_dst[i + j];
      sum += g;
      along += g * (src[i + j] - (double)mean[c]) * rstd;
    }
  for (int64_t n = 0; n < v->n; n++)
    for (int64_t i = line_of (v, n, c), j = 0; j < length; j += v->wide) {
      double g = mask && !mask[i + j] ? 0 : d_dst[i + j];
      double z = (src[i + j] - (double)mean[c]) * rstd;
      d_src[i + j] = (float)(scale[c] * rstd * (g - (sum + z * along) / count));
    }
  d_scale[c] = (float)along;
  d_shift[c] = (float)sum;
}

void
kern_own_bn_back (const struct kern_own_bn *o, const float *src,
                  const float *d_dst, const float *scale, const float *mean,
                  const float *var, const uint8_t *mask, float *d_src,
                  float *d_scale, float *d_shift)
{
  const struct kern_view *v = &o->v;
#pragma omp parallel for schedule(static) num_threads(o->threads)
  for (int64_t c = 0; c < v->groups * v->wide; c++) {
    if (c < v->c) {
      bn_back_channel (o, c, src, d_dst, scale, mean, var, mask, d_src, d_scale,
                       d_shift);
      continue;
    }
    for (int64_t n = 0; n < v->n; n++)
      for (int64_t i = 0; i < v->h * v->w; i++)
        d_src[line_of (v, n, c) + i * v->wide] = 0;
  }
}

void
kern_own_bn_infer_back (const struct kern_own_bn *o, const float *dst,
                        const float *d_dst, const float *scale,
                        const float *var, float *factor, float *d_src)
{
  const struct kern_view *v = &o->v;
  const int64_t pixels = v->h * v->w;
  for (int64_t c = 0; c < v->groups * v->wide; c++)
    factor[c] = c < v->c
                    ? (float)(scale[c] / sqrt ((double)var[c] + (double)o->eps))
                    : 0;
#pragma omp parallel for collapse(2) schedule(static) num_threads(o->threads)
  for (int64_t n = 0; n < v->n; n++)
    for (int64_t g = 0; g < v->groups; g++) {
      const int64_t at = kern_view_at (v, n, g, 0, 0);
      const float *f = factor + g * v->wide;
      for (int64_t i = at; i < at + pixels * v->wide; i += v->wide)
        for (int64_t c = 0; c < v->wide; c++) /* NaN goes through */
          d_src[i + c] = dst && dst[i + c] <= 0 ? 0 : f[c] * d_dst[i + c];
    }
}

/* -- maximum pooling ------------------------------------------------------- */

/* The largest of a window, the first of equals; NaN is larger than all. */
static int64_t
largest (const struct kern_own_pool *o, const float *src, int64_t n, int64_t c,
         int64_t oy, int64_t ox)
{
  int64_t best = -1;
  for (int64_t i = 0; i < o->kernel * o->kernel; i++) {
    int64_t y = oy * o->stride - o->pad + i / o->kernel;
    int64_t x = ox * o->stride - o->pad + i % o->kernel;
    if (y < 0 || y >= o->src.h || x < 0 || x >= o->src.w)
      continue;
    int64_t at = kern_view_channel (&o->src, n, c, y, x);
    if (best < 0 || (!isnan (src[best]) && !(src[at] <= src[best])))
      best = at;
  }
  return best;
}

void
kern_own_pool_forward (const struct kern_own_pool *o, const float *src,
                       float *dst, int64_t *mask)
{
  const struct kern_view *d = &o->dst;
#pragma omp parallel for collapse(2) schedule(static) num_threads(o->threads)
  for (int64_t n = 0; n < d->n; n++)
    for (int64_t c = 0; c < d->groups * d->wide; c++)
      for (int64_t i = 0; i < d->h * d->w; i++) {
        int64_t to = kern_view_channel (d, n, c, i / d->w, i % d->w);
        mask[to] = c < d->c ? largest (o, src, n, c, i / d->w, i % d->w) : -1;
        dst[to] = mask[to] < 0 ? 0 : src[mask[to]];
      }
}

void
kern_own_pool_back (const struct kern_own_pool *o, const float *d_dst,
                    const int64_t *mask, float *d_src)
{
  const struct kern_view *s = &o->src, *d = &o->dst;
  const int64_t image = s->groups * s->wide * s->h * s->w;
  const int64_t out = d->groups * d->wide * d->h * d->w;
#pragma omp parallel for schedule(static) num_threads(o->threads)
  for (int64_t n = 0; n < s->n; n++) {
    for (int64_t i = 0; i < image; i++)
      d_src[n * image + i] = 0;
    for (int64_t i = n * out; i < (n + 1) * out; i++)
      if (mask[i] >= 0)
        d_src[mask[i]] += d_dst[i];
  }
}

/* -- matrix product -------------------------------------------------------- */

/* Row i of C, a strip of columns at a time. */
#define STRIP 64
static void
product_row (const struct kern_product *p, int64_t i, const float *a,
             const float *b, float *c)
{
  const int64_t a_step = p->a_form == 'N' ? 1 : p->lda;
  const float *x = a + (p->a_form == 'N' ? i * p->lda : i);
  for (int64_t j0 = 0; j0 < p->n; j0 += STRIP) {
    const int64_t m = p->n - j0 < STRIP ? p->n - j0 : STRIP;
    double sum[STRIP] = {0};
    for (int64_t l = 0; l < p->inner; l++)
      for (int64_t j = 0; j < m; j++)
        sum[j] += (double)x[l * a_step] * (p->b_form == 'N'
                                               ? b[l * p->ldb + j0 + j]
                                               : b[(j0 + j) * p->ldb + l]);
    float *y = c + i * p->ldc + j0;
    for (int64_t j = 0; j < m; j++)
      y[j] = (float)((p->beta == 0 ? 0 : (double)p->beta * y[j]) +
                     (double)p->alpha * sum[j]);
  }
}

void
kern_own_product (int threads, const struct kern_product *p, const float *a,
                  const float *b, float *c)
{
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t i = 0; i < p->m; i++)
    product_row (p, i, a, b, c);
}

/* kern/own_impl.h -- plain kernels of our own, for where the library's are
 * wrong.
 *
 * Slow and obvious: sums in double, in an order that does not depend on the
 * number of threads.  They know no library; weights are plain [out, in, kh,
 * kw].
 */
#ifndef KERN_OWN_IMPL_H
#define KERN_OWN_IMPL_H

#include "kern/kern.h"

/* An image tensor of any layout: groups of `wide` neighbouring channels, each
 * group an image of h x w pixels.  Channels from c on are padding. */
struct kern_view {
  int64_t n, c, h, w;
  int64_t wide, groups;
};
struct kern_view
kern_view_of (const struct kern *k, struct kern_dims d, enum kern_layout l);
/* Where pixel (y, x) of group g lies. */
static inline int64_t
kern_view_at (const struct kern_view *v, int64_t n, int64_t g, int64_t y,
              int64_t x)
{
  return (((n * v->groups + g) * v->h + y) * v->w + x) * v->wide;
}
/* ... and of channel c alone. */
static inline int64_t
kern_view_channel (const struct kern_view *v, int64_t n, int64_t c, int64_t y,
                   int64_t x)
{
  return kern_view_at (v, n, c / v->wide, y, x) + c % v->wide;
}

struct kern_own_conv {
  struct kern_view src, dst;
  int kernel, stride, pad, threads;
};
void
kern_own_conv_forward (const struct kern_own_conv *o, const float *src,
                       const float *w, const float *bias, float *dst);
void
kern_own_conv_back_data (const struct kern_own_conv *o, const float *d_dst,
                         const float *w, float *d_src);
/* d_bias: NULL where there is none. */
void
kern_own_conv_back_weights (const struct kern_own_conv *o, const float *src,
                            const float *d_dst, float *d_w, float *d_bias);
void
kern_own_conv_back_bias (const struct kern_view *dst, int threads,
                         const float *d_dst, float *d_bias);

/* mask: a byte per number of the tensor, NULL without ReLU. */
struct kern_own_bn {
  struct kern_view v;
  float eps;
  int threads;
};
void
kern_own_bn_statistics (const struct kern_own_bn *o, const float *src,
                        float *mean, float *var);
void
kern_own_bn_apply (const struct kern_own_bn *o, const float *src,
                   const float *scale, const float *shift, const float *mean,
                   const float *var, bool relu, float *dst, uint8_t *mask);
void
kern_own_bn_back (const struct kern_own_bn *o, const float *src,
                  const float *d_dst, const float *scale, const float *mean,
                  const float *var, const uint8_t *mask, float *d_src,
                  float *d_scale, float *d_shift);
/* Statistics are given; dst: what came out, NULL without ReLU; factor: room for
 * a number per channel, those between channels and groups x wide too. */
void
kern_own_bn_infer_back (const struct kern_own_bn *o, const float *dst,
                        const float *d_dst, const float *scale,
                        const float *var, float *factor, float *d_src);

/* mask: for every output the place of its source in the tensor. */
struct kern_own_pool {
  struct kern_view src, dst;
  int kernel, stride, pad, threads;
};
void
kern_own_pool_forward (const struct kern_own_pool *o, const float *src,
                       float *dst, int64_t *mask);
void
kern_own_pool_back (const struct kern_own_pool *o, const float *d_dst,
                    const int64_t *mask, float *d_src);

/* C [m, n] = alpha op(A) op(B) + beta C, all row-major; A has lda numbers in a
 * row, and so on. */
struct kern_product {
  char a_form, b_form; /* N or T */
  int64_t m, n, inner;
  int64_t lda, ldb, ldc;
  float alpha, beta;
};
void
kern_own_product (int threads, const struct kern_product *p, const float *a,
                  const float *b, float *c);

#endif

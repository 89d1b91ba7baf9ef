/* kern/half_impl.h -- products in bf16, for linear.c: where a layer has them
 * they take the place of those in f32.
 */
#ifndef KERN_HALF_IMPL_H
#define KERN_HALF_IMPL_H

#include "kern/prove_impl.h"

/* y = x W^T + b; d_x = d_y W; d_W = d_y^T x, set or added. */
enum half_what { HALF_FORWARD, HALF_DATA, HALF_SET, HALF_ADD, HALF_OPS };

struct kern_half;
enum status
kern_half_create (struct kern *k, const struct kern_linear_shape *s,
                  struct kern_half **out);
void
kern_half_destroy (struct kern_half **h);
/* The weights are now w [out, in], numbers that are bf16's. */
void
kern_half_refresh (struct kern_half *h, const float *w);
/* Whether it computes this of so many rows.  h may be NULL: no. */
bool
kern_half_does (const struct kern_half *h, enum half_what what, int64_t rows);
/* a: x forward, else d_y; x: of HALF_SET and HALF_ADD; bias: as the layer was
 * made; c: the result. */
enum status
kern_half_run (struct kern_half *h, enum half_what what, const float *a,
               const float *x, const float *bias, float *c);

#endif

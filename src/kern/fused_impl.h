/* kern/fused_impl.h -- batch normalisation in as few passes over memory as it
 * takes: one that reads for the statistics, one that writes.
 *
 * Own loops, on every processor and for every number of threads the same bits:
 * rows are shared out in units of fixed size, their sums are added in the order
 * of units.  A "row" is one pixel with all channels that lie beside each other.
 */
#ifndef KERN_FUSED_IMPL_H
#define KERN_FUSED_IMPL_H

#include "kern/own_impl.h"

struct kern_fused {
  struct kern_view v; /* where each image is one block, all are one */
  /* A unit is so many images of so many groups, or so many rows of the one
   * image and the one group; there are parts x blocks of them. */
  int64_t images, together, rows, parts, blocks;
  float eps;
  int threads;
};
struct kern_fused
kern_fused_of (const struct kern *k, struct kern_dims d, enum kern_layout l,
               float eps);
/* What the calls below need as room, 64-byte aligned. */
size_t
kern_fused_bytes (const struct kern_fused *f);

/* What becomes of a normalised number: y, or max (y, 0), with side (NULL: 0)
 * added first. */
struct kern_fused_out {
  const float *side;
  bool relu;
  float *dst;
};
/* mean and var are written. */
void
kern_fused_forward (const struct kern_fused *f, void *room, const float *src,
                    const float *scale, const float *shift, float *mean,
                    float *var, const struct kern_fused_out *out);
/* On given ones. */
void
kern_fused_infer (const struct kern_fused *f, void *room, const float *src,
                  const float *scale, const float *shift, const float *mean,
                  const float *var, const struct kern_fused_out *out);

/* The gradient behind normalisation: d_dst, or that where a ReLU let through
 * what kern_fused_forward made of src (relu), or (d_dst + more) where dst is
 * above 0 (dst not NULL; more NULL: 0), which is left in g. */
struct kern_fused_in {
  const float *d_dst, *more, *dst;
  bool relu;
  float *g; /* may be more */
};
/* d_src may be d_dst. */
void
kern_fused_back (const struct kern_fused *f, void *room, const float *src,
                 const float *scale, const float *shift, const float *mean,
                 const float *var, const struct kern_fused_in *in, float *d_src,
                 float *d_scale, float *d_shift);
/* g alone. */
void
kern_fused_gate (const struct kern_fused *f, const struct kern_fused_in *in);

#endif

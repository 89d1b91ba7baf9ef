/* kern/winograd_impl.h -- convolutions by Winograd's products of tiles.
 *
 * 3x3, stride 1, padding 1.  An image is cut into tiles of m x m results, which
 * are made from (m + 2) x (m + 2) numbers of the source.  Both sides of the
 * product are transformed (Lavin and Gray 2016); of each of the (m + 2)^2
 * numbers of all tiles and channels one product of matrices is made, and what
 * comes out is transformed back:
 *
 *   y = A' [(G w G') o (B' x B)] A,    d_w = G' [(A d_y A') o (B' x B)] G
 *
 * with the sum over channels, or over tiles, in the middle.  The gradient of
 * the source is a convolution with the weights turned round.
 *
 * The sums of one number have one order, that of channels or tiles, whatever
 * the number of threads is.
 */
#ifndef KERN_WINOGRAD_IMPL_H
#define KERN_WINOGRAD_IMPL_H

#include "kern/own_impl.h"

#define KERN_WINO_SIDE 6 /* m + 2, at most */
#define KERN_WINO_POINTS (KERN_WINO_SIDE * KERN_WINO_SIDE)

/* The transforms' numbers: polynomials are evaluated at 0, a, -a, b, -b and
 * infinity; of m = 2 at 0, 1, -1 and infinity. */
struct kern_wino_numbers {
  float a, b, aa, bb, aaa, bbb;
  float both, sum;  /* aa bb, aa + bb */
  float g0, ga, gb; /* what the weights' polynomials are divided by */
};

/* Tiles of a tensor, numbered by sample, row and column, and where they go:
 * number p of tile `first` + t, channel c, lies at
 *   to[p * plane + (c / wide * rows + t) * wide + c % wide]
 * with the level's `wide`.  What comes back lies likewise. */
struct kern_wino_tiles {
  const struct kern_wino_numbers *numbers;
  const struct kern_view *v;
  int m;
  int64_t down, across; /* tiles of an image */
  int64_t first, n;
  int64_t plane, rows;
};

/* One side of the weights: those of a convolution from `in` to `out` channels,
 * number p of (out channel o, in channel i) at
 *   to[p * plane + (o / wide * in + i) * wide + o % wide]. */
struct kern_wino_weights {
  const struct kern_wino_numbers *numbers;
  int m;
  int64_t in, out;
  int64_t plane;
  /* Plain weights: how far apart channels are, and whether taps are turned
   * round, as for the gradient of the source. */
  int64_t step_in, step_out;
  bool turned;
};

/* The loops, compiled for an instruction set. */
struct kern_wino_level {
  int wide; /* channels in a panel */
  /* B' x B of tiles of the source; A d_y A' of those of a result. */
  void (*source) (const struct kern_wino_tiles *t, const float *x, float *to);
  void (*spread) (const struct kern_wino_tiles *t, const float *y, float *to);
  /* A' m A of `panels` panels from `channel` on; bias: of all channels
   * (or NULL). */
  void (*result) (const struct kern_wino_tiles *t, int64_t channel,
                  int64_t panels, const float *from, const float *bias,
                  float *y);
  /* G w G' of a panel of out channels, and G' d_w G. */
  void (*weights) (const struct kern_wino_weights *w, int64_t panel,
                   const float *plain, float *to);
  void (*gradient) (const struct kern_wino_weights *w, int64_t panel,
                    const float *from, float *plain);
  /* c [n, wide] = sum over `inner` channels of a tile's number, in panels of
   * `rows` tiles, times b [inner, wide].  channels: that are wanted of the
   * panel, or more. */
  void (*product) (int64_t n, int64_t channels, int64_t inner, int64_t rows,
                   const float *a, const float *b, float *c);
  /* c [in, wide] (+)= sum over n tiles of a (panels of `rows` tiles) and
   * b [n, wide]; channels: likewise. */
  void (*correlate) (int64_t n, int64_t channels, int64_t in, int64_t rows,
                     const float *a, const float *b, bool add, float *c);
};
const struct kern_wino_level *
kern_wino_level (const struct kern *k);

/* -- a convolution --------------------------------------------------------- */

struct kern_wino {
  const struct kern_wino_level *level;
  struct kern_wino_numbers numbers;
  struct kern_view src, dst;
  int m; /* 0: none of ours */
  int threads;
};
/* False: not for this shape. */
bool
kern_wino_init (const struct kern *k, const struct kern_conv_shape *s, int m,
                struct kern_wino *w);
/* Floats of memory that a direction works in. */
size_t
kern_wino_room (const struct kern_wino *w, enum kern_direction d);
/* Weights and their gradients are plain [out, in, 3, 3]. */
void
kern_wino_forward (const struct kern_wino *w, const float *src,
                   const float *weights, const float *bias, float *room,
                   float *dst);
void
kern_wino_back_data (const struct kern_wino *w, const float *d_dst,
                     const float *weights, float *room, float *d_src);
/* d_bias: NULL where there is none. */
void
kern_wino_back_weights (const struct kern_wino *w, const float *src,
                        const float *d_dst, float *room, float *d_weights,
                        float *d_bias);

#endif

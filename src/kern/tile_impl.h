/* kern/tile_impl.h -- products of small matrices that are in the cache. */
#ifndef KERN_TILE_IMPL_H
#define KERN_TILE_IMPL_H

#include <stdbool.h>
#include <stdint.h>

/* C [m, n] = alpha A B, or added to what C holds; A [m, inner], B [inner, n].
 * Row i of A begins at a + i a_row, and its numbers are a_in apart; B and C are
 * row-major. */
struct kern_tile {
  int64_t m, n, inner;
  const float *a;
  int64_t a_row, a_in;
  const float *b;
  int64_t b_row;
  float *c;
  int64_t c_row;
  float alpha;
  bool add;
};

/* By the calling thread alone.  Every number is a chain of fused multiply-adds
 * in the order of the inner side, times alpha: the same bits on every
 * instruction set. */
void
kern_tile (const struct kern_tile *t);

#endif

/* kern/tile_body.h -- the loops of tile.c for one kind of vectors.
 *
 * Read once for each, with NAME (function), TARGET, LANES, VEC, LOAD, STORE,
 * SPREAD, FMA, MUL, ADD of it, and WIDE vectors of a block's columns.  ROWS
 * rows of the block are summed in registers.
 */

#define ROWS 6

__attribute__ ((always_inline, target (TARGET))) static inline void
NAME (block) (const struct kern_tile *t, int64_t i0, int64_t j0, int rows,
              int wide)
{
  const float *a = t->a + i0 * t->a_row, *b = t->b + j0;
  VEC sum[ROWS][WIDE];
#pragma GCC unroll 6
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
    for (int v = 0; v < wide; v++)
      sum[i][v] = SPREAD (0.0f);
  for (int64_t l = 0; l < t->inner; l++, a += t->a_in, b += t->b_row) {
    VEC row[WIDE];
#pragma GCC unroll 4
    for (int v = 0; v < wide; v++)
      row[v] = LOAD (b + v * LANES);
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
      const VEC x = SPREAD (a[i * t->a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < wide; v++)
        sum[i][v] = FMA (x, row[v], sum[i][v]);
    }
  }
  const VEC alpha = SPREAD (t->alpha);
#pragma GCC unroll 6
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
    for (int v = 0; v < wide; v++) {
      float *c = t->c + (i0 + i) * t->c_row + j0 + v * LANES;
      VEC y = MUL (alpha, sum[i][v]);
      STORE (c, t->add ? ADD (LOAD (c), y) : y);
    }
}

/* So many columns of all rows, `wide` a constant. */
__attribute__ ((always_inline, target (TARGET))) static inline void
NAME (strip) (const struct kern_tile *t, int64_t j0, int wide)
{
  int64_t i = 0;
  for (; i + ROWS <= t->m; i += ROWS)
    NAME (block) (t, i, j0, ROWS, wide);
  for (; i + 2 <= t->m; i += 2)
    NAME (block) (t, i, j0, 2, wide);
  for (; i < t->m; i++)
    NAME (block) (t, i, j0, 1, wide);
}

__attribute__ ((noinline, target (TARGET))) static int64_t
NAME (strips) (const struct kern_tile *t)
{
  int64_t j = 0;
  for (; j + WIDE * LANES <= t->n; j += WIDE * LANES)
    NAME (strip) (t, j, WIDE);
  for (; j + LANES <= t->n; j += LANES)
    NAME (strip) (t, j, 1);
  return j;
}

#undef ROWS
#undef NAME
#undef TARGET
#undef LANES
#undef WIDE
#undef VEC
#undef LOAD
#undef STORE
#undef SPREAD
#undef FMA
#undef MUL
#undef ADD

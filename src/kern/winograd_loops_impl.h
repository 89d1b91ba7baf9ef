/* kern/winograd_loops_impl.h -- the loops of winograd_impl.h for one
 * instruction set.
 *
 * Read once for each by winograd_level.c, which says what a vector is: VEC its
 * type, LANES the numbers in it, ROWS of products at a time, LOAD, STORE, ALL
 * (a number in all lanes), FMA (a b + c), FNMA (c - a b), TARGET, and NAME for
 * what is defined here.
 */

#define INLINE __attribute__ ((always_inline)) static inline TARGET
#define WIDE ((int64_t)2 * LANES) /* channels in a panel */
#define SIDE KERN_WINO_SIDE

/* -- one dimension --------------------------------------------------------- */

/* The numbers of d and o are `at` and `to` vectors apart. */

/* B' d */
INLINE void
NAME (source_line) (const struct kern_wino_numbers *p, int m, const VEC *d,
                    int at, VEC *o, int to)
{
  if (m == 2) {
    o[0 * to] = d[0 * at] - d[2 * at];
    o[1 * to] = d[1 * at] + d[2 * at];
    o[2 * to] = d[2 * at] - d[1 * at];
    o[3 * to] = d[1 * at] - d[3 * at];
    return;
  }
  const VEC a = ALL (p->a), b = ALL (p->b), aa = ALL (p->aa), bb = ALL (p->bb);
  const VEC both = ALL (p->both), sum = ALL (p->sum);
  const VEC even_a = FNMA (bb, d[2 * at], d[4 * at]);
  const VEC odd_a = FNMA (bb, d[1 * at], d[3 * at]);
  const VEC even_b = FNMA (aa, d[2 * at], d[4 * at]);
  const VEC odd_b = FNMA (aa, d[1 * at], d[3 * at]);
  o[0 * to] = FMA (both, d[0 * at], FNMA (sum, d[2 * at], d[4 * at]));
  o[1 * to] = FMA (a, odd_a, even_a);
  o[2 * to] = FNMA (a, odd_a, even_a);
  o[3 * to] = FMA (b, odd_b, even_b);
  o[4 * to] = FNMA (b, odd_b, even_b);
  o[5 * to] = FMA (both, d[1 * at], FNMA (sum, d[3 * at], d[5 * at]));
}

/* A d */
INLINE void
NAME (spread_line) (const struct kern_wino_numbers *p, int m, const VEC *d,
                    int at, VEC *o, int to)
{
  if (m == 2) {
    o[0 * to] = d[0 * at];
    o[1 * to] = d[0 * at] + d[1 * at];
    o[2 * to] = d[0 * at] - d[1 * at];
    o[3 * to] = -d[1 * at];
    return;
  }
  const VEC a = ALL (p->a), b = ALL (p->b), aa = ALL (p->aa), bb = ALL (p->bb);
  const VEC even_a = FMA (aa, d[2 * at], d[0 * at]);
  const VEC odd_a = FMA (aa, d[3 * at], d[1 * at]);
  const VEC even_b = FMA (bb, d[2 * at], d[0 * at]);
  const VEC odd_b = FMA (bb, d[3 * at], d[1 * at]);
  o[0 * to] = d[0 * at];
  o[1 * to] = FMA (a, odd_a, even_a);
  o[2 * to] = FNMA (a, odd_a, even_a);
  o[3 * to] = FMA (b, odd_b, even_b);
  o[4 * to] = FNMA (b, odd_b, even_b);
  o[5 * to] = d[3 * at];
}

/* A' d */
INLINE void
NAME (result_line) (const struct kern_wino_numbers *p, int m, const VEC *d,
                    int at, VEC *o, int to)
{
  const VEC even_a = d[1 * at] + d[2 * at], odd_a = d[1 * at] - d[2 * at];
  if (m == 2) {
    o[0 * to] = d[0 * at] + even_a;
    o[1 * to] = odd_a - d[3 * at];
    return;
  }
  const VEC a = ALL (p->a), b = ALL (p->b), aa = ALL (p->aa), bb = ALL (p->bb);
  const VEC aaa = ALL (p->aaa), bbb = ALL (p->bbb);
  const VEC even_b = d[3 * at] + d[4 * at], odd_b = d[3 * at] - d[4 * at];
  o[0 * to] = d[0 * at] + even_a + even_b;
  o[1 * to] = FMA (a, odd_a, b * odd_b);
  o[2 * to] = FMA (aa, even_a, bb * even_b);
  o[3 * to] = FMA (aaa, odd_a, FMA (bbb, odd_b, d[5 * at]));
}

/* G d */
INLINE void
NAME (weights_line) (const struct kern_wino_numbers *p, int m, const VEC *d,
                     int at, VEC *o, int to)
{
  const VEC a = ALL (p->a), aa = ALL (p->aa), g0 = ALL (p->g0);
  const VEC ga = ALL (p->ga);
  const VEC even_a = ga * FMA (aa, d[2 * at], d[0 * at]);
  const VEC odd_a = ga * (a * d[1 * at]);
  o[0 * to] = g0 * d[0 * at];
  o[1 * to] = even_a + odd_a;
  o[2 * to] = even_a - odd_a;
  if (m == 2) {
    o[3 * to] = d[2 * at];
    return;
  }
  const VEC b = ALL (p->b), bb = ALL (p->bb), gb = ALL (p->gb);
  const VEC even_b = gb * FMA (bb, d[2 * at], d[0 * at]);
  const VEC odd_b = gb * (b * d[1 * at]);
  o[3 * to] = even_b + odd_b;
  o[4 * to] = even_b - odd_b;
  o[5 * to] = d[2 * at];
}

/* G' d */
INLINE void
NAME (gradient_line) (const struct kern_wino_numbers *p, int m, const VEC *d,
                      int at, VEC *o, int to)
{
  const VEC a = ALL (p->a), aa = ALL (p->aa), g0 = ALL (p->g0);
  const VEC ga = ALL (p->ga);
  const VEC even_a = ga * (d[1 * at] + d[2 * at]);
  const VEC odd_a = ga * (d[1 * at] - d[2 * at]);
  if (m == 2) {
    o[0 * to] = FMA (g0, d[0 * at], even_a);
    o[1 * to] = a * odd_a;
    o[2 * to] = FMA (aa, even_a, d[3 * at]);
    return;
  }
  const VEC b = ALL (p->b), bb = ALL (p->bb), gb = ALL (p->gb);
  const VEC even_b = gb * (d[3 * at] + d[4 * at]);
  const VEC odd_b = gb * (d[3 * at] - d[4 * at]);
  o[0 * to] = FMA (g0, d[0 * at], even_a + even_b);
  o[1 * to] = FMA (a, odd_a, b * odd_b);
  o[2 * to] = FMA (aa, even_a, FMA (bb, even_b, d[5 * at]));
}

/* -- tiles ----------------------------------------------------------------- */

/* Where a tile's rows begin, for LANES channels: what lies outside of the image
 * is 0. */
struct NAME (window) {
  const float *row[SIDE];
  int64_t step[SIDE]; /* from a number to the next of its row; 0 outside */
};

static const float NAME (zeros)[LANES];

/* One tile of `size` x `size` numbers into side x side ones.  first, end:
 * columns inside of the image. */
INLINE void
NAME (tile) (const struct kern_wino_tiles *t, int m, bool spread,
             const struct NAME (window) * w, int64_t first, int64_t end,
             float *to)
{
  const int side = m + 2, size = spread ? m : side;
  VEC half[SIDE * SIDE], whole[SIDE], d[SIDE];
  UNROLL
  for (int q = 0; q < size; q++) {
    const bool in = q >= first && q < end;
    UNROLL
    for (int r = 0; r < size; r++)
      d[r] = LOAD (in ? w->row[r] + q * w->step[r] : NAME (zeros));
    if (spread)
      NAME (spread_line) (t->numbers, m, d, 1, half + q, SIDE);
    else
      NAME (source_line) (t->numbers, m, d, 1, half + q, SIDE);
  }
  UNROLL
  for (int r = 0; r < side; r++) {
    if (spread)
      NAME (spread_line) (t->numbers, m, half + r * SIDE, 1, whole, 1);
    else
      NAME (source_line) (t->numbers, m, half + r * SIDE, 1, whole, 1);
    UNROLL
    for (int q = 0; q < side; q++)
      STORE (to + (r * side + q) * t->plane, whole[q]);
  }
}

INLINE void
NAME (tiles) (const struct kern_wino_tiles *t, int m, bool spread,
              const float *x, float *to)
{
  const struct kern_view *v = t->v;
  const int64_t size = spread ? m : m + 2, shift = spread ? 0 : 1;
  const int64_t channels = v->groups * v->wide;
  for (int64_t i = 0; i < t->n; i++) {
    const int64_t at = t->first + i, n = at / (t->down * t->across);
    const int64_t y = at / t->across % t->down * m - shift;
    const int64_t left = at % t->across * m - shift;
    const int64_t first = left < 0 ? -left : 0;
    const int64_t end = v->w - left < size ? v->w - left : size;
    for (int64_t c = 0; c < channels; c += LANES) {
      float *o = to + (c / WIDE * t->rows + i) * WIDE + c % WIDE;
      struct NAME (window) w;
      for (int r = 0; r < size; r++) {
        const bool in = y + r >= 0 && y + r < v->h;
        w.row[r] =
            in ? x + kern_view_channel (v, n, c, y + r, left) : NAME (zeros);
        w.step[r] = in ? v->wide : 0;
      }
      if (first == 0 && end == size)
        NAME (tile) (t, m, spread, &w, 0, size, o);
      else
        NAME (tile) (t, m, spread, &w, first, end, o);
    }
  }
}

TARGET static void
NAME (source) (const struct kern_wino_tiles *t, const float *x, float *to)
{
  if (t->m == 2)
    NAME (tiles) (t, 2, false, x, to);
  else
    NAME (tiles) (t, 4, false, x, to);
}

TARGET static void
NAME (spread) (const struct kern_wino_tiles *t, const float *y, float *to)
{
  if (t->m == 2)
    NAME (tiles) (t, 2, true, y, to);
  else
    NAME (tiles) (t, 4, true, y, to);
}

/* One tile of m x m results, of which the first `down` x `across` are inside of
 * the image, whose rows are `row` numbers long and pixels `step`. */
INLINE void
NAME (untile) (const struct kern_wino_tiles *t, int m, const float *from,
               VEC bias, int64_t down, int64_t across, int64_t row,
               int64_t step, float *y)
{
  const int side = m + 2;
  VEC half[SIDE * SIDE], whole[SIDE], d[SIDE];
  UNROLL
  for (int q = 0; q < side; q++) {
    UNROLL
    for (int r = 0; r < side; r++)
      d[r] = LOAD (from + (r * side + q) * t->plane);
    NAME (result_line) (t->numbers, m, d, 1, half + q, SIDE);
  }
  UNROLL
  for (int r = 0; r < m; r++) {
    NAME (result_line) (t->numbers, m, half + r * SIDE, 1, whole, 1);
    UNROLL
    for (int q = 0; q < m; q++)
      if (r < down && q < across)
        STORE (y + r * row + q * step, whole[q] + bias);
  }
}

INLINE void
NAME (untiles) (const struct kern_wino_tiles *t, int m, int64_t channel,
                int64_t panels, const float *from, const float *bias, float *y)
{
  const struct kern_view *v = t->v;
  int64_t end = channel + panels * WIDE;
  if (end > v->groups * v->wide)
    end = v->groups * v->wide;
  for (int64_t i = 0; i < t->n; i++) {
    const int64_t at = t->first + i, n = at / (t->down * t->across);
    const int64_t row = at / t->across % t->down * m;
    const int64_t column = at % t->across * m;
    const int64_t down = v->h - row, across = v->w - column;
    for (int64_t c = channel; c < end; c += LANES) {
      const int64_t p = c - channel;
      const float *f = from + (p / WIDE * t->rows + i) * WIDE + p % WIDE;
      float *to = y + kern_view_channel (v, n, c, row, column);
      const VEC more = bias ? LOAD (bias + c) : ALL (0);
      if (down >= m && across >= m)
        NAME (untile) (t, m, f, more, m, m, v->w * v->wide, v->wide, to);
      else
        NAME (untile)
      (t, m, f, more, down, across, v->w * v->wide, v->wide, to);
    }
  }
}

TARGET static void
NAME (result) (const struct kern_wino_tiles *t, int64_t channel, int64_t panels,
               const float *from, const float *bias, float *y)
{
  if (t->m == 2)
    NAME (untiles) (t, 2, channel, panels, from, bias, y);
  else
    NAME (untiles) (t, 4, channel, panels, from, bias, y);
}

/* -- weights --------------------------------------------------------------- */

/* The nine taps of WIDE out channels from o on, and in channel i: in a table,
 * whose numbers of channels that there are not stay what they are. */
static void
NAME (taps) (const struct kern_wino_weights *w, int64_t o, int64_t i,
             const float *plain, float tap[9][WIDE])
{
  const int64_t n = w->out - o < WIDE ? w->out - o : WIDE;
  for (int64_t c = 0; c < n; c++) {
    const float *from = plain + (o + c) * w->step_out + i * w->step_in;
    for (int j = 0; j < 9; j++)
      tap[w->turned ? 8 - j : j][c] = from[j];
  }
}

INLINE void
NAME (weights_of) (const struct kern_wino_weights *w, int m, int64_t panel,
                   const float *plain, float *to)
{
  const int side = m + 2;
  float tap[9][2 * LANES] = {{0}};
  for (int64_t i = 0; i < w->in; i++) {
    NAME (taps) (w, panel * WIDE, i, plain, tap);
    for (int64_t c = 0; c < WIDE; c += LANES) {
      VEC d[9], half[3 * SIDE], whole[SIDE];
      UNROLL
      for (int j = 0; j < 9; j++)
        d[j] = LOAD (tap[j] + c);
      UNROLL
      for (int q = 0; q < 3; q++)
        NAME (weights_line) (w->numbers, m, d + q, 3, half + q, 3);
      UNROLL
      for (int r = 0; r < side; r++) {
        NAME (weights_line) (w->numbers, m, half + r * 3, 1, whole, 1);
        UNROLL
        for (int q = 0; q < side; q++)
          STORE (to + (r * side + q) * w->plane + (panel * w->in + i) * WIDE +
                     c,
                 whole[q]);
      }
    }
  }
}

TARGET static void
NAME (weights) (const struct kern_wino_weights *w, int64_t panel,
                const float *plain, float *to)
{
  if (w->m == 2)
    NAME (weights_of) (w, 2, panel, plain, to);
  else
    NAME (weights_of) (w, 4, panel, plain, to);
}

INLINE void
NAME (gradient_of) (const struct kern_wino_weights *w, int m, int64_t panel,
                    const float *from, float *plain)
{
  const int side = m + 2;
  const int64_t o = panel * WIDE, n = w->out - o < WIDE ? w->out - o : WIDE;
  float tap[9][2 * LANES];
  for (int64_t i = 0; i < w->in; i++) {
    for (int64_t c = 0; c < n; c += LANES) {
      VEC half[3 * SIDE], whole[3], d[SIDE];
      UNROLL
      for (int q = 0; q < side; q++) {
        UNROLL
        for (int r = 0; r < side; r++)
          d[r] = LOAD (from + (r * side + q) * w->plane +
                       (panel * w->in + i) * WIDE + c);
        NAME (gradient_line) (w->numbers, m, d, 1, half + q, SIDE);
      }
      UNROLL
      for (int r = 0; r < 3; r++) {
        NAME (gradient_line) (w->numbers, m, half + r * SIDE, 1, whole, 1);
        UNROLL
        for (int q = 0; q < 3; q++)
          STORE (tap[r * 3 + q] + c, whole[q]);
      }
    }
    for (int64_t c = 0; c < n; c++)
      for (int j = 0; j < 9; j++)
        plain[(o + c) * w->step_out + i * w->step_in + j] = tap[j][c];
  }
}

TARGET static void
NAME (gradient) (const struct kern_wino_weights *w, int64_t panel,
                 const float *from, float *plain)
{
  if (w->m == 2)
    NAME (gradient_of) (w, 2, panel, from, plain);
  else
    NAME (gradient_of) (w, 4, panel, from, plain);
}

/* -- products -------------------------------------------------------------- */

/* `rows` results of a panel, all in registers; of `vectors` vectors. */
INLINE void
NAME (rows_product) (int rows, int vectors, int64_t inner, int64_t chunk,
                     const float *a, const float *b, float *c)
{
  VEC s[ROWS][2];
  UNROLL
  for (int i = 0; i < rows; i++)
    s[i][0] = s[i][1] = ALL (0);
  for (int64_t k0 = 0; k0 < inner; k0 += WIDE, a += chunk) {
    const int64_t most = inner - k0 < WIDE ? inner - k0 : WIDE;
    for (int64_t k = 0; k < most; k++, b += WIDE) {
      const VEC b0 = LOAD (b), b1 = vectors > 1 ? LOAD (b + LANES) : b0;
      UNROLL
      for (int i = 0; i < rows; i++) {
        const VEC x = ALL (a[i * WIDE + k]);
        s[i][0] = FMA (x, b0, s[i][0]);
        if (vectors > 1)
          s[i][1] = FMA (x, b1, s[i][1]);
      }
    }
  }
  UNROLL
  for (int i = 0; i < rows; i++) {
    STORE (c + i * WIDE, s[i][0]);
    if (vectors > 1)
      STORE (c + i * WIDE + LANES, s[i][1]);
  }
}

INLINE void
NAME (rows_correlate) (int rows, int vectors, int64_t n, const float *a,
                       const float *b, bool add, float *c)
{
  VEC s[ROWS][2];
  UNROLL
  for (int i = 0; i < rows; i++) {
    s[i][0] = add ? LOAD (c + i * WIDE) : ALL (0);
    s[i][1] = add && vectors > 1 ? LOAD (c + i * WIDE + LANES) : ALL (0);
  }
  for (int64_t k = 0; k < n; k++, a += WIDE, b += WIDE) {
    const VEC b0 = LOAD (b), b1 = vectors > 1 ? LOAD (b + LANES) : b0;
    UNROLL
    for (int i = 0; i < rows; i++) {
      const VEC x = ALL (a[i]);
      s[i][0] = FMA (x, b0, s[i][0]);
      if (vectors > 1)
        s[i][1] = FMA (x, b1, s[i][1]);
    }
  }
  UNROLL
  for (int i = 0; i < rows; i++) {
    STORE (c + i * WIDE, s[i][0]);
    if (vectors > 1)
      STORE (c + i * WIDE + LANES, s[i][1]);
  }
}

/* The next piece of n rows: as equal as they can be. */
#define PIECE(n) \
  (((n) + ((n) + ROWS - 1) / ROWS - 1) / (((n) + ROWS - 1) / ROWS))

TARGET static void
NAME (product) (int64_t n, int64_t channels, int64_t inner, int64_t rows,
                const float *a, const float *b, float *c)
{
  const bool half = channels <= LANES;
  for (int64_t m; n > 0; n -= m, a += m * WIDE, c += m * WIDE) {
    m = PIECE (n);
#define ONE(m) NAME (rows_product) (m, 1, inner, rows * WIDE, a, b, c)
#define TWO(m) NAME (rows_product) (m, 2, inner, rows * WIDE, a, b, c)
    if (half) {
      CASES (m, ONE)
    } else {
      CASES (m, TWO)
    }
#undef ONE
#undef TWO
  }
}

TARGET static void
NAME (correlate) (int64_t n, int64_t channels, int64_t in, int64_t rows,
                  const float *a, const float *b, bool add, float *c)
{
  const bool half = channels <= LANES;
  for (int64_t i0 = 0; i0 < in; i0 += WIDE, a += rows * WIDE) {
    int64_t left = in - i0 < WIDE ? in - i0 : WIDE, i = 0;
    for (int64_t m; left > 0; left -= m, i += m, c += m * WIDE) {
      m = PIECE (left);
#define ONE(m) NAME (rows_correlate) (m, 1, n, a + i, b, add, c)
#define TWO(m) NAME (rows_correlate) (m, 2, n, a + i, b, add, c)
      if (half) {
        CASES (m, ONE)
      } else {
        CASES (m, TWO)
      }
#undef ONE
#undef TWO
    }
  }
}

static const struct kern_wino_level NAME (level) = {
    .wide = 2 * LANES,
    .source = NAME (source),
    .spread = NAME (spread),
    .result = NAME (result),
    .weights = NAME (weights),
    .gradient = NAME (gradient),
    .product = NAME (product),
    .correlate = NAME (correlate)};

#undef INLINE
#undef WIDE
#undef SIDE
#undef PIECE
#undef VEC
#undef LANES
#undef ROWS
#undef CASES
#undef LOAD
#undef STORE
#undef ALL
#undef FMA
#undef FNMA
#undef TARGET
#undef NAME

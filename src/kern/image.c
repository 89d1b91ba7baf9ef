/* kern/image.c -- images that are made again from features: bilinear
 * interpolation to their size, and the loss of their pixels.
 *
 * Interpolation aligns corners: the first and the last place of a side stay the
 * first and the last.  Threads share out rows of the result, or, on the way
 * back, groups of channels of all samples, each in one order; so bits do not
 * depend on the threads.
 */
#include "kern/kern_impl.h"
#include "kern/own_impl.h"

#include <math.h>

/* -- interpolation --------------------------------------------------------- */

/* Between which places of a side of `from` place i of `to` lies, and which part
 * of it is the second one's. */
struct between {
  int64_t at[2];
  float part[2];
};

static struct between
between (int64_t i, int64_t from, int64_t to)
{
  const int64_t n = i * (from - 1), d = to > 1 ? to - 1 : 1;
  struct between b = {.at = {n / d, n / d}};
  b.at[1] += b.at[0] < from - 1;
  b.part[1] = (float)(n % d) / (float)d;
  b.part[0] = 1 - b.part[1];
  return b;
}

KERN_CLONES static void
mix (int64_t n, float a, const float *x, float b, const float *y, float *z)
{
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    z[i] += a * x[i] + b * y[i];
}

KERN_CLONES static void
add (int64_t n, float a, const float *x, float *y)
{
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] += a * x[i];
}

/* Channels of a group; the last one's may be fewer than it has room for. */
static int64_t
channels (const struct kern_view *v, int64_t g)
{
  const int64_t left = v->c - g * v->wide;
  return left < v->wide ? left : v->wide;
}

/* Row y of sample n of the result, to [w, c]. */
static void
make_row (const struct kern_view *s, struct kern_dims out, int64_t n, int64_t y,
          const float *src, float *to)
{
  const struct between v = between (y, s->h, out.h);
  memset (to, 0, (size_t)(out.w * out.c) * sizeof *to);
  for (int64_t g = 0; g < s->groups; g++)
    for (int64_t x = 0; x < out.w; x++) {
      const struct between u = between (x, s->w, out.w);
      for (int i = 0; i < 2; i++) {
        const float *row = src + kern_view_at (s, n, g, v.at[i], 0);
        mix (channels (s, g), v.part[i] * u.part[0], row + u.at[0] * s->wide,
             v.part[i] * u.part[1], row + u.at[1] * s->wide,
             to + x * out.c + g * s->wide);
      }
    }
}

void
kern_bilinear_forward (struct kern *k, struct kern_dims d, struct kern_dims out,
                       enum kern_layout l, const float *src, float *dst)
{
  const struct kern_view s = kern_view_of (k, d, l);
  const int64_t row = out.w * out.c, all = d.n * out.h;
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (all * row > KERN_ALONE)
  for (int64_t i = 0; i < all; i++)
    make_row (&s, out, i / out.h, i % out.h, src, dst + i * row);
}

/* The same row of d_dst into group g of the sample. */
static void
spread_row (const struct kern_view *s, struct kern_dims out, int64_t n,
            int64_t g, int64_t y, const float *from, float *d_src)
{
  const struct between v = between (y, s->h, out.h);
  for (int64_t x = 0; x < out.w; x++) {
    const struct between u = between (x, s->w, out.w);
    for (int i = 0; i < 4; i++)
      add (channels (s, g), v.part[i / 2] * u.part[i % 2],
           from + x * out.c + g * s->wide,
           d_src + kern_view_at (s, n, g, v.at[i / 2], u.at[i % 2]));
  }
}

void
kern_bilinear_back (struct kern *k, struct kern_dims d, struct kern_dims out,
                    enum kern_layout l, const float *d_dst, float *d_src)
{
  const struct kern_view s = kern_view_of (k, d, l);
  const int64_t row = out.w * out.c, group = s.h * s.w * s.wide;
  const int64_t all = s.n * s.groups;
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (d.n * out.h * row > KERN_ALONE)
  for (int64_t i = 0; i < all; i++) {
    const int64_t n = i / s.groups;
    memset (d_src + i * group, 0, (size_t)group * sizeof *d_src);
    for (int64_t y = 0; y < out.h; y++)
      spread_row (&s, out, n, i % s.groups, y, d_dst + (n * out.h + y) * row,
                  d_src);
  }
}

/* -- the pixels' loss ------------------------------------------------------ */

/* Rows whose losses wait to be added, and numbers of a row at a time. */
#define ROWS 1024
#define BLOCK 256

/* Numbers z of one channel beside the image's x.  Each has the loss max (z, 0)
 * - z t + log (1 + e^-|z|); the logarithms are taken of products, which stay
 * below 2^BLOCK.  d: scale x its slope. */
KERN_CLONES static double
block_loss (int64_t n, const float *restrict z, const float *restrict x,
            float mean, float std, float scale, float *restrict d)
{
  float e[BLOCK], t[BLOCK];
  double sum, product = 1;
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    float v = x[i] * std + mean;
    v = v > 0 ? v : 0;
    t[i] = v < 1 ? v : 1;
    e[i] = -fabsf (z[i]);
    e[i] = e[i] < KERN_EXP_LEAST ? KERN_EXP_LEAST : e[i];
  }
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    e[i] = kern_exp (e[i]);
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    const float one = z[i] < 0 ? e[i] : 1;
    d[i] = scale * (one / (1 + e[i]) - t[i]);
  }
  KERN_SUM (double, n, (double)((z[i] > 0 ? z[i] : 0) - z[i] * t[i]), sum);
  for (int64_t i = 0; i < n; i++)
    product *= 1 + (double)e[i];
  return sum + log (product);
}

/* Row z [w, c] beside rows x of each channel, `plane` numbers apart. */
static double
row_loss (struct kern_dims d, const float *z, const struct kern_picture *p,
          const float *x, float scale, float *d_z)
{
  float from[BLOCK], to[BLOCK];
  double sum = 0;
  for (int64_t c = 0; c < d.c; c++) {
    const float mean = p->mean ? (float)p->mean[c] : 0;
    const float std = p->std ? (float)p->std[c] : 1;
    for (int64_t at = 0; at < d.w; at += BLOCK) {
      const int64_t n = d.w - at < BLOCK ? d.w - at : BLOCK;
      for (int64_t i = 0; i < n; i++)
        from[i] = z[(at + i) * d.c + c];
      sum += block_loss (n, from, x + c * d.h * d.w + at, mean, std, scale, to);
      for (int64_t i = 0; d_z && i < n; i++)
        d_z[(at + i) * d.c + c] = to[i];
    }
  }
  return sum;
}

void
kern_picture_loss (struct kern *k, struct kern_dims d, const float *z,
                   const struct kern_picture *p, double *loss, float *d_z)
{
  const int64_t all = d.n * d.h, row = d.w * d.c, each = d.h * row;
  const float scale = p->scale / (float)each;
  double rows[ROWS], sum = 0;
  for (int64_t r0 = 0; r0 < all; r0 += ROWS) {
    const int64_t m = all - r0 < ROWS ? all - r0 : ROWS;
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (m * row > KERN_ALONE / 8)
    for (int64_t i = 0; i < m; i++) {
      const int64_t r = r0 + i;
      rows[i] =
          row_loss (d, z + r * row, p, p->x + r / d.h * each + r % d.h * d.w,
                    scale, d_z ? d_z + r * row : NULL);
    }
    for (int64_t i = 0; i < m; i++)
      sum += rows[i];
  }
  *loss = sum / (double)each;
}

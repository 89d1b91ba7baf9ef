/* kern/mean.c -- means over windows that cover an image, and images as rows.
 *
 * The windows are those of PyTorch's adaptive_avg_pool2d.  Threads share out
 * the groups of channels of all samples; each is worked on in the order of its
 * windows, so bits do not depend on the threads.
 */
#include "kern/kern_impl.h"
#include "kern/own_impl.h"

/* Where window i of `parts` begins on a side of `size`, and where it ends: each
 * place is in one window at least, and neighbours overlap where parts does not
 * divide size. */
static int64_t
first_of (int64_t i, int64_t size, int64_t parts)
{
  return i * size / parts;
}

static int64_t
end_of (int64_t i, int64_t size, int64_t parts)
{
  return ((i + 1) * size + parts - 1) / parts;
}

KERN_CLONES static void
add (int64_t n, float a, const float *x, float *y)
{
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] += a * x[i];
}

KERN_CLONES static void
multiply (int64_t n, float a, float *y)
{
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] *= a;
}

/* One window of a group, [h, w, wide], into one place of the result, [wide]. */
struct window {
  int64_t top, bottom, left, right;
};

static struct window
window_of (const struct kern_view *src, const struct kern_view *dst, int64_t y,
           int64_t x)
{
  return (struct window){
      first_of (y, src->h, dst->h), end_of (y, src->h, dst->h),
      first_of (x, src->w, dst->w), end_of (x, src->w, dst->w)};
}

static float
share (struct window v)
{
  return 1.0f / (float)((v.bottom - v.top) * (v.right - v.left));
}

static void
gather (const struct kern_view *s, struct window v, const float *src,
        float *dst)
{
  memset (dst, 0, (size_t)s->wide * sizeof *dst);
  for (int64_t y = v.top; y < v.bottom; y++)
    for (int64_t x = v.left; x < v.right; x++)
      add (s->wide, 1.0f, src + (y * s->w + x) * s->wide, dst);
  multiply (s->wide, share (v), dst);
}

static void
scatter (const struct kern_view *s, struct window v, const float *d_dst,
         float *d_src)
{
  const float a = share (v);
  for (int64_t y = v.top; y < v.bottom; y++)
    for (int64_t x = v.left; x < v.right; x++)
      add (s->wide, a, d_dst, d_src + (y * s->w + x) * s->wide);
}

void
kern_mean_forward (struct kern *k, struct kern_dims d, struct kern_dims out,
                   enum kern_layout l, const float *src, float *dst)
{
  const struct kern_view s = kern_view_of (k, d, l),
                         t = kern_view_of (k, out, l);
  const int64_t in = s.h * s.w * s.wide, all = s.n * s.groups;
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (all * in > KERN_ALONE)
  for (int64_t g = 0; g < all; g++) {
    float *to = dst + g * t.h * t.w * t.wide;
    for (int64_t y = 0; y < t.h; y++)
      for (int64_t x = 0; x < t.w; x++, to += t.wide)
        gather (&s, window_of (&s, &t, y, x), src + g * in, to);
  }
}

void
kern_mean_back (struct kern *k, struct kern_dims d, struct kern_dims out,
                enum kern_layout l, const float *d_dst, float *d_src)
{
  const struct kern_view s = kern_view_of (k, d, l),
                         t = kern_view_of (k, out, l);
  const int64_t in = s.h * s.w * s.wide, all = s.n * s.groups;
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (all * in > KERN_ALONE)
  for (int64_t g = 0; g < all; g++) {
    const float *from = d_dst + g * t.h * t.w * t.wide;
    memset (d_src + g * in, 0, (size_t)in * sizeof *d_src);
    for (int64_t y = 0; y < t.h; y++)
      for (int64_t x = 0; x < t.w; x++, from += t.wide)
        scatter (&s, window_of (&s, &t, y, x), from, d_src + g * in);
  }
}

/* -- images as rows -------------------------------------------------------- */

void
kern_flatten (struct kern *k, struct kern_dims d, enum kern_layout l,
              const float *src, float *rows)
{
  const struct kern_view v = kern_view_of (k, d, l);
  const int64_t pixels = d.h * d.w;
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (d.n * d.c * pixels > KERN_ALONE)
  for (int64_t i = 0; i < d.n * d.c; i++) {
    const float *from = src + kern_view_channel (&v, i / d.c, i % d.c, 0, 0);
    for (int64_t j = 0; j < pixels; j++)
      rows[i * pixels + j] = from[j * v.wide];
  }
}

void
kern_unflatten (struct kern *k, struct kern_dims d, enum kern_layout l,
                const float *rows, float *dst)
{
  const struct kern_view v = kern_view_of (k, d, l);
  const int64_t pixels = d.h * d.w, channels = v.groups * v.wide;
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (d.n * channels * pixels > KERN_ALONE)
  for (int64_t i = 0; i < d.n * channels; i++) {
    const int64_t n = i / channels, c = i % channels;
    const float *from = rows + (n * d.c + c) * pixels; /* c < d.c only */
    float *to = dst + kern_view_channel (&v, n, c, 0, 0);
    for (int64_t j = 0; j < pixels; j++)
      to[j * v.wide] = c < d.c ? from[j] : 0;
  }
}

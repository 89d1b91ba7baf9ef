/* ranks: 0 */
/* Maximum pooling, global average, means over windows and rows of images
 * against their twins in every layout. */
#include "tests/kern/twin.h"

static struct kern *k;

struct window {
  int kernel, stride, pad;
};

/* One pass over the windows: the largest value, its place (the first of
 * equals), and where its gradient goes, with the sums of absolute terms.
 * fault: the last of equals. */
static void
twin_max (struct kern_dims d, struct kern_dims o, struct window v,
          const float *x, const float *d_y, bool fault, double *y, double *d_x,
          double *size)
{
  for (size_t i = 0; i < count (d); i++)
    d_x[i] = size[i] = 0;
  for (size_t j = 0; j < count (o); j++) {
    int64_t ox = (int64_t)j % o.w, oy = (int64_t)j / o.w % o.h;
    int64_t image = (int64_t)j / (o.w * o.h), best = -1;
    for (int r = 0; r < v.kernel; r++)
      for (int q = 0; q < v.kernel; q++) {
        int64_t iy = oy * v.stride - v.pad + r, ix = ox * v.stride - v.pad + q;
        if (iy < 0 || ix < 0 || iy >= d.h || ix >= d.w)
          continue;
        int64_t at = (image * d.h + iy) * d.w + ix;
        if (best < 0 || x[at] > x[best] || (fault && x[at] == x[best]))
          best = at;
      }
    y[j] = x[best];
    d_x[best] += d_y[j];
    size[best] += fabs (d_y[j]);
  }
}

static void
test_max (struct kern_dims d, struct window v, enum kern_layout l)
{
  struct kern_dims o = {d.n, d.c, (d.h + 2 * v.pad - v.kernel) / v.stride + 1,
                        (d.w + 2 * v.pad - v.kernel) / v.stride + 1};
  struct kern_pool *p = NULL;
  MUST (
      kern_pool_create (k, KERN_POOL_MAX, d, l, v.kernel, v.stride, v.pad, &p));
  MUST (kern_seal (k));
  float *x = noise (count (d), 1), *d_y = noise (count (o), 2);
  for (size_t i = 0; i < count (d); i++)
    x[i] = roundf (x[i] * 8); /* so that there are equals */
  float *src = laid_out (k, d, l, x), *d_dst = laid_out (k, o, l, d_y);
  float *dst = noise (kern_bytes (k, o, l) / 4, 3);
  float *d_src = noise (kern_bytes (k, d, l) / 4, 4);
  float *mask = floats (kern_pool_mask_bytes (p) / 4 + 1);
  mem_close ();
  MUST (kern_pool_forward (p, src, dst, mask));
  MUST (kern_pool_back (p, d_dst, mask, d_src));
  mem_open ();
  double *y = doubles (count (o)), *d_x = doubles (count (d));
  double *size = doubles (count (d)), reach = rounding (v.kernel * v.kernel);
  float *got = plain_of (k, o, l, dst), *got_back = plain_of (k, d, l, d_src);
  twin_max (d, o, v, x, d_y, false, y, d_x, size);
  tap_ok (close_to (count (o), got, y, NULL, 0) &&
              close_to (count (d), got_back, d_x, size, reach) &&
              padding_is_zero (k, o, l, dst) &&
              padding_is_zero (k, d, l, d_src),
          "max %dx%dx%dx%d window %d/%d pad %d %s", (int)d.n, (int)d.c,
          (int)d.h, (int)d.w, v.kernel, v.stride, v.pad, kern_layout_name (l));
  twin_max (d, o, v, x, d_y, true, y, d_x, size);
  tap_ok (!close_to (count (d), got_back, d_x, size, reach),
          "the last of equals would be noticed");
  float *all[] = {x, d_y, src, d_dst, dst, d_src, mask, got, got_back};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (&all[i]);
  mem_free (&y);
  mem_free (&d_x);
  mem_free (&size);
  kern_pool_destroy (&p);
}

static void
test_global (struct kern_dims d, enum kern_layout l)
{
  struct kern_pool *p = NULL;
  size_t n = (size_t)(d.n * d.c), pixels = (size_t)(d.h * d.w);
  MUST (kern_pool_create (k, KERN_POOL_GLOBAL, d, l, 0, 0, 0, &p));
  MUST (kern_seal (k));
  float *x = noise (count (d), 1), *d_y = noise (n, 2);
  float *src = laid_out (k, d, l, x), *dst = noise (n, 3);
  float *d_src = noise (kern_bytes (k, d, l) / 4, 4);
  double *y = doubles (n), *d_x = doubles (count (d)), *size = doubles (n);
  double reach = rounding ((double)pixels + 1);
  mem_close ();
  MUST (kern_pool_forward (p, src, dst, NULL));
  MUST (kern_pool_back (p, d_y, NULL, d_src));
  mem_open ();
  for (size_t i = 0; i < count (d); i++) {
    y[i / pixels] += (double)x[i] / (double)pixels;
    size[i / pixels] += fabs ((double)x[i]) / (double)pixels;
    d_x[i] = (double)d_y[i / pixels] / (double)pixels;
  }
  float *got = plain_of (k, d, l, d_src);
  tap_ok (close_to (n, dst, y, size, reach) &&
              close_to (count (d), got, d_x, NULL, rounding (2)) &&
              padding_is_zero (k, d, l, d_src) && kern_pool_mask_bytes (p) == 0,
          "global %dx%dx%dx%d %s", (int)d.n, (int)d.c, (int)d.h, (int)d.w,
          kern_layout_name (l));
  y[n / 2] += 1e-3;
  tap_ok (!close_to (n, dst, y, size, reach), "a planted fault is noticed");
  float *all[] = {x, d_y, src, dst, d_src, got};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (&all[i]);
  mem_free (&y);
  mem_free (&d_x);
  mem_free (&size);
  kern_pool_destroy (&p);
}

/* Whether place i of a side of `size` is in window j of `parts`: PyTorch's
 * adaptive_avg_pool2d, in real numbers.  fault: windows end where the next one
 * begins. */
static bool
inside (int64_t i, int64_t j, int64_t size, int64_t parts, bool fault)
{
  const double step = (double)size / (double)parts;
  const double end = (double)(j + 1) * step;
  return (double)i >= floor ((double)j * step + 1e-9) &&
         (double)i < (fault ? floor (end + 1e-9) : ceil (end - 1e-9));
}

/* y and d_x with the sums of absolute terms behind them. */
static void
twin_mean (struct kern_dims d, struct kern_dims o, const float *x,
           const float *d_y, bool fault, double *y, double *y_size, double *d_x,
           double *d_size)
{
  for (size_t i = 0; i < count (d); i++)
    d_x[i] = d_size[i] = 0;
  for (size_t j = 0; j < count (o); j++) {
    const int64_t q = (int64_t)j % o.w, p = (int64_t)j / o.w % o.h;
    const int64_t image = (int64_t)j / (o.w * o.h);
    double n = 0;
    y[j] = y_size[j] = 0;
    for (int pass = 0; pass < 2; pass++)
      for (int64_t i = 0; i < d.h * d.w; i++) {
        const int64_t at = image * d.h * d.w + i;
        if (!inside (i / d.w, p, d.h, o.h, fault) ||
            !inside (i % d.w, q, d.w, o.w, fault))
          continue;
        n += pass == 0;
        y[j] += pass ? (double)x[at] / n : 0;
        y_size[j] += pass ? fabs ((double)x[at]) / n : 0;
        d_x[at] += pass ? (double)d_y[j] / n : 0;
        d_size[at] += pass ? fabs ((double)d_y[j]) / n : 0;
      }
  }
}

static void
test_mean (struct kern_dims d, int64_t side, enum kern_layout l)
{
  const struct kern_dims o = {d.n, d.c, side, side};
  const double reach = rounding ((double)(d.h * d.w) + 4);
  MUST (kern_seal (k));
  float *x = noise (count (d), 1), *d_y = noise (count (o), 2);
  float *src = laid_out (k, d, l, x), *d_dst = laid_out (k, o, l, d_y);
  float *dst = noise (kern_bytes (k, o, l) / 4, 3);
  float *d_src = noise (kern_bytes (k, d, l) / 4, 4);
  double *y = doubles (count (o)), *y_size = doubles (count (o));
  double *d_x = doubles (count (d)), *d_size = doubles (count (d));
  mem_close ();
  kern_mean_forward (k, d, o, l, src, dst);
  kern_mean_back (k, d, o, l, d_dst, d_src);
  mem_open ();
  float *got = plain_of (k, o, l, dst), *back = plain_of (k, d, l, d_src);
  twin_mean (d, o, x, d_y, false, y, y_size, d_x, d_size);
  tap_ok (close_to (count (o), got, y, y_size, reach) &&
              close_to (count (d), back, d_x, d_size, reach) &&
              padding_is_zero (k, o, l, dst) &&
              padding_is_zero (k, d, l, d_src),
          "means %dx%dx%dx%d to %d %s", (int)d.n, (int)d.c, (int)d.h, (int)d.w,
          (int)side, kern_layout_name (l));
  if (d.h % side && d.h > side) {
    twin_mean (d, o, x, d_y, true, y, y_size, d_x, d_size);
    tap_ok (!close_to (count (o), got, y, y_size, reach) &&
                !close_to (count (d), back, d_x, d_size, reach),
            "windows that do not overlap would be noticed");
  }
  float *all[] = {x, d_y, src, d_dst, dst, d_src, got, back};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (&all[i]);
  mem_free (&y);
  mem_free (&y_size);
  mem_free (&d_x);
  mem_free (&d_size);
}

/* Rows are the images in plain layout. */
static void
test_rows (struct kern_dims d, enum kern_layout l)
{
  float *x = noise (count (d), 1), *src = laid_out (k, d, l, x);
  float *rows = noise (count (d), 2);
  float *back = noise (kern_bytes (k, d, l) / 4, 3);
  mem_close ();
  kern_flatten (k, d, l, src, rows);
  kern_unflatten (k, d, l, rows, back);
  mem_open ();
  bool same = memcmp (rows, x, count (d) * sizeof *x) == 0 &&
              memcmp (back, src, kern_bytes (k, d, l)) == 0;
  kern_unflatten (k, d, l, rows + 1, back); /* planted: one off */
  tap_ok (same && memcmp (back, src, kern_bytes (k, d, l)) != 0,
          "rows of %dx%dx%dx%d %s", (int)d.n, (int)d.c, (int)d.h, (int)d.w,
          kern_layout_name (l));
  mem_free (&x);
  mem_free (&src);
  mem_free (&rows);
  mem_free (&back);
}

int
main (void)
{
  static const int64_t sides[] = {1, 2, 3, 8};
  static const struct kern_dims dims[] = {
      {2, 16, 12, 12}, {3, 5, 9, 7}, {1, 20, 7, 7}, {2, 64, 6, 5}};
  static const struct kern_dims global[] = {{2, 16, 8, 8},
                                            {3, 5, 7, 3},
                                            {4, 100, 1, 1},
                                            {2, 130, 4, 4},
                                            {5, 64, 8, 8}};
  static const struct window windows[] = {{3, 2, 1}, {2, 2, 0}, {3, 1, 1}};
  for (int threads = 1; threads <= 2; threads++) {
    MUST (kern_open (threads, &k));
    for (int l = KERN_PLAIN; l <= KERN_LAST; l++) {
      for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
        for (size_t j = 0; j < 3 && (threads == 1 || i == 0); j++)
          test_max (dims[i], windows[j], (enum kern_layout)l);
      for (size_t i = 0; i < sizeof global / sizeof *global; i++)
        test_global (global[i], (enum kern_layout)l);
      for (size_t i = 0; i < sizeof global / sizeof *global; i++) {
        for (size_t j = 0; j < 4 && (threads == 1 || i == 4); j++)
          test_mean (global[i], sides[j], (enum kern_layout)l);
        test_rows (global[i], (enum kern_layout)l);
      }
    }
    kern_close (&k);
  }
  MUST (kern_open (1, &k));
  struct kern_pool *p = NULL;
  tap_ok (kern_pool_create (k, KERN_POOL_MAX, dims[0], KERN_LAST, 2, 2, 2,
                            &p) == E_SHAPE,
          "a pad as wide as the window is refused: %s", fail_message ());
  fail_clear ();
  kern_close (&k);
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left behind");
  return tap_done ();
}

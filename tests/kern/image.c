/* ranks: 0 */
/* Bilinear interpolation and the loss of pixels against their twins, in every
 * layout. */
#include "tests/kern/twin.h"

static struct kern *k;

/* -- interpolation --------------------------------------------------------- */

/* The weight of place j of a side of `from` in place i of `to`: a hat over
 * where i lies.  fault: corners are not aligned, but centres of pixels. */
static double
hat (int64_t i, int64_t j, int64_t from, int64_t to, bool fault)
{
  double at = to > 1 ? (double)i * (double)(from - 1) / (double)(to - 1) : 0;
  if (fault)
    at = fmin (fmax (((double)i + 0.5) * (double)from / (double)to - 0.5, 0),
               (double)(from - 1));
  return fmax (0, 1 - fabs (at - (double)j));
}

/* y and d_x with the sums of absolute terms behind them. */
static void
twin_bilinear (struct kern_dims d, struct kern_dims o, const float *x,
               const float *d_y, bool fault, double *y, double *y_size,
               double *d_x, double *d_size)
{
  for (size_t i = 0; i < count (d); i++)
    d_x[i] = d_size[i] = 0;
  for (size_t j = 0; j < count (o); j++) {
    const int64_t q = (int64_t)j % o.w, p = (int64_t)j / o.w % o.h;
    const int64_t image = (int64_t)j / (o.w * o.h);
    y[j] = y_size[j] = 0;
    for (int64_t i = 0; i < d.h * d.w; i++) {
      const int64_t at = image * d.h * d.w + i;
      const double a =
          hat (p, i / d.w, d.h, o.h, fault) * hat (q, i % d.w, d.w, o.w, fault);
      y[j] += a * (double)x[at];
      y_size[j] += a * fabs ((double)x[at]);
      d_x[at] += a * (double)d_y[j];
      d_size[at] += a * fabs ((double)d_y[j]);
    }
  }
}

static void
test_bilinear (struct kern_dims d, int64_t h, int64_t w, enum kern_layout l)
{
  const struct kern_dims o = {d.n, d.c, h, w};
  /* Weights are rounded a few times each; where they should be 0 they are. */
  const double reach = rounding ((double)(o.h * o.w) + 8);
  float *x = noise (count (d), 1), *d_y = noise (count (o), 2);
  float *src = laid_out (k, d, l, x), *d_dst = laid_out (k, o, KERN_LAST, d_y);
  float *dst = noise (count (o), 3);
  float *d_src = noise (kern_bytes (k, d, l) / 4, 4);
  double *y = doubles (count (o)), *y_size = doubles (count (o));
  double *d_x = doubles (count (d)), *d_size = doubles (count (d));
  mem_close ();
  kern_bilinear_forward (k, d, o, l, src, dst);
  kern_bilinear_back (k, d, o, l, d_dst, d_src);
  mem_open ();
  float *got = plain_of (k, o, KERN_LAST, dst);
  float *back = plain_of (k, d, l, d_src);
  twin_bilinear (d, o, x, d_y, false, y, y_size, d_x, d_size);
  tap_ok (close_to (count (o), got, y, y_size, reach) &&
              close_to (count (d), back, d_x, d_size, reach) &&
              padding_is_zero (k, d, l, d_src),
          "%dx%dx%dx%d to %dx%d, %s", (int)d.n, (int)d.c, (int)d.h, (int)d.w,
          (int)h, (int)w, kern_layout_name (l));
  if (d.h > 1 && d.h != h) {
    twin_bilinear (d, o, x, d_y, true, y, y_size, d_x, d_size);
    tap_ok (!close_to (count (o), got, y, y_size, reach) &&
                !close_to (count (d), back, d_x, d_size, reach),
            "corners that are not aligned would be noticed");
  }
  float *all[] = {x, d_y, src, d_dst, dst, d_src, got, back};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (&all[i]);
  mem_free (&y);
  mem_free (&y_size);
  mem_free (&d_x);
  mem_free (&d_size);
}

/* -- the pixels' loss ------------------------------------------------------ */

/* In double, by the definition: z as [n, h, w, c].  shift: of the mean, as a
 * planted fault. */
static double
twin_loss (struct kern_dims d, const float *z, const struct kern_picture *p,
           double shift, double *slope)
{
  double sum = 0;
  for (size_t i = 0; i < count (d); i++) {
    const int64_t c = (int64_t)i % d.c, pixel = (int64_t)i / d.c;
    const int64_t n = pixel / (d.h * d.w), at = pixel % (d.h * d.w);
    const double x = p->x[(n * d.c + c) * d.h * d.w + at];
    const double t = fmin (
        fmax (x * (p->std ? p->std[c] : 1) + (p->mean ? p->mean[c] : 0) + shift,
              0),
        1);
    const double s = 1 / (1 + exp (-(double)z[i]));
    sum -= t * log (s) + (1 - t) * log1p (-s);
    slope[i] = (s - t) * (double)p->scale / (double)(d.c * d.h * d.w);
  }
  return sum / (double)(d.c * d.h * d.w);
}

static void
test_loss (struct kern_dims d, bool scaled)
{
  static const double mean[] = {0.49, 0.3, 0.6}, std[] = {0.25, 0.2, 0.1};
  const size_t n = count (d);
  float *x = noise (n, 5), *z = noise (n, 6), *d_z = noise (n, 7);
  double *slope = doubles (n), loss, alone;
  const struct kern_picture p = {.x = x,
                                 .mean = scaled ? mean : NULL,
                                 .std = scaled ? std : NULL,
                                 .scale = 0.3f};
  for (size_t i = 0; i < n; i++)
    z[i] *= 8;
  mem_close ();
  kern_picture_loss (k, d, z, &p, &alone, NULL);
  kern_picture_loss (k, d, z, &p, &loss, d_z);
  mem_open ();
  const double each = (double)p.scale / (double)(d.c * d.h * d.w);
  double want = twin_loss (d, z, &p, 0, slope);
  /* A few roundings of numbers up to 8; of slopes up to 1. */
  bool good = alone == loss &&
              fabs (loss - want) <= (double)d.n * 8 * rounding (16) &&
              close_to (n, d_z, slope, NULL, each * rounding (16));
  want = twin_loss (d, z, &p, 0.01, slope);
  tap_ok (good, "loss of pixels %dx%dx%dx%d%s: %.6f", (int)d.n, (int)d.c,
          (int)d.h, (int)d.w, scaled ? ", normalised" : "", loss);
  tap_ok (fabs (loss - want) > (double)d.n * 8 * rounding (16) &&
              !close_to (n, d_z, slope, NULL, each * rounding (16)),
          "images a hundredth lighter would be noticed");
  memcpy (d_z, z, n * sizeof *z);
  kern_picture_loss (k, d, d_z, &p, &alone, d_z);
  twin_loss (d, z, &p, 0, slope);
  tap_ok (alone == loss && close_to (n, d_z, slope, NULL, each * rounding (16)),
          "the gradient may lie over the numbers");
  z[n / 2] = NAN;
  kern_picture_loss (k, d, z, &p, &loss, d_z);
  tap_ok (!isfinite (loss) && isnan (d_z[n / 2]), "no number stays none");
  mem_free (&x);
  mem_free (&z);
  mem_free (&d_z);
  mem_free (&slope);
}

/* Any number of threads: the same bits. */
static void
test_threads (void)
{
  const struct kern_dims d = {5, 24, 9, 8}, o = {5, 24, 33, 30};
  const struct kern_dims image = {5, 3, 60, 50};
  float *y[2], *d_x[2], *d_z[2];
  float *x = noise (count (d), 1), *g = noise (count (o), 2);
  float *z = noise (count (image), 3), *picture = noise (count (image), 4);
  const struct kern_picture p = {.x = picture, .scale = 1};
  double loss[2];
  for (int i = 0; i < 2; i++) {
    MUST (kern_open (1 + 2 * i, &k));
    y[i] = floats (count (o));
    d_x[i] = floats (count (d));
    d_z[i] = floats (count (image));
    kern_bilinear_forward (k, d, o, KERN_LAST, x, y[i]);
    kern_bilinear_back (k, d, o, KERN_LAST, g, d_x[i]);
    kern_picture_loss (k, image, z, &p, &loss[i], d_z[i]);
    kern_close (&k);
  }
  tap_ok (memcmp (y[0], y[1], count (o) * 4) == 0 &&
              memcmp (d_x[0], d_x[1], count (d) * 4) == 0 &&
              memcmp (d_z[0], d_z[1], count (image) * 4) == 0 &&
              loss[0] == loss[1],
          "1 and 3 threads: the same bits");
  for (int i = 0; i < 2; i++) {
    mem_free (&y[i]);
    mem_free (&d_x[i]);
    mem_free (&d_z[i]);
  }
  mem_free (&x);
  mem_free (&g);
  mem_free (&z);
  mem_free (&picture);
}

int
main (void)
{
  static const struct kern_dims dims[] = {
      {2, 16, 8, 8}, {3, 5, 7, 3}, {2, 20, 1, 1}, {1, 33, 4, 5}};
  MUST (kern_open (1, &k));
  for (int l = KERN_PLAIN; l <= KERN_LAST; l++)
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
      test_bilinear (dims[i], 16, 13, (enum kern_layout)l);
      test_bilinear (dims[i], dims[i].h, dims[i].w, (enum kern_layout)l);
      test_bilinear (dims[i], 3, 1, (enum kern_layout)l);
    }
  test_loss ((struct kern_dims){3, 3, 5, 7}, true);
  test_loss ((struct kern_dims){1, 1, 2, 300}, false);
  test_loss ((struct kern_dims){40, 3, 32, 32}, true);
  kern_close (&k);
  test_threads ();
  tap_ok (mem_leaks () == 0, "nothing is left behind");
  return tap_done ();
}

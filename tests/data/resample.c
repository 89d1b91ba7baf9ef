/* ranks: 0 */
/* tests/data/resample.c -- parts of images made smaller and larger against
 * their definition and closed forms; which parts are taken.
 */
#include "tests/data/photos.h"
#include "tests/tap.h"

#include "base/memory.h"

enum { MOST = 64 };

static unsigned char out[3 * MOST * MOST];

/* Sees a part of an image of `width` columns; false when that fails. */
static bool
see (const unsigned char *rgb, int width, int side, int size,
     const struct data_part *part)
{
  struct data_resampler *r = NULL;
  memset (out, 99, sizeof out);
  if (data_resampler_open (size, side, &r) != OK)
    return false;
  data_resample (r, rgb, width, part, out);
  data_resampler_close (&r);
  return true;
}

/* -- against the twin ------------------------------------------------------ */

struct form {
  const char *what;
  int width, height, size;
  struct data_part part;
};

static const struct form forms[] = {
    {"shrunk by 3.7", 111, 111, 30, {0, 0, 111, 111, 30, 30, 0, 0}},
    {"enlarged by 2.4", 20, 20, 48, {0, 0, 20, 20, 48, 48, 0, 0}},
    {"wider and lower", 40, 90, 33, {0, 0, 40, 90, 66, 33, 20, 0}},
    {"the middle of a window", 100, 75, 24, {0, 0, 100, 75, 36, 27, 6, 2}},
    {"a part, shrunk", 120, 80, 16, {31, 7, 53, 61, 16, 16, 0, 0}},
    {"a part at the border", 120, 80, 16, {67, 19, 53, 61, 16, 16, 0, 0}},
    {"a part, enlarged", 50, 50, 24, {40, 3, 7, 5, 24, 24, 0, 0}},
    {"one pixel", 9, 9, 8, {4, 4, 1, 1, 8, 8, 0, 0}},
    {"one column", 1, 128, 8, {0, 0, 1, 128, 8, 1024, 0, 508}},
    {"just smaller", 33, 33, 32, {0, 0, 33, 33, 32, 32, 0, 0}},
    {"to one pixel", 64, 48, 1, {0, 0, 64, 48, 1, 1, 0, 0}},
};

static void
test_twin (void)
{
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    const struct form *f = &forms[i];
    const unsigned char *rgb = photo_pixels ((int)i, f->width, f->height);
    int side = f->width > f->height ? f->width : f->height;
    bool good = see (rgb, f->width, side, f->size, &f->part) &&
                twin_agrees (rgb, f->width, &f->part, f->size, out);
    tap_ok (good, "as the definition: %s", f->what);
    /* The checker sees one value that is off by one. */
    out[f->size * f->size] ^= 2;
    if (good && twin_agrees (rgb, f->width, &f->part, f->size, out))
      tap_ok (false, "a wrong value is seen: %s", f->what);
  }
}

/* -- closed forms ---------------------------------------------------------- */

static void
test_constant (void)
{
  static unsigned char rgb[PHOTO_BYTES];
  bool good = true;
  for (int v = 0; v < 256; v += 17) {
    memset (rgb, v, sizeof rgb);
    for (int to = 5; to < 60; to += 9) {
      struct data_part p = {3, 5, 41, 67, to, to, 0, 0};
      good = good && see (rgb, 100, 100, to, &p);
      for (int i = 0; i < 3 * to * to; i++)
        good = good && out[i] == v;
    }
  }
  tap_ok (good, "a plain colour stays, 0 and 255 too");
}

static void
test_identity (void)
{
  const unsigned char *rgb = photo_pixels (3, 60, 50);
  struct data_part p = {7, 2, 32, 32, 32, 32, 0, 0};
  bool good = see (rgb, 60, 60, 32, &p);
  for (int i = 0; good && i < 3 * 32 * 32; i++) {
    int c = i / 1024, y = i / 32 % 32, x = i % 32;
    good = out[i] == photo_value (3, 7 + x, 2 + y, c);
  }
  tap_ok (good, "at equal size pixels stay as they are");
}

/* A line stays a line where no border is near: of an image of 2 x + 5, whose
 * value at place u (pixel x has its centre at x + 1/2) is 2 u + 4. */
static bool
ramp_stays (int to)
{
  static unsigned char rgb[PHOTO_BYTES];
  for (int i = 0; i < 96 * 96; i++)
    memset (rgb + 3 * i, 2 * (i % 96) + 5, 3);
  struct data_part p = {0, 0, 96, 96, to, to, 0, 0};
  double scale = 96.0 / to, reach = scale > 1 ? scale : 1;
  if (!see (rgb, 96, 96, to, &p))
    return false;
  for (int x = 0; x < to; x++) {
    double u = (x + 0.5) * scale;
    if (u - reach < 0 || u + reach > 96)
      continue;
    if (fabs (out[x] - (2 * u + 4)) > 0.5 + 1.0 / 3)
      return false;
    /* Whole numbers of source pixels lie evenly round the centre. */
    if (96 % to == 0 && out[x] != (unsigned char)lrint (2 * u + 4))
      return false;
  }
  return true;
}

static void
test_ramp (void)
{
  tap_ok (ramp_stays (48) && ramp_stays (32) && ramp_stays (24) &&
              ramp_stays (12),
          "a line stays a line, shrunk by 2, 3, 4, 8");
  tap_ok (ramp_stays (61) && ramp_stays (37), "and by other numbers");
}

/* Shrunk by two, inside: weights 1 3 3 1 of eight. */
static void
test_weights (void)
{
  unsigned char rgb[3 * 8 * 8] = {0};
  for (int y = 0; y < 8; y++)
    rgb[3 * (8 * y + 3)] = 240;
  struct data_part p = {0, 0, 8, 8, 4, 4, 0, 0};
  tap_ok (see (rgb, 8, 8, 4, &p) && out[0] == 0 && out[1] == 90 &&
              out[2] == 30 && out[3] == 0,
          "weights of half the size: 1 3 3 1");
}

/* -- which part ------------------------------------------------------------ */

static void
test_centre (void)
{
  struct data_part p;
  tap_ok (data_part_shorter (224) == 256 && data_part_shorter (32) == 37 &&
              data_part_shorter (7) == 8,
          "the shorter side is size x 256 / 224");
  data_part_centre (500, 375, 224, 256, &p);
  tap_ok (p.x == 0 && p.y == 0 && p.width == 500 && p.height == 375 &&
              p.out_width == 341 && p.out_height == 256 && p.left == 58 &&
              p.top == 16,
          "500 x 375 becomes 341 x 256, the middle at (58, 16)");
  data_part_centre (375, 500, 224, 256, &p);
  tap_ok (p.out_width == 256 && p.out_height == 341 && p.left == 16 &&
              p.top == 58,
          "and lying on its side");
  data_part_centre (32, 32, 32, 32, &p);
  tap_ok (p.out_width == 32 && p.left == 0 && p.top == 0, "nothing to do");
  data_part_centre (1, 9000, 8, 9, &p);
  tap_ok (p.out_width == 9 && p.out_height == 81000 && p.top == 40496,
          "a thread of an image");
}

/* Sums over draws of parts of 500 x 375. */
struct draws {
  double area, aspect, x, y; /* means; x and y of the room that there is */
  double least, most;        /* of the area */
  int n_out;                 /* that are not as they should be */
};

static void
draw_many (int n, struct draws *d)
{
  *d = (struct draws){.least = 1};
  for (int i = 0; i < n; i++) {
    struct data_part p;
    data_part_random (7, i / 100, i % 100, 500, 375, 224, &p);
    double area = (double)p.width * p.height / (500.0 * 375);
    double aspect = (double)p.width / p.height;
    d->area += area / n;
    d->aspect += log (aspect) / n;
    d->x += p.width < 500 ? p.x / (500.0 - p.width) / n : 0.5 / n;
    d->y += p.height < 375 ? p.y / (375.0 - p.height) / n : 0.5 / n;
    d->least = fmin (d->least, area);
    d->most = fmax (d->most, area);
    d->n_out += p.x < 0 || p.y < 0 || p.x + p.width > 500 ||
                p.y + p.height > 375 || area < 0.078 || area > 1 ||
                aspect < 0.73 || aspect > 1.36 || p.out_width != 224 ||
                p.out_height != 224 || p.left != 0 || p.top != 0;
  }
}

/* The mean area of a draw that fits 500 x 375, by a sum over a grid. */
static double
area_expected (void)
{
  double sum = 0, n = 0;
  for (int i = 0; i < 400; i++)
    for (int k = 0; k < 400; k++) {
      double area = 0.08 + 0.92 * (i + 0.5) / 400;
      double a = exp (log (0.75) + (k + 0.5) / 400 * 2 * log (4.0 / 3));
      double w = sqrt (area * 187500 * a), h = sqrt (area * 187500 / a);
      if (w > 500.5 || h > 375.5)
        continue;
      sum += area;
      n++;
    }
  return sum / n;
}

static void
test_random (void)
{
  struct draws d;
  draw_many (20000, &d);
  tap_ok (d.n_out == 0, "20,000 parts are inside, of the areas and aspects "
                        "that are asked for");
  tap_near (d.area, area_expected (), 0.006, "their mean area");
  tap_ok (d.least < 0.085 && d.most > 0.95, "areas from %g to %g", d.least,
          d.most);
  tap_ok (fabs (d.x - 0.5) < 0.01 && fabs (d.y - 0.5) < 0.01, "anywhere: %g %g",
          d.x, d.y);
}

static bool
same_part (const struct data_part *a, const struct data_part *b)
{
  return memcmp (a, b, sizeof *a) == 0;
}

static void
test_repeat (void)
{
  struct data_part a, b;
  bool again = true;
  int differ[3] = {0};
  for (int i = 0; i < 50; i++) {
    data_part_random (1, 2, i, 300, 200, 64, &a);
    data_part_random (1, 2, i, 300, 200, 64, &b);
    again = again && same_part (&a, &b);
    data_part_random (2, 2, i, 300, 200, 64, &b);
    differ[0] += !same_part (&a, &b);
    data_part_random (1, 3, i, 300, 200, 64, &b);
    differ[1] += !same_part (&a, &b);
    data_part_random (1, 2, i + 1, 300, 200, 64, &b);
    differ[2] += !same_part (&a, &b);
  }
  tap_ok (again, "the same draw again");
  tap_ok (differ[0] > 48 && differ[1] > 48 && differ[2] > 48,
          "another seed, epoch or sample is another draw");
}

static void
test_fall_back (void)
{
  struct data_part p;
  data_part_random (1, 1, 1, 1000, 10, 8, &p);
  tap_ok (p.width == 13 && p.height == 10 && p.x == 493 && p.y == 0,
          "too wide for any part: the middle, 4 to 3");
  data_part_random (1, 1, 1, 10, 1000, 8, &p);
  tap_ok (p.width == 10 && p.height == 13 && p.x == 0 && p.y == 493,
          "too high: 3 to 4");
  bool good = true;
  for (int i = 0; i < 100; i++) {
    data_part_random (1, 1, i, 1, 1, 8, &p);
    good = good && p.width == 1 && p.height == 1 && p.x == 0 && p.y == 0;
  }
  tap_ok (good, "one pixel is all there is");
}

int
main (void)
{
  test_twin ();
  test_constant ();
  test_identity ();
  test_ramp ();
  test_weights ();
  test_centre ();
  test_random ();
  test_repeat ();
  test_fall_back ();
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left allocated");
  return tap_done ();
}

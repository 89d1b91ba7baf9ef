/* data/crop.c -- which part of an image is seen: arithmetic on sizes.
 *
 * The definitions are those of torchvision's Resize, CenterCrop and
 * RandomResizedCrop; the random numbers are our own.
 */
#include "data/image.h"

#include "base/random.h"
#include <math.h>

#define TRIES 10
#define AREA_LEAST 0.08
#define ASPECT_LEAST (3.0 / 4.0)
#define ASPECT_MOST (4.0 / 3.0)
/* Number of the first of those that place a crop: those below it are for
 * mirrors and shifts (data_augment_draw). */
#define FIRST_NUMBER 64

int
data_part_shorter (int size)
{
  return (int)lround (size * 256.0 / 224.0);
}

void
data_part_centre (int width, int height, int size, int shorter,
                  struct data_part *out)
{
  bool wide = width >= height;
  int64_t a = wide ? width : height, b = wide ? height : width;
  int longer = (int)(a * shorter / b);
  *out = (struct data_part){
      .width = width,
      .height = height,
      .out_width = wide ? longer : shorter,
      .out_height = wide ? shorter : longer,
  };
  out->left = (int)rint ((out->out_width - size) / 2.0);
  out->top = (int)rint ((out->out_height - size) / 2.0);
}

/* A part of these sides that does not fit the image is tried again. */
static bool
draw (const struct random_key *key, int try, int width, int height,
      struct data_part *out)
{
  uint64_t i = FIRST_NUMBER + 4 * (uint64_t)try;
  double area = (double)width * height;
  area *= AREA_LEAST + (1 - AREA_LEAST) * random_uniform (key, i);
  double low = log (ASPECT_LEAST), high = log (ASPECT_MOST);
  double aspect = exp (low + (high - low) * random_uniform (key, i + 1));
  double w = rint (sqrt (area * aspect)), h = rint (sqrt (area / aspect));
  if (!(w >= 1 && w <= width && h >= 1 && h <= height))
    return false;
  out->width = (int)w;
  out->height = (int)h;
  out->x = (int)random_below (key, i + 2, (uint64_t)(width - out->width + 1));
  out->y = (int)random_below (key, i + 3, (uint64_t)(height - out->height + 1));
  return true;
}

/* The middle, cut to an aspect that is allowed. */
static void
fall_back (int width, int height, struct data_part *out)
{
  double aspect = (double)width / height;
  out->width = width;
  out->height = height;
  if (aspect < ASPECT_LEAST)
    out->height = (int)rint (width / ASPECT_LEAST);
  else if (aspect > ASPECT_MOST)
    out->width = (int)rint (height * ASPECT_MOST);
  out->x = (width - out->width) / 2;
  out->y = (height - out->height) / 2;
}

void
data_part_random (uint64_t seed, int64_t epoch, int64_t sample, int width,
                  int height, int size, struct data_part *out)
{
  struct random_key key = {.seed = seed,
                           .purpose = RANDOM_AUGMENT,
                           .a = (uint64_t)epoch,
                           .b = (uint64_t)sample};
  *out = (struct data_part){.out_width = size, .out_height = size};
  for (int i = 0; i < TRIES; i++)
    if (draw (&key, i, width, height, out))
      return;
  fall_back (width, height, out);
}

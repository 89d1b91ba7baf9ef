/* tests/data/photos.h -- pictures made from a formula, as pixels and as bytes
 * of JPEG or PNG by the libraries themselves; and the slow twin of how they are
 * seen.
 */
#ifndef TESTS_DATA_PHOTOS_H
#define TESTS_DATA_PHOTOS_H

#include "data/data.h"
#include "data/image.h"
#include "store/raw.h"
#include "tests/scratch.h"
#include <math.h>
#include <stdlib.h>
#ifdef HAVE_JPEG
#include <turbojpeg.h>
#endif
#ifdef HAVE_PNG
#include <png.h>
#endif

#define PHOTO_FN static inline __attribute__ ((unused))

enum { PHOTO_SIDE = 128, PHOTO_BYTES = 3 * PHOTO_SIDE * PHOTO_SIDE };

/* Colour c of pixel (x, y) of picture number n. */
PHOTO_FN unsigned char
photo_value (int n, int x, int y, int c)
{
  double u = x * (0.11 + 0.01 * (n % 5)) + c, v = y * 0.09 + n;
  return (unsigned char)lrint (127 + 60 * sin (u) + 60 * cos (v + 0.3 * c));
}

/* [height, width, 3], at most PHOTO_SIDE on a side; borrowed until the next. */
PHOTO_FN const unsigned char *
photo_pixels (int n, int width, int height)
{
  static unsigned char rgb[PHOTO_BYTES];
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < 3; c++)
        rgb[(y * width + x) * 3 + c] = photo_value (n, x, y, c);
  return rgb;
}

#ifdef HAVE_JPEG
/* format: TJPF_..., sub: TJSAMP_...; bytes borrowed until the next. */
PHOTO_FN const unsigned char *
photo_encode (const unsigned char *pixels, int width, int height, int format,
              int sub, size_t *n)
{
  static unsigned char bytes[1 << 17];
  unsigned char *out = bytes;
  unsigned long size = sizeof bytes;
  tjhandle h = tjInitCompress ();
  if (tjCompress2 (h, pixels, width, 0, height, format, &out, &size, sub, 90,
                   TJFLAG_NOREALLOC) != 0)
    size = 0;
  tjDestroy (h);
  *n = size;
  return bytes;
}

PHOTO_FN const unsigned char *
photo_jpeg (int n, int width, int height, size_t *size)
{
  return photo_encode (photo_pixels (n, width, height), width, height, TJPF_RGB,
                       TJSAMP_420, size);
}

/* By the library alone; borrowed until the next. */
PHOTO_FN const unsigned char *
photo_decode (const unsigned char *jpeg, size_t n, int *width, int *height)
{
  static unsigned char rgb[PHOTO_BYTES];
  int sub, colours;
  tjhandle h = tjInitDecompress ();
  bool good = tjDecompressHeader3 (h, jpeg, (unsigned long)n, width, height,
                                   &sub, &colours) == 0 &&
              tjDecompress2 (h, jpeg, (unsigned long)n, rgb, *width, 0, *height,
                             TJPF_RGB, TJFLAG_ACCURATEDCT) == 0;
  tjDestroy (h);
  return good ? rgb : NULL;
}

PHOTO_FN void
photo_write (const char *path, int n, int width, int height)
{
  size_t size;
  const unsigned char *bytes = photo_jpeg (n, width, height, &size);
  scratch_write (path, bytes, size);
}
#endif

#ifdef HAVE_PNG
/* channels: 3, or 4 with an alpha that changes nothing. */
PHOTO_FN bool
photo_png (const char *path, int n, int width, int height, int channels)
{
  static unsigned char pixels[4 * PHOTO_SIDE * PHOTO_SIDE];
  png_image p = {.version = PNG_IMAGE_VERSION,
                 .width = (unsigned)width,
                 .height = (unsigned)height,
                 .format = channels == 4 ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB};
  for (int i = 0; i < width * height; i++) {
    for (int c = 0; c < 3; c++)
      pixels[i * channels + c] = photo_value (n, i % width, i / width, c);
    if (channels == 4)
      pixels[i * channels + 3] = (unsigned char)(1 + i % 255);
  }
  return png_image_write_to_file (&p, path, 0, pixels, 0, NULL);
}
#endif

#ifdef HAVE_PNG
/* The same in 16 bits, whose lower bytes are of no account and therefore
 * large, with a gamma that nobody is to apply. */
PHOTO_FN bool
photo_png_deep (const char *path, int n, int side)
{
  unsigned char row[6 * PHOTO_SIDE];
  FILE *f = fopen (path, "wb");
  png_structp p =
      png_create_write_struct (PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct (p);
  if (!f || !info || setjmp (png_jmpbuf (p)))
    return false;
  png_init_io (p, f);
  png_set_IHDR (p, info, (unsigned)side, (unsigned)side, 16, PNG_COLOR_TYPE_RGB,
                PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                PNG_FILTER_TYPE_DEFAULT);
  png_set_gAMA_fixed (p, info, 100000);
  png_write_info (p, info);
  for (int y = 0; y < side; y++) {
    for (int i = 0; i < 3 * side; i++) {
      row[2 * i] = photo_value (n, i / 3, y, i % 3);
      row[2 * i + 1] = 255;
    }
    png_write_row (p, row);
  }
  png_write_end (p, info);
  png_destroy_write_struct (&p, &info);
  return fclose (f) == 0;
}
#endif

/* -- the twin of resampling ------------------------------------------------ */

/* Weight of source pixel k for a value whose centre is there; not normalised.
 */
PHOTO_FN double
twin_weight (int k, double centre, double reach)
{
  double far = fabs (k + 0.5 - centre) / reach;
  return far < 1 ? 1 - far : 0;
}

/* Value (x, y, c) of what is seen: the weighted mean of all pixels of the part,
 * before rounding. */
PHOTO_FN double
twin_value (const unsigned char *rgb, int width, const struct data_part *p,
            int x, int y, int c)
{
  double sx = (double)p->width / p->out_width;
  double sy = (double)p->height / p->out_height;
  double cx = (p->left + x + 0.5) * sx, cy = (p->top + y + 0.5) * sy;
  double sum = 0, weights = 0;
  for (int j = 0; j < p->height; j++) {
    double wy = twin_weight (j, cy, sy > 1 ? sy : 1);
    for (int i = 0; wy > 0 && i < p->width; i++) {
      double w = wy * twin_weight (i, cx, sx > 1 ? sx : 1);
      sum += w * rgb[((p->y + j) * width + p->x + i) * 3 + c];
      weights += w;
    }
  }
  return sum / weights;
}

/* Whether [3, size, size] is the rounded twin; what falls on a half may go
 * either way. */
PHOTO_FN bool
twin_agrees (const unsigned char *rgb, int width, const struct data_part *p,
             int size, const unsigned char *out)
{
  for (int c = 0; c < 3; c++)
    for (int y = 0; y < size; y++)
      for (int x = 0; x < size; x++) {
        double want = twin_value (rgb, width, p, x, y, c);
        if (!(fabs (out[(c * size + y) * size + x] - want) <= 0.5 + 1e-3))
          return false;
      }
  return true;
}

#endif

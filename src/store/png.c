/* store/png.c -- PNG images by libpng's simplified interface. */
#include "store/jpeg_impl.h"

#include <string.h>

bool
store_png_is (const unsigned char *data, size_t n)
{
  return n >= 8 && memcmp (data, "\211PNG\r\n\032\n", 8) == 0;
}

#ifdef HAVE_PNG
#include <png.h>

const char *
store_png_describe (void)
{
  static char words[32];
  unsigned v = png_access_version_number ();
  snprintf (words, sizeof words, "libpng %u.%u.%u", v / 10000, v / 100 % 100,
            v % 100);
  return words;
}

static enum status
begin (const char *who, const unsigned char *data, size_t n, png_image *p)
{
  *p = (png_image){.version = PNG_IMAGE_VERSION};
  if (!png_image_begin_read_from_memory (p, data, n))
    return fail (E_DATA, "%s: not a whole PNG image: %s", who, p->message);
  if (p->width <= CODEC_SIDE_MOST && p->height <= CODEC_SIDE_MOST &&
      (int64_t)p->width * p->height <= CODEC_PIXELS_MOST)
    return OK;
  png_image_free (p);
  return fail (E_DATA, "%s: %u x %u pixels are too many", who,
               (unsigned)p->width, (unsigned)p->height);
}

enum status
store_png_size (const char *who, const unsigned char *data, size_t n,
                int *width, int *height)
{
  png_image p;
  TRY (begin (who, data, n, &p));
  *width = (int)p.width;
  *height = (int)p.height;
  png_image_free (&p);
  return OK;
}

enum status
store_png_decode (const char *who, const unsigned char *data, size_t n,
                  int width, int height, unsigned char *rgb)
{
  png_image p;
  TRY (begin (who, data, n, &p));
  CHECK ((int)p.width == width && (int)p.height == height, "%s: another size",
         who);
  /* With alpha, which is then dropped: without it libpng would mix in a
   * background. */
  p.format = PNG_FORMAT_RGBA;
  if (!png_image_finish_read (&p, NULL, rgb, 0, NULL)) {
    png_image_free (&p);
    return fail (E_DATA, "%s: not a whole PNG image: %s", who, p.message);
  }
  for (int64_t i = 0; i < (int64_t)width * height; i++)
    memmove (rgb + 3 * i, rgb + 4 * i, 3);
  return OK;
}
#else

const char *
store_png_describe (void)
{
  return NULL;
}

enum status
store_png_size (const char *who, const unsigned char *data, size_t n,
                int *width, int *height)
{
  (void)data, (void)n, (void)width, (void)height;
  return fail (E_UNSUPPORTED,
               "%s: a PNG image, and this interlock was built without libpng: "
               "install it (Debian: libpng-dev; Spack: libpng), then configure "
               "and build again",
               who);
}

enum status
store_png_decode (const char *who, const unsigned char *data, size_t n,
                  int width, int height, unsigned char *rgb)
{
  (void)rgb;
  return store_png_size (who, data, n, &width, &height);
}
#endif

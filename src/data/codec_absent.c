/* data/codec_absent.c -- stands in for codec.c where libjpeg-turbo was not
 * there when the program was built: no codec can be opened, so nothing else is
 * called.
 */
#include "data/data.h"
#include "data/image.h"

#ifndef HAVE_JPEG

const char *
data_describe_images (void)
{
  return "no libjpeg-turbo (no data sets of JPEG images)";
}

enum status
data_codec_open (const char *who, struct data_codec **out)
{
  (void)out;
  return fail (E_UNSUPPORTED,
               "%s: this interlock was built without libjpeg-turbo, which JPEG "
               "images need: install it (Debian: libturbojpeg0-dev; Spack: "
               "libjpeg-turbo), then configure and build again",
               who);
}

void
data_codec_close (struct data_codec **c)
{
  CHECK (!*c, "without libjpeg-turbo there is no codec");
}

#define ABSENT CHECK (false, "without libjpeg-turbo there is no codec")

const char *
data_codec_why (const struct data_codec *c)
{
  (void)c;
  return "";
}

bool
data_codec_size (struct data_codec *c, const unsigned char *jpeg, size_t n,
                 int *width, int *height)
{
  (void)c, (void)jpeg, (void)n, (void)width, (void)height;
  ABSENT;
}

bool
data_codec_decode (struct data_codec *c, const unsigned char *jpeg, size_t n,
                   int width, int height, unsigned char *rgb, bool *warned)
{
  (void)c, (void)jpeg, (void)n, (void)width, (void)height, (void)rgb;
  (void)warned;
  ABSENT;
}

bool
data_codec_decode_whole (struct data_codec *c, const unsigned char *jpeg,
                         size_t n, int width, int height, unsigned char *rgb,
                         bool *warned)
{
  return data_codec_decode (c, jpeg, n, width, height, rgb, warned);
}

size_t
data_codec_bound (int width, int height)
{
  (void)width, (void)height;
  return 0;
}

bool
data_codec_encode (struct data_codec *c, const unsigned char *rgb, int width,
                   int height, unsigned char *out, size_t *n)
{
  (void)c, (void)rgb, (void)width, (void)height, (void)out, (void)n;
  ABSENT;
}
#endif

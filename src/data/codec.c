/* data/codec.c -- JPEG by libjpeg-turbo's TurboJPEG interface.
 *
 * The calls are those of version 2, which version 3 keeps.  codec_absent.c
 * stands in where the library was not there.
 */
#include "data/data.h"
#include "data/image.h"

#ifdef HAVE_JPEG
#include "base/memory.h"
#include <stdio.h>
#include <string.h>
#include <turbojpeg.h>

#define QUALITY 95

struct data_codec {
  tjhandle reader, writer;
  bool spoiled; /* the reader: what ended in the middle of a header would be
                   gone on with in the next image */
  char why[256];
};

const char *
data_describe_images (void)
{
  static char words[96];
  const char *png = data_png_describe ();
  snprintf (words, sizeof words, "libjpeg-turbo %s, %s", IL_JPEG_VERSION,
            png ? png : "no libpng");
  return words;
}

enum status
data_codec_open (const char *who, struct data_codec **out)
{
  struct data_codec *c = NULL;
  TRY (MEM_NEW (1, &c, "codec"));
  c->reader = tjInitDecompress ();
  c->writer = tjInitCompress ();
  if (c->reader && c->writer) {
    *out = c;
    return OK;
  }
  data_codec_close (&c);
  return fail (E_MEMORY, "%s: libjpeg-turbo does not start: %s", who,
               tjGetErrorStr ());
}

void
data_codec_close (struct data_codec **out)
{
  struct data_codec *c = *out;
  if (!c)
    return;
  if (c->reader)
    tjDestroy (c->reader);
  if (c->writer)
    tjDestroy (c->writer);
  mem_free (out);
}

const char *
data_codec_why (const struct data_codec *c)
{
  return c->why;
}

static bool
no (struct data_codec *c, const char *why)
{
  snprintf (c->why, sizeof c->why, "%s", why);
  c->spoiled = true;
  return false;
}

/* After an image that failed the next one begins anew. */
static bool
renew (struct data_codec *c)
{
  if (!c->spoiled)
    return true;
  if (c->reader)
    tjDestroy (c->reader);
  c->reader = tjInitDecompress ();
  c->spoiled = c->reader == NULL;
  return !c->spoiled;
}

/* Width, height and colours of an image that we can take. */
static bool
read_header (struct data_codec *c, const unsigned char *jpeg, size_t n,
             int *width, int *height, int *colours)
{
  int sub, w = 0, h = 0;
  if (!renew (c))
    return no (c, "libjpeg-turbo does not start again: no memory?");
  if (n < 4 || jpeg[0] != 0xff || jpeg[1] != 0xd8)
    return no (c, "not a JPEG image");
  if (tjDecompressHeader3 (c->reader, jpeg, (unsigned long)n, &w, &h, &sub,
                           colours) != 0 &&
      tjGetErrorCode (c->reader) != TJERR_WARNING)
    return no (c, tjGetErrorStr2 (c->reader));
  if (w < 1 || h < 1)
    return no (c, "not a whole JPEG image");
  if ((int64_t)w * h > CODEC_PIXELS_MOST)
    return no (c, "an image of more than 268 million pixels");
  *width = w;
  *height = h;
  return true;
}

bool
data_codec_size (struct data_codec *c, const unsigned char *jpeg, size_t n,
                 int *width, int *height)
{
  int colours;
  return read_header (c, jpeg, n, width, height, &colours);
}

/* In place.  CMYK files come from Adobe's programs, which store 255 - ink. */
static void
cmyk_to_rgb (unsigned char *p, int64_t n)
{
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < 3; k++)
      p[3 * i + k] = (unsigned char)((p[4 * i + k] * p[4 * i + 3] + 127) / 255);
}

static bool
decode (struct data_codec *c, const unsigned char *jpeg, size_t n, int width,
        int height, unsigned char *rgb, int flags, bool *warned)
{
  int w, h, colours;
  if (!read_header (c, jpeg, n, &w, &h, &colours))
    return false;
  if (w != width || h != height)
    return no (c, "its size has changed meanwhile");
  bool inks = colours == TJCS_CMYK || colours == TJCS_YCCK;
  *warned = tjDecompress2 (c->reader, jpeg, (unsigned long)n, rgb, width, 0,
                           height, inks ? TJPF_CMYK : TJPF_RGB,
                           TJFLAG_ACCURATEDCT | flags) != 0;
  if (*warned) {
    /* The decoder would fill up a file that is cut off with grey. */
    (void)no (c, tjGetErrorStr2 (c->reader));
    if (tjGetErrorCode (c->reader) != TJERR_WARNING ||
        strstr (c->why, "remature end"))
      return false;
  }
  if (inks)
    cmyk_to_rgb (rgb, (int64_t)width * height);
  return true;
}

bool
data_codec_decode (struct data_codec *c, const unsigned char *jpeg, size_t n,
                   int width, int height, unsigned char *rgb, bool *warned)
{
  return decode (c, jpeg, n, width, height, rgb, 0, warned);
}

/* Warnings of the decoder that do not concern any pixel. */
static bool
is_harmless (const char *why)
{
  static const char *const words[] = {"extraneous bytes before marker 0xd9",
                                      "JFIF", "Adobe",
                                      "Invalid SOS parameters"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strstr (why, words[i]))
      return true;
  return false;
}

/* The library keeps only the last warning, which may be harmless and hide one
 * that is not: where there is one, the first is asked for, too. */
bool
data_codec_decode_whole (struct data_codec *c, const unsigned char *jpeg,
                         size_t n, int width, int height, unsigned char *rgb,
                         bool *warned)
{
  bool first = false;
  *warned = false;
  if (!decode (c, jpeg, n, width, height, rgb, TJFLAG_STOPONWARNING, &first) &&
      !first)
    return false;
  if (first && (!is_harmless (c->why) ||
                !decode (c, jpeg, n, width, height, rgb, 0, warned) ||
                (*warned && !is_harmless (c->why))))
    return false;
  return data_scans_whole (jpeg, n) ||
         no (c, "cut short: its last scans are missing");
}

size_t
data_codec_bound (int width, int height)
{
  return tjBufSize (width, height, TJSAMP_444);
}

bool
data_codec_encode (struct data_codec *c, const unsigned char *rgb, int width,
                   int height, unsigned char *out, size_t *n)
{
  unsigned long size = *n;
  if (tjCompress2 (c->writer, rgb, width, 0, height, TJPF_RGB, &out, &size,
                   TJSAMP_444, QUALITY,
                   TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT) != 0)
    return no (c, tjGetErrorStr2 (c->writer));
  *n = size;
  return true;
}
#endif

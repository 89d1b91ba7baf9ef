/* data/png.c -- PNG images by libpng, as they lie in the file.
 *
 * No colour management: of 16 bits the upper eight are taken, gAMA, cHRM, sRGB
 * and profiles are not applied, alpha and tRNS are dropped, a palette gives its
 * colours, grey becomes three equal ones.  So do the loaders that data sets are
 * commonly made with; libpng's simplified interface does otherwise.
 */
#include "data/image.h"

#include <string.h>

bool
data_png_is (const unsigned char *data, size_t n)
{
  return n >= 8 && memcmp (data, "\211PNG\r\n\032\n", 8) == 0;
}

#ifdef HAVE_PNG
#include <png.h>

/* What deflate can make of a byte at most, and a little. */
#define SWELL 1040

const char *
data_png_describe (void)
{
  static char words[32];
  unsigned v = png_access_version_number ();
  snprintf (words, sizeof words, "libpng %u.%u.%u", v / 10000, v / 100 % 100,
            v % 100);
  return words;
}

struct reading {
  const unsigned char *data;
  size_t at, n;
  png_structp png;
  png_infop info;
  int64_t width, height, row_bytes; /* of the header */
  int64_t wanted_width, wanted_height;
  unsigned char *rgb; /* where pixels go; borrowed */
  char why[128];
};

static void
on_error (png_structp png, png_const_charp words)
{
  struct reading *r = png_get_error_ptr (png);
  snprintf (r->why, sizeof r->why, "%s", words);
  png_longjmp (png, 1);
}

/* Of profiles and remarks there is much to warn of, which changes no pixel.
 * Pixels that do not agree with their own sum are damaged. */
static void
on_warning (png_structp png, png_const_charp words)
{
  if (strncmp (words, "IDAT: ", 6) == 0 && !strstr (words, "xtra compress") &&
      !strstr (words, "oo much"))
    on_error (png, words);
}

static void
take (png_structp png, png_bytep out, size_t n)
{
  struct reading *r = png_get_io_ptr (png);
  if (n > r->n - r->at)
    png_error (png, "ends too early");
  memcpy (out, r->data + r->at, n);
  r->at += n;
}

static void
finish (struct reading *r)
{
  png_destroy_read_struct (&r->png, &r->info, NULL);
}

static enum status
begin (const char *who, const unsigned char *data, size_t n, struct reading *r)
{
  *r = (struct reading){.data = data, .n = n};
  r->png =
      png_create_read_struct (PNG_LIBPNG_VER_STRING, r, on_error, on_warning);
  r->info = r->png ? png_create_info_struct (r->png) : NULL;
  if (r->info)
    return OK;
  finish (r);
  return fail (E_MEMORY, "%s: libpng does not start", who);
}

/* By longjmp out of libpng, past what work has done. */
static bool
guarded (struct reading *r, void (*work) (struct reading *r))
{
  if (setjmp (png_jmpbuf (r->png)))
    return false;
  work (r);
  return true;
}

static enum status
damaged (const char *who, const struct reading *r)
{
  return fail (E_DATA, "%s: not a whole PNG image: %s", who, r->why);
}

/* Everything before the pixels. */
static void
read_head (struct reading *r)
{
  png_set_read_fn (r->png, r, take);
  png_set_user_limits (r->png, CODEC_SIDE_MOST, CODEC_SIDE_MOST);
  /* Texts and profiles are passed over, however large. */
  png_set_keep_unknown_chunks (r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_read_info (r->png, r->info);
  r->width = png_get_image_width (r->png, r->info);
  r->height = png_get_image_height (r->png, r->info);
  r->row_bytes = (int64_t)png_get_rowbytes (r->png, r->info);
}

/* Whether the pixels are not too many, nor more than the file can hold. */
static enum status
check_size (const char *who, const struct reading *r)
{
  if (r->width * r->height > CODEC_PIXELS_MOST)
    return fail (E_DATA, "%s: %lld x %lld pixels are too many", who,
                 (long long)r->width, (long long)r->height);
  if (r->row_bytes * r->height / SWELL > (int64_t)r->n)
    return fail (E_DATA,
                 "%s: not a whole PNG image: %zu bytes cannot hold %lld x %lld "
                 "pixels",
                 who, r->n, (long long)r->width, (long long)r->height);
  return OK;
}

enum status
data_png_size (const char *who, const unsigned char *data, size_t n, int *width,
               int *height)
{
  struct reading r;
  TRY (begin (who, data, n, &r));
  enum status s =
      guarded (&r, read_head) ? check_size (who, &r) : damaged (who, &r);
  if (s == OK) {
    *width = (int)r.width;
    *height = (int)r.height;
  }
  finish (&r);
  return s;
}

/* To three bytes a pixel; tRNS becomes an alpha that is dropped as well. */
static void
set_transforms (struct reading *r)
{
  int type = png_get_color_type (r->png, r->info);
  png_set_strip_16 (r->png); /* the upper byte, not the nearest */
  if (type == PNG_COLOR_TYPE_PALETTE)
    png_set_palette_to_rgb (r->png);
  if (type == PNG_COLOR_TYPE_GRAY)
    png_set_expand_gray_1_2_4_to_8 (r->png);
  if (!(type & PNG_COLOR_MASK_COLOR))
    png_set_gray_to_rgb (r->png);
  png_set_strip_alpha (r->png);
}

static void
read_pixels (struct reading *r)
{
  read_head (r);
  set_transforms (r);
  int passes = png_set_interlace_handling (r->png);
  png_read_update_info (r->png, r->info);
  if (r->width != r->wanted_width || r->height != r->wanted_height ||
      (int64_t)png_get_rowbytes (r->png, r->info) != 3 * r->width)
    png_error (r->png, "another size than its header says");
  for (int pass = 0; pass < passes; pass++)
    for (int64_t y = 0; y < r->height; y++)
      png_read_row (r->png, r->rgb + y * 3 * r->width, NULL);
  png_read_end (r->png, NULL);
}

enum status
data_png_decode (const char *who, const unsigned char *data, size_t n,
                 int width, int height, unsigned char *rgb)
{
  struct reading r;
  TRY (begin (who, data, n, &r));
  r.rgb = rgb;
  r.wanted_width = width;
  r.wanted_height = height;
  enum status s = guarded (&r, read_pixels) ? OK : damaged (who, &r);
  finish (&r);
  return s;
}
#else

const char *
data_png_describe (void)
{
  return NULL;
}

enum status
data_png_size (const char *who, const unsigned char *data, size_t n, int *width,
               int *height)
{
  (void)data, (void)n, (void)width, (void)height;
  return fail (E_UNSUPPORTED,
               "%s: a PNG image, and this interlock was built without libpng: "
               "install it (Debian: libpng-dev; Spack: libpng), then configure "
               "and build again",
               who);
}

enum status
data_png_decode (const char *who, const unsigned char *data, size_t n,
                 int width, int height, unsigned char *rgb)
{
  (void)rgb;
  return data_png_size (who, data, n, &width, &height);
}
#endif

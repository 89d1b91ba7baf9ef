/* import/orient.c -- how a camera was held: EXIF's orientation, and turning by
 * it.  What is not well-formed says nothing.
 */
#include "import/folder_impl.h"

#include "data/image.h"

#include <string.h>

struct span {
  const unsigned char *p;
  size_t n;
};

/* A number of `bytes` bytes at `at`; 0 behind the end. */
static uint32_t
number (struct span s, size_t at, int bytes, bool big)
{
  uint32_t v = 0;
  if (at > s.n || s.n - at < (size_t)bytes)
    return 0;
  for (int i = 0; i < bytes; i++)
    v |= (uint32_t)s.p[at + (size_t)i] << 8 * (big ? bytes - 1 - i : i);
  return v;
}

/* Where EXIF's own file begins in a JPEG: segment APP1. */
static struct span
find_in_jpeg (struct span s)
{
  size_t at = 2;
  while (at + 4 <= s.n && s.p[at] == 0xff) {
    int marker = s.p[at + 1];
    size_t length = number (s, at + 2, 2, true);
    if (marker == 0xff) {
      at++;
      continue;
    }
    if (marker == 0xda || marker == 0xd9 || length < 2 || length > s.n - at - 2)
      break;
    if (marker == 0xe1 && length > 8 &&
        memcmp (s.p + at + 4, "Exif\0\0", 6) == 0)
      return (struct span){s.p + at + 10, length - 8};
    at += 2 + length;
  }
  return (struct span){0};
}

/* In a PNG: chunk eXIf. */
static struct span
find_in_png (struct span s)
{
  size_t at = 8;
  while (s.n > 12 && at <= s.n - 12) {
    size_t length = number (s, at, 4, true);
    if (length > s.n - at - 12)
      break;
    if (memcmp (s.p + at + 4, "eXIf", 4) == 0)
      return (struct span){s.p + at + 8, length};
    at += 12 + length;
  }
  return (struct span){0};
}

int
import_orient_of (const unsigned char *data, size_t n)
{
  struct span file = {data, n};
  struct span e =
      data_png_is (data, n) ? find_in_png (file) : find_in_jpeg (file);
  if (e.n < 8 ||
      (memcmp (e.p, "II*\0", 4) != 0 && memcmp (e.p, "MM\0*", 4) != 0))
    return 1;
  bool big = e.p[0] == 'M';
  size_t at = number (e, 4, 4, big);
  uint32_t entries = number (e, at, 2, big);
  for (uint32_t i = 0; i < entries; i++) {
    size_t entry = at + 2 + 12 * (size_t)i;
    if (number (e, entry, 2, big) != 0x112)
      continue;
    uint32_t way = number (e, entry + 8, 2, big);
    return number (e, entry + 2, 2, big) == 3 && way >= 1 && way <= 8 ? (int)way
                                                                      : 1;
  }
  return 1;
}

void
import_orient_turn (int way, const unsigned char *rgb, int *width, int *height,
                    unsigned char *out)
{
  int w = *width, h = *height;
  bool across = way >= 5;
  int to_w = across ? h : w, to_h = across ? w : h;
  for (int y = 0; y < to_h; y++)
    for (int x = 0; x < to_w; x++) {
      int sx = across ? y : x, sy = across ? x : y;
      if (way == 2 || way == 3 || way == 7 || way == 8)
        sx = w - 1 - sx;
      if (way == 3 || way == 4 || way == 6 || way == 7)
        sy = h - 1 - sy;
      memcpy (out + 3 * ((size_t)y * (size_t)to_w + (size_t)x),
              rgb + 3 * ((size_t)sy * (size_t)w + (size_t)sx), 3);
    }
  *width = to_w;
  *height = to_h;
}

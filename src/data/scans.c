/* data/scans.c -- whether a progressive JPEG has all its scans.
 *
 * Each scan brings some bits of some coefficients.  When the last scans are
 * missing, the decoder gives a coarse image and no warning.
 */
#include "data/image.h"

#include <string.h>

struct scans {
  int n; /* components */
  int id[4];
  int8_t low[4][64]; /* the lowest bit that came; -1: none did */
};

/* The frame: its components.  False: not one that we know. */
static bool
read_frame (struct scans *s, const unsigned char *p, size_t n)
{
  if (n < 8 || p[7] < 1 || p[7] > 4 || n < 8 + 3 * (size_t)p[7])
    return false;
  s->n = p[7];
  memset (s->low, -1, sizeof s->low);
  for (int i = 0; i < s->n; i++)
    s->id[i] = p[8 + 3 * i];
  return true;
}

static bool
read_scan (struct scans *s, const unsigned char *p, size_t n)
{
  if (n < 3 || p[2] < 1 || p[2] > 4 || n < 6 + 2 * (size_t)p[2])
    return false;
  const unsigned char *q = p + 3 + 2 * p[2];
  int first = q[0], last = q[1], low = q[2] & 15;
  for (int i = 0; i < p[2]; i++)
    for (int c = 0; c < s->n; c++)
      for (int k = first; s->id[c] == p[3 + 2 * i] && k <= last && k < 64; k++)
        s->low[c][k] = (int8_t)low;
  return true;
}

static bool
all_came (const struct scans *s)
{
  for (int c = 0; c < s->n; c++)
    for (int k = 0; k < 64; k++)
      if (s->low[c][k] != 0)
        return false;
  return true;
}

/* The next marker behind the bytes of a scan. */
static size_t
skip_scan (const unsigned char *p, size_t n, size_t at)
{
  while (at + 1 < n && (p[at] != 0xff || p[at + 1] == 0 || p[at + 1] == 0xff ||
                        (p[at + 1] >= 0xd0 && p[at + 1] <= 0xd7)))
    at++;
  return at;
}

bool
data_scans_whole (const unsigned char *p, size_t n)
{
  struct scans s = {0};
  size_t at = 2;
  while (at + 4 <= n) {
    int marker = p[at + 1];
    size_t length = (size_t)p[at + 2] << 8 | p[at + 3];
    if (p[at] != 0xff || marker == 0xff || marker == 0) {
      at++; /* filling */
      continue;
    }
    if (marker == 0xd9)
      break;
    if (length < 2 || length > n - at - 2)
      return true; /* the decoder has its own word for it */
    bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 &&
                 marker != 0xc8 && marker != 0xcc;
    if (frame && (marker != 0xc2 || !read_frame (&s, p + at + 2, length)))
      return true;
    if (marker == 0xda && !read_scan (&s, p + at + 2, length))
      return true;
    at += 2 + length;
    if (marker == 0xda)
      at = skip_scan (p, n, at);
  }
  return all_came (&s);
}

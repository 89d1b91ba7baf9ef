/* data/resample.c -- a part of an image, made smaller or larger.
 *
 * Each value of the result is a weighted mean along columns, then along rows,
 * with the weights of a triangle that reaches one pixel of the source to both
 * sides, or as many as one pixel of the result covers where the image shrinks:
 * what Pillow and PyTorch call bilinear with antialiasing.  At the borders of
 * the part the triangle is cut and its weights still add up to one.
 * tests/data/resample.c has the same from the definition.
 */
#include "data/image.h"

#include "base/memory.h"
#include <math.h>
#include <string.h>

/* Weights of the pixels that make one value: [first, first + n). */
struct taps {
  int first, n;
  int at; /* of the weights */
};

struct data_resampler {
  int size;
  size_t room;        /* weights that fit */
  struct taps *x, *y; /* size each */
  float *wx, *wy;     /* room each */
  float *row;         /* side_most x 3 */
};

/* A value has 2 s + 2 weights at most; s, which is 1 or more, source pixels
 * make one. */
static size_t
room_for (int size, int side_most)
{
  return 2 * (size_t)side_most + 4 * (size_t)size;
}

double
data_resampler_bytes (int size, int side_most)
{
  return (double)(2 * sizeof (struct taps) * (size_t)size +
                  2 * sizeof (float) * room_for (size, side_most) +
                  3 * sizeof (float) * (size_t)side_most);
}

enum status
data_resampler_open (int size, int side_most, struct data_resampler **out)
{
  struct data_resampler *r = NULL;
  TRY (MEM_NEW (1, &r, "resampler"));
  r->size = size;
  r->room = room_for (size, side_most);
  enum status s = MEM_NEW ((size_t)size, &r->x, "taps");
  if (s == OK)
    s = MEM_NEW ((size_t)size, &r->y, "taps");
  if (s == OK)
    s = MEM_NEW (r->room, &r->wx, "weights");
  if (s == OK)
    s = MEM_NEW (r->room, &r->wy, "weights");
  if (s == OK)
    s = MEM_NEW (3 * (size_t)side_most, &r->row, "a row");
  if (s != OK)
    data_resampler_close (&r);
  else
    *out = r;
  return s;
}

void
data_resampler_close (struct data_resampler **out)
{
  struct data_resampler *r = *out;
  if (!r)
    return;
  mem_free (&r->x);
  mem_free (&r->y);
  mem_free (&r->wx);
  mem_free (&r->wy);
  mem_free (&r->row);
  mem_free (out);
}

/* One axis: n source pixels from `from` on become out, of which those from
 * `skip` on are seen. */
static void
make_taps (const struct data_resampler *r, int from, int n, int out, int skip,
           struct taps *taps, float *w)
{
  double scale = (double)n / out, reach = scale > 1 ? scale : 1;
  size_t at = 0;
  for (int i = 0; i < r->size; i++) {
    double centre = (skip + i + 0.5) * scale, sum = 0;
    int low = (int)(centre - reach + 0.5), high = (int)(centre + reach + 0.5);
    low = low < 0 ? 0 : low;
    high = high > n ? n : high;
    CHECK (high > low && at + (size_t)(high - low) <= r->room,
           "%d to %d of %d pixels", low, high, n);
    taps[i] = (struct taps){from + low, high - low, (int)at};
    for (int k = low; k < high; k++) {
      double far = fabs (k + 0.5 - centre) / reach;
      w[at + (size_t)(k - low)] = (float)(far < 1 ? 1 - far : 0);
      sum += far < 1 ? 1 - far : 0;
    }
    for (int k = 0; k < high - low; k++)
      w[at + (size_t)k] = (float)((double)w[at + (size_t)k] / sum);
    at += (size_t)(high - low);
  }
}

/* Columns first .. first+n-1 of the source, added up for one row. */
static void
add_rows (const struct data_resampler *r, const unsigned char *rgb, int width,
          int first, int n, const struct taps *y)
{
  const float *w = r->wy + y->at;
  float *row = r->row;
  memset (row, 0, 3 * (size_t)n * sizeof *row);
  for (int k = 0; k < y->n; k++) {
    const unsigned char *p =
        rgb + 3 * ((size_t)(y->first + k) * (size_t)width + (size_t)first);
    float weight = w[k];
    for (int i = 0; i < 3 * n; i++)
      row[i] += weight * (float)p[i];
  }
}

static unsigned char
to_byte (float v)
{
  int i = (int)(v + 0.5f);
  return (unsigned char)(i > 255 ? 255 : i);
}

void
data_resample (struct data_resampler *r, const unsigned char *rgb, int width,
               const struct data_part *part, unsigned char *out)
{
  int size = r->size, plane = size * size;
  make_taps (r, part->x, part->width, part->out_width, part->left, r->x, r->wx);
  make_taps (r, part->y, part->height, part->out_height, part->top, r->y,
             r->wy);
  int first = r->x[0].first;
  int n = r->x[size - 1].first + r->x[size - 1].n - first;
  for (int y = 0; y < size; y++) {
    add_rows (r, rgb, width, first, n, &r->y[y]);
    for (int x = 0; x < size; x++) {
      const float *p = r->row + 3 * (r->x[x].first - first);
      const float *w = r->wx + r->x[x].at;
      float sum[3] = {0};
      for (int k = 0; k < r->x[x].n; k++)
        for (int c = 0; c < 3; c++)
          sum[c] += w[k] * p[3 * k + c];
      for (int c = 0; c < 3; c++)
        out[c * plane + y * size + x] = to_byte (sum[c]);
    }
  }
}

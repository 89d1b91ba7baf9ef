/* data/view.c -- from the bytes of an image to the square that a network sees.
 */
#include "data/photographs_impl.h"

#include "base/memory.h"

struct data_viewer {
  int size;
  int64_t pixels; /* the most of an image */
  struct data_codec *codec;
  struct data_resampler *resampler;
  unsigned char *rgb;   /* pixels x CODEC_PIXEL */
  unsigned char *bytes; /* an entry */
};

static int
side_most (int64_t pixels)
{
  return pixels < CODEC_SIDE_MOST ? (int)pixels : CODEC_SIDE_MOST;
}

double
data_viewer_bytes (int size, int64_t pixels, size_t room)
{
  return (double)pixels * CODEC_PIXEL + (double)room +
         data_resampler_bytes (size, side_most (pixels));
}

enum status
data_viewer_open (int size, int64_t pixels, size_t room,
                  struct data_viewer **out)
{
  struct data_viewer *v = NULL;
  TRY (MEM_NEW (1, &v, "viewer"));
  v->size = size;
  v->pixels = pixels;
  enum status s = data_codec_open ("JPEG images", &v->codec);
  if (s == OK)
    s = data_resampler_open (size, side_most (pixels), &v->resampler);
  if (s == OK)
    s = mem_new ((size_t)pixels, CODEC_PIXEL, "an image", (void **)&v->rgb);
  if (s == OK)
    s = mem_new (room, 1, "an image's bytes", (void **)&v->bytes);
  if (s != OK)
    data_viewer_close (&v);
  else
    *out = v;
  return s;
}

void
data_viewer_close (struct data_viewer **out)
{
  struct data_viewer *v = *out;
  if (!v)
    return;
  data_codec_close (&v->codec);
  data_resampler_close (&v->resampler);
  mem_free (&v->rgb);
  mem_free (&v->bytes);
  mem_free (out);
}

static enum status
bad_image (const struct data_entries *e, int64_t i, const char *why)
{
  char path[48];
  data_path (e->data, e->split, path);
  return fail (E_DATA, "%s: %s[%lld]: %s", e->data->path, path, (long long)i,
               why);
}

/* Entry i as v->rgb. */
static enum status
decode (struct data_viewer *v, const struct data_entries *e, int64_t i,
        int *width, int *height)
{
  const unsigned char *bytes;
  size_t n;
  bool warned;
  TRY (data_entries_get (e, i, v->bytes, &bytes, &n));
  if (!data_codec_size (v->codec, bytes, n, width, height))
    return bad_image (e, i, data_codec_why (v->codec));
  if ((int64_t)*width * *height > v->pixels)
    return bad_image (e, i, "more pixels than the attribute \"pixels\" says");
  if (!data_codec_decode (v->codec, bytes, n, *width, *height, v->rgb, &warned))
    return bad_image (e, i, data_codec_why (v->codec));
  return OK;
}

enum status
data_view (struct data_viewer *v, const struct data_entries *e, int64_t i,
           const struct data_seen *seen, unsigned char *out)
{
  struct data_part part;
  int width, height;
  TRY (decode (v, e, i, &width, &height));
  if (seen->random)
    data_part_random (seen->seed, seen->epoch, i, width, height, v->size,
                      &part);
  else
    data_part_centre (width, height, v->size, data_part_shorter (v->size),
                      &part);
  data_resample (v->resampler, v->rgb, width, &part, out);
  return OK;
}

enum status
data_view_check (struct data_viewer *v, const struct data_entries *e, int64_t i)
{
  int width, height;
  return decode (v, e, i, &width, &height);
}

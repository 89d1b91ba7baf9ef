/* store/view.c -- from the bytes of an image to the square that a network sees.
 */
#include "store/jpeg_impl.h"

#include "base/memory.h"

struct store_viewer {
  int size;
  int64_t pixels; /* the most of an image */
  struct store_codec *codec;
  struct store_resampler *resampler;
  unsigned char *rgb;   /* pixels x CODEC_PIXEL */
  unsigned char *bytes; /* an entry */
};

enum status
store_viewer_open (int size, int64_t pixels, size_t room,
                   struct store_viewer **out)
{
  struct store_viewer *v = NULL;
  int side = pixels < CODEC_SIDE_MOST ? (int)pixels : CODEC_SIDE_MOST;
  TRY (MEM_NEW (1, &v, "viewer"));
  v->size = size;
  v->pixels = pixels;
  enum status s = store_codec_open ("JPEG images", &v->codec);
  if (s == OK)
    s = store_resampler_open (size, side, &v->resampler);
  if (s == OK)
    s = mem_new ((size_t)pixels, CODEC_PIXEL, "an image", (void **)&v->rgb);
  if (s == OK)
    s = mem_new (room, 1, "an image's bytes", (void **)&v->bytes);
  if (s != OK)
    store_viewer_close (&v);
  else
    *out = v;
  return s;
}

enum status
store_viewer_of (const struct store_dataset *d, struct store_viewer **out)
{
  int64_t pixels = 1;
  size_t room = 1;
  for (int i = 0; i < STORE_SPLITS; i++) {
    const struct store_entries *e = d->split[i].entries;
    if (e && e->pixels > pixels)
      pixels = e->pixels;
    if (e && store_entries_room (e) > room)
      room = store_entries_room (e);
  }
  return store_viewer_open (d->info.width, pixels, room, out);
}

void
store_viewer_close (struct store_viewer **out)
{
  struct store_viewer *v = *out;
  if (!v)
    return;
  store_codec_close (&v->codec);
  store_resampler_close (&v->resampler);
  mem_free (&v->rgb);
  mem_free (&v->bytes);
  mem_free (out);
}

static enum status
bad_image (const struct store_entries *e, int64_t i, const char *why)
{
  char path[48];
  store_dataset_path (e->data, e->split, path);
  return fail (E_DATA, "%s: %s[%lld]: %s", e->data->path, path, (long long)i,
               why);
}

/* Entry i as v->rgb. */
static enum status
decode (struct store_viewer *v, const struct store_entries *e, int64_t i,
        int *width, int *height)
{
  const unsigned char *bytes;
  size_t n;
  bool warned;
  TRY (store_entries_get (e, i, v->bytes, &bytes, &n));
  if (!store_codec_size (v->codec, bytes, n, width, height))
    return bad_image (e, i, store_codec_why (v->codec));
  if ((int64_t)*width * *height > v->pixels)
    return bad_image (e, i, "more pixels than the attribute \"pixels\" says");
  if (!store_codec_decode (v->codec, bytes, n, *width, *height, v->rgb,
                           &warned))
    return bad_image (e, i, store_codec_why (v->codec));
  return OK;
}

enum status
store_view (struct store_viewer *v, const struct store_entries *e, int64_t i,
            const struct store_seen *seen, unsigned char *out)
{
  struct store_part part;
  int width, height;
  TRY (decode (v, e, i, &width, &height));
  if (seen->random)
    store_part_random (seen->seed, seen->epoch, i, width, height, v->size,
                       &part);
  else
    store_part_centre (width, height, v->size, store_part_shorter (v->size),
                       &part);
  store_resample (v->resampler, v->rgb, width, &part, out);
  return OK;
}

enum status
store_view_check (struct store_viewer *v, const struct store_entries *e,
                  int64_t i)
{
  int width, height;
  return decode (v, e, i, &width, &height);
}

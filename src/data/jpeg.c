/* data/jpeg.c -- a data set of JPEG images: opening a split, reading samples
 * by the thread that opened it, and what is said of it.
 */
#include "data/jpeg_impl.h"

#include "base/hash.h"
#include "base/memory.h"

#define SIZE_MOST 4096

/* The side of the square that networks see, the same for all splits. */
static enum status
read_size (struct data_set *d)
{
  struct store_h5_at root = {d->file, d->path, "/", E_DATA};
  int64_t size = 0;
  TRY (store_h5_get_int (&root, "size", &size));
  if (size < 1 || size > SIZE_MOST)
    return fail (E_DATA, "%s: attribute \"size\" is %lld, expected 1 to %d",
                 d->path, (long long)size, SIZE_MOST);
  d->floats_known = true;
  d->info.jpeg = true;
  d->info.channels = 3;
  d->info.height = d->info.width = (int)size;
  d->sample_values = 3 * size * size;
  d->sample_bytes = (size_t)d->sample_values;
  return OK;
}

/* The most pixels of an image, where the file does not say: of the headers of
 * all images. */
static enum status
find_pixels (struct data_entries *e)
{
  struct data_codec *c = NULL;
  unsigned char *room = NULL;
  enum status s =
      mem_new (data_entries_room (e), 1, "an image's bytes", (void **)&room);
  if (s == OK)
    s = data_codec_open (e->data->path, &c);
  for (int64_t i = 0; s == OK && i < e->n; i++) {
    const unsigned char *bytes;
    size_t n;
    int w, h;
    char path[48];
    s = data_entries_get (e, i, room, &bytes, &n);
    if (s != OK)
      break;
    data_path (e->data, e->split, path);
    if (!data_codec_size (c, bytes, n, &w, &h))
      s = fail (E_DATA, "%s: %s[%lld]: %s", e->data->path, path, (long long)i,
                data_codec_why (c));
    else if ((int64_t)w * h > e->pixels)
      e->pixels = (int64_t)w * h;
  }
  data_codec_close (&c);
  mem_free (&room);
  return s;
}

enum status
data_jpeg_open (struct data_set *d, const char *path, enum data_split which)
{
  struct data_samples *split = &d->split[which];
  struct data_codec *c = NULL;
  char who[512];
  struct store_h5_at at;
  int64_t dims[STORE_H5_DIMS];
  if (d->floats_known && !d->info.jpeg)
    return fail (E_DATA, "%s: %s: JPEG images, but other splits have pixels",
                 d->path, path);
  TRY (data_array (d, path, 1, "[N]", split, &at, dims));
  split->n = dims[0];
  snprintf (who, sizeof who, "%.400s: %s", d->path, path);
  TRY (data_codec_open (who, &c)); /* or say how to get it, in time */
  data_codec_close (&c);
  if (!d->info.jpeg)
    TRY (read_size (d));
  TRY (data_entries_open (d, which, &at, split->n, &split->entries));
  return split->entries->pixels > 0 ? OK : find_pixels (split->entries);
}

enum status
data_jpeg_raw (const struct data_set *d, enum data_split which, int64_t first,
               int64_t n, unsigned char *out)
{
  static const struct data_seen middle = {0};
  CHECK (d->viewer, "JPEG images before data_read");
  for (int64_t i = 0; i < n; i++)
    TRY (data_view (d->viewer, d->split[which].entries, first + i, &middle,
                    out + (size_t)i * d->sample_bytes));
  return OK;
}

void
data_jpeg_print (const struct data_set *d, enum data_split which,
                 struct text *out)
{
  const struct data_entries *e = d->split[which].entries;
  text_add (out, "          JPEG images of %s", text_bytes ((double)e->least));
  text_add (out, " to %s, %s in all; at most %s pixels\n",
            text_bytes ((double)e->most), text_bytes ((double)e->bytes),
            text_count (e->pixels));
}

/* Everything decoded; the digest of all bytes in order. */
static enum status
check_all (const struct data_entries *e, struct data_viewer *v,
           struct hash_stream *h, unsigned char *room)
{
  for (int64_t i = 0; i < e->n; i++) {
    const unsigned char *bytes;
    size_t n;
    TRY (data_view_check (v, e, i));
    TRY (data_entries_get (e, i, room, &bytes, &n));
    hash_stream_add (h, bytes, n);
  }
  return OK;
}

enum status
data_jpeg_check (const struct data_set *d, enum data_split which,
                 struct text *out)
{
  const struct data_entries *e = d->split[which].entries;
  struct data_viewer *v = NULL;
  struct hash_stream *h = NULL;
  unsigned char *room = NULL;
  char digest[33], path[48];
  data_path (d, which, path);
  struct store_h5_at at = {d->split[which].images, d->path, path, E_DATA};
  enum status s = data_viewer_of (d, &v);
  if (s == OK)
    s = hash_stream_open (&h);
  if (s == OK)
    s = mem_new (data_entries_room (e), 1, "an image's bytes", (void **)&room);
  if (s == OK)
    s = check_all (e, v, h, room);
  if (s == OK) {
    hash_stream_digest (h, digest);
    s = data_compare (&at, digest, out);
  }
  mem_free (&room);
  hash_stream_close (&h);
  data_viewer_close (&v);
  return s;
}

/* data/photographs.c -- images as JPEG files keep them, decoded when they are
 * wanted: a part of any size is seen, as a square.
 */
#include "data/images_impl.h"
#include "data/photographs_impl.h"

#include "base/fault.h"
#include "base/hash.h"
#include "base/memory.h"
#include <time.h>

#define SIZE_MOST 4096

struct photographs {
  struct data_images images;
  struct data_entries *entries[DATA_SPLITS]; /* owned */
  struct data_viewer *viewer; /* for data_read, which makes it; owned */
};

static struct data_entries *
entries_of (const struct data_set *d, enum data_split which)
{
  return ((const struct photographs *)d->own)->entries[which];
}

/* -- open ------------------------------------------------------------------ */

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
  d->info.channels = 3;
  d->info.height = d->info.width = (int)size;
  d->values = 3 * size * size;
  d->sample_bytes = (size_t)d->values;
  d->info.decoder = data_describe_images ();
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

static enum status
open_split (struct data_set *d, enum data_split which,
            const struct store_h5_at *at, const int64_t *dims)
{
  struct photographs *p = d->own;
  struct data_codec *c = NULL;
  char who[512];
  snprintf (who, sizeof who, "%.400s: %s", d->path, at->path);
  TRY (data_codec_open (who, &c)); /* or say how to get it, in time */
  data_codec_close (&c);
  if (d->sample_bytes == 0)
    TRY (read_size (d));
  TRY (data_entries_open (d, which, at, dims[0], &p->entries[which]));
  return p->entries[which]->pixels > 0 ? OK : find_pixels (p->entries[which]);
}

/* The bytes of images are not read; their sizes are known. */
static void
digest (struct data_set *d)
{
  uint64_t h = data_images_digest (d);
  for (int i = 0; i < DATA_SPLITS; i++) {
    const struct data_entries *e = entries_of (d, (enum data_split)i);
    if (!e)
      continue;
    int64_t of[3] = {e->bytes, e->least, e->most};
    h = hash_bytes (of, sizeof of, h);
  }
  d->info.digest = data_labels_digest (d, h);
}

static void
close_set (struct data_set *d)
{
  struct photographs *p = d->own;
  data_images_close (d);
  for (int i = 0; i < DATA_SPLITS; i++)
    data_entries_close (&p->entries[i]);
  data_viewer_close (&p->viewer);
}

static hid_t
memory (const struct data_set *d, enum data_split which)
{
  (void)d, (void)which;
  return H5T_NATIVE_UINT8;
}

/* -- storage --------------------------------------------------------------- */

static double
bytes_of (const struct data_set *d, enum data_split which)
{
  return (double)entries_of (d, which)->bytes;
}

static bool
fits (const struct data_set *d, enum data_split which)
{
  return entries_of (d, which)->bytes <= d->memory_bytes;
}

static bool
inside (const struct data_set *d, enum data_split which)
{
  return entries_of (d, which)->all != NULL;
}

static enum status
load (struct data_set *d, enum data_split which)
{
  return data_entries_load (entries_of (d, which));
}

static enum status
walk (const struct data_set *d, enum data_split which,
      const struct data_sink *sink)
{
  const struct data_entries *e = entries_of (d, which);
  unsigned char *room = NULL;
  TRY (mem_new (data_entries_room (e), 1, "an image's bytes", (void **)&room));
  enum status s = OK;
  for (int64_t i = 0; s == OK && i < e->n; i++) {
    const unsigned char *bytes;
    size_t n;
    s = data_entries_get (e, i, room, &bytes, &n);
    if (s == OK)
      s = sink->take (sink->context, bytes, n);
  }
  mem_free (&room);
  return s;
}

struct place {
  const struct data_set *d;
  enum data_split which;
  int64_t i;
  struct data_viewer *viewer;
};

static enum status
compare (void *context, const void *bytes, size_t n)
{
  struct place *p = context;
  return data_block_compare (p->d, p->which, p->i++, bytes, n);
}

static enum status
find (const struct data_set *d, enum data_split which)
{
  struct place p = {d, which, 0, NULL};
  return walk (d, which, &(struct data_sink){compare, &p});
}

const struct data_storage data_lengths = {
    .unit = "image",
    .bytes = bytes_of,
    .fits = fits,
    .inside = inside,
    .load = load,
    .walk = walk,
    .find = find,
};

/* -- samples --------------------------------------------------------------- */

/* Of all splits: the most pixels of an image, and room for its bytes. */
static void
find_most (const struct data_set *d, int64_t *pixels, size_t *room)
{
  *pixels = 1;
  *room = 1;
  for (int i = 0; i < DATA_SPLITS; i++) {
    const struct data_entries *e = entries_of (d, (enum data_split)i);
    if (e && e->pixels > *pixels)
      *pixels = e->pixels;
    if (e && data_entries_room (e) > *room)
      *room = data_entries_room (e);
  }
}

static enum status
viewer_of (const struct data_set *d, struct data_viewer **out)
{
  int64_t pixels;
  size_t room;
  find_most (d, &pixels, &room);
  return data_viewer_open (d->info.width, pixels, room, out);
}

static double
maker_bytes (const struct data_set *d)
{
  int64_t pixels;
  size_t room;
  find_most (d, &pixels, &room);
  return data_viewer_bytes (d->info.width, pixels, room) +
         (double)d->sample_bytes;
}

static enum status
maker_open (struct data_maker *m)
{
  struct data_viewer *viewer = NULL;
  TRY (viewer_of (m->spec->data, &viewer));
  m->own = viewer;
  return mem_new (m->spec->data->sample_bytes, 1, "a sample", (void **)&m->raw);
}

static void
maker_close (struct data_maker *m)
{
  struct data_viewer *viewer = m->own;
  data_viewer_close (&viewer);
}

static enum status
make (struct data_maker *m, int64_t epoch, int64_t sample, void *x)
{
  static const struct timespec while_slow = {.tv_sec = 1};
  const struct data_loader_spec *spec = m->spec;
  if (fault_here ("slow-decode"))
    (void)nanosleep (&while_slow, NULL);
  struct data_seen seen = {spec->augment & DATA_AUGMENT_IMAGENET, spec->seed,
                           epoch};
  bool flip;
  int dy, dx;
  data_augment_draw (spec->augment, spec->seed, epoch, sample, &flip, &dy, &dx);
  TRY (data_view (m->own, entries_of (spec->data, spec->split), sample, &seen,
                  m->raw));
  data_augment_sample (spec->data, m->raw, flip, dy, dx, x);
  return OK;
}

/* In the middle, by the thread that opened d. */
static enum status
raw_middle (const struct data_set *d, enum data_split which, int64_t first,
            int64_t n, unsigned char *out)
{
  static const struct data_seen middle = {0};
  const struct photographs *p = d->own;
  for (int64_t i = 0; i < n; i++)
    TRY (data_view (p->viewer, p->entries[which], first + i, &middle,
                    out + (size_t)i * d->sample_bytes));
  return OK;
}

static enum status
read_samples (struct data_set *d, enum data_split which, int64_t first,
              int64_t n, void *x)
{
  struct photographs *p = d->own;
  if (!p->viewer)
    TRY (viewer_of (d, &p->viewer));
  return data_images_read (d, which, first, n, raw_middle, x);
}

/* -- info ------------------------------------------------------------------ */

static void
print (const struct data_set *d, struct text *out)
{
  data_images_print (d, "seen of JPEG images", out);
}

static enum status
print_split (const struct data_set *d, enum data_split which, struct text *out)
{
  const struct data_entries *e = entries_of (d, which);
  TRY (data_images_print_split (d, which, out));
  text_add (out, "          JPEG images of %s", text_bytes ((double)e->least));
  text_add (out, " to %s, %s in all; at most %s pixels\n",
            text_bytes ((double)e->most), text_bytes ((double)e->bytes),
            text_count (e->pixels));
  return OK;
}

static enum status
decode (void *context, const void *bytes, size_t n)
{
  struct place *p = context;
  (void)bytes, (void)n;
  return data_view_check (p->viewer, entries_of (p->d, p->which), p->i++);
}

/* Everything decoded. */
static enum status
check_split (struct data_set *d, enum data_split which, struct text *out)
{
  struct place p = {d, which, 0, NULL};
  TRY (viewer_of (d, &p.viewer));
  enum status s =
      data_whole_compare (d, which, &(struct data_sink){decode, &p}, out);
  data_viewer_close (&p.viewer);
  return s;
}

const struct data_kind data_photographs = {
    .word = "images",
    .set = "jpeg",
    .n_dims = 1,
    .shape = "[N]",
    .what = "JPEG images",
    .labelled = true,
    .augment = DATA_AUGMENT_FLIP | DATA_AUGMENT_CROP4 | DATA_AUGMENT_IMAGENET,
    .type = TENSOR_F32,
    .own_bytes = sizeof (struct photographs),
    .storage = &data_lengths,
    .attributes = data_images_attributes,
    .header = data_images_header,
    .split = open_split,
    .finish = data_images_finish,
    .digest = digest,
    .close = close_set,
    .memory = memory,
    .maker_open = maker_open,
    .maker_close = maker_close,
    .maker_bytes = maker_bytes,
    .make = make,
    .read = read_samples,
    .label = data_label_kept,
    .labels = data_labels_kept,
    .samples = data_images_samples,
    .print = print,
    .print_split = print_split,
    .check_split = check_split,
};

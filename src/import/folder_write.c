/* import/folder_write.c -- images of folders, one after the other, into a data
 * set file, in constant memory.
 *
 * JPEG images are stored as they are, after they have been decoded once; PNG
 * images are encoded.  As pixels (raw) all are decoded, resized and cut to a
 * square.  Mean and deviation are those of the training images as they are
 * seen without augmentation: sums of integers, so that no order matters.
 */
#include "import/folder_impl.h"
#include "import/import_impl.h"
#include "import/packed_impl.h"
#include "import/whole_impl.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/format.h"
#include "data/image.h"
#include <math.h>
#include <string.h>

struct writer {
  struct import_folder *folder;
  const struct import_folder_spec *spec;
  struct import_folder_done *done;
  hid_t file;
  const char *part;
  struct data_codec *codec;
  struct data_resampler *resampler;
  int side;              /* resampler takes images up to this */
  unsigned char *rgb;    /* pixels x CODEC_PIXEL */
  unsigned char *turned; /* the same; NULL until one is turned */
  int64_t pixels;        /* that fit there */
  unsigned char *encoded;
  size_t encoded_room;
  unsigned char *seen; /* [3, size, size] */
  int64_t written;     /* images so far, of all splits */
  int64_t n_bad;       /* that do not decode; then nothing more is written */
  struct text bad;     /* a line for each: path and why */
  int64_t n_seen;      /* of which the sums are */
  uint64_t sum[3], squares[3];
};

/* A dataset being filled, entry by entry. */
struct filling {
  hid_t set, space, memory, type;
  const char *path;
  int64_t n;
  int64_t pixels; /* the most of an image */
  struct hash_stream *digest;
  uint64_t *each; /* digests of JPEG images; NULL: pixels */
};

static enum status
not_written (const struct writer *w, const char *what)
{
  char why[256];
  return fail (E_IO, "%s: %s: not written: %s", w->part, what,
               store_h5_why (why));
}

/* -- one image ------------------------------------------------------------- */

static enum status
make_room (struct writer *w, int width, int height)
{
  int64_t pixels = (int64_t)width * height;
  int side = width > height ? width : height;
  if (pixels > w->pixels) {
    mem_free (&w->rgb);
    mem_free (&w->turned);
    w->pixels = 0;
    TRY (mem_new ((size_t)pixels, CODEC_PIXEL, "an image", (void **)&w->rgb));
    w->pixels = pixels;
  }
  if (side <= w->side)
    return OK;
  data_resampler_close (&w->resampler);
  w->side = side;
  return data_resampler_open (w->spec->size, side, &w->resampler);
}

/* To w->rgb; its size.  Odd ones are counted. */
static enum status
decode_jpeg (struct writer *w, const char *path, const unsigned char *data,
             size_t n, int *width, int *height)
{
  bool warned = false;
  if (!data_codec_size (w->codec, data, n, width, height))
    return fail (E_DATA, "%s: %s", path, data_codec_why (w->codec));
  TRY (make_room (w, *width, *height));
  if (!data_codec_decode_whole (w->codec, data, n, *width, *height, w->rgb,
                                &warned))
    return fail (E_DATA, "%s: %s", path, data_codec_why (w->codec));
  if (warned && w->done->warned++ == 0)
    text_add (&w->done->warning, "%s: %s", path, data_codec_why (w->codec));
  return OK;
}

static enum status
encode (struct writer *w, const char *path, int width, int height, size_t *n)
{
  size_t room = data_codec_bound (width, height);
  if (room > w->encoded_room) {
    mem_free (&w->encoded);
    w->encoded_room = 0;
    TRY (mem_new (room, 1, "an image's bytes", (void **)&w->encoded));
    w->encoded_room = room;
  }
  *n = room;
  if (!data_codec_encode (w->codec, w->rgb, width, height, w->encoded, n))
    return fail (E_DATA, "%s: %s", path, data_codec_why (w->codec));
  return OK;
}

/* By how its camera was held; *changed where it was. */
static enum status
turn (struct writer *w, const char *path, int way, int *width, int *height,
      bool *changed)
{
  *changed = way != 1 && w->spec->orient;
  if (way != 1 && w->done->held++ == 0)
    text_add (&w->done->held_example, "%s", path);
  if (!*changed)
    return OK;
  if (!w->turned)
    TRY (mem_new ((size_t)w->pixels, CODEC_PIXEL, "an image",
                  (void **)&w->turned));
  import_orient_turn (way, w->rgb, width, height, w->turned);
  unsigned char *turned = w->turned;
  w->turned = w->rgb;
  w->rgb = turned;
  return OK;
}

/* To w->rgb and, where it is to be stored so and the file is no JPEG or is
 * turned, to JPEG and back. */
static enum status
decode (struct writer *w, const char *path, const unsigned char **data,
        size_t *n, int *width, int *height)
{
  const char *name, *cure;
  bool png = data_png_is (*data, *n), turned;
  if (*n == 0)
    return fail (E_DATA, "%s: is empty, so not a JPEG image", path);
  if (import_content_known (*data, *n, IMPORT_CONTENT_IMAGES, &name, &cure))
    return fail (E_DATA, "%s: is %s: %s", path, name, cure);
  if (png) {
    TRY (data_png_size (path, *data, *n, width, height));
    TRY (make_room (w, *width, *height));
    TRY (data_png_decode (path, *data, *n, *width, *height, w->rgb));
  } else
    TRY (decode_jpeg (w, path, *data, *n, width, height));
  TRY (turn (w, path, import_orient_of (*data, *n), width, height, &turned));
  if (w->spec->raw || !(png || turned))
    return OK;
  TRY (encode (w, path, *width, *height, n));
  *data = w->encoded;
  w->done->encoded += png;
  return decode_jpeg (w, path, *data, *n, width, height);
}

static void
add_sums (struct writer *w)
{
  int plane = w->spec->size * w->spec->size;
  for (int c = 0; c < 3; c++)
    for (int i = 0; i < plane; i++) {
      uint64_t v = w->seen[c * plane + i];
      w->sum[c] += v;
      w->squares[c] += v * v;
    }
  w->n_seen++;
}

static enum status
put_entry (struct writer *w, struct filling *f, int64_t i, const void *data,
           size_t n)
{
  hsize_t start[4] = {(hsize_t)i, 0, 0, 0}, size = (hsize_t)w->spec->size;
  hsize_t count[4] = {1, 3, size, size};
  hvl_t value = {.len = n, .p = (void *)data};
  H5Sselect_hyperslab (f->space, H5S_SELECT_SET, start, NULL, count, NULL);
  hash_stream_add (f->digest, data, n);
  if (f->each)
    f->each[i] = hash_bytes (data, n, (uint64_t)i);
  w->done->bytes += (int64_t)n;
  return H5Dwrite (f->set, f->type, f->memory, f->space, H5P_DEFAULT,
                   w->spec->raw ? data : &value) < 0
             ? not_written (w, f->path)
             : OK;
}

/* data: n bytes of a file. */
static enum status
put_image (struct writer *w, struct filling *f, int64_t i, const char *path,
           const unsigned char *data, size_t n, bool sums)
{
  int width, height, size = w->spec->size;
  struct data_part part;
  TRY (decode (w, path, &data, &n, &width, &height));
  if (w->n_bad > 0)
    return OK; /* this file will not be */
  if ((int64_t)width * height > f->pixels)
    f->pixels = (int64_t)width * height;
  if (w->spec->raw || sums) {
    data_part_centre (width, height, size,
                      w->spec->raw ? size : data_part_shorter (size), &part);
    data_resample (w->resampler, w->rgb, width, &part, w->seen);
  }
  if (sums)
    add_sums (w);
  if (w->spec->raw)
    return put_entry (w, f, i, w->seen, 3 * (size_t)size * (size_t)size);
  return put_entry (w, f, i, data, n);
}

/* Keeps the reason why an image does not decode and goes on: the user gets all
 * bad images at once. */
static enum status
note_bad (struct writer *w, struct import_folder_file *file, enum status s)
{
  if (s != E_DATA && s != E_MISSING)
    return s;
  file->bad = true;
  w->n_bad++;
  text_add (&w->bad, "%s\n", fail_message ());
  fail_clear ();
  return OK;
}

static enum status
put_file (struct writer *w, struct filling *f, int64_t i,
          struct import_folder_file *file)
{
  struct text path;
  char *data = NULL;
  size_t n = 0;
  text_init (&path);
  import_folder_path (w->folder, file, &path);
  enum status s = import_file_read (path.data, &data, &n);
  if (s == OK && n > INT32_MAX / 2)
    s = fail (E_DATA, "%s: more than 1 GiB", path.data);
  if (s == OK)
    s = put_image (w, f, i, path.data, (unsigned char *)data, n,
                   file->split == DATA_TRAIN);
  if (s != OK)
    s = note_bad (w, file, s);
  mem_free (&data);
  text_clear (&path);
  log_progress ("importing %s: %s of %s images", w->folder->dirs[file->dir],
                text_count (++w->written), text_count (w->folder->n));
  return s;
}

/* -- one split ------------------------------------------------------------- */

/* References have to be empty before they are written. */
static hid_t
create_plist (bool raw)
{
  hid_t plist = store_h5_data_create ();
  if (!raw)
    H5Pset_fill_time (plist, H5D_FILL_TIME_ALLOC);
  return plist;
}

static enum status
filling_open (struct writer *w, const char *path, int64_t n, struct filling *f)
{
  bool raw = w->spec->raw;
  hsize_t size = (hsize_t)w->spec->size;
  hsize_t dims[4] = {(hsize_t)n, 3, size, size}, one[4] = {1, 3, size, size};
  *f = (struct filling){.path = path, .n = n};
  hid_t base = H5Tcopy (H5T_STD_U8LE), plist = create_plist (raw);
  f->type = raw ? H5Tcopy (base) : H5Tvlen_create (base);
  f->space = H5Screate_simple (raw ? 4 : 1, dims, NULL);
  f->memory = H5Screate_simple (raw ? 4 : 1, one, NULL);
  f->set = H5Dcreate2 (w->file, path, f->type, f->space, H5P_DEFAULT, plist,
                       H5P_DEFAULT);
  H5Pclose (plist);
  H5Tclose (base);
  if (f->set < 0)
    return not_written (w, path);
  if (!raw)
    TRY (MEM_NEW ((size_t)n, &f->each, "digests"));
  return hash_stream_open (&f->digest);
}

static enum status
filling_close (struct writer *w, struct filling *f, enum status s)
{
  struct store_h5_at at = {f->set, w->part, f->path, E_IO};
  if (s == OK) {
    char digest[33];
    hash_stream_digest (f->digest, digest);
    s = store_h5_put_text (&at, "digest", digest);
  }
  if (s == OK && !w->spec->raw)
    s = store_h5_put_int (&at, "pixels", f->pixels);
  hash_stream_close (&f->digest);
  if (f->set >= 0 && H5Dclose (f->set) < 0 && s == OK)
    s = not_written (w, f->path);
  if (s == OK && f->each) {
    char path[64];
    snprintf (path, sizeof path, "%.*s" DATA_BLOCKS,
              (int)(strrchr (f->path, '/') + 1 - f->path), f->path);
    s = data_blocks_write (w->file, w->part, path, f->each, f->n, 0);
  }
  mem_free (&f->each);
  H5Sclose (f->memory);
  H5Sclose (f->space);
  H5Tclose (f->type);
  return s;
}

/* As bytes where there are few classes, else as two bytes each. */
static enum status
put_labels (struct writer *w, const char *path,
            const struct import_folder_file *files, int64_t n)
{
  size_t width = w->folder->n_classes <= 256 ? 1 : 2;
  unsigned char *labels = NULL;
  char digest[33];
  hsize_t dims = (hsize_t)n;
  TRY (mem_new ((size_t)n, width, "labels", (void **)&labels));
  for (int64_t i = 0; i < n; i++) {
    labels[(size_t)i * width] = (unsigned char)(files[i].label & 255);
    if (width == 2)
      labels[2 * i + 1] = (unsigned char)(files[i].label >> 8);
  }
  hash_digest (labels, (size_t)n * width, digest);
  hid_t type = width == 1 ? H5T_STD_U8LE : H5T_STD_U16LE;
  hid_t plist = store_h5_data_create ();
  hid_t space = H5Screate_simple (1, &dims, NULL);
  hid_t id =
      H5Dcreate2 (w->file, path, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
  struct store_h5_at at = {id, w->part, path, E_IO};
  enum status s = OK;
  if (id < 0 || H5Dwrite (id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, labels) < 0)
    s = not_written (w, path);
  if (s == OK)
    s = store_h5_put_text (&at, "digest", digest);
  if (id >= 0 && H5Dclose (id) < 0 && s == OK)
    s = not_written (w, path);
  H5Sclose (space);
  H5Pclose (plist);
  mem_free (&labels);
  return s;
}

static enum status
put_split (struct writer *w, enum data_split which,
           struct import_folder_file *files)
{
  int64_t n = w->folder->count[which];
  char group[32], images[48], labels[48];
  struct filling f;
  if (n == 0)
    return OK;
  snprintf (group, sizeof group, "/%s", data_split_name (which));
  snprintf (images, sizeof images, "%s/%s", group,
            w->spec->raw ? "images" : "jpeg");
  snprintf (labels, sizeof labels, "%s/labels", group);
  hid_t plist = store_h5_object_create ();
  hid_t id = H5Gcreate2 (w->file, group, H5P_DEFAULT, plist, H5P_DEFAULT);
  H5Pclose (plist);
  if (id < 0 || H5Gclose (id) < 0)
    return not_written (w, group);
  enum status s = filling_open (w, images, n, &f);
  for (int64_t i = 0; s == OK && i < n; i++)
    s = put_file (w, &f, i, &files[i]);
  TRY (filling_close (w, &f, s));
  return put_labels (w, labels, files, n);
}

/* -- the file -------------------------------------------------------------- */

static enum status
put_scale (const struct writer *w, const struct store_h5_at *root)
{
  double mean[3], std[3], size = w->spec->size;
  double n = (double)w->n_seen * size * size;
  for (int c = 0; c < 3; c++) {
    double middle = (double)w->sum[c] / n;
    double variance = (double)w->squares[c] / n - middle * middle;
    mean[c] = middle / 255;
    std[c] = variance > 0 ? sqrt (variance) / 255 : 0;
    /* A channel that never changes is only centred. */
    if (!(std[c] > 1e-6))
      std[c] = 1;
  }
  TRY (store_h5_put_doubles (root, "mean", 3, mean));
  return store_h5_put_doubles (root, "std", 3, std);
}

static enum status
fill (void *context, hid_t file, const char *part)
{
  struct writer *w = context;
  const struct import_folder *folder = w->folder;
  struct import_folder_file *files = folder->files;
  struct store_h5_at root = {file, part, "/", E_IO};
  w->file = file;
  w->part = part;
  TRY (store_h5_put_text (&root, "interlock_format", "dataset"));
  TRY (store_h5_put_int (&root, "version", 1));
  TRY (store_h5_put_text (&root, "kind", "images"));
  TRY (store_h5_put_text (&root, "name", w->spec->name));
  TRY (store_h5_put_text (&root, "origin", w->spec->origin));
  TRY (store_h5_put_texts (&root, "classes", folder->n_classes,
                           (const char *const *)folder->classes));
  if (!w->spec->raw)
    TRY (store_h5_put_int (&root, "size", w->spec->size));
  for (int i = 0; i < DATA_SPLITS; i++) {
    TRY (put_split (w, (enum data_split)i, files));
    files += folder->count[i];
  }
  return w->n_bad > 0 ? E_DATA : put_scale (w, &root); /* said by tell_bad */
}

/* What the file will take at least. */
static int64_t
guess_bytes (const struct import_folder *f,
             const struct import_folder_spec *spec)
{
  int64_t bytes = 65536;
  for (int64_t i = 0; i < f->n; i++)
    bytes +=
        spec->raw ? 3 * (int64_t)spec->size * spec->size : f->files[i].bytes;
  return bytes;
}

/* All images that do not decode, each with the reason. */
static enum status
tell_bad (const struct writer *w)
{
  bool skip = w->spec->skip_bad;
  char *line = w->bad.data, *end;
  log_live_done ();
  for (; (skip || w->n_bad > 1) && (end = strchr (line, '\n')); line = end + 1)
    say (skip ? LOG_WARN : LOG_ERROR, "%s%.*s", skip ? "left out: " : "",
         (int)(end - line), line);
  if (skip)
    return OK;
  end = strchr (w->bad.data, '\n');
  return fail (E_DATA, "%.*s (%s of %s images: --skip-bad goes on without %s)",
               (int)(end - w->bad.data), w->bad.data, text_count (w->n_bad),
               text_count (w->folder->n),
               w->n_bad == 1 ? "it" : "them, all are named above");
}

/* --skip-bad: drops the images that do not decode from the list. */
static enum status
leave_out_bad (struct writer *w)
{
  struct import_folder *f = w->folder;
  int64_t n = 0;
  for (int64_t i = 0; i < f->n; i++)
    if (!f->files[i].bad)
      f->files[n++] = f->files[i];
  f->n = n;
  import_folder_count (f);
  if (f->count[DATA_TRAIN] == 0)
    return fail (E_DATA, "%s: no images to train on that decode", f->dirs[0]);
  return OK;
}

/* The next try begins with nothing counted. */
static void
start_again (struct writer *w)
{
  struct import_folder_done *d = w->done;
  d->bad += w->n_bad;
  d->encoded = d->warned = d->bytes = d->held = 0;
  text_clear (&d->warning);
  text_clear (&d->held_example);
  text_clear (&w->bad);
  text_init (&d->warning);
  text_init (&d->held_example);
  text_init (&w->bad);
  w->n_bad = w->written = w->n_seen = 0;
  memset (w->sum, 0, sizeof w->sum);
  memset (w->squares, 0, sizeof w->squares);
}

static enum status
write_whole (struct writer *w, const char *output)
{
  for (;;) {
    enum status s =
        import_whole (output, guess_bytes (w->folder, w->spec), fill, w);
    if (w->n_bad == 0 || s != E_DATA)
      return s;
    fail_clear ();
    TRY (tell_bad (w));
    TRY (leave_out_bad (w));
    start_again (w);
  }
}

enum status
import_folder_write (struct import_folder *f,
                     const struct import_folder_spec *spec, const char *output,
                     struct import_folder_done *done)
{
  size_t size = (size_t)spec->size;
  struct writer w = {.folder = f, .spec = spec, .done = done};
  text_init (&w.bad);
  enum status s = data_codec_open ("import folder", &w.codec);
  if (s == OK)
    s = mem_new (3 * size * size, 1, "an image", (void **)&w.seen);
  if (s == OK)
    s = write_whole (&w, output);
  data_codec_close (&w.codec);
  data_resampler_close (&w.resampler);
  text_clear (&w.bad);
  mem_free (&w.rgb);
  mem_free (&w.turned);
  mem_free (&w.encoded);
  mem_free (&w.seen);
  return s;
}

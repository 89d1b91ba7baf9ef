/* data/open.c -- opening a data set and refusing what does not hold.
 *
 * Everything but the pixels is read and checked here; they are read in
 * read.c.  Several ranks read labels and pixels in together.c.
 */
#include "data/data_impl.h"
#include "data/jpeg_impl.h"

#include "base/fault.h"
#include "base/hash.h"
#include "base/memory.h"
#include "store/file.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_BYTES ((int64_t)1 << 30)
#define BLOCK_BYTES ((size_t)1 << 20)
#define SIDE_MOST 16384 /* no image is wider; keeps products in range */

const char *
data_split_name (enum data_split s)
{
  static const char *const names[DATA_SPLITS] = {"train", "valid", "test"};
  CHECK (s >= 0 && s < DATA_SPLITS, "split %d", (int)s);
  return names[s];
}

/* -- the header ------------------------------------------------------------ */

static enum status
check_text (const struct store_h5_at *at, const char *name, const char *wanted,
            const char *advice)
{
  char *found = NULL;
  TRY (store_h5_get_text (at, name, &found));
  enum status s = OK;
  if (strcmp (found, wanted) != 0)
    s = fail (at->bad, "%s: attribute \"%s\" is \"%s\", expected \"%s\"%s",
              at->file, name, found, wanted, advice);
  mem_free (&found);
  return s;
}

static enum status
read_name (const struct store_h5_at *root, struct data_set *d)
{
  char *name = NULL;
  TRY (store_h5_get_text (root, "name", &name));
  snprintf (d->info.name, sizeof d->info.name, "%.63s", name);
  mem_free (&name);
  if (store_h5_has_attribute (root->id, "origin"))
    return store_h5_get_text (root, "origin", &d->origin);
  return mem_text ("", &d->origin);
}

/* Each class has a name, of one line. */
static enum status
check_classes (const struct data_set *d)
{
  int n = 0;
  for (const char *p = d->classes.data;; p++, n++) {
    size_t length = strcspn (p, "\n");
    if (length == 0)
      return fail (E_DATA,
                   "%s: attribute \"classes\": name %d is empty: every class "
                   "has a name of one line",
                   d->path, n);
    p += length;
    if (!*p)
      break;
  }
  return n + 1 == d->n_names
             ? OK
             : fail (E_DATA,
                     "%s: attribute \"classes\": a name of more than one line",
                     d->path);
}

static enum status
read_header (struct data_set *d)
{
  struct store_h5_at root = {d->file, d->path, "/", E_DATA};
  TRY (check_text (&root, "interlock_format", "dataset",
                   ": not a data set (make one with `interlock import`)"));
  int64_t version = 0;
  TRY (store_h5_get_int (&root, "version", &version));
  if (version != 1)
    return fail (E_DATA,
                 "%s: data set of version %lld, this program reads "
                 "version 1",
                 d->path, (long long)version);
  char *kind = NULL;
  TRY (store_h5_get_text (&root, "kind", &kind));
  d->tokens = strcmp (kind, "tokens") == 0;
  mem_free (&kind);
  if (!d->tokens)
    TRY (check_text (&root, "kind", "images", ", or \"tokens\""));
  snprintf (d->info.kind, sizeof d->info.kind, "%s",
            d->tokens ? "tokens" : "images");
  TRY (read_name (&root, d));
  if (d->tokens)
    return OK;
  TRY (store_h5_get_texts (&root, "classes", &d->classes, &d->n_names));
  d->info.classes = d->n_names;
  if (d->n_names < 2)
    return fail (E_DATA,
                 "%s: attribute \"classes\" has %d names, expected at "
                 "least 2",
                 d->path, d->n_names);
  return check_classes (d);
}

/* -- splits ---------------------------------------------------------------- */

/* Colours last, as other programs have them?  Where the shape alone does not
 * tell, the number of means does. */
static enum status
check_order (const struct data_set *d, const struct store_h5_at *at,
             const int64_t *dims)
{
  struct store_h5_at root = {d->file, d->path, "/", E_DATA};
  int64_t n = store_h5_count (&root, "mean");
  bool few = dims[3] == 1 || dims[3] == 3 || dims[3] == 4;
  bool last =
      n > 0 ? n == dims[3] && n != dims[1] : few && dims[1] > 4 && dims[2] > 4;
  if (!last)
    return OK;
  return fail (E_DATA,
               "%s: %s: shape %s looks like [N, H, W, C], expected [N, C, H, "
               "W]: colours come first (numpy: x.transpose (0, 3, 1, 2))",
               d->path, at->path, store_h5_shape_text (4, dims));
}

/* Shape and type must be those of the splits before. */
static enum status
check_images (struct data_set *d, const struct store_h5_at *at,
              const int64_t *dims)
{
  hid_t type = H5Dget_type (at->id);
  bool floats = H5Tget_class (type) == H5T_FLOAT;
  bool bytes = H5Tequal (type, H5T_NATIVE_UINT8) > 0;
  H5Tclose (type);
  if (!floats && !bytes)
    return fail (E_DATA,
                 "%s: %s: neither unsigned bytes nor floats: write pixels of 0 "
                 "to 255 as uint8, others as float32",
                 d->path, at->path);
  TRY (check_order (d, at, dims));
  for (int i = 1; i < 4; i++)
    if (dims[i] < 1 || dims[i] > SIDE_MOST)
      return fail (E_DATA, "%s: %s: shape %s", d->path, at->path,
                   store_h5_shape_text (4, dims));
  if (!d->floats_known) {
    d->floats_known = true;
    d->floats = floats;
    d->info.channels = (int)dims[1];
    d->info.height = (int)dims[2];
    d->info.width = (int)dims[3];
    d->sample_values = dims[1] * dims[2] * dims[3];
    d->sample_bytes = (size_t)d->sample_values * (floats ? 4 : 1);
    return OK;
  }
  int64_t wanted[4] = {dims[0], d->info.channels, d->info.height,
                       d->info.width};
  if (memcmp (wanted, dims, sizeof wanted) != 0)
    return fail (E_DATA, "%s: %s: shape %s, but other splits have %s", d->path,
                 at->path, store_h5_shape_text (4, dims),
                 store_h5_shape_text (3, wanted + 1));
  if (floats != d->floats)
    return fail (E_DATA, "%s: %s: %s, but other splits have %s", d->path,
                 at->path, floats ? "floats" : "bytes",
                 floats ? "bytes" : "floats");
  return OK;
}

enum status
data_locate (struct data_set *d, const struct store_h5_at *at, hid_t type,
             struct data_samples *split)
{
  split->offset = -1;
  TRY (store_h5_written (at));
  haddr_t offset = H5Dget_offset (at->id);
  hsize_t bytes = H5Dget_storage_size (at->id);
  if (offset == HADDR_UNDEF)
    return OK;
  hsize_t wanted = (hsize_t)split->n * d->sample_bytes;
  int64_t size = store_file_bytes (d->path);
  if (size >= 0 && offset + bytes > (hsize_t)size)
    return fail (E_DATA,
                 "%s: %s: cut off: the %s end at byte %llu, the file at "
                 "%lld",
                 d->path, at->path, d->tokens ? "tokens" : "pixels",
                 (unsigned long long)(offset + bytes), (long long)size);
  hid_t found = H5Dget_type (at->id);
  bool same = H5Tequal (found, type) > 0;
  H5Tclose (found);
  if (same && bytes == wanted)
    split->offset = (int64_t)offset;
  return OK;
}

enum status
data_array (const struct data_set *d, const char *path, int n_dims,
            const char *shape, struct data_samples *split,
            struct store_h5_at *at, int64_t *dims)
{
  *at = (struct store_h5_at){-1, d->path, path, E_DATA};
  TRY (store_h5_set_open (d->file, true, at));
  split->images = at->id;
  int n = 0;
  TRY (store_h5_shape (at, &n, dims));
  if (n != n_dims || dims[0] < 1)
    return fail (E_DATA, "%s: %s: shape %s, expected %s", d->path, path,
                 store_h5_shape_text (n, dims), shape);
  return OK;
}

static enum status
open_images (struct data_set *d, const char *path, struct data_samples *split)
{
  struct store_h5_at at;
  int64_t dims[STORE_H5_DIMS];
  TRY (data_array (d, path, 4, "[N, C, H, W]", split, &at, dims));
  split->n = dims[0];
  TRY (check_images (d, &at, dims));
  return data_locate (d, &at, d->floats ? H5T_NATIVE_FLOAT : H5T_NATIVE_UINT8,
                      split);
}

/* Every label in 0 .. classes - 1. */
static enum status
check_labels (const struct data_set *d, const char *path, const int64_t *wide,
              struct data_samples *split)
{
  for (int64_t i = 0; i < split->n; i++) {
    if (wide[i] < 0 || wide[i] >= d->info.classes)
      return fail (E_DATA, "%s: %s[%lld]: label %lld, expected 0 to %d",
                   d->path, path, (long long)i, (long long)wide[i],
                   d->info.classes - 1);
    split->labels[i] = (int32_t)wide[i];
  }
  return OK;
}

enum status
data_labels_take (struct data_set *d, enum data_split which, hid_t id,
                  hid_t type, void *raw)
{
  struct data_samples *split = &d->split[which];
  char path[48], why[256], digest[33];
  snprintf (path, sizeof path, "/%s/labels", data_split_name (which));
  struct store_h5_at at = {id, d->path, path, E_DATA};
  hash_digest (raw, (size_t)split->n * H5Tget_size (type), digest);
  TRY (data_compare (&at, digest, NULL));
  /* False and true are names of the integers 0 and 1. */
  bool names = H5Tget_class (type) == H5T_ENUM;
  hid_t numbers = names ? H5Tget_super (type) : H5Tcopy (type);
  herr_t done = H5Tconvert (numbers, H5T_NATIVE_INT64, (size_t)split->n, raw,
                            NULL, H5P_DEFAULT);
  H5Tclose (numbers);
  if (done < 0)
    return fail (E_DATA, "%s: %s: not read: %s", d->path, path,
                 store_h5_why (why));
  return check_labels (d, path, raw, split);
}

enum status
data_labels_room (const struct data_set *d, enum data_split which, hid_t type,
                  void **raw)
{
  size_t size = H5Tget_size (type);
  return mem_new ((size_t)d->split[which].n,
                  size > sizeof (int64_t) ? size : sizeof (int64_t), "labels",
                  raw);
}

/* All of an open dataset, by this rank alone. */
static enum status
read_labels (struct data_set *d, hid_t id, const char *path,
             enum data_split which)
{
  hid_t type = H5Dget_type (id);
  void *raw = NULL;
  char why[256];
  enum status s = data_labels_room (d, which, type, &raw);
  if (s == OK && H5Dread (id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) < 0)
    s = fail (E_DATA, "%s: %s: not read: %s", d->path, path,
              store_h5_why (why));
  if (s == OK)
    s = data_labels_take (d, which, id, type, raw);
  H5Tclose (type);
  mem_free (&raw);
  return s;
}

static enum status
open_labels (struct data_set *d, const struct store_h5_at *at,
             enum data_split which)
{
  struct data_samples *split = &d->split[which];
  int n_dims = 0;
  int64_t dims[STORE_H5_DIMS];
  const char *path = at->path;
  TRY (store_h5_shape (at, &n_dims, dims));
  hid_t type = H5Dget_type (at->id);
  bool whole =
      H5Tget_class (type) == H5T_INTEGER || H5Tget_class (type) == H5T_ENUM;
  H5Tclose (type);
  if (n_dims != 1 || !whole)
    return fail (E_DATA, "%s: %s: %s of shape %s, expected integers [N]",
                 d->path, path, whole ? "integers" : "no integers",
                 store_h5_shape_text (n_dims, dims));
  if (dims[0] != split->n)
    return fail (E_DATA, "%s: %s: %lld labels for %lld images", d->path, path,
                 (long long)dims[0], (long long)split->n);
  TRY (store_h5_written (at));
  TRY (MEM_NEW ((size_t)split->n, &split->labels, "labels"));
  split->plain_labels = store_h5_is_plain (at);
  return d->together && split->plain_labels
             ? OK
             : read_labels (d, at->id, path, which);
}

static enum status
open_split (struct data_set *d, enum data_split which)
{
  struct data_samples *split = &d->split[which];
  char group[32], images[48], labels[48], jpeg[48];
  snprintf (group, sizeof group, "/%s", data_split_name (which));
  snprintf (images, sizeof images, "%s/images", group);
  snprintf (labels, sizeof labels, "%s/labels", group);
  snprintf (jpeg, sizeof jpeg, "%s/jpeg", group);
  if (!store_h5_has (d->file, group))
    return OK;
  if (!store_h5_has (d->file, images) && store_h5_has (d->file, jpeg))
    TRY (data_jpeg_open (d, jpeg, which));
  else if (d->info.jpeg)
    return fail (E_DATA, "%s: %s is missing, other splits have JPEG images",
                 d->path, jpeg);
  else
    TRY (open_images (d, images, split));
  struct store_h5_at at = {-1, d->path, labels, E_DATA};
  TRY (store_h5_set_open (d->file, true, &at));
  enum status s = open_labels (d, &at, which);
  H5Dclose (at.id);
  if (s == OK)
    d->info.samples[which] = split->n;
  return s;
}

/* -- normalisation --------------------------------------------------------- */

/* They are of values that were divided by 255 before. */
static enum status
check_scale (const struct data_set *d, int c)
{
  if (d->mean[c] >= 0 && d->mean[c] <= 1 && d->std[c] <= 1)
    return OK;
  return fail (E_DATA,
               "%s: channel %d: mean %g, std %g: expected those of values "
               "scaled to 0..1: divide them by 255",
               d->path, c, d->mean[c], d->std[c]);
}

static enum status
read_scale (struct data_set *d)
{
  if (d->floats)
    return OK;
  struct store_h5_at root = {d->file, d->path, "/", E_DATA};
  int n = d->info.channels;
  TRY (MEM_NEW ((size_t)n, &d->mean, "mean"));
  TRY (MEM_NEW ((size_t)n, &d->std, "std"));
  TRY (MEM_NEW ((size_t)n * 256, &d->table, "table of bytes"));
  TRY (store_h5_get_doubles (&root, "mean", n, d->mean));
  TRY (store_h5_get_doubles (&root, "std", n, d->std));
  for (int c = 0; c < n; c++) {
    if (!isfinite (d->mean[c]) || !(d->std[c] > 0) || !isfinite (d->std[c]))
      return fail (E_DATA,
                   "%s: channel %d: mean %g, std %g: expected numbers, std "
                   "above 0",
                   d->path, c, d->mean[c], d->std[c]);
    TRY (check_scale (d, c));
    /* In float, in the order of PyTorch's ToTensor and Normalize. */
    float mean = (float)d->mean[c], std = (float)d->std[c];
    for (int v = 0; v < 256; v++)
      d->table[c * 256 + v] = ((float)v / 255.0f - mean) / std;
  }
  return OK;
}

void
data_digest (struct data_set *d)
{
  struct text t;
  text_init (&t);
  text_add (&t, "%s|%s|%d %d %d %d|%d|%s", d->info.kind, d->info.name,
            d->info.classes, d->info.channels, d->info.height, d->info.width,
            d->floats, d->classes.data);
  uint64_t h = hash_text (t.data, 1);
  text_clear (&t);
  if (d->table) {
    h = hash_bytes (d->mean, (size_t)d->info.channels * sizeof (double), h);
    h = hash_bytes (d->std, (size_t)d->info.channels * sizeof (double), h);
  }
  h = hash_bytes (d->info.samples, sizeof d->info.samples, h);
  for (int i = 0; i < DATA_SPLITS; i++)
    if (d->split[i].entries) {
      const struct data_entries *e = d->split[i].entries;
      int64_t of[3] = {e->bytes, e->least, e->most};
      h = hash_bytes (of, sizeof of, h);
    }
  for (int i = 0; i < DATA_SPLITS; i++)
    if (d->split[i].n > 0)
      h = hash_bytes (d->split[i].labels,
                      (size_t)d->split[i].n * sizeof (int32_t), h);
  d->info.digest = h;
}

/* -- open and close -------------------------------------------------------- */

static enum status
open_parts (struct data_set *d)
{
  d->fd = open (d->path, O_RDONLY | O_CLOEXEC);
  if (d->fd < 0)
    return fail (E_MISSING, "%s: %s", d->path, strerror (errno));
  TRY (read_header (d));
  TRY (data_seal_check (d));
  int64_t total = 0;
  if (d->tokens)
    TRY (data_tokens_open (d));
  for (int i = 0; i < DATA_SPLITS; i++) {
    if (!d->tokens)
      TRY (open_split (d, (enum data_split)i));
    total += d->info.samples[i];
  }
  if (total == 0)
    return fail (E_DATA, "%s: none of /train, /valid, /test is there", d->path);
  if (d->tokens)
    return OK;
  TRY (read_scale (d));
  d->block_samples = (int64_t)(BLOCK_BYTES / d->sample_bytes);
  if (d->block_samples < 1)
    d->block_samples = 1;
  TRY (mem_new ((size_t)d->block_samples, d->sample_bytes, "image block",
                (void **)&d->block));
  if (!d->together)
    data_digest (d);
  return OK;
}

enum status
data_begin (const char *path, bool together, struct data_set **out)
{
  fault_hang ("hang-read");
  if (fault_here ("read"))
    return fail (E_DATA, "%s: reading failed (planted)", path);
  struct data_set *d = NULL;
  TRY (MEM_NEW (1, &d, "data set"));
  d->file = -1;
  d->fd = -1;
  d->together = together;
  d->memory_bytes = MEMORY_BYTES;
  text_init (&d->classes);
  for (int i = 0; i < DATA_SPLITS; i++)
    d->split[i].images = d->split[i].offset = -1;
  enum status s = mem_text (path, &d->path);
  if (s == OK)
    s = store_h5_open (path, E_DATA, &d->file);
  if (s == OK)
    s = open_parts (d);
  if (s != OK)
    data_close (&d);
  else
    *out = d;
  return s;
}

enum status
data_open (const char *path, struct data_set **out)
{
  return data_begin (path, false, out);
}

void
data_close (struct data_set **out)
{
  struct data_set *d = *out;
  if (!d)
    return;
  for (int i = 0; i < DATA_SPLITS; i++) {
    if (d->split[i].images >= 0)
      H5Dclose (d->split[i].images);
    mem_free (&d->split[i].labels);
    mem_free (&d->split[i].pixels);
    mem_free (&d->split[i].blocks);
    mem_free (&d->split[i].seen);
    data_entries_close (&d->split[i].entries);
  }
  data_viewer_close (&d->viewer);
  if (d->file >= 0)
    H5Fclose (d->file);
  if (d->fd >= 0)
    close (d->fd);
  text_clear (&d->classes);
  mem_free (&d->block);
  mem_free (&d->table);
  mem_free (&d->mean);
  mem_free (&d->std);
  mem_free (&d->origin);
  mem_free (&d->tokenizer);
  mem_free (&d->path);
  mem_free (out);
}

void
data_info (const struct data_set *d, struct data_info *out)
{
  *out = d->info;
}

const int32_t *
data_labels (const struct data_set *d, enum data_split split)
{
  return d->split[split].labels;
}

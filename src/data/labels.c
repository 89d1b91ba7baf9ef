/* data/labels.c -- a class for each sample: opened, checked, read, compared. */
#include "data/data_impl.h"

#include "base/hash.h"
#include "base/memory.h"

static void
path_of (enum data_split which, char out[48])
{
  snprintf (out, 48, "/%s/labels", data_split_name (which));
}

/* -- open ------------------------------------------------------------------ */

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
  path_of (which, path);
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
check_set (struct data_set *d, const struct store_h5_at *at,
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

enum status
data_labels_open (struct data_set *d, enum data_split which)
{
  char path[48];
  path_of (which, path);
  struct store_h5_at at = {-1, d->path, path, E_DATA};
  TRY (store_h5_set_open (d->file, true, &at));
  enum status s = check_set (d, &at, which);
  H5Dclose (at.id);
  return s;
}

/* -- digests --------------------------------------------------------------- */

uint64_t
data_labels_digest (const struct data_set *d, uint64_t h)
{
  for (int i = 0; i < DATA_SPLITS; i++)
    if (d->split[i].n > 0)
      h = hash_bytes (d->split[i].labels,
                      (size_t)d->split[i].n * sizeof (int32_t), h);
  return h;
}

/* As the bytes they were written from, where they are of one or two. */
enum status
data_labels_check (const struct data_set *d, enum data_split which,
                   struct text *out)
{
  char path[48], why[256], digest[33];
  path_of (which, path);
  struct store_h5_at at = {-1, d->path, path, E_DATA};
  TRY (store_h5_set_open (d->file, true, &at));
  hid_t type = H5Dget_type (at.id);
  size_t width = H5Tequal (type, H5T_STD_U8LE) > 0    ? 1
                 : H5Tequal (type, H5T_STD_U16LE) > 0 ? 2
                                                      : 0;
  size_t bytes = width * (size_t)d->split[which].n;
  unsigned char *data = NULL;
  enum status s = OK;
  if (bytes > 0)
    s = mem_new (bytes, 1, "labels", (void **)&data);
  if (bytes > 0 && s == OK) {
    if (H5Dread (at.id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
      s = fail (E_DATA, "%s: %s: not read: %s", d->path, path,
                store_h5_why (why));
    else {
      hash_digest (data, bytes, digest);
      s = data_compare (&at, digest, out);
    }
  }
  mem_free (&data);
  H5Tclose (type);
  H5Dclose (at.id);
  return s;
}

enum status
data_labels_prove (struct data_set *d, enum data_split split)
{
  return d->kind->labelled ? OK : data_prove (d, split);
}

/* -- taken ----------------------------------------------------------------- */

const int32_t *
data_labels (const struct data_set *d, enum data_split split)
{
  return d->split[split].labels;
}

enum status
data_label_kept (const struct data_set *d, enum data_split which,
                 const struct data_order *o, int64_t epoch, int64_t sample,
                 int32_t *labels)
{
  (void)o, (void)epoch;
  *labels = d->split[which].labels[sample];
  return OK;
}

enum status
data_labels_kept (struct data_set *d, enum data_split which, int64_t first,
                  int64_t n, int32_t *labels)
{
  const struct data_samples *split = &d->split[which];
  for (int64_t i = 0; i < n; i++)
    labels[i] = first + i < split->n ? split->labels[first + i] : -1;
  return OK;
}

enum status
data_take_labels (const struct data_set *d, enum data_split split,
                  struct data_order *o, int64_t step, int64_t first, int64_t n,
                  int32_t *labels)
{
  for (int64_t i = 0; i < n; i++) {
    int64_t epoch, sample;
    data_order_sample (o, step, first + i, &epoch, &sample);
    TRY (d->kind->label (d, split, o, epoch, sample,
                         labels + i * d->info.length));
  }
  return OK;
}

enum status
data_read_labels (struct data_set *d, enum data_split which, int64_t first,
                  int64_t n, int64_t n_samples, int32_t *labels)
{
  TRY (d->kind->labels (d, which, first, n, labels));
  for (int64_t i = 0; i < n * d->info.length; i++)
    if (first + i / d->info.length >= n_samples)
      labels[i] = -1;
  return OK;
}

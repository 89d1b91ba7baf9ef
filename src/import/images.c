/* import/images.c -- images in memory, and the data set file made of them. */
#include "import/import_impl.h"
#include "import/whole_impl.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/format.h"
#include "store/raw.h"
#include <math.h>
#include <string.h>

void
import_images_init (struct import_images *m)
{
  *m = (struct import_images){0};
  text_init (&m->origin);
  text_init (&m->classes);
}

void
import_images_clear (struct import_images *m)
{
  for (int i = 0; i < DATA_SPLITS; i++) {
    mem_free (&m->split[i].pixels);
    mem_free (&m->split[i].labels);
  }
  text_clear (&m->origin);
  text_clear (&m->classes);
}

static size_t
image_bytes (const struct import_images *m)
{
  return (size_t)m->channels * (size_t)m->height * (size_t)m->width;
}

enum status
import_images_room (struct import_images *m, enum data_split which, int64_t n)
{
  struct import_images_split *split = &m->split[which];
  int64_t wanted = split->n + n;
  if (wanted <= split->room)
    return OK;
  TRY (mem_grow (&split->pixels, (size_t)split->room, (size_t)wanted,
                 image_bytes (m), "images"));
  TRY (mem_grow (&split->labels, (size_t)split->room, (size_t)wanted, 1,
                 "labels"));
  split->room = wanted;
  return OK;
}

enum status
import_images_hold_out (struct import_images *m, int64_t n)
{
  struct import_images_split *train = &m->split[DATA_TRAIN];
  struct import_images_split *valid = &m->split[DATA_VALID];
  if (n < 0)
    n = train->n / 10;
  if (n == 0)
    return OK;
  if (n >= train->n)
    return fail (E_CONFIG, "valid=%lld: train has only %lld samples",
                 (long long)n, (long long)train->n);
  TRY (import_images_room (m, DATA_VALID, n));
  size_t bytes = image_bytes (m);
  memcpy (valid->pixels, train->pixels + (size_t)(train->n - n) * bytes,
          (size_t)n * bytes);
  memcpy (valid->labels, train->labels + (train->n - n), (size_t)n);
  valid->n = n;
  train->n -= n;
  return OK;
}

/* -- mean and deviation of train, of values scaled to 0..1 ----------------- */

static void
channel_scale (const struct import_images *m, int c, double *mean, double *std)
{
  const struct import_images_split *train = &m->split[DATA_TRAIN];
  size_t plane = (size_t)m->height * (size_t)m->width;
  uint64_t sum = 0, squares = 0;
  for (int64_t i = 0; i < train->n; i++) {
    const unsigned char *p =
        train->pixels + (size_t)i * image_bytes (m) + (size_t)c * plane;
    for (size_t k = 0; k < plane; k++) {
      sum += p[k];
      squares += (uint64_t)p[k] * p[k];
    }
  }
  double n = (double)train->n * (double)plane;
  double middle = (double)sum / n;
  double variance = (double)squares / n - middle * middle;
  *mean = middle / 255;
  *std = variance > 0 ? sqrt (variance) / 255 : 0;
  /* A channel that never changes is only centred. */
  if (!(*std > 1e-6))
    *std = 1;
}

/* -- the file -------------------------------------------------------------- */

static enum status
not_written (const char *part, const char *what)
{
  char why[256];
  store_h5_why (why);
  return fail (E_IO, "%s: %s: not written: %s", part, what, why);
}

static enum status
write_set (hid_t file, const char *part, const char *path, int n_dims,
           const hsize_t *dims, const unsigned char *data)
{
  hid_t plist = store_h5_data_create ();
  hid_t space = H5Screate_simple (n_dims, dims, NULL);
  hid_t id = H5Dcreate2 (file, path, H5T_STD_U8LE, space, H5P_DEFAULT, plist,
                         H5P_DEFAULT);
  enum status s = OK;
  if (id < 0 ||
      H5Dwrite (id, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
    s = not_written (part, path);
  size_t bytes = 1;
  for (int i = 0; i < n_dims; i++)
    bytes *= dims[i];
  char digest[33];
  hash_digest (data, bytes, digest);
  struct store_h5_at at = {id, part, path, E_IO};
  if (s == OK)
    s = store_h5_put_text (&at, "digest", digest);
  if (id >= 0 && H5Dclose (id) < 0 && s == OK)
    s = not_written (part, path);
  H5Sclose (space);
  H5Pclose (plist);
  return s;
}

static enum status
write_split (const struct import_images *m, hid_t file, const char *part,
             enum data_split which)
{
  const struct import_images_split *split = &m->split[which];
  char group[32], images[48], labels[48];
  if (split->n == 0)
    return OK;
  snprintf (group, sizeof group, "/%s", data_split_name (which));
  snprintf (images, sizeof images, "%s/images", group);
  snprintf (labels, sizeof labels, "%s/labels", group);
  hid_t plist = store_h5_object_create ();
  hid_t id = H5Gcreate2 (file, group, H5P_DEFAULT, plist, H5P_DEFAULT);
  H5Pclose (plist);
  if (id < 0 || H5Gclose (id) < 0)
    return not_written (part, group);
  hsize_t dims[4] = {(hsize_t)split->n, (hsize_t)m->channels,
                     (hsize_t)m->height, (hsize_t)m->width};
  TRY (write_set (file, part, images, 4, dims, split->pixels));
  return write_set (file, part, labels, 1, dims, split->labels);
}

static enum status
put_classes (const struct import_images *m, const struct store_h5_at *root)
{
  char *copy = NULL, *next = NULL, *names[256];
  int n = 0;
  TRY (mem_text (m->classes.data, &copy));
  for (char *p = strtok_r (copy, "\n", &next); p && n < 256;
       p = strtok_r (NULL, "\n", &next))
    names[n++] = p;
  CHECK (n == m->n_classes, "%d names for %d classes", n, m->n_classes);
  enum status s =
      store_h5_put_texts (root, "classes", n, (const char *const *)names);
  mem_free (&copy);
  return s;
}

static enum status
put_header (const struct import_images *m, hid_t file, const char *part)
{
  struct store_h5_at root = {file, part, "/", E_IO};
  double mean[16], std[16];
  CHECK (m->channels <= 16, "%d channels", m->channels);
  for (int c = 0; c < m->channels; c++)
    channel_scale (m, c, &mean[c], &std[c]);
  TRY (store_h5_put_text (&root, "interlock_format", "dataset"));
  TRY (store_h5_put_int (&root, "version", 1));
  TRY (store_h5_put_text (&root, "kind", "images"));
  TRY (store_h5_put_text (&root, "name", m->name));
  TRY (store_h5_put_text (&root, "origin", m->origin.data));
  TRY (put_classes (m, &root));
  TRY (store_h5_put_doubles (&root, "mean", m->channels, mean));
  return store_h5_put_doubles (&root, "std", m->channels, std);
}

static enum status
fill (void *context, hid_t file, const char *part)
{
  const struct import_images *m = context;
  TRY (put_header (m, file, part));
  for (int i = 0; i < DATA_SPLITS; i++)
    TRY (write_split (m, file, part, (enum data_split)i));
  return OK;
}

enum status
import_images_write (const struct import_images *m, const char *output)
{
  struct import_images copy = *m;
  int64_t bytes = 65536;
  for (int i = 0; i < DATA_SPLITS; i++)
    bytes += m->split[i].n * (int64_t)(image_bytes (m) + 1);
  if (m->split[DATA_TRAIN].n == 0)
    return fail (E_DATA, "%s: no training samples", output);
  log_live ("writing %s (%s)", output, text_bytes ((double)bytes));
  return import_whole (output, bytes, fill, &copy);
}

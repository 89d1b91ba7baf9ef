/* data/read.c -- pixels: from file to memory to normalised floats.
 *
 * A sample comes from memory; or from the plain file by pread, which any thread
 * may do; or through HDF5, for chunked or converted images, which only the main
 * thread calls.
 * JPEG images are decoded on the way (jpeg.c).
 */
#include "data/jpeg_impl.h"

#include "base/memory.h"
#include "base/random.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

void
data_memory (struct data_set *d, int64_t bytes)
{
  d->memory_bytes = bytes;
}

void
data_path (const struct data_set *d, enum data_split which, char out[48])
{
  snprintf (out, 48, "/%s/%s", data_split_name (which),
            d->tokens      ? "tokens"
            : d->info.jpeg ? "jpeg"
                           : "images");
}

hid_t
data_type (const struct data_set *d, enum data_split which)
{
  /* A negative token becomes a large one, which no vocabulary has. */
  if (d->tokens)
    return d->sample_bytes == 2       ? H5T_NATIVE_UINT16
           : d->split[which].negative ? H5T_NATIVE_INT32
                                      : H5T_NATIVE_UINT32;
  return d->floats ? H5T_NATIVE_FLOAT : H5T_NATIVE_UINT8;
}

static enum status
read_plain (const struct data_set *d, enum data_split which, int64_t offset,
            size_t bytes, unsigned char *out)
{
  char path[48];
  data_path (d, which, path);
  while (bytes > 0) {
    ssize_t n = pread (d->fd, out, bytes, (off_t)offset);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail (E_IO, "%s: %s: byte %lld: %s", d->path, path,
                   (long long)offset, strerror (errno));
    if (n == 0)
      return fail (E_DATA, "%s: %s: cut off at byte %lld", d->path, path,
                   (long long)offset);
    offset += n;
    out += n;
    bytes -= (size_t)n;
  }
  return OK;
}

/* As read_plain, of a split whose blocks have digests: those that are touched
 * for the first time are compared. */
static enum status
read_blocks (const struct data_set *d, enum data_split which, size_t skip,
             size_t bytes, unsigned char *out)
{
  const struct data_samples *split = &d->split[which];
  unsigned char room[DATA_BLOCK_BYTES];
  size_t all = (size_t)split->n * d->sample_bytes;
  for (size_t k = skip / sizeof room; bytes && k * sizeof room < skip + bytes;
       k++) {
    size_t at = k * sizeof room;
    size_t n = all - at < sizeof room ? all - at : sizeof room;
    if (split->seen[k])
      continue;
    TRY (read_plain (d, which, split->offset + (int64_t)at, n, room));
    TRY (data_block_compare (d, which, (int64_t)k, room, n));
    split->seen[k] = 1;
  }
  return read_plain (d, which, split->offset + (int64_t)skip, bytes, out);
}

static enum status
read_h5 (const struct data_set *d, enum data_split which, int64_t first,
         int64_t n, unsigned char *out)
{
  hsize_t start[4] = {(hsize_t)first, 0, 0, 0};
  hsize_t count[4] = {(hsize_t)n, (hsize_t)d->info.channels,
                      (hsize_t)d->info.height, (hsize_t)d->info.width};
  hid_t file = H5Dget_space (d->split[which].images);
  hid_t memory = H5Screate_simple (d->tokens ? 1 : 4, count, NULL);
  H5Sselect_hyperslab (file, H5S_SELECT_SET, start, NULL, count, NULL);
  herr_t done = H5Dread (d->split[which].images, data_type (d, which), memory,
                         file, H5P_DEFAULT, out);
  char why[256], path[48];
  if (done < 0)
    store_h5_why (why);
  H5Sclose (memory);
  H5Sclose (file);
  data_path (d, which, path);
  if (done < 0 && n == d->split[which].n)
    return fail (E_DATA, "%s: %s: not read: %s", d->path, path, why);
  if (done < 0)
    return fail (E_DATA, "%s: %s[%lld..%lld]: not read: %s", d->path, path,
                 (long long)first, (long long)(first + n - 1), why);
  return OK;
}

enum status
data_raw (const struct data_set *d, enum data_split which, int64_t first,
          int64_t n, unsigned char *out)
{
  const struct data_samples *split = &d->split[which];
  CHECK (first >= 0 && n >= 0 && first + n <= split->n,
         "samples %lld..%lld of %lld", (long long)first,
         (long long)(first + n - 1), (long long)split->n);
  if (split->entries)
    return data_jpeg_raw (d, which, first, n, out);
  size_t bytes = (size_t)n * d->sample_bytes;
  size_t skip = (size_t)first * d->sample_bytes;
  if (split->pixels) {
    memcpy (out, split->pixels + skip, bytes);
    return OK;
  }
  if (split->offset >= 0 && split->blocks)
    return read_blocks (d, which, skip, bytes, out);
  if (split->offset >= 0)
    return read_plain (d, which, split->offset + (int64_t)skip, bytes, out);
  store_h5_enter ();
  enum status s = read_h5 (d, which, first, n, out);
  store_h5_leave ();
  return s;
}

bool
data_fits (const struct data_set *d, enum data_split which)
{
  const struct data_samples *split = &d->split[which];
  if (split->entries)
    return split->entries->bytes <= d->memory_bytes;
  bool plain = split->offset >= 0;
  return split->n > 0 &&
         (!plain || split->n * (int64_t)d->sample_bytes <= d->memory_bytes);
}

enum status
data_load (struct data_set *d, enum data_split which)
{
  struct data_samples *split = &d->split[which];
  if (split->n == 0)
    return fail (E_DATA, "%s: there is no /%s", d->path,
                 data_split_name (which));
  if (split->pixels || !data_fits (d, which))
    return OK;
  if (split->entries)
    return data_entries_load (split->entries);
  unsigned char *all = NULL;
  TRY (mem_new ((size_t)split->n, d->sample_bytes,
                d->tokens ? "tokens" : "images", (void **)&all));
  enum status s = data_raw (d, which, 0, split->n, all);
  if (s == OK)
    split->pixels = all;
  else
    mem_free (&all);
  return s;
}

/* -- from bytes to floats -------------------------------------------------- */

void
data_normalise (const struct data_set *d, const unsigned char *raw, float *x)
{
  if (d->floats) {
    memcpy (x, raw, d->sample_bytes);
    return;
  }
  int64_t plane = (int64_t)d->info.height * d->info.width;
  for (int c = 0; c < d->info.channels; c++) {
    const float *table = d->table + c * 256;
    for (int64_t i = 0; i < plane; i++)
      x[i] = table[raw[i]];
    x += plane;
    raw += plane;
  }
}

void
data_augment_draw (int augment, uint64_t seed, int64_t epoch, int64_t sample,
                   bool *flip, int *dy, int *dx)
{
  struct random_key key = {.seed = seed,
                           .purpose = RANDOM_AUGMENT,
                           .a = (uint64_t)epoch,
                           .b = (uint64_t)sample};
  uint32_t word[4];
  random_block (&key, 0, word);
  *flip = (augment & (DATA_AUGMENT_FLIP | DATA_AUGMENT_IMAGENET)) &&
          (word[0] >> 31);
  *dy = *dx = 4;
  if (augment & DATA_AUGMENT_CROP4) {
    *dy = (int)(((uint64_t)word[1] * 9) >> 32);
    *dx = (int)(((uint64_t)word[2] * 9) >> 32);
  }
}

/* One row of output from one row of input; columns outside are left alone. */
static void
augment_row (const struct data_set *d, const unsigned char *raw,
             const float *table, bool flip, int dx, float *x)
{
  int width = d->info.width;
  int from = dx < 4 ? 4 - dx : 0;
  int to = dx > 4 ? width + 4 - dx : width;
  for (int i = from; i < to; i++) {
    int at = i + dx - 4;
    if (flip)
      at = width - 1 - at;
    if (table)
      x[i] = table[raw[at]];
    else
      memcpy (&x[i], raw + 4 * (size_t)at, 4);
  }
}

void
data_augment_sample (const struct data_set *d, const unsigned char *raw,
                     bool flip, int dy, int dx, float *x)
{
  if (!flip && dy == 4 && dx == 4) {
    data_normalise (d, raw, x);
    return;
  }
  int height = d->info.height, width = d->info.width;
  size_t row_bytes = (size_t)width * (d->floats ? 4 : 1);
  memset (x, 0, (size_t)d->sample_values * sizeof *x);
  for (int c = 0; c < d->info.channels; c++) {
    const float *table = d->table ? d->table + c * 256 : NULL;
    for (int y = 0; y < height; y++) {
      int at = y + dy - 4;
      if (at < 0 || at >= height)
        continue;
      size_t row = (size_t)c * (size_t)height + (size_t)at;
      augment_row (d, raw + row * row_bytes, table, flip, dx,
                   x + ((int64_t)c * height + y) * width);
    }
  }
}

/* -- evaluation ------------------------------------------------------------ */

/* Of n windows in a row, the tokens from `ahead` behind each one's first; what
 * is past the end is 0, or as a label -1. */
static enum status
read_windows (struct data_set *d, enum data_split which, int64_t first,
              int64_t n, int64_t ahead, int32_t *out)
{
  int64_t T = d->context, all = d->split[which].n;
  int64_t room = (int64_t)((size_t)d->block_samples);
  TRY (data_prove (d, which));
  CHECK (T > 0, "windows before data_windows");
  for (int64_t i = 0; i < n * T;) {
    int64_t at = first * T + i + ahead;
    int64_t some = all - at < n * T - i ? all - at : n * T - i;
    if (some <= 0) {
      out[i++] = ahead ? -1 : 0;
      continue;
    }
    if (some > room)
      some = room;
    TRY (data_tokens_read (d, which, at, some, d->block, out + i));
    i += some;
  }
  return OK;
}

enum status
data_read_labels (struct data_set *d, enum data_split which, int64_t first,
                  int64_t n, int64_t n_samples, int32_t *labels)
{
  const int32_t *all = data_labels (d, which);
  int64_t T = d->tokens ? d->context : 1;
  if (d->tokens)
    TRY (read_windows (d, which, first, n, 1, labels));
  for (int64_t i = 0; i < n * T; i++)
    if (first + i / T >= n_samples)
      labels[i] = -1;
    else if (!d->tokens)
      labels[i] = all[first + i];
  return OK;
}

enum status
data_read (struct data_set *d, enum data_split which, int64_t first, int64_t n,
           float *x)
{
  const struct data_samples *split = &d->split[which];
  if (split->n == 0)
    return fail (E_DATA, "%s: there is no /%s", d->path,
                 data_split_name (which));
  if (d->tokens)
    return read_windows (d, which, first, n, 0, (int32_t *)x);
  CHECK (first >= 0 && n >= 0, "samples %lld, %lld", (long long)first,
         (long long)n);
  TRY (data_prove (d, which));
  if (d->info.jpeg && !d->viewer)
    TRY (data_viewer_of (d, &d->viewer));
  int64_t last = split->n - 1;
  for (int64_t i = 0; i < n;) {
    int64_t from = first + i < last ? first + i : last;
    int64_t count = split->n - from < n - i ? split->n - from : n - i;
    if (count > d->block_samples)
      count = d->block_samples;
    TRY (data_raw (d, which, from, count, d->block));
    for (int64_t j = 0; j < count; j++)
      data_normalise (d, d->block + (size_t)j * d->sample_bytes,
                      x + (i + j) * d->sample_values);
    i += count;
  }
  return OK;
}

/* data/read.c -- samples that lie in the file as an array.
 *
 * A sample comes from memory; or from the plain file by pread, which any thread
 * may do; or through HDF5, for chunked or converted samples, which only the
 * main thread calls.
 */
#include "data/data_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

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
  hid_t file = H5Dget_space (d->split[which].set);
  hid_t memory = H5Screate_simple (d->kind->n_dims, count, NULL);
  H5Sselect_hyperslab (file, H5S_SELECT_SET, start, NULL, count, NULL);
  herr_t done = H5Dread (d->split[which].set, d->kind->memory (d, which),
                         memory, file, H5P_DEFAULT, out);
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
  size_t bytes = (size_t)n * d->sample_bytes;
  size_t skip = (size_t)first * d->sample_bytes;
  if (split->all) {
    memcpy (out, split->all + skip, bytes);
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

static double
bytes (const struct data_set *d, enum data_split which)
{
  return (double)d->split[which].n * (double)d->sample_bytes;
}

static bool
fits (const struct data_set *d, enum data_split which)
{
  return d->split[which].offset < 0 ||
         bytes (d, which) <= (double)d->memory_bytes;
}

static bool
inside (const struct data_set *d, enum data_split which)
{
  return d->split[which].all || d->split[which].offset < 0;
}

static enum status
load (struct data_set *d, enum data_split which)
{
  struct data_samples *split = &d->split[which];
  unsigned char *all = NULL;
  if (split->all)
    return OK;
  TRY (
      mem_new ((size_t)split->n, d->sample_bytes, d->kind->set, (void **)&all));
  enum status s = data_raw (d, which, 0, split->n, all);
  if (s == OK)
    split->all = all;
  else
    mem_free (&all);
  return s;
}

static enum status
walk (const struct data_set *d, enum data_split which,
      const struct data_sink *sink)
{
  const struct data_samples *split = &d->split[which];
  size_t sample = d->sample_bytes;
  int64_t some = (int64_t)(TOKENS_BLOCK_BYTES / sample);
  unsigned char *room = NULL;
  char path[48];
  some = some < 1 ? 1 : some;
  data_path (d, which, path);
  if (!split->all)
    TRY (mem_new ((size_t)some, sample, "samples", (void **)&room));
  enum status s = OK;
  for (int64_t at = 0; s == OK && at < split->n; at += some) {
    int64_t n = split->n - at < some ? split->n - at : some;
    if (!split->all)
      s = data_raw (d, which, at, n, room);
    if (s == OK)
      s = sink->take (sink->context,
                      split->all ? split->all + (size_t)at * sample : room,
                      (size_t)n * sample);
    if (!split->all)
      log_progress ("%s: %s: comparing digests: %s of %s", d->path, path,
                    text_count (at + n), text_count (split->n));
  }
  if (!split->all)
    log_live_done ();
  mem_free (&room);
  return s;
}

const struct data_storage data_array = {
    .together = true,
    .block = DATA_BLOCK_BYTES,
    .unit = "block",
    .bytes = bytes,
    .fits = fits,
    .inside = inside,
    .load = load,
    .walk = walk,
};

enum status
data_load (struct data_set *d, enum data_split which)
{
  if (d->split[which].n == 0)
    return fail (E_DATA, "%s: there is no /%s", d->path,
                 data_split_name (which));
  return d->kind->storage->fits (d, which) ? d->kind->storage->load (d, which)
                                           : OK;
}

enum status
data_read (struct data_set *d, enum data_split which, int64_t first, int64_t n,
           void *x)
{
  if (d->split[which].n == 0)
    return fail (E_DATA, "%s: there is no /%s", d->path,
                 data_split_name (which));
  return d->kind->read (d, which, first, n, x);
}

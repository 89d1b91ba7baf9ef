/* data/place.c -- where the samples of a split lie in a file, and how it is
 * called there.
 */
#include "data/data_impl.h"

#include "base/memory.h"
#include "store/file.h"
#include <stdio.h>

#define BLOCK_BYTES ((size_t)1 << 20)

const char *
data_split_name (enum data_split s)
{
  static const char *const names[DATA_SPLITS] = {"train", "valid", "test"};
  CHECK (s >= 0 && s < DATA_SPLITS, "split %d", (int)s);
  return names[s];
}

void
data_path (const struct data_set *d, enum data_split which, char out[48])
{
  snprintf (out, 48, "/%s/%s", data_split_name (which), d->kind->set);
}

enum status
data_locate (struct data_set *d, const struct store_h5_at *at,
             enum data_split which)
{
  struct data_samples *split = &d->split[which];
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
                 d->path, at->path, d->kind->what,
                 (unsigned long long)(offset + bytes), (long long)size);
  hid_t found = H5Dget_type (at->id);
  bool same = H5Tequal (found, d->kind->memory (d, which)) > 0;
  H5Tclose (found);
  if (same && bytes == wanted)
    split->offset = (int64_t)offset;
  return OK;
}

enum status
data_block_open (struct data_set *d, const char *what)
{
  d->block_samples = (int64_t)(BLOCK_BYTES / d->sample_bytes);
  if (d->block_samples < 1)
    d->block_samples = 1;
  return mem_new ((size_t)d->block_samples, d->sample_bytes, what,
                  (void **)&d->block);
}

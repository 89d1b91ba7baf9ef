/* data/proof.c -- compares what is loaded of a data set with its digests.
 *
 * A split in memory is compared as a whole, once per run.  Of one that stays in
 * the file, imports leave digests of blocks: each block is compared when it is
 * first touched, a JPEG image whenever it is read.  A large split without such
 * digests is read once from end to end.  A data set without any digest is
 * taken, and the log says so once.
 */
#include "data/format.h"
#include "data/jpeg_impl.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include <stdio.h>
#include <string.h>

/* -- digests of the whole -------------------------------------------------- */

/* A piece of a split's values, in order. */
struct whole {
  bool chained; /* tokens: each block with the digest before it as a seed */
  uint64_t chain;
  struct hash_stream *stream;
};

static void
whole_digest (const struct whole *w, char out[33])
{
  if (w->chained)
    snprintf (out, 33, "%016llx", (unsigned long long)w->chain);
  else
    hash_stream_digest (w->stream, out);
}

static void
whole_add (struct whole *w, const void *data, size_t n)
{
  if (w->chained)
    w->chain = hash_bytes (data, n, w->chain);
  else
    hash_stream_add (w->stream, data, n);
}

static enum status
read_values (const struct data_set *d, enum data_split which, struct whole *w)
{
  const struct data_samples *split = &d->split[which];
  size_t sample = d->sample_bytes;
  int64_t some = (int64_t)(TOKENS_BLOCK_BYTES / sample);
  unsigned char *room = NULL;
  char path[48];
  some = some < 1 ? 1 : some;
  data_path (d, which, path);
  if (!split->pixels)
    TRY (mem_new ((size_t)some, sample, "samples", (void **)&room));
  enum status s = OK;
  for (int64_t at = 0; s == OK && at < split->n; at += some) {
    int64_t n = split->n - at < some ? split->n - at : some;
    if (!split->pixels)
      s = data_raw (d, which, at, n, room);
    if (s == OK)
      whole_add (w, split->pixels ? split->pixels + (size_t)at * sample : room,
                 (size_t)n * sample);
    if (!split->pixels)
      log_progress ("%s: %s: comparing digests: %s of %s", d->path, path,
                    text_count (at + n), text_count (split->n));
  }
  if (!split->pixels)
    log_live_done ();
  mem_free (&room);
  return s;
}

static enum status
read_entries (const struct data_entries *e, struct whole *w)
{
  unsigned char *room = NULL;
  TRY (mem_new (data_entries_room (e), 1, "an image's bytes", (void **)&room));
  enum status s = OK;
  for (int64_t i = 0; s == OK && i < e->n; i++) {
    const unsigned char *bytes;
    size_t n;
    s = data_entries_get (e, i, room, &bytes, &n);
    if (s == OK)
      whole_add (w, bytes, n);
  }
  mem_free (&room);
  return s;
}

static enum status
compare_whole (const struct data_set *d, enum data_split which,
               const struct store_h5_at *at)
{
  const struct data_samples *split = &d->split[which];
  struct whole w = {.chained = d->tokens, .chain = TOKENS_DIGEST_SEED};
  char digest[33];
  TRY (hash_stream_open (&w.stream));
  enum status s = split->entries ? read_entries (split->entries, &w)
                                 : read_values (d, which, &w);
  whole_digest (&w, digest);
  hash_stream_close (&w.stream);
  return s == OK ? data_compare (at, digest, NULL) : s;
}

/* -- digests of blocks ----------------------------------------------------- */

static int64_t
count_blocks (const struct data_set *d, enum data_split which)
{
  const struct data_samples *split = &d->split[which];
  if (split->entries)
    return split->n;
  size_t bytes = (size_t)split->n * d->sample_bytes;
  return (int64_t)((bytes + DATA_BLOCK_BYTES - 1) / DATA_BLOCK_BYTES);
}

static enum status
check_blocks (const struct data_set *d, enum data_split which,
              const struct store_h5_at *at)
{
  int n = 0;
  int64_t dims[STORE_H5_DIMS], bytes = 0;
  hid_t type = H5Dget_type (at->id);
  bool good = H5Tequal (type, H5T_STD_U64LE) > 0;
  H5Tclose (type);
  TRY (store_h5_shape (at, &n, dims));
  if (!d->split[which].entries)
    TRY (store_h5_get_int (at, "bytes", &bytes));
  if (!good || n != 1 || dims[0] != count_blocks (d, which) ||
      (!d->split[which].entries && bytes != DATA_BLOCK_BYTES))
    return fail (E_DATA, "%s: %s: not the digests of the split's blocks",
                 at->file, at->path);
  return store_h5_written (at);
}

/* The digests of a split that stays in the file; *found false: it has none. */
static enum status
read_blocks (struct data_set *d, enum data_split which, bool *found)
{
  struct data_samples *split = &d->split[which];
  char path[64], digest[33], why[256];
  size_t n = (size_t)count_blocks (d, which);
  snprintf (path, sizeof path, "/%s/" DATA_BLOCKS, data_split_name (which));
  *found = store_h5_has (d->file, path);
  if (!*found || split->blocks)
    return OK;
  struct store_h5_at at = {-1, d->path, path, E_DATA};
  TRY (store_h5_set_open (d->file, false, &at));
  enum status s = check_blocks (d, which, &at);
  if (s == OK)
    s = MEM_NEW (n, &split->blocks, "digests of blocks");
  if (s == OK)
    s = MEM_NEW (n, &split->seen, "blocks seen");
  if (s == OK && H5Dread (at.id, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL,
                          H5P_DEFAULT, split->blocks) < 0)
    s = fail (E_DATA, "%s: %s: not read: %s", d->path, path,
              store_h5_why (why));
  if (s == OK) {
    hash_digest (split->blocks, n * sizeof *split->blocks, digest);
    s = data_compare (&at, digest, NULL);
  }
  if (s == OK && split->entries)
    split->entries->digests = split->blocks;
  H5Dclose (at.id);
  return s;
}

enum status
data_blocks_check (struct data_set *d, enum data_split which)
{
  bool found;
  return read_blocks (d, which, &found);
}

enum status
data_block_compare (const struct data_set *d, enum data_split which, int64_t k,
                    const void *data, size_t n)
{
  const struct data_samples *split = &d->split[which];
  char path[48];
  if (hash_bytes (data, n, (uint64_t)k) == split->blocks[k])
    return OK;
  data_path (d, which, path);
  return fail (E_DATA,
               "%s: %s: damaged: %s %lld is not what was written (its digest "
               "differs)",
               d->path, path, split->entries ? "image" : "block", (long long)k);
}

/* -- at least once --------------------------------------------------------- */

/* The digest of a split of photographs does not fit: names the damaged image,
 * if images have digests of their own.  Fails in any case. */
static enum status
name_image (struct data_set *d, enum data_split which)
{
  const struct data_entries *e = d->split[which].entries;
  unsigned char *room = NULL;
  char why[1024];
  bool found = false;
  snprintf (why, sizeof why, "%s", fail_message ());
  fail_clear ();
  enum status s = read_blocks (d, which, &found);
  if (s == OK)
    s = mem_new (data_entries_room (e), 1, "an image's bytes", (void **)&room);
  for (int64_t i = 0; s == OK && found && i < e->n; i++) {
    const unsigned char *bytes;
    size_t n;
    s = data_entries_get (e, i, room, &bytes, &n);
    if (s == OK)
      s = data_block_compare (d, which, i, bytes, n);
  }
  mem_free (&room);
  return s != OK ? s : fail (E_DATA, "%s", why);
}

static enum status
prove (struct data_set *d, enum data_split which)
{
  struct data_samples *split = &d->split[which];
  char path[48];
  bool found = false, inside = split->entries
                                   ? split->entries->all != NULL
                                   : split->pixels || split->offset < 0;
  data_path (d, which, path);
  struct store_h5_at at = {split->images, d->path, path, E_DATA};
  if (!inside)
    TRY (read_blocks (d, which, &found));
  if (found)
    return OK;
  if (store_h5_has_attribute (split->images, "digest")) {
    enum status s = compare_whole (d, which, &at);
    return s != OK && split->entries ? name_image (d, which) : s;
  }
  if (!d->told)
    say (LOG_INFO, "%s: has no digests: damage in it would not be noticed",
         d->path);
  d->told = true;
  return OK;
}

enum status
data_prove (struct data_set *d, enum data_split which)
{
  struct data_samples *split = &d->split[which];
  if (split->proven || split->n == 0)
    return OK;
  store_h5_enter ();
  enum status s = prove (d, which);
  store_h5_leave ();
  split->proven = s == OK;
  return s;
}

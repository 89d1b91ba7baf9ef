/* data/proof.c -- compares what is loaded of a data set with its digests.
 *
 * A split in memory is compared as a whole, once per run.  Of one that stays in
 * the file, imports leave digests of blocks: each block is compared when it is
 * first touched, a JPEG image whenever it is read.  A large split without such
 * digests is read once from end to end.  A data set without any digest is
 * taken, and the log says so once.
 */
#include "data/data_impl.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include <stdio.h>
#include <string.h>

/* Compare a digest kept with the dataset, when there is one. */
enum status
data_compare (const struct store_h5_at *at, const char *digest,
              struct text *out)
{
  if (!store_h5_has_attribute (at->id, "digest")) {
    if (out)
      text_add (out, "  %-14s %s (none kept to compare with)\n", at->path,
                digest);
    return OK;
  }
  char *kept = NULL;
  TRY (store_h5_get_text (at, "digest", &kept));
  enum status s = OK;
  if (strcmp (kept, digest) != 0)
    s = fail (E_DATA, "%s: %s: damaged: digest %s, the file's own says %s",
              at->file, at->path, digest, kept);
  else if (out)
    text_add (out, "  %-14s %s agrees\n", at->path, digest);
  mem_free (&kept);
  return s;
}

/* -- digests of the whole -------------------------------------------------- */

struct whole {
  bool chained; /* tokens: each piece with the digest before it as a seed */
  uint64_t chain;
  struct hash_stream *stream;
  const struct data_sink *also;
};

static enum status
whole_take (void *context, const void *data, size_t n)
{
  struct whole *w = context;
  if (w->also)
    TRY (w->also->take (w->also->context, data, n));
  if (w->chained)
    w->chain = hash_bytes (data, n, w->chain);
  else
    hash_stream_add (w->stream, data, n);
  return OK;
}

enum status
data_whole_compare (const struct data_set *d, enum data_split which,
                    const struct data_sink *also, struct text *out)
{
  char path[48], digest[33];
  data_path (d, which, path);
  struct store_h5_at at = {d->split[which].set, d->path, path, E_DATA};
  struct whole w = {d->kind->chained, TOKENS_DIGEST_SEED, NULL, also};
  TRY (hash_stream_open (&w.stream));
  enum status s =
      d->kind->storage->walk (d, which, &(struct data_sink){whole_take, &w});
  if (w.chained)
    snprintf (digest, sizeof digest, "%016llx", (unsigned long long)w.chain);
  else
    hash_stream_digest (w.stream, digest);
  hash_stream_close (&w.stream);
  return s == OK ? data_compare (&at, digest, out) : s;
}

/* -- digests of blocks ----------------------------------------------------- */

static int64_t
count_blocks (const struct data_set *d, enum data_split which)
{
  const struct data_samples *split = &d->split[which];
  size_t block = d->kind->storage->block;
  if (block == 0)
    return split->n;
  return (int64_t)(((size_t)split->n * d->sample_bytes + block - 1) / block);
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
  if (d->kind->storage->block > 0)
    TRY (store_h5_get_int (at, "bytes", &bytes));
  if (!good || n != 1 || dims[0] != count_blocks (d, which) ||
      bytes != (int64_t)d->kind->storage->block)
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
               d->path, path, d->kind->storage->unit, (long long)k);
}

/* -- at least once --------------------------------------------------------- */

/* The digest of a split does not fit: names the damaged sample, if samples have
 * digests of their own.  Fails in any case. */
static enum status
name_damage (struct data_set *d, enum data_split which)
{
  char why[1024];
  bool found = false;
  snprintf (why, sizeof why, "%s", fail_message ());
  fail_clear ();
  TRY (read_blocks (d, which, &found));
  if (found)
    TRY (d->kind->storage->find (d, which));
  return fail (E_DATA, "%s", why);
}

static enum status
prove (struct data_set *d, enum data_split which)
{
  const struct data_storage *storage = d->kind->storage;
  bool found = false;
  if (!storage->inside (d, which))
    TRY (read_blocks (d, which, &found));
  if (found)
    return OK;
  if (store_h5_has_attribute (d->split[which].set, "digest")) {
    enum status s = data_whole_compare (d, which, NULL, NULL);
    return s != OK && storage->find ? name_damage (d, which) : s;
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

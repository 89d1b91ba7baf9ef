/* data/seal.c -- one digest of what a data set file says of itself: written
 * when the file is made, compared whenever it is opened.
 *
 * It covers the attributes that are read, shapes, types and the digests of the
 * datasets; these cover the values.  A file of others has none and is taken as
 * it is.
 */
#include "data/data_impl.h"

#include "base/hash.h"
#include "base/memory.h"
#include <string.h>

/* One attribute as text, with its name; nothing where it is not there. */
static enum status
add_attribute (const struct store_h5_at *at, const char *name, char kind,
               struct text *out)
{
  char *word = NULL;
  int64_t number = 0;
  double values[64] = {0};
  int n = 0;
  if (!store_h5_has_attribute (at->id, name))
    return OK;
  text_add (out, "%s.%s=", at->path, name);
  if (kind == 'i') {
    TRY (store_h5_get_int (at, name, &number));
    text_add (out, "%lld", (long long)number);
  }
  if (kind == 's') {
    TRY (store_h5_get_text (at, name, &word));
    text_add (out, "%s", word);
    mem_free (&word);
  }
  if (kind == 'l')
    TRY (store_h5_get_texts (at, name, out, &n));
  if (kind == 'd') {
    n = (int)store_h5_count (at, name);
    if (n < 1 || n > 64)
      return fail (at->bad, "%s: %s: attribute \"%s\" has %d values", at->file,
                   at->path, name, n);
    TRY (store_h5_get_doubles (at, name, n, values));
    for (int i = 0; i < n; i++)
      text_add (out, " %a", values[i]);
  }
  text_add (out, "\n");
  return OK;
}

/* kinds: a letter for each name. */
static enum status
add_attributes (const struct store_h5_at *at, const char *kinds,
                const char *const *names, struct text *out)
{
  for (int i = 0; kinds[i]; i++)
    TRY (add_attribute (at, names[i], kinds[i], out));
  return OK;
}

static enum status
add_set (hid_t file, struct store_h5_at at, struct text *out)
{
  static const char *const names[] = {"digest", "pixels", "bytes"};
  int n = 0;
  int64_t dims[STORE_H5_DIMS];
  if (!store_h5_has (file, at.path))
    return OK;
  TRY (store_h5_set_open (file, true, &at));
  enum status s = store_h5_shape (&at, &n, dims);
  hid_t type = H5Dget_type (at.id);
  if (s == OK)
    text_add (out, "%s %s %d %zu\n", at.path, store_h5_shape_text (n, dims),
              (int)H5Tget_class (type), H5Tget_size (type));
  H5Tclose (type);
  if (s == OK)
    s = add_attributes (&at, "sii", names, out);
  H5Dclose (at.id);
  return s;
}

static enum status
add_named (hid_t file, const struct store_h5_at *group, const char *name,
           struct text *out)
{
  char path[64];
  snprintf (path, sizeof path, "%s/%s", group->path, name);
  return add_set (file, (struct store_h5_at){-1, group->file, path, group->bad},
                  out);
}

static enum status
add_split (hid_t file, const struct store_h5_at *root, enum data_split which,
           struct text *out)
{
  static const char *const names[] = {"bytes", "documents"};
  char group[32];
  snprintf (group, sizeof group, "/%s", data_split_name (which));
  if (!store_h5_is_group (file, group))
    return OK;
  hid_t id = H5Gopen2 (file, group, H5P_DEFAULT);
  struct store_h5_at at = {id, root->file, group, root->bad};
  text_add (out, "%s\n", group);
  enum status s = add_attributes (&at, "ii", names, out);
  H5Gclose (id);
  for (int i = 0; s == OK && data_kind (i); i++)
    s = add_named (file, &at, data_kind (i)->set, out);
  if (s == OK)
    s = add_named (file, &at, "labels", out);
  return s == OK ? add_named (file, &at, DATA_BLOCKS, out) : s;
}

/* Those of the kind, the integers or all others. */
static enum status
add_kind (const struct store_h5_at *root, const struct data_kind *kind,
          bool integers, struct text *out)
{
  for (const struct data_attribute *a = kind->attributes; a->name; a++)
    if ((a->type == 'i') == integers)
      TRY (add_attribute (root, a->name, a->type, out));
  return OK;
}

static enum status
digest_of (const struct store_h5_at *root, const struct data_kind *kind,
           char digest[33])
{
  static const char *const names[] = {"interlock_format", "kind", "name",
                                      "origin"};
  struct text all;
  text_init (&all);
  enum status s = add_attributes (root, "ssss", names, &all);
  if (s == OK)
    s = add_kind (root, kind, false, &all);
  if (s == OK)
    s = add_attribute (root, "version", 'i', &all);
  if (s == OK)
    s = add_kind (root, kind, true, &all);
  for (int i = 0; s == OK && i < DATA_SPLITS; i++)
    s = add_split (root->id, root, (enum data_split)i, &all);
  if (s == OK && kind->beside)
    s = add_set (root->id,
                 (struct store_h5_at){-1, root->file, kind->beside, root->bad},
                 &all);
  hash_digest (all.data ? all.data : "", all.size, digest);
  text_clear (&all);
  return s;
}

enum status
data_seal_check (const struct data_set *d)
{
  struct store_h5_at root = {d->file, d->path, "/", E_DATA};
  char digest[33], *kept = NULL;
  if (!store_h5_has_attribute (d->file, "digest"))
    return OK;
  TRY (store_h5_get_text (&root, "digest", &kept));
  enum status s = digest_of (&root, d->kind, digest);
  if (s == OK && strcmp (kept, digest) != 0)
    s = fail (E_DATA,
              "%s: damaged: an attribute, a shape or the list of datasets is "
              "not what was written (digest %s, the file's own says %s); after "
              "a change on purpose take the attribute \"digest\" of / away",
              d->path, digest, kept);
  mem_free (&kept);
  return s;
}

/* -- blocks ---------------------------------------------------------------- */

enum status
data_blocks_write (hid_t file, const char *part, const char *path,
                   const uint64_t *digests, int64_t n, int64_t block_bytes)
{
  struct store_h5_at at = {-1, part, path, E_IO};
  hsize_t dims = (hsize_t)n;
  char digest[33], why[256];
  hid_t plist = store_h5_data_create (), space = H5Screate_simple (1, &dims, 0);
  at.id = H5Dcreate2 (file, path, H5T_STD_U64LE, space, H5P_DEFAULT, plist,
                      H5P_DEFAULT);
  enum status s = OK;
  if (at.id < 0 || H5Dwrite (at.id, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL,
                             H5P_DEFAULT, digests) < 0)
    s = fail (E_IO, "%s: %s: not written: %s", part, path, store_h5_why (why));
  hash_digest (digests, (size_t)n * sizeof *digests, digest);
  if (s == OK)
    s = store_h5_put_text (&at, "digest", digest);
  if (s == OK && block_bytes > 0)
    s = store_h5_put_int (&at, "bytes", block_bytes);
  if (at.id >= 0 && H5Dclose (at.id) < 0 && s == OK)
    s = fail (E_IO, "%s: %s: not written: %s", part, path, store_h5_why (why));
  H5Sclose (space);
  H5Pclose (plist);
  return s;
}

/* Some elements of a row of bytes; a set of images as one row. */
static enum status
block_digests (const struct store_h5_at *at, hid_t type, int n_dims,
               const int64_t *dims, uint64_t *digests)
{
  /* Whole samples at a time, cut into blocks as they come. */
  size_t sample = H5Tget_size (type);
  for (int i = 1; i < n_dims; i++)
    sample *= (size_t)dims[i];
  int64_t some = (int64_t)(((size_t)4 << 20) / sample);
  some = some < 1 ? 1 : some;
  unsigned char *room = NULL;
  size_t have = 0, k = 0;
  TRY (mem_new ((size_t)some * sample + DATA_BLOCK_BYTES, 1, "samples",
                (void **)&room));
  hid_t space = H5Dget_space (at->id);
  enum status s = OK;
  for (int64_t first = 0; s == OK && first < dims[0]; first += some) {
    hsize_t start[STORE_H5_DIMS] = {(hsize_t)first}, count[STORE_H5_DIMS];
    for (int i = 0; i < n_dims; i++)
      count[i] = (hsize_t)dims[i];
    count[0] = (hsize_t)(dims[0] - first < some ? dims[0] - first : some);
    hid_t memory = H5Screate_simple (n_dims, count, NULL);
    H5Sselect_hyperslab (space, H5S_SELECT_SET, start, NULL, count, NULL);
    if (H5Dread (at->id, type, memory, space, H5P_DEFAULT, room + have) < 0)
      s = fail (E_IO, "%s: %s: not read back", at->file, at->path);
    H5Sclose (memory);
    have += (size_t)count[0] * sample;
    size_t used = 0;
    bool last = first + some >= dims[0];
    while (have - used >= DATA_BLOCK_BYTES || (last && have > used)) {
      size_t n =
          have - used < DATA_BLOCK_BYTES ? have - used : DATA_BLOCK_BYTES;
      digests[k] = hash_bytes (room + used, n, k);
      used += n;
      k++;
    }
    memmove (room, room + used, have - used);
    have -= used;
  }
  H5Sclose (space);
  mem_free (&room);
  return s;
}

/* Digests of the blocks of one dataset of samples, where it is there. */
static enum status
put_blocks (hid_t file, const char *part, enum data_split which,
            const char *name)
{
  char path[64], blocks[64];
  int n_dims = 0;
  int64_t dims[STORE_H5_DIMS];
  snprintf (path, sizeof path, "/%s/%s", data_split_name (which), name);
  snprintf (blocks, sizeof blocks, "/%s/" DATA_BLOCKS, data_split_name (which));
  if (!store_h5_has (file, path) || store_h5_has (file, blocks))
    return OK;
  struct store_h5_at at = {-1, part, path, E_IO};
  TRY (store_h5_set_open (file, false, &at));
  hid_t type = H5Dget_type (at.id);
  uint64_t *digests = NULL;
  enum status s = store_h5_shape (&at, &n_dims, dims);
  size_t bytes = H5Tget_size (type);
  for (int i = 0; s == OK && i < n_dims; i++)
    bytes *= (size_t)dims[i];
  size_t n = (bytes + DATA_BLOCK_BYTES - 1) / DATA_BLOCK_BYTES;
  if (s == OK)
    s = MEM_NEW (n, &digests, "digests");
  if (s == OK)
    s = block_digests (&at, type, n_dims, dims, digests);
  H5Tclose (type);
  H5Dclose (at.id);
  if (s == OK)
    s = data_blocks_write (file, part, blocks, digests, (int64_t)n,
                           DATA_BLOCK_BYTES);
  mem_free (&digests);
  return s;
}

enum status
data_seal_write (hid_t file, const char *part)
{
  struct store_h5_at root = {file, part, "/", E_IO};
  char digest[33], *word = NULL;
  for (int i = 0; i < DATA_SPLITS; i++)
    for (int k = 0; data_kind (k); k++)
      if (data_kind (k)->storage->block > 0)
        TRY (put_blocks (file, part, (enum data_split)i, data_kind (k)->set));
  TRY (store_h5_get_text (&root, "kind", &word));
  const struct data_kind *kind = data_kind_of (file, word, DATA_TRAIN);
  mem_free (&word);
  CHECK (kind, "%s: a data set of no kind", part);
  TRY (digest_of (&root, kind, digest));
  return store_h5_put_text (&root, "digest", digest);
}

/* import/corpus.c -- the data set file of tokens, made in constant memory.
 *
 * Tokens are appended to one plain file per split (OUTPUT.part.SPLIT); when
 * their number is known they are copied, block by block, to contiguous datasets
 * of OUTPUT.part, which is synced and renamed.
 */
#include "import/corpus_impl.h"
#include "import/import_impl.h"

#include "base/fault.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/format.h"
#include "store/file.h"
#include "store/raw.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* -- spools ---------------------------------------------------------------- */

static void
spool_path (const struct import_corpus *c, int split, struct text *out)
{
  text_add (out, "%s.%s", c->to.part, data_split_name ((enum data_split)split));
}

static enum status
spool_open (struct import_corpus *c, int split)
{
  struct text path;
  text_init (&path);
  spool_path (c, split, &path);
  FILE *f = fopen (path.data, "w+b");
  enum status s = OK;
  if (!f)
    s = fail (E_IO, "%s: not created: %s", path.data, strerror (errno));
  else
    setvbuf (f, NULL, _IOFBF, 1 << 18);
  c->split[split].spool = f;
  text_clear (&path);
  return s;
}

enum status
import_corpus_open (const char *output, int64_t vocab, struct import_corpus *c)
{
  c->output = output;
  c->vocab = vocab;
  c->width = vocab <= 65536 ? 2 : 4;
  enum status s = store_output_open (output, &c->to);
  if (s == OK)
    s = store_output_parents (&c->to);
  if (s == OK)
    import_interrupt_guard (c->to.part);
  for (int i = 0; s == OK && i < DATA_SPLITS; i++)
    s = spool_open (c, i);
  return s;
}

void
import_corpus_close (struct import_corpus *c)
{
  for (int i = 0; c->to.part && i < DATA_SPLITS; i++) {
    struct text path;
    text_init (&path);
    spool_path (c, i, &path);
    if (c->split[i].spool) {
      fclose (c->split[i].spool);
      unlink (path.data);
    }
    c->split[i].spool = NULL;
    text_clear (&path);
  }
  import_interrupt_guard (NULL);
  store_output_clear (&c->to);
  mem_free (&c->model);
}

static enum status
spool_failed (const struct import_corpus *c, int split)
{
  return fail (E_IO, "%s.%s: not written: %s", c->to.part,
               data_split_name ((enum data_split)split), strerror (errno));
}

enum status
import_corpus_put (struct import_corpus *c, enum data_split split,
                   const uint32_t *ids, size_t n)
{
  enum { BLOCK = 4096 };
  uint16_t narrow[BLOCK];
  FILE *f = c->split[split].spool;
  c->split[split].n += (int64_t)n;
  if (c->width == 4)
    return fwrite (ids, 4, n, f) == n ? OK : spool_failed (c, split);
  while (n > 0) {
    size_t some = n < BLOCK ? n : BLOCK;
    for (size_t i = 0; i < some; i++)
      narrow[i] = (uint16_t)ids[i];
    if (fwrite (narrow, 2, some, f) != some)
      return spool_failed (c, split);
    ids += some;
    n -= some;
  }
  return OK;
}

/* -- the file -------------------------------------------------------------- */

static enum status
not_written (const struct import_corpus *c, const char *what)
{
  char why[256];
  store_h5_why (why);
  return fail (E_IO, "%s: %s: not written: %s", c->to.part, what, why);
}

/* n tokens of a spool, from `first` on, to the dataset. */
static enum status
copy_tokens (const struct import_corpus *c, int from, int64_t first, int64_t n,
             hid_t id, const char *path, uint64_t *digest)
{
  FILE *f = c->split[from].spool;
  size_t block = TOKENS_BLOCK_BYTES / (size_t)c->width;
  unsigned char *data = NULL;
  hid_t type = c->width == 2 ? H5T_NATIVE_UINT16 : H5T_NATIVE_UINT32;
  if (fflush (f) != 0 || fseeko (f, first * c->width, SEEK_SET) != 0)
    return spool_failed (c, from);
  TRY (mem_new (TOKENS_BLOCK_BYTES, 1, "tokens", (void **)&data));
  hid_t file = H5Dget_space (id);
  enum status s = OK;
  for (int64_t at = 0; s == OK && at < n;) {
    size_t some = (int64_t)block < n - at ? block : (size_t)(n - at);
    hsize_t start = (hsize_t)at, count = some;
    if (fread (data, (size_t)c->width, some, f) != some)
      s = fail (E_IO, "%s.%s: not read back", c->to.part,
                data_split_name ((enum data_split)from));
    *digest = hash_bytes (data, some * (size_t)c->width, *digest);
    H5Sselect_hyperslab (file, H5S_SELECT_SET, &start, NULL, &count, NULL);
    hid_t memory = H5Screate_simple (1, &count, NULL);
    if (s == OK && H5Dwrite (id, type, memory, file, H5P_DEFAULT, data) < 0)
      s = not_written (c, path);
    H5Sclose (memory);
    at += (int64_t)some;
    log_progress ("writing %s%s: %s of %s tokens", c->output, path,
                  text_count (at), text_count (n));
  }
  H5Sclose (file);
  mem_free (&data);
  return s;
}

static enum status
put_split (const struct import_corpus *c, hid_t group, const char *path,
           int split)
{
  const struct import_corpus_split *p = &c->split[split];
  struct store_h5_at at = {group, c->to.part, path, E_IO};
  if (p->bytes > 0)
    TRY (store_h5_put_int (&at, "bytes", p->bytes));
  return p->documents > 0 ? store_h5_put_int (&at, "documents", p->documents)
                          : OK;
}

static enum status
write_split (const struct import_corpus *c, hid_t file, int split, int from,
             int64_t first, int64_t n)
{
  char group[32], path[48], words[33];
  if (n == 0)
    return OK;
  snprintf (group, sizeof group, "/%s",
            data_split_name ((enum data_split)split));
  snprintf (path, sizeof path, "%s/tokens", group);
  hid_t plist = store_h5_object_create ();
  hid_t g = H5Gcreate2 (file, group, H5P_DEFAULT, plist, H5P_DEFAULT);
  H5Pclose (plist);
  if (g < 0)
    return not_written (c, group);
  enum status s = put_split (c, g, group, split);
  if (H5Gclose (g) < 0 && s == OK)
    s = not_written (c, group);
  TRY (s);
  plist = store_h5_data_create ();
  hsize_t dims = (hsize_t)n;
  hid_t space = H5Screate_simple (1, &dims, NULL);
  hid_t id =
      H5Dcreate2 (file, path, c->width == 2 ? H5T_STD_U16LE : H5T_STD_U32LE,
                  space, H5P_DEFAULT, plist, H5P_DEFAULT);
  H5Sclose (space);
  H5Pclose (plist);
  if (id < 0)
    return not_written (c, path);
  uint64_t digest = TOKENS_DIGEST_SEED;
  s = copy_tokens (c, from, first, n, id, path, &digest);
  snprintf (words, sizeof words, "%016llx", (unsigned long long)digest);
  struct store_h5_at at = {id, c->to.part, path, E_IO};
  if (s == OK)
    s = store_h5_put_text (&at, "digest", words);
  if (H5Dclose (id) < 0 && s == OK)
    s = not_written (c, path);
  return s;
}

/* The tokenizer's model, as its own program reads it. */
static enum status
write_model (const struct import_corpus *c, hid_t file)
{
  hsize_t dims = c->model_bytes;
  if (!c->model)
    return OK;
  hid_t plist = store_h5_data_create ();
  hid_t space = H5Screate_simple (1, &dims, NULL);
  hid_t id = H5Dcreate2 (file, TOKENS_MODEL, H5T_STD_U8LE, space, H5P_DEFAULT,
                         plist, H5P_DEFAULT);
  H5Sclose (space);
  H5Pclose (plist);
  enum status s = OK;
  if (id < 0 || H5Dwrite (id, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                          c->model) < 0)
    s = not_written (c, TOKENS_MODEL);
  struct store_h5_at at = {id, c->to.part, TOKENS_MODEL, E_IO};
  char digest[33];
  hash_digest (c->model, c->model_bytes, digest);
  if (s == OK)
    s = store_h5_put_text (&at, "digest", digest);
  if (id >= 0 && H5Dclose (id) < 0 && s == OK)
    s = not_written (c, TOKENS_MODEL);
  return s;
}

static enum status
put_header (const struct import_corpus *c, hid_t file)
{
  struct store_h5_at root = {file, c->to.part, "/", E_IO};
  TRY (store_h5_put_text (&root, "interlock_format", "dataset"));
  TRY (store_h5_put_int (&root, "version", 1));
  TRY (store_h5_put_text (&root, "kind", "tokens"));
  TRY (store_h5_put_text (&root, "name", c->name));
  TRY (store_h5_put_text (&root, "origin", c->origin.data));
  TRY (store_h5_put_int (&root, "vocab_size", c->vocab));
  TRY (store_h5_put_text (&root, "tokenizer", c->tokenizer));
  return store_h5_put_int (&root, "separator", c->separator);
}

/* hold: how many tokens at the end of train become valid and test, test last.
 * They stay in train's spool, and are copied from there. */
static enum status
write_part (const struct import_corpus *c, const int64_t hold[DATA_SPLITS])
{
  hid_t access = store_h5_file_access ();
  hid_t create = H5Pcreate (H5P_FILE_CREATE);
  H5Pset_obj_track_times (create, false);
  hid_t file = H5Fcreate (c->to.part, H5F_ACC_TRUNC, create, access);
  H5Pclose (create);
  H5Pclose (access);
  if (file < 0)
    return not_written (c, "the file");
  int64_t n = c->split[DATA_TRAIN].n, first = n;
  enum status s = put_header (c, file);
  if (s == OK)
    s = write_model (c, file);
  for (int i = DATA_TEST; s == OK && i > DATA_TRAIN; i--) {
    first -= hold[i];
    if (hold[i] > 0)
      s = write_split (c, file, i, DATA_TRAIN, first, hold[i]);
    else
      s = write_split (c, file, i, i, 0, c->split[i].n);
  }
  if (s == OK)
    s = write_split (c, file, DATA_TRAIN, DATA_TRAIN, 0, first);
  if (s == OK)
    s = data_seal_write (file, c->to.part);
  if (H5Fclose (file) < 0 && s == OK)
    s = not_written (c, "the file");
  return s;
}

enum status
import_corpus_write (struct import_corpus *c, const int64_t hold[DATA_SPLITS])
{
  int64_t bytes = 65536 + (int64_t)c->model_bytes;
  for (int i = 0; i < DATA_SPLITS; i++)
    bytes += c->split[i].n * c->width;
  store_h5_start ();
  enum status s = store_file_reserve (c->to.part, bytes);
  if (s == OK && fault_here ("write"))
    s = fail (E_IO, "%s: writing failed (planted)", c->to.part);
  if (s == OK)
    s = write_part (c, hold);
  if (s == OK)
    s = store_output_publish (&c->to);
  if (s != OK)
    unlink (c->to.part);
  return s;
}

void
import_corpus_say (const struct import_corpus *c)
{
  const struct import_corpus_split *p = c->split;
  log_live_done ();
  say (LOG_INFO,
       "wrote %s: %s, vocabulary %lld, %s train, %s valid, %s test tokens",
       c->output, c->tokenizer, (long long)c->vocab,
       text_count (p[DATA_TRAIN].n), text_count (p[DATA_VALID].n),
       text_count (p[DATA_TEST].n));
}

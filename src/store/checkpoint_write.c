/* store/checkpoint_write.c -- a whole checkpoint under its name, or none.
 *
 * 1. All ranks learn the list of tensors; 2. root reserves room and creates the
 * file with all that is not data, alone; 3. all ranks open it together, 4. each
 * writes what it owns, and it is closed; 5. root syncs it, reads it back,
 * compares and renames it.  Between these the ranks agree, so that nobody
 * enters a collective call alone.
 *
 * Root creates alone because HDF5 spreads dirty metadata over the ranks when a
 * file is closed in parallel: a rank that could not write its part would leave
 * that close early, and the others would wait for it for ever.  In step 4 there
 * is no metadata left to write.  The file is also the same, byte for byte, from
 * any number of ranks.
 */
#include "store/checkpoint_impl.h"
#include "store/file_impl.h"

#include "base/memory.h"
#include "wire/raw.h"
#include <string.h>
#include <unistd.h>

struct writing {
  struct wire *wire;
  const char *path;
  char *part; /* name while writing; owned */
  const struct store_attributes *attributes;
  const struct store_tensor *tensors;
  int n;
  struct store_list list;
  hid_t file; /* -1 when not open */
};

/* -- 1: the list ----------------------------------------------------------- */

static enum status
share_list (struct writing *w)
{
  struct text mine, all;
  char **texts = NULL, *lines = NULL;
  text_init (&mine);
  text_init (&all);
  store_list_write (w->tensors, w->n, &mine);
  enum status s = wire_gather_text (w->wire, mine.data, &texts);
  for (int i = 0; s == OK && texts && i < wire_size (w->wire); i++) {
    text_add (&all, "%s.\n", texts[i]);
    mem_free (&texts[i]);
  }
  mem_free (&texts);
  if (s == OK)
    s = mem_text (all.data, &lines);
  s = wire_agree (w->wire, s);
  if (s == OK) {
    if (wire_rank (w->wire) != 0)
      mem_free (&lines);
    s = wire_broadcast_text (w->wire, &lines, 0);
  }
  if (s == OK)
    s = store_list_parse (lines, &w->list);
  mem_free (&lines);
  text_clear (&all);
  text_clear (&mine);
  return wire_agree (w->wire, s);
}

/* -- 2: the file and its objects, by root ---------------------------------- */

static enum status
not_written (const struct writing *w, const char *what)
{
  char why[256];
  store_h5_why (why);
  return fail (E_IO, "%s: %s: not written: %s", w->part, what, why);
}

static enum status
put_attributes (struct writing *w)
{
  const struct store_attributes *a = w->attributes;
  struct store_h5_at at = {w->file, w->part, "/", E_IO};
  char digest[33];
  TRY (store_h5_put_text (&at, "interlock_format", "checkpoint"));
  TRY (store_h5_put_int (&at, "version", 1));
  TRY (store_h5_put_int (&at, "step", a->step));
  TRY (store_h5_put_int (&at, "epoch", a->epoch));
  TRY (store_h5_put_int (&at, "sample", a->sample));
  TRY (store_h5_put_int (&at, "seed", a->seed));
  TRY (store_h5_put_text (&at, "config", a->config));
  TRY (store_h5_put_text (&at, "tuning", a->tuning));
  TRY (store_h5_put_text (&at, "library", a->library));
  store_list_digest (&w->list, a, digest);
  return store_h5_put_text (&at, "digest", digest);
}

/* Groups on the way to path, those that are not there. */
static enum status
create_groups (struct writing *w, const char *path, hid_t plist)
{
  char part[sizeof w->list.entry->path];
  for (const char *p = strchr (path + 1, '/'); p; p = strchr (p + 1, '/')) {
    snprintf (part, sizeof part, "%.*s", (int)(p - path), path);
    if (H5Lexists (w->file, part, H5P_DEFAULT) > 0)
      continue;
    hid_t id = H5Gcreate2 (w->file, part, H5P_DEFAULT, plist, H5P_DEFAULT);
    if (id < 0 || H5Gclose (id) < 0)
      return not_written (w, part);
  }
  return OK;
}

static enum status
create_set (struct writing *w, const struct store_entry *e, hid_t plist)
{
  hsize_t dims[TENSOR_DIMS];
  for (int k = 0; k < e->n_dims; k++)
    dims[k] = (hsize_t)e->dims[k];
  hid_t space = e->n_dims == 0 ? H5Screate (H5S_SCALAR)
                               : H5Screate_simple (e->n_dims, dims, NULL);
  hid_t id = H5Dcreate2 (w->file, e->path, H5T_IEEE_F32LE, space, H5P_DEFAULT,
                         plist, H5P_DEFAULT);
  enum status s = id < 0 ? not_written (w, e->path) : OK;
  H5Sclose (space);
  struct store_h5_at at = {id, w->part, e->path, E_IO};
  if (s == OK)
    s = store_h5_put_text (&at, "digest", e->digest);
  if (id >= 0 && H5Dclose (id) < 0 && s == OK)
    s = not_written (w, e->path);
  return s;
}

static enum status
create_objects (struct writing *w)
{
  hid_t object = store_h5_object_create ();
  hid_t data = store_h5_data_create ();
  enum status s = put_attributes (w);
  for (int i = 0; s == OK && i < w->list.n; i++) {
    s = create_groups (w, w->list.entry[i].path, object);
    if (s == OK)
      s = create_set (w, &w->list.entry[i], data);
  }
  H5Pclose (object);
  H5Pclose (data);
  return s;
}

static enum status
close_file (struct writing *w)
{
  hid_t file = w->file;
  w->file = -1;
  return file >= 0 && H5Fclose (file) < 0 ? not_written (w, "the file") : OK;
}

static enum status
create_file (struct writing *w)
{
  TRY (store_file_parents (w->path));
  TRY (store_file_reserve (w->part, w->list.bytes + 65536));
  hid_t access = store_h5_file_access ();
  hid_t create = H5Pcreate (H5P_FILE_CREATE);
  H5Pset_obj_track_times (create, false);
  w->file = H5Fcreate (w->part, H5F_ACC_TRUNC, create, access);
  enum status s = w->file < 0 ? not_written (w, "the file") : OK;
  H5Pclose (create);
  H5Pclose (access);
  if (s == OK)
    s = create_objects (w);
  enum status closed = close_file (w);
  return s == OK ? closed : s;
}

/* -- 3: opened by all ------------------------------------------------------ */

static enum status
open_file (struct writing *w)
{
  enum status s = OK;
  hid_t access = store_h5_file_access ();
  if (wire_size (w->wire) > 1 &&
      H5Pset_fapl_mpio (access, wire_raw_world (w->wire), MPI_INFO_NULL) < 0)
    s = not_written (w, "parallel access");
  s = wire_agree (w->wire, s);
  if (s == OK) {
    w->file = H5Fopen (w->part, H5F_ACC_RDWR, access);
    if (w->file < 0)
      s = not_written (w, "the file");
    s = wire_agree (w->wire, s);
  }
  H5Pclose (access);
  return s;
}

/* -- 4: the data ----------------------------------------------------------- */

static const struct store_tensor *
mine (const struct writing *w, const char *path)
{
  for (int i = 0; i < w->n; i++)
    if (strcmp (w->tensors[i].path, path) == 0)
      return &w->tensors[i];
  CHECK (false, "%s is on the list but not here", path);
}

static enum status
write_set (struct writing *w, const struct store_entry *e)
{
  hid_t id = H5Dopen2 (w->file, e->path, H5P_DEFAULT);
  enum status s = OK;
  if (id < 0 || H5Dwrite (id, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                          mine (w, e->path)->data) < 0)
    s = not_written (w, e->path);
  if (id >= 0 && H5Dclose (id) < 0 && s == OK)
    s = not_written (w, e->path);
  return s;
}

static enum status
write_data (struct writing *w)
{
  enum status s = OK;
  if (fault_here ("write"))
    s = fail (E_IO, "%s: writing failed (planted)", w->part);
  for (int i = 0; s == OK && i < w->list.n; i++)
    if (w->list.entry[i].owner == wire_rank (w->wire))
      s = write_set (w, &w->list.entry[i]);
  return wire_agree (w->wire, s);
}

/* -- 5: verify, rename ----------------------------------------------------- */

static enum status
finish (struct writing *w)
{
  enum status s = OK;
  if (wire_rank (w->wire) == 0) {
    int n = 0;
    s = store_file_sync (w->part);
    if (s == OK && store_checkpoint_verify (w->part, &n) != OK) {
      /* What was written does not come back: that is the disk's fault. */
      char words[1024];
      snprintf (words, sizeof words, "%s", fail_message ());
      fail_clear ();
      s = fail (E_IO, "written, but wrong when read back: %s", words);
    }
    if (s == OK && n != w->list.n)
      s = fail (E_IO, "%s: %d tensors read back, %d written", w->part, n,
                w->list.n);
    if (s == OK)
      s = store_file_rename (w->part, w->path);
  }
  return wire_agree (w->wire, s);
}

static enum status
write_parts (struct writing *w)
{
  TRY (share_list (w));
  enum status s = OK;
  if (wire_rank (w->wire) == 0)
    s = create_file (w);
  TRY (wire_agree (w->wire, s));
  TRY (open_file (w));
  return write_data (w);
}

enum status
store_checkpoint_write (struct wire *wire, const char *path,
                        const struct store_attributes *a,
                        const struct store_tensor *tensors, int n)
{
  struct text part;
  text_init (&part);
  text_add (&part, "%s.part", path);
  store_h5_start ();
  struct writing w = {.wire = wire,
                      .path = path,
                      .part = part.data,
                      .attributes = a,
                      .tensors = tensors,
                      .n = n,
                      .file = -1};
  enum status s = write_parts (&w);
  /* All ranks are here with the same s, so closing is collective again. */
  enum status closed = close_file (&w);
  if (s == OK)
    s = wire_agree (wire, closed);
  if (s == OK)
    s = finish (&w);
  if (s != OK && wire_rank (wire) == 0)
    unlink (w.part);
  fail_clear ();
  store_list_clear (&w.list);
  text_clear (&part);
  return s;
}

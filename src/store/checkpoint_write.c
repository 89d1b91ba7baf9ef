/* store/checkpoint_write.c -- a whole checkpoint under its name, or none, while
 * everybody waits.
 *
 * 1. All ranks learn the list of tensors; 2. root reserves room and creates the
 * file with all that is not data, alone, and tells where data belong; 3. each
 * rank writes what it owns, by itself or in transfers of parallel HDF5; 4. root
 * syncs it, reads it back, compares and renames it.  Between these the ranks
 * agree, so that nobody enters a collective call alone.
 *
 * Root creates alone because HDF5 spreads dirty metadata over the ranks when a
 * file is closed in parallel: a rank that could not write its part would leave
 * that close early, and the others would wait for it for ever.  In step 3 there
 * is no metadata left to write.  The file is also the same, byte for byte, from
 * any number of ranks.
 */
#include "store/file.h"
#include "store/run.h"
#include "store/saver_impl.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "wire/raw.h"
#include <string.h>
#include <unistd.h>

struct writing {
  struct wire *wire;
  const char *path;
  char *part; /* name while writing, root's on all ranks; owned */
  const struct store_attributes *attributes;
  const struct store_tensor *tensors;
  int n;
  struct store_spec spec;
  struct store_list list;
  int64_t *offset; /* list.n */
  hid_t file;      /* of collective transfers; -1 when not open */
};

static enum status
not_written (const struct writing *w, const char *what)
{
  char why[256];
  store_h5_why (why);
  return fail (E_IO, "%s: %s: not written: %s", w->part, what, why);
}

/* -- 1, 2: the list, the file ---------------------------------------------- */

static enum status
share_name (struct writing *w)
{
  struct text name;
  text_init (&name);
  store_part_name (w->path, &name);
  enum status s = mem_text (name.data, &w->part);
  text_clear (&name);
  TRY (wire_agree (w->wire, s));
  if (wire_rank (w->wire) != 0)
    mem_free (&w->part);
  return wire_agree (w->wire, wire_broadcast_text (w->wire, &w->part, 0));
}

static enum status
create_file (struct writing *w)
{
  size_t n = (size_t)w->list.n;
  TRY (wire_agree (w->wire, MEM_NEW (n + 1, &w->offset, "places of tensors")));
  enum status s = OK;
  if (wire_rank (w->wire) == 0)
    s = store_checkpoint_create (w->part, &w->list, w->attributes, w->offset);
  TRY (wire_agree (w->wire, s));
  return wire_broadcast (w->wire, w->offset, n * sizeof *w->offset, 0);
}

/* -- 3: the data, each rank by itself ---------------------------------------
 */

static void *
data_of (const struct writing *w, const struct store_entry *e)
{
  for (int i = 0; i < w->n; i++)
    if (strcmp (w->tensors[i].path, e->path) == 0)
      return w->tensors[i].data;
  CHECK (false, "%s is on the list but not here", e->path);
}

static enum status
write_own (struct writing *w)
{
  void **data = NULL;
  enum status s = MEM_NEW ((size_t)w->list.n + 1, &data, "list of tensors");
  for (int i = 0; s == OK && i < w->list.n; i++)
    if (w->list.entry[i].owner == wire_rank (w->wire))
      data[i] = data_of (w, &w->list.entry[i]);
  log_progress ("writing %s", w->part);
  const struct store_own own = {w->part, &w->list, data, w->offset, NULL};
  if (s == OK)
    s = store_own_write (&own);
  mem_free (&data);
  return wire_agree (w->wire, s);
}

/* -- 3: the data, all ranks together ---------------------------------------
 */

static enum status
open_file (struct writing *w)
{
  enum status s = OK;
  hid_t access = store_h5_file_access ();
  if (H5Pset_fapl_mpio (access, wire_raw_world (w->wire), MPI_INFO_NULL) < 0)
    s = not_written (w, "parallel access");
  if (s == OK)
    s = store_file_openable (w->part, true, E_IO);
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

static enum status
close_file (struct writing *w)
{
  hid_t file = w->file;
  w->file = -1;
  return file >= 0 && H5Fclose (file) < 0 ? not_written (w, "the file") : OK;
}

/* Owned here, or of another rank and nothing to give. */
static enum status
write_set (struct writing *w, const struct store_entry *e, hid_t transfer)
{
  bool owned = e->owner == wire_rank (w->wire);
  int64_t nothing = 0;
  hid_t id = H5Dopen2 (w->file, e->path, H5P_DEFAULT);
  hid_t space = id < 0 ? -1 : H5Dget_space (id);
  if (space >= 0 && !owned)
    H5Sselect_none (space);
  enum status s = OK;
  if (space < 0 || H5Dwrite (id, store_h5_type (e->type, false), space, space,
                             transfer, owned ? data_of (w, e) : &nothing) < 0)
    s = not_written (w, e->path);
  if (space >= 0)
    H5Sclose (space);
  if (id >= 0 && H5Dclose (id) < 0 && s == OK)
    s = not_written (w, e->path);
  return s;
}

static enum status
write_sets (struct writing *w)
{
  enum status s = OK;
  hid_t transfer = H5Pcreate (H5P_DATASET_XFER);
  H5Pset_dxpl_mpio (transfer, H5FD_MPIO_COLLECTIVE);
  fault_hang ("hang-write");
  if (fault_here ("write"))
    s = fail (E_IO, "%s: writing failed (planted)", w->part);
  for (int i = 0; i < w->list.n; i++) {
    /* A rank that has failed still takes part: the transfer is collective. */
    log_progress ("writing %s: tensor %d of %d", w->part, i + 1, w->list.n);
    enum status one = write_set (w, &w->list.entry[i], transfer);
    s = s == OK ? one : s;
  }
  H5Pclose (transfer);
  return wire_agree (w->wire, s);
}

static enum status
write_together (struct writing *w)
{
  TRY (open_file (w));
  enum status s = write_sets (w);
  /* All ranks are here with the same s, so closing is collective again. */
  enum status closed = close_file (w);
  return s == OK ? wire_agree (w->wire, closed) : s;
}

/* -- 4: verify, rename ----------------------------------------------------- */

static enum status
verify (struct writing *w)
{
  int n = 0;
  store_file_forget (w->part);
  if (w->list.n > 0 && fault_here ("damage"))
    TRY (store_checkpoint_damage (w->part, w->offset[0]));
  enum status s = store_checkpoint_verify (w->part, &n);
  if (s == E_MEMORY)
    return s; /* that says nothing of the file */
  if (s != OK) {
    /* What was written reads back differently: the disk is at fault (74), not
     * the checkpoint (65). */
    char words[1024];
    snprintf (words, sizeof words, "%s", fail_message ());
    fail_clear ();
    return fail (E_IO, "written, but wrong when read back: %s", words);
  }
  if (n != w->list.n)
    return fail (E_IO, "%s: %d tensors read back, %d written", w->part, n,
                 w->list.n);
  return store_checkpoint_compare (w->part, &w->list, w->attributes, w->offset);
}

/* What the caller wants to know; written since begin_s. */
static void
report (struct writing *w, double begin_s)
{
  struct store_saved *out = w->spec.saved;
  if (!out)
    return;
  memset (out, 0, sizeof *out);
  snprintf (out->path, sizeof out->path, "%s", w->path);
  out->step = w->attributes->step;
  out->bytes = w->list.bytes;
  out->write_s = clock_now_s () - begin_s;
  store_list_digests (&w->list, w->attributes, &out->digests);
}

static enum status
finish (struct writing *w, double begin_s)
{
  enum status s = OK;
  if (wire_rank (w->wire) == 0) {
    s = store_file_sync (w->part);
    report (w, begin_s);
    if (s == OK)
      s = verify (w);
    if (s == OK && w->spec.run)
      s = store_run_mine (w->spec.run);
    if (s == OK)
      s = store_file_rename (w->part, w->path);
    if (w->spec.saved)
      w->spec.saved->total_s = clock_now_s () - begin_s;
  }
  return wire_agree (w->wire, s);
}

static enum status
write_parts (struct writing *w)
{
  TRY (share_name (w));
  TRY (store_list_share (w->wire, w->tensors, w->n, &w->list));
  TRY (create_file (w));
  return w->spec.collective && wire_size (w->wire) > 1 ? write_together (w)
                                                       : write_own (w);
}

enum status
store_checkpoint_write (struct wire *wire, const char *path,
                        const struct store_attributes *a,
                        const struct store_tensor *tensors, int n,
                        const struct store_spec *spec)
{
  store_h5_enter ();
  store_h5_start ();
  struct writing w = {.wire = wire,
                      .path = path,
                      .attributes = a,
                      .tensors = tensors,
                      .n = n,
                      .file = -1};
  double begin = clock_now_s ();
  if (spec)
    w.spec = *spec;
  enum status s = write_parts (&w);
  (void)close_file (&w);
  if (s == OK)
    s = finish (&w, begin);
  if (w.spec.saved)
    w.spec.saved->status = s;
  if (s != OK && w.part && wire_rank (wire) == 0)
    unlink (w.part);
  fail_clear ();
  store_list_clear (&w.list);
  mem_free (&w.offset);
  mem_free (&w.part);
  store_h5_leave ();
  return s;
}

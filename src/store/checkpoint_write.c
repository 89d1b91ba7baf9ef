/* store/checkpoint_write.c -- a whole checkpoint under its name, or none, while
 * everybody waits.
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
#include "store/file_impl.h"
#include "store/saver_impl.h"

#include "base/clock.h"
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
  struct store_how how;
  struct store_list list;
  int64_t *offset; /* list.n, on root */
  hid_t file;      /* -1 when not open */
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
  enum status s = OK;
  if (wire_rank (w->wire) == 0) {
    s = MEM_NEW ((size_t)w->list.n, &w->offset, "places of tensors");
    if (s == OK)
      s = store_checkpoint_create (w->part, &w->list, w->attributes, w->offset);
  }
  return wire_agree (w->wire, s);
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

static enum status
close_file (struct writing *w)
{
  hid_t file = w->file;
  w->file = -1;
  return file >= 0 && H5Fclose (file) < 0 ? not_written (w, "the file") : OK;
}

/* -- 4: the data ----------------------------------------------------------- */

static const float *
data_of (const struct writing *w, const struct store_entry *e)
{
  for (int i = 0; i < w->n; i++)
    if (strcmp (w->tensors[i].path, e->path) == 0)
      return w->tensors[i].data;
  CHECK (false, "%s is on the list but not here", e->path);
}

/* HDF5 1.10 counts the bytes of a transfer that a rank makes for itself in int,
 * so it is made of parts. */
#define PART_BYTES ((int64_t)1 << 28)

/* The dimension in whose direction parts are cut: what lies inside of one step
 * (*inner values) is small. */
static int
part_dimension (const struct store_entry *e, int64_t *inner)
{
  int d = e->n_dims - 1;
  *inner = 1;
  while (d > 0 && *inner * e->dims[d] * 4 <= PART_BYTES)
    *inner *= e->dims[d--];
  return d;
}

/* count from start on: so many values, in a row in memory. */
static herr_t
write_part (hid_t id, hid_t space, hid_t transfer, const hsize_t *start,
            const hsize_t *count, hsize_t values, const float *data)
{
  hid_t memory = H5Screate_simple (1, &values, NULL);
  herr_t done =
      H5Sselect_hyperslab (space, H5S_SELECT_SET, start, NULL, count, NULL);
  if (done >= 0)
    done = H5Dwrite (id, H5T_NATIVE_FLOAT, memory, space, transfer, data);
  H5Sclose (memory);
  return done;
}

static herr_t
write_parts_of (const struct store_entry *e, hid_t id, hid_t space,
                hid_t transfer, const float *data)
{
  hsize_t start[TENSOR_DIMS] = {0}, count[TENSOR_DIMS];
  int64_t inner, outer = 1;
  int d = part_dimension (e, &inner);
  int64_t most = PART_BYTES / 4 / inner;
  herr_t done = 0;
  for (int k = 0; k < e->n_dims; k++)
    count[k] = k < d ? 1 : (hsize_t)e->dims[k];
  for (int k = 0; k < d; k++)
    outer *= e->dims[k];
  for (int64_t o = 0; o < outer && done >= 0; o++) {
    int64_t rest = o;
    for (int k = d - 1; k >= 0; rest /= e->dims[k--])
      start[k] = (hsize_t)(rest % e->dims[k]);
    for (int64_t at = 0; at < e->dims[d] && done >= 0; at += most) {
      int64_t n = e->dims[d] - at < most ? e->dims[d] - at : most;
      start[d] = (hsize_t)at;
      count[d] = (hsize_t)n;
      done =
          write_part (id, space, transfer, start, count, (hsize_t)(n * inner),
                      data + (o * e->dims[d] + at) * inner);
    }
  }
  return done;
}

static herr_t
write_alone (const struct store_entry *e, hid_t id, hid_t space, hid_t transfer,
             const float *data)
{
  int64_t bytes = 4;
  for (int k = 0; k < e->n_dims; k++)
    bytes *= e->dims[k];
  return bytes <= PART_BYTES
             ? H5Dwrite (id, H5T_NATIVE_FLOAT, space, space, transfer, data)
             : write_parts_of (e, id, space, transfer, data);
}

/* Owned here, or (collective) of another rank and nothing to give. */
static enum status
write_set (struct writing *w, const struct store_entry *e, hid_t transfer)
{
  bool owned = e->owner == wire_rank (w->wire);
  float nothing = 0;
  hid_t id = H5Dopen2 (w->file, e->path, H5P_DEFAULT);
  hid_t space = id < 0 ? -1 : H5Dget_space (id);
  if (space >= 0 && !owned)
    H5Sselect_none (space);
  enum status s = OK;
  herr_t done = -1;
  if (space >= 0 && w->how.collective && wire_size (w->wire) > 1)
    done = H5Dwrite (id, H5T_NATIVE_FLOAT, space, space, transfer,
                     owned ? data_of (w, e) : &nothing);
  else if (space >= 0)
    done = write_alone (e, id, space, transfer, data_of (w, e));
  if (done < 0)
    s = not_written (w, e->path);
  if (space >= 0)
    H5Sclose (space);
  if (id >= 0 && H5Dclose (id) < 0 && s == OK)
    s = not_written (w, e->path);
  return s;
}

static enum status
write_data (struct writing *w)
{
  enum status s = OK;
  bool collective = w->how.collective && wire_size (w->wire) > 1;
  hid_t transfer = H5Pcreate (H5P_DATASET_XFER);
  if (collective)
    H5Pset_dxpl_mpio (transfer, H5FD_MPIO_COLLECTIVE);
  fault_hang ("hang-write");
  if (fault_here ("write"))
    s = fail (E_IO, "%s: writing failed (planted)", w->part);
  for (int i = 0; i < w->list.n; i++) {
    /* A rank that has failed still keeps the others company. */
    bool owned = w->list.entry[i].owner == wire_rank (w->wire);
    if (!collective && (!owned || s != OK))
      continue;
    log_progress ("writing %s: tensor %d of %d", w->part, i + 1, w->list.n);
    enum status one = write_set (w, &w->list.entry[i], transfer);
    s = s == OK ? one : s;
  }
  H5Pclose (transfer);
  return wire_agree (w->wire, s);
}

/* -- 5: verify, rename ----------------------------------------------------- */

static enum status
verify (struct writing *w)
{
  int n = 0;
  store_file_forget (w->part);
  if (w->list.n > 0 && fault_here ("damage"))
    TRY (store_checkpoint_damage (w->part, w->offset[0]));
  if (store_checkpoint_verify (w->part, &n) != OK) {
    /* What was written does not come back: that is the disk's fault. */
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
  struct store_saved *out = w->how.saved;
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
    if (s == OK && w->how.run)
      s = store_run_mine (w->how.run);
    if (s == OK)
      s = store_file_rename (w->part, w->path);
    if (w->how.saved)
      w->how.saved->total_s = clock_now_s () - begin_s;
  }
  return wire_agree (w->wire, s);
}

static enum status
write_parts (struct writing *w)
{
  TRY (share_name (w));
  TRY (store_list_share (w->wire, w->tensors, w->n, &w->list));
  TRY (create_file (w));
  TRY (open_file (w));
  return write_data (w);
}

enum status
store_checkpoint_write (struct wire *wire, const char *path,
                        const struct store_attributes *a,
                        const struct store_tensor *tensors, int n,
                        const struct store_how *how)
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
  if (how)
    w.how = *how;
  enum status s = write_parts (&w);
  /* All ranks are here with the same s, so closing is collective again. */
  enum status closed = close_file (&w);
  if (s == OK)
    s = wire_agree (wire, closed);
  if (s == OK)
    s = finish (&w, begin);
  if (w.how.saved)
    w.how.saved->status = s;
  if (s != OK && w.part && wire_rank (wire) == 0)
    unlink (w.part);
  fail_clear ();
  store_list_clear (&w.list);
  mem_free (&w.offset);
  mem_free (&w.part);
  store_h5_leave ();
  return s;
}

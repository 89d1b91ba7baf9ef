/* data/together.c -- labels and pixels read by all ranks at once.
 *
 * Every rank has checked header and shapes by itself.  The bulk is then read
 * through a second handle of parallel HDF5, opened for the purpose and closed
 * again: labels whole on every rank, pixels where they are wanted.  The ranks
 * of a node read together; between nodes the file may be a copy on a local
 * disk, which only looks like one file, so there they only agree. Values come
 * in the file's own type, since HDF5 makes a transfer that converts an
 * independent one.
 *
 * Whatever may fail on one rank alone is done before a transfer or after it,
 * and the ranks agree in between, so that no rank enters a collective call
 * which others do not.  And no rank may leave one early: HDF5 may give up in
 * the middle of chunks, filters and values that were never written.  So only
 * data that lie in the file in one piece are read together; all else is read by
 * each rank that wants it.
 *
 * Parallel HDF5 transfers no data of variable length in one call: JPEG images
 * are read from the plain file by the loader of each rank that wants them.
 */
#include "data/data_impl.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "store/file.h"
#include <string.h>

/* More than this at once is more than some MPI-IO can count. */
#define ROUND_BYTES ((int64_t)1 << 30)

struct together {
  struct wire *wire;
  struct data_set *data;
  hid_t file, transfer; /* -1 when not open */
};

static enum status
not_read (const struct together *t, const char *path)
{
  char why[256];
  return fail (E_DATA, "%s: %s: not read: %s", t->data->path, path,
               store_h5_why (why));
}

static void
close_file (struct together *t)
{
  if (t->transfer >= 0)
    H5Pclose (t->transfer);
  if (t->file >= 0)
    H5Fclose (t->file);
  t->file = t->transfer = -1;
}

/* All ranks return the same. */
static enum status
open_file (struct together *t)
{
  enum status s = OK;
  hid_t access = store_h5_read_access ();
  if (!store_h5_node (t->wire, access, &t->transfer))
    s = not_read (t, "parallel access");
  if (s == OK)
    s = store_file_openable (t->data->path, false, E_MISSING);
  s = wire_worst (t->wire, s);
  if (s == OK) {
    t->file = H5Fopen (t->data->path, H5F_ACC_RDONLY, access);
    s = wire_worst (t->wire,
                    t->file < 0 ? not_read (t, "parallel access") : OK);
  }
  H5Pclose (access);
  if (s != OK)
    close_file (t);
  return s;
}

/* -- labels ---------------------------------------------------------------- */

static enum status
labels_prepare (struct together *t, enum data_split which, const char *path,
                hid_t *id, hid_t *type, void **raw)
{
  struct store_h5_at at = {-1, t->data->path, path, E_DATA};
  int n_dims = 0;
  int64_t dims[STORE_H5_DIMS];
  TRY (store_h5_set_open (t->file, true, &at));
  *id = at.id;
  *type = H5Dget_type (*id);
  TRY (store_h5_shape (&at, &n_dims, dims));
  if (n_dims != 1 || dims[0] != t->data->split[which].n ||
      !store_h5_is_plain (&at))
    return fail (E_DATA, "%s: %s: has changed meanwhile", t->data->path, path);
  return data_labels_room (t->data, which, *type, raw);
}

/* All ranks return the same. */
static enum status
read_labels (struct together *t, enum data_split which)
{
  char path[48];
  hid_t id = -1, type = -1;
  void *raw = NULL;
  snprintf (path, sizeof path, "/%s/labels", data_split_name (which));
  enum status s =
      wire_worst (t->wire, labels_prepare (t, which, path, &id, &type, &raw));
  if (s == OK) {
    if (H5Dread (id, type, H5S_ALL, H5S_ALL, t->transfer, raw) < 0)
      s = not_read (t, path);
    else
      s = data_labels_take (t->data, which, id, type, raw);
    s = wire_worst (t->wire, s);
  }
  mem_free (&raw);
  if (type >= 0)
    H5Tclose (type);
  if (id >= 0)
    H5Dclose (id);
  return s;
}

static enum status
read_all_labels (struct together *t)
{
  struct data_set *d = t->data;
  TRY (open_file (t));
  enum status s = OK;
  for (int i = 0; i < DATA_SPLITS; i++)
    if (s == OK && d->split[i].n > 0 && d->split[i].plain_labels)
      s = read_labels (t, (enum data_split)i);
  close_file (t);
  if (s == OK)
    d->kind->digest (d);
  return s;
}

/* What decides how many transfers there are, and of what size. */
static uint64_t
outline (const struct data_set *d)
{
  int64_t of[3 * DATA_SPLITS + 2] = {d->kind->n_dims, (int64_t)d->sample_bytes};
  for (int i = 0; i < DATA_SPLITS; i++) {
    of[2 + 3 * i] = d->split[i].n;
    of[3 + 3 * i] = d->split[i].plain_labels;
    of[4 + 3 * i] = d->split[i].offset >= 0;
  }
  return hash_bytes (of, sizeof of, 1);
}

enum status
data_open_all (struct wire *w, const char *path, struct data_set **out)
{
  if (wire_size (w) == 1)
    return data_open (path, out);
  struct data_set *d = NULL;
  enum status s = wire_worst (w, data_begin (path, true, &d));
  if (s == OK)
    s = wire_same (w, outline (d), path);
  if (s == OK && d->kind->labelled)
    s = read_all_labels (
        &(struct together){.wire = w, .data = d, .file = -1, .transfer = -1});
  if (s == OK)
    s = wire_same (w, d->info.digest, path);
  if (s != OK)
    data_close (&d);
  else
    *out = d;
  return s;
}

/* -- pixels and tokens ----------------------------------------------------- */

struct part {
  hid_t set, space;   /* -1 when not open */
  unsigned char *all; /* NULL: this rank wants nothing */
};

static enum status
part_prepare (struct together *t, enum data_split which, const char *path,
              bool mine, struct part *p)
{
  const struct data_set *d = t->data;
  struct store_h5_at at = {-1, d->path, path, E_DATA};
  int n_dims = 0;
  int64_t dims[STORE_H5_DIMS] = {0};
  TRY (store_h5_set_open (t->file, true, &at));
  p->set = at.id;
  p->space = H5Dget_space (p->set);
  TRY (store_h5_shape (&at, &n_dims, dims));
  int64_t values = 1;
  for (int i = 1; i < n_dims; i++)
    values *= dims[i];
  size_t bytes = (size_t)values * H5Tget_size (d->kind->memory (d, which));
  if (n_dims != d->kind->n_dims || dims[0] != d->split[which].n ||
      !store_h5_is_plain (&at) || bytes != d->sample_bytes)
    return fail (E_DATA, "%s: %s: has changed meanwhile", d->path, path);
  return mine ? mem_new ((size_t)d->split[which].n, d->sample_bytes,
                         d->kind->set, (void **)&p->all)
              : OK;
}

/* Samples first .. first+n-1, by those who want them. */
static enum status
part_read (struct together *t, enum data_split which, struct part *p,
           int64_t first, int64_t n)
{
  char path[48];
  const struct data_set *d = t->data;
  hsize_t start[4] = {(hsize_t)first, 0, 0, 0};
  hsize_t count[4] = {(hsize_t)n, (hsize_t)d->info.channels,
                      (hsize_t)d->info.height, (hsize_t)d->info.width};
  unsigned char nothing[8];
  hid_t memory = H5Screate_simple (d->kind->n_dims, count, NULL);
  H5Sselect_hyperslab (p->space, H5S_SELECT_SET, start, NULL, count, NULL);
  if (!p->all) {
    H5Sselect_none (p->space);
    H5Sselect_none (memory);
  }
  herr_t done = H5Dread (
      p->set, d->kind->memory (d, which), memory, p->space, t->transfer,
      p->all ? p->all + (size_t)first * d->sample_bytes : nothing);
  data_path (d, which, path);
  enum status s = done < 0 ? not_read (t, path) : OK;
  H5Sclose (memory);
  return s;
}

static void
part_close (struct part *p)
{
  mem_free (&p->all);
  if (p->space >= 0)
    H5Sclose (p->space);
  if (p->set >= 0)
    H5Dclose (p->set);
}

static enum status
read_split (struct together *t, enum data_split which, bool mine)
{
  struct data_samples *split = &t->data->split[which];
  struct part p = {.set = -1, .space = -1};
  char path[48];
  data_path (t->data, which, path);
  enum status s = wire_worst (t->wire, part_prepare (t, which, path, mine, &p));
  int64_t most = ROUND_BYTES / (int64_t)t->data->sample_bytes;
  for (int64_t at = 0; s == OK && at < split->n; at += most) {
    int64_t n = split->n - at < most ? split->n - at : most;
    log_progress ("reading %s: %s of %s samples", path, text_count ((double)at),
                  text_count ((double)split->n));
    s = wire_worst (t->wire, part_read (t, which, &p, at, n));
  }
  if (s == OK && mine) {
    split->all = p.all;
    p.all = NULL;
  }
  part_close (&p);
  return s;
}

/* Whether any rank wants something. */
static enum status
anybody (struct wire *w, bool mine, bool *any)
{
  double *all = NULL, one = mine;
  enum status s =
      wire_worst (w, MEM_NEW ((size_t)wire_size (w), &all, "wishes"));
  if (s == OK)
    s = wire_all_gather (w, &one, 1, all);
  *any = false;
  for (int r = 0; s == OK && r < wire_size (w); r++)
    *any = *any || all[r] > 0;
  mem_free (&all);
  return s;
}

enum status
data_fetch (struct wire *w, struct data_set *d, enum data_split which,
            bool wanted)
{
  if (wire_size (w) == 1)
    return OK;
  const struct data_storage *storage = d->kind->storage;
  if (!storage->together)
    return OK;
  if (d->split[which].offset < 0)
    return wire_worst (w, wanted ? data_load (d, which) : OK);
  bool any, mine = wanted && !d->split[which].all && storage->fits (d, which);
  TRY (anybody (w, mine, &any));
  if (!any)
    return OK;
  struct together t = {.wire = w, .data = d, .file = -1, .transfer = -1};
  store_h5_enter ();
  enum status s = open_file (&t);
  if (s == OK)
    s = read_split (&t, which, mine);
  close_file (&t);
  store_h5_leave ();
  return s;
}

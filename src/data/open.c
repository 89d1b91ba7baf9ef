/* data/open.c -- opening a data set and refusing what does not hold.
 *
 * Everything but the samples is read and checked here; they are read in read.c,
 * or by the file of their kind.  Several ranks read labels and samples in
 * together.c.
 */
#include "data/data_impl.h"

#include "base/fault.h"
#include "base/memory.h"
#include "store/file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_BYTES ((int64_t)1 << 30)

static bool
has_split (const struct data_set *d, enum data_split which)
{
  char group[32];
  snprintf (group, sizeof group, "/%s", data_split_name (which));
  return store_h5_has (d->file, group);
}

/* -- the header ------------------------------------------------------------ */

static enum status
check_text (const struct store_h5_at *at, const char *name, const char *wanted,
            const char *advice)
{
  char *found = NULL;
  TRY (store_h5_get_text (at, name, &found));
  enum status s = OK;
  if (strcmp (found, wanted) != 0)
    s = fail (at->bad, "%s: attribute \"%s\" is \"%s\", expected \"%s\"%s",
              at->file, name, found, wanted, advice);
  mem_free (&found);
  return s;
}

/* The kind of the first split that is there. */
static enum status
read_kind (const struct store_h5_at *root, struct data_set *d)
{
  char *word = NULL;
  int first = 0;
  TRY (store_h5_get_text (root, "kind", &word));
  while (first + 1 < DATA_SPLITS && !has_split (d, (enum data_split)first))
    first++;
  d->kind = data_kind_of (d->file, word, (enum data_split)first);
  struct text known;
  text_init (&known);
  const char *last = "";
  for (int i = 0; !d->kind && data_kind (i); i++)
    if (strcmp (data_kind (i)->word, last) != 0) {
      last = data_kind (i)->word;
      text_add (&known, "%s\"%s\"", i ? ", or " : "", last);
    }
  enum status s = OK;
  if (!d->kind)
    s = fail (E_DATA, "%s: attribute \"kind\" is \"%s\", expected %s", d->path,
              word, known.data);
  text_clear (&known);
  mem_free (&word);
  TRY (s);
  snprintf (d->info.kind, sizeof d->info.kind, "%s", d->kind->word);
  d->info.of = d->kind;
  d->info.type = d->kind->type;
  d->info.augment = d->kind->augment;
  d->info.length = 1;
  d->info.decoder = "";
  return mem_new (1, d->kind->own_bytes, "data set", &d->own);
}

static enum status
read_name (const struct store_h5_at *root, struct data_set *d)
{
  char *name = NULL;
  TRY (store_h5_get_text (root, "name", &name));
  snprintf (d->info.name, sizeof d->info.name, "%.63s", name);
  mem_free (&name);
  if (store_h5_has_attribute (root->id, "origin"))
    return store_h5_get_text (root, "origin", &d->origin);
  return mem_text ("", &d->origin);
}

static enum status
read_header (struct data_set *d)
{
  struct store_h5_at root = {d->file, d->path, "/", E_DATA};
  TRY (check_text (&root, "interlock_format", "dataset",
                   ": not a data set (make one with `interlock import`)"));
  int64_t version = 0;
  TRY (store_h5_get_int (&root, "version", &version));
  if (version != 1)
    return fail (E_DATA,
                 "%s: data set of version %lld, this program reads "
                 "version 1",
                 d->path, (long long)version);
  TRY (read_kind (&root, d));
  TRY (read_name (&root, d));
  return d->kind->header ? d->kind->header (d) : OK;
}

/* -- splits ---------------------------------------------------------------- */

/* All splits are of the kind of the first. */
static enum status
check_kind (const struct data_set *d, enum data_split which)
{
  const struct data_kind *k = data_kind_of (d->file, d->kind->word, which);
  const struct data_kind *usual = NULL; /* what is there if nothing is */
  char path[48];
  if (k == d->kind)
    return OK;
  for (int i = 0; !usual; i++)
    if (strcmp (data_kind (i)->word, k->word) == 0)
      usual = data_kind (i);
  data_path (d, which, path);
  if (k == usual)
    return fail (E_DATA, "%s: %s is missing, other splits have %s", d->path,
                 path, d->kind->what);
  return fail (E_DATA, "%s: /%s/%s: %s, but other splits have %s", d->path,
               data_split_name (which), k->set, k->what, d->kind->what);
}

static enum status
open_split (struct data_set *d, enum data_split which)
{
  struct data_samples *split = &d->split[which];
  char path[48];
  int n = 0;
  int64_t dims[STORE_H5_DIMS];
  TRY (check_kind (d, which));
  data_path (d, which, path);
  struct store_h5_at at = {-1, d->path, path, E_DATA};
  TRY (store_h5_set_open (d->file, true, &at));
  split->set = at.id;
  TRY (store_h5_shape (&at, &n, dims));
  if (n != d->kind->n_dims || dims[0] < 1)
    return fail (E_DATA, "%s: %s: shape %s, expected %s", d->path, path,
                 store_h5_shape_text (n, dims), d->kind->shape);
  split->n = dims[0];
  TRY (d->kind->split (d, which, &at, dims));
  if (d->kind->labelled)
    TRY (data_labels_open (d, which));
  d->info.samples[which] = split->n;
  return OK;
}

/* -- open and close -------------------------------------------------------- */

static enum status
open_parts (struct data_set *d)
{
  d->fd = open (d->path, O_RDONLY | O_CLOEXEC);
  if (d->fd < 0)
    return fail (E_MISSING, "%s: %s", d->path, strerror (errno));
  TRY (read_header (d));
  TRY (data_seal_check (d));
  if (d->kind->begin)
    TRY (d->kind->begin (d));
  int n = 0;
  for (int i = 0; i < DATA_SPLITS; i++)
    if (has_split (d, (enum data_split)i)) {
      TRY (open_split (d, (enum data_split)i));
      n++;
    }
  if (n == 0)
    return fail (E_DATA, "%s: none of /train, /valid, /test is there", d->path);
  TRY (d->kind->finish (d));
  if (d->kind->digest && !d->together)
    d->kind->digest (d);
  return OK;
}

enum status
data_begin (const char *path, bool together, struct data_set **out)
{
  fault_hang ("hang-read");
  if (fault_here ("read"))
    return fail (E_DATA, "%s: reading failed (planted)", path);
  struct data_set *d = NULL;
  TRY (MEM_NEW (1, &d, "data set"));
  d->file = -1;
  d->fd = -1;
  d->together = together;
  d->memory_bytes = MEMORY_BYTES;
  for (int i = 0; i < DATA_SPLITS; i++)
    d->split[i].set = d->split[i].offset = -1;
  enum status s = mem_text (path, &d->path);
  if (s == OK)
    s = store_h5_open (path, E_DATA, &d->file);
  if (s == OK)
    s = open_parts (d);
  if (s != OK)
    data_close (&d);
  else
    *out = d;
  return s;
}

enum status
data_open (const char *path, struct data_set **out)
{
  return data_begin (path, false, out);
}

void
data_close (struct data_set **out)
{
  struct data_set *d = *out;
  if (!d)
    return;
  for (int i = 0; i < DATA_SPLITS; i++) {
    if (d->split[i].set >= 0)
      H5Dclose (d->split[i].set);
    mem_free (&d->split[i].labels);
    mem_free (&d->split[i].all);
    mem_free (&d->split[i].blocks);
    mem_free (&d->split[i].seen);
  }
  if (d->own)
    d->kind->close (d);
  if (d->file >= 0)
    H5Fclose (d->file);
  if (d->fd >= 0)
    close (d->fd);
  mem_free (&d->own);
  mem_free (&d->block);
  mem_free (&d->origin);
  mem_free (&d->path);
  mem_free (out);
}

void
data_memory (struct data_set *d, int64_t bytes)
{
  d->memory_bytes = bytes;
}

void
data_info (const struct data_set *d, struct data_info *out)
{
  *out = d->info;
}

bool
data_normal (const struct data_set *d, const double **mean, const double **std)
{
  *mean = d->mean;
  *std = d->std;
  return d->mean != NULL;
}

/* -- samples of a training ------------------------------------------------- */

void
data_windows (struct data_set *d, int64_t context, int64_t stride)
{
  if (d->kind->windows)
    d->kind->windows (d, context, stride);
}

int64_t
data_info_samples (const struct data_info *info, enum data_split split,
                   int64_t context, int64_t stride, bool shuffle)
{
  return info->of ? info->of->samples (info, split, context, stride, shuffle)
                  : 0;
}

enum status
data_training_samples (const struct data_set *d, enum data_split split,
                       bool shuffle, int64_t *out)
{
  if (d->split[split].n == 0)
    return fail (E_DATA, "%s: there is no /%s", d->path,
                 data_split_name (split));
  *out = data_info_samples (&d->info, split, d->info.length, d->info.stride,
                            shuffle);
  return *out > 0 ? OK : d->kind->too_few (d, split);
}

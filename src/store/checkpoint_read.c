/* store/checkpoint_read.c -- reading and verifying checkpoints and parameter
 * files.
 *
 * A parameter file made elsewhere may lack everything but /model: no format, no
 * attributes, no digests.  What is there is checked.
 */
#include "store/checkpoint_impl.h"
#include "store/h5.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/place.h"
#include <stdlib.h>
#include <string.h>

enum { TEXTS = 7 };

struct store_checkpoint {
  char *path;
  hid_t file;
  bool foreign; /* a parameter file without our attributes */
  struct store_attributes attributes;
  char *text[TEXTS]; /* owned; in the order of read_attributes */
  char *digest;      /* over all; NULL when there is none; owned */
};

/* -- opening --------------------------------------------------------------- */

static enum status
check_format (struct store_checkpoint *c)
{
  struct store_h5_at root = {c->file, c->path, "/", E_CHECKPOINT};
  char why[256];
  /* Unreadable attributes are damage; only missing ones make a foreign file. */
  if (H5Aexists (c->file, "interlock_format") < 0)
    return fail (E_CHECKPOINT, "%s: damaged: %s", c->path, store_h5_why (why));
  if (!store_h5_has_attribute (c->file, "interlock_format")) {
    c->foreign = true;
    /* The word is gone, but an attribute that only we write is there. */
    if (store_h5_has_attribute (c->file, "digest") ||
        store_h5_has_attribute (c->file, "digest_weights"))
      return fail (E_CHECKPOINT,
                   "%s: damaged: it has digests, but names no format", c->path);
    TRY (store_h5_inside (
        c->file,
        &(struct store_h5_at){c->file, c->path, "/model", E_CHECKPOINT}));
    if (store_h5_is_group (c->file, "/model"))
      return OK;
    struct text paths;
    text_init (&paths);
    enum status found = store_checkpoint_paths (c, &paths);
    size_t size = paths.size;
    text_clear (&paths);
    if (found != OK || size > 0) /* tensors at the root */
      return found;
    return fail (E_CHECKPOINT,
                 "%s: neither a checkpoint nor a parameter file: "
                 "no /model in it",
                 c->path);
  }
  char *format = NULL;
  TRY (store_h5_get_text (&root, "interlock_format", &format));
  enum status s = OK;
  if (strcmp (format, "checkpoint") != 0)
    s = fail (E_CHECKPOINT,
              "%s: a file of format \"%s\", expected "
              "\"checkpoint\"",
              c->path, format);
  mem_free (&format);
  int64_t version = 0;
  if (s == OK)
    s = store_h5_get_int (&root, "version", &version);
  if (s == OK && version != 1)
    s = fail (E_CHECKPOINT,
              "%s: checkpoint of version %lld, this program "
              "reads version 1",
              c->path, (long long)version);
  return s;
}

/* The three digests; a word that does not fit is none. */
static enum status
read_digests (struct store_checkpoint *c)
{
  static const char *const names[3] = {"digest_weights", "digest_optimizer",
                                       "digest_state"};
  struct store_h5_at root = {c->file, c->path, "/", E_CHECKPOINT};
  struct store_digests *d = &c->attributes.digests;
  char *to[3] = {d->weights, d->optimizer, d->state};
  for (int i = 0; i < 3; i++) {
    char *word = NULL;
    if (!store_h5_has_attribute (c->file, names[i]))
      continue;
    TRY (store_h5_get_text (&root, names[i], &word));
    snprintf (to[i], sizeof d->weights, "%s", word);
    mem_free (&word);
  }
  return OK;
}

static enum status
read_attributes (struct store_checkpoint *c)
{
  static const char *const numbers[4] = {"step", "epoch", "sample", "seed"};
  /* From the fourth on they may be missing in a file of an older program. */
  static const char *const texts[TEXTS] = {
      "config", "tuning", "library", "order", "data", "metrics", "progress"};
  struct store_h5_at root = {c->file, c->path, "/", E_CHECKPOINT};
  int64_t *out[4] = {&c->attributes.step, &c->attributes.epoch,
                     &c->attributes.sample, &c->attributes.seed};
  for (int i = 0; i < 4; i++)
    if (store_h5_has_attribute (c->file, numbers[i]) || !c->foreign)
      TRY (store_h5_get_int (&root, numbers[i], out[i]));
  for (int i = 0; i < TEXTS; i++)
    if (store_h5_has_attribute (c->file, texts[i]) || (i < 3 && !c->foreign))
      TRY (store_h5_get_text (&root, texts[i], &c->text[i]));
    else
      TRY (mem_text ("", &c->text[i]));
  c->attributes.config = c->text[0];
  c->attributes.tuning = c->text[1];
  c->attributes.library = c->text[2];
  c->attributes.order = c->text[3];
  c->attributes.data = c->text[4];
  c->attributes.metrics = c->text[5];
  c->attributes.progress = c->text[6];
  TRY (read_digests (c));
  if (store_h5_has_attribute (c->file, "digest"))
    return store_h5_get_text (&root, "digest", &c->digest);
  return OK;
}

enum status
store_checkpoint_open (const char *path, struct store_checkpoint **out)
{
  struct store_checkpoint *c = NULL;
  TRY (MEM_NEW (1, &c, "checkpoint"));
  c->file = -1;
  store_h5_enter ();
  enum status s = mem_text (path, &c->path);
  if (s == OK)
    s = store_h5_open (path, E_CHECKPOINT, &c->file);
  if (s == OK)
    s = check_format (c);
  if (s == OK)
    s = read_attributes (c);
  if (s != OK)
    store_checkpoint_close (&c);
  else
    *out = c;
  store_h5_leave ();
  return s;
}

void
store_checkpoint_close (struct store_checkpoint **out)
{
  struct store_checkpoint *c = *out;
  if (!c)
    return;
  store_h5_enter ();
  if (c->file >= 0)
    H5Fclose (c->file);
  store_h5_leave ();
  for (int i = 0; i < TEXTS; i++)
    mem_free (&c->text[i]);
  mem_free (&c->digest);
  mem_free (&c->path);
  mem_free (out);
}

void
store_checkpoint_attributes (const struct store_checkpoint *c,
                             struct store_attributes *out)
{
  *out = c->attributes;
}

bool
store_checkpoint_foreign (const struct store_checkpoint *c)
{
  return c->foreign;
}

bool
store_checkpoint_is_weight (const struct store_checkpoint *c, const char *path)
{
  int n_dims = 0;
  int64_t dims[STORE_H5_DIMS];
  struct store_h5_at at = {-1, c->path, path, E_CHECKPOINT};
  if (store_h5_set_open (c->file, false, &at) != OK) {
    fail_clear ();
    return true;
  }
  hid_t type = H5Dget_type (at.id);
  bool is = H5Tget_class (type) == H5T_FLOAT &&
            store_h5_shape (&at, &n_dims, dims) == OK && n_dims > 0;
  fail_clear ();
  H5Tclose (type);
  H5Dclose (at.id);
  return is;
}

bool
store_checkpoint_has (const struct store_checkpoint *c, const char *path)
{
  return store_h5_has (c->file, path);
}

/* -- tensors --------------------------------------------------------------- */

static enum status
check_shape (const struct store_h5_at *at, const struct store_tensor *t)
{
  int n_dims = 0;
  int64_t dims[STORE_H5_DIMS];
  TRY (store_h5_shape (at, &n_dims, dims));
  bool same = n_dims == t->n_dims;
  for (int i = 0; same && i < n_dims; i++)
    same = dims[i] == t->dims[i];
  if (!same)
    return fail (E_CHECKPOINT, "%s: %s: shape %s, the model wants %s", at->file,
                 at->path, store_h5_shape_text (n_dims, dims),
                 store_h5_shape_text (t->n_dims, t->dims));
  hid_t type = H5Dget_type (at->id);
  bool number = H5Tget_class (type) == H5T_FLOAT;
  H5Tclose (type);
  if (!number)
    return fail (E_CHECKPOINT, "%s: %s: not floating point", at->file,
                 at->path);
  return OK;
}

/* The word that a tensor of ours was written with. */
static enum status
kept_digest (const struct store_h5_at *at, char digest[33])
{
  char *kept = NULL, why[256];
  htri_t there = H5Aexists (at->id, "digest");
  if (there < 0)
    return fail (E_CHECKPOINT, "%s: %s: damaged: %s", at->file, at->path,
                 store_h5_why (why));
  if (there == 0)
    return fail (E_CHECKPOINT, "%s: %s: damaged: it has lost its digest",
                 at->file, at->path);
  TRY (store_h5_get_text (at, "digest", &kept));
  snprintf (digest, 33, "%s", kept);
  mem_free (&kept);
  return OK;
}

/* The digest is of 32-bit floats in the order of the file.  Other programs
 * write none. */
static enum status
check_digest (const struct store_h5_at *at, bool foreign, const float *data,
              size_t n, char digest[33])
{
  char why[256];
  hash_digest (data, n * sizeof *data, digest);
  if (H5Aexists (at->id, "digest") < 0)
    return fail (E_CHECKPOINT, "%s: %s: damaged: %s", at->file, at->path,
                 store_h5_why (why));
  if (!store_h5_has_attribute (at->id, "digest"))
    return foreign
               ? OK
               : fail (E_CHECKPOINT, "%s: %s: damaged: it has lost its digest",
                       at->file, at->path);
  char *kept = NULL;
  TRY (store_h5_get_text (at, "digest", &kept));
  enum status s = OK;
  if (strcmp (kept, digest) != 0)
    s = fail (E_CHECKPOINT,
              "%s: %s: damaged: digest %s, the file's own says %s", at->file,
              at->path, digest, kept);
  mem_free (&kept);
  return s;
}

static enum status
read_set (const struct store_h5_at *at, bool foreign, float *data, size_t n,
          char digest[33])
{
  char why[256];
  TRY (store_h5_written (at));
  if (H5Dread (at->id, store_h5_type (TENSOR_F32, false), H5S_ALL, H5S_ALL,
               H5P_DEFAULT, data) < 0)
    return fail (E_CHECKPOINT, "%s: %s: not read: %s", at->file, at->path,
                 store_h5_why (why));
  return check_digest (at, foreign, data, n, digest);
}

/* Open the dataset of t, of its shape. */
static enum status
open_set (const struct store_checkpoint *c, const struct store_tensor *t,
          hid_t *out)
{
  if (!store_h5_has (c->file, t->path))
    return fail (E_CHECKPOINT, "%s: %s %s is missing", c->path, t->path,
                 store_h5_shape_text (t->n_dims, t->dims));
  struct store_h5_at at = {-1, c->path, t->path, E_CHECKPOINT};
  TRY (store_h5_set_open (c->file, false, &at));
  enum status s = check_shape (&at, t);
  if (s == OK)
    *out = at.id;
  else
    H5Dclose (at.id);
  return s;
}

enum status
store_checkpoint_shape (const struct store_checkpoint *c,
                        struct store_tensor *t)
{
  int64_t dims[STORE_H5_DIMS];
  struct store_h5_at at = {-1, c->path, t->path, E_CHECKPOINT};
  TRY (store_h5_set_open (c->file, false, &at));
  enum status s = store_h5_shape (&at, &t->n_dims, dims);
  H5Dclose (at.id);
  if (s == OK && t->n_dims > TENSOR_DIMS)
    s = fail (E_CHECKPOINT, "%s: %s: shape %s", c->path, t->path,
              store_h5_shape_text (t->n_dims, dims));
  for (int i = 0; s == OK && i < t->n_dims; i++)
    t->dims[i] = dims[i];
  return s;
}

enum status
store_checkpoint_fits (const struct store_checkpoint *c,
                       const struct store_tensor *t)
{
  hid_t id = -1;
  TRY (open_set (c, t, &id));
  H5Dclose (id);
  return OK;
}

enum status
store_checkpoint_read (const struct store_checkpoint *c,
                       const struct store_tensor *t)
{
  hid_t id = -1;
  char digest[33];
  size_t count = 1;
  TRY (open_set (c, t, &id));
  struct store_h5_at at = {id, c->path, t->path, E_CHECKPOINT};
  for (int i = 0; i < t->n_dims; i++)
    count *= (size_t)t->dims[i];
  enum status s = read_set (&at, c->foreign, t->data, count, digest);
  H5Dclose (id);
  return s;
}

enum status
store_checkpoint_digest (const struct store_checkpoint *c, const char *path,
                         char out[33])
{
  struct store_h5_at at = {-1, c->path, path, E_CHECKPOINT};
  char *kept = NULL;
  TRY (store_h5_set_open (c->file, false, &at));
  enum status s = store_h5_has_attribute (at.id, "digest")
                      ? store_h5_get_text (&at, "digest", &kept)
                      : fail (E_CHECKPOINT, "%s: %s: no digest", c->path, path);
  H5Dclose (at.id);
  if (s == OK)
    snprintf (out, 33, "%s", kept);
  mem_free (&kept);
  return s;
}

/* -- all of a file --------------------------------------------------------- */

/* How far a walk looks: at names and shapes, at the digests that are kept, or
 * at the data that they are of. */
enum depth { NAMES, KEPT, DATA };

struct walk {
  const char *file;
  enum depth depth;
  bool plain; /* a file of ours: floats, contiguous, with digests */
  struct store_list list;
  int room;
  enum status s;
};

static enum status
walk_set (struct walk *w, hid_t id, struct store_entry *e)
{
  struct store_h5_at at = {id, w->file, e->path, E_CHECKPOINT};
  int64_t dims[STORE_H5_DIMS], count = 1;
  TRY (store_h5_shape (&at, &e->n_dims, dims));
  if (e->n_dims > TENSOR_DIMS)
    return fail (E_CHECKPOINT, "%s: %s: shape %s", w->file, e->path,
                 store_h5_shape_text (e->n_dims, dims));
  hsize_t stored = H5Dget_storage_size (id);
  for (int i = 0; i < e->n_dims; i++) {
    e->dims[i] = dims[i];
    /* A damaged shape may be huge: memory is asked for only if it fits. */
    if (dims[i] < 0 || (dims[i] > 0 && count > (INT64_MAX >> 3) / dims[i]))
      return fail (E_CHECKPOINT, "%s: %s: shape %s", w->file, e->path,
                   store_h5_shape_text (e->n_dims, dims));
    count *= dims[i];
  }
  if (w->plain && store_entry_bytes (e) != stored)
    return fail (E_CHECKPOINT, "%s: %s: shape %s, but %llu bytes", w->file,
                 e->path, store_h5_shape_text (e->n_dims, dims),
                 (unsigned long long)stored);
  w->list.bytes += (int64_t)store_entry_bytes (e);
  if (w->depth == KEPT)
    return w->plain ? kept_digest (&at, e->digest) : OK;
  if (w->depth == NAMES)
    return OK;
  float *data = NULL;
  place_move ();
  TRY (MEM_NEW ((size_t)count, &data, e->path));
  enum status s = read_set (&at, !w->plain, data, (size_t)count, e->digest);
  mem_free (&data);
  return s;
}

/* Links come in the order of the file, deeper ones in place. */
static herr_t
visit (hid_t root, const char *name, const H5O_info_t *info, void *context)
{
  struct walk *w = context;
  if (info->type != H5O_TYPE_DATASET)
    return 0;
  if (w->list.n == w->room) {
    int room = w->room * 2 + 64;
    w->s = mem_grow (&w->list.entry, (size_t)w->room, (size_t)room,
                     sizeof *w->list.entry, "tensor list");
    if (w->s != OK)
      return -1;
    w->room = room;
  }
  struct store_entry *e = &w->list.entry[w->list.n++];
  if (snprintf (e->path, sizeof e->path, "/%s", name) >= (int)sizeof e->path) {
    w->s = fail (E_CHECKPOINT, "%s: /%s: a name too long", w->file, name);
    return -1;
  }
  struct store_h5_at at = {-1, w->file, e->path, E_CHECKPOINT};
  w->s = store_h5_set_open (root, false, &at);
  if (w->s != OK)
    return -1;
  w->s = walk_set (w, at.id, e);
  H5Dclose (at.id);
  return w->s == OK ? 0 : -1;
}

static int
by_path (const void *a, const void *b)
{
  const struct store_entry *x = a, *y = b;
  return strcmp (x->path, y->path);
}

/* The digest over all, and the three by kind where they are told. */
static enum status
compare_digests (const struct store_checkpoint *c, const struct store_list *l)
{
  char digest[33];
  struct store_digests d;
  const struct store_digests *kept = &c->attributes.digests;
  if (!c->digest)
    return fail (E_CHECKPOINT, "%s: damaged: it has lost its digest", c->path);
  store_list_digest (l, &c->attributes, digest);
  if (strcmp (digest, c->digest) != 0)
    return fail (E_CHECKPOINT,
                 "%s: damaged: an attribute, or the set of tensors, is not "
                 "what was written (digest %s, the file's own says %s)",
                 c->path, digest, c->digest);
  store_list_digests (l, &c->attributes, &d);
  if ((kept->weights[0] && strcmp (kept->weights, d.weights) != 0) ||
      (kept->optimizer[0] && strcmp (kept->optimizer, d.optimizer) != 0) ||
      (kept->state[0] && strcmp (kept->state, d.state) != 0))
    return fail (E_CHECKPOINT,
                 "%s: damaged: a digest of weights, optimizer or state is not "
                 "that of what the file holds",
                 c->path);
  return OK;
}

/* All tensors of an open checkpoint; with more than their names, the digests
 * and the one over all are compared.  The list is owned by the caller. */
static enum status
walk_all (const struct store_checkpoint *c, enum depth depth,
          struct store_list *list)
{
  struct walk w = {.file = c->path, .depth = depth, .plain = !c->foreign};
  /* In the order of the file, and sorted here.  For any other order HDF5 builds
   * a table of the links first, and version 1.10, given a damaged index, frees
   * entries of that table which it has not filled in. */
#if H5_VERSION_GE(1, 12, 0)
  herr_t r = H5Ovisit3 (c->file, H5_INDEX_NAME, H5_ITER_NATIVE, visit, &w,
                        H5O_INFO_BASIC);
#else
  herr_t r = H5Ovisit (c->file, H5_INDEX_NAME, H5_ITER_NATIVE, visit, &w);
#endif
  char why[256];
  if (r < 0 && w.s == OK)
    w.s = fail (E_CHECKPOINT, "%s: damaged: %s", c->path, store_h5_why (why));
  if (w.s == OK && w.list.n > 0)
    qsort (w.list.entry, (size_t)w.list.n, sizeof *w.list.entry, by_path);
  if (w.s == OK && depth != NAMES && !c->foreign)
    w.s = compare_digests (c, &w.list);
  if (w.s == OK)
    *list = w.list;
  else
    store_list_clear (&w.list);
  return w.s;
}

enum status
store_checkpoint_verify (const char *path, int *n_tensors)
{
  struct store_checkpoint *c = NULL;
  struct store_list list = {0};
  TRY (store_checkpoint_open (path, &c));
  enum status s = walk_all (c, DATA, &list);
  if (s == OK && n_tensors)
    *n_tensors = list.n;
  store_list_clear (&list);
  store_checkpoint_close (&c);
  return s;
}

enum status
store_checkpoint_agrees (const struct store_checkpoint *c)
{
  struct store_list list = {0};
  TRY (walk_all (c, KEPT, &list));
  store_list_clear (&list);
  return OK;
}

enum status
store_checkpoint_paths (const struct store_checkpoint *c, struct text *out)
{
  struct store_list list = {0};
  TRY (walk_all (c, NAMES, &list));
  for (int i = 0; i < list.n; i++)
    text_add (out, "%s\n", list.entry[i].path);
  store_list_clear (&list);
  return OK;
}

enum status
store_checkpoint_print (const char *path, bool check, struct text *out)
{
  struct store_checkpoint *c = NULL;
  struct store_list list = {0};
  TRY (store_checkpoint_open (path, &c));
  enum status s = walk_all (c, check ? DATA : NAMES, &list);
  if (s == OK) {
    const struct store_attributes *a = &c->attributes;
    text_add (out, "%s: %s, version 1\n", path,
              c->foreign ? "parameter file" : "checkpoint");
    text_add (out, "  step %lld, epoch %lld, sample %lld, seed %lld\n",
              (long long)a->step, (long long)a->epoch, (long long)a->sample,
              (long long)a->seed);
    if (a->library[0])
      text_add (out, "  made with %s\n", a->library);
    text_add (out, "  %d tensors, %s\n", list.n,
              text_bytes ((double)list.bytes));
    for (int i = 0; i < list.n; i++)
      text_add (out, "  %-56s %s\n", list.entry[i].path,
                store_h5_shape_text (list.entry[i].n_dims, list.entry[i].dims));
    if (check)
      text_add (out, "  every digest agrees\n");
  }
  store_list_clear (&list);
  store_checkpoint_close (&c);
  return s;
}

/* -- which file ------------------------------------------------------------ */

enum status
store_file_kind (const char *path, char kind[16])
{
  hid_t file = -1;
  kind[0] = '\0';
  enum status s = store_h5_open (path, E_DATA, &file);
  if (s == E_MISSING)
    return s;
  if (s != OK && store_h5_signed (path))
    return s;
  if (s != OK) {
    fail_clear ();
    return OK;
  }
  struct store_h5_at root = {file, path, "/", E_DATA};
  char *format = NULL;
  if (store_h5_has_attribute (file, "interlock_format")) {
    s = store_h5_get_text (&root, "interlock_format", &format);
    if (s == OK &&
        (!strcmp (format, "dataset") || !strcmp (format, "checkpoint")))
      snprintf (kind, 16, "%s", format);
    else if (s != OK)
      fail_clear ();
    mem_free (&format);
  } else if (store_h5_is_group (file, "/model"))
    snprintf (kind, 16, "checkpoint");
  H5Fclose (file);
  return OK;
}

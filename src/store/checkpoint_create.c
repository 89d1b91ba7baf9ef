/* store/checkpoint_create.c -- what both ways of writing a checkpoint share:
 * the list of its tensors on all ranks, the file with everything but their
 * data, and the look at it afterwards.
 *
 * One rank makes the file by the serial driver.  Its bytes follow from the list
 * and the attributes, so they do not tell how many ranks there were or which
 * way the data took.
 */
#include "store/file.h"
#include "store/saver_impl.h"

#include "base/memory.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void
store_part_name (const char *path, struct text *out)
{
  char host[256] = "";
  gethostname (host, sizeof host - 1);
  text_add (out, "%s.%s.%ld.part", path, host, (long)getpid ());
}

enum status
store_list_share (struct wire *w, const struct store_tensor *tensors, int n,
                  struct store_list *out)
{
  struct text mine, all;
  char **texts = NULL, *lines = NULL;
  text_init (&mine);
  text_init (&all);
  store_list_write (tensors, n, &mine);
  enum status s = wire_gather_text (w, mine.data, &texts);
  for (int i = 0; s == OK && texts && i < wire_size (w); i++) {
    text_add (&all, "%s.\n", texts[i]);
    mem_free (&texts[i]);
  }
  mem_free (&texts);
  if (s == OK)
    s = mem_text (all.data, &lines);
  s = wire_agree (w, s);
  if (s == OK) {
    if (wire_rank (w) != 0)
      mem_free (&lines);
    s = wire_broadcast_text (w, &lines, 0);
  }
  if (s == OK)
    s = store_list_parse (lines, out);
  mem_free (&lines);
  text_clear (&all);
  text_clear (&mine);
  return wire_agree (w, s);
}

/* -- the file and its objects ---------------------------------------------- */

struct making {
  const char *part;
  const struct store_list *list;
  const struct store_attributes *attributes;
  int64_t *offset; /* list->n; NULL: not asked */
  hid_t file;
};

static enum status
not_made (const struct making *m, const char *what)
{
  char why[256];
  store_h5_why (why);
  return fail (E_IO, "%s: %s: not written: %s", m->part, what, why);
}

static enum status
put_digests (const struct making *m, const struct store_h5_at *at)
{
  struct store_digests d;
  char digest[33];
  store_list_digests (m->list, m->attributes, &d);
  TRY (store_h5_put_text (at, "digest_weights", d.weights));
  TRY (store_h5_put_text (at, "digest_optimizer", d.optimizer));
  TRY (store_h5_put_text (at, "digest_state", d.state));
  store_list_digest (m->list, m->attributes, digest);
  return store_h5_put_text (at, "digest", digest);
}

static enum status
put_attributes (const struct making *m)
{
  const struct store_attributes *a = m->attributes;
  struct store_h5_at at = {m->file, m->part, "/", E_IO};
  TRY (store_h5_put_text (&at, "interlock_format", "checkpoint"));
  TRY (store_h5_put_int (&at, "version", 1));
  TRY (store_h5_put_int (&at, "step", a->step));
  TRY (store_h5_put_int (&at, "epoch", a->epoch));
  TRY (store_h5_put_int (&at, "sample", a->sample));
  TRY (store_h5_put_int (&at, "seed", a->seed));
  const char *texts[][2] = {
      {"config", a->config},     {"tuning", a->tuning}, {"library", a->library},
      {"order", a->order},       {"data", a->data},     {"metrics", a->metrics},
      {"progress", a->progress},
  };
  for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++)
    if (i < 3 || (texts[i][1] && texts[i][1][0]))
      TRY (store_h5_put_text (&at, texts[i][0], texts[i][1]));
  return put_digests (m, &at);
}

/* Groups on the way to path, those that are not there. */
static enum status
create_groups (const struct making *m, const char *path, hid_t plist)
{
  char part[sizeof m->list->entry->path];
  for (const char *p = strchr (path + 1, '/'); p; p = strchr (p + 1, '/')) {
    snprintf (part, sizeof part, "%.*s", (int)(p - path), path);
    if (H5Lexists (m->file, part, H5P_DEFAULT) > 0)
      continue;
    hid_t id = H5Gcreate2 (m->file, part, H5P_DEFAULT, plist, H5P_DEFAULT);
    if (id < 0 || H5Gclose (id) < 0)
      return not_made (m, part);
  }
  return OK;
}

static enum status
create_set (const struct making *m, int i, hid_t plist)
{
  const struct store_entry *e = &m->list->entry[i];
  hsize_t dims[TENSOR_DIMS];
  for (int k = 0; k < e->n_dims; k++)
    dims[k] = (hsize_t)e->dims[k];
  hid_t space = e->n_dims == 0 ? H5Screate (H5S_SCALAR)
                               : H5Screate_simple (e->n_dims, dims, NULL);
  hid_t id = H5Dcreate2 (m->file, e->path, store_h5_type (e->type, true), space,
                         H5P_DEFAULT, plist, H5P_DEFAULT);
  enum status s = id < 0 ? not_made (m, e->path) : OK;
  H5Sclose (space);
  struct store_h5_at at = {id, m->part, e->path, E_IO};
  if (s == OK && e->digest[0])
    s = store_h5_put_text (&at, "digest", e->digest);
  if (s == OK && m->offset) {
    haddr_t at_byte = H5Dget_offset (id);
    m->offset[i] = at_byte == HADDR_UNDEF ? -1 : (int64_t)at_byte;
    if (at_byte == HADDR_UNDEF && e->dims[0] > 0)
      s = fail (E_IO, "%s: %s: has no place in the file", m->part, e->path);
  }
  if (id >= 0 && H5Dclose (id) < 0 && s == OK)
    s = not_made (m, e->path);
  return s;
}

static enum status
create_objects (const struct making *m)
{
  hid_t object = store_h5_object_create ();
  hid_t data = store_h5_data_create ();
  enum status s = m->attributes ? put_attributes (m) : OK;
  for (int i = 0; s == OK && i < m->list->n; i++) {
    s = create_groups (m, m->list->entry[i].path, object);
    if (s == OK)
      s = create_set (m, i, data);
  }
  H5Pclose (object);
  H5Pclose (data);
  return s;
}

enum status
store_checkpoint_create (const char *part, const struct store_list *list,
                         const struct store_attributes *a, int64_t *offset)
{
  struct making m = {part, list, a, offset, -1};
  TRY (store_file_parents (part));
  TRY (store_file_reserve (part, list->bytes + 65536));
  hid_t access = store_h5_file_access ();
  hid_t create = H5Pcreate (H5P_FILE_CREATE);
  H5Pset_obj_track_times (create, false);
  H5Pset_alignment (access, STORE_ALIGNED_FROM, STORE_ALIGNED_TO);
  m.file = H5Fcreate (part, H5F_ACC_TRUNC, create, access);
  enum status s = m.file < 0 ? not_made (&m, "the file") : OK;
  H5Pclose (create);
  H5Pclose (access);
  if (s == OK)
    s = create_objects (&m);
  if (m.file >= 0 && H5Fclose (m.file) < 0 && s == OK)
    s = not_made (&m, "the file");
  return s;
}

enum status
store_parameters_create (const char *part, const struct store_tensor *t, int n,
                         int64_t *offset)
{
  struct store_list list = {.n = n};
  TRY (MEM_NEW ((size_t)n, &list.entry, "list of tensors"));
  for (int i = 0; i < n; i++) {
    struct store_entry *e = &list.entry[i];
    snprintf (e->path, sizeof e->path, "%s", t[i].path);
    e->n_dims = t[i].n_dims;
    memcpy (e->dims, t[i].dims, sizeof e->dims);
    e->type = t[i].type;
    list.bytes += (int64_t)store_entry_bytes (e);
  }
  store_h5_start ();
  enum status s = store_checkpoint_create (part, &list, NULL, offset);
  store_list_clear (&list);
  return s;
}

/* -- looking at it again --------------------------------------------------- */

static enum status
compare_text (const struct store_h5_at *at, const char *name,
              const char *wanted)
{
  char *found = NULL;
  TRY (store_h5_get_text (at, name, &found));
  enum status s = OK;
  if (strcmp (found, wanted) != 0)
    s = fail (E_IO,
              "%s: %s: attribute \"%s\" is \"%.40s\", written was "
              "\"%.40s\"",
              at->file, at->path, name, found, wanted);
  mem_free (&found);
  return s;
}

static enum status
compare_set (hid_t file, const char *part, const struct store_entry *e,
             int64_t offset)
{
  hid_t id = H5Dopen2 (file, e->path, H5P_DEFAULT);
  if (id < 0)
    return fail (E_IO, "%s: %s is not there", part, e->path);
  struct store_h5_at at = {id, part, e->path, E_IO};
  int n_dims = 0;
  int64_t dims[STORE_H5_DIMS];
  enum status s = store_h5_shape (&at, &n_dims, dims);
  if (s == OK && (n_dims != e->n_dims ||
                  memcmp (dims, e->dims, (size_t)n_dims * sizeof *dims) != 0 ||
                  (offset >= 0 && H5Dget_offset (id) != (haddr_t)offset)))
    s = fail (E_IO, "%s: %s: another shape or place than was written", part,
              e->path);
  if (s == OK)
    s = compare_text (&at, "digest", e->digest);
  H5Dclose (id);
  return s;
}

enum status
store_checkpoint_compare (const char *part, const struct store_list *list,
                          const struct store_attributes *a,
                          const int64_t *offset)
{
  hid_t file = -1;
  char digest[33];
  TRY (store_h5_open (part, E_IO, &file));
  struct store_h5_at root = {file, part, "/", E_IO};
  store_list_digest (list, a, digest);
  enum status s = compare_text (&root, "digest", digest);
  if (s == OK)
    s = compare_text (&root, "config", a->config);
  for (int i = 0; s == OK && i < list->n; i++)
    s = compare_set (file, part, &list->entry[i], offset[i]);
  H5Fclose (file);
  return s;
}

enum status
store_checkpoint_damage (const char *part, int64_t offset)
{
  unsigned char byte = 0;
  int fd = open (part, O_RDWR | O_CLOEXEC);
  bool good = fd >= 0 && pread (fd, &byte, 1, (off_t)offset) == 1;
  byte ^= 0x10;
  good = good && pwrite (fd, &byte, 1, (off_t)offset) == 1;
  if (fd >= 0)
    close (fd);
  return good ? OK : fail (E_IO, "%s: not damaged", part);
}

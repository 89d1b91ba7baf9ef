/* weights/file.c -- a file of tensors in either format. */
#include "weights/weights_impl.h"

#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "numbers of both formats are little-endian");

/* -- HDF5 ------------------------------------------------------------------ */

/* "/model/fc.bias" is fc.bias; "/heads/1/0.weight" heads.1.0.weight. */
static bool
name_of_path (const char *path, bool under_model, bool heads,
              char name[TENSOR_NAME])
{
  static const char model[] = "/model/", head[] = "/heads/";
  if (strncmp (path, head, strlen (head)) == 0) {
    snprintf (name, TENSOR_NAME, "%s", path + 1);
    for (char *p = name; (p = strchr (p, '/'));)
      *p = '.';
    return heads;
  }
  if (under_model && strncmp (path, model, strlen (model)) != 0)
    return false;
  snprintf (name, TENSOR_NAME, "%s", path + (under_model ? strlen (model) : 1));
  return strncmp (path, "/optimizer/", 11) != 0;
}

static enum status
list_tensor (struct weights_file *f, struct weights_tensor *t)
{
  struct store_tensor s = {.n_dims = 0};
  snprintf (s.path, sizeof s.path, "%s", t->path);
  bool float_there = store_checkpoint_is_weight (f->h5, t->path);
  if (!float_there) { /* a counter */
    t->type = WEIGHTS_OTHER;
    snprintf (t->word, sizeof t->word, "integer");
    return OK;
  }
  TRY (store_checkpoint_shape (f->h5, &s));
  t->type = WEIGHTS_F32; /* HDF5 widens */
  t->n_dims = s.n_dims;
  memcpy (t->dims, s.dims, sizeof t->dims);
  return OK;
}

static enum status
list_h5 (struct weights_file *f, const char *paths, bool heads)
{
  size_t n = 0;
  bool under_model =
      strncmp (paths, "/model/", 7) == 0 || strstr (paths, "\n/model/") != NULL;
  for (const char *p = paths; *p; p++)
    n += *p == '\n';
  TRY (MEM_NEW (n + 1, &f->tensor, "list of tensors"));
  for (const char *p = paths; *p; p += strcspn (p, "\n") + 1) {
    struct weights_tensor *t = &f->tensor[f->n];
    snprintf (t->path, sizeof t->path, "%.*s", (int)strcspn (p, "\n"), p);
    if (strlen (t->path) >= sizeof t->name)
      return fail (E_CHECKPOINT, "%s: %s: a name too long", f->path, t->path);
    if (!name_of_path (t->path, under_model, heads, t->name))
      continue;
    TRY (list_tensor (f, t));
    f->n++;
  }
  return OK;
}

static enum status
open_h5 (struct weights_file *f, bool heads)
{
  struct text paths;
  text_init (&paths);
  enum status s = store_checkpoint_open (f->path, &f->h5);
  if (s == OK)
    s = store_checkpoint_agrees (f->h5);
  if (s == OK)
    s = store_checkpoint_paths (f->h5, &paths);
  if (s == OK)
    s = list_h5 (f, paths.data, heads);
  text_clear (&paths);
  return s;
}

/* -- both ------------------------------------------------------------------ */

enum status
weights_open (const char *path, bool heads, struct weights_file *f)
{
  static const char mark[] = "\211HDF\r\n\032\n";
  char first[8] = "";
  *f = (struct weights_file){.path = path};
  f->fd = open (path, O_RDONLY | O_CLOEXEC);
  if (f->fd < 0)
    return fail (E_MISSING, "%s: %s", path, strerror (errno));
  ssize_t got = pread (f->fd, first, sizeof first, 0);
  bool h5 = got == 8 && memcmp (first, mark, 8) == 0;
  if (h5) {
    close (f->fd);
    f->fd = -1;
  }
  enum status s = h5 ? open_h5 (f, heads) : weights_header_read (f);
  if (s == OK && f->n == 0)
    s = fail (E_CHECKPOINT, "%s: there are no tensors in it", path);
  if (s != OK)
    weights_close (f);
  return s;
}

void
weights_close (struct weights_file *f)
{
  if (f->fd >= 0)
    close (f->fd);
  f->fd = -1;
  store_checkpoint_close (&f->h5);
  mem_free (&f->tensor);
}

static enum status
read_bytes (const struct weights_file *f, const struct weights_tensor *t,
            char *out)
{
  for (int64_t at = t->begin; at < t->end;) {
    ssize_t n =
        pread (f->fd, out + (at - t->begin), (size_t)(t->end - at), (off_t)at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return fail (n < 0 ? E_IO : E_CHECKPOINT, "%s: %s: not read: %s", f->path,
                   t->name, n < 0 ? strerror (errno) : "cut off");
    at += n;
  }
  return OK;
}

enum status
weights_read (const struct weights_file *f, const struct weights_tensor *t,
              float *out)
{
  void *bytes = NULL;
  if (f->h5) {
    struct store_tensor s = {.n_dims = t->n_dims, .data = out};
    snprintf (s.path, sizeof s.path, "%s", t->path);
    memcpy (s.dims, t->dims, sizeof s.dims);
    return store_checkpoint_read (f->h5, &s);
  }
  if (t->type == WEIGHTS_F32)
    return read_bytes (f, t, (char *)out);
  TRY (mem_new ((size_t)(t->end - t->begin), 1, t->name, &bytes));
  enum status s = read_bytes (f, t, bytes);
  if (s == OK)
    weights_widen (t->type, bytes, (size_t)weights_count (t), out);
  mem_free (&bytes);
  return s;
}

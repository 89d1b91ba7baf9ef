/* import/file.c -- files and folders by their paths, on the disk or in an
 * archive that has been read.
 *
 * The members of an archive are sorted by name, so that what is in a folder
 * stands together.
 */
#include "import/packed_impl.h"

#include "base/memory.h"
#include "store/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct import_packed *all;
static size_t n_all;

/* -- archives -------------------------------------------------------------- */

enum status
import_packed_add (struct import_packed *p, const char *name, int64_t bytes)
{
  if (p->n == p->room) {
    size_t room = p->room ? 2 * p->room : 1024;
    TRY (mem_grow (&p->member, p->room, room, sizeof *p->member,
                   "list of an archive"));
    p->room = room;
  }
  p->member[p->n++] = (struct import_member){
      .in_names = p->names.size, .at = p->bytes, .bytes = bytes};
  text_add (&p->names, "%s\n", name);
  p->bytes += bytes;
  return OK;
}

/* Of equal names the later one is meant. */
static int
by_name (const void *a, const void *b)
{
  const struct import_member *x = a, *y = b;
  int names = strcmp (x->name, y->name);
  return names ? names
               : (x->in_names < y->in_names) - (x->in_names > y->in_names);
}

static void
sort (struct import_packed *p)
{
  size_t n = 0;
  for (char *c = p->names.data; (c = strchr (c, '\n')); c++)
    *c = '\0';
  for (size_t i = 0; i < p->n; i++)
    p->member[i].name = p->names.data + p->member[i].in_names;
  if (p->n > 0)
    qsort (p->member, p->n, sizeof *p->member, by_name);
  for (size_t i = 0; i < p->n; i++)
    if (n == 0 || strcmp (p->member[n - 1].name, p->member[i].name) != 0)
      p->member[n++] = p->member[i];
  p->n = n;
}

enum status
import_packed_done (struct import_packed *p)
{
  TRY (mem_grow (&all, n_all, n_all + 1, sizeof *all, "archives"));
  sort (p);
  all[n_all++] = *p;
  *p = (struct import_packed){.fd = -1};
  text_init (&p->names);
  return OK;
}

void
import_packed_clear (struct import_packed *p)
{
  if (p->fd >= 0)
    close (p->fd);
  mem_free (&p->path);
  mem_free (&p->member);
  text_clear (&p->names);
}

void
import_packed_close (void)
{
  for (size_t i = 0; i < n_all; i++)
    import_packed_clear (&all[i]);
  n_all = 0;
  mem_free (&all);
}

/* The archive that path leads into, and what of it is the member's name. */
static const struct import_packed *
archive_of (const char *path, const char **name)
{
  for (size_t i = 0; i < n_all; i++) {
    size_t n = strlen (all[i].path);
    if (strncmp (all[i].path, path, n) != 0 || (path[n] && path[n] != '/'))
      continue;
    *name = path + n + (path[n] == '/');
    return &all[i];
  }
  return NULL;
}

/* The first member that is not before these n bytes. */
static size_t
find (const struct import_packed *p, const char *name, size_t n)
{
  size_t from = 0, to = p->n;
  while (from < to) {
    size_t middle = from + (to - from) / 2;
    if (strncmp (p->member[middle].name, name, n) < 0)
      from = middle + 1;
    else
      to = middle;
  }
  return from;
}

static const struct import_member *
member_of (const struct import_packed *p, const char *name)
{
  size_t i = find (p, name, strlen (name) + 1);
  return i < p->n && strcmp (p->member[i].name, name) == 0 ? &p->member[i]
                                                           : NULL;
}

/* A folder's name with the "/" behind it; "" for the archive itself. */
static void
folder_name (const char *name, struct text *out)
{
  size_t n = strlen (name);
  while (n > 0 && name[n - 1] == '/')
    n--;
  text_add (out, "%.*s%s", (int)n, name, n > 0 ? "/" : "");
}

bool
import_file_packed (const char *path)
{
  const char *name;
  const struct import_packed *p = archive_of (path, &name);
  struct text folder;
  if (!p)
    return false;
  text_init (&folder);
  folder_name (name, &folder);
  size_t i = find (p, folder.data, folder.size);
  bool found =
      folder.size == 0 ||
      (i < p->n && strncmp (p->member[i].name, folder.data, folder.size) == 0);
  text_clear (&folder);
  return found;
}

bool
import_file_next (const char *path, size_t *at, struct import_name *out)
{
  const char *name;
  const struct import_packed *p = archive_of (path, &name);
  struct text folder;
  text_init (&folder);
  folder_name (name, &folder);
  size_t n = folder.size, i = *at ? *at : find (p, folder.data, n);
  if (i < p->n && strlen (p->member[i].name) == n) /* the folder itself */
    i++;
  bool found = i < p->n && strncmp (p->member[i].name, folder.data, n) == 0;
  if (found) {
    const struct import_member *m = &p->member[i];
    size_t length = strcspn (m->name + n, "/");
    out->folder = m->name[n + length] == '/';
    out->bytes = out->folder ? 0 : m->bytes;
    snprintf (out->name, sizeof out->name, "%.*s", (int)length, m->name + n);
    /* All that is in a folder in it. */
    size_t whole = n + length + out->folder;
    for (i++; out->folder && i < p->n; i++)
      if (strncmp (p->member[i].name, m->name, whole) != 0)
        break;
  }
  *at = i;
  text_clear (&folder);
  return found;
}

/* -- files ----------------------------------------------------------------- */

enum status
import_file_open (const char *path, struct import_file *f)
{
  const char *name = "";
  const struct import_packed *p = archive_of (path, &name);
  const struct import_member *m = p && *name ? member_of (p, name) : NULL;
  int fd = -1;
  if (m)
    fd = fcntl (p->fd, F_DUPFD_CLOEXEC, 0);
  else if (p && *name)
    errno = ENOENT;
  else
    fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return fail (E_MISSING, "%s: %s", path, strerror (errno));
  *f = (struct import_file){fd, m ? m->at : 0, m ? m->bytes : -1};
  return OK;
}

ssize_t
import_file_take (struct import_file *f, void *out, size_t room)
{
  ssize_t n;
  if (f->left >= 0 && (int64_t)room > f->left)
    room = (size_t)f->left;
  do
    n = f->left >= 0 ? pread (f->fd, out, room, f->at)
                     : read (f->fd, out, room);
  while (n < 0 && errno == EINTR);
  if (n > 0 && f->left >= 0) {
    f->at += n;
    f->left -= n;
  }
  return n;
}

void
import_file_close (struct import_file *f)
{
  if (f->fd >= 0)
    close (f->fd);
  f->fd = -1;
}

enum status
import_file_read (const char *path, char **data, size_t *size)
{
  const char *name;
  struct import_file f;
  if (!archive_of (path, &name))
    return store_file_read (path, data, size);
  TRY (import_file_open (path, &f));
  char *out = NULL;
  size_t n = (size_t)f.left, have = 0;
  ssize_t got = 1;
  enum status s = mem_new (n + 1, 1, path, (void **)&out);
  while (s == OK && have < n && got > 0) {
    got = import_file_take (&f, out + have, n - have);
    have += got > 0 ? (size_t)got : 0;
  }
  if (s == OK && have < n)
    s = fail (E_IO, "%s: cannot be read: %s", path, strerror (errno));
  import_file_close (&f);
  if (s == OK) {
    *data = out;
    *size = n;
  } else
    mem_free (&out);
  return s;
}

bool
import_file_there (const char *path)
{
  const char *name;
  const struct import_packed *p = archive_of (path, &name);
  return p ? member_of (p, name) != NULL : access (path, F_OK) == 0;
}

bool
import_file_is_folder (const char *path)
{
  return import_file_packed (path) || store_file_is_folder (path);
}

/* store/output.c -- a file that the user has named as an output.
 *
 * A file is made beside it under another name and then renamed, so that it is
 * there whole or not at all.  But the name may stand for something that must
 * not be replaced.  Of a link the file that it leads to is written, wherever
 * that lies; a pipe, a device or a descriptor of ours (/dev/stdout) is written
 * to.
 */
#include "store/file.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_LINKS 40

/* -- what a name stands for ------------------------------------------------ */

/* The number in /dev/fd/N and its like; -1: another name. */
static int
descriptor (const char *path)
{
  static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/",
                                        "/proc/thread-self/fd/"};
  int64_t n;
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    size_t length = strlen (folders[i]);
    if (strncmp (path, folders[i], length) == 0 &&
        text_to_long (path + length, &n) && n >= 0 && n <= 1 << 20)
      return (int)n;
  }
  return -1;
}

/* One link further; false: path is none. */
static bool
follow (struct text *path)
{
  char target[4096];
  ssize_t n = readlink (path->data, target, sizeof target - 1);
  if (n <= 0)
    return false;
  target[n] = '\0';
  struct text next;
  text_init (&next);
  if (target[0] != '/') {
    store_file_directory (path->data, &next);
    text_add (&next, "/");
  }
  text_add (&next, "%s", target);
  text_clear (path);
  *path = next;
  return true;
}

/* Where the links of a name lead to; the last part alone is looked at. */
static enum status
resolve (const char *name, struct text *out)
{
  text_init (out);
  text_add (out, "%s", name);
  for (int i = 0; i < MOST_LINKS; i++)
    if (descriptor (out->data) >= 0 || !follow (out))
      return OK;
  return fail (E_USAGE, "%s: more than %d links, one to the other", name,
               MOST_LINKS);
}

static enum status
classify (const char *name, struct store_output *o)
{
  struct stat st;
  bool there = o->fd >= 0 ? fstat (o->fd, &st) == 0 : stat (o->to, &st) == 0;
  if (o->fd >= 0 && !there)
    return fail (E_USAGE, "%s: descriptor %d is not open", name, o->fd);
  if (!there)
    return OK; /* to be made */
  if (S_ISDIR (st.st_mode))
    return fail (E_USAGE, "%s: is a directory; name a file in it", name);
  if (S_ISBLK (st.st_mode) || S_ISSOCK (st.st_mode))
    return fail (E_USAGE,
                 "%s: is a %s; an output is a file, a pipe or a terminal", name,
                 S_ISBLK (st.st_mode) ? "disk" : "socket");
  o->stream = o->fd >= 0 || !S_ISREG (st.st_mode);
  o->mode = st.st_mode & 0777;
  return OK;
}

/* "NAME.HOST-NAMESPACE.": with the number of a process behind it no two that
 * make the same output at once write to one file. */
static void
name_stem (const char *to, struct text *out)
{
  char host[256] = "";
  gethostname (host, sizeof host - 1);
  text_add (out, "%s.%.24s-%llx.", to, host,
            (unsigned long long)store_process_space ());
}

/* The file that is made meanwhile: what runs through a pipe has a place among
 * temporary files. */
static enum status
name_part (struct store_output *o)
{
  struct text part;
  enum status s;
  text_init (&part);
  if (o->stream) {
    const char *folder = getenv ("TMPDIR");
    text_add (&part, "%s/interlock-%ld-%.0f.part",
              folder && folder[0] ? folder : "/tmp", (long)getpid (),
              clock_wall_s () * 1e6);
  } else {
    name_stem (o->to, &part);
    text_add (&part, "%ld.part", (long)getpid ());
  }
  s = mem_text (part.data, &o->part);
  text_clear (&part);
  return s;
}

/* "17.part" and "17.part.train.txt" of a process here that is gone. */
static bool
is_left (const char *tail)
{
  static const char letters[] = ".abcdefghijklmnopqrstuvwxyz";
  char *end;
  long pid = strtol (tail, &end, 10);
  if (strchr ("123456789", tail[0]) == NULL || !tail[0] ||
      strncmp (end, ".part", 5) != 0)
    return false;
  end += 5;
  if ((*end && *end != '.') || end[strspn (end, letters)])
    return false;
  return kill ((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* What one that was killed has left of the same output. */
static void
sweep (const struct store_output *o)
{
  struct text folder, stem;
  struct stat st;
  text_init (&folder);
  text_init (&stem);
  store_file_directory (o->to, &folder);
  name_stem (store_file_name (o->to), &stem);
  DIR *dir = opendir (folder.data);
  for (struct dirent *e; dir && (e = readdir (dir));)
    if (strncmp (e->d_name, stem.data, stem.size) == 0 &&
        is_left (e->d_name + stem.size) &&
        fstatat (dirfd (dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG (st.st_mode))
      (void)unlinkat (dirfd (dir), e->d_name, 0);
  if (dir)
    closedir (dir);
  text_clear (&folder);
  text_clear (&stem);
}

enum status
store_output_open (const char *name, struct store_output *o)
{
  struct text path;
  *o = (struct store_output){.fd = -1};
  enum status s = resolve (name, &path);
  if (s == OK)
    s = mem_text (path.data, &o->to);
  if (s == OK) {
    o->fd = descriptor (path.data);
    s = classify (name, o);
  }
  text_clear (&path);
  if (s == OK)
    s = name_part (o);
  if (s != OK)
    store_output_clear (o);
  return s;
}

enum status
store_output_parents (const struct store_output *o)
{
  if (o->stream)
    return OK;
  TRY (store_file_parents (o->to));
  sweep (o);
  return OK;
}

void
store_output_clear (struct store_output *o)
{
  mem_free (&o->to);
  mem_free (&o->part);
}

/* -- streams --------------------------------------------------------------- */

static enum status
put_all (int fd, const char *name, const char *data, size_t left)
{
  while (left > 0) {
    ssize_t n = write (fd, data, left);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail (E_IO, "%s: not written: %s", name, strerror (errno));
    data += n;
    left -= (size_t)n;
  }
  return OK;
}

/* Flushes what was printed through the same descriptor, so that it comes first.
 * Opening a pipe waits until somebody reads it. */
static enum status
open_stream (const struct store_output *o, int *fd)
{
  (void)put_done ();
  *fd =
      o->fd >= 0 ? dup (o->fd) : open (o->to, O_WRONLY | O_NOCTTY | O_CLOEXEC);
  if (*fd < 0)
    return fail (E_IO, "%s: not opened: %s", o->to, strerror (errno));
  return OK;
}

static enum status
copy_part (const struct store_output *o, int to)
{
  enum { BLOCK = 1 << 18 };
  char *block = NULL;
  ssize_t n = 1;
  int from = open (o->part, O_RDONLY | O_CLOEXEC);
  if (from < 0)
    return fail (E_IO, "%s: not opened: %s", o->part, strerror (errno));
  unlink (o->part); /* nobody is to find it when the reader leaves */
  enum status s = MEM_NEW (BLOCK, &block, "a stream");
  while (s == OK && n > 0) {
    n = read (from, block, BLOCK);
    if (n < 0 && errno == EINTR)
      n = 1;
    else if (n < 0)
      s = fail (E_IO, "%s: not read back: %s", o->part, strerror (errno));
    else
      s = put_all (to, o->to, block, (size_t)n);
  }
  close (from);
  mem_free (&block);
  return s;
}

static enum status
close_stream (int fd, const char *name, enum status s)
{
  if (fd >= 0 && close (fd) != 0 && s == OK)
    return fail (E_IO, "%s: not written: %s", name, strerror (errno));
  return s;
}

/* -- whole ----------------------------------------------------------------- */

/* The new file keeps the permissions of the one that it replaces. */
static enum status
replace (const struct store_output *o)
{
  if (o->mode != 0)
    (void)chmod (o->part, o->mode);
  TRY (store_file_sync (o->part));
  return store_file_rename (o->part, o->to);
}

enum status
store_output_publish (const struct store_output *o)
{
  int fd = -1;
  if (!o->stream)
    return replace (o);
  enum status s = open_stream (o, &fd);
  if (s == OK)
    s = copy_part (o, fd);
  return close_stream (fd, o->to, s);
}

static enum status
put_stream (const struct store_output *o, const void *data, size_t size)
{
  int fd = -1;
  enum status s = open_stream (o, &fd);
  if (s == OK)
    s = put_all (fd, o->to, data, size);
  return close_stream (fd, o->to, s);
}

enum status
store_output_put (const char *name, const void *data, size_t size)
{
  struct store_output o;
  TRY (store_output_open (name, &o));
  enum status s = OK;
  if (o.stream)
    s = put_stream (&o, data, size);
  else {
    s = store_file_write (o.part, data, size);
    if (s == OK)
      s = replace (&o);
    if (s != OK)
      unlink (o.part);
    else if (o.mode != 0)
      say (LOG_INFO, "%s: what was there is replaced", name);
  }
  store_output_clear (&o);
  return s;
}

/* store/file.c -- folders, whole files, syncing and renaming. */
#define _GNU_SOURCE
#include "store/file.h"

#include "base/hash.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is made never goes through a link that lies in its place. */
enum { NEW_FILE = O_CREAT | O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC };

const char *
store_file_name (const char *path)
{
  const char *slash = strrchr (path, '/');
  return slash ? slash + 1 : path;
}

void
store_file_directory (const char *path, struct text *out)
{
  const char *name = store_file_name (path);
  if (name == path)
    text_add (out, ".");
  else if (name == path + 1)
    text_add (out, "/");
  else
    text_add (out, "%.*s", (int)(name - path - 1), path);
}

bool
store_file_is_folder (const char *path)
{
  struct stat st;
  return stat (path, &st) == 0 && S_ISDIR (st.st_mode);
}

const char *
store_file_kind_words (unsigned mode)
{
  return S_ISREG (mode)    ? "a file"
         : S_ISLNK (mode)  ? "a link"
         : S_ISDIR (mode)  ? "a directory"
         : S_ISFIFO (mode) ? "a pipe"
         : S_ISSOCK (mode) ? "a socket"
                           : "a device";
}

int64_t
store_file_bytes (const char *path)
{
  struct stat st;
  return stat (path, &st) == 0 ? (int64_t)st.st_size : -1;
}

enum status
store_file_folder (const char *path)
{
  char *copy = NULL;
  TRY (mem_text (path, &copy));
  enum status s = OK;
  for (char *p = copy + 1; s == OK; p++) {
    if (*p != '/' && *p != '\0')
      continue;
    char kept = *p;
    *p = '\0';
    if (mkdir (copy, 0777) != 0 && errno != EEXIST)
      s = fail (E_IO, "%s: directory not made: %s", copy, strerror (errno));
    *p = kept;
    if (kept == '\0')
      break;
  }
  mem_free (&copy);
  if (s == OK && !store_file_is_folder (path))
    s = fail (E_IO, "%s: is there, but is not a directory", path);
  return s;
}

enum status
store_file_parents (const char *path)
{
  struct text t;
  text_init (&t);
  store_file_directory (path, &t);
  enum status s = store_file_folder (t.data);
  text_clear (&t);
  return s;
}

enum status
store_file_reserve (const char *path, int64_t bytes)
{
  int fd = open (path, NEW_FILE, 0666);
  if (fd < 0)
    return fail (E_IO, "%s: not created: %s", path, strerror (errno));
  /* fallocate, not posix_fallocate: where the file system cannot reserve it
   * says so instead of writing zeros. */
  int error = bytes > 0 && fallocate (fd, 0, 0, bytes) != 0 ? errno : 0;
  close (fd);
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    unlink (path);
    return fail (E_IO, "%s: no room for %s: %s", path,
                 text_bytes ((double)bytes), strerror (error));
  }
  return OK;
}

enum status
store_file_sync (const char *path)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return fail (E_IO, "%s: not opened: %s", path, strerror (errno));
  int error = fsync (fd) != 0 ? errno : 0;
  close (fd);
  /* Some file systems have nothing to sync in a directory and say EINVAL. */
  if (error != 0 && error != EINVAL)
    return fail (E_IO, "%s: not synced: %s", path, strerror (error));
  return OK;
}

void
store_file_forget (const char *path)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return;
  (void)posix_fadvise (fd, 0, 0, POSIX_FADV_DONTNEED);
  close (fd);
}

enum status
store_file_openable (const char *path, bool write, enum status bad)
{
  enum { SPARE = 8 };
  int fd[SPARE], n = 0;
  enum status s = OK;
  while (n < SPARE &&
         (fd[n] = open (path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC)) >= 0)
    n++;
  if (n < SPARE)
    s = fail (bad, "%s: not opened: %s", path, strerror (errno));
  while (n > 0)
    close (fd[--n]);
  return s;
}

enum status
store_file_rename (const char *from, const char *to)
{
  if (rename (from, to) != 0)
    return fail (E_IO, "%s: not renamed to %s: %s", from, to, strerror (errno));
  struct text t;
  text_init (&t);
  store_file_directory (to, &t);
  enum status s = store_file_sync (t.data);
  text_clear (&t);
  return s;
}

static enum status
read_all (int fd, const char *path, char *data, size_t size)
{
  size_t done = 0;
  while (done < size) {
    ssize_t n = read (fd, data + done, size - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail (E_IO, "%s: not read: %s", path, strerror (errno));
    if (n == 0)
      return fail (E_IO, "%s: shrank while it was read", path);
    done += (size_t)n;
  }
  return OK;
}

enum status
store_file_read (const char *path, char **data, size_t *size)
{
  /* Nobody is waited for at a pipe that is no file. */
  int fd = open (path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0)
    return fail (E_MISSING, "%s: %s", path, strerror (errno));
  struct stat st;
  char *all = NULL;
  enum status s = OK;
  if (fstat (fd, &st) != 0 || !S_ISREG (st.st_mode)) {
    s = fail (E_MISSING, "%s: not a regular file", path);
    goto done;
  }
  TRY_GOTO (mem_new ((size_t)st.st_size + 1, 1, path, (void **)&all), done);
  TRY_GOTO (read_all (fd, path, all, (size_t)st.st_size), done);
  *data = all;
  *size = (size_t)st.st_size;
  all = NULL;
done:
  mem_free (&all);
  close (fd);
  return s;
}

static enum status
write_all (int fd, const char *path, const char *data, size_t left)
{
  while (left > 0) {
    ssize_t n = write (fd, data, left);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail (E_IO, "%s: not written: %s", path, strerror (errno));
    data += n;
    left -= (size_t)n;
  }
  if (fsync (fd) != 0 && errno != EINVAL)
    return fail (E_IO, "%s: not synced: %s", path, strerror (errno));
  return OK;
}

enum status
store_file_write (const char *path, const void *data, size_t size)
{
  int fd = open (path, NEW_FILE, 0666);
  if (fd < 0)
    return fail (E_IO, "%s: not created: %s", path, strerror (errno));
  enum status s = write_all (fd, path, data, size);
  close (fd);
  if (s != OK)
    unlink (path);
  return s;
}

enum status
store_file_overwrite (const char *path, const char *text)
{
  size_t size = strlen (text);
  int fd = open (path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return fail (E_IO, "%s: not opened: %s", path, strerror (errno));
  enum status s = write_all (fd, path, text, size);
  if (ftruncate (fd, (off_t)size) != 0 && s == OK)
    s = fail (E_IO, "%s: not cut: %s", path, strerror (errno));
  close (fd);
  return s;
}

enum status
store_file_put (const char *path, const char *text)
{
  struct text part;
  text_init (&part);
  text_add (&part, "%s.part", path);
  enum status s = store_file_write (part.data, text, strlen (text));
  if (s == OK && (s = store_file_rename (part.data, path)) != OK)
    unlink (part.data);
  text_clear (&part);
  return s;
}

static enum status
digest_stream (FILE *f, const char *path, struct hash_stream *h)
{
  char piece[1 << 16];
  size_t n;
  while ((n = fread (piece, 1, sizeof piece, f)) > 0)
    hash_stream_add (h, piece, n);
  return ferror (f) ? fail (E_IO, "%s: not read: %s", path, strerror (errno))
                    : OK;
}

enum status
store_file_digest (const char *path, char out[33])
{
  struct hash_stream *h = NULL;
  FILE *f = fopen (path, "re");
  if (!f)
    return fail (E_MISSING, "%s: %s", path, strerror (errno));
  enum status s = hash_stream_open (&h);
  if (s == OK)
    s = digest_stream (f, path, h);
  if (s == OK)
    hash_stream_digest (h, out);
  hash_stream_close (&h);
  fclose (f);
  return s;
}

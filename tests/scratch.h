/* tests/scratch.h -- a folder for the files of a test, and its removal.
 */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <dirent.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRATCH_FN static inline __attribute__ ((unused))

static char scratch_folder[256];

SCRATCH_FN bool
scratch_open (void)
{
  const char *base = getenv ("TMPDIR");
  snprintf (scratch_folder, sizeof scratch_folder, "%s/il-store-XXXXXX",
            base && base[0] ? base : "/tmp");
  if (!mkdtemp (scratch_folder))
    return false;
  /* What is measured here is nobody else's. */
  return setenv ("INTERLOCK_CACHE", scratch_folder, 1) == 0;
}

SCRATCH_FN void
scratch_remove (const char *path)
{
  DIR *dir = opendir (path);
  for (struct dirent *e; dir && (e = readdir (dir));) {
    char inner[1024];
    if (snprintf (inner, sizeof inner, "%s/%s", path, e->d_name) >=
        (int)sizeof inner)
      continue;
    if (strcmp (e->d_name, ".") != 0 && strcmp (e->d_name, "..") != 0)
      scratch_remove (inner);
  }
  if (dir)
    closedir (dir);
  remove (path);
}

SCRATCH_FN void
scratch_close (void)
{
  scratch_remove (scratch_folder);
}

/* A path in the folder; one of eight rotating buffers. */
__attribute__ ((format (printf, 1, 2))) SCRATCH_FN const char *
scratch (const char *fmt, ...)
{
  static char buffers[8][512];
  static unsigned turn;
  char *out = buffers[turn++ % 8];
  int n = snprintf (out, 512, "%s/", scratch_folder);
  va_list args;
  va_start (args, fmt);
  vsnprintf (out + n, 512 - (size_t)n, fmt, args);
  va_end (args);
  return out;
}

SCRATCH_FN void
scratch_write (const char *path, const void *data, size_t size)
{
  FILE *f = fopen (path, "wb");
  if (!f || fwrite (data, 1, size, f) != size || fclose (f) != 0)
    fprintf (stderr, "# %s: not written\n", path);
}

/* Entries of the folder that are half-made. */
SCRATCH_FN int
scratch_parts (void)
{
  int n = 0;
  DIR *dir = opendir (scratch_folder);
  for (struct dirent *e; dir && (e = readdir (dir));)
    n += strstr (e->d_name, ".part") != NULL;
  if (dir)
    closedir (dir);
  return n;
}

SCRATCH_FN int64_t
scratch_bytes (const char *path)
{
  struct stat st;
  return stat (path, &st) == 0 ? (int64_t)st.st_size : -1;
}

/* Turn one bit of the byte at that place (from the end when negative). */
SCRATCH_FN void
scratch_flip (const char *path, int64_t at)
{
  FILE *f = fopen (path, "r+b");
  fseek (f, (long)at, at < 0 ? SEEK_END : SEEK_SET);
  int c = fgetc (f);
  fseek (f, -1, SEEK_CUR);
  fputc (c ^ 0x10, f);
  fclose (f);
}

#endif

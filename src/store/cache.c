/* store/cache.c -- entries of the cache as files, and their number bounded.
 *
 * An entry is DIGEST.KIND:
 *
 *     interlock cache 1 DIGEST OF WHAT FOLLOWS
 *     key KEY
 *     seconds S
 *     TEXT
 */
#include "store/cache.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "store/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MOST_ENTRIES 600
#define MOST_BYTES (32 << 20)
#define ENTRY_BYTES (1 << 20) /* a larger one is none of ours */
#define DAY_S (24 * 3600)
#define DIGITS 32
static const char head[] = "interlock cache 1 ";

/* -- the directory --------------------------------------------------------- */

/* "" when there is no home for it. */
static void
folder (struct text *out)
{
  const char *own = getenv ("INTERLOCK_CACHE"),
             *caches = getenv ("XDG_CACHE_HOME"), *home = getenv ("HOME");
  if (own && own[0])
    text_add (out, "%s/start", own);
  else if (caches && caches[0])
    text_add (out, "%s/interlock/start", caches);
  else if (home && home[0])
    text_add (out, "%s/.cache/interlock/start", home);
}

/* The kept message, to those who wonder why a start takes long: one is enough.
 */
static void
say_unusable (void)
{
  static bool said;
  if (!said)
    say (LOG_INFO, "no cache of measurements: %s", fail_message ());
  said = true;
  fail_clear ();
}

/* The path of an entry.  E_IO: there is no directory. */
static enum status
entry_path (const char *kind, const char *key, struct text *path)
{
  char digest[DIGITS + 1];
  hash_digest (key, strlen (key), digest);
  folder (path);
  if (!path->size)
    return fail (E_IO, "none of INTERLOCK_CACHE, XDG_CACHE_HOME and HOME is "
                       "set");
  text_add (path, "/%s.%s", digest, kind);
  return OK;
}

/* -- reading --------------------------------------------------------------- */

struct entry {
  double seconds;
  const char *text; /* within data */
  char *data;       /* owned */
};

/* What is wrong with it; NULL: nothing. */
static const char *
take_apart (const char *key, size_t size, struct entry *e)
{
  char digest[DIGITS + 1];
  const size_t n = sizeof head - 1, length = strlen (key);
  if (size <= n + DIGITS || strlen (e->data) != size ||
      strncmp (e->data, head, n) != 0 || e->data[n + DIGITS] != '\n')
    return "is not an entry of this cache";
  char *at = e->data + n + DIGITS + 1, *end;
  hash_digest (at, size - (size_t)(at - e->data), digest);
  if (strncmp (e->data + n, digest, DIGITS) != 0)
    return "is damaged";
  if (strncmp (at, "key ", 4) != 0 || strncmp (at + 4, key, length) != 0 ||
      at[4 + length] != '\n')
    return "is of another key";
  at += 4 + length + 1;
  if (strncmp (at, "seconds ", 8) != 0)
    return "is damaged";
  e->seconds = strtod (at + 8, &end);
  if (end == at + 8 || *end != '\n')
    return "is damaged";
  e->text = end + 1;
  return NULL;
}

/* So that entries in use are not the oldest; a few times a week are enough. */
static void
touch (const char *path)
{
  struct stat st;
  int fd = open (path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0 && fstat (fd, &st) == 0 && time (NULL) - st.st_mtime > DAY_S)
    (void)futimens (fd, NULL);
  if (fd >= 0)
    close (fd);
}

/* False: there is none; aloud: say so where something lies in its place. */
static bool
read_entry (const char *path, const char *key, bool aloud, struct entry *e)
{
  size_t size = 0;
  const char *wrong = NULL;
  *e = (struct entry){0};
  if (access (path, F_OK) != 0)
    return false;
  if (store_file_bytes (path) > ENTRY_BYTES)
    wrong = "is too large for an entry of this cache";
  else if (store_file_read (path, &e->data, &size) != OK)
    wrong = "cannot be read";
  else
    wrong = take_apart (key, size, e);
  fail_clear ();
  if (!wrong) {
    touch (path);
    return true;
  }
  mem_free (&e->data);
  say (aloud ? LOG_INFO : LOG_DEBUG,
       "%s %s: not used, and replaced when that is measured", path, wrong);
  return false;
}

enum status
store_cache_get (const char *kind, const char *key, char **text)
{
  struct text path;
  struct entry e = {0};
  text_init (&path);
  enum status s = entry_path (kind, key, &path);
  bool there = s == OK && read_entry (path.data, key, true, &e);
  if (s != OK)
    say_unusable ();
  s = mem_text (there ? e.text : "", text);
  mem_free (&e.data);
  text_clear (&path);
  return s;
}

/* -- number and age -------------------------------------------------------- */

struct found {
  char name[64];
  time_t changed;
  int64_t bytes;
};

struct listing {
  int n;
  size_t room;
  struct found *v; /* owned */
};

/* An entry, or one half-made (*part). */
static bool
is_ours (const char *name, bool *part)
{
  const size_t n = strlen (name);
  *part = n > 5 && strcmp (name + n - 5, ".part") == 0;
  return strspn (name, "0123456789abcdef") == DIGITS && name[DIGITS] == '.' &&
         n > DIGITS + 1;
}

/* Entries of the directory; what a process has left half-made goes. */
static enum status
list (DIR *dir, struct listing *l)
{
  struct stat st;
  bool part;
  for (struct dirent *e; (e = readdir (dir));) {
    struct found f;
    if (!is_ours (e->d_name, &part) ||
        fstatat (dirfd (dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG (st.st_mode))
      continue;
    if (part && time (NULL) - st.st_mtime > DAY_S)
      (void)unlinkat (dirfd (dir), e->d_name, 0);
    if (part ||
        snprintf (f.name, sizeof f.name, "%s", e->d_name) >= (int)sizeof f.name)
      continue;
    f.changed = st.st_mtime;
    f.bytes = st.st_size;
    if ((size_t)l->n == l->room) {
      const size_t room = 2 * l->room + 64;
      TRY (mem_grow (&l->v, l->room, room, sizeof *l->v, "the cache"));
      l->room = room;
    }
    l->v[l->n++] = f;
  }
  return OK;
}

static int
newest_first (const void *a, const void *b)
{
  const struct found *x = a, *y = b;
  return x->changed > y->changed ? -1 : x->changed < y->changed;
}

/* The oldest go, a quarter at a time, so that not every new entry looks for
 * one; another process may be at it as well. */
static void
prune (const char *entry)
{
  struct listing l = {0};
  struct text path;
  int64_t bytes = 0;
  text_init (&path);
  store_file_directory (entry, &path);
  DIR *dir = opendir (path.data);
  text_clear (&path);
  if (!dir)
    return;
  enum status s = list (dir, &l);
  for (int i = 0; i < l.n; i++)
    bytes += l.v[i].bytes;
  if (s == OK && (l.n > MOST_ENTRIES || bytes > MOST_BYTES)) {
    bytes = 0;
    qsort (l.v, (size_t)l.n, sizeof *l.v, newest_first);
    for (int i = 0; i < l.n; i++) {
      bytes += l.v[i].bytes;
      if (i >= MOST_ENTRIES / 4 * 3 || bytes > MOST_BYTES / 4 * 3)
        (void)unlinkat (dirfd (dir), l.v[i].name, 0);
    }
  }
  fail_clear ();
  mem_free (&l.v);
  closedir (dir);
}

/* -- writing --------------------------------------------------------------- */

static void
whole_text (const char *key, double seconds, const char *text, struct text *out)
{
  char digest[DIGITS + 1];
  struct text rest;
  text_init (&rest);
  text_add (&rest, "key %s\nseconds %.9g\n%s", key, seconds, text);
  hash_digest (rest.data, rest.size, digest);
  text_add (out, "%s%s\n%s", head, digest, rest.data);
  text_clear (&rest);
}

/* Under a name that no other process writes to, then renamed. */
static enum status
write_entry (const char *path, const struct text *whole)
{
  char host[256] = "";
  struct text part;
  gethostname (host, sizeof host - 1);
  text_init (&part);
  text_add (&part, "%s.%.24s-%llx.%ld.part", path, host,
            (unsigned long long)store_process_space (), (long)getpid ());
  enum status s = store_file_parents (path);
  if (s == OK)
    s = store_file_write (part.data, whole->data, whole->size);
  if (s == OK && (s = store_file_rename (part.data, path)) != OK)
    unlink (part.data);
  text_clear (&part);
  return s;
}

void
store_cache_put (const char *kind, const char *key, double seconds,
                 const char *text)
{
  struct text path, whole;
  struct entry before = {0};
  text_init (&path);
  text_init (&whole);
  enum status s = entry_path (kind, key, &path);
  const bool better = s == OK && read_entry (path.data, key, false, &before) &&
                      before.seconds < seconds;
  mem_free (&before.data);
  whole_text (key, seconds, text, &whole);
  if (s == OK && !better && whole.size <= ENTRY_BYTES)
    s = write_entry (path.data, &whole);
  if (s == OK)
    prune (path.data);
  else
    say_unusable ();
  text_clear (&whole);
  text_clear (&path);
}

/* store/checkpoint_newest.c -- the newest whole checkpoint of a run.
 *
 * The newest is the one with the highest step inside, whatever its time or
 * name. A damaged one is named in a warning and left where it is; the one
 * before it is taken.
 */
#include "store/checkpoint_impl.h"
#include "store/file.h"
#include "store/record_impl.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
newest_first (const void *a, const void *b)
{
  const struct store_found *x = a, *y = b;
  if (x->step != y->step)
    return x->step < y->step ? 1 : -1;
  return strcmp (y->path, x->path);
}

static void
passed_over (const char *words)
{
  say (LOG_WARN, "passed over: %s", words);
  fail_clear ();
}

static bool
is_checkpoint_name (const char *name)
{
  size_t n = strlen (name);
  return n > 3 && strcmp (name + n - 3, ".h5") == 0;
}

static enum status
look_at (const char *folder, const char *name, struct store_found **list,
         int *n)
{
  struct store_checkpoint *c = NULL;
  struct store_attributes a;
  struct store_found found;
  if (snprintf (found.path, sizeof found.path, "%s/%s", folder, name) >=
      (int)sizeof found.path)
    return fail (E_LIMIT, "%s/%s: a name too long", folder, name);
  enum status s = store_checkpoint_open (found.path, &c);
  if (s == E_MEMORY) /* nothing is wrong with the file */
    return s;
  if (s != OK) {
    passed_over (fail_message ());
    return OK;
  }
  store_checkpoint_attributes (c, &a);
  found.step = a.step;
  bool foreign = store_checkpoint_foreign (c);
  store_checkpoint_close (&c);
  if (foreign) {
    fail (E_CHECKPOINT, "%s: damaged, or no checkpoint: it names no format",
          found.path);
    passed_over (fail_message ());
    return OK;
  }
  TRY (mem_grow (list, (size_t)*n, (size_t)*n + 1, sizeof **list,
                 "checkpoints"));
  (*list)[(*n)++] = found;
  return OK;
}

enum status
store_checkpoint_candidates (const char *run_dir, struct store_found **list,
                             int *n, int *n_files)
{
  struct text folder;
  enum status s = OK;
  *list = NULL;
  *n = *n_files = 0;
  text_init (&folder);
  text_add (&folder, "%s/checkpoints", run_dir);
  DIR *dir = opendir (folder.data);
  if (dir) {
    for (struct dirent *e; s == OK && (e = readdir (dir));)
      if (is_checkpoint_name (e->d_name)) {
        (*n_files)++;
        s = look_at (folder.data, e->d_name, list, n);
      }
    closedir (dir);
  }
  text_clear (&folder);
  if (*n > 1)
    qsort (*list, (size_t)*n, sizeof **list, newest_first);
  return s;
}

enum status
store_checkpoint_newest (const char *run_dir, struct text *path)
{
  struct store_found *list = NULL;
  int n, files;
  enum status s = store_checkpoint_candidates (run_dir, &list, &n, &files);
  for (int i = 0; s == OK && i < n; i++) {
    s = store_checkpoint_verify (list[i].path, NULL);
    if (s == OK) {
      text_add (path, "%s", list[i].path);
      break;
    }
    if (s == E_MEMORY)
      break;
    s = OK;
    passed_over (fail_message ());
  }
  mem_free (&list);
  return s;
}

/* Whether a file is whole.  The answer is kept until the file changes; known:
 * it was written just now.  Prints nothing, since the start has already named
 * what it passed over. */
static bool
is_whole (const char *path, bool known)
{
  enum { ROOM = 64 };
  static struct {
    uint64_t file;
    bool whole;
  } seen[ROOM];
  static unsigned turn;
  struct stat st;
  if (stat (path, &st) != 0)
    return false;
  int64_t key[] = {(int64_t)st.st_dev, (int64_t)st.st_ino, (int64_t)st.st_size,
                   (int64_t)st.st_mtim.tv_sec, (int64_t)st.st_mtim.tv_nsec};
  uint64_t mine = hash_bytes (key, sizeof key, 1);
  for (int i = 0; i < ROOM; i++)
    if (seen[i].file == mine)
      return seen[i].whole;
  bool whole = known || store_checkpoint_verify (path, NULL) == OK;
  if (!whole)
    fail_clear ();
  seen[turn % ROOM].file = mine;
  seen[turn++ % ROOM].whole = whole;
  return whole;
}

/* A plain file by a name that only interlock gives; a link to one is the
 * user's, and so is a copy by another name. */
static bool
is_ours (const char *path)
{
  struct stat st;
  return store_checkpoint_is_own (store_file_name (path)) &&
         lstat (path, &st) == 0 && S_ISREG (st.st_mode);
}

/* checkpoint.keep counts whole files of ours: a damaged one, or one that is not
 * ours, must not push a whole one out. */
enum status
store_checkpoint_prune (const char *run_dir, int64_t keep, const char *good)
{
  struct store_found *list = NULL;
  int n = 0, files;
  enum status s =
      keep > 0 ? store_checkpoint_candidates (run_dir, &list, &n, &files) : OK;
  int64_t kept = 0;
  for (int i = 0; s == OK && i < n; i++)
    if (strcmp (list[i].path, good) == 0)
      kept += is_whole (list[i].path, true);
    else if (!is_ours (list[i].path))
      continue;
    else if (kept < keep)
      kept += is_whole (list[i].path, false);
    else if (unlink (list[i].path) != 0)
      s = fail (E_IO, "%s: cannot be removed: %s", list[i].path,
                strerror (errno));
  mem_free (&list);
  return s;
}

/* -- left-overs ------------------------------------------------------------ */

static void
sweep (const char *folder, const char *name)
{
  struct stat st;
  DIR *dir = opendir (folder);
  for (struct dirent *e; dir && (e = readdir (dir));)
    if (store_part_is_own (name, e->d_name) &&
        fstatat (dirfd (dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG (st.st_mode) && unlinkat (dirfd (dir), e->d_name, 0) == 0)
      say (LOG_INFO, "removed %s/%s, which an earlier start left half-written",
           folder, e->d_name);
  if (dir)
    closedir (dir);
}

void
store_run_sweep (const struct store_run *r)
{
  struct text folder;
  text_init (&folder);
  text_add (&folder, "%s/checkpoints", r->dir);
  sweep (r->dir, "");
  sweep (folder.data, "checkpoints");
  text_clear (&folder);
}

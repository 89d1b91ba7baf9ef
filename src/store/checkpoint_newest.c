/* store/checkpoint_newest.c -- the newest whole checkpoint of a run.
 *
 * Newest is the highest step in the file, not a time or a name.  One that is
 * damaged is spoken of and left where it is; the one before it is taken.
 */
#include "store/checkpoint_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include <dirent.h>
#include <unistd.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct candidate {
  char path[512];
  int64_t step;
};

static int
newest_first (const void *a, const void *b)
{
  const struct candidate *x = a, *y = b;
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
look_at (const char *folder, const char *name, struct candidate **list, int *n)
{
  struct store_checkpoint *c = NULL;
  struct store_attributes a;
  struct candidate found;
  if (snprintf (found.path, sizeof found.path, "%s/%s", folder, name) >=
      (int)sizeof found.path)
    return fail (E_LIMIT, "%s/%s: a name too long", folder, name);
  if (store_checkpoint_open (found.path, &c) != OK) {
    passed_over (fail_message ());
    return OK;
  }
  store_checkpoint_attributes (c, &a);
  found.step = a.step;
  store_checkpoint_close (&c);
  TRY (mem_grow (list, (size_t)*n, (size_t)*n + 1, sizeof **list,
                 "checkpoints"));
  (*list)[(*n)++] = found;
  return OK;
}

/* The readable checkpoints of a run directory, newest first; *list is owned by
 * the caller. */
static enum status
candidates (const char *run_dir, struct candidate **list, int *n)
{
  struct text folder;
  enum status s = OK;
  text_init (&folder);
  text_add (&folder, "%s/checkpoints", run_dir);
  DIR *dir = opendir (folder.data);
  if (dir) {
    for (struct dirent *e; s == OK && (e = readdir (dir));)
      if (is_checkpoint_name (e->d_name))
        s = look_at (folder.data, e->d_name, list, n);
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
  struct candidate *list = NULL;
  int n = 0;
  enum status s = candidates (run_dir, &list, &n);
  for (int i = 0; s == OK && i < n; i++) {
    if (store_checkpoint_verify (list[i].path, NULL) == OK) {
      text_add (path, "%s", list[i].path);
      break;
    }
    passed_over (fail_message ());
  }
  mem_free (&list);
  return s;
}

enum status
store_checkpoint_prune (const char *run_dir, int64_t keep, const char *good)
{
  struct candidate *list = NULL;
  int n = 0;
  enum status s = keep > 0 ? candidates (run_dir, &list, &n) : OK;
  for (int64_t i = keep; s == OK && i < n; i++)
    if (strcmp (list[i].path, good) != 0 && unlink (list[i].path) != 0)
      s = fail (E_IO, "%s: cannot be removed: %s", list[i].path,
                strerror (errno));
  mem_free (&list);
  return s;
}

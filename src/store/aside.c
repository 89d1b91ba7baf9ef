/* store/aside.c -- a run directory begins anew: what interlock has left in it
 * moves to RUN/old-N.
 *
 * RUN/aside is a journal: it says that a move is under way and where to.  It is
 * written before the first file moves and removed after the last one has.  A
 * start that finds it finishes the move before it looks at anything else.  So a
 * kill in between leaves neither halves of two runs nor a run that has lost its
 * files.  A name that is in old-N already has been moved: what now stands in
 * its place is new.
 */
#include "store/file.h"
#include "store/record_impl.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL "aside"

static const char *const folders[] = {"", "checkpoints", "probe"};

/* Interlock's own names in a folder: # stands for digits, * for anything.  The
 * lock and the file stop are about now, not about the run. */
static const struct {
  const char *folder, *pattern;
} own[] = {
    {"", "config.ini"},
    {"", "log"},
    {"", "metrics.csv"},
    {"", "metrics-#.csv"},
    {"", "metrics.jsonl"},
    {"", "events.jsonl"},
    {"", "facts.ini"},
    {"", "summary.csv"},
    {"", "status"},
    {"", "progress"},
    {"", "tune.txt"},
    {"", "costs.txt"},
    {"", "trace.json"},
    {"", "failures"},
    {"", "dump-#-#-*.npy"},
    {"probe", "step-#-*-stages.csv"},
    {"probe", "step-#-*-spectrum.csv"},
    {"probe", "step-#-*-cka.csv"},
    {"probe", "step-#-*.h5"},
};

static bool
matches (const char *pattern, const char *name)
{
  if (*pattern == '\0')
    return *name == '\0';
  if (*pattern == '#') {
    size_t digits = strspn (name, "0123456789");
    return digits > 0 && matches (pattern + 1, name + digits);
  }
  if (*pattern == '*') { /* one in a pattern */
    for (; *name; name++)
      if (matches (pattern + 1, name))
        return true;
    return false;
  }
  return *pattern == *name && matches (pattern + 1, name + 1);
}

/* "step-000000120.h5": nine digits at least. */
static size_t
checkpoint_name (const char *name)
{
  if (strncmp (name, "step-", 5) != 0)
    return 0;
  size_t n = strspn (name + 5, "0123456789");
  return n >= 9 && strncmp (name + 5 + n, ".h5", 3) == 0 ? n + 8 : 0;
}

bool
store_checkpoint_is_own (const char *name)
{
  size_t n = checkpoint_name (name);
  return n > 0 && name[n] == '\0';
}

static bool
is_own (const char *folder, const char *name)
{
  if (strcmp (folder, "checkpoints") == 0)
    return store_checkpoint_is_own (name);
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    if (strcmp (folder, own[i].folder) == 0 && matches (own[i].pattern, name))
      return true;
  return false;
}

/* Behind a name: nothing, or ".HOST.PROCESS", and ".part". */
static bool
is_part_tail (const char *tail, bool host)
{
  static const char end[] = ".part";
  size_t n = strlen (tail), e = sizeof end - 1;
  if (n < e || strcmp (tail + n - e, end) != 0)
    return false;
  if (n == e)
    return !host;
  size_t digits = 0;
  while (digits < n - e && strchr ("0123456789", tail[n - e - digits - 1]))
    digits++;
  return digits > 0 && digits + 2 <= n - e && tail[0] == '.' &&
         tail[n - e - digits - 1] == '.';
}

bool
store_part_is_own (const char *folder, const char *name)
{
  struct text stem;
  size_t n = strlen (name), c = checkpoint_name (name);
  if (strcmp (folder, "checkpoints") == 0)
    return c > 0 && is_part_tail (name + c, false);
  if (n <= 5 || strcmp (name + n - 5, ".part") != 0)
    return false;
  if (!folder[0] && strncmp (name, "lock.", 5) == 0)
    return is_part_tail (name + 4, true);
  if (!folder[0] && strncmp (name, "clock.", 6) == 0)
    return n > 11 && strspn (name + 6, "0123456789") == n - 11;
  if (!folder[0] && strcmp (name, JOURNAL ".part") == 0)
    return true;
  text_init (&stem);
  text_add (&stem, "%.*s", (int)(n - 5), name);
  bool mine = is_own (folder, stem.data);
  text_clear (&stem);
  return mine;
}

/* A link, a FIFO or a folder in place of a file of ours was put there by
 * somebody else, and what we write would go through it. */
static enum status
check_plain (const char *dir, int fd, const char *name)
{
  struct stat st;
  bool ours = is_own ("", name) || store_part_is_own ("", name) ||
              strcmp (name, JOURNAL) == 0;
  if (!ours || fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
      S_ISREG (st.st_mode))
    return OK;
  return fail (E_USAGE,
               "%s/%s: is %s, but interlock writes a file of that name here: "
               "move it away, or take another run.dir",
               dir, name, store_file_kind_words (st.st_mode));
}

enum status
store_run_check_plain (const char *dir)
{
  DIR *d = opendir (dir);
  enum status s =
      d ? OK : fail (E_IO, "%s: not read: %s", dir, strerror (errno));
  for (struct dirent *e; s == OK && (e = readdir (d));)
    s = check_plain (dir, dirfd (d), e->d_name);
  if (d)
    closedir (d);
  return s;
}

/* Names of ours in a folder, one a line; a folder that is not there has none.
 */
static enum status
list_own (const char *dir, const char *folder, struct text *out)
{
  struct text path;
  text_init (&path);
  text_add (&path, "%s/%s", dir, folder);
  DIR *d = opendir (path.data);
  int error = errno;
  for (struct dirent *e; d && (e = readdir (d));)
    if (is_own (folder, e->d_name))
      text_add (out, "%s\n", e->d_name);
  if (d)
    closedir (d);
  enum status s = d || error == ENOENT ? OK
                                       : fail (E_IO, "%s: not read: %s",
                                               path.data, strerror (error));
  text_clear (&path);
  return s;
}

static bool
is_there (const char *path)
{
  struct stat st;
  return lstat (path, &st) == 0;
}

static bool
is_link (const char *path)
{
  struct stat st;
  return lstat (path, &st) == 0 && S_ISLNK (st.st_mode);
}

/* -- moving ---------------------------------------------------------------- */

/* A folder that is a link to another disk: its files stay on that disk. */
static enum status
make_behind_link (const char *from, const char *to)
{
  char real[PATH_MAX];
  struct text there;
  if (is_there (to))
    return OK;
  if (!realpath (from, real))
    return fail (E_IO, "%s: %s", from, strerror (errno));
  text_init (&there);
  text_add (&there, "%s/old-%ld", real, (long)getpid ());
  enum status s = store_file_folder (there.data);
  if (s == OK && symlink (there.data, to) != 0)
    s = fail (E_IO, "%s: not made: %s", to, strerror (errno));
  text_clear (&there);
  return s;
}

static enum status
make_folder (const char *from, const char *to)
{
  return is_link (from) ? make_behind_link (from, to) : store_file_folder (to);
}

static enum status
move_one (const char *from, const char *to, const char *name)
{
  struct text a, b;
  text_init (&a);
  text_init (&b);
  text_add (&a, "%s/%s", from, name);
  text_add (&b, "%s/%s", to, name);
  enum status s = OK;
  if (fault_here ("aside"))
    s = fail (E_IO, "%s: not moved (planted)", a.data);
  else if (!is_there (b.data) && rename (a.data, b.data) != 0)
    s = fail (E_IO, "%s: not moved to %s: %s", a.data, b.data,
              strerror (errno));
  text_clear (&a);
  text_clear (&b);
  return s;
}

static enum status
move_folder (const char *dir, const char *old, const char *folder)
{
  struct text names, from, to;
  char *save = NULL;
  text_init (&names);
  text_init (&from);
  text_init (&to);
  text_add (&from, "%s%s%s", dir, folder[0] ? "/" : "", folder);
  text_add (&to, "%s/%s%s%s", dir, old, folder[0] ? "/" : "", folder);
  enum status s = list_own (dir, folder, &names);
  if (s == OK && names.size)
    s = make_folder (from.data, to.data);
  for (char *name = names.size ? strtok_r (names.data, "\n", &save) : NULL;
       s == OK && name; name = strtok_r (NULL, "\n", &save))
    s = move_one (from.data, to.data, name);
  if (s == OK && names.size)
    s = store_file_sync (to.data);
  if (s == OK && names.size)
    s = store_file_sync (from.data);
  text_clear (&names);
  text_clear (&from);
  text_clear (&to);
  return s;
}

/* What the journal says, done; then the first event of the new run, and no
 * journal any more. */
static enum status
finish (struct store_run *r, char *journal, struct text *where)
{
  char *by = journal + strcspn (journal, "\n");
  if (*by)
    *by++ = '\0';
  by[strcspn (by, "\n")] = '\0';
  /* Nothing else is written there, and nothing moves anywhere else. */
  if (strncmp (journal, "old-", 4) != 0 || !journal[4] ||
      journal[4 + strspn (journal + 4, "0123456789")])
    return fail (E_USAGE,
                 "%s/" JOURNAL ": does not say where an earlier run moves to; "
                 "remove it",
                 r->dir);
  text_add (where, "%s/%s", r->dir, journal);
  if (is_link (where->data))
    return fail (E_USAGE, "%s: is a link; an earlier run is not moved into it",
                 where->data);
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
    TRY (move_folder (r->dir, journal, folders[i]));
  struct text path;
  text_init (&path);
  text_add (&path, "%s/events.jsonl", r->dir);
  const char *fields[][2] = {{"aside", journal}, {"by", by}};
  enum status s =
      store_file_bytes (path.data) > 0
          ? OK
          : store_run_event (r, "fresh", 2, (const char *const(*)[2])fields);
  text_clear (&path);
  text_init (&path);
  text_add (&path, "%s/" JOURNAL, r->dir);
  if (s == OK && unlink (path.data) != 0)
    s = fail (E_IO, "%s: not removed: %s", path.data, strerror (errno));
  text_clear (&path);
  return s;
}

enum status
store_aside_finish (struct store_run *r)
{
  char *journal = NULL;
  struct text where;
  enum status s = store_run_get (r->dir, JOURNAL, &journal);
  if (s == E_MISSING) {
    fail_clear ();
    return OK;
  }
  TRY (s);
  text_init (&where);
  s = finish (r, journal, &where);
  if (s == OK)
    say (LOG_INFO,
         "%s: an earlier start began to move the run here aside; it is in %s",
         r->dir, where.data);
  text_clear (&where);
  mem_free (&journal);
  return s;
}

/* -- asking for it --------------------------------------------------------- */

/* Whether there is a run to be moved.  A log alone is none, and neither are the
 * traces of an earlier move. */
static enum status
has_begun (const char *dir, bool *yes)
{
  struct store_history *h = NULL;
  struct text names;
  char *save = NULL;
  enum status s = OK;
  *yes = false;
  text_init (&names);
  for (size_t i = 0; s == OK && i < sizeof folders / sizeof *folders; i++)
    s = list_own (dir, folders[i], &names);
  for (char *name = names.size ? strtok_r (names.data, "\n", &save) : NULL;
       name; name = strtok_r (NULL, "\n", &save))
    *yes = *yes ||
           (strcmp (name, "log") != 0 && strcmp (name, "events.jsonl") != 0);
  text_clear (&names);
  if (s == OK)
    s = store_history_read (dir, &h);
  for (int i = 0; s == OK && i < store_history_count (h); i++)
    *yes = *yes || strcmp (store_history_word (h, i, "event"), "fresh") != 0;
  store_history_destroy (&h);
  return s;
}

/* "old-N\nBY\n" for the first N that is free. */
static void
make_journal (const char *dir, const char *by, struct text *out)
{
  for (int n = 1;; n++) {
    struct text path;
    text_init (&path);
    text_add (&path, "%s/old-%d", dir, n);
    bool taken = is_there (path.data);
    text_clear (&path);
    if (taken)
      continue;
    text_add (out, "old-%d\n%s\n", n, by);
    return;
  }
}

enum status
store_run_aside (struct store_run *r, const char *by, struct text *where)
{
  struct text journal;
  bool any = false;
  TRY (store_run_mine (r));
  CHECK (!r->metrics && r->mark < 0,
         "%s is in use already: aside before the first record", r->dir);
  TRY (has_begun (r->dir, &any));
  if (!any) {
    const char *fields[][2] = {{"by", by}};
    return store_run_event (r, "fresh", 1, (const char *const(*)[2])fields);
  }
  fclose (r->log);
  if (r->events) /* a move that an earlier start had begun was finished */
    fclose (r->events);
  r->log = r->events = NULL;
  text_init (&journal);
  make_journal (r->dir, by, &journal);
  enum status s = store_run_put (r, JOURNAL, journal.data);
  if (s == OK)
    s = finish (r, journal.data, where);
  text_clear (&journal);
  enum status opened = store_run_log_open (r);
  return s != OK ? s : opened;
}

/* ranks: 0 */
/* tests/store/cache.c -- entries of the cache: whole or none, of their key or
 * none, the quicker one stays, and their number is bounded.
 *
 *     tests/store/cache --plant ENTRY WORD OTHER
 *
 * puts another entry in the place of ENTRY, a file of the cache in use, with
 * one word changed; 1 where it is not there.
 */
#include "base/log.h"
#include "base/memory.h"
#include "store/cache.h"
#include "store/file.h"
#include "tests/scratch.h"
#include "tests/tap.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <utime.h>

static const char key[] = "program 1; 2 threads";

/* Whether the entry of a key is this text; "": there is none. */
static bool
is (const char *kind, const char *of, const char *text)
{
  char *got = NULL;
  bool same = store_cache_get (kind, of, &got) == OK && strcmp (got, text) == 0;
  mem_free (&got);
  return same;
}

/* The only file of the directory, or the n-th; NULL: it has fewer. */
static const char *
file_at (int n)
{
  static char path[600];
  const char *found = NULL;
  DIR *dir = opendir (scratch ("start"));
  for (struct dirent *e; dir && !found && (e = readdir (dir));)
    if (e->d_name[0] != '.' && n-- == 0) {
      snprintf (path, sizeof path, "%s", scratch ("start/%s", e->d_name));
      found = path;
    }
  if (dir)
    closedir (dir);
  return found;
}

static int
count_files (void)
{
  int n = 0;
  while (file_at (n))
    n++;
  return n;
}

static void
test_entries (void)
{
  tap_ok (is ("costs", key, ""), "nothing there: none");
  store_cache_put ("costs", key, 2, "first\nof two lines\n");
  tap_ok (is ("costs", key, "first\nof two lines\n"), "what was put");
  tap_ok (is ("choices", key, "") && is ("costs", "program 2; 2 threads", ""),
          "not for another kind or key");
  store_cache_put ("costs", key, 3, "slower");
  tap_ok (is ("costs", key, "first\nof two lines\n"), "what took more: not");
  store_cache_put ("costs", key, 1, "quicker");
  tap_ok (is ("costs", key, "quicker"), "what took less takes its place");
  store_cache_put ("costs", key, 1, "as quick");
  tap_ok (is ("costs", key, "as quick"), "and so does what took as much");
  tap_ok (count_files () == 1 && scratch_parts () == 0,
          "one file, none half-made");
}

/* Every byte of an entry matters, and so does each that is missing. */
static void
test_damage (void)
{
  char path[600];
  snprintf (path, sizeof path, "%s", file_at (0));
  const int64_t bytes = scratch_bytes (path);
  int taken = 0;
  for (int64_t i = 0; i < bytes; i++) {
    scratch_flip (path, i);
    taken += !is ("costs", key, "");
    scratch_flip (path, i);
  }
  tap_ok (taken == 0, "one bit of any byte turned: none");
  tap_ok (is ("costs", key, "as quick"), "and back: there again");
  for (int64_t i = bytes - 1; i >= 0; i--) {
    taken += truncate (path, i) != 0;
    taken += !is ("costs", key, "");
  }
  tap_ok (taken == 0, "cut anywhere: none");
  store_cache_put ("costs", key, 9, "new");
  tap_ok (is ("costs", key, "new"), "replaced, however long that took");
}

/* A whole entry under the name of another key, as after a collision. */
static void
test_foreign (void)
{
  char mine[600];
  snprintf (mine, sizeof mine, "%s", file_at (0));
  store_cache_put ("costs", "another", 1, "foreign");
  const char *other =
      strcmp (file_at (0), mine) == 0 ? file_at (1) : file_at (0);
  tap_ok (rename (other, mine) == 0 && is ("costs", key, ""),
          "an entry of another key: none");
  store_cache_put ("costs", key, 9, "mine");
  tap_ok (is ("costs", key, "mine"), "and replaced");
  unlink (mine);
  tap_ok (mkfifo (mine, 0666) == 0 && is ("costs", key, ""),
          "a pipe in its place: none, and nobody waits");
  store_cache_put ("costs", key, 9, "mine");
  tap_ok (is ("costs", key, "mine"), "and replaced");
}

/* Many at once: whoever reads gets a whole entry of one of them. */
static void
test_together (void)
{
  enum { WRITERS = 8, TIMES = 40 };
  char text[WRITERS][20000];
  for (int w = 0; w < WRITERS; w++) {
    memset (text[w], 'a' + w, sizeof text[w]);
    text[w][sizeof text[w] - 1] = '\0';
    if (fork () == 0) {
      for (int i = 0; i < TIMES; i++)
        store_cache_put ("costs", "many", 1, text[w]);
      _exit (0);
    }
  }
  int whole = 0, seen = 0;
  for (bool done = false; !done;) {
    char *got = NULL;
    done = waitpid (-1, NULL, WNOHANG) < 0;
    if (store_cache_get ("costs", "many", &got) == OK && got[0]) {
      seen++;
      whole += strlen (got) == sizeof text[0] - 1 &&
               strspn (got, (char[]){got[0], '\0'}) == sizeof text[0] - 1;
    }
    mem_free (&got);
  }
  tap_ok (seen > 0 && whole == seen, "%d writers: whole in all %d readings",
          WRITERS, seen);
}

static void
put_many (int from, int to)
{
  for (int i = from; i < to; i++) {
    char name[32];
    snprintf (name, sizeof name, "key %d", i);
    store_cache_put ("choices", name, 1, "x");
  }
}

/* Old ones go, and what was left half-made; what is not ours stays. */
static void
test_bounds (void)
{
  const struct utimbuf old = {1, 1};
  static const char part[] = "0123456789abcdef0123456789abcdef.costs.x.7.part";
  scratch_write (scratch ("start/%s", part), "x", 1);
  scratch_write (scratch ("start/notes.txt"), "x", 1);
  store_cache_put ("costs", "used", 1, "used");
  put_many (0, 500);
  tap_ok (access (scratch ("start/%s", part), F_OK) == 0,
          "what is half-made may be in work");
  for (int i = 0; file_at (i); i++)
    utime (file_at (i), &old);
  tap_ok (is ("costs", "used", "used"), "an old entry is taken");
  put_many (500, 650);
  const int n = count_files ();
  tap_ok (n > 400 && n <= 601, "%d files, of 650 entries", n);
  tap_ok (is ("costs", "used", "used"), "one that was in use stayed");
  int left = 0;
  for (int i = 500; i < 650; i++) {
    char name[32];
    snprintf (name, sizeof name, "key %d", i);
    left += is ("choices", name, "x");
  }
  tap_ok (left == 150, "and so did %d of 150 newer ones", left);
  tap_ok (access (scratch ("start/%s", part), F_OK) != 0,
          "what was half-made for long went");
  tap_ok (access (scratch ("start/notes.txt"), F_OK) == 0,
          "what is not ours stayed");
}

/* A disk that is full: nothing of the entry is left. */
static void
test_full (void)
{
  struct rlimit before, none;
  getrlimit (RLIMIT_FSIZE, &before);
  none = before;
  none.rlim_cur = 20;
  signal (SIGXFSZ, SIG_IGN);
  setrlimit (RLIMIT_FSIZE, &none);
  store_cache_put ("costs", "full", 1, "text");
  setrlimit (RLIMIT_FSIZE, &before);
  const int n = count_files ();
  tap_ok (is ("costs", "full", ""), "not written whole: none");
  store_cache_put ("costs", "full", 1, "text");
  tap_ok (is ("costs", "full", "text") && count_files () == n + 1,
          "and nothing is left of it");
}

/* Where there can be none, nothing fails. */
static void
test_nowhere (void)
{
  scratch_write (scratch ("file"), "x", 1);
  setenv ("INTERLOCK_CACHE", scratch ("file"), 1);
  store_cache_put ("costs", key, 1, "text");
  tap_ok (is ("costs", key, ""), "a file in place of the directory: none");
  unsetenv ("INTERLOCK_CACHE");
  setenv ("XDG_CACHE_HOME", scratch ("caches"), 1);
  setenv ("HOME", scratch ("home"), 1);
  store_cache_put ("costs", key, 1, "text");
  tap_ok (is ("costs", key, "text") &&
              store_file_is_folder (scratch ("caches/interlock/start")),
          "XDG_CACHE_HOME");
  setenv ("XDG_CACHE_HOME", "", 1);
  store_cache_put ("costs", key, 1, "text");
  tap_ok (is ("costs", key, "text") &&
              store_file_is_folder (scratch ("home/.cache/interlock/start")),
          "the home directory");
  unsetenv ("HOME");
  store_cache_put ("costs", key, 1, "text");
  tap_ok (is ("costs", key, ""), "no home: none");
}

static int
plant (const char *path, const char *word, const char *other)
{
  char *all = NULL;
  size_t size = 0;
  struct text text;
  const char *kind = strrchr (path, '.');
  if (!kind || store_file_read (path, &all, &size) != OK)
    return 1;
  char *of = strstr (all, "\nkey ") + 5, *end = strchr (of, '\n');
  char *rest = strchr (end + 1, '\n') + 1, *at = strstr (rest, word);
  if (!at)
    return 1;
  *end = *at = '\0';
  text_init (&text);
  text_add (&text, "%s%s%s", rest, other, at + strlen (word));
  store_cache_put (kind + 1, of, 0, text.data);
  text_clear (&text);
  mem_free (&all);
  return 0;
}

int
main (int argc, char **argv)
{
  if (argc == 5 && strcmp (argv[1], "--plant") == 0)
    return plant (argv[2], argv[3], argv[4]);
  if (!scratch_open ())
    return 1;
  log_level_set (LOG_WARN);
  test_entries ();
  test_damage ();
  test_foreign ();
  test_together ();
  test_bounds ();
  test_full ();
  test_nowhere ();
  scratch_close ();
  return tap_done ();
}

/* ranks: 0 */
/* tests/store/output.c -- an output by the name that the user gave: a file is
 * replaced whole, a link is written through, a pipe and a terminal are written
 * to, and nothing else is touched. */
#define _GNU_SOURCE
#include "store/file.h"

#include "tests/scratch.h"
#include "tests/tap.h"
#include <fcntl.h>
#include <sys/wait.h>
#include <termios.h>

static const char words[] = "one,two\n3,4\n";
#define SIZE (sizeof words - 1)

/* What a file holds, up to 255 bytes. */
static const char *
content (const char *path)
{
  static char text[256];
  FILE *f = fopen (path, "rb");
  size_t n = f ? fread (text, 1, sizeof text - 1, f) : 0;
  text[n] = '\0';
  if (f)
    fclose (f);
  return text;
}

static bool
is_kind (const char *path, mode_t kind)
{
  struct stat st;
  return lstat (path, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

static bool
write_words (const char *path)
{
  enum status s = store_output_put (path, words, SIZE);
  if (s != OK)
    tap_note ("%s", fail_message ());
  fail_clear ();
  return s == OK;
}

/* Two at once: the file is whole at every time, and none of them fails. */
static void
test_two (void)
{
  enum { BYTES = 1 << 18, TURNS = 60 };
  static char data[2][BYTES], got[BYTES];
  char path[512];
  pid_t child[2];
  int bad = 0;
  snprintf (path, sizeof path, "%s", scratch ("two"));
  for (int k = 0; k < 2; k++) {
    memset (data[k], 'a' + k, BYTES);
    child[k] = fork ();
    if (child[k] > 0)
      continue;
    for (int i = 0; i < TURNS; i++)
      bad += store_output_put (path, data[k], BYTES) != OK;
    _exit (bad);
  }
  for (int k = 0; k < 2; k++) {
    int how;
    tap_ok (waitpid (child[k], &how, 0) == child[k] && how == 0,
            "writer %d of two: all %d times", k, TURNS);
  }
  FILE *f = fopen (path, "rb");
  tap_ok (f && fread (got, 1, BYTES, f) == BYTES && fgetc (f) == EOF &&
              (!memcmp (got, data[0], BYTES) || !memcmp (got, data[1], BYTES)),
          "the file is of one of them");
  if (f)
    fclose (f);
  tap_ok (scratch_parts () == 0, "nothing half-made is left");
}

/* What killed ones have left of this output goes; what is another's stays. */
static void
test_left (void)
{
  static const char *const stays[] = {"left.h5.elsewhere-1.7.part",
                                      "left.h5.part", "left.h5.7.part",
                                      "other.h5.part"};
  struct store_output o;
  char mine[600], dead[600], inner[600];
  pid_t pid = fork ();
  if (pid == 0)
    _exit (0);
  waitpid (pid, NULL, 0);
  bool good = store_output_open (scratch ("left.h5"), &o) == OK;
  snprintf (mine, sizeof mine, "%s", o.part);
  char *number = strstr (mine, ".part");
  while (number > mine && number[-1] != '.')
    number--;
  snprintf (dead, sizeof dead, "%.*s%ld.part", (int)(number - mine), mine,
            (long)pid);
  snprintf (inner, sizeof inner, "%s.train.txt", dead);
  scratch_write (mine, "x", 1);
  scratch_write (dead, "x", 1);
  scratch_write (inner, "x", 1);
  for (int i = 0; i < 4; i++)
    scratch_write (scratch ("%s", stays[i]), "x", 1);
  good = good && store_output_parents (&o) == OK;
  tap_ok (good && access (dead, F_OK) != 0 && access (inner, F_OK) != 0,
          "what a dead process has left is removed");
  tap_ok (access (mine, F_OK) == 0, "what a living one makes stays");
  for (int i = 0; i < 4; i++) {
    tap_ok (access (scratch ("%s", stays[i]), F_OK) == 0, "%s stays", stays[i]);
    unlink (scratch ("%s", stays[i]));
  }
  unlink (mine);
  store_output_clear (&o);
}

static void
test_files (void)
{
  const char *path = scratch ("plain"), *deep = scratch ("new/deep/plain");
  tap_ok (write_words (path) && strcmp (content (path), words) == 0,
          "a new file");
  tap_ok (store_output_put (deep, words, SIZE) == E_IO,
          "none in a directory that is not there");
  fail_clear ();
  struct store_piece piece = {deep, words, SIZE};
  tap_ok (store_set_write (&piece, 1) == OK &&
              strcmp (content (deep), words) == 0,
          "but a set has its directories made");
  struct stat st;
  chmod (path, 0640);
  tap_ok (write_words (path) && stat (path, &st) == 0 &&
              (st.st_mode & 0777) == 0640,
          "a file that is replaced keeps who may read it");
  tap_ok (store_output_put (scratch_folder, words, SIZE) == E_USAGE,
          "a directory is refused");
  fail_clear ();
}

static void
test_links (void)
{
  mkdir (scratch ("far"), 0777);
  char target[512];
  snprintf (target, sizeof target, "%s", scratch ("far/target"));
  tap_ok (symlink ("far/target", scratch ("link")) == 0 &&
              symlink ("link", scratch ("chain")) == 0 &&
              symlink (scratch ("chain"), scratch ("far/back")) == 0,
          "links: relative, one to the other, from elsewhere");
  tap_ok (write_words (scratch ("far/back")) &&
              strcmp (content (target), words) == 0,
          "the end of the links is made where nothing was");
  FILE *f = fopen (target, "w");
  fputs ("old", f);
  fclose (f);
  tap_ok (write_words (scratch ("link")) &&
              strcmp (content (target), words) == 0,
          "and replaced where something was");
  tap_ok (is_kind (scratch ("link"), S_IFLNK) &&
              is_kind (scratch ("chain"), S_IFLNK) &&
              is_kind (scratch ("far/back"), S_IFLNK) &&
              is_kind (target, S_IFREG),
          "the links are links still");
  tap_ok (symlink ("round", scratch ("round")) == 0 &&
              store_output_put (scratch ("round"), words, SIZE) == E_USAGE,
          "a link to itself is refused");
  fail_clear ();
}

/* A child reads a pipe into a file. */
static void
test_pipe (const char *name, bool set)
{
  const char *pipe_path = scratch ("%s", name), *got = scratch ("%s.got", name);
  mkfifo (pipe_path, 0666);
  pid_t pid = fork ();
  if (pid == 0) {
    const char *read_it = content (pipe_path);
    FILE *f = fopen (got, "wb");
    fputs (read_it, f);
    fclose (f);
    _exit (0);
  }
  struct store_piece piece[2] = {{scratch ("beside"), words, SIZE},
                                 {pipe_path, words, SIZE}};
  bool good = set ? store_set_write (piece, 2) == OK : write_words (pipe_path);
  int status;
  waitpid (pid, &status, 0);
  tap_ok (good && strcmp (content (got), words) == 0,
          "a pipe: its reader gets the bytes%s", set ? ", of a set too" : "");
  tap_ok (is_kind (pipe_path, S_IFIFO), "and it is a pipe still");
}

static void
test_terminal (void)
{
  char got[64];
  int master = posix_openpt (O_RDWR | O_NOCTTY);
  const char *name = NULL;
  if (master >= 0 && grantpt (master) == 0 && unlockpt (master) == 0)
    name = ptsname (master);
  int keep = name ? open (name, O_RDWR | O_NOCTTY) : -1;
  struct termios raw;
  if (keep < 0 || tcgetattr (keep, &raw) != 0) {
    tap_skip ("no terminal can be made here");
    return;
  }
  cfmakeraw (&raw);
  tcsetattr (keep, TCSANOW, &raw);
  symlink (name, scratch ("terminal"));
  bool good = write_words (scratch ("terminal"));
  ssize_t n = read (master, got, sizeof got);
  tap_ok (good && n == (ssize_t)SIZE && memcmp (got, words, SIZE) == 0 &&
              is_kind (name, S_IFCHR) &&
              is_kind (scratch ("terminal"), S_IFLNK),
          "a device behind a link is written to and stays a device");
  close (keep);
  close (master);
}

/* As /dev/stdout of a shell's `>> file`. */
static void
test_descriptor (void)
{
  char name[64];
  const char *path = scratch ("appended");
  FILE *f = fopen (path, "w");
  fputs ("before\n", f);
  fclose (f);
  int fd = open (path, O_WRONLY | O_APPEND);
  snprintf (name, sizeof name, "/dev/fd/%d", fd);
  tap_ok (write_words (name) &&
              strcmp (content (path), "before\none,two\n3,4\n") == 0,
          "a descriptor: what is behind it is added to, not replaced");
  close (fd);
  tap_ok (store_output_put (name, words, SIZE) == E_USAGE,
          "one that is not open is refused");
  fail_clear ();
}

/* A word for scripts, where there is no room to put it anew. */
static void
test_overwrite (void)
{
  char to[512], link[512];
  snprintf (to, sizeof to, "%s", scratch ("last-word"));
  snprintf (link, sizeof link, "%s", scratch ("to-status"));
  tap_ok (store_file_put (to, "running 0 step=0\n") == OK &&
              store_file_overwrite (to, "failed 74\n") == OK &&
              strcmp (content (to), "failed 74\n") == 0,
          "a short text over a longer one, where it lies");
  tap_ok (store_file_overwrite (to, "stopped 75 step=1\n") == OK &&
              strcmp (content (to), "stopped 75 step=1\n") == 0,
          "and a longer one");
  tap_ok (symlink (to, link) == 0 && store_file_overwrite (link, "x") == E_IO &&
              strcmp (content (to), "stopped 75 step=1\n") == 0,
          "not through a link");
  fail_clear ();
  tap_ok (store_file_overwrite (scratch ("none"), "x") == E_IO,
          "nor where nothing is");
  fail_clear ();
}

int
main (void)
{
  if (!scratch_open ())
    tap_bail ("no scratch folder");
  else {
    setenv ("TMPDIR", scratch_folder, 1);
    test_files ();
    test_two ();
    test_left ();
    test_links ();
    test_pipe ("pipe", false);
    test_pipe ("pipes", true);
    test_terminal ();
    test_descriptor ();
    test_overwrite ();
    tap_ok (scratch_parts () == 0, "nothing half-made is left");
    scratch_close ();
  }
  return tap_done ();
}

/* tests/store/changes.h -- a file changed in one place after the other, or cut
 * off at one after the other, and what those who read it make of each.
 *
 * The work is done by a child process, which tells where it is in shared memory
 * and has an alarm for each place: a library that falls or turns in circles
 * over damaged metadata is seen as such.
 */
#ifndef TESTS_STORE_CHANGES_H
#define TESTS_STORE_CHANGES_H

#include "base/random.h"
#include "tests/scratch.h"
#include "tests/tap.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { CHANGES_LIMIT_S = 10, CHANGES_FALLS_MOST = 20 };
enum verdict { NOTICED, HARMLESS, SILENT, VERDICTS };

/* What has come of it; shared with the child. */
struct changes_seen {
  int64_t next; /* number of the change */
  int64_t n[VERDICTS];
  int64_t silent_at; /* the first; -1: none */
  int falls;         /* children that did not come to their end */
};

struct changes {
  struct changes_seen *seen;
  const char *path, *whole; /* the file, and its bytes as they should be */
  int64_t size, n;          /* bytes, and how many changes */
  uint64_t seed;
  bool cuts;                    /* instead of one bit */
  enum verdict (*judge) (void); /* of the file as it is */
  /* Byte of change number i, left out when not in the file.  NULL: each byte in
   * turn if n is size, else drawn. */
  int64_t (*place) (const struct changes *c, int64_t i);
};

SCRATCH_FN struct changes_seen *
changes_share (void)
{
  void *m = mmap (NULL, sizeof (struct changes_seen), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (m == MAP_FAILED)
    tap_bail ("no memory to share");
  return m;
}

/* Take the file as it is for whole; kept until the end of the process. */
SCRATCH_FN void
changes_take (struct changes *c, const char *path)
{
  c->path = path;
  c->size = scratch_bytes (path);
  FILE *f = fopen (path, "rb");
  char *whole = mmap (NULL, (size_t)c->size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (!f || whole == MAP_FAILED ||
      fread (whole, 1, (size_t)c->size, f) != (size_t)c->size)
    tap_bail ("not read back");
  fclose (f);
  c->whole = whole;
}

/* Where change number i is, and which bit it turns. */
SCRATCH_FN int64_t
changes_place (const struct changes *c, int64_t i, unsigned char *bit)
{
  struct random_key key = {c->seed, RANDOM_TEST, 7, 0};
  uint32_t word[4];
  random_block (&key, (uint64_t)i, word);
  *bit = (unsigned char)(1u << word[0] % 8);
  if (c->place)
    return c->place (c, i);
  return c->n == c->size ? i : (int64_t)(word[1] % (uint64_t)c->size);
}

SCRATCH_FN void
changes_put (int fd, int64_t at, unsigned char byte)
{
  if (pwrite (fd, &byte, 1, (off_t)at) != 1)
    _exit (3);
}

SCRATCH_FN void
changes_judge (const struct changes *c, int64_t at)
{
  alarm (CHANGES_LIMIT_S);
  enum verdict v = c->judge ();
  c->seen->n[v]++;
  if (v == SILENT && c->seen->silent_at < 0)
    c->seen->silent_at = at;
}

SCRATCH_FN void
changes_one (const struct changes *c, int64_t at, unsigned char bit)
{
  unsigned char was;
  if (c->cuts) {
    scratch_write (c->path, c->whole, (size_t)at);
    changes_judge (c, at);
    return;
  }
  int fd = open (c->path, O_RDWR);
  if (pread (fd, &was, 1, (off_t)at) != 1)
    _exit (3);
  changes_put (fd, at, was ^ bit);
  changes_judge (c, at);
  changes_put (fd, at, was);
  close (fd);
}

/* In the child: from where the one before has fallen. */
SCRATCH_FN void
changes_work (const struct changes *c)
{
  int quiet = open ("/dev/null", O_WRONLY);
  dup2 (quiet, 2);
  for (; c->seen->next < c->n; c->seen->next++) {
    unsigned char bit;
    int64_t at = changes_place (c, c->seen->next, &bit);
    if (at < c->size)
      changes_one (c, at, bit);
  }
  _exit (0);
}

/* All changes, in children, until all are done.  The file is whole then. */
SCRATCH_FN void
changes_run (const struct changes *c)
{
  struct changes_seen *m = c->seen;
  memset (m, 0, sizeof *m);
  for (m->silent_at = -1; m->falls < CHANGES_FALLS_MOST; m->next++) {
    scratch_write (c->path, c->whole, (size_t)c->size);
    fflush (NULL);
    pid_t child = fork ();
    if (child == 0)
      changes_work (c);
    int how = 0;
    waitpid (child, &how, 0);
    if (WIFEXITED (how) && WEXITSTATUS (how) == 0)
      break;
    unsigned char ignored;
    tap_note ("child ended by %s %d at number %lld, byte %lld",
              WIFSIGNALED (how) ? "signal" : "status",
              WIFSIGNALED (how) ? WTERMSIG (how) : WEXITSTATUS (how),
              (long long)m->next,
              (long long)changes_place (c, m->next, &ignored));
    m->falls++;
  }
  scratch_write (c->path, c->whole, (size_t)c->size);
}

/* Two tests: no child has fallen, and nothing was used in silence; enough: and
 * as many were noticed as there should be. */
SCRATCH_FN void
changes_say (const struct changes *c, bool enough, const char *what)
{
  const struct changes_seen *m = c->seen;
  tap_note ("%s: %lld noticed, %lld harmless, %lld silent, %d falls", what,
            (long long)m->n[NOTICED], (long long)m->n[HARMLESS],
            (long long)m->n[SILENT], m->falls);
  tap_ok (m->falls == 0, "%s: no crash, no circle", what);
  tap_ok (m->n[SILENT] == 0 && enough,
          "%s: never used in silence (first at %lld)", what,
          (long long)m->silent_at);
}

#endif

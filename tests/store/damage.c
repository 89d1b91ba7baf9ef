/* ranks: 0 */
/* tests/store/damage.c -- a checkpoint with one byte changed, or cut off:
 * noticed, or harmless because all that is read is as it was; never a crash,
 * never used in silence.
 *
 * Each byte of a small file is changed in turn when INTERLOCK_BIG is set, else
 * a seeded sample of them.  The work is done by a child process, which tells
 * where it is in shared memory and has an alarm for each byte: a library that
 * falls or turns in circles over damaged metadata is seen as such.
 */
#include "store/store.h"
#include "tests/store/tensors.h"
#include "tests/tap.h"
#include "wire/wire.h"

#include "base/log.h"
#include "base/memory.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { SAMPLE = 2400, LIMIT_S = 10 };
enum verdict { NOTICED, HARMLESS, SILENT, VERDICTS };

struct shared {
  int64_t next;
  int64_t n[VERDICTS];
  int64_t silent_at; /* -1: none */
};

static char path[512];

/* Where to change bytes instead of everywhere, and what is then in the file:
 * many tensors of the same kind in one group. */
enum { MANY = 40, PLACES_MOST = 8192 };
static int64_t places[PLACES_MOST], n_places;

/* As eval and train.init read: nothing of another version may come out of a
 * file whose digests agree. */
static bool
loads_other (void)
{
  struct store_checkpoint *c = NULL;
  static float x[VALUES_MOST];
  bool other = false;
  if (store_checkpoint_open (path, &c) == OK &&
      store_checkpoint_agrees (c) == OK)
    for (int i = 0; i < N_TENSORS && n_places == 0; i++) {
      struct store_tensor t = shapes[i];
      t.data = x;
      if (store_checkpoint_read (c, &t) == OK)
        other = other || memcmp (x, values_of (i, 3), count_of (&t) * 4) != 0;
    }
  store_checkpoint_close (&c);
  fail_clear ();
  return other;
}

/* Whole and equal, whole and other, or not whole. */
static enum verdict
judge (void)
{
  struct store_checkpoint *c = NULL;
  struct text out;
  text_init (&out);
  enum status s = store_checkpoint_print (path, true, &out);
  text_clear (&out);
  fail_clear ();
  bool other = loads_other ();
  if (s != OK)
    return other ? SILENT : NOTICED;
  if (n_places > 0)
    return HARMLESS; /* every digest agrees */
  bool equal = holds_version (path, 3);
  if (store_checkpoint_open (path, &c) == OK) {
    struct store_attributes a;
    store_checkpoint_attributes (c, &a);
    equal = equal && !strcmp (a.order, attributes.order) &&
            !strcmp (a.data, attributes.data) &&
            !strcmp (a.metrics, attributes.metrics) &&
            !strcmp (a.progress, attributes.progress);
    store_checkpoint_close (&c);
  } else {
    equal = false;
  }
  fail_clear ();
  return equal ? HARMLESS : SILENT;
}

static void
put_byte (int fd, int64_t at, unsigned char byte)
{
  if (pwrite (fd, &byte, 1, (off_t)at) != 1)
    _exit (3);
}

/* Byte number i of the work: where, and what becomes of it. */
static int64_t
place_of (int64_t i, int64_t size, bool all, unsigned char *change)
{
  struct random_key key = {31, RANDOM_TEST, 7, 0};
  uint32_t word[4];
  random_block (&key, (uint64_t)i, word);
  *change = (unsigned char)(1u << word[0] % 8);
  if (n_places > 0)
    return places[i];
  return all ? i : (int64_t)(word[1] % (uint64_t)size);
}

static void
change_bytes (struct shared *m, int64_t n, int64_t size, bool all)
{
  int fd = open (path, O_RDWR);
  for (; m->next < n; m->next++) {
    unsigned char change, was;
    int64_t at = place_of (m->next, size, all, &change);
    if (pread (fd, &was, 1, (off_t)at) != 1)
      _exit (3);
    put_byte (fd, at, was ^ change);
    alarm (LIMIT_S);
    enum verdict v = judge ();
    m->n[v]++;
    if (v == SILENT && m->silent_at < 0)
      m->silent_at = at;
    put_byte (fd, at, was);
  }
  close (fd);
}

static void
cut (struct shared *m, const char *whole, int64_t size)
{
  /* From long to short, at every 4 KiB and at odd places between. */
  int64_t n = size / 4096 + 1;
  for (; m->next < 2 * n; m->next++) {
    int64_t at = m->next / 2 * 4096 + (m->next % 2 ? 1237 : 0);
    if (at >= size)
      continue;
    scratch_write (path, whole, (size_t)at);
    alarm (LIMIT_S);
    enum verdict v = judge ();
    m->n[v]++;
    if (v == SILENT && m->silent_at < 0)
      m->silent_at = at;
  }
}

/* Run one of the two in children until all is done; falls: how many children
 * did not come to their end. */
static void
run (struct shared *m, char *whole, int64_t size, int64_t n, bool all,
     int *falls)
{
  memset (m, 0, sizeof *m);
  m->silent_at = -1;
  *falls = 0;
  for (;;) {
    scratch_write (path, whole, (size_t)size);
    fflush (NULL);
    pid_t child = fork ();
    if (child == 0) {
      int quiet = open ("/dev/null", O_WRONLY);
      dup2 (quiet, 2);
      if (n > 0)
        change_bytes (m, n, size, all);
      else
        cut (m, whole, size);
      _exit (0);
    }
    int how = 0;
    waitpid (child, &how, 0);
    if (WIFEXITED (how) && WEXITSTATUS (how) == 0)
      break;
    unsigned char change;
    tap_note ("child ended by %s %d at number %lld, byte %lld",
              WIFSIGNALED (how) ? "signal" : "status",
              WIFSIGNALED (how) ? WTERMSIG (how) : WEXITSTATUS (how),
              (long long)m->next,
              n > 0 ? (long long)place_of (m->next, size, all, &change) : 0LL);
    if (++*falls > 20)
      break;
    m->next++;
  }
  scratch_write (path, whole, (size_t)size);
}

static void
say_result (const struct shared *m, int falls, const char *what)
{
  tap_note ("%s: %lld noticed, %lld harmless, %lld silent, %d falls", what,
            (long long)m->n[NOTICED], (long long)m->n[HARMLESS],
            (long long)m->n[SILENT], falls);
  tap_ok (falls == 0, "%s: no crash, no circle", what);
  tap_ok (m->n[SILENT] == 0, "%s: never used in silence (first at %lld)", what,
          (long long)m->silent_at);
}

/* -- an index of links ----------------------------------------------------- */

static enum status
write_many (struct wire *w)
{
  static struct store_tensor t[MANY];
  static float x[MANY];
  for (int i = 0; i < MANY; i++) {
    t[i] = (struct store_tensor){.n_dims = 0, .data = &x[i]};
    snprintf (t[i].path, sizeof t[i].path, "/model/layer%d.bias", i);
    x[i] = (float)i;
  }
  return store_checkpoint_write (w, path, &attributes, t, MANY, NULL);
}

/* A group of more than a few links keeps them in a B-tree, whose leaves are
 * read before any checksum of a tensor is. */
static void
find_leaves (const char *whole, int64_t size)
{
  enum { LEAF = 512 };
  for (int64_t i = 0; i + LEAF <= size; i++)
    if (memcmp (whole + i, "BTLF\0\5", 6) == 0)
      for (int k = 0; k < LEAF && n_places < PLACES_MOST; k++)
        places[n_places++] = i + k;
}

static char *
read_whole (int64_t *size)
{
  *size = scratch_bytes (path);
  char *whole = mmap (NULL, (size_t)*size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  FILE *f = fopen (path, "rb");
  if (!f || fread (whole, 1, (size_t)*size, f) != (size_t)*size)
    exit (1);
  fclose (f);
  return whole;
}

static void
change_index (struct wire *w, struct shared *m)
{
  int64_t size;
  int falls;
  snprintf (path, sizeof path, "%s", scratch ("many.h5"));
  tap_ok (write_many (w) == OK, "a checkpoint with %d links in a group", MANY);
  char *whole = read_whole (&size);
  find_leaves (whole, size);
  tap_ok (n_places >= 512, "%lld bytes of indices of links",
          (long long)n_places);
  run (m, whole, size, n_places, true, &falls);
  tap_ok (m->n[NOTICED] > 0, "damage in an index is noticed");
  say_result (m, falls, "index of links");
  n_places = 0;
}

int
main (void)
{
  struct wire *w = NULL;
  struct shared *m = mmap (NULL, sizeof *m, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  fault_plant (NULL);
  log_level_set (LOG_ERROR);
  if (m == MAP_FAILED || wire_open_alone (&w) != OK || !scratch_open ())
    return 1;
  attributes.order = "shuffle";
  attributes.data = "0123456789abcdef";
  attributes.metrics = "step,split,head0_loss\n3,train,0.5\n";
  attributes.progress = "interval 1 from 3 heads 1: 0x0p+0 0";
  snprintf (path, sizeof path, "%s", scratch ("small.h5"));
  tap_ok (write_version (w, path, 3, 0) == OK && judge () == HARMLESS,
          "a small checkpoint, whole");
  int64_t size;
  char *whole = read_whole (&size);
  /* The checker is checked: what is read differs, and the digests agree. */
  tap_ok (write_version (w, path, 4, 0) == OK && judge () == SILENT,
          "other contents under the same name would be seen");
  bool all = getenv ("INTERLOCK_BIG") != NULL;
  int falls;
  run (m, whole, size, all ? size : SAMPLE, all, &falls);
  tap_ok (m->next >= 2000 && m->n[NOTICED] > size / 100,
          "%lld bytes of %lld changed", (long long)m->next, (long long)size);
  say_result (m, falls, "one bit");
  run (m, whole, size, 0, false, &falls);
  tap_ok (m->n[NOTICED] >= 2 * (size / 4096), "cut at every 4 KiB");
  say_result (m, falls, "cut off");
  change_index (w, m);
  scratch_close ();
  wire_close (&w);
  return tap_done ();
}

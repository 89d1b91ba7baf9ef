/* ranks: 0 */
/* tests/data/decoders.c -- the threads that decode images: the same bits from
 * any number of them at any pace, the first failure, their end in the middle,
 * and what they are said to take.
 */
#include "tests/data/photo_set.h"
#include "tests/tap.h"

#ifndef HAVE_JPEG
int
main (void)
{
  tap_skip ("built without libjpeg-turbo");
  return tap_done ();
}
#else
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include <dirent.h>
#include <sys/resource.h>

enum { STEPS = 9, ALL = STEPS * BATCH * VALUES };

static struct data_loader_spec
many_spec (struct data_set *d, int cores)
{
  return (struct data_loader_spec){.data = d,
                                   .batch = BATCH,
                                   .n = BATCH,
                                   .n_micro = 3,
                                   .shuffle = true,
                                   .augment = DATA_AUGMENT_IMAGENET,
                                   .seed = 8,
                                   .end_step = STEPS,
                                   .ahead = 5,
                                   .cores = cores};
}

/* All that it gives. */
static bool
take_all (const struct data_loader_spec *spec, float *x)
{
  struct data_loader *l = NULL;
  const int64_t n = (spec->end_step - spec->start_step) * spec->n_micro;
  bool good = data_loader_open (spec, &l) == OK;
  for (int64_t i = 0; good && i < n; i++)
    good = data_take (l, i / spec->n_micro, (int)(i % spec->n_micro),
                      x + i * (spec->n / spec->n_micro) * VALUES) == OK;
  data_loader_close (&l);
  return good;
}

/* The n-th image to be decoded takes a second, in which others overtake it: a
 * micro-batch without it is not whole. */
static void
test_many (void)
{
  static const struct {
    int cores;
    const char *slow;
  } cases[] = {{2, NULL},
               {5, NULL},
               {5, "slow-decode:1"},
               {2, "slow-decode:9"},
               {64, "slow-decode:20"}};
  static float one[ALL], many[ALL];
  struct data_set *d = NULL;
  make_set (scratch ("many.h5"), &(struct jpeg_set){.pixels = true});
  bool good = data_open (scratch ("many.h5"), &d) == OK;
  if (good)
    data_memory (d, 10);
  struct data_loader_spec spec = many_spec (d, 1);
  tap_ok (good && data_loader_threads (&spec) == 1 && take_all (&spec, one),
          "one thread %s", fail_message ());
  for (size_t i = 0; good && i < sizeof cases / sizeof *cases; i++) {
    spec = many_spec (d, cases[i].cores);
    const int n = data_loader_threads (&spec);
    memset (many, 0xff, sizeof many);
    fault_plant (cases[i].slow);
    good = take_all (&spec, many);
    fault_plant (NULL);
    /* No more than there are samples ahead. */
    tap_ok (good && n == (cases[i].cores > 10 ? 10 : cases[i].cores) &&
                memcmp (one, many, sizeof one) == 0,
            "%d threads%s%s give the same bits", n, cases[i].slow ? ", " : "",
            cases[i].slow ? cases[i].slow : "");
  }
  data_close (&d);
}

/* Of two bad images the first is named, whoever meets which of them when; what
 * was made before it arrives. */
static void
test_first_failure (void)
{
  static const char *const words[] = {"/train/jpeg[3]", "not a JPEG image",
                                      NULL};
  static float x[VALUES];
  struct data_set *d = NULL;
  bool good = true;
  make_set (scratch ("two.h5"),
            &(struct jpeg_set){.wrong = WRONG_TWO, .pixels = true});
  good = data_open (scratch ("two.h5"), &d) == OK;
  struct data_loader_spec spec = {.data = d,
                                  .batch = 1,
                                  .n = 1,
                                  .n_micro = 1,
                                  .end_step = TRAIN,
                                  .ahead = TRAIN,
                                  .cores = 5};
  for (int i = 0; good && i < 25; i++) {
    struct data_loader *l = NULL;
    enum status s = OK;
    int got = 0;
    fault_plant (i == 0 ? "slow-decode:4" : NULL);
    good = data_loader_open (&spec, &l) == OK;
    while (s == OK && got < TRAIN)
      s = data_take (l, got, 0, x), got += s == OK;
    good = good && got == 3 && s == E_DATA &&
           strstr (fail_message (), words[0]) &&
           strstr (fail_message (), words[1]);
    if (good)
      fail_clear ();
    data_loader_close (&l);
  }
  fault_plant (NULL);
  tap_ok (good, "of two bad images the first is named %s", fail_message ());
  data_close (&d);
}

/* Threads of this process that have all signals blocked that can be, and a
 * lower priority. */
static int
count_yielding (void)
{
  const unsigned long long wanted =
      1ull << 0 | 1ull << 9 | 1ull << 11 | 1ull << 14; /* HUP USR1 USR2 TERM */
  DIR *tasks = opendir ("/proc/self/task");
  int n = 0;
  for (struct dirent *e; tasks && (e = readdir (tasks)) != NULL;) {
    char path[300], line[256];
    unsigned long long blocked = 0;
    const int id = atoi (e->d_name);
    if (id <= 0 || id == getpid ())
      continue;
    snprintf (path, sizeof path, "/proc/self/task/%d/status", id);
    FILE *f = fopen (path, "r");
    while (f && fgets (line, sizeof line, f))
      (void)sscanf (line, "SigBlk: %llx", &blocked);
    if (f)
      fclose (f);
    const int mine = getpriority (PRIO_PROCESS, 0);
    n += (blocked & wanted) == wanted &&
         getpriority (PRIO_PROCESS, (id_t)id) == (mine < 9 ? mine + 10 : 19);
  }
  if (tasks)
    closedir (tasks);
  return n;
}

/* Closed while a sample is being made, while threads wait for room, and at
 * once: nobody waits for what nobody takes. */
static void
test_stop (void)
{
  static float x[BATCH * VALUES];
  struct data_set *d = NULL;
  struct data_loader *l = NULL;
  int n = 0;
  make_set (scratch ("stop.h5"), &(struct jpeg_set){.pixels = true});
  bool good = data_open (scratch ("stop.h5"), &d) == OK;
  struct data_loader_spec spec = many_spec (d, 5);
  spec.end_step = 1000000000;
  for (int taken = 0; good && taken < 6; taken++) {
    fault_plant (taken == 5 ? "slow-decode:40" : NULL);
    good = data_loader_open (&spec, &l) == OK;
    for (int i = 0; good && i < 3 * taken; i++)
      good = data_take (l, i / 3, i % 3, x) == OK;
    if (taken == 4) {
      for (int i = 0; n < 5 && i < 1000; i++) { /* some may not run yet */
        (void)usleep (10000);
        n = count_yielding ();
      }
      tap_ok (n == 5, "%d threads yield and leave signals to others", n);
    }
    data_loader_close (&l);
  }
  fault_plant (NULL);
  tap_ok (good && !l, "closed in the middle %s", fail_message ());
  data_close (&d);
}

/* An evaluation by a loader is one by data_read, past the end, too; each half
 * of the batches by one of two. */
static void
test_reader (void)
{
  static float x[2 * VALUES], y[2 * VALUES];
  struct data_set *d = NULL;
  make_set (scratch ("reader.h5"), &(struct jpeg_set){.pixels = true});
  bool good = data_open (scratch ("reader.h5"), &d) == OK;
  for (int half = 0; good && half < 2; half++) {
    struct data_loader *l = NULL;
    struct data_loader_spec spec = {.data = d,
                                    .split = DATA_VALID,
                                    .batch = 4,
                                    .first = half * 2,
                                    .n = 2,
                                    .n_micro = 1,
                                    .end_step = 3,
                                    .ahead = 2,
                                    .cores = 3,
                                    .evaluates = true};
    good = data_loader_open (&spec, &l) == OK;
    for (int i = 0; good && i < 3; i++)
      good = data_take (l, i, 0, x) == OK &&
             data_read (d, DATA_VALID, i * 4 + half * 2, 2, y) == OK &&
             memcmp (x, y, sizeof x) == 0;
    data_loader_close (&l);
  }
  tap_ok (good, "an evaluation ahead is one in place %s", fail_message ());
  data_close (&d);
}

/* What is said of a loader before there is one. */
static void
test_said (void)
{
  struct data_set *d = NULL;
  struct data_loader *l = NULL;
  size_t before, after, blocks, peak;
  double sample_s = 0;
  make_set (scratch ("said.h5"), &(struct jpeg_set){.pixels = true});
  bool good = data_open (scratch ("said.h5"), &d) == OK;
  for (int cores = 1; good && cores < 6; cores += 4) {
    struct data_loader_spec spec = many_spec (d, cores);
    data_memory (d, cores == 1 ? 1 << 20 : 10); /* once to memory, where it
                                                   stays */
    const double said = data_loader_bytes (&spec);
    mem_count (&before, &blocks, &peak);
    good = data_loader_open (&spec, &l) == OK;
    mem_count (&after, &blocks, &peak);
    const double is = (double)(after - before);
    tap_ok (good && fabs (said - is) < 8192,
            "%d threads: %.0f bytes said, %.0f taken", cores, said, is);
    data_loader_close (&l);
  }
  struct data_loader_spec spec = many_spec (d, 1);
  good = good && data_loader_pace (&spec, 0.05, &sample_s) == OK;
  tap_ok (good && sample_s > 0, "an image takes %g s", sample_s);
  fault_plant ("slow-decode:2");
  good = good && data_loader_pace (&spec, 0.05, &sample_s) == OK;
  fault_plant (NULL);
  tap_ok (good && sample_s >= 0.99, "a slow one is seen: %g s", sample_s);
  data_close (&d);
}

int
main (void)
{
  size_t bytes, blocks, peak;
  if (!scratch_open ())
    tap_bail ("no scratch folder");
  log_level_set (LOG_WARN);
  test_many ();
  test_first_failure ();
  test_stop ();
  test_reader ();
  test_said ();
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left allocated");
  scratch_close ();
  return tap_done ();
}
#endif

/* ranks: 0 */
/* tests/data/loader.c -- micro-batches made ahead against images made here,
 * one pixel at a time, from the definition.
 */
#include "data/data.h"
#include "tests/scratch.h"
#include "tests/data/sets.h"
#include "tests/tap.h"

#include "base/fault.h"
#include "base/memory.h"

enum { TRAIN = 23, BATCH = 12, STEPS = 7 };

struct variant {
  const char *what;
  struct set_spec set;
  int64_t memory_bytes; /* splits above are read by sample */
  bool shuffle;
  int augment, n_micro;
  int64_t halves, ahead, limit;
};

static const struct variant variants[] = {
    {"plain", {.train = TRAIN, .valid = 1}, 1 << 20, false, 0, 1, 1, 2, 0},
    {"shuffled, 2 micro-batches",
     {.train = TRAIN, .valid = 1},
     1 << 20,
     true,
     0,
     2,
     1,
     1,
     0},
    {"flip+crop4, 3 micro-batches",
     {.train = TRAIN, .valid = 1},
     1 << 20,
     true,
     DATA_AUGMENT_FLIP | DATA_AUGMENT_CROP4,
     3,
     1,
     5,
     0},
    {"flip, two halves",
     {.train = TRAIN, .valid = 1},
     1 << 20,
     true,
     DATA_AUGMENT_FLIP,
     3,
     2,
     2,
     0},
    {"crop4, floats, two halves",
     {.floats = true, .train = TRAIN, .valid = 1},
     1 << 20,
     true,
     DATA_AUGMENT_CROP4,
     1,
     2,
     3,
     0},
    {"not in memory",
     {.train = TRAIN, .valid = 1},
     10,
     true,
     DATA_AUGMENT_FLIP | DATA_AUGMENT_CROP4,
     2,
     1,
     2,
     0},
    {"floats, flip, not in memory",
     {.floats = true, .train = TRAIN, .valid = 1},
     10,
     true,
     DATA_AUGMENT_FLIP,
     2,
     1,
     2,
     0},
    {"deflated",
     {.chunked = true, .train = TRAIN, .valid = 2},
     10,
     true,
     0,
     2,
     1,
     2,
     0},
    {"limit",
     {.train = TRAIN, .valid = 1},
     1 << 20,
     true,
     DATA_AUGMENT_FLIP,
     2,
     1,
     2,
     5},
};

/* Value of sample n at (c, y, x), zero outside. */
static double
at (bool floats, int64_t n, int c, int y, int x)
{
  if (y < 0 || y >= SET_H || x < 0 || x >= SET_W)
    return 0;
  int i = (c * SET_H + y) * SET_W + x;
  return floats ? (double)set_float (0, n, i)
                : set_normal (c, set_byte (0, n, i));
}

/* The slow twin of one pixel: crop a window of the padded image, mirror it. */
static double
twin (const struct variant *v, uint64_t seed, int64_t epoch, int64_t n, int c,
      int y, int x)
{
  struct random_key key = {seed, RANDOM_AUGMENT, (uint64_t)epoch, (uint64_t)n};
  uint32_t w[4];
  random_block (&key, 0, w);
  int dy = 4, dx = 4;
  if (v->augment & DATA_AUGMENT_CROP4) {
    dy = (int)floor ((double)w[1] / 4294967296.0 * 9);
    dx = (int)floor ((double)w[2] / 4294967296.0 * 9);
  }
  bool flip = (v->augment & DATA_AUGMENT_FLIP) && w[0] >= 0x80000000u;
  int column = x + dx - 4;
  if (column < 0 || column >= SET_W)
    return 0;
  if (flip)
    column = SET_W - 1 - column;
  return at (v->set.floats, n, c, y + dy - 4, column);
}

static bool
batch_agrees (const struct variant *v, struct data_order *o, int64_t step,
              int64_t first, int64_t n, const float *x)
{
  for (int64_t k = 0; k < n; k++) {
    int64_t epoch, sample;
    data_order_sample (o, step, first + k, &epoch, &sample);
    for (int i = 0; i < SET_VALUES; i++) {
      double want = twin (v, 8, epoch, sample, i / (SET_H * SET_W),
                          i / SET_W % SET_H, i % SET_W);
      if (!(fabs ((double)x[k * SET_VALUES + i] - want) <= 2e-6))
        return false;
    }
  }
  return true;
}

static bool
half_agrees (const struct variant *v, struct data_set *d, int64_t half,
             struct data_order *o)
{
  static float x[BATCH * SET_VALUES];
  struct data_loader *l = NULL;
  struct data_loader_spec spec = {
      .data = d,
      .split = DATA_TRAIN,
      .limit = v->limit,
      .batch = BATCH,
      .n = BATCH / v->halves,
      .n_micro = v->n_micro,
      .shuffle = v->shuffle,
      .augment = v->augment,
      .seed = 8,
      .start_step = 2,
      .end_step = 2 + STEPS,
      .ahead = v->ahead,
  };
  spec.first = half * spec.n;
  if (data_loader_open (&spec, &l) != OK)
    return false;
  int64_t part = spec.n / v->n_micro;
  bool good = true;
  mem_close (); /* taking must not allocate */
  for (int64_t step = 2; step < 2 + STEPS; step++)
    for (int m = 0; m < v->n_micro; m++) {
      memset (x, 0xff, sizeof x);
      good = data_take (l, step, m, x) == OK && good;
      good = good && batch_agrees (v, o, step, spec.first + m * part, part, x);
    }
  mem_open ();
  data_loader_close (&l);
  return good;
}

static void
test_variant (const struct variant *v)
{
  const char *path = scratch ("set.h5");
  struct data_set *d = NULL;
  struct data_order *o = NULL;
  set_make (path, &v->set);
  int64_t n = v->limit ? v->limit : v->set.train;
  bool good = data_open (path, &d) == OK &&
              data_order_create (n, BATCH, v->shuffle, 8, &o) == OK;
  if (good)
    data_memory (d, v->memory_bytes);
  for (int64_t half = 0; good && half < v->halves; half++)
    good = half_agrees (v, d, half, o);
  tap_ok (good, "%s", v->what);
  /* The twin must be able to say no. */
  if (good && v->shuffle) {
    float x[SET_VALUES];
    int64_t epoch, sample;
    data_order_sample (o, 0, 0, &epoch, &sample);
    for (int i = 0; i < SET_VALUES; i++)
      x[i] = (float)twin (v, 8, epoch, sample, i / (SET_H * SET_W),
                          i / SET_W % SET_H, i % SET_W);
    bool yes = batch_agrees (v, o, 0, 0, 1, x);
    x[50] += 0.01f;
    tap_ok (yes && !batch_agrees (v, o, 0, 0, 1, x),
            "%s: a wrong pixel is seen", v->what);
  }
  data_order_destroy (&o);
  data_close (&d);
}

static void
test_labels (void)
{
  const char *path = scratch ("set.h5");
  struct data_set *d = NULL;
  struct data_order *o = NULL;
  set_make (path, &(struct set_spec){.train = TRAIN, .valid = 1});
  bool good = data_open (path, &d) == OK &&
              data_order_create (TRAIN, BATCH, true, 8, &o) == OK;
  int32_t labels[6];
  for (int64_t step = 0; step < 9 && good; step++) {
    data_take_labels (d, DATA_TRAIN, o, step, 6, 6, labels);
    for (int64_t i = 0; i < 6; i++) {
      int64_t epoch, sample;
      data_order_sample (o, step, 6 + i, &epoch, &sample);
      good = good && labels[i] == set_label (0, sample);
    }
  }
  tap_ok (good, "labels of the second half");
  data_order_destroy (&o);
  data_close (&d);
}

/* The thread fails at its third micro-batch: two arrive, then its words. */
static void
test_failure (void)
{
  const char *path = scratch ("set.h5");
  struct data_set *d = NULL;
  struct data_loader *l = NULL;
  static float x[BATCH * SET_VALUES];
  set_make (path, &(struct set_spec){.train = TRAIN, .valid = 1});
  bool good = data_open (path, &d) == OK;
  struct data_loader_spec spec = {.data = d,
                                  .split = DATA_TRAIN,
                                  .batch = BATCH,
                                  .n = BATCH,
                                  .n_micro = 2,
                                  .seed = 8,
                                  .end_step = 50,
                                  .ahead = 2};
  fault_plant ("read:3");
  good = good && data_loader_open (&spec, &l) == OK;
  good = good && data_take (l, 0, 0, x) == OK && data_take (l, 0, 1, x) == OK;
  tap_ok (good, "what was made before the failure arrives");
  enum status s = good ? data_take (l, 1, 0, x) : OK;
  tap_ok (s == E_DATA && strstr (fail_message (), path) &&
              strstr (fail_message (), "planted"),
          "then the thread's words: %s", fail_message ());
  fault_plant (NULL);
  fail_clear ();
  data_loader_close (&l);
  /* Closing early must not wait for the thread to make everything. */
  spec.end_step = 1000000000;
  good = data_loader_open (&spec, &l) == OK;
  data_loader_close (&l);
  tap_ok (good && !l, "closed with most of it not taken");
  spec.split = DATA_TEST;
  tap_ok (data_loader_open (&spec, &l) == E_DATA &&
              strstr (fail_message (), "no /test"),
          "no such split");
  fail_clear ();
  data_close (&d);
}

/* The file shrinks under a loader that reads by sample. */
static void
test_truncated (void)
{
  const char *path = scratch ("set.h5");
  struct data_set *d = NULL;
  struct data_loader *l = NULL;
  static float x[BATCH * SET_VALUES];
  set_make (path, &(struct set_spec){.train = TRAIN, .valid = 1});
  bool good = data_open (path, &d) == OK;
  data_memory (d, 10);
  if (truncate (path, 3000) != 0)
    tap_bail ("truncate");
  struct data_loader_spec spec = {.data = d,
                                  .split = DATA_TRAIN,
                                  .batch = BATCH,
                                  .n = BATCH,
                                  .n_micro = 1,
                                  .end_step = 50,
                                  .ahead = 2};
  good = good && data_loader_open (&spec, &l) == OK;
  enum status s = OK;
  for (int64_t step = 0; good && s == OK && step < 50; step++)
    s = data_take (l, step, 0, x);
  tap_ok (s == E_DATA && strstr (fail_message (), "/train/images") &&
              strstr (fail_message (), "cut off"),
          "a file that shrinks: %s", fail_message ());
  fail_clear ();
  data_loader_close (&l);
  data_close (&d);
}

int
main (void)
{
  if (!scratch_open ())
    tap_bail ("no scratch folder");
  for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++)
    test_variant (&variants[i]);
  test_labels ();
  test_failure ();
  test_truncated ();
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left allocated");
  scratch_close ();
  return tap_done ();
}

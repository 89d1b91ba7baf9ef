/* ranks: 0 */
/* tests/data/jpeg.c -- data sets of JPEG images, written here by HDF5 alone:
 * what a loader and an evaluation see of them against the library's own
 * decoding and the twin of resampling; and what is refused.
 */
#include "tests/data/photo_set.h"
#include "tests/data/refused.h"
#include "tests/data/sets.h"
#include "tests/tap.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"

#ifndef HAVE_JPEG
/* A set whose images nobody here can decode. */
static void
make_set (const char *path)
{
  static const char *const names[] = {"a", "b"};
  int version = 1, size = 8, label = 1;
  hsize_t one = 1;
  hvl_t value = {.len = 4, .p = "some"};
  hid_t file = H5Fcreate (path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  set_text (file, "interlock_format", "dataset");
  set_numbers (file, "version", H5T_NATIVE_INT, 0, &version);
  set_text (file, "kind", "images");
  set_text (file, "name", "photos");
  set_texts (file, "classes", 2, names);
  set_numbers (file, "size", H5T_NATIVE_INT, 0, &size);
  hid_t g = H5Gcreate2 (file, "train", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  hid_t type = H5Tvlen_create (H5T_STD_U8LE);
  set_array (g, "jpeg", type, type, 1, &one, false, &value);
  set_array (g, "labels", H5T_STD_U8LE, H5T_NATIVE_INT, 1, &one, false, &label);
  H5Tclose (type);
  H5Gclose (g);
  H5Fclose (file);
}

int
main (void)
{
  struct data_set *d = NULL;
  if (!scratch_open ())
    tap_bail ("no scratch folder");
  make_set (scratch ("set.h5"));
  tap_ok (data_open (scratch ("set.h5"), &d) == E_UNSUPPORTED &&
              strstr (fail_message (), "set.h5: /train/jpeg: ") &&
              strstr (fail_message (), "libturbojpeg0-dev"),
          "without libjpeg-turbo it is said how to get it %s", fail_message ());
  scratch_close ();
  return tap_done ();
}
#else

/* -- what is seen ---------------------------------------------------------- */

/* Whether x [3, SIZE, SIZE] is that image in that part, normalised, with flips
 * and shifts as crop4 has them (dy = dx = 4: none). */
static bool
seen_is (int split, int i, const struct data_part *part, bool flip, int dy,
         int dx, const float *x)
{
  int w, h;
  size_t n;
  const unsigned char *bytes = image_bytes (split, i, &n);
  const unsigned char *rgb = photo_decode (bytes, n, &w, &h);
  for (int k = 0; rgb && k < VALUES; k++) {
    int c = k / (SIZE * SIZE), row = k / SIZE % SIZE + dy - 4;
    int column = k % SIZE + dx - 4;
    bool out = row < 0 || row >= SIZE || column < 0 || column >= SIZE;
    if (flip)
      column = SIZE - 1 - column;
    double v = out ? 0 : twin_value (rgb, w, part, column, row, c);
    double want = out ? 0 : (v / 255 - set_mean[c]) / set_std[c];
    if (!(fabs ((double)x[k] - want) <= (out ? 0 : 0.502 / 255 / set_std[c])))
      return false;
  }
  return rgb != NULL;
}

static bool
middle_is (int split, int i, const float *x)
{
  struct data_part part;
  int w, h;
  image_size (split, i, &w, &h);
  data_part_centre (w, h, SIZE, 27, &part);
  return seen_is (split, i, &part, false, 4, 4, x);
}

static void
test_read (const char *what, const struct jpeg_set *s)
{
  static float x[4 * VALUES];
  const char *path = scratch ("read.h5");
  struct data_set *d = NULL;
  struct data_info info;
  make_set (path, s);
  if (!tap_ok (data_open (path, &d) == OK, "%s: opens %s", what,
               fail_message ()))
    return;
  data_info (d, &info);
  tap_ok (info.decoder[0] && info.channels == 3 && info.height == SIZE &&
              info.width == SIZE && info.samples[0] == TRAIN &&
              info.samples[1] == VALID && info.samples[2] == 0,
          "%s: sizes", what);
  bool good = true;
  for (int split = 0; split < 2; split++)
    for (int i = 0; i < (split ? VALID : TRAIN); i += 4) {
      int last = (split ? VALID : TRAIN) - 1;
      good = good && data_read (d, (enum data_split)split, i, 4, x) == OK;
      for (int k = 0; good && k < 4; k++)
        good = middle_is (split, i + k < last ? i + k : last, x + k * VALUES);
    }
  tap_ok (good, "%s: an evaluation sees the middle %s", what, fail_message ());
  data_close (&d);
}

/* -- the loader ------------------------------------------------------------ */

struct variant {
  const char *what;
  int augment;
  int64_t memory; /* splits above are read by sample */
  bool chunked;
  int n_micro, halves;
};

static const struct variant variants[] = {
    {"plain", 0, 1 << 20, false, 1, 1},
    {"flip+crop4", DATA_AUGMENT_FLIP | DATA_AUGMENT_CROP4, 1 << 20, false, 3,
     1},
    {"imagenet", DATA_AUGMENT_IMAGENET, 1 << 20, false, 2, 1},
    {"imagenet, not in memory", DATA_AUGMENT_IMAGENET, 10, false, 1, 2},
    {"imagenet, chunked", DATA_AUGMENT_IMAGENET, 10, true, 3, 2},
    {"crop4, not in memory", DATA_AUGMENT_CROP4, 10, false, 2, 1},
};

static bool
sample_agrees (const struct variant *v, int64_t epoch, int sample,
               const float *x)
{
  struct random_key key = {8, RANDOM_AUGMENT, (uint64_t)epoch,
                           (uint64_t)sample};
  struct data_part part;
  uint32_t word[4];
  int w, h, dy = 4, dx = 4;
  image_size (0, sample, &w, &h);
  random_block (&key, 0, word);
  bool flip = v->augment & (DATA_AUGMENT_FLIP | DATA_AUGMENT_IMAGENET) &&
              word[0] >= 0x80000000u;
  if (v->augment & DATA_AUGMENT_CROP4) {
    dy = (int)floor ((double)word[1] / 4294967296.0 * 9);
    dx = (int)floor ((double)word[2] / 4294967296.0 * 9);
  }
  if (v->augment & DATA_AUGMENT_IMAGENET)
    data_part_random (8, epoch, sample, w, h, SIZE, &part);
  else
    data_part_centre (w, h, SIZE, 27, &part);
  return seen_is (0, sample, &part, flip, dy, dx, x);
}

static bool
half_agrees (const struct variant *v, struct data_set *d, int half,
             struct data_order *o)
{
  static float x[BATCH * VALUES];
  struct data_loader *l = NULL;
  int64_t n = BATCH / v->halves;
  struct data_loader_spec spec = {.data = d,
                                  .split = DATA_TRAIN,
                                  .batch = BATCH,
                                  .first = half * n,
                                  .n = n,
                                  .n_micro = v->n_micro,
                                  .shuffle = true,
                                  .augment = v->augment,
                                  .seed = 8,
                                  .start_step = 1,
                                  .end_step = 4,
                                  .ahead = 2};
  bool good = data_loader_open (&spec, &l) == OK;
  int64_t part = n / v->n_micro;
  for (int64_t i = 0; good && i < 3 * v->n_micro; i++) {
    int64_t step = 1 + i / v->n_micro, first = i % v->n_micro * part;
    good = data_take (l, step, (int)(i % v->n_micro), x) == OK;
    for (int64_t k = 0; good && k < part; k++) {
      int64_t epoch, sample;
      data_order_sample (o, step, half * n + first + k, &epoch, &sample);
      good = sample_agrees (v, epoch, (int)sample, x + k * VALUES);
    }
  }
  data_loader_close (&l);
  return good;
}

static void
test_loader (const struct variant *v)
{
  const char *path = scratch ("load.h5");
  struct data_set *d = NULL;
  struct data_order *o = NULL;
  make_set (path, &(struct jpeg_set){.chunked = v->chunked, .pixels = true});
  bool good = data_open (path, &d) == OK &&
              data_order_create (TRAIN, BATCH, true, 8, &o) == OK;
  if (good)
    data_memory (d, v->memory);
  for (int half = 0; half < v->halves; half++)
    good = good && half_agrees (v, d, half, o);
  tap_ok (good, "the loader: %s %s", v->what, fail_message ());
  data_order_destroy (&o);
  data_close (&d);
}

/* A loader and an evaluation beside it do not disturb each other. */
static void
test_beside (void)
{
  static float x[BATCH * VALUES], y[VALUES];
  struct data_set *d = NULL;
  struct data_loader *l = NULL;
  make_set (scratch ("beside.h5"), &(struct jpeg_set){.pixels = true});
  bool good = data_open (scratch ("beside.h5"), &d) == OK;
  if (good)
    data_memory (d, 10);
  struct data_loader_spec spec = {.data = d,
                                  .batch = BATCH,
                                  .n = BATCH,
                                  .n_micro = 1,
                                  .augment = DATA_AUGMENT_IMAGENET,
                                  .end_step = 40,
                                  .ahead = 3};
  good = good && data_loader_open (&spec, &l) == OK;
  for (int i = 0; good && i < 40; i++)
    good = data_take (l, i, 0, x) == OK &&
           data_read (d, DATA_VALID, i % VALID, 1, y) == OK &&
           middle_is (1, i % VALID, y);
  tap_ok (good, "an evaluation beside a loader %s", fail_message ());
  data_loader_close (&l);
  data_close (&d);
}

/* Each allocation of a loader fails once. */
static void
test_memory (void)
{
  struct data_set *d = NULL;
  struct data_loader *l = NULL;
  char fault[32];
  int n = 0;
  enum status s = E_MEMORY;
  make_set (scratch ("memory.h5"), &(struct jpeg_set){.pixels = true});
  bool good = data_open (scratch ("memory.h5"), &d) == OK;
  struct data_loader_spec spec = {
      .data = d, .batch = 2, .n = 2, .n_micro = 1, .end_step = 1, .ahead = 1};
  while (good && s != OK && n < 40) {
    snprintf (fault, sizeof fault, "alloc:%d", ++n);
    fault_plant (fault);
    s = data_loader_open (&spec, &l);
    fault_plant (NULL);
    good = s == OK ? l != NULL : s == E_MEMORY && !l;
    fail_clear ();
  }
  tap_ok (good && s == OK && n > 10, "no memory for any of %d blocks", n - 1);
  data_loader_close (&l);
  data_close (&d);
}

/* -- refusals -------------------------------------------------------------- */

struct refusal {
  enum wrong wrong;
  const char *words[REFUSED_WORDS];
};

static const struct refusal at_open[] = {
    {WRONG_TYPE, {"/train/jpeg", "variable length"}},
    {WRONG_FIXED, {"/train/jpeg", "variable length"}},
    {WRONG_RANK, {"/train/jpeg", "[11, 1]", "[N]"}},
    {WRONG_LABEL, {"/valid/labels[2]", "label 4", "0 to 3"}},
    {WRONG_COUNT, {"/train/labels", "10 labels", "11 images"}},
    {WRONG_EMPTY, {"/train/jpeg[4]", "empty"}},
    {WRONG_NO_SIZE, {"\"size\""}},
    {WRONG_SIZE, {"\"size\" is 0"}},
    {WRONG_MIXED, {"/valid/jpeg", "missing", "JPEG"}},
    {WRONG_NUMBER, {"/train/jpeg", "\"pixels\" is 0"}},
};
static const struct refusal at_load[] = {
    {WRONG_BYTES, {"/train/jpeg[3]", "not a JPEG image"}},
    {WRONG_SHORT, {"/train/jpeg[3]", "remature end"}},
    {WRONG_PIXELS, {"/train/jpeg[", "more pixels"}},
};

/* The first failure of reading all of train: by the loader, in place, and by
 * --check. */
static void
test_load_refusal (const struct refusal *r)
{
  static float x[VALUES];
  const char *path = scratch ("bad.h5");
  struct data_set *d = NULL;
  struct data_loader *l = NULL;
  struct text t;
  enum status s = OK;
  text_init (&t);
  make_set (path, &(struct jpeg_set){.wrong = r->wrong, .pixels = true});
  tap_ok (data_open (path, &d) == OK, "opens: %s", r->words[1]);
  struct data_loader_spec spec = {.data = d,
                                  .batch = 1,
                                  .n = 1,
                                  .n_micro = 1,
                                  .end_step = TRAIN,
                                  .ahead = 1};
  if (data_loader_open (&spec, &l) == OK)
    for (int i = 0; s == OK && i < TRAIN; i++)
      s = data_take (l, i, 0, x);
  tap_ok (refused (s, E_DATA, r->words), "the loader: %s", r->words[1]);
  data_loader_close (&l);
  s = OK;
  for (int i = 0; s == OK && i < TRAIN; i++)
    s = data_read (d, DATA_TRAIN, i, 1, x);
  tap_ok (refused (s, E_DATA, r->words), "an evaluation: %s", r->words[1]);
  data_close (&d);
  tap_ok (data_print (path, false, &t) == OK &&
              refused (data_print (path, true, &t), E_DATA, r->words),
          "info --check: %s", r->words[1]);
  text_clear (&t);
}

static void
test_refusals (void)
{
  for (int chunked = 0; chunked < 2; chunked++)
    for (size_t i = 0; i < sizeof at_open / sizeof *at_open; i++) {
      struct data_set *d = NULL;
      const char *path = scratch ("bad.h5");
      make_set (path, &(struct jpeg_set){.wrong = at_open[i].wrong,
                                         .chunked = chunked,
                                         .pixels = true});
      if (chunked && at_open[i].wrong <= WRONG_RANK)
        continue;
      tap_ok (refused (data_open (path, &d), E_DATA, at_open[i].words) && !d,
              "refused%s: %s %s", chunked ? ", chunked" : "",
              at_open[i].words[0],
              at_open[i].words[1] ? at_open[i].words[1] : "");
      data_close (&d);
    }
  for (size_t i = 0; i < sizeof at_load / sizeof *at_load; i++)
    test_load_refusal (&at_load[i]);
}

/* -- damage ---------------------------------------------------------------- */

/* Where those bytes are in a file; -1: nowhere. */
static int64_t
find (const char *path, const void *what, size_t size)
{
  static unsigned char all[1 << 18];
  FILE *f = fopen (path, "rb");
  size_t n = f ? fread (all, 1, sizeof all, f) : 0;
  if (f)
    fclose (f);
  for (size_t i = 0; i + size <= n; i++)
    if (memcmp (all + i, what, size) == 0)
      return (int64_t)i;
  return -1;
}

/* Of all images of train, in memory or not, the first failure. */
static enum status
read_all (const char *path, int64_t memory)
{
  static float x[VALUES];
  struct data_set *d = NULL;
  struct data_loader *l = NULL;
  TRY (data_open (path, &d));
  data_memory (d, memory);
  struct data_loader_spec spec = {.data = d,
                                  .batch = 1,
                                  .n = 1,
                                  .n_micro = 1,
                                  .end_step = TRAIN,
                                  .ahead = 1};
  enum status s = data_loader_open (&spec, &l);
  for (int i = 0; s == OK && i < TRAIN; i++)
    s = data_take (l, i, 0, x);
  data_loader_close (&l);
  data_close (&d);
  return s;
}

static void
test_damage (void)
{
  static const char *const moved[] = {"/train/jpeg[5]", "damaged", NULL};
  static const char *const cut[] = {"bad.h5", NULL};
  const char *path = scratch ("bad.h5");
  for (int64_t memory = 10; memory < 1 << 21; memory <<= 17) {
    size_t n;
    make_set (path, &(struct jpeg_set){.pixels = true});
    tap_ok (read_all (path, memory) == OK, "whole");
    const unsigned char *bytes = image_bytes (0, 5, &n);
    int64_t at = find (path, bytes, n);
    scratch_flip (path, at - 16); /* its number, in front of it */
    tap_ok (at > 0 && refused (read_all (path, memory), E_DATA, moved),
            "bytes are not where the file says");
  }
  make_set (path, &(struct jpeg_set){.pixels = true});
  if (truncate (path, scratch_bytes (path) * 2 / 3) != 0)
    tap_bail ("truncate");
  tap_ok (refused (read_all (path, 10), E_DATA, cut), "cut off");
}

/* -- words ----------------------------------------------------------------- */

static void
test_print (void)
{
  const char *path = scratch ("print.h5");
  size_t least = SIZE_MAX, most = 0, n;
  char words[128];
  struct text t;
  text_init (&t);
  make_set (path, &(struct jpeg_set){.pixels = true});
  for (int i = 0; i < TRAIN; i++) {
    (void)image_bytes (0, i, &n);
    least = n < least ? n : least;
    most = n > most ? n : most;
  }
  snprintf (words, sizeof words, "JPEG images of %s to ",
            text_bytes ((double)least));
  enum status s = data_print (path, true, &t);
  tap_ok (s == OK && strstr (t.data, words) &&
              strstr (t.data, text_bytes ((double)most)) &&
              strstr (t.data, "images 3 x 24 x 24") &&
              strstr (t.data, "/valid/jpeg") && strstr (t.data, "none kept"),
          "info tells number, size, smallest and largest %s%s", fail_message (),
          s == OK ? "" : t.data);
  text_clear (&t);
}

static void
test_digest (void)
{
  struct data_info a, b;
  struct data_set *d = NULL;
  uint64_t digests[2];
  for (int i = 0; i < 2; i++) {
    make_set (scratch ("d.h5"), &(struct jpeg_set){.chunked = i});
    if (data_open (scratch ("d.h5"), &d) != OK)
      tap_bail (fail_message ());
    data_info (d, i ? &b : &a);
    digests[i] = (i ? b : a).digest;
    data_close (&d);
  }
  tap_ok (digests[0] == digests[1], "the same set, stored in another way, has "
                                    "the same digest");
}

int
main (void)
{
  if (!scratch_open ())
    tap_bail ("no scratch folder");
  log_level_set (LOG_WARN);
  test_read ("contiguous", &(struct jpeg_set){.pixels = true});
  test_read ("without pixels", &(struct jpeg_set){.pixels = false});
  test_read ("chunked", &(struct jpeg_set){.chunked = true});
  for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
    test_loader (&variants[i]);
  test_beside ();
  test_memory ();
  test_refusals ();
  test_damage ();
  test_print ();
  test_digest ();
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left allocated");
  scratch_close ();
  return tap_done ();
}
#endif

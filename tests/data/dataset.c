/* ranks: 0 */
/* tests/data/dataset.c -- data sets made by others are read as they are, bad
 * ones are refused with file, place and reason.
 */
#include "data/data.h"
#include "store/h5.h"
#include "tests/data/refused.h"
#include "tests/scratch.h"
#include "tests/data/sets.h"
#include "tests/tap.h"

#include "base/fault.h"
#include "base/memory.h"

struct refusal {
  enum spoil spoil;
  enum status status;
  const char *words[REFUSED_WORDS]; /* all of them in the message */
};

static const struct refusal refusals[] = {
    {SPOIL_FORMAT, E_DATA, {"interlock_format", "checkpoint", "dataset"}},
    {SPOIL_VERSION, E_DATA, {"version 2", "version 1"}},
    {SPOIL_KIND, E_DATA, {"kind", "sounds", "tokens"}},
    {SPOIL_NO_NAME, E_DATA, {"\"name\" is missing"}},
    {SPOIL_LABEL_HIGH, E_DATA, {"/valid/labels[2]", "label 4", "0 to 3"}},
    {SPOIL_LABEL_LOW, E_DATA, {"/train/labels[4]", "label -1", "0 to 3"}},
    {SPOIL_LABEL_COUNT, E_DATA, {"/train/labels", "19 labels", "20 images"}},
    {SPOIL_LABEL_FLOAT, E_DATA, {"/train/labels", "integers"}},
    {SPOIL_LABEL_RANK, E_DATA, {"/train/labels", "[20, 1]", "[N]"}},
    {SPOIL_NO_LABELS, E_DATA, {"/train/labels is missing"}},
    {SPOIL_IMAGE_RANK, E_DATA, {"/train/images", "[20, 105]", "[N, C, H, W]"}},
    {SPOIL_IMAGE_SHAPE,
     E_DATA,
     {"/valid/images", "[10, 3, 6, 5]", "[3, 7, 5]"}},
    {SPOIL_IMAGE_TYPE, E_DATA, {"/train/images", "bytes"}},
    {SPOIL_MIXED, E_DATA, {"/valid/images", "floats", "bytes"}},
    {SPOIL_NO_MEAN, E_DATA, {"\"mean\" is missing"}},
    {SPOIL_STD_ZERO, E_DATA, {"channel 1", "std 0"}},
    {SPOIL_STD_LENGTH, E_DATA, {"\"std\"", "2 values", "expected 3"}},
    {SPOIL_NO_SPLITS, E_DATA, {"/train, /valid, /test"}},
    {SPOIL_ONE_CLASS, E_DATA, {"\"classes\"", "1 names"}},
    {SPOIL_JPEG, E_DATA, {"/train/jpeg"}},
};

/* The status, the file's name and every word. */
static bool
refused_of (enum status got, const char *path, enum status wanted,
            const char *const *words)
{
  bool named = strstr (fail_message (), path) != NULL;
  return refused (got, wanted, words) && named;
}

static void
test_refusals (void)
{
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
    const char *path = scratch ("bad.h5");
    set_make (path, &(struct set_spec){
                        .spoil = refusals[i].spoil, .train = 20, .valid = 10});
    struct data_set *d = NULL;
    enum status s = data_open (path, &d);
    tap_ok (refused_of (s, path, refusals[i].status, refusals[i].words) && !d,
            "refused: %s", refusals[i].words[0]);
    data_close (&d);
  }
}

static void
test_no_files (void)
{
  struct data_set *d = NULL;
  const char *const gone[REFUSED_WORDS] = {"No such file"};
  const char *const other[REFUSED_WORDS] = {"HDF5"};
  const char *path = scratch ("none.h5");
  tap_ok (refused_of (data_open (path, &d), path, E_MISSING, gone), "no file");
  path = scratch ("text.h5");
  scratch_write (path, "hello, this is text\n", 20);
  tap_ok (refused_of (data_open (path, &d), path, E_DATA, other), "not HDF5");
  path = scratch ("short.h5");
  set_make (path, &(struct set_spec){.train = 60, .valid = 60});
  if (truncate (path, scratch_bytes (path) * 2 / 3) != 0)
    tap_bail ("truncate");
  tap_ok (refused_of (data_open (path, &d), path, E_DATA, other), "cut off");
  path = scratch ("good.h5");
  set_make (path, &(struct set_spec){.train = 20, .valid = 10});
  const char *const planted[REFUSED_WORDS] = {"planted"};
  fault_plant ("read");
  tap_ok (refused_of (data_open (path, &d), path, E_DATA, planted),
          "a planted fault");
  fault_plant (NULL);
}

/* All pixels of both splits, read in odd pieces, against the definition. */
static bool
pixels_agree (struct data_set *d, const struct set_spec *spec)
{
  static float x[7 * SET_VALUES];
  for (int split = 0; split < 2; split++) {
    int64_t n = split == 0 ? spec->train : spec->valid;
    for (int64_t first = 0; first < n + 9; first += 7) {
      if (data_read (d, (enum data_split)split, first, 7, x) != OK)
        return false;
      for (int64_t k = 0; k < 7; k++)
        for (int i = 0; i < SET_VALUES; i++) {
          int64_t at = first + k < n ? first + k : n - 1;
          double want = spec->floats ? (double)set_float (split, at, i)
                                     : set_normal (i / (SET_H * SET_W),
                                                   set_byte (split, at, i));
          double got = (double)x[k * SET_VALUES + i];
          if (!(fabs (got - want) <= (spec->floats ? 0 : 2e-6)))
            return false;
        }
    }
  }
  return true;
}

static bool
labels_agree (const struct data_set *d, const struct set_spec *spec)
{
  bool good = true;
  for (int64_t i = 0; i < spec->train; i++)
    good = good && data_labels (d, DATA_TRAIN)[i] == set_label (0, i);
  for (int64_t i = 0; i < spec->valid; i++)
    good = good && data_labels (d, DATA_VALID)[i] == set_label (1, i);
  return good;
}

static void
test_reading (const char *what, const struct set_spec *spec)
{
  const char *path = scratch ("set.h5");
  set_make (path, spec);
  struct data_set *d = NULL;
  struct data_info info;
  if (!tap_ok (data_open (path, &d) == OK, "%s: opens", what)) {
    tap_note ("%s", fail_message ());
    fail_clear ();
    return;
  }
  data_info (d, &info);
  tap_ok (strcmp (info.kind, "images") == 0 &&
              strcmp (info.name, "small") == 0 && info.classes == SET_CLASSES &&
              info.channels == SET_C && info.height == SET_H &&
              info.width == SET_W && info.samples[DATA_TRAIN] == spec->train &&
              info.samples[DATA_VALID] == spec->valid &&
              info.samples[DATA_TEST] == 0,
          "%s: header", what);
  tap_ok (labels_agree (d, spec), "%s: labels", what);
  size_t blocks, bytes, peak, after;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (pixels_agree (d, spec), "%s: pixels, past the end as well", what);
  mem_count (&bytes, &after, &peak);
  tap_ok (after == blocks, "%s: reading allocates nothing", what);
  float x[SET_VALUES];
  const char *const words[REFUSED_WORDS] = {"no /test"};
  tap_ok (refused_of (data_read (d, DATA_TEST, 0, 1, x), path, E_DATA, words),
          "%s: no test split", what);
  data_close (&d);
}

static uint64_t
digest_of (const struct set_spec *spec)
{
  const char *path = scratch ("digest.h5");
  struct data_set *d = NULL;
  struct data_info info = {.digest = 0};
  set_make (path, spec);
  if (data_open (path, &d) == OK)
    data_info (d, &info);
  data_close (&d);
  return info.digest;
}

static void
test_print (void)
{
  const char *path = scratch ("print.h5");
  struct text t;
  char kind[16];
  set_make (path, &(struct set_spec){.train = 20, .valid = 10});
  text_init (&t);
  tap_ok (data_print (path, true, &t) == OK && strstr (t.data, "small") &&
              strstr (t.data, "3 x 7 x 5") && strstr (t.data, "/train") &&
              !strstr (t.data, "/test"),
          "what info prints");
  text_clear (&t);
  tap_ok (store_file_kind (path, kind) == OK && strcmp (kind, "dataset") == 0,
          "kind of a data set");
  path = scratch ("kind.txt");
  scratch_write (path, "words\n", 6);
  tap_ok (store_file_kind (path, kind) == OK && kind[0] == '\0',
          "kind of a text");
  tap_ok (store_file_kind (scratch ("none"), kind) == E_MISSING,
          "kind of no file");
  fail_clear ();
  tap_ok (strncmp (store_describe (), "HDF5 1.", 7) == 0, "%s",
          store_describe ());
}

int
main (void)
{
  if (!scratch_open ())
    tap_bail ("no scratch folder");
  test_no_files ();
  test_refusals ();
  struct set_spec plain = {.train = 20, .valid = 10};
  test_reading ("bytes", &plain);
  test_reading ("floats",
                &(struct set_spec){.floats = true, .train = 9, .valid = 1});
  test_reading ("deflated",
                &(struct set_spec){.chunked = true, .train = 20, .valid = 10});
  test_reading ("big-endian",
                &(struct set_spec){
                    .big = true, .floats = true, .train = 20, .valid = 10});
  struct set_spec more = {.train = 21, .valid = 10};
  tap_ok (digest_of (&plain) == digest_of (&plain) &&
              digest_of (&plain) != digest_of (&more),
          "digests tell sets apart");
  test_print ();
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left allocated (%zu blocks)", blocks);
  scratch_close ();
  return tap_done ();
}

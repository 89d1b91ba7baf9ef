/* ranks: 0 */
/* tests/data/others.c -- data sets as other people's programs write them:
 * taken with the right values, or refused with dataset, value and what to do.
 */
#include "base/fault.h"
#include "data/data.h"
#include "tests/data/refused.h"
#include "tests/scratch.h"
#include "tests/data/sets.h"
#include "tests/tap.h"

enum { N = 20, T = 40, VOCABULARY = 50000 };

/* -- images: a good file, changed -------------------------------------------
 */

static void
put_doubles (hid_t file, const char *name, double a, double b, double c)
{
  double values[3] = {a, b, c};
  H5Adelete (file, name);
  set_numbers (file, name, H5T_NATIVE_DOUBLE, 3, values);
}

static void
mean_bytes (hid_t file)
{
  put_doubles (file, "mean", 125.3, 123, 113.9);
}

static void
std_bytes (hid_t file)
{
  put_doubles (file, "std", 0.2, 62.1, 0.3);
}

static void
mean_negative (hid_t file)
{
  put_doubles (file, "mean", 0.5, 0.5, -1);
}

static void
put_classes (hid_t file, const char *third)
{
  const char *const names[SET_CLASSES] = {"a", "bb", third, "d"};
  H5Adelete (file, "classes");
  set_texts (file, "classes", SET_CLASSES, names);
}

static void
class_empty (hid_t file)
{
  put_classes (file, "");
}

static void
class_lines (hid_t file)
{
  put_classes (file, "c\nc");
}

static void
put_version (hid_t file, double version)
{
  H5Adelete (file, "version");
  set_numbers (file, "version", H5T_NATIVE_DOUBLE, 0, &version);
}

static void
version_float (hid_t file)
{
  put_version (file, 1);
}

static void
version_half (hid_t file)
{
  put_version (file, 1.5);
}

static void
put_images (hid_t file, hid_t type, hsize_t c, hsize_t h, hsize_t w)
{
  static unsigned char values[8 * N * 300];
  hsize_t dims[4] = {N, c, h, w};
  H5Ldelete (file, "/train/images", H5P_DEFAULT);
  set_array (file, "/train/images", type, type, 4, dims, false, values);
}

static void
colours_last (hid_t file)
{
  put_images (file, H5T_STD_U8LE, 7, 5, 3);
}

static void
floats_last (hid_t file)
{
  H5Adelete (file, "mean");
  put_images (file, H5T_IEEE_F32LE, 8, 8, 3);
}

static void
images_wide (hid_t file)
{
  put_images (file, H5T_STD_I64LE, 3, 7, 5);
}

/* As h5py writes booleans; false for even samples. */
static void
labels_bool (hid_t file)
{
  hid_t type = H5Tenum_create (H5T_NATIVE_INT8);
  signed char no = 0, yes = 1, values[N];
  hsize_t dims = N;
  H5Tenum_insert (type, "FALSE", &no);
  H5Tenum_insert (type, "TRUE", &yes);
  for (int i = 0; i < N; i++)
    values[i] = i % 2 ? yes : no;
  H5Ldelete (file, "/train/labels", H5P_DEFAULT);
  set_array (file, "/train/labels", type, type, 1, &dims, false, values);
  H5Tclose (type);
}

static const struct row {
  const char *what;
  void (*change) (hid_t file);
  const char *words[REFUSED_WORDS]; /* none: it opens */
} rows[] = {
    {"means of bytes",
     mean_bytes,
     {"channel 0", "mean 125.3", "divide them by 255"}},
    {"deviations of bytes",
     std_bytes,
     {"channel 1", "std 62.1", "divide them by 255"}},
    {"a negative mean", mean_negative, {"channel 2", "mean -1", "0..1"}},
    {"a class without a name", class_empty, {"\"classes\"", "2 is empty", ""}},
    {"a class of two lines", class_lines, {"\"classes\"", "one line", ""}},
    {"a version as a float", version_float, {NULL}},
    {"a version between", version_half, {"\"version\"", "1.5", "integer"}},
    {"colours last",
     colours_last,
     {"/train/images", "[20, 7, 5, 3]", "transpose"}},
    {"colours last, floats",
     floats_last,
     {"/train/images", "[20, 8, 8, 3]", "transpose"}},
    {"64-bit pixels", images_wide, {"/train/images", "uint8", "float32"}},
    {"booleans as labels", labels_bool, {NULL}},
};

static void
test_images (const struct row *r)
{
  const char *path = scratch ("images.h5");
  struct data_set *d = NULL;
  set_make (path, &(struct set_spec){.train = N, .valid = 10});
  hid_t file = H5Fopen (path, H5F_ACC_RDWR, H5P_DEFAULT);
  r->change (file);
  H5Fclose (file);
  enum status s = data_open (path, &d);
  if (r->words[0])
    tap_ok (refused (s, E_DATA, r->words) && !d, "refused: %s", r->what);
  else
    tap_ok (s == OK, "taken: %s", r->what);
  if (s == OK && r->change == labels_bool) {
    bool good = true;
    for (int i = 0; i < N; i++)
      good = good && data_labels (d, DATA_TRAIN)[i] == i % 2;
    tap_ok (good, "with their values");
  }
  data_close (&d);
  fail_clear ();
}

/* -- tokens -----------------------------------------------------------------
 */

static int64_t
token (int i)
{
  return (int64_t)i * 6; /* fits a byte */
}

/* Token `at` is value instead. */
static void
make_tokens (const char *path, hid_t type, int at, int64_t value)
{
  int64_t ids[T];
  int version = 1, vocabulary = VOCABULARY;
  hsize_t dims = T;
  for (int i = 0; i < T; i++)
    ids[i] = i == at ? value : token (i);
  hid_t file = H5Fcreate (path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  set_text (file, "interlock_format", "dataset");
  set_numbers (file, "version", H5T_NATIVE_INT, 0, &version);
  set_text (file, "kind", "tokens");
  set_text (file, "name", "others");
  set_numbers (file, "vocab_size", H5T_NATIVE_INT, 0, &vocabulary);
  set_text (file, "tokenizer", "ids");
  H5Gclose (H5Gcreate2 (file, "/train", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  set_array (file, "/train/tokens", type, H5T_NATIVE_INT64, 1, &dims, false,
             ids);
  H5Fclose (file);
}

static void
test_tokens (const char *what, hid_t type)
{
  const char *path = scratch ("tokens.h5");
  struct data_set *d = NULL;
  int32_t x[T], labels[T];
  make_tokens (path, type, -1, 0);
  bool good = data_open (path, &d) == OK;
  if (good) {
    data_windows (d, T, T);
    good = data_read (d, DATA_TRAIN, 0, 1, (float *)x) == OK &&
           data_read_labels (d, DATA_TRAIN, 0, 1, 1, labels) == OK;
  }
  for (int i = 0; good && i < T; i++)
    good = x[i] == token (i) && labels[i] == (i < T - 1 ? token (i + 1) : -1);
  if (!good)
    tap_note ("%s", fail_message ());
  tap_ok (good, "tokens of type %s", what);
  data_close (&d);
  fail_clear ();
}

static void
test_wrong_token (const char *what, hid_t type, int64_t value, const char *said)
{
  const char *path = scratch ("tokens.h5");
  const char *const words[REFUSED_WORDS] = {"/train/tokens[7]", said,
                                            "vocab_size is"};
  struct data_set *d = NULL;
  make_tokens (path, type, 7, value);
  tap_ok (refused (data_open (path, &d), E_DATA, words), "%s: %s", what, said);
  data_close (&d);
}

int
main (void)
{
  fault_plant (NULL);
  if (!scratch_open ())
    return 1;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    test_images (&rows[i]);
  test_tokens ("uint8", H5T_STD_U8LE);
  test_tokens ("uint16", H5T_STD_U16LE);
  test_tokens ("int16", H5T_STD_I16LE);
  test_tokens ("int32", H5T_STD_I32LE);
  test_tokens ("big-endian int32", H5T_STD_I32BE);
  test_tokens ("uint32", H5T_STD_U32LE);
  test_tokens ("int64", H5T_STD_I64LE);
  test_tokens ("uint64", H5T_STD_U64LE);
  test_wrong_token ("int16", H5T_STD_I16LE, -1, "token -1,");
  test_wrong_token ("int32", H5T_STD_I32LE, -7, "token -7,");
  test_wrong_token ("int64", H5T_STD_I64LE, -100, "token -100,");
  test_wrong_token ("int64", H5T_STD_I64LE, (int64_t)1 << 33,
                    "token 2147483647,");
  test_wrong_token ("uint32", H5T_STD_U32LE, VOCABULARY, "token 50000,");
  make_tokens (scratch ("tokens.h5"), H5T_IEEE_F32LE, -1, 0);
  struct data_set *d = NULL;
  const char *const words[REFUSED_WORDS] = {"/train/tokens", "not integers",
                                            "uint16"};
  tap_ok (refused (data_open (scratch ("tokens.h5"), &d), E_DATA, words),
          "floats as tokens");
  data_close (&d);
  scratch_close ();
  return tap_done ();
}

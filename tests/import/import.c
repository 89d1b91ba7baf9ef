/* ranks: 0 */
/* tests/import/import.c -- importers on small files made here, in every
 * wrapping, and on the real sets where they lie beside the source; bad files
 * are refused with file, record and numbers.
 */
#include "data/data.h"
#include "import/import.h"
#include "tests/data/refused.h"
#include "tests/import/packed.h"
#include "tests/scratch.h"
#include "tests/tap.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/spawn.h"
#include <zlib.h>

enum { CIFAR = 3073, CIFAR100 = 3074, RECORDS = 30 };

static unsigned char buffer[RECORDS * CIFAR100];

/* Byte i of record n of a file. */
static unsigned char
byte_of (int file, int n, int i)
{
  struct random_key key = {11, RANDOM_TEST, (uint64_t)file, (uint64_t)n};
  return (unsigned char)random_u32 (&key, (uint64_t)i);
}

static size_t
make_records (int file, int n, int label_bytes, int classes)
{
  int record = label_bytes + 3072;
  for (int k = 0; k < n; k++) {
    unsigned char *r = buffer + k * record;
    for (int i = 0; i < record; i++)
      r[i] = byte_of (file, k, i);
    r[0] = (unsigned char)(k % 20);
    r[label_bytes - 1] = (unsigned char)((k * 7 + file) % classes);
  }
  return (size_t)(n * record);
}

static void
write_gz (const char *path, const unsigned char *data, size_t size)
{
  gzFile f = gzopen (path, "wb");
  gzwrite (f, data, (unsigned)size / 2);
  gzclose (f);
  f = gzopen (path, "ab"); /* a second member: one file all the same */
  gzwrite (f, data + size / 2, (unsigned)(size - size / 2));
  gzclose (f);
}

/* With the delta filter that real files of this kind use, where there is a
 * program for it. */
static void
write_xz (const char *path, const unsigned char *data, size_t size)
{
  static const char *const xz[] = {
      "xz", "-zfk", "--delta=dist=1", "--lzma2=preset=1", NULL, NULL};
  const char *words[6];
  struct spawn_end end = {1, 0};
  pid_t child;
  if (!spawn_found ("xz")) {
    packed_write (path, "xz", NULL, 1,
                  &(struct packed){.name = "x", .data = data, .size = size});
    return;
  }
  memcpy (words, xz, sizeof words);
  words[4] = scratch ("plain");
  scratch_write (words[4], data, size);
  if (spawn_start (words, NULL, scratch ("said"), &child) != 0 ||
      !spawn_wait (child, NULL, NULL, &end) || end.code != 0 ||
      rename (scratch ("plain.xz"), path) != 0)
    tap_bail ("xz");
  unlink (scratch ("plain"));
  unlink (scratch ("said"));
}

/* Five training files of 6 records and a test file of 4, each wrapped anew. */
static void
make_cifar10 (const char *folder)
{
  char path[600];
  mkdir (folder, 0777);
  for (int f = 1; f <= 6; f++) {
    size_t size = make_records (f, f == 6 ? 4 : 6, 1, 10);
    int wrap = f % 3;
    char name[32] = "test_batch";
    if (f < 6)
      snprintf (name, sizeof name, "data_batch_%d", f);
    snprintf (path, sizeof path, "%s/%s.bin%s", folder, name,
              wrap == 0   ? ""
              : wrap == 1 ? ".gz"
                          : ".xz");
    if (wrap == 0)
      scratch_write (path, buffer, size);
    else if (wrap == 1)
      write_gz (path, buffer, size);
    else
      write_xz (path, buffer, size);
  }
  snprintf (path, sizeof path, "%s/batches.meta.txt", folder);
  scratch_write (path, "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n", 21);
}

/* Pixels and label of a sample against record n of file f. */
static bool
sample_is (struct data_set *d, enum data_split split, int64_t i, int f, int n,
           const double *mean, const double *std)
{
  float x[3072];
  if (data_read (d, split, i, 1, x) != OK)
    return false;
  bool good = data_labels (d, split)[i] == (n * 7 + f) % 10;
  for (int k = 0; k < 3072 && good; k++) {
    double v = byte_of (f, n, k + 1) / 255.0;
    int c = k / 1024;
    good = fabs ((double)x[k] - (v - mean[c]) / std[c]) < 3e-6;
  }
  return good;
}

/* Mean and deviation of the first n training records, slowly. */
static void
slow_scale (int n, double *mean, double *std)
{
  for (int c = 0; c < 3; c++) {
    long double sum = 0, squares = 0;
    for (int k = 0; k < n * 1024; k++) {
      int r = k / 1024;
      sum += byte_of (r / 6 + 1, r % 6, 1 + c * 1024 + k % 1024) / 255.0L;
    }
    mean[c] = (double)(sum / (n * 1024));
    for (int k = 0; k < n * 1024; k++) {
      int r = k / 1024;
      long double v =
          byte_of (r / 6 + 1, r % 6, 1 + c * 1024 + k % 1024) / 255.0L;
      squares += (v - mean[c]) * (v - mean[c]);
    }
    std[c] = sqrt ((double)(squares / (n * 1024)));
  }
}

static enum status
import (const char *kind, int n_inputs, const char *const *inputs,
        const char *option, const char *output)
{
  const char *words[] = {"force=yes", option}; /* what the last has made */
  return import_run (kind, n_inputs, inputs, option ? 2 : 1, words, output);
}

static bool
sizes_are (const char *path, int64_t train, int64_t valid, int64_t test,
           int classes)
{
  struct data_set *d = NULL;
  struct data_info info;
  if (data_open (path, &d) != OK) {
    tap_note ("%s", fail_message ());
    fail_clear ();
    return false;
  }
  data_info (d, &info);
  data_close (&d);
  bool good = info.samples[DATA_TRAIN] == train &&
              info.samples[DATA_VALID] == valid &&
              info.samples[DATA_TEST] == test && info.classes == classes;
  if (!good)
    tap_note ("train %d valid %d test %d classes %d",
              (int)info.samples[DATA_TRAIN], (int)info.samples[DATA_VALID],
              (int)info.samples[DATA_TEST], info.classes);
  return good;
}

static void
test_cifar10 (void)
{
  char folder[512], out[512];
  snprintf (folder, sizeof folder, "%s", scratch ("c10"));
  snprintf (out, sizeof out, "%s", scratch ("new/c10.h5"));
  make_cifar10 (folder);
  const char *inputs[] = {folder};
  enum status s = import ("cifar10", 1, inputs, NULL, out);
  tap_ok (s == OK && sizes_are (out, 27, 3, 4, 10),
          "cifar10: a folder of plain, gz and xz files %s", fail_message ());
  double mean[3], std[3];
  struct data_set *d = NULL;
  slow_scale (27, mean, std);
  bool good = s == OK && data_open (out, &d) == OK;
  for (int i = 0; good && i < 27; i++)
    good = sample_is (d, DATA_TRAIN, i, i / 6 + 1, i % 6, mean, std);
  tap_ok (good, "cifar10: every training record, normalised");
  for (int i = 0; good && i < 3; i++)
    good = sample_is (d, DATA_VALID, i, 5, 3 + i, mean, std);
  for (int i = 0; good && i < 4; i++)
    good = sample_is (d, DATA_TEST, i, 6, i, mean, std);
  tap_ok (good, "cifar10: the last of train in valid, and test");
  data_close (&d);
  struct text t;
  text_init (&t);
  tap_ok (data_print (out, true, &t) == OK && strstr (t.data, "a, b, c") &&
              strstr (t.data, "agrees"),
          "cifar10: names and digests");
  text_clear (&t);
  tap_ok (import ("cifar10", 1, inputs, "valid=0", out) == OK &&
              sizes_are (out, 30, 0, 4, 10),
          "cifar10: valid=0");
  const char *files[3] = {scratch ("c10/data_batch_3.bin"),
                          scratch ("c10/test_batch.bin"),
                          scratch ("c10/data_batch_1.bin.gz")};
  tap_ok (import ("cifar10", 3, files, "limit=5", out) == OK &&
              sizes_are (out, 5, 0, 4, 10),
          "cifar10: files, limit=5");
  scratch_remove (folder);
}

static void
test_cifar100 (void)
{
  char folder[512], out[512];
  snprintf (folder, sizeof folder, "%s", scratch ("c100"));
  snprintf (out, sizeof out, "%s", scratch ("c100.h5"));
  mkdir (folder, 0777);
  size_t size = make_records (1, 20, 2, 100);
  scratch_write (scratch ("c100/train.bin"), buffer, size);
  size = make_records (2, 4, 2, 100);
  write_xz (scratch ("c100/test.bin.xz"), buffer, size);
  const char *inputs[] = {folder};
  bool good = import ("cifar100", 1, inputs, NULL, out) == OK &&
              sizes_are (out, 18, 2, 4, 100);
  struct data_set *d = NULL;
  good = good && data_open (out, &d) == OK;
  for (int i = 0; good && i < 18; i++)
    good = data_labels (d, DATA_TRAIN)[i] == (i * 7 + 1) % 100;
  tap_ok (good, "cifar100: fine labels %s", fail_message ());
  data_close (&d);
}

/* -- idx ------------------------------------------------------------------- */

/* n images of h x w, or n labels when h is 0. */
static size_t
make_idx (int file, int n, int h, int w)
{
  int dims[3] = {n, h, w}, n_dims = h ? 3 : 1;
  size_t at = 0;
  buffer[at++] = 0;
  buffer[at++] = 0;
  buffer[at++] = 8;
  buffer[at++] = (unsigned char)n_dims;
  for (int i = 0; i < n_dims; i++)
    for (int shift = 24; shift >= 0; shift -= 8)
      buffer[at++] = (unsigned char)(dims[i] >> shift);
  for (int k = 0; k < n; k++)
    for (int i = 0; i < (h ? h * w : 1); i++)
      buffer[at++] = h ? byte_of (file, k, i) : (unsigned char)((k + 1) % 7);
  return at;
}

static void
test_idx (void)
{
  char folder[512], out[512];
  snprintf (folder, sizeof folder, "%s", scratch ("idx"));
  snprintf (out, sizeof out, "%s", scratch ("idx.h5"));
  mkdir (folder, 0777);
  scratch_write (scratch ("idx/train-images-idx3-ubyte"), buffer,
                 make_idx (1, 20, 6, 9));
  write_gz (scratch ("idx/train-labels-idx1-ubyte.gz"), buffer,
            make_idx (0, 20, 0, 0));
  scratch_write (scratch ("idx/t10k-images.idx3-ubyte"), buffer,
                 make_idx (2, 5, 6, 9));
  scratch_write (scratch ("idx/t10k-labels-idx1-ubyte"), buffer,
                 make_idx (0, 5, 0, 0));
  const char *inputs[] = {folder};
  bool good = import ("idx", 1, inputs, "valid=3", out) == OK &&
              sizes_are (out, 17, 3, 5, 7);
  struct data_set *d = NULL;
  struct data_info info;
  float x[54], y[54];
  good = good && data_open (out, &d) == OK &&
         data_read (d, DATA_VALID, 2, 1, x) == OK &&
         data_read (d, DATA_TRAIN, 0, 1, y) == OK;
  if (good)
    data_info (d, &info);
  tap_ok (good && info.channels == 1 && info.height == 6 && info.width == 9 &&
              data_labels (d, DATA_VALID)[2] == 20 % 7,
          "idx: a folder %s", fail_message ());
  /* The normalisation is linear: two pixels give it, the rest must fit. */
  double a = byte_of (1, 0, 0), b = byte_of (1, 0, 1);
  double slope = good ? ((double)y[1] - (double)y[0]) / (b - a) : 0;
  for (int i = 0; good && i < 54; i++)
    good = fabs ((double)x[i] -
                 ((double)y[0] + slope * (byte_of (1, 19, i) - a))) < 1e-4;
  tap_ok (good, "idx: pixels");
  data_close (&d);
}

/* -- refusals -------------------------------------------------------------- */

#define WORDS(...) ((const char *[REFUSED_WORDS]){__VA_ARGS__})

static void
test_bad_cifar (void)
{
  const char *bad = scratch ("data_batch_1.bin");
  const char *out = scratch ("bad.h5");
  scratch_write (bad, buffer, make_records (1, 5, 1, 10) - 73);
  tap_ok (refused (import ("cifar10", 1, &bad, NULL, out), E_DATA,
                   WORDS (bad, "15292 bytes", "multiple of 3073",
                          "record 4 has only 3000")),
          "cifar10: cut off");
  make_records (1, 5, 1, 10);
  buffer[2 * CIFAR] = 12;
  scratch_write (bad, buffer, 5 * CIFAR);
  tap_ok (refused (import ("cifar10", 1, &bad, NULL, out), E_DATA,
                   WORDS (bad, "record 2", "label 12", "0 to 9")),
          "cifar10: a label out of range");
  scratch_write (bad, "", 0);
  tap_ok (refused (import ("cifar10", 1, &bad, NULL, out), E_DATA,
                   WORDS (bad, "0 bytes")),
          "cifar10: an empty file");
  write_xz (bad, buffer, make_records (1, 5, 1, 10));
  if (truncate (bad, scratch_bytes (bad) / 2) != 0)
    tap_bail ("truncate");
  tap_ok (refused (import ("cifar10", 1, &bad, NULL, out), E_DATA,
                   WORDS (bad, "xz", "cut off")),
          "xz cut off");
  write_gz (bad, buffer, make_records (1, 5, 1, 10));
  if (truncate (bad, scratch_bytes (bad) - 5) != 0)
    tap_bail ("truncate");
  tap_ok (refused (import ("cifar10", 1, &bad, NULL, out), E_DATA,
                   WORDS (bad, "gzip", "cut off")),
          "gzip cut off");
  write_gz (bad, buffer, make_records (1, 5, 1, 10));
  scratch_flip (bad, 2000);
  tap_ok (refused (import ("cifar10", 1, &bad, NULL, out), E_DATA,
                   WORDS (bad, "gzip")),
          "gzip damaged");
  tap_ok (scratch_bytes (out) < 0 && scratch_parts () == 0,
          "nothing is left of a failed import");
  unlink (bad);
}

static void
test_bad_idx (void)
{
  const char *files[2] = {scratch ("images"), scratch ("labels")};
  const char *out = scratch ("bad.h5");
  scratch_write (files[0], buffer, make_idx (1, 20, 6, 9) - 1);
  scratch_write (files[1], buffer, make_idx (0, 20, 0, 0));
  tap_ok (refused (import ("idx", 2, files, NULL, out), E_DATA,
                   WORDS (files[0], "1095 bytes", "expected 1096")),
          "idx: cut off");
  scratch_write (files[0], buffer, make_idx (1, 20, 6, 9));
  scratch_write (files[1], buffer, make_idx (0, 19, 0, 0));
  tap_ok (refused (import ("idx", 2, files, NULL, out), E_DATA,
                   WORDS (files[1], "19 labels", files[0], "20 images")),
          "idx: a label missing");
  const char *swapped[2] = {files[1], files[0]};
  tap_ok (refused (import ("idx", 2, swapped, NULL, out), E_DATA,
                   WORDS (files[1], "00000801", "00000803")),
          "idx: labels in place of images");
}

static void
test_bad_words (void)
{
  char folder[512];
  snprintf (folder, sizeof folder, "%s", scratch ("empty"));
  mkdir (folder, 0777);
  const char *inputs[] = {folder};
  const char *out = scratch ("bad.h5");
  tap_ok (refused (import ("cifar10", 1, inputs, NULL, out), E_MISSING,
                   WORDS (folder, "data_batch_1.bin")),
          "a folder without the files");
  const char *none[] = {scratch ("none.bin")};
  tap_ok (refused (import ("cifar10", 1, none, NULL, out), E_MISSING,
                   WORDS (none[0], "No such file")),
          "no such file");
  tap_ok (refused (import ("cifar", 1, inputs, NULL, out), E_CONFIG,
                   WORDS ("\"cifar\"", "cifar10, cifar100", "synthetic")),
          "an unknown kind");
  tap_ok (refused (import ("cifar10", 1, inputs, "vald=3", out), E_CONFIG,
                   WORDS ("\"vald\"", "\"valid\"")),
          "an unknown option");
  tap_ok (refused (import ("synthetic", 0, NULL, "classes=21", out), E_CONFIG,
                   WORDS ("classes=21", "from 2 to 20")),
          "an option out of range");
  tap_ok (refused (import ("synthetic", 0, NULL, "size=20", out), E_CONFIG,
                   WORDS ("size=20", "32")),
          "a size that does not divide the canvas");
  tap_ok (refused (import ("cifar10", 0, NULL, NULL, out), E_USAGE,
                   WORDS ("no input")),
          "no input");
  scratch_write (scratch ("data_batch_1.bin"), buffer,
                 make_records (1, 5, 1, 10));
  const char *few[] = {scratch ("data_batch_1.bin")};
  tap_ok (refused (import ("cifar10", 1, few, "valid=5", out), E_CONFIG,
                   WORDS ("valid=5", "only 5")),
          "all of train held out");
  fault_plant ("write");
  tap_ok (refused (import ("cifar10", 1, few, NULL, out), E_IO,
                   WORDS (out, "planted")),
          "writing fails");
  fault_plant (NULL);
  tap_ok (scratch_bytes (out) < 0, "and leaves nothing");
}

/* -- the real ones --------------------------------------------------------- */

/* Beside the source tree, or where the environment says. */
static bool
shared_path (const char *name, char out[600])
{
  const char *shared = getenv ("INTERLOCK_SHARED");
  const char *top = getenv ("abs_top_srcdir");
  if (shared && shared[0])
    snprintf (out, 600, "%s/data/%s", shared, name);
  else
    snprintf (out, 600, "%s/../shared/data/%s", top ? top : ".", name);
  return access (out, R_OK) == 0;
}

/* Labels of digit or class c in a split. */
static int
count_label (const char *path, enum data_split split, int label)
{
  struct data_set *d = NULL;
  struct data_info info;
  int n = 0;
  if (data_open (path, &d) != OK)
    return -1;
  data_info (d, &info);
  for (int64_t i = 0; i < info.samples[split]; i++)
    n += data_labels (d, split)[i] == label;
  data_close (&d);
  return n;
}

static void
test_real (void)
{
  char path[600];
  const char *inputs[] = {path}, *out = scratch ("real.h5");
  struct text t;
  if (shared_path ("mnist", path)) {
    /* Published: 5,923 zeros and 5,949 nines in train; mean 0.1307 and
     * deviation 0.3081 over all 60,000. */
    text_init (&t);
    tap_ok (import ("idx", 1, inputs, "valid=0", out) == OK &&
                sizes_are (out, 60000, 0, 10000, 10) &&
                count_label (out, DATA_TRAIN, 0) == 5923 &&
                count_label (out, DATA_TRAIN, 9) == 5949 &&
                count_label (out, DATA_TEST, 0) == 980 &&
                data_print (out, true, &t) == OK &&
                strstr (t.data, "mean 0.1306") && strstr (t.data, "std 0.308"),
            "MNIST %s", t.data);
    text_clear (&t);
  } else
    tap_skip ("MNIST is not there");
  if (shared_path ("cifar-100-subset", path))
    tap_ok (import ("cifar100", 1, inputs, "valid=0", out) == OK &&
                sizes_are (out, 5000, 0, 1000, 100) &&
                count_label (out, DATA_TRAIN, 17) == 50 &&
                count_label (out, DATA_TEST, 99) == 10,
            "CIFAR-100, a subset");
  else
    tap_skip ("CIFAR-100 is not there");
  if (shared_path ("cifar-10-batches-bin/data_batch_1.bin.xz", path))
    /* Published: the first batch has 1,005 airplanes and 1,025 ships. */
    tap_ok (import ("cifar10", 1, inputs, "valid=0", out) == OK &&
                sizes_are (out, 10000, 0, 0, 10) &&
                count_label (out, DATA_TRAIN, 0) == 1005 &&
                count_label (out, DATA_TRAIN, 8) == 1025,
            "CIFAR-10, the first batch");
  else
    tap_skip ("CIFAR-10 is not there");
}

int
main (void)
{
  if (!scratch_open ())
    tap_bail ("no scratch folder");
  log_level_set (LOG_WARN);
  test_cifar10 ();
  test_cifar100 ();
  test_idx ();
  test_bad_cifar ();
  test_bad_idx ();
  test_bad_words ();
  test_real ();
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left allocated");
  scratch_close ();
  return tap_done ();
}

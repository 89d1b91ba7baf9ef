/* ranks: 0 */
/* tests/import/packed.c -- archives: the same data set as from the folder that
 * they were made of, whatever packed them; damaged and hostile ones refused,
 * with nothing left beside the output.
 */
#include "data/data.h"
#include "import/import.h"
#include "tests/data/photos.h"
#include "tests/data/refused.h"
#include "tests/import/packed.h"
#include "tests/tap.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include <dirent.h>

#define WORDS(...) ((const char *[REFUSED_WORDS]){__VA_ARGS__})

enum { RECORDS = 6, RECORD = 3073, FILES = 6 };

static const struct {
  const char *ending, *filter, *format;
} kinds[] = {
    {"tar", "none", "ustar"},    {"tar.gz", "gzip", "pax"},
    {"tar.xz", "xz", "gnutar"},  {"tar.bz2", "bzip2", "ustar"},
    {"tar.zst", "zstd", "pax"},  {"zip", "none", "zip"},
    {"anything", "gzip", "pax"}, /* the content decides */
};
#define N_KINDS (sizeof kinds / sizeof *kinds)

static enum status
import (const char *kind, const char *in, const char *out)
{
  const char *words[] = {"force=yes", "valid=0"};
  fail_clear ();
  return import_run (kind, 1, &in, 2, words, out);
}

static bool
same_files (const char *a, const char *b)
{
  FILE *p = fopen (a, "rb"), *q = fopen (b, "rb");
  bool same = p && q;
  int c = 0;
  while (same && c != EOF)
    same = (c = getc (p)) == getc (q);
  if (p)
    fclose (p);
  if (q)
    fclose (q);
  return same;
}

/* What lies in a folder, but for these names. */
static int
others_in (const char *folder, const char *a, const char *b)
{
  int n = 0;
  DIR *dir = opendir (folder);
  for (struct dirent *e; dir && (e = readdir (dir));)
    if (strcmp (e->d_name, ".") != 0 && strcmp (e->d_name, "..") != 0 &&
        strcmp (e->d_name, a) != 0 && strcmp (e->d_name, b) != 0) {
      tap_note ("%s/%s is left", folder, e->d_name);
      n++;
    }
  if (dir)
    closedir (dir);
  return n;
}

/* -- CIFAR-10 -------------------------------------------------------------- */

static unsigned char records[FILES][RECORDS * RECORD];
static struct packed cifar[FILES + 3];

static void
make_cifar (void)
{
  static char names[FILES][64];
  for (int f = 0; f < FILES; f++) {
    struct random_key key = {5, RANDOM_TEST, (uint64_t)f, 0};
    for (int i = 0; i < RECORDS * RECORD; i++)
      records[f][i] = i % RECORD ? (unsigned char)random_u32 (&key, (uint64_t)i)
                                 : (unsigned char)(i / RECORD);
    snprintf (names[f], 64,
              f < 5 ? "./cifar-10-batches-bin/data_batch_%d.bin"
                    : "./cifar-10-batches-bin/test_batch.bin",
              f + 1);
    /* Not in the order that they are read in. */
    cifar[FILES - f] = (struct packed){
        .name = names[f], .data = records[f], .size = sizeof records[f]};
  }
  cifar[0] = (struct packed){.name = "./cifar-10-batches-bin/"};
  cifar[FILES + 1] =
      (struct packed){.name = "./cifar-10-batches-bin/batches.meta.txt",
                      .data = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n",
                      .size = 20};
  cifar[FILES + 2] = (struct packed){
      .name = "./cifar-10-batches-bin/readme.html", .data = "<", .size = 1};
  mkdir (scratch ("plain"), 0777);
  for (int i = 1; i < FILES + 2; i++)
    scratch_write (scratch ("plain/%s", strrchr (cifar[i].name, '/') + 1),
                   cifar[i].data, cifar[i].size);
}

static void
test_cifar (void)
{
  char in[512], out[512];
  make_cifar ();
  tap_ok (import ("cifar10", scratch ("plain"), scratch ("plain.h5")) == OK,
          "cifar10: a folder %s", fail_message ());
  snprintf (out, sizeof out, "%s", scratch ("out/deep/set.h5"));
  for (size_t k = 0; k < N_KINDS; k++) {
    snprintf (in, sizeof in, "%s", scratch ("cifar.%s", kinds[k].ending));
    if (!packed_write (in, kinds[k].filter, kinds[k].format, FILES + 3,
                       cifar)) {
      tap_skip ("libarchive was built without it");
      continue;
    }
    enum status s = import ("cifar10", in, out);
    tap_ok (s == OK && same_files (out, scratch ("plain.h5")) &&
                others_in (scratch ("out/deep"), "set.h5", "") == 0,
            "cifar10: %s, %s: the same bytes %s", kinds[k].ending,
            kinds[k].format, fail_message ());
  }
}

/* Every cut and some changes of a compressed archive; nothing may come of
 * them. */
static void
test_damage (void)
{
  char in[512], bad[512], out[512];
  snprintf (out, sizeof out, "%s", scratch ("bad/set.h5"));
  for (size_t k = 0; k < N_KINDS - 1; k++) {
    snprintf (in, sizeof in, "%s", scratch ("cifar.%s", kinds[k].ending));
    snprintf (bad, sizeof bad, "%s", scratch ("bad.%s", kinds[k].ending));
    int64_t bytes = scratch_bytes (in);
    bool zipped = strcmp (kinds[k].filter, "none") != 0 ||
                  strcmp (kinds[k].format, "zip") == 0;
    /* libarchive writes zstd without a checksum. */
    bool summed = zipped && strcmp (kinds[k].filter, "zstd") != 0;
    int missed = 0, wrong = 0;
    static unsigned char copy[1 << 20];
    FILE *f = fopen (in, "rb");
    size_t n = f ? fread (copy, 1, sizeof copy, f) : 0;
    if (f)
      fclose (f);
    for (int i = 0; i < 24 && bytes > 0; i++) {
      bool cut = i < 12 || !summed;
      size_t at = i == 0 ? n - 1 : n / 25 * (size_t)(i + 1) + 7;
      unsigned char was = copy[at];
      copy[at] ^= cut ? 0 : 16;
      scratch_write (bad, copy, cut ? at : n);
      copy[at] = was;
      enum status s = import ("cifar10", bad, out);
      missed += s == OK && !same_files (out, scratch ("plain.h5"));
      wrong += s != OK && s != E_DATA && s != E_MISSING;
      if ((s != OK && !strstr (fail_message (), bad)) ||
          (cut && s == OK && zipped)) {
        tap_note ("cut %d at %zu of %zu: %s", cut, at, n, fail_message ());
        wrong++;
      }
      fail_clear ();
    }
    tap_ok (missed == 0 && wrong == 0, "%s: damage is seen and named",
            kinds[k].ending);
  }
  tap_ok (others_in (scratch ("bad"), "set.h5", "") == 0, "nothing is left");
}

/* -- hostile archives ------------------------------------------------------ */

static enum status
import_made (const char *format, const struct packed *file, int n)
{
  struct packed all[FILES + 6];
  memcpy (all, cifar, sizeof cifar);
  memcpy (all + FILES + 3, file, (size_t)n * sizeof *file);
  packed_write (scratch ("made.tar"), strcmp (format, "zip") ? "gzip" : "none",
                format, FILES + 3 + n, all);
  return import ("cifar10", scratch ("made.tar"), scratch ("made.h5"));
}

static void
test_hostile (void)
{
  static const char *const formats[] = {"pax", "zip"};
  const struct packed up = {.name = "a/../../up", .data = "x", .size = 1};
  const struct packed root = {.name = "/tmp/root", .data = "x", .size = 1};
  const struct packed links[] = {
      {.name = "cifar-10-batches-bin/train", .link = "/etc"},
      {.name = "cifar-10-batches-bin/data_batch_1.bin", .link = "/etc/passwd"},
      {.name = "__MACOSX/._x", .data = "x", .size = 1}};
  for (int k = 0; k < 2; k++) {
    tap_ok (refused (import_made (formats[k], &up, 1), E_DATA,
                     WORDS ("made.tar: a/../../up: leads out")),
            "%s: a name with ..", formats[k]);
    tap_ok (refused (import_made (formats[k], &root, 1), E_DATA,
                     WORDS ("made.tar: /tmp/root: leads out")),
            "%s: a name from the root", formats[k]);
    tap_ok (import_made (formats[k], links, 3) == OK &&
                same_files (scratch ("made.h5"), scratch ("plain.h5")),
            "%s: links are left out %s", formats[k], fail_message ());
  }
  static char zeros[1 << 20];
  static struct packed bomb[200];
  for (int i = 0; i < 200; i++)
    bomb[i] = (struct packed){
        .name = "cifar/test_batch.bin", .data = zeros, .size = sizeof zeros};
  for (int k = 0; k < 2; k++) {
    packed_write (scratch ("bomb"), k ? "none" : "gzip", formats[k], 200, bomb);
    tap_ok (refused (import ("cifar10", scratch ("bomb"), scratch ("made.h5")),
                     E_DATA,
                     WORDS ("bomb: cifar/test_batch.bin: ", "a hundred times")),
            "%s: a bomb", formats[k]);
  }
  tap_ok (scratch_parts () == 0, "nothing is left beside the output");
}

/* A file that goes on behind what its header says, and further than memory. */
static void
test_endless (void)
{
  char *out = NULL;
  const size_t n = (size_t)300 << 20;
  if (mem_new (n, 1, "zeros", (void **)&out) != OK)
    tap_bail ("no memory");
  memcpy (out, "\0\0\10\3\0\0\0\5\0\0\0\2\0\0\0\2", 16);
  const struct packed whole = {.name = "x", .data = out, .size = n};
  packed_write (scratch ("endless"), "gzip", NULL, 1, &whole);
  mem_free (&out);
  const char *in[] = {scratch ("endless"), scratch ("endless")};
  fail_clear ();
  tap_ok (refused (import_run ("idx", 2, in, 0, NULL, scratch ("never.h5")),
                   E_DATA, WORDS ("endless: goes on behind", "more than")),
          "idx: a file that goes on and on");
}

/* -- idx ------------------------------------------------------------------- */

static void
test_idx (void)
{
  static const char images[] = "\0\0\10\3\0\0\0\5\0\0\0\2\0\0\0\2"
                               "abcdefghijklmnopqrst";
  static const char labels[] = "\0\0\10\1\0\0\0\5\0\1\2\1\0";
  const struct packed i = {"images", images, sizeof images - 1, NULL};
  const struct packed l = {"labels", labels, sizeof labels - 1, NULL};
  static const char *const filters[] = {"none", "gzip", "xz", "bzip2", "zstd"};
  for (size_t k = 0; k < 5; k++) {
    const char *in[] = {scratch ("images"), scratch ("labels")};
    const char *words[] = {"force=yes", "valid=0"};
    if (!packed_write (in[0], filters[k], NULL, 1, &i) ||
        !packed_write (in[1], filters[k], NULL, 1, &l)) {
      tap_skip ("libarchive was built without it");
      continue;
    }
    fail_clear ();
    enum status s =
        import_run ("idx", 2, in, 2, words, scratch ("idx-%s.h5", filters[k]));
    tap_ok (s == OK && same_files (scratch ("idx-%s.h5", filters[k]),
                                   scratch ("idx-none.h5")),
            "idx: %s %s", filters[k], fail_message ());
  }
  const struct packed mnist[] = {
      {"mnist/train-images-idx3-ubyte", images, sizeof images - 1, NULL},
      {"mnist/train-labels-idx1-ubyte", labels, sizeof labels - 1, NULL},
      {"mnist/t10k-images-idx3-ubyte", images, sizeof images - 1, NULL},
      {"mnist/t10k-labels-idx1-ubyte", labels, sizeof labels - 1, NULL}};
  packed_write (scratch ("mnist.zip"), "none", "zip", 4, mnist);
  tap_ok (import ("idx", scratch ("mnist.zip"), scratch ("mnist.h5")) == OK,
          "idx: four files in a zip %s", fail_message ());
  packed_write (scratch ("mnist.zip"), "none", "zip", 3, mnist);
  tap_ok (refused (import ("idx", scratch ("mnist.zip"), scratch ("mnist.h5")),
                   E_MISSING,
                   WORDS ("mnist.zip/mnist: no t10k-labels-idx1-ubyte")),
          "idx: one of them is not in it");
}

/* -- photographs ----------------------------------------------------------- */

#ifdef HAVE_JPEG
static void
test_photos (void)
{
  static unsigned char bytes[12][1 << 15];
  static char names[12][64];
  struct packed file[16] = {{.name = "photos/"}};
  char in[512], top[512];
  int n = 1;
  mkdir (scratch ("tree"), 0777);
  mkdir (scratch ("tree/photos"), 0777);
  for (int i = 0; i < 12; i++) {
    size_t size;
    const unsigned char *jpeg = photo_jpeg (i, 24 + i, 20, &size);
    memcpy (bytes[i], jpeg, size);
    /* Names that no two orders of files agree about. */
    snprintf (names[i], 64, "photos/%s/%s%d.jpg",
              i % 3 == 0   ? "z\303\274ge"
              : i % 3 == 1 ? "a-b"
                           : "a",
              i % 2 ? "b/" : "B", i);
    file[n++] = (struct packed){names[i], bytes[i], size, NULL};
    *strrchr (strcpy (in, scratch ("tree/%s", names[i])), '/') = '\0';
    if (i % 2)
      *strrchr (strcpy (top, in), '/') = '\0';
    if (i % 2)
      mkdir (top, 0777);
    mkdir (in, 0777);
    scratch_write (scratch ("tree/%s", names[i]), bytes[i], size);
  }
  file[n++] = (struct packed){"photos/a/notes.txt", "x", 1, NULL};
  scratch_write (scratch ("tree/photos/a/notes.txt"), "x", 1);
  tap_ok (import ("folder", scratch ("tree/photos"), scratch ("tree.h5")) == OK,
          "folder: a tree %s", fail_message ());
  for (size_t k = 0; k < N_KINDS; k++) {
    snprintf (in, sizeof in, "%s", scratch ("photos.%s", kinds[k].ending));
    if (!packed_write (in, kinds[k].filter, kinds[k].format, n, file))
      tap_skip ("libarchive was built without it");
    else
      tap_ok (import ("folder", in, scratch ("out/photos.h5")) == OK &&
                  same_files (scratch ("out/photos.h5"), scratch ("tree.h5")),
              "folder: %s, %s: the same bytes %s", kinds[k].ending,
              kinds[k].format, fail_message ());
  }
  bytes[4][0] = 0;
  packed_write (in, "none", "zip", n, file);
  tap_ok (import ("folder", in, scratch ("out/photos.h5")) == E_DATA &&
              scratch_parts () == 0,
          "folder: one that does not decode");
  fail_clear ();
}
#else
static void
test_photos (void)
{
  tap_skip ("photographs: built without libjpeg-turbo");
}
#endif

int
main (void)
{
  if (!scratch_open ())
    tap_bail ("no scratch folder");
  log_level_set (LOG_ERROR);
  test_cifar ();
  test_damage ();
  test_hostile ();
  test_endless ();
  test_idx ();
  test_photos ();
  tap_ok (mem_leaks () == 0, "nothing is left allocated");
  scratch_close ();
  return tap_done ();
}

/* ranks: 0 */
/* tests/import/folder.c -- folders of images and the data sets made of them:
 * layouts, order, draws, what is stored, what is refused.
 *
 *     tests/store/folder make DIR N
 *
 * makes a folder of N images in each split of each of three classes, for the
 * tests that train on one.
 */
#include "import/import.h"
#include "tests/data/photos.h"
#include "tests/data/refused.h"
#include "tests/tap.h"

#include "base/fault.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef HAVE_JPEG
int
main (int argc, char **argv)
{
  (void)argv;
  if (argc > 1) /* nothing can be made here */
    return 77;
  if (!scratch_open ())
    tap_bail ("no scratch folder");
  mkdir (scratch ("a"), 0777);
  mkdir (scratch ("b"), 0777);
  scratch_write (scratch ("a/1.jpg"), "x", 1);
  scratch_write (scratch ("b/1.jpg"), "x", 1);
  const char *in[] = {scratch_folder}, *options[] = {"valid=0", "test=0"};
  enum status s = import_run ("folder", 1, in, 2, options, scratch ("set.h5"));
  tap_ok (s == E_UNSUPPORTED && strstr (fail_message (), "import folder: ") &&
              strstr (fail_message (), "libturbojpeg0-dev") &&
              scratch_bytes (scratch ("set.h5")) < 0,
          "without libjpeg-turbo it is said how to get it %s", fail_message ());
  scratch_close ();
  return tap_done ();
}
#else

/* -- making and importing -------------------------------------------------- */

/* A path below the scratch folder, its parents made; one of eight buffers. */
__attribute__ ((format (printf, 1, 2))) static const char *
place (const char *fmt, ...)
{
  char name[400];
  va_list args;
  va_start (args, fmt);
  vsnprintf (name, sizeof name, fmt, args);
  va_end (args);
  for (char *p = strchr (name, '/'); p; p = strchr (p + 1, '/')) {
    *p = '\0';
    mkdir (scratch ("%s", name), 0777);
    *p = '/';
  }
  return scratch ("%s", name);
}

/* options: words separated by one blank, or NULL. */
static enum status
import (const char *options, const char *out, int n, const char *const *dirs)
{
  char copy[256] = "", *next = NULL;
  const char *words[9];
  int n_words = 0;
  words[n_words++] = "force=yes"; /* what the last test has made */
  if (options)
    snprintf (copy, sizeof copy, "%s", options);
  for (char *w = strtok_r (copy, " ", &next); w;
       w = strtok_r (NULL, " ", &next))
    words[n_words++] = w;
  fail_clear ();
  return import_run ("folder", n, dirs, n_words, words, out);
}

static enum status
import_one (const char *options, const char *out, const char *dir)
{
  return import (options, out, 1, &dir);
}

/* What a data set file holds, read by HDF5 alone. */
struct held {
  int n;
  int labels[512];
  hvl_t entry[512];
};

static bool
hold (const char *path, const char *split, struct held *h)
{
  char name[64];
  hsize_t n = 0;
  hid_t file = H5Fopen (path, H5F_ACC_RDONLY, H5P_DEFAULT);
  snprintf (name, sizeof name, "/%s/labels", split);
  hid_t labels = H5Dopen2 (file, name, H5P_DEFAULT);
  snprintf (name, sizeof name, "/%s/jpeg", split);
  hid_t set = H5Dopen2 (file, name, H5P_DEFAULT);
  hid_t space = H5Dget_space (set), type = H5Tvlen_create (H5T_NATIVE_UINT8);
  H5Sget_simple_extent_dims (space, &n, NULL);
  bool good = n <= 512 &&
              H5Dread (labels, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                       h->labels) >= 0 &&
              H5Dread (set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, h->entry) >= 0;
  h->n = (int)n;
  H5Tclose (type);
  H5Sclose (space);
  H5Dclose (set);
  H5Dclose (labels);
  H5Fclose (file);
  return good;
}

static void
let_go (struct held *h)
{
  for (int i = 0; i < h->n; i++)
    H5free_memory (h->entry[i].p);
}

/* Whether entry i is the file, byte for byte. */
static bool
entry_is (const struct held *h, int i, const char *path)
{
  static unsigned char bytes[1 << 17];
  FILE *f = fopen (path, "rb");
  size_t n = f ? fread (bytes, 1, sizeof bytes, f) : 0;
  if (f)
    fclose (f);
  return n > 0 && n == h->entry[i].len && memcmp (bytes, h->entry[i].p, n) == 0;
}

static bool
same_files (const char *a, const char *b)
{
  static char p[1 << 20], q[1 << 20];
  FILE *f = fopen (a, "rb"), *g = fopen (b, "rb");
  size_t n = f ? fread (p, 1, sizeof p, f) : 0;
  size_t m = g ? fread (q, 1, sizeof q, g) : 1;
  if (f)
    fclose (f);
  if (g)
    fclose (g);
  return n == m && n < sizeof p && memcmp (p, q, n) == 0;
}

static bool
info_of (const char *path, struct data_info *info)
{
  struct data_set *d = NULL;
  if (data_open (path, &d) != OK)
    return false;
  data_info (d, info);
  data_close (&d);
  return true;
}

/* -- layouts and order ----------------------------------------------------- */

/* Files of train, with their labels, in the order that is right: by bytes. */
static const char *const trained[] = {
    "train/Cow/1.JPEG",    "train/ant/10.jpg", "train/ant/9.jpg",
    "train/ant/B.jpg",     "train/ant/a.JPG",  "train/ant/more/1.jpg",
    "train/bee/x y z.jpeg"};
static const int trained_labels[] = {0, 1, 1, 1, 1, 1, 2};
enum { TRAINED = 7 };

/* backwards: made in the other order, which a file system may show. */
static void
make_layout (const char *top, bool backwards)
{
  for (int i = 0; i < TRAINED; i++) {
    int k = backwards ? TRAINED - 1 - i : i;
    photo_write (place ("%s/%s", top, trained[k]), k, 20 + k, 30 - k);
  }
  photo_write (place ("%s/val/bee/1.jpg", top), 20, 16, 16);
  photo_write (place ("%s/val/ant/1.jpg", top), 21, 16, 16);
  photo_write (place ("%s/test/Cow/1.jpg", top), 22, 16, 16);
  scratch_write (place ("%s/train/ant/notes.txt", top), "no", 2);
  scratch_write (place ("%s/train/README", top), "no", 2);
  scratch_write (place ("%s/train/ant/.hidden.jpg", top), "no", 2);
}

static void
test_layout (void)
{
  char top[512], said[2048] = "";
  char out[512];
  snprintf (out, sizeof out, "%s", scratch ("layout.h5"));
  struct held h;
  struct data_info info;
  make_layout ("one/set", false);
  snprintf (top, sizeof top, "%s", scratch ("one/set"));
  FILE *log = fopen (scratch ("said"), "w+");
  log_level_set (LOG_INFO);
  log_file_set (log);
  enum status s = import_one ("size=16", out, top);
  log_file_set (NULL);
  log_level_set (LOG_WARN);
  rewind (log);
  said[fread (said, 1, sizeof said - 1, log)] = '\0';
  fclose (log);
  tap_ok (s == OK && info_of (out, &info) && info.classes == 3 &&
              info.samples[0] == TRAINED && info.samples[1] == 2 &&
              info.samples[2] == 1 && info.height == 16 && info.decoder[0],
          "train, val and test %s", fail_message ());
  tap_ok (
      strstr (said, "files that are neither JPEG nor PNG by their names: 2") &&
          strstr (said, "7 train"),
      "other files are counted and told");
  bool good = hold (out, "train", &h) && h.n == TRAINED;
  for (int i = 0; good && i < TRAINED; i++)
    good = h.labels[i] == trained_labels[i] &&
           entry_is (&h, i, place ("one/set/%s", trained[i]));
  tap_ok (good, "classes and files in the order of bytes, files as they are");
  let_go (&h);
  good = hold (out, "valid", &h) && h.n == 2 && h.labels[0] == 1 &&
         h.labels[1] == 2 &&
         entry_is (&h, 1, scratch ("one/set/val/bee/1.jpg"));
  tap_ok (good, "labels of val are those of train");
  let_go (&h);
}

/* import_one, and all that it says, to a text of the caller's. */
static enum status
import_aloud (const char *options, const char *to, const char *dir, char *said,
              size_t room)
{
  FILE *log = tmpfile ();
  log_level_set (LOG_INFO);
  log_file_set (log);
  enum status s = import_one (options, to, dir);
  log_file_set (NULL);
  log_level_set (LOG_WARN);
  rewind (log);
  said[fread (said, 1, room - 1, log)] = '\0';
  fclose (log);
  return s;
}

/* What people call their splits, and what lies beside and between them. */
static void
test_spellings (void)
{
  char said[4096], out[512], top[512];
  struct data_info info = {.classes = 0};
  snprintf (out, sizeof out, "%s", scratch ("spelt.h5"));
  for (int i = 0; i < 2; i++) {
    photo_write (place ("spelt/Training/%c/1.jpg", 'a' + i), i, 16, 16);
    photo_write (place ("spelt/Training/%c/2.jpg", 'a' + i), 2 + i, 16, 16);
    photo_write (place ("spelt/validation/%c/1.jpg", 'a' + i), 4 + i, 16, 16);
  }
  photo_write (place ("spelt/TESTING/b/1.jpg"), 6, 16, 16);
  photo_write (place ("spelt/TESTING/2.jpg"), 7, 16, 16);
  photo_write (place ("spelt/extra/c/1.jpg"), 8, 16, 16);
  snprintf (top, sizeof top, "%s", scratch ("spelt"));
  enum status s = import_aloud ("size=16", out, top, said, sizeof said);
  tap_ok (s == OK && info_of (out, &info) && info.classes == 2 &&
              info.samples[0] == 4 && info.samples[1] == 2 &&
              info.samples[2] == 1,
          "Training, validation and TESTING are splits %s", fail_message ());
  tap_ok (strstr (said, "spelt/Training is taken as train") &&
              strstr (said, "spelt/validation is taken as valid") &&
              strstr (said, "spelt/TESTING is taken as test"),
          "which is told");
  tap_ok (strstr (said, "beside the splits: 1, such as ") &&
              strstr (said, "spelt/extra") &&
              strstr (said, "in no folder of a class: 1, such as ") &&
              strstr (said, "spelt/TESTING/2.jpg") &&
              !strstr (said, "by their names"),
          "and so is what belongs to none %s", said);
  photo_write (place ("spelt/val/a/1.jpg"), 9, 16, 16);
  tap_ok (import_one ("size=16", out, top) == E_DATA &&
              strstr (fail_message (), "both ") &&
              strstr (fail_message (), "val"),
          "two folders for one split are refused: %s", fail_message ());
  photo_write (place ("only/Testing/a/1.jpg"), 1, 16, 16);
  photo_write (place ("only/val/a/1.jpg"), 1, 16, 16);
  tap_ok (import_one ("size=16", out, scratch ("only")) == E_DATA &&
              strstr (fail_message (), "no folder train"),
          "splits without one to train on are no classes: %s", fail_message ());
  fail_clear ();
}

/* Images that do not decode: all are named, the next is read rightly behind
 * each, and without them it is the data set of the others. */
static void
test_bad (void)
{
  char said[4096], out[512], top[512], good[512];
  size_t n;
  snprintf (out, sizeof out, "%s", scratch ("bad.h5"));
  snprintf (good, sizeof good, "%s", scratch ("good.h5"));
  snprintf (top, sizeof top, "%s", scratch ("bad/set"));
  for (int i = 0; i < 4; i++)
    photo_write (place ("bad/set/%c/%d.jpg", 'a' + i % 2, 2 * i), i, 20, 16);
  bool made = import_one ("size=16 valid=0 test=0", good, top) == OK;
  const unsigned char *bytes = photo_jpeg (1, 40, 40, &n);
  scratch_write (place ("bad/set/a/1.jpg"), bytes, n / 2);
  for (int i = 0; i < 10; i++) /* anywhere in its header */
    scratch_write (place ("bad/set/a/3%d.jpg", i), bytes, 50 + 55 * (size_t)i);
  scratch_write (place ("bad/set/b/3.jpg"), "GIF89a\1\0\1\0", 10);
  made = symlink ("nowhere", place ("bad/set/b/5.png")) == 0 && made;
  enum status s =
      import_aloud ("size=16 valid=0 test=0", out, top, said, sizeof said);
  tap_ok (made && s == E_DATA && strstr (said, "set/a/1.jpg: ") &&
              strstr (said, "set/a/30.jpg: ") &&
              strstr (said, "set/a/39.jpg: ") &&
              strstr (said, "set/b/3.jpg: is a GIF image") &&
              strstr (said, "set/b/5.png: No such file") &&
              strstr (fail_message (), "13 of 17 images") &&
              scratch_bytes (out) < 0,
          "all bad images are named: %s", fail_message ());
  s = import_aloud ("size=16 valid=0 test=0 skip-bad=yes", out, top, said,
                    sizeof said);
  tap_ok (s == OK && strstr (said, "do not decode: 13 of 17"),
          "and left out when that is asked for %s", fail_message ());
  struct held h, w;
  bool same = s == OK && hold (out, "train", &h) && hold (good, "train", &w) &&
              h.n == 4 && w.n == 4;
  for (int i = 0; same && i < 4; i++)
    same = h.labels[i] == w.labels[i] && h.entry[i].len == w.entry[i].len &&
           memcmp (h.entry[i].p, w.entry[i].p, w.entry[i].len) == 0;
  tap_ok (same, "the others are there");
  fail_clear ();
}

static void
test_repeat (void)
{
  char top[512];
  make_layout ("two/set", true);
  snprintf (top, sizeof top, "%s/", scratch ("two/set"));
  tap_ok (import_one ("size=16", scratch ("again.h5"), top) == OK &&
              same_files (scratch ("layout.h5"), scratch ("again.h5")),
          "the same files, made in another order, are the same data set, byte "
          "for byte %s",
          fail_message ());
  tap_ok (import_one ("size=17", scratch ("again.h5"), top) == OK &&
              !same_files (scratch ("layout.h5"), scratch ("again.h5")),
          "another size is another one");
}

static void
test_several (void)
{
  struct held h;
  char a[512], b[512];
  photo_write (place ("many/a/x/2.jpg"), 1, 16, 16);
  photo_write (place ("many/a/y/1.jpg"), 2, 16, 16);
  photo_write (place ("many/b/x/1.jpg"), 3, 16, 16);
  photo_write (place ("many/b/x/2.jpg"), 4, 16, 16);
  photo_write (place ("many/b/z/1.jpg"), 5, 16, 16);
  snprintf (a, sizeof a, "%s", scratch ("many/a"));
  snprintf (b, sizeof b, "%s", scratch ("many/b"));
  const char *dirs[] = {a, b};
  char out[512];
  snprintf (out, sizeof out, "%s", scratch ("many.h5"));
  enum status s = import ("size=16 valid=0 test=0", out, 2, dirs);
  bool good = s == OK && hold (out, "train", &h) && h.n == 5;
  good = good && entry_is (&h, 0, scratch ("many/b/x/1.jpg")) &&
         entry_is (&h, 1, scratch ("many/a/x/2.jpg")) &&
         entry_is (&h, 2, scratch ("many/b/x/2.jpg")) && h.labels[2] == 0 &&
         h.labels[3] == 1 && h.labels[4] == 2;
  tap_ok (good, "several folders are one set %s", fail_message ());
  if (s == OK)
    let_go (&h);
}

/* A class called train is a class. */
static void
test_class_train (void)
{
  struct data_info info;
  photo_write (place ("rail/train/1.jpg"), 1, 16, 16);
  photo_write (place ("rail/tram/1.jpg"), 2, 16, 16);
  tap_ok (import_one ("size=16 valid=0 test=0", scratch ("rail.h5"),
                      scratch ("rail")) == OK &&
              info_of (scratch ("rail.h5"), &info) && info.classes == 2 &&
              info.samples[0] == 2,
          "a class may be called train %s", fail_message ());
}

/* More classes than a byte holds. */
static void
test_classes (void)
{
  struct held h;
  struct text t;
  text_init (&t);
  for (int i = 299; i >= 0; i--)
    photo_write (place ("wide/c%03d/1.jpg", i), i, 8, 8);
  char out[512];
  snprintf (out, sizeof out, "%s", scratch ("wide.h5"));
  bool good =
      import_one ("size=8 valid=0 test=0", out, scratch ("wide")) == OK &&
      hold (out, "train", &h) && h.n == 300;
  for (int i = 0; good && i < 300; i++)
    good = h.labels[i] == i;
  tap_ok (good, "300 classes %s", fail_message ());
  let_go (&h);
  tap_ok (data_print (out, true, &t) == OK &&
              strstr (t.data, "/train/labels") && !strstr (t.data, "none kept"),
          "whose labels are checked");
  text_clear (&t);
}

/* -- the draw -------------------------------------------------------------- */

enum { DRAWN = 200 };

/* Which split each of the files drawn/C/N.jpg came to. */
static bool
splits_of (const char *options, int *split, int64_t samples[DATA_SPLITS])
{
  static struct held h;
  char out[512];
  snprintf (out, sizeof out, "%s", scratch ("drawn.h5"));
  struct data_info info;
  if (import_one (options, out, scratch ("drawn")) != OK ||
      !info_of (out, &info))
    return false;
  memcpy (samples, info.samples, sizeof info.samples);
  for (int s = 0; s < DATA_SPLITS; s++) {
    if (info.samples[s] == 0)
      continue;
    if (!hold (out, data_split_name ((enum data_split)s), &h))
      return false;
    /* The picture's number is in its last bytes. */
    for (int i = 0; i < h.n; i++) {
      int number;
      memcpy (&number, (char *)h.entry[i].p + h.entry[i].len - 4, 4);
      split[number] = s;
    }
    let_go (&h);
  }
  return true;
}

static void
write_numbered (const char *path, int number)
{
  unsigned char bytes[4096];
  size_t n;
  memcpy (bytes, photo_jpeg (1, 8, 8, &n), 2000);
  memcpy (bytes + n, &number, 4); /* behind the image */
  scratch_write (path, bytes, n + 4);
}

static void
test_draw (void)
{
  int a[DRAWN + 1], b[DRAWN + 1], as_said = 0, moved = 0;
  int64_t n[DATA_SPLITS], m[DATA_SPLITS];
  for (int i = 0; i < DRAWN; i++)
    write_numbered (place ("drawn/%s/%d.jpg", i % 3 ? "a" : "b", i), i);
  bool good = splits_of ("size=8 valid=0.2 test=0.1 seed=5", a, n);
  tap_ok (good && splits_of ("size=8 valid=0.2 test=0.1 seed=5", b, m) &&
              memcmp (a, b, DRAWN * sizeof *a) == 0,
          "the same draw again %s", fail_message ());
  tap_ok (n[1] > 25 && n[1] < 57 && n[2] > 8 && n[2] < 35 &&
              n[0] + n[1] + n[2] == DRAWN,
          "about a fifth and a tenth: %d and %d of 200", (int)n[1], (int)n[2]);
  for (int i = 0; i < DRAWN; i++) {
    char path[64];
    snprintf (path, sizeof path, "%s/%d.jpg", i % 3 ? "a" : "b", i);
    struct random_key key = {5, RANDOM_SPLIT, hash_text (path, 1), 0};
    double u = random_uniform (&key, 0);
    as_said += a[i] == (u < 0.1 ? 2 : u < 0.1 + 0.2 ? 1 : 0);
  }
  tap_ok (as_said == DRAWN, "from the seed and the path below the folder");
  tap_ok (splits_of ("size=8 valid=0.2 test=0.1 seed=6", b, m) &&
              memcmp (a, b, DRAWN * sizeof *a) != 0,
          "another seed, another draw");
  write_numbered (place ("drawn/a/one more.jpg"), DRAWN);
  good = splits_of ("size=8 valid=0.2 test=0.1 seed=5", b, m);
  for (int i = 0; i < DRAWN; i++)
    moved += a[i] != b[i];
  tap_ok (good && moved == 0, "a new file moves no other");
  good = splits_of ("size=8", b, m);
  tap_ok (good && m[1] > 0 && m[1] < 25 && m[2] > 0 && m[2] < 25,
          "a twentieth each where nothing is said: %d and %d", (int)m[1],
          (int)m[2]);
}

/* -- what is seen ---------------------------------------------------------- */

/* Of all training images as they are seen: mean 0 and deviation 1. */
static bool
is_scaled (const char *path)
{
  struct data_set *d = NULL;
  struct data_info info;
  static float x[3 * 32 * 32];
  double sum[3] = {0}, squares[3] = {0};
  if (data_open (path, &d) != OK)
    return false;
  data_info (d, &info);
  int plane = info.height * info.width;
  bool good = 3 * plane <= (int)(sizeof x / sizeof *x);
  for (int64_t i = 0; good && i < info.samples[0]; i++) {
    good = data_read (d, DATA_TRAIN, i, 1, x) == OK;
    for (int k = 0; k < 3 * plane; k++) {
      sum[k / plane] += (double)x[k];
      squares[k / plane] += (double)x[k] * (double)x[k];
    }
  }
  double n = (double)info.samples[0] * plane;
  for (int c = 0; c < 3; c++)
    good = good && fabs (sum[c] / n) < 1e-5 && fabs (squares[c] / n - 1) < 1e-5;
  data_close (&d);
  return good;
}

static void
test_scale (void)
{
  tap_ok (is_scaled (scratch ("layout.h5")),
          "mean and deviation are those of what is seen");
}

/* Pixels of a set made with raw=yes, [n, 3, size, size]. */
static bool
raw_pixels (const char *path, unsigned char *out)
{
  hid_t file = H5Fopen (path, H5F_ACC_RDONLY, H5P_DEFAULT);
  hid_t set = H5Dopen2 (file, "/train/images", H5P_DEFAULT);
  bool good =
      H5Dread (set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0;
  H5Dclose (set);
  H5Fclose (file);
  return good;
}

#ifdef HAVE_PNG
static void
test_png (void)
{
  static unsigned char out[4 * 3 * 32 * 32], deep[2 * 3 * 32 * 32];
  struct text t;
  text_init (&t);
  photo_png (place ("png/a/1.png"), 1, 32, 32, 3);
  photo_png (place ("png/a/2.PNG"), 2, 32, 32, 4);
  photo_png (place ("png/b/1.jpg"), 3, 32, 32, 3); /* so it is in ImageNet */
  photo_png_deep (place ("deep/a/1.png"), 1, 32);
  photo_png_deep (place ("deep/b/1.png"), 2, 32);
  photo_png (place ("png/b/2.png"), 4, 64, 50, 3);
  char path[512];
  snprintf (path, sizeof path, "%s", scratch ("png.h5"));
  enum status s =
      import_one ("raw=yes size=32 valid=0 test=0", path, scratch ("png"));
  bool good = s == OK && raw_pixels (path, out);
  for (int i = 0; good && i < 3 * 3072; i++)
    good =
        out[i] == photo_value (1 + i / 3072, i % 32, i / 32 % 32, i / 1024 % 3);
  tap_ok (good,
          "raw=yes: PNG of that size are exact, alpha dropped, whatever "
          "the name %s",
          fail_message ());
  good = import_one ("raw=yes size=32 valid=0 test=0", scratch ("deep.h5"),
                     scratch ("deep")) == OK &&
         raw_pixels (scratch ("deep.h5"), deep);
  for (int i = 0; good && i < 2 * 3072; i++)
    good = deep[i] ==
           photo_value (1 + i / 3072, i % 32, i / 32 % 32, i / 1024 % 3);
  tap_ok (good, "16 bits: the upper byte, whatever gAMA says %s",
          fail_message ());
  struct data_part part = {0, 0, 64, 50, 40, 32, 4, 0};
  tap_ok (twin_agrees (photo_pixels (4, 64, 50), 64, &part, 32,
                       out + (size_t)3 * 3072),
          "and a larger one is resized to that side and cut");
  tap_ok (is_scaled (path) && data_print (path, true, &t) == OK &&
              strstr (t.data, "/train/images") && !strstr (t.data, "none kept"),
          "scaled and checked as other pixels %s", fail_message ());
  tap_ok (import_one ("size=32 valid=0 test=0", path, scratch ("png")) == OK &&
              data_print (path, true, &t) == OK && is_scaled (path),
          "without raw they become JPEG");
  struct held h;
  good = hold (path, "train", &h) && h.n == 4;
  for (int i = 0; good && i < 4; i++) {
    int width = 0, height = 0, far = 0;
    const unsigned char *rgb =
        photo_decode (h.entry[i].p, h.entry[i].len, &width, &height);
    for (int k = 0; rgb && k < 3 * width * height; k++)
      far = abs (rgb[k] -
                 photo_value (1 + i, k / 3 % width, k / 3 / width, k % 3)) > far
                ? abs (rgb[k] -
                       photo_value (1 + i, k / 3 % width, k / 3 / width, k % 3))
                : far;
    good = rgb && width == (i < 3 ? 32 : 64) && far < 16;
  }
  tap_ok (good, "which is near");
  let_go (&h);
  text_clear (&t);
}
#endif

/* Grey, and the inks of a printer. */
static void
test_colours (void)
{
  static unsigned char grey[32 * 32], inks[4 * 32 * 32], out[2 * 3 * 1024];
  size_t n;
  for (int i = 0; i < 1024; i++) {
    grey[i] = photo_value (1, i % 32, i / 32, 0);
    memcpy (inks + 4 * i, (unsigned char[4]){200, 100, 50, 180}, 4);
  }
  const unsigned char *bytes =
      photo_encode (grey, 32, 32, TJPF_GRAY, TJSAMP_GRAY, &n);
  scratch_write (place ("colour/a/grey.jpg"), bytes, n);
  bytes = photo_encode (inks, 32, 32, TJPF_CMYK, TJSAMP_444, &n);
  scratch_write (place ("colour/b/inks.jpg"), bytes, n);
  char path[512];
  snprintf (path, sizeof path, "%s", scratch ("colour.h5"));
  enum status s =
      import_one ("raw=yes size=32 valid=0 test=0", path, scratch ("colour"));
  bool good = s == OK && raw_pixels (path, out);
  bool equal = good, red = good;
  for (int i = 0; good && i < 1024; i++) {
    const unsigned char *p = out + 3072 + i;
    equal = equal && out[i] == out[1024 + i] && out[i] == out[2048 + i] &&
            abs (out[i] - grey[i]) < 12;
    red = red && abs (p[0] - 200 * 180 / 255) < 4 &&
          abs (p[1000 + 24] - 100 * 180 / 255) < 4 &&
          abs (p[2048] - 50 * 180 / 255) < 4;
  }
  tap_ok (equal, "grey becomes three equal channels %s", fail_message ());
  tap_ok (red, "CMYK is converted as Adobe's");
  tap_ok (import_one ("size=32 valid=0 test=0", path, scratch ("colour")) ==
                  OK &&
              is_scaled (path),
          "and as JPEG");
}

/* Bytes too many between two markers: odd, but whole. */
static void
test_odd (void)
{
  unsigned char bytes[8192];
  char said[1024] = "";
  size_t n;
  memcpy (bytes, photo_jpeg (1, 16, 16, &n), 4096);
  memcpy (bytes + n - 2, "\1\2\3\4\5\377\331", 7);
  scratch_write (place ("odd/a/1.jpg"), bytes, n + 5);
  photo_write (place ("odd/b/1.jpg"), 2, 16, 16);
  FILE *log = fopen (scratch ("said"), "w+");
  log_file_set (log);
  enum status s = import_one ("size=16 valid=0 test=0", scratch ("odd.h5"),
                              scratch ("odd"));
  log_file_set (NULL);
  rewind (log);
  said[fread (said, 1, sizeof said - 1, log)] = '\0';
  fclose (log);
  tap_ok (s == OK && strstr (said, "images that decode with a warning: 1") &&
              strstr (said, "odd/a/1.jpg"),
          "an odd image is taken and told %s%s", fail_message (), said);
}

/* -- refusals -------------------------------------------------------------- */

struct refusal {
  const char *what;
  const char *extra;   /* a file that is added */
  const char *bytes;   /* its contents; NULL: an image; "/": a folder */
  const char *options; /* or NULL */
  const char *dir;     /* below the folder; "" */
  enum status status;
  const char *words[REFUSED_WORDS];
};

static const struct refusal refusals[] = {
    {"a class that train has not",
     "valid/wasp/1.jpg",
     NULL,
     NULL,
     "",
     E_DATA,
     {"valid/wasp", "train has no class \"wasp\""}},
    {"a class without images",
     "train/wasp",
     "/",
     NULL,
     "",
     E_DATA,
     {"train/wasp", "no JPEG or PNG"}},
    {"a class with other files only",
     "train/wasp/1.gif",
     "GIF89a",
     NULL,
     "",
     E_DATA,
     {"train/wasp", "no JPEG or PNG"}},
    {"text",
     "train/bee/2.jpg",
     "hello, this is text",
     NULL,
     "",
     E_DATA,
     {"train/bee/2.jpg", "not a JPEG image"}},
    {"a marker and nothing more",
     "train/bee/2.jpg",
     "\377\330\377\340 and text",
     NULL,
     "",
     E_DATA,
     {"train/bee/2.jpg"}},
    {"text called PNG",
     "train/bee/2.png",
     "hello, this is text",
     NULL,
     "",
     E_DATA,
     {"train/bee/2.png", "not a JPEG image"}},
    {"an empty file",
     "valid/bee/2.jpg",
     "",
     NULL,
     "",
     E_DATA,
     {"valid/bee/2.jpg", "not a JPEG image"}},
    {"valid and val",
     "val/bee/1.jpg",
     NULL,
     NULL,
     "",
     E_DATA,
     {"both valid and val"}},
    {"a share of what has a folder",
     NULL,
     NULL,
     "valid=0.1",
     "",
     E_CONFIG,
     {"valid=0.1", "has a folder valid"}},
    {"all held out",
     NULL,
     NULL,
     "valid=0.5 test=0.5",
     "train",
     E_CONFIG,
     {"valid=0.5 test=0.5", "nothing to train on"}},
    {"a share that is none",
     NULL,
     NULL,
     "valid=12",
     "train",
     E_CONFIG,
     {"valid=12", "a share"}},
    {"a share that is no number",
     NULL,
     NULL,
     "test=some",
     "train",
     E_CONFIG,
     {"test=some", "a share"}},
    {"an unknown option",
     NULL,
     NULL,
     "sise=3",
     "",
     E_CONFIG,
     {"\"sise\"", "\"size\""}},
    {"a size out of range",
     NULL,
     NULL,
     "size=4",
     "",
     E_CONFIG,
     {"size=4", "from 8 to 1024"}},
    {"raw", NULL, NULL, "raw=maybe", "", E_CONFIG, {"raw=maybe", "yes or no"}},
    {"one class",
     NULL,
     NULL,
     NULL,
     "valid",
     E_DATA,
     {"/valid", "1 folders", "at least 2"}},
    {"no folder",
     NULL,
     NULL,
     NULL,
     "nowhere",
     E_MISSING,
     {"/nowhere", "no such folder"}},
    {"a file",
     NULL,
     NULL,
     NULL,
     "train/bee/1.jpg",
     E_MISSING,
     {"train/bee/1.jpg", "not a folder"}},
};

static void
make_extra (const char *path, const char *bytes)
{
  if (!bytes)
    photo_write (path, 1, 16, 16);
  else if (strcmp (bytes, "/") == 0)
    mkdir (path, 0777);
  else
    scratch_write (path, bytes, strlen (bytes));
}

static void
test_refusals (void)
{
  char out[512];
  snprintf (out, sizeof out, "%s", scratch ("refused.h5"));
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    const struct refusal *r = &refusals[i];
    char top[600];
    photo_write (place ("bad/train/ant/1.jpg"), 1, 16, 16);
    photo_write (place ("bad/train/bee/1.jpg"), 2, 16, 16);
    photo_write (place ("bad/valid/bee/1.jpg"), 3, 16, 16);
    if (r->extra)
      make_extra (place ("bad/%s", r->extra), r->bytes);
    snprintf (top, sizeof top, "%s%s%s", scratch ("bad"), r->dir[0] ? "/" : "",
              r->dir);
    tap_ok (refused (import_one (r->options, out, top), r->status, r->words) &&
                scratch_bytes (out) < 0 && scratch_parts () == 0,
            "refused: %s", r->what);
    scratch_remove (scratch ("bad"));
  }
}

static void
test_cut_off (void)
{
  unsigned char bytes[16384];
  size_t n;
  memcpy (bytes, photo_jpeg (1, 60, 60, &n), 16000);
  photo_write (place ("cut/a/1.jpg"), 1, 16, 16);
  photo_write (place ("cut/b/1.jpg"), 1, 16, 16);
  static const char *const words[] = {"cut/b/2.jpg", "remature end", NULL};
  const size_t lengths[] = {n - 1, n - 2, n * 9 / 10, n - 200};
  bool good = true;
  for (int i = 0; i < 4; i++) {
    scratch_write (place ("cut/b/2.jpg"), bytes, lengths[i]);
    good = good &&
           refused (import_one ("size=16", scratch ("cut.h5"), scratch ("cut")),
                    E_DATA, words);
  }
  tap_ok (good, "JPEG cut off, by a byte or by many");
#ifdef HAVE_PNG
  static const char *const png[] = {"cut/b/2.jpg", "not a whole PNG", NULL};
  photo_png (place ("cut/b/2.jpg"), 1, 60, 60, 3);
  if (truncate (scratch ("cut/b/2.jpg"),
                scratch_bytes (scratch ("cut/b/2.jpg")) / 2) != 0)
    tap_bail ("truncate");
  tap_ok (refused (import_one ("size=16", scratch ("cut.h5"), scratch ("cut")),
                   E_DATA, png),
          "PNG cut off");
#endif
  static const char *const planted[] = {"cut.h5", "planted", NULL};
  photo_write (place ("cut/b/2.jpg"), 1, 16, 16);
  fault_plant ("write");
  tap_ok (refused (import_one ("size=16", scratch ("cut.h5"), scratch ("cut")),
                   E_IO, planted) &&
              scratch_bytes (scratch ("cut.h5")) < 0,
          "writing fails, and leaves nothing");
  fault_plant (NULL);
  static const char *const no_input[] = {"no input", NULL};
  tap_ok (
      refused (import (NULL, scratch ("cut.h5"), 0, NULL), E_USAGE, no_input),
      "no input");
}

/* -- photographs ----------------------------------------------------------- */

/* Beside the source tree, or where the environment says. */
static void
test_real (void)
{
  const char *shared = getenv ("INTERLOCK_SHARED");
  const char *top = getenv ("abs_top_srcdir");
  char path[600];
  struct data_info info;
  struct text t;
  if (shared && shared[0])
    snprintf (path, sizeof path, "%s/data/imagenet-samples/train", shared);
  else
    snprintf (path, sizeof path, "%s/../shared/data/imagenet-samples/train",
              top ? top : ".");
  if (access (path, R_OK) != 0) {
    tap_skip ("samples of ImageNet are not there");
    return;
  }
  char out[512];
  snprintf (out, sizeof out, "%s", scratch ("real.h5"));
  text_init (&t);
  tap_ok (import_one ("valid=0.1 test=0", out, path) == OK &&
              info_of (out, &info) && info.height == 224 &&
              info.samples[0] > 0 && info.samples[1] > 0 &&
              data_print (out, true, &t) == OK && !strstr (t.data, "none kept"),
          "photographs of ImageNet %s", fail_message ());
  text_clear (&t);
}

static int
make_folder (const char *dir, int n)
{
  static const char *const splits[] = {"train", "valid", "test"};
  static const char *const classes[] = {"ant", "bee", "cow"};
  snprintf (scratch_folder, sizeof scratch_folder, "%s", dir);
  mkdir (dir, 0777);
  for (int s = 0; s < 3; s++)
    for (int c = 0; c < 3; c++)
      for (int i = 0; i < n; i++)
        photo_write (place ("%s/%s/%d.jpg", splits[s], classes[c], i),
                     100 * s + 31 * c + i, 40 + 7 * (i % 5), 64 - 3 * (i % 7));
  return 0;
}

int
main (int argc, char **argv)
{
  if (argc == 4 && strcmp (argv[1], "make") == 0)
    return make_folder (argv[2], atoi (argv[3]));
  if (!scratch_open ())
    tap_bail ("no scratch folder");
  log_level_set (LOG_WARN);
  test_layout ();
  test_repeat ();
  test_spellings ();
  test_bad ();
  test_several ();
  test_class_train ();
  test_classes ();
  test_draw ();
  test_scale ();
#ifdef HAVE_PNG
  test_png ();
#else
  tap_skip ("built without libpng");
#endif
  test_colours ();
  test_odd ();
  test_refusals ();
  test_cut_off ();
  test_real ();
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left allocated");
  scratch_close ();
  return tap_done ();
}
#endif

/* ranks: 0 */
/* tests/data/flips.c -- a data set with one bit changed, or cut off: noticed
 * by who loads it and by `info --check`, or harmless because all that is read
 * is as it was; never a crash, never used in silence.
 *
 * Of each kind, once with its values in memory and once left in the file.  Each
 * byte is changed and each length tried when INTERLOCK_BIG is set, else a
 * seeded sample of them.
 */
#include "data/data.h"
#include "import/import.h"
#include "tests/store/changes.h"
#include "tests/data/photos.h"
#include "tests/scratch.h"
#include "tests/tap.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"

enum { SAMPLE = 540, VALUES_MOST = 1 << 16, CONTEXT = 16 };

/* All that training and evaluation take from a set. */
struct taken {
  struct data_info info;
  size_t n;
  float values[VALUES_MOST];
  char words[4096]; /* name, origin, classes, scale, as info says them */
};

static char path[512];
static bool in_file; /* splits stay there */
static struct taken *want;

/* -- what is taken -----------------------------------------------------------
 */

static void
keep (struct taken *t, const void *data, size_t n)
{
  if (t->n + n > VALUES_MOST)
    tap_bail ("a set too large for this test");
  memcpy (t->values + t->n, data, n * 4);
  t->n += n;
}

/* The first step of training. */
static enum status
take_loader (struct data_set *d, size_t sample, struct taken *t)
{
  float x[4 * 4096];
  struct data_loader *l = NULL;
  struct data_loader_spec spec = {.data = d,
                                  .split = DATA_TRAIN,
                                  .batch = 2,
                                  .n = 2,
                                  .n_micro = 1,
                                  .end_step = 1,
                                  .ahead = 1};
  TRY (data_loader_open (&spec, &l));
  enum status s = data_take (l, 0, 0, x);
  if (s == OK)
    keep (t, x, 2 * sample);
  data_loader_close (&l);
  return s;
}

static enum status
take_split (struct data_set *d, enum data_split which, size_t sample,
            struct taken *t)
{
  float x[4096];
  int32_t labels[CONTEXT];
  bool tokens = strcmp (t->info.kind, "tokens") == 0;
  int64_t n = t->info.samples[which];
  for (int64_t i = 0; i < n; i++) {
    TRY (data_read (d, which, i, 1, x));
    TRY (data_read_labels (d, which, i, 1, n, labels));
    keep (t, x, sample);
    keep (t, labels, tokens ? CONTEXT : 1);
  }
  return OK;
}

static enum status
take_all (struct data_set *d, struct taken *t)
{
  data_info (d, &t->info);
  size_t sample =
      (size_t)t->info.channels * (size_t)t->info.height * (size_t)t->info.width;
  if (in_file)
    data_memory (d, 1);
  if (strcmp (t->info.kind, "tokens") == 0) {
    data_windows (d, CONTEXT, CONTEXT);
    data_info (d, &t->info);
    sample = CONTEXT;
  }
  if (sample > 4096 || t->info.samples[DATA_TRAIN] < 2)
    return E_DATA;
  TRY (take_loader (d, sample, t));
  TRY (take_split (d, DATA_TRAIN, sample, t));
  return take_split (d, DATA_VALID, sample, t);
}

/* By who loads it, without info --check. */
static enum status
take (struct taken *t)
{
  struct data_set *d = NULL;
  struct text out;
  memset (t, 0, sizeof *t);
  TRY (data_open (path, &d));
  enum status s = take_all (d, t);
  data_close (&d);
  text_init (&out);
  if (s == OK)
    s = data_print (path, false, &out);
  if (s == OK)
    snprintf (t->words, sizeof t->words, "%s", out.data);
  text_clear (&out);
  return s;
}

static bool
equal (const struct taken *a, const struct taken *b)
{
  return memcmp (&a->info, &b->info, sizeof a->info) == 0 && a->n == b->n &&
         memcmp (a->values, b->values, a->n * 4) == 0 &&
         strcmp (a->words, b->words) == 0;
}

static enum verdict
judge (void)
{
  static struct taken t;
  struct text out;
  enum status s = take (&t);
  if (s == OK && !equal (&t, want))
    return SILENT;
  text_init (&out);
  enum status checked = data_print (path, true, &out);
  text_clear (&out);
  fail_clear ();
  if (s != OK && checked == OK)
    return SILENT; /* info --check passes what cannot be loaded */
  return s == OK && checked == OK ? HARMLESS : NOTICED;
}

/* -- changes ------------------------------------------------------------------
 */

static void
try_all (struct changes *c, const char *kind, bool cuts)
{
  bool all = getenv ("INTERLOCK_BIG") != NULL;
  char what[64];
  c->cuts = cuts;
  c->n = all ? c->size : cuts ? SAMPLE / 9 : SAMPLE;
  changes_run (c);
  snprintf (what, sizeof what, "%s, %s, %s", kind,
            in_file ? "in the file" : "in memory",
            cuts ? "cut off" : "one bit");
  changes_say (c, c->seen->n[NOTICED] > (cuts ? c->n - 2 : c->n / 4), what);
}

/* -- sets ---------------------------------------------------------------------
 */

static bool
make_images (void)
{
  const char *options[] = {"train=30", "valid=10", "test=0", "size=8"};
  return import_run ("synthetic", 0, NULL, 4, options, path) == OK;
}

static bool
make_tokens (void)
{
  char text[4000];
  const char *in[] = {scratch ("text.txt")}, *options[] = {"valid=0.25"};
  for (size_t i = 0; i < sizeof text; i++)
    text[i] = i % 61 == 60 ? '\n' : (char)('a' + i * i % 23);
  scratch_write (in[0], text, sizeof text);
  return import_run ("text", 1, in, 1, options, path) == OK;
}

#ifdef HAVE_JPEG
static bool
make_photos (void)
{
  char folder[512];
  const char *in[] = {folder};
  const char *options[] = {"size=16", "test=0"};
  snprintf (folder, sizeof folder, "%s", scratch ("photos"));
  mkdir (folder, 0777);
  for (int split = 0; split < 2; split++) {
    mkdir (scratch ("photos/%s", split ? "valid" : "train"), 0777);
    for (int class = 0; class < 2; class ++) {
      mkdir (scratch ("photos/%s/%d", split ? "valid" : "train", class), 0777);
      for (int i = 0; i < 3 - split; i++)
        photo_write (scratch ("photos/%s/%d/%d.jpg", split ? "valid" : "train",
                              class, i),
                     4 * i + class, 20 + i, 24);
    }
  }
  return import_run ("folder", 1, in, 2, options, path) == OK;
}
#endif

static void
test_kind (struct changes_seen *m, const char *kind, bool (*make) (void))
{
  struct changes c = {.seen = m, .seed = 37, .judge = judge};
  snprintf (path, sizeof path, "%s", scratch ("%s.h5", kind));
  if (!tap_ok (make (), "%s: a small set", kind))
    tap_bail (fail_message ());
  changes_take (&c, path);
  for (int i = 0; i < 2; i++) {
    in_file = i == 1;
    tap_ok (take (want) == OK && judge () == HARMLESS && want->n > 100,
            "%s: whole", kind);
    /* The checker is checked: other values would be seen. */
    want->values[want->n / 2] += 1;
    tap_ok (judge () == SILENT, "%s: another value would be seen", kind);
    tap_ok (take (want) == OK, "%s: again", kind);
    try_all (&c, kind, false);
    if (i == 0)
      try_all (&c, kind, true);
  }
}

/* A file of before there were digests of blocks and of the header: the one over
 * all pixels is compared, wherever these are. */
static void
test_older (void)
{
  snprintf (path, sizeof path, "%s", scratch ("older.h5"));
  if (!tap_ok (make_images (), "an older set"))
    tap_bail (fail_message ());
  hid_t file = H5Fopen (path, H5F_ACC_RDWR, H5P_DEFAULT);
  H5Adelete (file, "digest");
  H5Ldelete (file, "/train/digests", H5P_DEFAULT);
  H5Ldelete (file, "/valid/digests", H5P_DEFAULT);
  hid_t set = H5Dopen2 (file, "/train/images", H5P_DEFAULT);
  haddr_t at = H5Dget_offset (set);
  H5Dclose (set);
  H5Fclose (file);
  for (int i = 0; i < 2; i++) {
    in_file = i == 1;
    tap_ok (take (want) == OK && judge () == HARMLESS, "an older set, whole");
    scratch_flip (path, (int64_t)at + 100);
    tap_ok (judge () == NOTICED, "a pixel of it is noticed, %s",
            in_file ? "in the file" : "in memory");
    scratch_flip (path, (int64_t)at + 100);
  }
}

int
main (void)
{
  struct changes_seen *m = changes_share ();
  fault_plant (NULL);
  log_level_set (LOG_ERROR);
  if (!scratch_open () || MEM_NEW (1, &want, "what is taken") != OK)
    return 1;
  test_older ();
  test_kind (m, "images", make_images);
  test_kind (m, "tokens", make_tokens);
#ifdef HAVE_JPEG
  test_kind (m, "photographs", make_photos);
#endif
  mem_free (&want);
  scratch_close ();
  return tap_done ();
}

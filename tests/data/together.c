/* ranks: 1 2 3 */
/* tests/data/together.c -- labels and pixels read by all ranks at once are
 * those that one rank reads; what fails on one rank fails on all; and it is one
 * collective transfer.
 */
#define TAP_MPI
#include "data/data.h"
#include "import/import.h"
#include "store/h5.h"
#include "tests/data/photos.h"
#include "tests/scratch.h"
#include "tests/data/sets.h"
#include "tests/tap.h"
#include "wire/wire.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"

/* Collective reads of files by this rank, and whole datasets that HDF5 read on
 * one rank and handed to all, which it does where all want the same: HDF5 comes
 * through here. */
static int n_reads, n_shared;
static int shared_bytes[2];

int
MPI_Bcast (void *buf, int count, MPI_Datatype type, int root, MPI_Comm comm)
{
  n_shared += count == shared_bytes[0] || count == shared_bytes[1];
  return PMPI_Bcast (buf, count, type, root, comm);
}

int
MPI_File_read_at_all (MPI_File file, MPI_Offset at, void *buf, int count,
                      MPI_Datatype type, MPI_Status *status)
{
  n_reads++;
  return PMPI_File_read_at_all (file, at, buf, count, type, status);
}

static struct wire *w;

static bool
is_last (void)
{
  return wire_rank (w) == wire_size (w) - 1;
}

/* By root; all may read it afterwards. */
static void
make (const char *path, const struct set_spec *spec)
{
  if (wire_rank (w) == 0)
    set_make (path, spec);
  wire_barrier (w);
}

static bool
same_labels (const struct data_set *a, const struct data_set *b,
             const struct set_spec *spec)
{
  for (int i = 0; i < 2; i++) {
    enum data_split split = (enum data_split)i;
    int64_t n = i == 0 ? spec->train : spec->valid;
    if (memcmp (data_labels (a, split), data_labels (b, split),
                (size_t)n * sizeof (int32_t)) != 0)
      return false;
    for (int64_t k = 0; k < n; k++)
      if (data_labels (a, split)[k] != set_label (i, k))
        return false;
  }
  return true;
}

static bool
same_pixels (struct data_set *a, struct data_set *b, int64_t n)
{
  float x[SET_VALUES], y[SET_VALUES];
  for (int64_t i = 0; i < n; i++)
    if (data_read (a, DATA_TRAIN, i, 1, x) != OK ||
        data_read (b, DATA_TRAIN, i, 1, y) != OK ||
        memcmp (x, y, sizeof x) != 0)
      return false;
  return true;
}

static size_t
held (void)
{
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  return bytes;
}

/* Root and the last rank want the pixels.  alike: the file has the pixels as
 * memory wants them, so that nothing is converted. */
static void
test_same (const char *what, const struct set_spec *spec, bool alike)
{
  char path[512];
  snprintf (path, sizeof path, "%s", scratch ("set.h5"));
  make (path, spec);
  struct data_set *d = NULL, *one = NULL;
  struct data_info info, one_info;
  bool many = wire_size (w) > 1, wanted = wire_rank (w) == 0 || is_last ();
  n_reads = n_shared = 0;
  shared_bytes[0] = (int)spec->train * (spec->big ? 8 : 4);
  shared_bytes[1] = (int)spec->valid * (spec->big ? 8 : 4);
  bool good = data_open_all (w, path, &d) == OK && data_open (path, &one) == OK;
  if (!tap_ok (good, "%s: opens", what))
    tap_bail (fail_message ());
  data_info (d, &info);
  data_info (one, &one_info);
  tap_ok (same_labels (d, one, spec), "%s: labels", what);
  tap_ok (memcmp (&info, &one_info, sizeof info) == 0, "%s: header", what);
  /* Which MPI calls later versions make of it is not known here. */
  if (strncmp (store_describe (), "HDF5 1.10.", 10) != 0)
    tap_skip ("transfers are counted with HDF5 1.10 only");
  else
    tap_ok (n_reads + n_shared == (many ? 2 : 0),
            "%s: a transfer each (%d, %d)", what, n_reads, n_shared);
  n_reads = 0;
  size_t before = held (), bytes = (size_t)spec->train * SET_VALUES;
  good = data_fetch (w, d, DATA_TRAIN, wanted) == OK;
  tap_ok (good && held () - before >= (many && wanted ? bytes : 0) &&
              (wanted || held () == before),
          "%s: fetched where it is wanted", what);
  tap_ok (!alike || n_reads == (many ? 1 : 0), "%s: in one transfer (%d)", what,
          n_reads);
  tap_ok (same_pixels (d, one, spec->train), "%s: pixels", what);
  n_reads = 0;
  before = held ();
  good = data_fetch (w, d, DATA_TRAIN, wanted) == OK;
  tap_ok (good && n_reads == 0 && held () == before, "%s: once", what);
  data_close (&d);
  data_close (&one);
  wire_barrier (w);
}

/* The same words on all ranks, and these among them. */
static bool
refused (enum status got, enum status wanted, const char *words)
{
  char roots[2048];
  snprintf (roots, sizeof roots, "%s", fail_message ());
  (void)wire_broadcast (w, roots, sizeof roots, 0);
  bool good = got == wanted && strstr (fail_message (), words) &&
              strcmp (roots, fail_message ()) == 0;
  if (!good)
    tap_note ("status %d: %s", (int)got, fail_message ());
  fail_clear ();
  return good;
}

static void
test_refusals (void)
{
  static const struct {
    enum spoil spoil;
    const char *words;
  } rows[] = {
      {SPOIL_LABEL_HIGH, "/valid/labels[2]: label 4, expected 0 to 3"},
      {SPOIL_LABEL_LOW, "/train/labels[4]: label -1, expected 0 to 3"},
      {SPOIL_LABEL_COUNT, "/train/labels: 19 labels for 20 images"},
      {SPOIL_LABEL_FLOAT, "/train/labels: no integers"},
      {SPOIL_NO_LABELS, "/train/labels is missing"},
      {SPOIL_IMAGE_SHAPE, "/valid/images: shape [10, 3, 6, 5]"},
      {SPOIL_STD_ZERO, "channel 1"},
  };
  char path[512];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    snprintf (path, sizeof path, "%s", scratch ("bad.h5"));
    make (path,
          &(struct set_spec){.spoil = rows[i].spoil, .train = 20, .valid = 10});
    struct data_set *d = NULL;
    enum status s = data_open_all (w, path, &d);
    tap_ok (refused (s, E_DATA, rows[i].words) && !d, "refused by all: %s",
            rows[i].words);
    wire_barrier (w);
  }
}

/* The last rank alone cannot read, or finds another file. */
static void
test_alone (void)
{
  char path[512], other[512], fault[32], words[64];
  int last = wire_size (w) - 1;
  struct data_set *d = NULL;
  snprintf (path, sizeof path, "%s", scratch ("good.h5"));
  snprintf (other, sizeof other, "%s", scratch ("other.h5"));
  make (path, &(struct set_spec){.train = 20, .valid = 10});
  snprintf (fault, sizeof fault, "read@%d", last);
  fault_plant (fault);
  enum status s = data_open_all (w, path, &d);
  fault_plant (NULL);
  snprintf (words, sizeof words, last > 0 ? "rank %d" : "planted", last);
  tap_ok (refused (s, E_DATA, words) && !d, "one rank cannot read: all say so");
  s = data_open_all (w, is_last () ? scratch ("none.h5") : path, &d);
  tap_ok (refused (s, E_MISSING, "none.h5: No such file") && !d,
          "one rank has no file: all say so");
  if (last == 0)
    return;
  make (other, &(struct set_spec){.train = 21, .valid = 10});
  s = data_open_all (w, is_last () ? other : path, &d);
  tap_ok (s == E_PROTOCOL && !d, "one rank finds another file: all refuse");
  fail_clear ();
  wire_barrier (w);
}

/* Each allocation of a fetch fails once, on the last rank alone. */
static void
test_memory (void)
{
  char path[512], fault[32];
  int last = wire_size (w) - 1;
  struct data_set *d = NULL;
  snprintf (path, sizeof path, "%s", scratch ("good.h5"));
  if (!tap_ok (data_open_all (w, path, &d) == OK, "opens"))
    return;
  for (int n = 1; last > 0 && n <= 2; n++) {
    snprintf (fault, sizeof fault, "alloc:%d@%d", n, last);
    fault_plant (fault);
    enum status s = data_fetch (w, d, DATA_TRAIN, is_last ());
    fault_plant (NULL);
    tap_ok (refused (s, E_MEMORY, n == 1 ? "wishes" : "images"),
            "no memory for block %d: all say so", n);
  }
  tap_ok (data_fetch (w, d, DATA_TRAIN, is_last ()) == OK,
          "and with memory it is fetched");
  data_close (&d);
}

/* Only the last rank wants what cannot be read. */
static void
test_damage (void)
{
  char path[512];
  struct data_set *d = NULL;
  snprintf (path, sizeof path, "%s", scratch ("chunks.h5"));
  make (path, &(struct set_spec){.chunked = true, .train = 20, .valid = 10});
  if (wire_rank (w) == 0) {
    hid_t file = H5Fopen (path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t set = H5Dopen2 (file, "/train/images", H5P_DEFAULT);
    haddr_t at = 0;
    hsize_t size = 0;
    hid_t space = H5Dget_space (set);
    H5Dget_chunk_info (set, space, 7, NULL, NULL, &at, &size);
    H5Sclose (space);
    H5Dclose (set);
    H5Fclose (file);
    if (size == 0)
      tap_bail ("no chunk");
    for (hsize_t i = 0; i < size; i++)
      scratch_flip (path, (int64_t)(at + i));
  }
  wire_barrier (w);
  enum status s = data_open_all (w, path, &d);
  tap_ok (s == OK, "a damaged chunk of pixels is not seen by opening");
  s = data_fetch (w, d, DATA_TRAIN, is_last ());
  tap_ok (wire_size (w) == 1 ? s == OK
                             : refused (s, E_DATA, "/train/images: not read"),
          "and refused by all when one fetches it");
  data_close (&d);
  wire_barrier (w);
}

static void
test_large (void)
{
  char path[512];
  struct data_set *d = NULL;
  snprintf (path, sizeof path, "%s", scratch ("good.h5"));
  bool good = data_open_all (w, path, &d) == OK;
  if (!tap_ok (good, "opens"))
    return;
  data_memory (d, 10);
  n_reads = 0;
  size_t before = held ();
  tap_ok (data_fetch (w, d, DATA_TRAIN, true) == OK && n_reads == 0 &&
              held () == before,
          "a split past the limit stays in the file");
  data_close (&d);
}

/* JPEG images are read by whom wants them, and by nobody else. */
static void
test_photos (void)
{
#ifdef HAVE_JPEG
  enum { VALUES = 3 * 8 * 8 };
  static const char *const options[] = {"size=8", "valid=0", "test=0"};
  char path[512], folder[512];
  const char *dirs[] = {folder};
  float x[VALUES], y[VALUES];
  struct data_set *d = NULL, *one = NULL;
  snprintf (path, sizeof path, "%s", scratch ("photos.h5"));
  snprintf (folder, sizeof folder, "%s", scratch ("photos"));
  for (int i = 0; wire_rank (w) == 0 && i < 6; i++) {
    mkdir (folder, 0777);
    mkdir (scratch ("photos/%d", i % 2), 0777);
    photo_write (scratch ("photos/%d/%d.jpg", i % 2, i), i, 20 + i, 30 - i);
  }
  if (wire_rank (w) == 0 &&
      import_run ("folder", 1, dirs, 3, options, path) != OK)
    tap_note ("%s", fail_message ());
  wire_barrier (w);
  bool good = data_open_all (w, path, &d) == OK && data_open (path, &one) == OK;
  if (!tap_ok (good, "a set of JPEG images opens"))
    return;
  size_t before = held ();
  n_reads = 0;
  enum status s = data_fetch (w, d, DATA_TRAIN, is_last ());
  tap_ok (s == OK && n_reads == 0 && held () == before,
          "its images are not transferred");
  for (int i = 0; is_last () && i < 6; i++)
    good = good && data_read (d, DATA_TRAIN, i, 1, x) == OK &&
           data_read (one, DATA_TRAIN, i, 1, y) == OK &&
           memcmp (x, y, sizeof x) == 0;
  tap_ok (good, "and read by the rank that wants them");
  data_close (&d);
  data_close (&one);
  wire_barrier (w);
#else
  tap_skip ("built without libjpeg-turbo");
#endif
}

int
main (int argc, char **argv)
{
  if (wire_open (&argc, &argv, &w) != OK) {
    tap_bail (fail_message ());
    return tap_done ();
  }
  log_level_set (LOG_WARN);
  if (wire_rank (w) == 0 && !scratch_open ())
    scratch_folder[0] = '\0';
  (void)wire_broadcast (w, scratch_folder, sizeof scratch_folder, 0);
  size_t before = held ();
  test_same ("bytes", &(struct set_spec){.train = 23, .valid = 11}, true);
  test_same ("floats",
             &(struct set_spec){.floats = true, .train = 9, .valid = 1}, true);
  test_same ("deflated",
             &(struct set_spec){.chunked = true, .train = 23, .valid = 11},
             false);
  test_same (
      "big-endian",
      &(struct set_spec){.big = true, .floats = true, .train = 23, .valid = 11},
      false);
  test_refusals ();
  test_alone ();
  test_memory ();
  test_large ();
  test_damage ();
  test_photos ();
  tap_ok (held () == before, "nothing is left allocated");
  wire_barrier (w);
  if (wire_rank (w) == 0)
    scratch_close ();
  wire_close (&w);
  return tap_done ();
}

/* ranks: 1 2 3 */
/* tests/store/checkpoint.c -- tensors spread over ranks come back the same on
 * any number of ranks; what is damaged, missing or of another shape is refused;
 * a failed write leaves what was there.
 */
#define TAP_MPI
#include "store/checkpoint.h"
#include "store/h5.h"
#include "tests/store/tensors.h"
#include "tests/tap.h"
#include "wire/wire.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/place.h"
#include <hdf5.h>
#include <signal.h>
#include <sys/resource.h>

static void
test_round_trip (struct wire *w)
{
  char path[512];
  snprintf (path, sizeof path, "%s", scratch ("a/b/round.h5"));
  for (int turn = 0; turn < 3; turn++) {
    enum status s = write_version (w, path, (uint64_t)turn, turn);
    tap_ok (s == OK && holds_version (path, (uint64_t)turn) &&
                !holds_version (path, 77) && count_parts (scratch ("a/b")) == 0,
            "round trip, spread %d", turn);
    wire_barrier (w);
  }
}

/* Root writes the same alone; the files are equal, byte for byte. */
static void
test_same_bytes (struct wire *w)
{
  char one[512], all[512];
  bool good = true;
  snprintf (one, sizeof one, "%s", scratch ("one.h5"));
  snprintf (all, sizeof all, "%s", scratch ("all.h5"));
  enum status s = write_version (w, all, 6, 1);
  if (wire_rank (w) == 0) {
    struct wire *alone = NULL;
    good = wire_open_alone (&alone) == OK &&
           write_version (alone, one, 6, 0) == OK;
    wire_close (&alone);
    place_rank_set (0, wire_size (w));
    good = good && equal_files (one, all);
  }
  tap_ok (s == OK && good, "the bytes do not tell how many ranks wrote");
}

static void
test_twice (struct wire *w)
{
  struct store_tensor t = shapes[0];
  t.data = values_of (0, 1);
  enum status s = store_checkpoint_write (w, scratch ("twice.h5"), &attributes,
                                          &t, 1, NULL);
  tap_ok (s == (wire_size (w) > 1 ? E_PROTOCOL : OK),
          "a tensor given by every rank");
  fail_clear ();
}

/* -- failures leave what was there ----------------------------------------- */

static void
test_planted (struct wire *w)
{
  char path[512], fault[32];
  snprintf (path, sizeof path, "%s", scratch ("planted.h5"));
  enum status s = write_version (w, path, 1, 0);
  snprintf (fault, sizeof fault, "write@%d", wire_size (w) - 1);
  fault_plant (fault);
  enum status failed = write_version (w, path, 2, 0);
  fault_plant (NULL);
  wire_barrier (w);
  tap_ok (s == OK && failed == E_IO && holds_version (path, 1) &&
              count_parts (scratch_folder) == 0,
          "one rank fails to write: all say so, the old file stays");
  fail_clear ();
  wire_barrier (w);
}

/* A file size limit stands for a full disk: the system refuses for real.  On
 * root it is met when room is reserved, elsewhere when data is written. */
static void
test_full (struct wire *w, int limited, const char *what)
{
  char path[512];
  struct rlimit old, low;
  snprintf (path, sizeof path, "%s", scratch ("full.h5"));
  enum status s = write_version (w, path, 1, 0);
  getrlimit (RLIMIT_FSIZE, &old);
  low = old;
  low.rlim_cur = 8192;
  if (wire_rank (w) == limited)
    setrlimit (RLIMIT_FSIZE, &low);
  enum status failed = write_version (w, path, 2, 0);
  setrlimit (RLIMIT_FSIZE, &old);
  wire_barrier (w);
  tap_ok (s == OK && failed == E_IO && holds_version (path, 1) &&
              count_parts (scratch_folder) == 0,
          "no room %s: all say so, the old file stays", what);
  fail_clear ();
  wire_barrier (w);
}

/* -- refusals (on every rank, alone) --------------------------------------- */

static bool
refused (enum status s, enum status wanted, const char *const *words)
{
  bool good = s == wanted;
  for (int i = 0; i < 4 && words[i]; i++)
    good = good && strstr (fail_message (), words[i]);
  if (!good)
    fprintf (stderr, "# status %d: %s\n", (int)s, fail_message ());
  fail_clear ();
  return good;
}

static enum status
open_only (const char *path)
{
  struct store_checkpoint *c = NULL;
  enum status s = store_checkpoint_open (path, &c);
  store_checkpoint_close (&c);
  return s;
}

static enum status
read_one (const char *path, const struct store_tensor *shape)
{
  static float x[VALUES_MOST];
  struct store_checkpoint *c = NULL;
  enum status s = store_checkpoint_open (path, &c);
  struct store_tensor t = *shape;
  t.data = x;
  if (s == OK)
    s = store_checkpoint_read (c, &t);
  store_checkpoint_close (&c);
  return s;
}

static void
test_shapes (const char *path)
{
  struct store_tensor t = shapes[3];
  t.dims[0] = 100;
  tap_ok (refused (read_one (path, &t), E_CHECKPOINT,
                   (const char *[4]){path, "/model/fc.weight", "[10, 64]",
                                     "[100, 64]"}),
          "another shape");
  t = shapes[3];
  t.n_dims = 1;
  tap_ok (refused (read_one (path, &t), E_CHECKPOINT,
                   (const char *[4]){"[10, 64]", "[10]"}),
          "another number of dims");
  t = shapes[3];
  snprintf (t.path, sizeof t.path, "/model/fc.wait");
  tap_ok (refused (read_one (path, &t), E_CHECKPOINT,
                   (const char *[4]){"/model/fc.wait", "missing"}),
          "a missing tensor");
  snprintf (t.path, sizeof t.path, "/model");
  tap_ok (refused (read_one (path, &t), E_CHECKPOINT,
                   (const char *[4]){"/model", "not a dataset"}),
          "a group where a tensor should be");
}

static int64_t
offset_of (const char *path, const char *name)
{
  hid_t file = H5Fopen (path, H5F_ACC_RDONLY, H5P_DEFAULT);
  hid_t set = H5Dopen2 (file, name, H5P_DEFAULT);
  int64_t at = (int64_t)H5Dget_offset (set);
  H5Dclose (set);
  H5Fclose (file);
  return at;
}

static void
put_int (const char *path, const char *name, int64_t value)
{
  hid_t file = H5Fopen (path, H5F_ACC_RDWR, H5P_DEFAULT);
  hid_t a = H5Aopen (file, name, H5P_DEFAULT);
  H5Awrite (a, H5T_NATIVE_INT64, &value);
  H5Aclose (a);
  H5Fclose (file);
}

static void
test_damage (struct wire *w)
{
  char path[512];
  struct text t;
  text_init (&t);
  snprintf (path, sizeof path, "%s", scratch ("damage.h5"));
  tap_ok (write_version (w, path, 4, 1) == OK &&
              store_checkpoint_print (path, true, &t) == OK &&
              strstr (t.data, "/model/fc.weight") &&
              strstr (t.data, "9 tensors"),
          "whole: info says so");
  text_clear (&t);
  text_init (&t);
  wire_barrier (w);
  if (wire_rank (w) == 0)
    scratch_flip (path, offset_of (path, "/model/fc.weight") + 1001);
  wire_barrier (w);
  tap_ok (refused (read_one (path, &shapes[3]), E_CHECKPOINT,
                   (const char *[4]){path, "/model/fc.weight", "damaged"}),
          "one flipped bit is noticed when read");
  tap_ok (read_one (path, &shapes[0]) == OK, "others still read");
  tap_ok (refused (store_checkpoint_print (path, true, &t), E_CHECKPOINT,
                   (const char *[4]){"/model/fc.weight", "damaged"}),
          "and by info --check");
  tap_ok (store_checkpoint_print (path, false, &t) == OK,
          "info without --check does not read");
  wire_barrier (w);
  if (wire_rank (w) == 0) {
    scratch_flip (path, offset_of (path, "/model/fc.weight") + 1001);
    put_int (path, "epoch", 8);
  }
  wire_barrier (w);
  tap_ok (refused (store_checkpoint_print (path, true, &t), E_CHECKPOINT,
                   (const char *[4]){"attribute"}),
          "a changed attribute is noticed");
  wire_barrier (w);
  if (wire_rank (w) == 0)
    put_int (path, "version", 2);
  wire_barrier (w);
  tap_ok (refused (open_only (path), E_CHECKPOINT,
                   (const char *[4]){path, "version 2", "version 1"}),
          "an unknown version");
  wire_barrier (w);
  if (wire_rank (w) == 0 && truncate (path, scratch_bytes (path) / 2) != 0)
    tap_alone (false, "truncate");
  wire_barrier (w);
  tap_ok (refused (open_only (path), E_CHECKPOINT,
                   (const char *[4]){path, "not a whole HDF5 file"}),
          "cut off");
  text_clear (&t);
}

/* A value changed by a tool that keeps no digests, and the digest removed, so
 * that nothing contradicts it: a file of ours has one for each tensor. */
static void
lose_digest (const char *path, const char *name)
{
  static float sevens[64 * 10];
  for (size_t i = 0; i < sizeof sevens / sizeof *sevens; i++)
    sevens[i] = 7;
  hid_t file = H5Fopen (path, H5F_ACC_RDWR, H5P_DEFAULT);
  hid_t set = H5Dopen2 (file, name, H5P_DEFAULT);
  H5Adelete (set, "digest");
  H5Dwrite (set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, sevens);
  H5Dclose (set);
  H5Fclose (file);
}

static enum status
agrees (const char *path)
{
  struct store_checkpoint *c = NULL;
  TRY (store_checkpoint_open (path, &c));
  enum status s = store_checkpoint_agrees (c);
  store_checkpoint_close (&c);
  return s;
}

static void
test_digests (struct wire *w)
{
  char path[512];
  const char *const lost[4] = {path, "/model/fc.weight", "lost its digest"};
  snprintf (path, sizeof path, "%s", scratch ("lost.h5"));
  tap_ok (write_version (w, path, 5, 0) == OK && agrees (path) == OK,
          "written, and the digests agree");
  wire_barrier (w);
  if (wire_rank (w) == 0)
    lose_digest (path, "/model/fc.weight");
  wire_barrier (w);
  tap_ok (refused (read_one (path, &shapes[3]), E_CHECKPOINT, lost),
          "a tensor that has lost its digest is not read");
  tap_ok (refused (agrees (path), E_CHECKPOINT, lost),
          "nor is it taken for a whole file");
  wire_barrier (w);
  if (wire_rank (w) == 0) {
    hid_t file = H5Fopen (path, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Adelete (file, "interlock_format");
    H5Fclose (file);
  }
  wire_barrier (w);
  tap_ok (refused (open_only (path), E_CHECKPOINT,
                   (const char *[4]){path, "names no format"}),
          "without its format it is no file of another program");
  tap_ok (write_version (w, path, 5, 0) == OK, "written again");
  wire_barrier (w);
  if (wire_rank (w) == 0)
    put_int (path, "seed", 43);
  wire_barrier (w);
  tap_ok (refused (agrees (path), E_CHECKPOINT,
                   (const char *[4]){path, "attribute"}),
          "a changed attribute does not agree");
}

/* Shapes of terabytes in a file of kilobytes: contiguous and never written,
 * chunked and compressed with one chunk there. */
static void
make_wide (const char *path)
{
  hsize_t size = (hsize_t)1 << 43, chunk = 1024;
  float x[1024] = {0};
  hid_t file = H5Fcreate (path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hid_t group =
      H5Gcreate2 (file, "/model", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  hid_t space = H5Screate_simple (1, &size, NULL);
  hid_t part = H5Screate_simple (1, &chunk, NULL);
  hid_t how = H5Pcreate (H5P_DATASET_CREATE);
  H5Dclose (H5Dcreate2 (group, "never", H5T_IEEE_F32LE, space, H5P_DEFAULT,
                        H5P_DEFAULT, H5P_DEFAULT));
  H5Pset_chunk (how, 1, &chunk);
  H5Pset_deflate (how, 9);
  hid_t set = H5Dcreate2 (group, "some", H5T_IEEE_F32LE, space, H5P_DEFAULT,
                          how, H5P_DEFAULT);
  hsize_t zero = 0;
  H5Sselect_hyperslab (space, H5S_SELECT_SET, &zero, NULL, &chunk, NULL);
  H5Dwrite (set, H5T_NATIVE_FLOAT, part, space, H5P_DEFAULT, x);
  H5Dclose (set);
  H5Pclose (how);
  H5Sclose (part);
  H5Sclose (space);
  H5Gclose (group);
  H5Fclose (file);
}

static void
test_wide (struct wire *w)
{
  char path[512];
  struct store_tensor t = {
      "/model/some", 1, {(int64_t)1 << 43}, NULL, TENSOR_F32};
  struct text out;
  text_init (&out);
  snprintf (path, sizeof path, "%s", scratch ("wide.h5"));
  if (wire_rank (w) == 0)
    make_wide (path);
  wire_barrier (w);
  tap_ok (refused (store_checkpoint_print (path, true, &out), E_CHECKPOINT,
                   (const char *[4]){path, "/model/", "asks for 35.2 TB"}),
          "terabytes are not asked for");
  for (int i = 0; i < 2; i++) {
    struct store_checkpoint *c = NULL;
    snprintf (t.path, sizeof t.path, "/model/%s", i ? "some" : "never");
    enum status s = store_checkpoint_open (path, &c);
    if (s == OK)
      s = store_checkpoint_fits (c, &t);
    store_checkpoint_close (&c);
    tap_ok (refused (s, E_CHECKPOINT,
                     (const char *[4]){path, t.path, "asks for 35.2 TB"}),
            "%s: refused", t.path);
  }
  text_clear (&out);
}

static void
test_others (struct wire *w)
{
  char text[512], set[512];
  snprintf (text, sizeof text, "%s", scratch ("text.h5"));
  snprintf (set, sizeof set, "%s", scratch ("foreign.h5"));
  double values[3] = {1.5, -2, 0.25};
  hsize_t size = 3;
  if (wire_rank (w) == 0) {
    scratch_write (text, "no checkpoint\n", 14);
    hid_t file = H5Fcreate (set, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t group =
        H5Gcreate2 (file, "/model", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple (1, &size, NULL);
    hid_t d = H5Dcreate2 (group, "fc.bias", H5T_IEEE_F64BE, space, H5P_DEFAULT,
                          H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite (d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose (d);
    H5Sclose (space);
    H5Gclose (group);
    H5Fclose (file);
  }
  wire_barrier (w);
  tap_ok (
      refused (open_only (text), E_CHECKPOINT, (const char *[4]){text, "HDF5"}),
      "a text file");
  if (wire_rank (w) == 0 && mkfifo (scratch ("pipe.h5"), 0666) != 0)
    tap_alone (false, "mkfifo");
  wire_barrier (w);
  tap_ok (refused (open_only (scratch ("pipe.h5")), E_CHECKPOINT,
                   (const char *[4]){"pipe.h5", "a pipe"}),
          "a pipe is not waited for");
  tap_ok (refused (open_only (scratch ("none.h5")), E_MISSING,
                   (const char *[4]){"none.h5", "No such file"}),
          "no file");
  float x[3] = {0, 0, 0};
  struct store_checkpoint *c = NULL;
  struct store_tensor t = {"/model/fc.bias", 1, {3}, x, TENSOR_F32};
  bool good = store_checkpoint_open (set, &c) == OK &&
              store_checkpoint_read (c, &t) == OK;
  tap_ok (good && x[0] == 1.5f && x[1] == -2.0f && x[2] == 0.25f,
          "a parameter file of doubles without our attributes");
  store_checkpoint_close (&c);
  char kind[16];
  tap_ok (store_file_kind (set, kind) == OK && !strcmp (kind, "checkpoint"),
          "its kind");
}

/* -- the newest ------------------------------------------------------------ */

static const char *
beside (const char *run, const char *name)
{
  static char path[1200];
  snprintf (path, sizeof path, "%s/checkpoints/%s", run, name);
  return path;
}

static void
test_newest (struct wire *w)
{
  char run[512], path[3][600];
  struct text found;
  static const int64_t steps[3] = {20, 30, 10}; /* names tell nothing */
  snprintf (run, sizeof run, "%s", scratch ("run"));
  text_init (&found);
  tap_ok (store_checkpoint_newest (run, &found) == OK && found.size == 0,
          "no run directory: none");
  bool good = true;
  for (int i = 0; i < 3; i++) {
    struct store_tensor t = shapes[1];
    t.data = values_of (1, 3);
    snprintf (path[i], sizeof path[i], "%s/checkpoints/step-00000000%d.h5", run,
              i + 1);
    attributes.step = steps[i];
    good = store_checkpoint_write (w, path[i], &attributes, &t,
                                   wire_rank (w) == 0, NULL) == OK &&
           good;
  }
  tap_ok (good && store_checkpoint_newest (run, &found) == OK &&
              !strcmp (found.data, path[1]),
          "the highest step");
  text_clear (&found);
  text_init (&found);
  wire_barrier (w);
  if (wire_rank (w) == 0)
    scratch_flip (path[1], offset_of (path[1], "/model/bn1.running_mean") + 9);
  wire_barrier (w);
  log_level_set (LOG_ERROR); /* the warning is expected */
  tap_ok (store_checkpoint_newest (run, &found) == OK &&
              !strcmp (found.data, path[0]),
          "damaged: the one before it");
  wire_barrier (w);
  static const char *const users[] = {"best.h5", "step-000000003-mine.h5",
                                      "step-3.h5", "step-000000004.h5"};
  if (wire_rank (w) == 0) { /* copies of the oldest, and a link to it */
    for (int i = 0; i < 3; i++)
      good = good && link (path[2], beside (run, users[i])) == 0;
    good = good && symlink ("best.h5", beside (run, users[3])) == 0;
    good = good && store_checkpoint_prune (run, 1, path[0]) == OK;
    for (int i = 0; i < 4; i++)
      good = good && access (beside (run, users[i]), F_OK) == 0;
  }
  wire_barrier (w);
  tap_ok (good && access (path[1], F_OK) == 0 && access (path[0], F_OK) == 0 &&
              access (path[2], F_OK) != 0,
          "pruned: the newest and the good one stay, and what is not ours");
  log_level_set (LOG_WARN);
  text_clear (&found);
}

int
main (int argc, char **argv)
{
  struct wire *w = NULL;
  if (wire_open (&argc, &argv, &w) != OK) {
    tap_bail (fail_message ());
    return tap_done ();
  }
  log_level_set (LOG_WARN);
  share_folder (w);
  char path[512];
  snprintf (path, sizeof path, "%s", scratch ("shapes.h5"));
  test_round_trip (w);
  tap_ok (write_version (w, path, 1, 0) == OK, "written");
  test_shapes (path);
  test_same_bytes (w);
  test_twice (w);
  test_planted (w);
  signal (SIGXFSZ, SIG_IGN);
  test_full (w, 0, "for root");
  test_full (w, wire_size (w) - 1, "for the last rank");
  test_damage (w);
  test_digests (w);
  test_wide (w);
  test_others (w);
  test_newest (w);
  wire_barrier (w);
  if (wire_rank (w) == 0)
    scratch_close ();
  wire_close (&w);
  return tap_done ();
}

/* ranks: 1 2 */
/* tests/data/sealed.c -- no HDF5 file opens another one, but for raw data that
 * lie beside a data set; what was declared and never written is refused by all
 * ranks.
 *
 * Where a file must not be opened there stands a FIFO: who opens it waits until
 * the alarm rings.
 */
#define TAP_MPI
#include "data/data.h"
#include "store/checkpoint.h"
#include "tests/data/refused.h"
#include "tests/scratch.h"
#include "tests/data/sets.h"
#include "tests/tap.h"
#include "wire/wire.h"

#include "base/fault.h"
#include "base/log.h"

enum { N = 20, LIMIT_S = 60 };

static struct wire *w;
static char pixels[512]; /* a regular file with what /train/images has */

/* -- what is planted: opened for writing, with /train/images taken out ------
 */

static void
plant_link (hid_t file)
{
  H5Lcreate_external (scratch ("fifo"), "/train/images", file, "/train/images",
                      H5P_DEFAULT, H5P_DEFAULT);
}

static void
plant_group (hid_t file)
{
  H5Ldelete (file, "/train", H5P_DEFAULT);
  H5Lcreate_external (scratch ("fifo"), "/train", file, "/train", H5P_DEFAULT,
                      H5P_DEFAULT);
}

static void
plant_chain (hid_t file)
{
  H5Lcreate_external (scratch ("fifo"), "/", file, "/away", H5P_DEFAULT,
                      H5P_DEFAULT);
  H5Lcreate_soft ("/away/train/images", file, "/train/images", H5P_DEFAULT,
                  H5P_DEFAULT);
}

static void
plant_set (hid_t file, const char *path, hid_t type, hid_t plist, int n_dims)
{
  hsize_t dims[4] = {N, SET_C, SET_H, SET_W};
  hid_t space = H5Screate_simple (n_dims, dims, NULL);
  H5Dclose (
      H5Dcreate2 (file, path, type, space, H5P_DEFAULT, plist, H5P_DEFAULT));
  H5Sclose (space);
  H5Pclose (plist);
}

static void
plant_virtual (hid_t file)
{
  hsize_t dims[4] = {N, SET_C, SET_H, SET_W};
  hid_t plist = H5Pcreate (H5P_DATASET_CREATE);
  hid_t space = H5Screate_simple (4, dims, NULL);
  H5Pset_virtual (plist, space, scratch ("fifo"), "/train/images", space);
  H5Sclose (space);
  plant_set (file, "/train/images", H5T_STD_U8LE, plist, 4);
}

static void
plant_raw (hid_t file, const char *name)
{
  hid_t plist = H5Pcreate (H5P_DATASET_CREATE);
  H5Pset_external (plist, name, 0, (hsize_t)N * SET_VALUES);
  plant_set (file, "/train/images", H5T_STD_U8LE, plist, 4);
}

static void
plant_raw_away (hid_t file)
{
  plant_raw (file, pixels);
}

static void
plant_raw_up (hid_t file)
{
  plant_raw (file, "../pixels");
}

static void
plant_raw_fifo (hid_t file)
{
  plant_raw (file, "fifo");
}

static void
plant_raw_link (hid_t file)
{
  plant_raw (file, "link");
}

static void
plant_raw_none (hid_t file)
{
  plant_raw (file, "none");
}

static void
plant_raw_short (hid_t file)
{
  plant_raw (file, "short");
}

static void
plant_raw_good (hid_t file)
{
  plant_raw (file, "pixels");
}

static void
plant_unwritten (hid_t file)
{
  plant_set (file, "/train/images", H5T_STD_U8LE,
             H5Pcreate (H5P_DATASET_CREATE), 4);
}

static void
plant_labels (hid_t file)
{
  H5Ldelete (file, "/train/labels", H5P_DEFAULT);
  plant_raw (file, "pixels");
  plant_set (file, "/train/labels", H5T_STD_U8LE,
             H5Pcreate (H5P_DATASET_CREATE), 1);
}

/* Of four chunks the first alone is written. */
static void
plant_chunks (hid_t file)
{
  hsize_t chunk[4] = {5, SET_C, SET_H, SET_W}, start[4] = {0};
  static unsigned char bytes[5 * SET_VALUES];
  hid_t plist = H5Pcreate (H5P_DATASET_CREATE);
  H5Pset_chunk (plist, 4, chunk);
  plant_set (file, "/train/images", H5T_STD_U8LE, plist, 4);
  hid_t set = H5Dopen2 (file, "/train/images", H5P_DEFAULT);
  hid_t space = H5Dget_space (set), memory = H5Screate_simple (4, chunk, NULL);
  H5Sselect_hyperslab (space, H5S_SELECT_SET, start, NULL, chunk, NULL);
  H5Dwrite (set, H5T_NATIVE_UINT8, memory, space, H5P_DEFAULT, bytes);
  H5Sclose (memory);
  H5Sclose (space);
  H5Dclose (set);
}

static const struct row {
  const char *name;
  void (*plant) (hid_t file);
  const char *words[REFUSED_WORDS]; /* none: it opens */
} rows[] = {
    {"link.h5", plant_link, {"/train/images", "external link"}},
    {"group.h5", plant_group, {"/train/images", "external link /train)"}},
    {"chain.h5", plant_chain, {"/train/images", "external link /away)"}},
    {"virtual.h5", plant_virtual, {"/train/images", "virtual dataset"}},
    {"away.h5", plant_raw_away, {"/train/images", "same folder"}},
    {"up.h5", plant_raw_up, {"/train/images", "../pixels"}},
    {"special.h5", plant_raw_fifo, {"/train/images", "not a regular file"}},
    {"linked.h5", plant_raw_link, {"/train/images", "not a regular file"}},
    {"none.h5", plant_raw_none, {"/train/images", "not a regular file"}},
    {"short.h5", plant_raw_short, {"/train/images", "short has 100 bytes"}},
    {"unwritten.h5", plant_unwritten, {"/train/images", "never written"}},
    {"labels.h5", plant_labels, {"/train/labels", "never written"}},
    {"chunks.h5", plant_chunks, {"/train/images", "1 of its 4 chunks"}},
    {"good.h5", plant_raw_good, {NULL, NULL}},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

/* -- files ------------------------------------------------------------------
 */

static void
make_set (const struct row *r)
{
  const char *path = scratch ("%s", r->name);
  set_make (path, &(struct set_spec){.train = N, .valid = 10});
  hid_t file = H5Fopen (path, H5F_ACC_RDWR, H5P_DEFAULT);
  H5Ldelete (file, "/train/images", H5P_DEFAULT);
  r->plant (file);
  H5Fclose (file);
}

/* A parameter file whose only tensor is not in it. */
static void
make_parameters (const char *name, int how)
{
  hid_t file =
      H5Fcreate (scratch ("%s", name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  H5Gclose (H5Gcreate2 (file, "/model", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  hid_t plist = H5Pcreate (H5P_DATASET_CREATE), space = H5Screate (H5S_SCALAR);
  hsize_t one = 1;
  hid_t row = H5Screate_simple (1, &one, NULL);
  if (how == 0)
    H5Lcreate_external (scratch ("fifo"), "/x", file, "/model/x", H5P_DEFAULT,
                        H5P_DEFAULT);
  if (how == 1)
    H5Pset_virtual (plist, row, scratch ("fifo"), "/x", row);
  if (how == 2)
    H5Pset_external (plist, "pixels", 0, 4);
  if (how > 0)
    H5Dclose (H5Dcreate2 (file, "/model/x", H5T_IEEE_F32LE,
                          how == 3 ? space : row, H5P_DEFAULT, plist,
                          H5P_DEFAULT));
  H5Sclose (row);
  H5Sclose (space);
  H5Pclose (plist);
  H5Fclose (file);
}

/* Before the library under test has been called: it takes links to other files
 * out of HDF5. */
static void
make_all (void)
{
  unsigned char bytes[N * SET_VALUES];
  for (int k = 0; k < N; k++)
    for (int i = 0; i < SET_VALUES; i++)
      bytes[k * SET_VALUES + i] = set_byte (0, k, i);
  scratch_write (pixels, bytes, sizeof bytes);
  scratch_write (scratch ("short"), bytes, 100);
  if (mkfifo (scratch ("fifo"), 0600) != 0 ||
      symlink (pixels, scratch ("link")) != 0)
    tap_bail ("no FIFO");
  for (size_t i = 0; i < N_ROWS; i++)
    make_set (&rows[i]);
  for (int how = 0; how < 4; how++) {
    char name[32];
    snprintf (name, sizeof name, "parameters%d.h5", how);
    make_parameters (name, how);
  }
}

/* -- tests ------------------------------------------------------------------
 */

static void
test_set (const struct row *r)
{
  char path[512];
  struct data_set *d = NULL;
  snprintf (path, sizeof path, "%s", scratch ("%s", r->name));
  alarm (LIMIT_S);
  enum status s = data_open_all (w, path, &d);
  if (r->words[0]) {
    tap_ok (refused (s, E_DATA, r->words) && !d, "%s", r->name);
    return;
  }
  float x[SET_VALUES];
  bool same = s == OK && data_fetch (w, d, DATA_TRAIN, true) == OK;
  for (int k = 0; same && k < N; k++) {
    same = data_read (d, DATA_TRAIN, k, 1, x) == OK;
    for (int i = 0; same && i < SET_VALUES; i++) {
      double want = set_normal (i / (SET_H * SET_W), set_byte (0, k, i));
      same = x[i] - want < 1e-5 && want - x[i] < 1e-5;
    }
  }
  tap_ok (same, "%s: raw data beside the file, from another folder", r->name);
  data_close (&d);
}

static void
test_parameters (void)
{
  static const char *const words[4][REFUSED_WORDS] = {
      {"/model/x", "external link"},
      {"/model/x", "virtual dataset"},
      {"/model/x", "no other file is opened"},
      {"/model/x", "never written"},
  };
  for (int how = 0; how < 4; how++) {
    struct store_checkpoint *c = NULL;
    float x = 0;
    struct store_tensor t = {"/model/x", how == 3 ? 0 : 1, {1}, &x, TENSOR_F32};
    alarm (LIMIT_S);
    enum status s =
        store_checkpoint_open (scratch ("parameters%d.h5", how), &c);
    if (s == OK)
      s = store_checkpoint_read (c, &t);
    tap_ok (refused (s, E_CHECKPOINT, words[how]), "parameters: %s",
            words[how][1]);
    store_checkpoint_close (&c);
  }
}

int
main (int argc, char **argv)
{
  if (wire_open (&argc, &argv, &w) != OK)
    return 1;
  fault_plant (NULL);
  log_level_set (LOG_ERROR);
  int made = wire_rank (w) > 0 || scratch_open ();
  wire_broadcast (w, scratch_folder, sizeof scratch_folder, 0);
  snprintf (pixels, sizeof pixels, "%s", scratch ("pixels"));
  if (!made)
    return 1;
  if (wire_rank (w) == 0)
    make_all ();
  wire_barrier (w);
  /* Ranks may stand in different folders; the environment has its own idea. */
  setenv ("HDF5_EXTFILE_PREFIX", "/nowhere", 1);
  if (chdir (wire_rank (w) == 0 ? "/" : "/tmp") != 0)
    return 1;
  for (size_t i = 0; i < N_ROWS; i++)
    test_set (&rows[i]);
  if (wire_size (w) == 1)
    test_parameters ();
  wire_barrier (w);
  if (wire_rank (w) == 0)
    scratch_close ();
  int code = tap_done ();
  wire_close (&w);
  return code;
}

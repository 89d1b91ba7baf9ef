/* store/h5.c -- opening, errors, shapes, properties; attributes are in
 * h5_attribute.c.
 */
#include "store/file.h"
#include "store/h5.h"
#include "store/raw.h"

#include "wire/raw.h"
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t door;
static pthread_once_t door_once = PTHREAD_ONCE_INIT;

static void
door_make (void)
{
  pthread_mutexattr_t how;
  pthread_mutexattr_init (&how);
  pthread_mutexattr_settype (&how, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init (&door, &how);
  pthread_mutexattr_destroy (&how);
}

void
store_h5_enter (void)
{
  pthread_once (&door_once, door_make);
  pthread_mutex_lock (&door);
}

void
store_h5_leave (void)
{
  pthread_mutex_unlock (&door);
}

/* A file must not open other files (h5_set.c): HDF5 forgets the kind of link
 * that leads into them, and looks for raw data beside a file in the file's own
 * folder, whatever the environment says.
 *
 * HDF5 keeps a file that it could not close, though its memory is freed, and
 * crashes over it when the library ends.  Since we close what we open, it need
 * not end at all: not with the process (H5dont_atexit), and not in
 * MPI_Finalize, because it begins before MPI. */
static void
begin (void)
{
  unsetenv ("HDF5_EXTFILE_PREFIX");
  H5dont_atexit ();
  CHECK (H5open () >= 0, "HDF5 does not start");
  H5Lunregister (H5L_TYPE_EXTERNAL);
}

void
store_h5_start (void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once (&once, begin);
  CHECK (H5open () >= 0, "HDF5 does not start");
  H5Eset_auto2 (H5E_DEFAULT, NULL, NULL);
}

/* Keeps the innermost record of HDF5's error stack, which names the reason. */
static herr_t
keep_first (unsigned n, const H5E_error2_t *error, void *out)
{
  if (n == 0 && error->desc)
    snprintf (out, 256, "%s", error->desc);
  return 0;
}

const char *
store_h5_why (char buf[256])
{
  snprintf (buf, 256, "HDF5 gives no reason");
  H5Ewalk2 (H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, buf);
  return buf;
}

/* Without file locking: on network file systems that have none, HDF5 would
 * refuse even to read. */
hid_t
store_h5_read_access (void)
{
  hid_t fapl = H5Pcreate (H5P_FILE_ACCESS);
#if H5_VERSION_GE(1, 14, 0) || \
    (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
  H5Pset_file_locking (fapl, true, true);
#endif
  return fapl;
}

bool
store_h5_node (struct wire *w, hid_t access, hid_t *transfer)
{
  *transfer = H5Pcreate (H5P_DATASET_XFER);
  return H5Pset_fapl_mpio (access, wire_raw_node (w), MPI_INFO_NULL) >= 0 &&
         H5Pset_dxpl_mpio (*transfer, H5FD_MPIO_COLLECTIVE) >= 0;
}

/* Whether HDF5's words about a file tell of a want of descriptors or memory,
 * which says nothing about the file: those of its driver name errno. */
static bool
is_want (const char *why)
{
  int number = 0;
  const char *at = strstr (why, "errno = ");
  if (at && sscanf (at, "errno = %d", &number) == 1)
    return number == EMFILE || number == ENFILE || number == ENOMEM;
  return false;
}

enum status
store_h5_open (const char *path, enum status bad, hid_t *file)
{
  store_h5_start ();
  struct stat st;
  if (access (path, R_OK) != 0 || stat (path, &st) != 0)
    return fail (E_MISSING, "%s: %s", path, strerror (errno));
  if (!S_ISREG (st.st_mode)) /* HDF5 would wait for a writer of a pipe */
    return fail (bad, "%s: is %s, not an HDF5 file", path,
                 store_file_kind_words (st.st_mode));
  hid_t fapl = store_h5_read_access ();
  hid_t id = H5Fopen (path, H5F_ACC_RDONLY, fapl);
  char why[256];
  if (id < 0)
    store_h5_why (why);
  H5Pclose (fapl);
  if (id < 0 && is_want (why))
    return fail (E_MEMORY, "%s: not opened: %s", path, why);
  if (id < 0)
    return fail (bad, "%s: not a whole HDF5 file (%s)", path, why);
  *file = id;
  return OK;
}

/* The mark stands at the beginning, or behind a user block of 512 bytes or a
 * multiple by a power of two. */
bool
store_h5_signed (const char *path)
{
  static const char mark[8] = "\x89HDF\r\n\x1a\n";
  char found[8];
  bool is = false;
  FILE *f = fopen (path, "rbe");
  for (long at = 0; f && !is && at <= 1 << 20; at = at ? 2 * at : 512)
    is = fseek (f, at, SEEK_SET) == 0 && fread (found, 8, 1, f) == 1 &&
         memcmp (found, mark, 8) == 0;
  if (f)
    fclose (f);
  return is;
}

bool
store_h5_has (hid_t file, const char *path)
{
  char part[1024];
  size_t n = strlen (path);
  if (n >= sizeof part)
    return false;
  for (size_t i = 1; i <= n; i++) {
    H5L_info_t info;
    if (path[i] != '/' && path[i] != '\0')
      continue;
    memcpy (part, path, i);
    part[i] = '\0';
    if (i > 1 && H5Lexists (file, part, H5P_DEFAULT) <= 0)
      return false;
    if (H5Lget_info (file, part, &info, H5P_DEFAULT) >= 0 &&
        info.type == H5L_TYPE_EXTERNAL)
      return true;
  }
  return true;
}

bool
store_h5_is_group (hid_t file, const char *path)
{
  if (!store_h5_has (file, path))
    return false;
  hid_t group = H5Gopen2 (file, path, H5P_DEFAULT);
  if (group < 0)
    return false;
  H5Gclose (group);
  return true;
}

int64_t
store_h5_file_bytes (hid_t id)
{
  hid_t file = H5Iget_file_id (id);
  hsize_t bytes = 0;
  if (file < 0 || H5Fget_filesize (file, &bytes) < 0)
    bytes = 0;
  if (file >= 0)
    H5Fclose (file);
  return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

/* How many bytes of memory a byte of the file may stand for: 1, and with
 * compression what no honest data reach. */
static double
most_per_byte (hid_t set)
{
  hid_t plist = H5Dget_create_plist (set);
  int filters = plist < 0 ? 0 : H5Pget_nfilters (plist);
  int others = plist < 0 ? 0 : H5Pget_external_count (plist);
  if (plist >= 0)
    H5Pclose (plist);
  return others > 0 ? INFINITY : filters > 0 ? 65536 : 1;
}

/* Memory is asked for by the shape, and a damaged or made-up file may declare
 * any shape: it must not be much larger than what the file can hold. */
static enum status
check_stored (const struct store_h5_at *at, int n_dims, const int64_t *dims)
{
  const double unwritten = 1 << 24;
  hid_t type = H5Dget_type (at->id);
  double bytes = type < 0 ? 0 : (double)H5Tget_size (type);
  for (int i = 0; i < n_dims; i++)
    bytes *= (double)dims[i];
  if (type >= 0)
    H5Tclose (type);
  if (bytes <= unwritten)
    return OK;
  double stored = (double)H5Dget_storage_size (at->id);
  double whole = (double)store_h5_file_bytes (at->id);
  double most = most_per_byte (at->id);
  if (isfinite (most) && stored > whole)
    stored = whole;
  if (bytes <= stored * most)
    return OK;
  return fail (at->bad,
               "%s: %s: cut off or damaged: shape %s asks for %s, but only %s "
               "of it are in the file",
               at->file, at->path, store_h5_shape_text (n_dims, dims),
               text_bytes (bytes), text_bytes (stored));
}

enum status
store_h5_shape (const struct store_h5_at *at, int *n_dims, int64_t *dims)
{
  hid_t space = H5Dget_space (at->id);
  int n = space < 0 ? -1 : H5Sget_simple_extent_ndims (space);
  hsize_t sizes[H5S_MAX_RANK] = {0};
  bool good = n >= 0 && n <= STORE_H5_DIMS &&
              H5Sget_simple_extent_dims (space, sizes, NULL) >= 0;
  if (space >= 0)
    H5Sclose (space);
  if (!good)
    return fail (at->bad, "%s: %s: no readable shape", at->file, at->path);
  for (int i = 0; good && i < n; i++) {
    dims[i] = (int64_t)sizes[i];
    good = sizes[i] <= INT64_MAX;
  }
  if (!good)
    return fail (at->bad, "%s: %s: a shape beyond all numbers", at->file,
                 at->path);
  TRY (check_stored (at, n, dims));
  *n_dims = n;
  return OK;
}

const char *
store_h5_shape_text (int n_dims, const int64_t *dims)
{
  static __thread char buffers[4][STORE_H5_DIMS * 24];
  static __thread unsigned turn;
  char *out = buffers[turn++ % 4];
  size_t used = (size_t)snprintf (out, sizeof buffers[0], "[");
  for (int i = 0; i < n_dims; i++)
    used += (size_t)snprintf (out + used, sizeof buffers[0] - used, "%s%lld",
                              i ? ", " : "", (long long)dims[i]);
  snprintf (out + used, sizeof buffers[0] - used, "]");
  return out;
}

hid_t
store_h5_type (enum tensor_type type, bool in_file)
{
  switch (type) {
  case TENSOR_F32:
    return in_file ? H5T_IEEE_F32LE : H5T_NATIVE_FLOAT;
  case TENSOR_I32:
    return in_file ? H5T_STD_I32LE : H5T_NATIVE_INT32;
  case TENSOR_U8:
    return in_file ? H5T_STD_U8LE : H5T_NATIVE_UINT8;
  case TENSOR_BF16: /* HDF5 has no such type: files hold f32 */
    break;
  }
  CHECK (false, "no file holds tensors of type %d", (int)type);
}

hid_t
store_h5_file_access (void)
{
  hid_t fapl = H5Pcreate (H5P_FILE_ACCESS);
  H5Pset_libver_bounds (fapl, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
  return fapl;
}

hid_t
store_h5_object_create (void)
{
  hid_t plist = H5Pcreate (H5P_GROUP_CREATE);
  H5Pset_obj_track_times (plist, false);
  return plist;
}

hid_t
store_h5_data_create (void)
{
  hid_t plist = H5Pcreate (H5P_DATASET_CREATE);
  H5Pset_obj_track_times (plist, false);
  H5Pset_layout (plist, H5D_CONTIGUOUS);
  H5Pset_alloc_time (plist, H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time (plist, H5D_FILL_TIME_NEVER);
  return plist;
}

void
store_start (void)
{
  store_h5_start ();
}

const char *
store_describe (void)
{
  static char words[64];
  unsigned major = 0, minor = 0, release = 0;
  store_h5_start ();
  H5get_libversion (&major, &minor, &release);
#ifdef H5_HAVE_PARALLEL
  const char *kind = "parallel";
#else
  const char *kind = "serial";
#endif
  snprintf (words, sizeof words, "HDF5 %u.%u.%u (%s)", major, minor, release,
            kind);
  return words;
}

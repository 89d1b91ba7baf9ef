/* store/results.c -- small files of results: arrays as HDF5, and several files
 * put in place together.
 *
 * HDF5 makes its file in memory, and we write the bytes.  On a full disk HDF5
 * itself would keep a file half open that it cannot flush, and crash when the
 * program ends.
 */
#include "store/file.h"
#include "store/raw.h"
#include "store/h5.h"

#include "base/fault.h"
#include "base/memory.h"
#include <unistd.h>

static enum status
not_made (const char *what)
{
  char why[256];
  store_h5_why (why);
  return fail (E_IO, "results: %s: not made: %s", what, why);
}

static enum status
put_array (hid_t file, const struct store_array *a)
{
  hsize_t dims[TENSOR_DIMS];
  for (int i = 0; i < a->n_dims; i++)
    dims[i] = (hsize_t)a->dims[i];
  hid_t plist = store_h5_data_create ();
  hid_t links = H5Pcreate (H5P_LINK_CREATE);
  H5Pset_create_intermediate_group (links, 1);
  hid_t space = H5Screate_simple (a->n_dims, dims, NULL);
  hid_t id = H5Dcreate2 (file, a->path, H5T_IEEE_F64LE, space, links, plist,
                         H5P_DEFAULT);
  enum status s = OK;
  if (id < 0 || H5Dwrite (id, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                          a->data) < 0)
    s = not_made (a->path);
  if (id >= 0 && H5Dclose (id) < 0 && s == OK)
    s = not_made (a->path);
  H5Sclose (space);
  H5Pclose (links);
  H5Pclose (plist);
  return s;
}

static enum status
put_all (hid_t file, const struct store_results *r)
{
  struct store_h5_at root = {file, "results", "/", E_IO};
  TRY (store_h5_put_text (&root, "interlock_format", r->format));
  TRY (store_h5_put_int (&root, "version", 1));
  for (int i = 0; i < r->n_texts; i++)
    TRY (store_h5_put_text (&root, r->texts[i][0], r->texts[i][1]));
  if (r->n_rows > 0)
    TRY (store_h5_put_texts (&root, "rows", r->n_rows, r->rows));
  for (int i = 0; i < r->n_arrays; i++)
    TRY (put_array (file, &r->arrays[i]));
  return OK;
}

/* The bytes that the file would have on a disk. */
static enum status
take_image (hid_t file, char **data, size_t *size)
{
  char *image = NULL;
  ssize_t n = H5Fflush (file, H5F_SCOPE_GLOBAL) < 0
                  ? -1
                  : H5Fget_file_image (file, NULL, 0);
  if (n <= 0)
    return not_made ("the file");
  TRY (MEM_NEW ((size_t)n, &image, "a file of results"));
  if (H5Fget_file_image (file, image, (size_t)n) != n) {
    mem_free (&image);
    return not_made ("the file");
  }
  *data = image;
  *size = (size_t)n;
  return OK;
}

enum status
store_results_make (const struct store_results *r, char **data, size_t *size)
{
  store_h5_start ();
  hid_t access = store_h5_file_access ();
  hid_t create = H5Pcreate (H5P_FILE_CREATE);
  H5Pset_obj_track_times (create, false);
  /* The oldest first block has no checksum: that of later ones is wrong in an
   * image, of which the mark of an open file is taken off. */
  H5Pset_libver_bounds (access, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST);
  H5Pset_fapl_core (access, 1 << 16, false);
  hid_t file = H5Fcreate ("results", H5F_ACC_TRUNC, create, access);
  enum status s = file < 0 ? not_made ("the file") : put_all (file, r);
  H5Pclose (create);
  H5Pclose (access);
  if (s == OK)
    s = take_image (file, data, size);
  if (file >= 0)
    H5Fclose (file);
  return s;
}

/* -- files that belong together --------------------------------------------
 */

static enum status
put_part (const struct store_piece *p, const struct store_output *o)
{
  TRY (store_output_parents (o));
  if (fault_here ("write"))
    return fail (E_IO, "%s: writing failed (planted)", o->part);
  return o->stream ? OK : store_file_write (o->part, p->data, p->size);
}

static enum status
publish (const struct store_piece *p, const struct store_output *o)
{
  return o->stream ? store_output_put (p->path, p->data, p->size)
                   : store_output_publish (o);
}

enum status
store_set_write (const struct store_piece *piece, int n)
{
  struct store_output *o = NULL;
  int made = 0;
  TRY (MEM_NEW ((size_t)n, &o, "files of results"));
  enum status s = OK;
  for (; s == OK && made < n; made += s == OK) {
    s = store_output_open (piece[made].path, &o[made]);
    if (s == OK && (s = put_part (&piece[made], &o[made])) != OK)
      store_output_clear (&o[made]);
  }
  /* What runs through a device or a pipe cannot be taken back, but fails: so
   * it comes before any file gets its name. */
  for (int i = 0; s == OK && i < made; i++)
    if (o[i].stream)
      s = publish (&piece[i], &o[i]);
  for (int i = 0; i < made; i++) {
    if (s == OK && !o[i].stream)
      s = publish (&piece[i], &o[i]);
    if (s != OK && !o[i].stream)
      unlink (o[i].part);
    store_output_clear (&o[i]);
  }
  mem_free (&o);
  return s;
}

/* store/results.c -- small files of results: a table as text, arrays as HDF5.
 */
#include "store/file_impl.h"
#include "store/h5_impl.h"
#include "store/store.h"

#include "base/memory.h"
#include <unistd.h>

enum status
store_text_write (const char *path, const char *text)
{
  TRY (store_file_parents (path));
  return store_file_put (path, text);
}

static enum status
not_written (const char *part, const char *what)
{
  char why[256];
  store_h5_why (why);
  return fail (E_IO, "%s: %s: not written: %s", part, what, why);
}

static enum status
write_array (hid_t file, const char *part, const struct store_array *a)
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
    s = not_written (part, a->path);
  if (id >= 0 && H5Dclose (id) < 0 && s == OK)
    s = not_written (part, a->path);
  H5Sclose (space);
  H5Pclose (links);
  H5Pclose (plist);
  return s;
}

static enum status
write_part (const char *part, const struct store_results *r)
{
  hid_t access = store_h5_file_access ();
  hid_t create = H5Pcreate (H5P_FILE_CREATE);
  H5Pset_obj_track_times (create, false);
  hid_t file = H5Fcreate (part, H5F_ACC_TRUNC, create, access);
  struct store_h5_at root = {file, part, "/", E_IO};
  enum status s = file < 0 ? not_written (part, "the file") : OK;
  H5Pclose (create);
  H5Pclose (access);
  if (s == OK)
    s = store_h5_put_text (&root, "interlock_format", r->format);
  if (s == OK)
    s = store_h5_put_int (&root, "version", 1);
  for (int i = 0; s == OK && i < r->n_texts; i++)
    s = store_h5_put_text (&root, r->texts[i][0], r->texts[i][1]);
  if (s == OK && r->n_rows > 0)
    s = store_h5_put_texts (&root, "rows", r->n_rows, r->rows);
  for (int i = 0; s == OK && i < r->n_arrays; i++)
    s = write_array (file, part, &r->arrays[i]);
  if (file >= 0 && H5Fclose (file) < 0 && s == OK)
    s = not_written (part, "the file");
  return s;
}

enum status
store_results_write (const char *path, const struct store_results *r)
{
  struct text part;
  text_init (&part);
  text_add (&part, "%s.part", path);
  store_h5_start ();
  enum status s = store_file_parents (path);
  if (s == OK && fault_here ("write"))
    s = fail (E_IO, "%s: writing failed (planted)", part.data);
  if (s == OK)
    s = write_part (part.data, r);
  if (s == OK)
    s = store_file_sync (part.data);
  if (s == OK)
    s = store_file_rename (part.data, path);
  if (s != OK)
    unlink (part.data);
  text_clear (&part);
  return s;
}

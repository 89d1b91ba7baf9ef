/* import/whole.c -- a new HDF5 file, under its name whole or not at all. */
#include "base/fault.h"
#include "import/import_impl.h"
#include "import/whole_impl.h"

#include "data/format.h"
#include "store/file.h"
#include "store/raw.h"
#include <unistd.h>

static enum status
not_written (const char *part)
{
  char why[256];
  return fail (E_IO, "%s: the file: not written: %s", part, store_h5_why (why));
}

static enum status
make (const char *part,
      enum status (*fill) (void *context, hid_t file, const char *part),
      void *context)
{
  hid_t access = store_h5_file_access ();
  hid_t create = H5Pcreate (H5P_FILE_CREATE);
  H5Pset_obj_track_times (create, false);
  hid_t file = H5Fcreate (part, H5F_ACC_TRUNC, create, access);
  enum status s = file < 0 ? not_written (part) : OK;
  H5Pclose (create);
  H5Pclose (access);
  if (s == OK)
    s = fill (context, file, part);
  if (s == OK)
    s = data_seal_write (file, part);
  if (file >= 0 && H5Fclose (file) < 0 && s == OK)
    s = not_written (part);
  return s;
}

enum status
import_whole (const char *output, int64_t bytes,
              enum status (*fill) (void *context, hid_t file, const char *part),
              void *context)
{
  struct store_output o;
  store_h5_start ();
  TRY (store_output_open (output, &o));
  import_interrupt_guard (o.part);
  enum status s = store_output_parents (&o);
  if (s == OK)
    s = store_file_reserve (o.part, bytes);
  if (s == OK && fault_here ("write"))
    s = fail (E_IO, "%s: writing failed (planted)", o.part);
  if (s == OK)
    s = make (o.part, fill, context);
  if (s == OK)
    s = store_output_publish (&o);
  if (s != OK)
    unlink (o.part);
  import_interrupt_guard (NULL);
  store_output_clear (&o);
  return s;
}

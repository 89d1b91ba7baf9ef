/* store/h5_attribute.c -- attributes, as we write them (scalars and strings of
 * fixed length) and as others may (strings of variable length, other widths).
 */
#include "store/raw.h"

#include "base/memory.h"
#include <math.h>
#include <string.h>

#define EXACT 9007199254740992.0 /* 2^53: doubles below are exact integers */

bool
store_h5_has_attribute (hid_t id, const char *name)
{
  return H5Aexists (id, name) > 0;
}

/* An attribute opened for reading, with its type and number of values. */
struct reading {
  hid_t id, type, space;
  int64_t n;
};

static void
reading_close (struct reading *r)
{
  if (r->space >= 0)
    H5Sclose (r->space);
  if (r->type >= 0)
    H5Tclose (r->type);
  if (r->id >= 0)
    H5Aclose (r->id);
}

static enum status
reading_open (const struct store_h5_at *at, const char *name, struct reading *r)
{
  r->id = r->type = r->space = -1;
  if (!store_h5_has_attribute (at->id, name))
    return fail (at->bad, "%s: %s: attribute \"%s\" is missing", at->file,
                 at->path, name);
  r->id = H5Aopen (at->id, name, H5P_DEFAULT);
  r->type = r->id < 0 ? -1 : H5Aget_type (r->id);
  r->space = r->id < 0 ? -1 : H5Aget_space (r->id);
  r->n = r->space < 0 ? -1 : (int64_t)H5Sget_simple_extent_npoints (r->space);
  if (r->type >= 0 && r->n >= 0) {
    double bytes = (double)r->n * (double)H5Tget_size (r->type);
    if (bytes <= (double)store_h5_file_bytes (r->id))
      return OK;
    reading_close (r);
    return fail (at->bad,
                 "%s: %s: damaged: attribute \"%s\" asks for %s, more than the "
                 "whole file has",
                 at->file, at->path, name, text_bytes (bytes));
  }
  reading_close (r);
  return fail (at->bad, "%s: %s: attribute \"%s\" cannot be opened", at->file,
               at->path, name);
}

static enum status
reading_wrong (const struct store_h5_at *at, const char *name,
               const char *wanted)
{
  return fail (at->bad, "%s: %s: attribute \"%s\" is not %s", at->file,
               at->path, name, wanted);
}

/* Strings of variable length: the library allocates them and takes them back.
 */
static enum status
read_variable (const struct reading *r, struct text *out, bool *read)
{
  char **list = NULL;
  TRY (mem_new ((size_t)r->n, sizeof *list, "strings", (void **)&list));
  hid_t type = H5Tcopy (H5T_C_S1);
  H5Tset_size (type, H5T_VARIABLE);
  H5Tset_cset (type, H5Tget_cset (r->type));
  bool good = H5Aread (r->id, type, list) >= 0;
  for (int64_t i = 0; good && i < r->n; i++)
    text_add (out, "%s%s", i ? "\n" : "", list[i] ? list[i] : "");
  if (good)
    H5Dvlen_reclaim (type, r->space, H5P_DEFAULT, list);
  H5Tclose (type);
  mem_free (&list);
  *read = good;
  return OK;
}

static enum status
read_fixed (const struct reading *r, struct text *out, bool *read)
{
  size_t width = H5Tget_size (r->type);
  char *all = NULL;
  TRY (mem_new ((size_t)r->n * width + 1, 1, "strings", (void **)&all));
  bool good = H5Aread (r->id, r->type, all) >= 0;
  for (int64_t i = 0; good && i < r->n; i++)
    text_add (out, "%s%.*s", i ? "\n" : "", (int)width,
              all + (size_t)i * width);
  mem_free (&all);
  *read = good;
  return OK;
}

enum status
store_h5_get_texts (const struct store_h5_at *at, const char *name,
                    struct text *joined, int *n)
{
  struct reading r;
  TRY (reading_open (at, name, &r));
  bool good = false;
  enum status s = OK;
  if (H5Tget_class (r.type) == H5T_STRING)
    s = H5Tis_variable_str (r.type) > 0 ? read_variable (&r, joined, &good)
                                        : read_fixed (&r, joined, &good);
  *n = (int)r.n;
  reading_close (&r);
  TRY (s);
  return good ? OK : reading_wrong (at, name, "text");
}

enum status
store_h5_get_text (const struct store_h5_at *at, const char *name, char **out)
{
  struct text t;
  int n = 0;
  text_init (&t);
  enum status s = store_h5_get_texts (at, name, &t, &n);
  if (s == OK && n != 1)
    s = reading_wrong (at, name, "a single text");
  if (s == OK)
    s = mem_text (t.data, out);
  text_clear (&t);
  return s;
}

enum status
store_h5_get_int (const struct store_h5_at *at, const char *name, int64_t *out)
{
  struct reading r;
  TRY (reading_open (at, name, &r));
  H5T_class_t class = H5Tget_class (r.type);
  int64_t value = 0;
  double real = 0;
  bool good =
      r.n == 1 &&
      ((class == H5T_INTEGER &&
        H5Aread (r.id, H5T_NATIVE_INT64, &value) >= 0) ||
       (class == H5T_FLOAT && H5Aread (r.id, H5T_NATIVE_DOUBLE, &real) >= 0));
  reading_close (&r);
  if (!good)
    return reading_wrong (at, name, "a single integer");
  if (class == H5T_FLOAT && !(fabs (real) < EXACT && real == floor (real)))
    return fail (at->bad, "%s: %s: attribute \"%s\" is %g, expected an integer",
                 at->file, at->path, name, real);
  *out = class == H5T_FLOAT ? (int64_t)real : value;
  return OK;
}

int64_t
store_h5_count (const struct store_h5_at *at, const char *name)
{
  struct reading r;
  if (!store_h5_has_attribute (at->id, name))
    return 0;
  if (reading_open (at, name, &r) != OK) {
    fail_clear ();
    return 0;
  }
  reading_close (&r);
  return r.n;
}

enum status
store_h5_get_doubles (const struct store_h5_at *at, const char *name, int n,
                      double *out)
{
  struct reading r;
  TRY (reading_open (at, name, &r));
  H5T_class_t class = H5Tget_class (r.type);
  int64_t found = r.n;
  bool good = (class == H5T_FLOAT || class == H5T_INTEGER) && found == n &&
              H5Aread (r.id, H5T_NATIVE_DOUBLE, out) >= 0;
  reading_close (&r);
  if (!good)
    return fail (
        at->bad,
        "%s: %s: attribute \"%s\" has %lld values, expected %d numbers",
        at->file, at->path, name, (long long)found, n);
  return OK;
}

/* -- writing --------------------------------------------------------------- */

static enum status
put (const struct store_h5_at *at, const char *name, hid_t type, int n,
     const void *data)
{
  hsize_t size = (hsize_t)n;
  hid_t space =
      n < 0 ? H5Screate (H5S_SCALAR) : H5Screate_simple (1, &size, NULL);
  hid_t id = H5Acreate2 (at->id, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  herr_t written = id < 0 ? -1 : H5Awrite (id, type, data);
  char why[256];
  if (written < 0)
    store_h5_why (why);
  if (id >= 0 && H5Aclose (id) < 0 && written >= 0) {
    store_h5_why (why);
    written = -1;
  }
  H5Sclose (space);
  if (written < 0)
    return fail (at->bad, "%s: %s: attribute \"%s\" not written: %s", at->file,
                 at->path, name, why);
  return OK;
}

static hid_t
text_type (size_t width)
{
  hid_t type = H5Tcopy (H5T_C_S1);
  H5Tset_size (type, width);
  H5Tset_strpad (type, H5T_STR_NULLTERM);
  H5Tset_cset (type, H5T_CSET_UTF8);
  return type;
}

enum status
store_h5_put_text (const struct store_h5_at *at, const char *name,
                   const char *value)
{
  hid_t type = text_type (strlen (value) + 1);
  enum status s = put (at, name, type, -1, value);
  H5Tclose (type);
  return s;
}

enum status
store_h5_put_texts (const struct store_h5_at *at, const char *name, int n,
                    const char *const *values)
{
  size_t width = 1;
  for (int i = 0; i < n; i++)
    if (strlen (values[i]) + 1 > width)
      width = strlen (values[i]) + 1;
  char *all = NULL;
  TRY (mem_new ((size_t)n * width, 1, "strings", (void **)&all));
  for (int i = 0; i < n; i++)
    memcpy (all + (size_t)i * width, values[i], strlen (values[i]));
  hid_t type = text_type (width);
  enum status s = put (at, name, type, n, all);
  H5Tclose (type);
  mem_free (&all);
  return s;
}

enum status
store_h5_put_int (const struct store_h5_at *at, const char *name, int64_t value)
{
  return put (at, name, H5T_NATIVE_INT64, -1, &value);
}

enum status
store_h5_put_doubles (const struct store_h5_at *at, const char *name, int n,
                      const double *value)
{
  return put (at, name, H5T_NATIVE_DOUBLE, n, value);
}

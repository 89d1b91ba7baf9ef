/* store/h5_set.c -- opening a dataset so that no other file is opened.
 *
 * HDF5 follows what a file names: links into other files, virtual datasets made
 * of the datasets of others, raw data that lie in plain files.  Any file that
 * this user may read would come in that way, and on two ranks it need not be
 * the same one.  Links to other files are taken out of the library
 * (store_h5_start); the rest is looked at before anything is read.  Raw data
 * may lie beside the file, where the caller allows it.
 *
 * What was declared and never written is no data: HDF5 would make up zeros, and
 * some of the ranks that read together would leave the others alone.
 */
#include "store/raw.h"

#include "base/memory.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LINKS_MOST = 16, NAME_MOST = 1024 };

/* -- links ----------------------------------------------------------------- */

static enum status
refuse_link (hid_t file, const struct store_h5_at *at, const char *link,
             size_t size)
{
  char *value = NULL;
  const char *other = NULL, *inside = NULL;
  TRY (mem_new (size + 1, 1, "a link", (void **)&value));
  if (H5Lget_val (file, link, value, size, H5P_DEFAULT) >= 0)
    H5Lunpack_elink_val (value, size, NULL, &other, &inside);
  enum status s =
      fail (at->bad,
            "%s: %s: is in another file (%s, by the external link %s): no "
            "other file is opened, copy it into this one (h5copy)",
            at->file, at->path, other ? other : "unnamed", link);
  mem_free (&value);
  return s;
}

static enum status
check_links (hid_t file, const struct store_h5_at *at, const char *path,
             int depth);

/* What a soft link, the first n bytes of path, stands for, and the rest. */
static enum status
follow (hid_t file, const struct store_h5_at *at, const char *path, size_t n,
        size_t size, int depth)
{
  char link[NAME_MOST], to[NAME_MOST] = "", next[3 * NAME_MOST];
  snprintf (link, sizeof link, "%.*s", (int)n, path);
  if (size > sizeof to ||
      H5Lget_val (file, link, to, sizeof to, H5P_DEFAULT) < 0)
    return OK; /* HDF5 will say so */
  to[sizeof to - 1] = '\0';
  const char *slash = strrchr (link, '/');
  int parent = to[0] == '/' || !slash ? 0 : (int)(slash - link);
  snprintf (next, sizeof next, "%.*s%s%s%s", parent, link,
            to[0] == '/' ? "" : "/", to, path + n);
  return check_links (file, at, next, depth + 1);
}

static enum status
check_links (hid_t file, const struct store_h5_at *at, const char *path,
             int depth)
{
  char part[NAME_MOST];
  size_t n = strlen (path);
  if (n >= sizeof part || depth > LINKS_MOST)
    return OK;
  for (size_t i = 1; i <= n; i++) {
    H5L_info_t info;
    if (path[i] != '/' && path[i] != '\0')
      continue;
    snprintf (part, sizeof part, "%.*s", (int)i, path);
    if (H5Lexists (file, part, H5P_DEFAULT) <= 0 ||
        H5Lget_info (file, part, &info, H5P_DEFAULT) < 0)
      return OK;
    if (info.type == H5L_TYPE_SOFT)
      return follow (file, at, path, i, info.u.val_size, depth);
    if (info.type == H5L_TYPE_EXTERNAL)
      return refuse_link (file, at, part, info.u.val_size);
    if (info.type != H5L_TYPE_HARD)
      return fail (at->bad, "%s: %s: a link of unknown kind", at->file, part);
  }
  return OK;
}

enum status
store_h5_inside (hid_t file, const struct store_h5_at *at)
{
  return check_links (file, at, at->path, 0);
}

/* -- raw data beside the file ---------------------------------------------- */

/* The folder in which the file really lies. */
static enum status
folder_of (const struct store_h5_at *at, char out[PATH_MAX])
{
  if (!realpath (at->file, out))
    return fail (at->bad, "%s: its folder is not found", at->file);
  char *slash = strrchr (out, '/');
  slash[slash == out] = '\0';
  return OK;
}

/* One piece of raw data; *left: bytes that are still to be found. */
static enum status
check_piece (const struct store_h5_at *at, const char *folder, hid_t create,
             unsigned i, hsize_t *left)
{
  char name[256] = "", path[PATH_MAX];
  off_t offset = 0;
  hsize_t size = 0;
  struct stat st;
  if (H5Pget_external (create, i, sizeof name - 1, name, &offset, &size) < 0)
    return fail (at->bad, "%s: %s: damaged: external raw data", at->file,
                 at->path);
  if (strchr (name, '/') || !name[0] || strlen (name) >= sizeof name - 2 ||
      snprintf (path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
    return fail (at->bad,
                 "%s: %s: its raw data are in %s: only a file in the same "
                 "folder is read, or copy it into one file (h5repack)",
                 at->file, at->path, name);
  if (lstat (path, &st) != 0 || !S_ISREG (st.st_mode))
    return fail (at->bad,
                 "%s: %s: its raw data are in %s, which is not a regular file "
                 "in the same folder",
                 at->file, at->path, name);
  hsize_t take = size < *left ? size : *left;
  if (offset < 0 || offset > st.st_size ||
      take > (hsize_t)(st.st_size - offset))
    return fail (at->bad, "%s: %s: cut off: %s has %lld bytes", at->file,
                 at->path, name, (long long)st.st_size);
  *left -= take;
  return OK;
}

static enum status
check_raw (const struct store_h5_at *at, const char *folder, hid_t create,
           hsize_t bytes)
{
  int n = H5Pget_external_count (create);
  for (int i = 0; i < n; i++)
    TRY (check_piece (at, folder, create, (unsigned)i, &bytes));
  return bytes == 0 ? OK
                    : fail (at->bad, "%s: %s: cut off: its raw data end early",
                            at->file, at->path);
}

/* -- was it written? ------------------------------------------------------- */

static enum status
check_chunks (const struct store_h5_at *at, hid_t create, hid_t space)
{
#if H5_VERSION_GE(1, 10, 5)
  hsize_t dims[H5S_MAX_RANK], chunk[H5S_MAX_RANK], wanted = 1, found = 0;
  int n = H5Sget_simple_extent_dims (space, dims, NULL);
  if (n < 1 || H5Pget_chunk (create, n, chunk) != n ||
      H5Dget_num_chunks (at->id, space, &found) < 0)
    return fail (at->bad, "%s: %s: damaged: its chunks cannot be listed",
                 at->file, at->path);
  for (int i = 0; i < n; i++)
    wanted *= chunk[i] > 0 ? (dims[i] + chunk[i] - 1) / chunk[i] : 1;
  if (found < wanted)
    return fail (at->bad,
                 "%s: %s: only %llu of its %llu chunks were ever written",
                 at->file, at->path, (unsigned long long)found,
                 (unsigned long long)wanted);
#else
  (void)at, (void)create, (void)space;
#endif
  return OK;
}

static enum status
check_space (const struct store_h5_at *at, hid_t create, hid_t space)
{
  H5D_space_status_t status;
  if (H5Sget_simple_extent_npoints (space) == 0 ||
      H5Pget_external_count (create) > 0)
    return OK;
  if (H5Dget_space_status (at->id, &status) < 0)
    return fail (at->bad, "%s: %s: damaged: where its values are", at->file,
                 at->path);
  if (status == H5D_SPACE_STATUS_NOT_ALLOCATED)
    return fail (at->bad,
                 "%s: %s: was declared, but its values were never written",
                 at->file, at->path);
  return H5Pget_layout (create) == H5D_CHUNKED
             ? check_chunks (at, create, space)
             : OK;
}

enum status
store_h5_written (const struct store_h5_at *at)
{
  hid_t create = H5Dget_create_plist (at->id), space = H5Dget_space (at->id);
  enum status s = create < 0 || space < 0
                      ? fail (at->bad, "%s: %s: damaged: no readable layout",
                              at->file, at->path)
                      : check_space (at, create, space);
  if (create >= 0)
    H5Pclose (create);
  if (space >= 0)
    H5Sclose (space);
  return s;
}

/* -- opening --------------------------------------------------------------- */

/* What was compressed with a library that is not here. */
static enum status
check_filters (const struct store_h5_at *at, hid_t create)
{
  for (int i = 0; i < H5Pget_nfilters (create); i++) {
    char name[64] = "";
    size_t none = 0;
    unsigned flags, config;
    H5Z_filter_t filter = H5Pget_filter2 (create, (unsigned)i, &flags, &none,
                                          NULL, sizeof name - 1, name, &config);
    if (filter >= 0 && H5Zfilter_avail (filter) <= 0)
      return fail (
          at->bad,
          "%s: %s: is compressed by filter %d (%s), which this HDF5 "
          "does not have: write it anew with gzip or without (h5repack "
          "-f GZIP=1 where the filter is known)",
          at->file, at->path, (int)filter, name[0] ? name : "unnamed");
  }
  return OK;
}

static enum status
check_values (const struct store_h5_at *at, hid_t create, const char *folder)
{
  hid_t space = H5Dget_space (at->id), type = H5Dget_type (at->id);
  hssize_t n = space < 0 ? -1 : H5Sget_simple_extent_npoints (space);
  hsize_t bytes = 0;
  enum status s = OK;
  if (n < 0 || type < 0 ||
      __builtin_mul_overflow ((hsize_t)n, H5Tget_size (type), &bytes))
    s = fail (at->bad, "%s: %s: damaged: no readable shape or type", at->file,
              at->path);
  else if (H5Pget_external_count (create) > 0)
    s = check_raw (at, folder, create, bytes);
  else
    s = check_filters (at, create);
  if (type >= 0)
    H5Tclose (type);
  if (space >= 0)
    H5Sclose (space);
  return s;
}

static enum status
check_set (const struct store_h5_at *at, bool beside, const char *folder)
{
  hid_t create = H5Dget_create_plist (at->id);
  enum status s = OK;
  if (create < 0)
    return fail (at->bad, "%s: %s: damaged: no readable layout", at->file,
                 at->path);
  if (H5Pget_layout (create) == H5D_VIRTUAL)
    s = fail (at->bad,
              "%s: %s: a virtual dataset, made of other files: no other file "
              "is opened, copy it into one (h5repack)",
              at->file, at->path);
  else if (!beside && H5Pget_external_count (create) > 0)
    s = fail (at->bad,
              "%s: %s: its raw data are in another file: no other file is "
              "opened, copy it into this one (h5repack)",
              at->file, at->path);
  else
    s = check_values (at, create, folder);
  H5Pclose (create);
  return s;
}

enum status
store_h5_set_open (hid_t file, bool beside, struct store_h5_at *at)
{
  char folder[PATH_MAX] = "", why[256];
  TRY (store_h5_inside (file, at));
  if (!store_h5_has (file, at->path))
    return fail (at->bad, "%s: %s is missing", at->file, at->path);
  if (beside)
    TRY (folder_of (at, folder));
  enum status s = OK;
  hid_t access = H5Pcreate (H5P_DATASET_ACCESS);
  if (beside)
    H5Pset_efile_prefix (access, folder);
  at->id = H5Dopen2 (file, at->path, access);
  if (at->id < 0)
    s = fail (at->bad, "%s: %s is not a dataset (%s)", at->file, at->path,
              store_h5_why (why));
  H5Pclose (access);
  if (s == OK && (s = check_set (at, beside, folder)) != OK) {
    H5Dclose (at->id);
    at->id = -1;
  }
  return s;
}

bool
store_h5_is_plain (const struct store_h5_at *at)
{
  return H5Dget_offset (at->id) != HADDR_UNDEF;
}

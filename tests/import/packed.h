/* tests/import/packed.h -- archives and compressed files, made by libarchive.
 */
#ifndef TESTS_IMPORT_PACKED_H
#define TESTS_IMPORT_PACKED_H

#include "tests/scratch.h"
#include "tests/tap.h"
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

struct packed {
  const char *name; /* ends with "/": a folder */
  const void *data;
  size_t size;
  const char *link; /* where a link leads */
};

/* filter: "gzip", "xz", "bzip2", "zstd" or "none"; format: "ustar", "pax",
 * "gnutar", "zip", or NULL: the bytes of one as they are.  False where
 * libarchive was built without it. */
SCRATCH_FN bool
packed_write (const char *path, const char *filter, const char *format, int n,
              const struct packed *file)
{
  /* So that zip and pax say that names are UTF-8. */
  locale_t utf8 = newlocale (LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  locale_t before = uselocale (utf8);
  struct archive *a = archive_write_new ();
  bool none = strcmp (filter, "none") == 0;
  bool good =
      (none || archive_write_add_filter_by_name (a, filter) == ARCHIVE_OK) &&
      (format ? archive_write_set_format_by_name (a, format)
              : archive_write_set_format_raw (a)) == ARCHIVE_OK;
  if (good && archive_write_open_filename (a, path) != ARCHIVE_OK)
    tap_bail (archive_error_string (a));
  for (int i = 0; good && i < n; i++) {
    struct archive_entry *e = archive_entry_new ();
    size_t length = strlen (file[i].name);
    bool folder = length > 0 && file[i].name[length - 1] == '/';
    archive_entry_set_pathname (e, file[i].name);
    archive_entry_set_filetype (e, file[i].link ? AE_IFLNK
                                   : folder     ? AE_IFDIR
                                                : AE_IFREG);
    archive_entry_set_perm (e, 0644);
    archive_entry_set_size (e, (la_int64_t)file[i].size);
    if (file[i].link)
      archive_entry_set_symlink (e, file[i].link);
    if (archive_write_header (a, e) < ARCHIVE_WARN ||
        archive_write_data (a, file[i].data, file[i].size) !=
            (la_ssize_t)file[i].size)
      tap_bail (archive_error_string (a));
    archive_entry_free (e);
  }
  if (good && archive_write_close (a) != ARCHIVE_OK)
    tap_bail (archive_error_string (a));
  archive_write_free (a);
  uselocale (before);
  if (utf8)
    freelocale (utf8);
  return good;
}

#endif

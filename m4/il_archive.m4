# il_archive.m4 -- libarchive, by which importers read archives and what is
# compressed by xz, bzip2 or zstd.
#
# IL_ARCHIVE
#   Offers --with-archive=DIR, ARCHIVE_CPPFLAGS and ARCHIVE_LIBS.  Sets both.

AC_DEFUN([IL_ARCHIVE], [
IL_LIBRARY([libarchive], [ARCHIVE], [archive], [libarchive], [-larchive],
  [[#include <archive.h>]],
  [[struct archive *a = archive_read_new ();
    return archive_read_support_filter_zstd (a) + archive_read_support_format_zip_seekable (a);]])
IL_VERSION([ARCHIVE], [#include <archive.h>], [ARCHIVE_VERSION_ONLY_STRING])
IL_REPORT([ARCHIVE], [libarchive], [yes], [no data can be imported],
  [libarchive-dev], [libarchive], [archive])
])

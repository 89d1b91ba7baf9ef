# il_zlib.m4 -- zlib, by which importers read .gz files: libarchive does
# not look at their checksums.
#
# IL_ZLIB
#   Offers --with-zlib=DIR, ZLIB_CPPFLAGS and ZLIB_LIBS.  Sets both.

AC_DEFUN([IL_ZLIB], [
IL_LIBRARY([zlib], [ZLIB], [zlib], [zlib], [-lz],
  [[#include <zlib.h>]],
  [[return gzclose (gzopen ("", "r"));]])
IL_VERSION([ZLIB], [#include <zlib.h>], [ZLIB_VERSION])
IL_REPORT([ZLIB], [zlib], [yes], [.gz files cannot be imported],
  [zlib1g-dev], [zlib], [zlib])
])

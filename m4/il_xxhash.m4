# il_xxhash.m4 -- xxHash, the digests of files and plans (XXH3).
#
# IL_XXHASH
#   Offers --with-xxhash=DIR, XXHASH_CPPFLAGS and XXHASH_LIBS.  Sets both.

AC_DEFUN([IL_XXHASH], [
IL_LIBRARY([xxHash], [XXHASH], [xxhash], [libxxhash], [-lxxhash],
  [[#include <xxhash.h>]],
  [[return (int) XXH3_64bits ("", 0) + (int) XXH3_128bits ("", 0).low64;]])
IL_VERSION([XXHASH], [#include <xxhash.h>],
  [XXH_VERSION_MAJOR.XXH_VERSION_MINOR.XXH_VERSION_RELEASE])
IL_REPORT([XXHASH], [xxHash], [yes], [no damage in a file can be noticed],
  [libxxhash-dev], [xxhash], [xxhash])
])

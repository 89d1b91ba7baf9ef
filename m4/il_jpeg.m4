# il_jpeg.m4 -- the TurboJPEG interface of libjpeg-turbo, for JPEG images.
#
# IL_JPEG
#   Offers --with-turbojpeg=DIR, JPEG_CPPFLAGS and JPEG_LIBS.  Sets both, and
#   defines HAVE_JPEG and IL_JPEG_VERSION where it is found.  Without it data
#   sets of JPEG images are neither made nor read; all others work.
#   The header bears no version: pkg-config is asked, else it is "2 or later".

AC_DEFUN([IL_JPEG], [
IL_LIBRARY([TurboJPEG], [JPEG], [turbojpeg], [libturbojpeg], [-lturbojpeg],
  [[#include <turbojpeg.h>]],
  [[int w, h, s, c; unsigned char b[1] = {0};
    return tjDecompressHeader3 (tjInitDecompress (), b, 1, &w, &h, &s, &c)
           + tjGetErrorCode (0);]])
JPEG_VERSION=
AS_IF([test -n "$PKG_CONFIG"],
  [JPEG_VERSION=`$PKG_CONFIG --modversion libturbojpeg 2>/dev/null`])
AS_IF([test -z "$JPEG_VERSION"], [JPEG_VERSION="2 or later"])
AS_IF([test "$il_have_JPEG" = yes],
  [AC_DEFINE([HAVE_JPEG], [1], [TurboJPEG is there])
   AC_DEFINE_UNQUOTED([IL_JPEG_VERSION], ["$JPEG_VERSION"], [Its version])])
IL_REPORT([JPEG], [TurboJPEG], [no],
  [data sets of JPEG images are refused (all others work)],
  [libturbojpeg0-dev], [libjpeg-turbo], [turbojpeg])
])

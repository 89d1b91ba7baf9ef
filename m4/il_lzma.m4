# il_lzma.m4 -- liblzma, by which importers read .xz files.
#
# IL_LZMA
#   Offers --with-lzma=DIR, LZMA_CPPFLAGS and LZMA_LIBS.  Sets both.

AC_DEFUN([IL_LZMA], [
IL_LIBRARY([liblzma], [LZMA], [lzma], [liblzma], [-llzma],
  [[#include <lzma.h>]],
  [[lzma_stream s = LZMA_STREAM_INIT; return (int) lzma_stream_decoder (&s, UINT64_MAX, 0);]])
IL_VERSION([LZMA], [#include <lzma.h>],
  [LZMA_VERSION_MAJOR.LZMA_VERSION_MINOR.LZMA_VERSION_PATCH])
IL_REPORT([LZMA], [liblzma], [yes], [.xz files cannot be imported],
  [liblzma-dev], [xz], [lzma])
])

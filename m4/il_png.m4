# il_png.m4 -- libpng 1.6, by which `import folder` reads PNG images.
#
# IL_PNG
#   Offers --with-png=DIR, PNG_CPPFLAGS and PNG_LIBS.  Sets both, and defines
#   HAVE_PNG where it is found.  Without it PNG files are refused by name.

AC_DEFUN([IL_PNG], [
IL_LIBRARY([libpng], [PNG], [png], [libpng], [-lpng],
  [[#include <png.h>]],
  [[png_image p = {0};
    return png_image_begin_read_from_memory (&p, "", 0);]])
IL_VERSION([PNG], [#include <png.h>], [PNG_LIBPNG_VER_STRING])
AS_IF([test "$il_have_PNG" = yes],
  [AC_DEFINE([HAVE_PNG], [1], [libpng is there])])
IL_REPORT([PNG], [libpng], [no], [.png files cannot be imported],
  [libpng-dev], [libpng], [png])
])

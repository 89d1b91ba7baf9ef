# il_dnnl.m4 -- oneDNN, and which generation of its interface.
#
# IL_DNNL
#   Offers --with-dnnl=DIR, DNNL_CPPFLAGS and DNNL_LIBS.  Sets both, and the
#   automake conditional DNNL3: true where a function that only generation 3 has
#   can be linked.  src/kern/room.am chooses its source file by it.

AC_DEFUN([IL_DNNL], [
IL_LIBRARY([oneDNN], [DNNL], [dnnl], [dnnl], [-ldnnl],
  [[#include <dnnl.h>]],
  [[dnnl_engine_t e; return dnnl_engine_create (&e, dnnl_cpu, 0) + (int) dnnl_sgemm ('N', 'N', 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1);]])
il_dnnl3=no
AS_IF([test "$il_have_DNNL" = yes], [
  AC_MSG_CHECKING([for the generation of oneDNN])
  CPPFLAGS="$il_save_CPPFLAGS $DNNL_CPPFLAGS"
  LIBS="$DNNL_LIBS $il_save_LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <dnnl.h>]],
      [[dnnl_memory_desc_t d; return dnnl_memory_desc_create_with_tag (&d, 0, 0, dnnl_f32, dnnl_x);]])],
    [il_dnnl3=yes])
  CPPFLAGS=$il_save_CPPFLAGS
  LIBS=$il_save_LIBS
  AS_IF([test "$il_dnnl3" = yes], [AC_MSG_RESULT([3])], [AC_MSG_RESULT([2])])])
AM_CONDITIONAL([DNNL3], [test "$il_dnnl3" = yes])
IL_VERSION([DNNL], [#include <dnnl_version.h>],
  [DNNL_VERSION_MAJOR.DNNL_VERSION_MINOR.DNNL_VERSION_PATCH])
IL_REPORT([DNNL], [oneDNN], [yes], [no network can be computed],
  [libdnnl-dev], [onednn], [dnnl])
])

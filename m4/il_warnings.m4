# il_warnings.m4 -- what the compiler may complain about.
#
# IL_WARNINGS
#   Offers --enable-werror: warnings are errors (what tests/run.sh uses; off by
#   default, so that a newer compiler does not stop a user).  Adds to IL_CFLAGS
#   each warning that the compiler knows.  -Wformat-truncation is left out: it
#   depends on what an optimiser happens to find out, and cutting a text to its
#   room is what snprintf is used for.

AC_DEFUN([IL_WARNINGS], [
AC_ARG_ENABLE([werror],
  [AS_HELP_STRING([--enable-werror], [treat warnings as errors])],
  [], [enable_werror=no])
il_save_CFLAGS=$CFLAGS
il_warnings=
for il_flag in -Wall -Wextra -Wshadow -Wstrict-prototypes \
               -Wmissing-prototypes -Wpointer-arith -Wno-format-truncation; do
  AC_MSG_CHECKING([whether $CC takes $il_flag])
  CFLAGS="$il_save_CFLAGS -Werror $il_flag"
  AC_COMPILE_IFELSE([AC_LANG_SOURCE([[extern int il_x; int il_x;]])],
    [AC_MSG_RESULT([yes])
     il_warnings="$il_warnings $il_flag"],
    [AC_MSG_RESULT([no])])
done
CFLAGS=$il_save_CFLAGS
AS_IF([test "$enable_werror" = yes], [il_warnings="$il_warnings -Werror"])
IL_CFLAGS="$IL_CFLAGS$il_warnings"
])

# il_debug.m4 -- release or debug.
#
# IL_ENABLE_DEBUG
#   Offers --enable-debug: -O1, debug-only checks (IL_DEBUG), memory counted and
#   leaks reported at the end.  Sets IL_OPTIMISE.
#
# IL_FLAGS
#   Sets IL_CPPFLAGS and IL_CFLAGS, which every room uses.  Optimisation is in
#   IL_CFLAGS and CFLAGS stays empty unless the user fills it: a room may then
#   put its own -O3 behind IL_CFLAGS, and the user's CFLAGS still come last.

AC_DEFUN([IL_ENABLE_DEBUG], [
AC_ARG_ENABLE([debug],
  [AS_HELP_STRING([--enable-debug],
    [-O1, debug-only checks, memory leaks reported])],
  [], [enable_debug=no])
AS_IF([test "$enable_debug" = yes],
  [IL_OPTIMISE="-O1 -g"
   AC_DEFINE([IL_DEBUG], [1], [Define for debug-only checks])],
  [IL_OPTIMISE="-O2 -g"])
])

AC_DEFUN([IL_FLAGS], [
: ${CFLAGS=}
IL_CPPFLAGS='-I$(top_srcdir)/src -I$(top_builddir)'
IL_CFLAGS="-std=gnu11 $IL_OPTIMISE"
AC_SUBST([IL_CPPFLAGS])
AC_SUBST([IL_CFLAGS])
])

# il_openmp.m4 -- threads inside a rank.
#
# IL_OPENMP
#   Offers --disable-openmp (autoconf's own).  Sets OPENMP_CFLAGS, used for
#   compiling and linking, and adds it to IL_CFLAGS.  Without OpenMP our own
#   loops run on one thread; oneDNN's run on as many as it was built for.

AC_DEFUN([IL_OPENMP], [
AC_OPENMP
IL_CFLAGS="$IL_CFLAGS $OPENMP_CFLAGS"
il_openmp=${OPENMP_CFLAGS:-no}
])

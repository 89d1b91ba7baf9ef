# il_scalapack.m4 -- ScaLAPACK, for spectra and alignments of large matrices.
#
# IL_SCALAPACK
#   Offers --with-scalapack=DIR, SCALAPACK_CPPFLAGS and SCALAPACK_LIBS.  Sets
#   both, and defines HAVE_SCALAPACK where it is found.  Only the command probe
#   uses it; without it that command refuses, and all others work.
#   It ships no header: the functions are declared where they are used.

AC_DEFUN([IL_SCALAPACK], [
IL_LIBRARY([ScaLAPACK], [SCALAPACK], [scalapack],
  [scalapack-openmpi scalapack], [-lscalapack -llapack -lblas],
  [[void Cblacs_pinfo (int *, int *); void pdgemm_ (void);]],
  [[int a, b; Cblacs_pinfo (&a, &b); pdgemm_ ();]],
  [$MPI_CPPFLAGS], [$MPI_LIBS -lm])
SCALAPACK_VERSION=yes
AS_IF([test "$il_have_SCALAPACK" = yes],
  [AC_DEFINE([HAVE_SCALAPACK], [1], [ScaLAPACK is there])])
IL_REPORT([SCALAPACK], [ScaLAPACK], [no],
  [the command probe refuses (all others work)],
  [libscalapack-openmpi-dev libopenblas-dev], [netlib-scalapack], [scalapack])
])

# il_scalapack.m4 -- ScaLAPACK, for spectra and alignments of large matrices.
#
# IL_SCALAPACK
#   Offers --with-scalapack=DIR, SCALAPACK_CPPFLAGS and SCALAPACK_LIBS.  Sets
#   both.  No command of this version uses it, so its absence stops nothing.
#   It ships no header: the functions are declared where they are used.

AC_DEFUN([IL_SCALAPACK], [
IL_LIBRARY([ScaLAPACK], [SCALAPACK], [scalapack],
  [scalapack-openmpi scalapack], [-lscalapack -llapack -lblas],
  [[void Cblacs_pinfo (int *, int *); void pdgemm_ (void);]],
  [[int a, b; Cblacs_pinfo (&a, &b); pdgemm_ ();]],
  [$MPI_CPPFLAGS], [$MPI_LIBS -lm])
SCALAPACK_VERSION=yes
IL_REPORT([SCALAPACK], [ScaLAPACK], [no],
  [nothing in this version; the coming command probe will need it],
  [libscalapack-openmpi-dev], [netlib-scalapack], [scalapack])
])

# il_scalapack.m4 -- ScaLAPACK, for spectra and alignments of large matrices.
#
# IL_SCALAPACK
#   Offers --with-scalapack=DIR, SCALAPACK_CPPFLAGS and SCALAPACK_LIBS.  Sets
#   both, and defines HAVE_SCALAPACK where it is found.  Only the command probe
#   uses it; without it that command refuses, and all others work.
#   It ships no header: the functions are declared where they are used.
#   Debian 12's scalapack-mpich.pc names Open MPI's library, which IL_MPI_FITS
#   refuses: the words after it link the same ScaLAPACK without.

AC_DEFUN([IL_SCALAPACK], [
AS_CASE([$il_mpi_kind],
  [mpich], [il_debian=libscalapack-mpich-dev],
  [il_debian=libscalapack-openmpi-dev])
IL_LIBRARY([ScaLAPACK], [SCALAPACK], [scalapack],
  [scalapack-$il_mpi_kind scalapack], [-lscalapack -llapack -lblas],
  [[void Cblacs_pinfo (int *, int *); void pdgemm_ (void);]],
  [[int a, b; Cblacs_pinfo (&a, &b); pdgemm_ ();]],
  [$MPI_CPPFLAGS], [$MPI_LIBS -lm],
  [IL_MPI_FITS([SCALAPACK], [scalapack], [ompi_])],
  [-lscalapack-$il_mpi_kind -llapack -lblas])
SCALAPACK_VERSION=yes
AS_IF([test "$il_have_SCALAPACK" = yes],
  [AC_DEFINE([HAVE_SCALAPACK], [1], [ScaLAPACK is there])])
IL_REPORT([SCALAPACK], [ScaLAPACK], [no],
  [the command probe refuses (all others work)],
  [$il_debian libopenblas-dev], [netlib-scalapack], [scalapack])
])

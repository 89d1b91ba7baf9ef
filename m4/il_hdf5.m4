# il_hdf5.m4 -- parallel HDF5: data sets, checkpoints.
#
# IL_HDF5
#   Offers --with-hdf5=DIR, HDF5_CPPFLAGS and HDF5_LIBS.  Sets both.  Only a
#   library built with our MPI will do; it is tested by linking its MPI driver,
#   and by IL_MPI_FITS.  After pkg-config (that of our MPI's kind first) and the
#   compiler's own places, h5pcc is asked.  Needs IL_MPI before it.

AC_DEFUN([IL_HDF5], [
m4_define([IL_HDF5_INCLUDES], [[#include <hdf5.h>]])
m4_define([IL_HDF5_CALL], [[hid_t p = H5Pcreate (H5P_FILE_ACCESS); return H5Pset_fapl_mpio (p, MPI_COMM_WORLD, MPI_INFO_NULL);]])
m4_define([IL_HDF5_FITS], [IL_MPI_FITS([HDF5], [hdf5], [ompi_mpi_byte])])
AS_CASE([$il_mpi_kind],
  [mpich], [il_debian=libhdf5-mpich-dev], [il_debian=libhdf5-openmpi-dev])
IL_LIBRARY([parallel HDF5], [HDF5], [hdf5],
  [hdf5-$il_mpi_kind hdf5-mpi hdf5 hdf5-openmpi hdf5-mpich],
  [-lhdf5], [IL_HDF5_INCLUDES], [IL_HDF5_CALL], [$MPI_CPPFLAGS], [$MPI_LIBS],
  [IL_HDF5_FITS])
AC_PATH_PROGS([H5PCC], [h5pcc.$il_mpi_kind h5pcc])
AS_IF([test "$il_have_HDF5" = no && test -n "$H5PCC" &&
       test "$with_hdf5" = check], [
  AC_MSG_CHECKING([what $H5PCC says])
  il_cpp= il_lib=
  for il_word in `$H5PCC -show 2>/dev/null`; do
    AS_CASE([$il_word],
      [-I*|-D*], [il_cpp="$il_cpp $il_word"],
      [-L*|-l*|-Wl,*|*.a|*.so], [il_lib="$il_lib $il_word"])
  done
  AS_CASE([" $il_lib "], [*hdf5.*|*" -lhdf5 "*], [],
          [il_lib="$il_lib -lhdf5"])
  CPPFLAGS="$il_save_CPPFLAGS $MPI_CPPFLAGS $il_cpp"
  LIBS="$il_lib $MPI_LIBS $il_save_LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([IL_HDF5_INCLUDES], [IL_HDF5_CALL])],
    [IL_HDF5_FITS
     AS_IF([test "$il_fits" = yes],
       [il_have_HDF5=yes HDF5_CPPFLAGS=$il_cpp HDF5_LIBS=$il_lib],
       [il_misfit_HDF5="$H5PCC: $il_misfit"])])
  CPPFLAGS=$il_save_CPPFLAGS
  LIBS=$il_save_LIBS
  AC_MSG_RESULT([$il_have_HDF5])])
IL_VERSION([HDF5], [#include <H5public.h>],
  [H5_VERS_MAJOR.H5_VERS_MINOR.H5_VERS_RELEASE], [$MPI_CPPFLAGS])
IL_REPORT([HDF5], [HDF5], [yes],
  [no data set can be read and no checkpoint written (it must be built with ${MPI_VERSION:-MPI})],
  [$il_debian], [hdf5+mpi], [hdf5], [(parallel)])
])

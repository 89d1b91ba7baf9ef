# il_mpi.m4 -- MPI, and the launcher of the tests.
#
# IL_MPI
#   Offers --with-mpi=DIR (DIR/bin/mpicc is asked), MPI_CPPFLAGS, MPI_LIBS and
#   TESTMPIRUN.  CC stays the plain compiler.  Looked at in this order: the
#   variables given by the user, CC itself (CC=mpicc, or a Cray's cc), what mpicc
#   says of itself, pkg-config.  Sets MPI_CPPFLAGS, MPI_LIBS, and TESTMPIRUN:
#   the command that starts NP ranks, with the word NP in it.

AC_DEFUN([IL_MPI], [
AC_ARG_WITH([mpi],
  [AS_HELP_STRING([--with-mpi=DIR], [MPI whose compiler is DIR/bin/mpicc])],
  [], [with_mpi=check])
AC_ARG_VAR([MPI_CPPFLAGS], [preprocessor flags for MPI])
AC_ARG_VAR([MPI_LIBS], [linker flags for MPI])
AC_ARG_VAR([MPICC], [MPI compiler to ask for its flags])
AC_ARG_VAR([TESTMPIRUN],
  [launcher of the tests with the word NP in it, e.g. "srun -n NP"])
AS_CASE([$with_mpi],
  [check|yes|no], [il_mpi_path=$PATH],
  [il_mpi_path=$with_mpi/bin])
AC_PATH_PROGS([MPICC], [mpicc cc], [], [$il_mpi_path])
AC_MSG_CHECKING([for MPI])
il_have_MPI=no
il_mpi_from=
AS_IF([test "$with_mpi" = no], [il_places=],
      [test -n "$MPI_CPPFLAGS$MPI_LIBS"], [il_places=given],
      [il_places="compiler showme compile_info show pkg:ompi-c pkg:mpich"])
AS_CASE([$with_mpi],
  [check|yes|no], [],
  [il_places="showme compile_info show"])
il_save_CPPFLAGS=$CPPFLAGS
il_save_LIBS=$LIBS
for il_place in $il_places; do
  il_cpp= il_lib=
  AS_CASE([$il_place],
    [given], [il_cpp=$MPI_CPPFLAGS il_lib=$MPI_LIBS],
    [compiler], [],
    [pkg:*], [
      il_pkg=`AS_ECHO(["$il_place"]) | sed 's/^pkg://'`
      AS_IF([test -n "$PKG_CONFIG" && $PKG_CONFIG --exists $il_pkg 2>/dev/null],
            [il_cpp=`$PKG_CONFIG --cflags $il_pkg`
             il_lib=`$PKG_CONFIG --libs $il_pkg`],
            [continue])],
    [AS_IF([test -z "$MPICC"], [continue])
     IL_MPI_ASK([$il_place])])
  CPPFLAGS="$il_save_CPPFLAGS $il_cpp"
  LIBS="$il_lib $il_save_LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>]],
                                  [[return MPI_Init (0, 0);]])],
    [il_have_MPI=yes
     MPI_CPPFLAGS=$il_cpp
     MPI_LIBS=$il_lib
     break])
done
CPPFLAGS=$il_save_CPPFLAGS
LIBS=$il_save_LIBS
AC_MSG_RESULT([$il_have_MPI])
IL_VERSION([MPI], [#include <mpi.h>
#if defined OMPI_MAJOR_VERSION
#define IL_MPI_NAME Open_MPI_
#define IL_MPI_VERSION OMPI_MAJOR_VERSION.OMPI_MINOR_VERSION.OMPI_RELEASE_VERSION
#elif defined MPICH_VERSION
#define IL_MPI_NAME MPICH_
#define IL_MPI_VERSION MPICH_VERSION
#else
#define IL_MPI_NAME MPI_
#define IL_MPI_VERSION MPI_VERSION.MPI_SUBVERSION
#endif],
  [IL_MPI_NAME IL_MPI_VERSION])
MPI_VERSION=`AS_ECHO(["$MPI_VERSION"]) | sed 's/_/ /g; s/ *$//'`
IL_REPORT([MPI], [MPI], [yes], [no rank can talk to another],
  [libopenmpi-dev openmpi-bin], [openmpi], [mpi])
IL_MPI_LAUNCHER
])

# The flags that $MPICC shows when asked in the manner $1.  Words other than
# -I, -D, -L, -l and -Wl belong to the compiler and are left to the user.
AC_DEFUN([IL_MPI_ASK], [
AS_CASE([$1],
  [showme], [il_cpp=`$MPICC --showme:compile 2>/dev/null`
             il_lib=`$MPICC --showme:link 2>/dev/null`],
  [compile_info], [il_cpp=`$MPICC -compile_info 2>/dev/null`
                   il_lib=`$MPICC -link_info 2>/dev/null`],
  [il_cpp=`$MPICC -show 2>/dev/null`
   il_lib=$il_cpp])
il_words=
for il_word in $il_cpp; do
  AS_CASE([$il_word], [-I*|-D*], [il_words="$il_words $il_word"])
done
il_cpp=$il_words
il_words=
for il_word in $il_lib; do
  AS_CASE([$il_word], [-L*|-l*|-Wl,*], [il_words="$il_words $il_word"])
done
il_lib=$il_words
])

# Open MPI wants to be told that ranks may outnumber cores; others do not know
# the word.  A launcher beside mpicc goes before one in PATH.
AC_DEFUN([IL_MPI_LAUNCHER], [
AS_IF([test -z "$TESTMPIRUN"], [
  il_mpi_path=$PATH
  AS_IF([test -n "$MPICC"],
        [il_mpi_path=`AS_DIRNAME(["$MPICC"])`:$PATH])
  AC_PATH_PROGS([il_mpirun], [mpirun mpiexec], [], [$il_mpi_path])
  AS_CASE([$il_mpirun:$MPI_VERSION],
    [:*], [AC_PATH_PROG([il_srun], [srun])
           AS_IF([test -n "$il_srun"], [TESTMPIRUN="srun -n NP"])],
    [*:Open*], [TESTMPIRUN="$il_mpirun --oversubscribe --bind-to none -n NP"],
    [TESTMPIRUN="$il_mpirun -n NP"])])
])

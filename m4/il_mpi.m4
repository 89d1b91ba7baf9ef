# il_mpi.m4 -- MPI, which one it is, and the launcher of the tests.
#
# IL_MPI
#   Offers --with-mpi=WHICH (a folder: WHICH/bin/mpicc is asked; a name such as
#   mpich or openmpi: mpicc.WHICH, as Debian calls them, or a plain mpicc of that
#   kind), MPICC, MPI_CPPFLAGS, MPI_LIBS and TESTMPIRUN.  CC stays the plain
#   compiler.  Looked at in this order: the variables given by the user, MPICC or
#   WHICH where one is given, CC itself (CC=mpicc, or a Cray's cc), what mpicc
#   says of itself, pkg-config.  Sets MPI_CPPFLAGS, MPI_LIBS, il_mpi_kind (openmpi,
#   mpich with all its relatives, or other), by which libraries that are built on
#   MPI are looked for, and TESTMPIRUN: the command that starts NP ranks, with the
#   word NP in it.
#
# IL_MPI_FITS(VAR, name in files, word)
#   For IL_LIBRARY, while conftest is linked with the library VAR: sets il_fits to
#   no and il_misfit to the reason when it was built for another MPI than ours.
#   Such a program links without a word and damages memory when it runs.

AC_DEFUN([IL_MPI], [
AC_ARG_WITH([mpi],
  [AS_HELP_STRING([--with-mpi=WHICH],
    [mpich, openmpi, or a folder: WHICH/bin/mpicc is asked])],
  [], [with_mpi=check])
AC_ARG_VAR([MPI_CPPFLAGS], [preprocessor flags for MPI])
AC_ARG_VAR([MPI_LIBS], [linker flags for MPI])
AC_ARG_VAR([MPICC], [MPI compiler to ask for its flags, e.g. mpicc.mpich])
AC_ARG_VAR([TESTMPIRUN],
  [launcher of the tests with the word NP in it, e.g. "srun -n NP"])
IL_MPI_COMPILER
AC_MSG_CHECKING([for MPI])
il_have_MPI=no
il_mpi_from=
AS_IF([test "$with_mpi" = no], [il_places=],
      [test -n "$MPI_CPPFLAGS$MPI_LIBS"], [il_places=given],
      [test "$il_mpi_asked" = yes], [il_places="showme compile_info show"],
      [il_places="compiler showme compile_info show pkg:ompi-c pkg:mpich"])
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
     AS_CASE([$il_place],
       [compiler], [il_mpi_from=$CC],
       [given|pkg:*], [il_mpi_from=$il_place], [il_mpi_from=$MPICC])
     break])
done
CPPFLAGS=$il_save_CPPFLAGS
LIBS=$il_save_LIBS
AC_MSG_RESULT([$il_have_MPI])
IL_VERSION([MPI], [#include <mpi.h>
#if defined OMPI_MAJOR_VERSION
#define IL_MPI_NAME Open_MPI_
#define IL_MPI_VERSION OMPI_MAJOR_VERSION.OMPI_MINOR_VERSION.OMPI_RELEASE_VERSION
#elif defined I_MPI_VERSION
#define IL_MPI_NAME Intel_MPI_
#define IL_MPI_VERSION I_MPI_VERSION
#elif defined MVAPICH2_VERSION
#define IL_MPI_NAME MVAPICH_
#define IL_MPI_VERSION MVAPICH2_VERSION
#elif defined MPICH_VERSION
#define IL_MPI_NAME MPICH_
#define IL_MPI_VERSION MPICH_VERSION
#else
#define IL_MPI_NAME MPI_
#define IL_MPI_VERSION MPI_VERSION.MPI_SUBVERSION
#endif],
  [IL_MPI_NAME IL_MPI_VERSION])
MPI_VERSION=`AS_ECHO(["$MPI_VERSION"]) | sed 's/_/ /g; s/ *$//'`
AS_CASE([$MPI_VERSION],
  ["Open MPI "*], [il_mpi_kind=openmpi],
  ["Intel MPI "*|"MVAPICH "*|"MPICH "*], [il_mpi_kind=mpich],
  [il_mpi_kind=other])
AS_CASE([$il_have_MPI:$il_mpi_name:$il_mpi_kind],
  [no:*|yes::*|yes:openmpi:openmpi|yes:mpich:mpich], [],
  [yes:openmpi:*|yes:mpich:*],
  [AC_MSG_ERROR([--with-mpi=$with_mpi asks for another MPI than $MPICC gives: that is $MPI_VERSION.  Install or load the one that is meant, or name its compiler: MPICC=FILE])])
IL_REPORT([MPI], [MPI], [yes], [no rank can talk to another],
  [libopenmpi-dev openmpi-bin (or libmpich-dev mpich)],
  [openmpi (or mpich)], [mpi], [($il_mpi_from)])
IL_MPI_LAUNCHER
# For src/wire/idle.c; in the C library since glibc 2.34.
AC_SEARCH_LIBS([dlsym], [dl])
])

# Which mpicc is asked: the user's, a word or a file, else that of --with-mpi,
# else CC where it is one.  il_mpi_asked: nothing else will do.
AC_DEFUN([IL_MPI_COMPILER], [
il_mpi_asked=no
il_mpi_name=
il_mpi_path=$PATH
il_mpiccs="mpicc cc"
for il_word in $CC; do
  AS_CASE([$il_word],
    [mpicc*|mpigcc*|mpiicc*|mpiicx*|*/mpicc*|*/mpigcc*|*/mpiicc*|*/mpiicx*],
    [il_mpiccs="$il_word $il_mpiccs"])
done
AS_CASE([$with_mpi],
  [check|yes|no], [],
  [*/*], [il_mpi_asked=yes il_mpi_path=$with_mpi/bin il_mpiccs="mpicc cc"],
  [il_mpi_asked=yes
   AS_IF([test -d "$with_mpi/bin"], [il_mpi_path=$with_mpi/bin],
         [il_mpi_name=$with_mpi
          il_mpiccs="mpicc.$with_mpi mpicc-$with_mpi"
          AS_CASE([$with_mpi],
            [openmpi|mpich], [il_mpiccs="$il_mpiccs mpicc"])])])
AS_IF([test -n "$MPICC"],
      [il_mpi_asked=yes il_mpi_path=$PATH il_mpiccs=$MPICC])
il_mpi_given=$MPICC
MPICC=
for il_word in $il_mpiccs; do
  AS_CASE([$il_word],
    [*/*], [AS_IF([AS_EXECUTABLE_P([$il_word])], [MPICC=$il_word])],
    [AS_UNSET([ac_cv_path_MPICC])
     AC_PATH_PROG([MPICC], [$il_word], [], [$il_mpi_path])])
  AS_IF([test -n "$MPICC"], [break])
done
AS_IF([test -z "$MPICC" && test -n "$il_mpi_given"],
  [AC_MSG_ERROR([there is no $il_mpi_given: MPICC has to be an MPI compiler])])
AS_IF([test -z "$MPICC" && test "$il_mpi_asked" = yes],
  [AC_MSG_ERROR([--with-mpi=$with_mpi: there is none of $il_mpiccs in $il_mpi_path.  WHICH is mpich, openmpi or the folder above bin/mpicc; or give MPICC=FILE])])
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
# the word.  A launcher beside mpicc goes before one in PATH, and one with the
# same ending (mpicc.mpich, mpiexec.mpich) before a plain one; one of the other
# kind would start NP worlds of one rank each.
AC_DEFUN([IL_MPI_LAUNCHER], [
AS_IF([test -z "$TESTMPIRUN"], [
  il_mpi_path=$PATH
  il_end=
  AS_IF([test -n "$MPICC"],
        [il_mpi_path=`AS_DIRNAME(["$MPICC"])`:$PATH
         il_end=`AS_ECHO(["$MPICC"]) | sed -n 's/.*mpicc\(@<:@.-@:>@@<:@^/@:>@*\)\$/\1/p'`])
  il_words="mpirun mpiexec"
  AS_IF([test "$il_mpi_kind" = mpich], [il_words="mpiexec mpirun mpiexec.hydra"])
  AS_IF([test -n "$il_end"],
        [il_words="mpiexec$il_end mpirun$il_end $il_words"])
  il_words="$il_words mpiexec.$il_mpi_kind mpirun.$il_mpi_kind"
  AC_CACHE_CHECK([for the launcher of $MPI_VERSION], [ac_cv_path_il_mpirun],
    [AC_PATH_PROGS_FEATURE_CHECK([il_mpirun], [$il_words],
      [IL_MPI_STARTS([$ac_path_il_mpirun],
        [ac_cv_path_il_mpirun=$ac_path_il_mpirun ac_path_il_mpirun_found=:])],
      [ac_cv_path_il_mpirun=no], [$il_mpi_path])])
  AS_CASE([$ac_cv_path_il_mpirun:$il_mpi_kind],
    [no:*], [AC_PATH_PROG([il_srun], [srun])
             AS_IF([test -n "$il_srun"], [TESTMPIRUN="srun -n NP"])],
    [*:openmpi],
    [TESTMPIRUN="$ac_cv_path_il_mpirun --oversubscribe --bind-to none -n NP"],
    [TESTMPIRUN="$ac_cv_path_il_mpirun -n NP"])])
])

# Does $2 unless the launcher $1 says that it is of another kind than ours.
AC_DEFUN([IL_MPI_STARTS], [
il_said=`$1 --version 2>&1 </dev/null`
AS_CASE([$il_mpi_kind:$il_said],
  [mpich:*"Open MPI"*|mpich:*OpenRTE*|mpich:*PRRTE*|mpich:*prterun*], [],
  [openmpi:*HYDRA*|openmpi:*Hydra*|openmpi:*"Intel(R) MPI"*], [],
  [$2])
])

# Two signs: another library that holds MPI itself comes in with it; or it does
# (or, for Open MPI, does not) use the names $3 by which Open MPI passes its
# types.  They are looked for in the program, where the library may be archived,
# and in the shared libraries with $2 in their names.
AC_DEFUN([IL_MPI_FITS], [
AC_REQUIRE([IL_MPI_TOOLS])
il_fits=yes
il_all=`ldd conftest$EXEEXT 2>/dev/null | sed -n 's,^@<:@^/@:>@*\(/@<:@^ @:>@*\).*,\1,p'`
il_mpis=
il_names=
for il_file in $il_all; do
  AS_IF([$NM -D $il_file 2>/dev/null | grep ' @<:@TW@:>@ PMPI_Init@<:@@@:>@*$' >/dev/null],
        [il_mpis="$il_mpis $il_file"])
done
for il_file in `AS_ECHO(["$il_all"]) | grep '/lib@<:@^/@:>@*$2@<:@^/@:>@*$'` conftest$EXEEXT; do
  il_names="$il_names`($NM -D $il_file; $NM $il_file) 2>/dev/null | grep ' $3' | sed 1q`"
done
set dummy $il_mpis
AS_IF([test $[#] -gt 2],
  [il_fits=no
   il_misfit="it was built for another MPI than $MPI_VERSION: both would be linked,$il_mpis"],
  [test "$il_mpi_kind" = openmpi && test -z "$il_names" &&
   test "$il_mpi_tools" = yes],
  [il_fits=no
   il_misfit="it was not built for $MPI_VERSION"],
  [test "$il_mpi_kind" = mpich && test -n "$il_names"],
  [il_fits=no
   il_misfit="it was built for Open MPI, and MPI is $MPI_VERSION"])
])

AC_DEFUN([IL_MPI_TOOLS], [
AC_CHECK_TOOL([NM], [nm], [nm])
# Whether what is not found is not there.
il_mpi_tools=no
AS_IF([ldd --version >/dev/null 2>&1 && $NM --version >/dev/null 2>&1],
      [il_mpi_tools=yes])
])

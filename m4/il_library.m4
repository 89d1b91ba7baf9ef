# il_library.m4 -- how a library is looked for, and what is said when it is not
# there.  The other il_*.m4 files use these macros.
#
# IL_PKG_CONFIG
#   Offers nothing; sets PKG_CONFIG (empty: none).  We ask pkg-config ourselves,
#   so that autoreconf does not need its macro file.
#
# IL_LIBRARY(text, VAR, option, pkg-config modules, -l words, includes, call
#            [, extra CPPFLAGS, extra LIBS, test, other -l words])
#   Offers --with-OPTION=DIR|yes|no and the variables VAR_CPPFLAGS, VAR_LIBS.
#   Sets both, and il_have_VAR = yes or no, by compiling and linking `call`.
#   Looked at in this order, the first that links wins: the variables given by
#   the user, DIR, each pkg-config module, the compiler's own places (under the
#   other words first, where there are any).  `test`,
#   after linking, may set il_fits to no and il_misfit to the reason: the next
#   place is looked at; the reason is told where none fits, and ends configure
#   where the user has named the place.
#
# IL_VERSION(VAR, includes, words [, extra CPPFLAGS])
#   Sets VAR_VERSION from preprocessor words, e.g. [X_MAJOR.X_MINOR].
#
# IL_REPORT(VAR, text, needed, lost, debian, spack, option)
#   Adds the library's line to the closing summary; where it is missing, what is
#   lost and how to get it.  needed = yes: configure stops at the end, after all
#   libraries have been looked for.

AC_DEFUN([IL_PKG_CONFIG], [
AC_ARG_VAR([PKG_CONFIG], [pkg-config program])
AC_PATH_TOOL([PKG_CONFIG], [pkg-config])
il_found=
il_missing=
il_needed=
])

AC_DEFUN([IL_LIBRARY], [
AC_ARG_WITH([$3],
  [AS_HELP_STRING([--with-$3=DIR], [$1 in DIR/include and DIR/lib])],
  [], [with_$3=check])
AC_ARG_VAR([$2_CPPFLAGS], [preprocessor flags for $1])
AC_ARG_VAR([$2_LIBS], [linker flags for $1])
AC_MSG_CHECKING([for $1])
il_have_$2=no
il_misfit_$2=
AS_IF([test "x$with_$3" = xno], [il_places=],
      [test -n "$$2_CPPFLAGS$$2_LIBS"], [il_places=given],
      [test "x$with_$3" != xcheck && test "x$with_$3" != xyes],
      [il_places=directory],
      [il_places="m4_foreach_w([il_m], [$4], [pkg:il_m ])m4_ifval([$11], [other ])system"])
il_save_CPPFLAGS=$CPPFLAGS
il_save_LIBS=$LIBS
for il_place in $il_places; do
  AS_CASE([$il_place],
    [given], [il_cpp=$$2_CPPFLAGS il_lib=$$2_LIBS],
    [directory], [
      AS_IF([test ! -d "$with_$3/include"], [break])
      il_cpp="-I$with_$3/include"
      il_lib=
      for il_dir in "$with_$3/lib64" "$with_$3/lib"; do
        AS_IF([test -d "$il_dir"],
              [il_lib="$il_lib -L$il_dir -Wl,-rpath,$il_dir"])
      done
      il_lib="$il_lib $5"],
    [pkg:*], [
      il_pkg=`AS_ECHO(["$il_place"]) | sed 's/^pkg://'`
      AS_IF([test -n "$PKG_CONFIG" && $PKG_CONFIG --exists $il_pkg 2>/dev/null],
            [il_cpp=`$PKG_CONFIG --cflags $il_pkg`
             il_lib=`$PKG_CONFIG --libs $il_pkg`],
            [continue])],
    [other], [il_cpp= il_lib="$11"],
    [il_cpp= il_lib="$5"])
  CPPFLAGS="$il_save_CPPFLAGS $8 $il_cpp"
  LIBS="$il_lib $9 $il_save_LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([$6], [$7])],
    [il_fits=yes
     $10
     AS_IF([test "$il_fits" = yes],
       [il_have_$2=yes
        $2_CPPFLAGS=$il_cpp
        $2_LIBS=$il_lib
        break],
       [il_misfit_$2="$il_place: $il_misfit"])])
done
CPPFLAGS=$il_save_CPPFLAGS
LIBS=$il_save_LIBS
AS_IF([test "$il_have_$2" = yes], [AC_MSG_RESULT([yes])],
      [test -n "$il_misfit_$2"], [AC_MSG_RESULT([no, not one that fits])],
      [AC_MSG_RESULT([no])])
AS_CASE([$il_have_$2:$il_places:$il_misfit_$2],
  [no:given:?*|no:directory:?*],
  [AC_MSG_ERROR([$1 is of no use here: $il_misfit])])
])

AC_DEFUN([IL_VERSION], [
AC_REQUIRE([AC_PROG_CPP])
$1_VERSION=
cat >conftest.c <<_IL_EOF
$2
il_version $3
_IL_EOF
$1_VERSION=`$CPP -P $CPPFLAGS $4 $$1_CPPFLAGS conftest.c 2>/dev/null |
  sed -n 's/^il_version *//p' | tr -d ' "'`
rm -f conftest.c
])

AC_DEFUN([IL_REPORT], [
AS_IF([test "$il_have_$1" = yes],
  [il_found="$il_found
  m4_format([[%-12s]], [$2])$$1_VERSION[]m4_ifval([$8], [ $8])"],
  [il_missing="$il_missing
  m4_format([[%-12s]], [$2])no.  Without it: $4.${il_misfit_$1:+
              what is here does not fit: $il_misfit_$1}
              Debian: apt-get install $5
              Spack:  spack load $6 (a cluster may have a module of that name)
              by hand: ./configure --with-$7=DIR"
   AS_IF([test "$3" = yes], [il_needed="$il_needed $2"])])
])

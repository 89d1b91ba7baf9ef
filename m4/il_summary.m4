# il_summary.m4 -- the closing words of configure.
#
# IL_SUMMARY_CHECK
#   Stops when a library that every build needs is missing, after naming all of
#   them.  Sets IL_LIBS, what the program links with, and IL_CONFIGURE, the
#   configure line for the portrait of a run.
#
# IL_SUMMARY
#   Prints compiler, libraries and launcher.

AC_DEFUN([IL_SUMMARY_CHECK], [
AS_IF([test -n "$il_needed"], [
  cat <<_IL_EOF

These libraries are there:
${il_found:-
  none}

These are not:
$il_missing

_IL_EOF
  AC_MSG_ERROR([missing:$il_needed.  See above for how to get each of them.])])
IL_LIBS="$SCALAPACK_LIBS $HDF5_LIBS $DNNL_LIBS $MPI_LIBS $HWLOC_LIBS $JANSSON_LIBS"
IL_LIBS="$IL_LIBS $JPEG_LIBS $PNG_LIBS $ARCHIVE_LIBS $ZLIB_LIBS $XXHASH_LIBS -lpthread -lm"
AC_SUBST([IL_LIBS])
# Without quotes, so that it can stand in a C string.
il_line=`AS_ECHO(["$ac_configure_args"]) | tr -d "'\\"\\\\\\\\"`
AC_DEFINE_UNQUOTED([IL_CONFIGURE], ["$il_line"], [Arguments of configure])
])

AC_DEFUN([IL_SUMMARY], [
il_compiler=`$CC --version 2>/dev/null | sed 1q`
cat <<_IL_EOF

$PACKAGE_STRING is configured.

  compiler    $CC ($il_compiler)
  flags       $IL_CFLAGS $CFLAGS
  OpenMP      $il_openmp
  debug       $enable_debug, sanitizer ${IL_SANITIZER:-no}, werror $enable_werror
$il_found
$il_missing

  prefix      $prefix
  launcher    ${TESTMPIRUN:-none found: set TESTMPIRUN="mpirun -n NP"}

Next: make, make check, make install.
_IL_EOF
])

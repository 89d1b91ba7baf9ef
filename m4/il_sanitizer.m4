# il_sanitizer.m4 -- compilers that watch the program run.
#
# IL_ENABLE_SANITIZER
#   Offers --enable-sanitizer=address|undefined (both: address,undefined).  Adds
#   -fsanitize=... to IL_CFLAGS, which are used for linking too, and sets
#   IL_SANITIZER, by which the tests choose suppressions (tests/lsan.supp) and
#   longer limits.  A finding ends the program.

AC_DEFUN([IL_ENABLE_SANITIZER], [
AC_ARG_ENABLE([sanitizer],
  [AS_HELP_STRING([--enable-sanitizer=WHAT], [address or undefined])],
  [], [enable_sanitizer=no])
AS_CASE([$enable_sanitizer],
  [no], [IL_SANITIZER=],
  [address|undefined|address,undefined|undefined,address],
  [IL_SANITIZER=$enable_sanitizer],
  [AC_MSG_ERROR([--enable-sanitizer wants address or undefined])])
AS_IF([test -n "$IL_SANITIZER"], [
  il_sanitize="-fsanitize=$IL_SANITIZER -fno-sanitize-recover=all"
  il_sanitize="$il_sanitize -fno-omit-frame-pointer"
  AC_MSG_CHECKING([whether $CC takes -fsanitize=$IL_SANITIZER])
  il_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS $il_sanitize"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
    [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([$CC cannot link with -fsanitize=$IL_SANITIZER: install its sanitizer library or leave the option out])])
  CFLAGS=$il_save_CFLAGS
  IL_CFLAGS="$IL_CFLAGS $il_sanitize"
  AC_DEFINE([IL_SANITIZED], [1], [Define when a sanitizer watches])])
AC_SUBST([IL_SANITIZER])
])

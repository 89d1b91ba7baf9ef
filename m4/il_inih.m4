# il_inih.m4 -- libinih, which reads configuration files.
#
# IL_INIH
#   Offers --with-inih=DIR, INIH_CPPFLAGS and INIH_LIBS.  Sets both.

AC_DEFUN([IL_INIH], [
IL_LIBRARY([libinih], [INIH], [inih], [inih], [-linih],
  [[#include <ini.h>]],
  [[return ini_parse ("", 0, 0);]])
# Its header has no version.
INIH_VERSION=
AS_IF([test -n "$PKG_CONFIG" && test "$with_inih" = check],
      [INIH_VERSION=`$PKG_CONFIG --modversion inih 2>/dev/null`])
INIH_VERSION=${INIH_VERSION:-yes}
IL_REPORT([INIH], [libinih], [yes], [no configuration file can be read],
  [libinih-dev], [inih], [inih])
])

# il_jansson.m4 -- Jansson, which writes and reads JSON (events, traces).
#
# IL_JANSSON
#   Offers --with-jansson=DIR, JANSSON_CPPFLAGS and JANSSON_LIBS.  Sets both.

AC_DEFUN([IL_JANSSON], [
IL_LIBRARY([Jansson], [JANSSON], [jansson], [jansson], [-ljansson],
  [[#include <jansson.h>]],
  [[json_t *j = json_object (); return json_object_set_new (j, "a", json_true ());]])
IL_VERSION([JANSSON], [#include <jansson.h>], [JANSSON_VERSION])
IL_REPORT([JANSSON], [Jansson], [yes], [no events and traces can be written],
  [libjansson-dev], [jansson], [jansson])
])

# il_hwloc.m4 -- hwloc, which knows the cores that a rank may run on.
#
# IL_HWLOC
#   Offers --with-hwloc=DIR, HWLOC_CPPFLAGS and HWLOC_LIBS.  Sets both.

AC_DEFUN([IL_HWLOC], [
IL_LIBRARY([hwloc], [HWLOC], [hwloc], [hwloc], [-lhwloc],
  [[#include <hwloc.h>
    #if HWLOC_API_VERSION < 0x00020000
    #error older than 2.0
    #endif]],
  [[hwloc_topology_t t; return hwloc_topology_init (&t);]])
IL_VERSION([HWLOC], [#include <hwloc.h>], [HWLOC_VERSION])
IL_REPORT([HWLOC], [hwloc], [yes], [threads cannot be shared out to ranks],
  [libhwloc-dev], [hwloc], [hwloc])
])

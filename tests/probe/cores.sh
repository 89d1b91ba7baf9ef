#!/bin/sh
# tests/probe/cores.sh -- all tests of the probe with each of OpenBLAS's sets of
# kernels that this processor can run: their sums go in other orders.
# limit: 3600
#
# Runs in `make check-big' (INTERLOCK_BIG).  CORES: names for OPENBLAS_CORETYPE
# to use in place of those below.  Prints TAP.

needs=tests/probe/matrix
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/limits.sh"
: "${CORES:=Prescott Nehalem Sandybridge Haswell Zen SkylakeX}"

flag_of () {
  case $1 in
  Prescott) echo pni ;;
  Nehalem) echo sse4_2 ;;
  Sandybridge) echo avx ;;
  Haswell | Zen) echo avx2 ;;
  SkylakeX) echo avx512vl ;;
  *) echo . ;;
  esac
}

for core in $CORES; do
  has "$(flag_of "$core")" || {
    ok 0 "$core # SKIP this processor cannot run it"
    continue
  }
  OPENBLAS_CORETYPE=$core
  export OPENBLAS_CORETYPE
  OPENBLAS_VERBOSE=2 "$I" --version 2>&1 | grep -qi "^Core: $core" || {
    ok 0 "$core # SKIP the BLAS here is not OpenBLAS with a choice of kernels"
    continue
  }
  for source in "$top"/tests/probe/*.c "$top"/tests/probe/probe.sh; do
    test=$source
    case $source in
    *.c)
      is_test "$source" || continue
      test=$built/${source#"$top"/}
      test=${test%.c}
      ;;
    esac
    sh "$top/tests/launch" "$test" >"$out" 2>&1
    ok $? "$core: ${test##*tests/}"
  done
done
done_testing

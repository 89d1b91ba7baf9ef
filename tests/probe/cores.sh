#!/bin/sh
# tests/probe/cores.sh -- all tests of the probe with each of OpenBLAS's sets of
# kernels that this processor can run: their sums go in other orders.
# limit: 3600
#
# Runs in `make check-big' (INTERLOCK_BIG).  CORES: names for OPENBLAS_CORETYPE
# to use in place of those below.  Prints TAP.

LC_ALL=C
export LC_ALL
top=${abs_top_srcdir-$(dirname "$0")/../..}
built=${abs_top_builddir-.}
I=${INTERLOCK-./interlock}
: "${CORES:=Prescott Nehalem Sandybridge Haswell Zen SkylakeX}"

[ -n "${INTERLOCK_BIG-}" ] || {
  echo "1..0 # SKIP long: make check-big has it"
  exit 0
}
[ -x "$built/tests/probe/matrix" ] || {
  echo "1..0 # SKIP no test programs in $built (make check-programs)"
  exit 0
}
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
trap 'exit 1' HUP INT TERM

n=0
failed=0
ok () # CONDITION NAME
{
  n=$((n + 1))
  if [ "$1" = 0 ]; then
    printf 'ok %d - %s\n' $n "$2"
  else
    printf 'not ok %d - %s\n' $n "$2"
    grep -Ev '^ok|^1\.\.' "$out" | sed 's/^/# /'
    failed=1
  fi
}

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
  grep -m 1 '^flags' /proc/cpuinfo 2>/dev/null |
    grep -qw "$(flag_of "$core")" || {
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
      sed -n 1p "$source" | grep -q '^/\* ranks:' || continue
      test=$built/${source#"$top"/}
      test=${test%.c}
      ;;
    esac
    sh "$top/tests/launch" "$test" >"$out" 2>&1
    ok $? "$core: ${test##*tests/}"
  done
done
echo "1..$n"
exit $failed

#!/bin/sh
# tests/kern/limits.sh -- all tests of kernels and models, under every
# instruction set that the library can be limited to and that this machine has,
# on one thread and on two.
# limit: 3600
#
# Runs in `make check-big' (INTERLOCK_BIG); alone:
#     make check-programs && make check TESTS=tests/kern/limits.sh INTERLOCK_BIG=1
# LIMITS: instruction sets to use in place of those.  Prints TAP.

LC_ALL=C
export LC_ALL
top=${abs_top_srcdir-$(dirname "$0")/../..}
built=${abs_top_builddir-.}
I=${INTERLOCK-$built/interlock}
: "${LIMITS:=DEFAULT SSE41 AVX AVX2 AVX512_CORE}"

[ -n "${INTERLOCK_BIG-}" ] || {
  echo "1..0 # SKIP long: make check-big has it"
  exit 0
}
[ -x "$built/tests/kern/loops" ] || {
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

# What the processor calls an instruction set; the program calls it by its name
# in small letters.
flags_of () {
  case $1 in
  SSE41) echo sse4_1 ;;
  AVX) echo avx ;;
  AVX2) echo avx2 fma ;;
  AVX512_CORE) echo avx512f avx512bw avx512vl avx512dq ;;
  esac
}
has () { # instruction set
  for flag in $(flags_of "$1"); do
    grep -m 1 '^flags' /proc/cpuinfo 2>/dev/null | grep -qw "$flag" || return 1
  done
}

under () { # instruction set, threads, command ...: both of the limit's names
  limit=$1
  threads=$2
  shift 2
  if [ "$limit" = DEFAULT ]; then
    TEST_THREADS=$threads "$@"
  else
    TEST_THREADS=$threads ONEDNN_MAX_CPU_ISA=$limit DNNL_MAX_CPU_ISA=$limit "$@"
  fi >"$out" 2>&1
}

for limit in $LIMITS; do
  has "$limit" || {
    ok 0 "$limit # SKIP this processor does not have it"
    continue
  }
  under "$limit" 1 "$I" --version
  [ "$limit" = DEFAULT ] ||
    grep -q "oneDNN.*, $(echo "$limit" | tr '[:upper:]' '[:lower:]')," "$out"
  ok $? "$limit is what the library works with"
  for source in "$top"/tests/kern/*.c "$top"/tests/model/*.c; do
    sed -n 1p "$source" | grep -q '^/\* ranks:' || continue
    test=${source#"$top"/}
    test=${test%.c}
    for threads in 1 2; do
      under "$limit" $threads sh "$top/tests/launch" "$built/$test"
      ok $? "$limit, threads $threads: $test"
    done
  done
done
echo "1..$n"
exit $failed

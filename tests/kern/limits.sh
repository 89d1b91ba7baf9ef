#!/bin/sh
# tests/kern/limits.sh -- all tests of kernels and models, under every
# instruction set that the library can be limited to and that this machine has,
# on one thread and on two.
# limit: 3600
#
# Runs in `make check-big' (INTERLOCK_BIG); alone:
#     make check-programs && make check TESTS=tests/kern/limits.sh INTERLOCK_BIG=1
# LIMITS: instruction sets to use in place of those.  Prints TAP.

needs=tests/kern/loops
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/limits.sh"
: "${LIMITS:=DEFAULT SSE41 AVX AVX2 AVX512_CORE}"

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
  # shellcheck disable=SC2046
  has $(flags_of "$limit") || {
    ok 0 "$limit # SKIP this processor does not have it"
    continue
  }
  under "$limit" 1 "$I" --version
  [ "$limit" = DEFAULT ] ||
    grep -q "oneDNN.*, $(echo "$limit" | tr '[:upper:]' '[:lower:]')," "$out"
  ok $? "$limit is what the library works with"
  for source in "$top"/tests/kern/*.c "$top"/tests/model/*.c; do
    is_test "$source" || continue
    test=${source#"$top"/}
    test=${test%.c}
    for threads in 1 2; do
      under "$limit" $threads sh "$top/tests/launch" "$built/$test"
      ok $? "$limit, threads $threads: $test"
    done
  done
done
done_testing

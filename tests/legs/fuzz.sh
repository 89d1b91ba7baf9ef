#!/bin/sh
# tests/legs/fuzz.sh BUILD -- damaged and made-up input for every parser that
# takes what users and other programs wrote, by clang's libFuzzer, under its
# sanitizers for addresses and undefined behaviour.
#
#     sh tests/legs/fuzz.sh BUILD
#
# FUZZ_SECONDS  all harnesses together (default 30)
# FUZZ_WANTED   harnesses, files of tests/fuzz without .c (default: all)
#
# Of each harness first a planted fault has to be found, which shows that input
# gets to the parser; then nothing in the time that it has.  What is found, and
# what was said of it, is left in BUILD/fuzz: give it to BUILD/fuzz/NAME.
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${1:?the directory of a build}" && pwd) || exit 1
: "${FUZZ_SECONDS:=30}" "${FUZZ_WANTED:=}" "${CLANG:=clang}"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
passed=0 failed=0 skipped=0
cores=$( (unset OMP_NUM_THREADS OMP_THREAD_LIMIT; nproc) 2>/dev/null || echo 2)
: "${JOBS:=$cores}"

skip () { # why
  echo "skipped: fuzz: $1"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}

ok () { # status, words
  if [ "$1" -eq 0 ]; then
    passed=$((passed + 1))
    echo "ok - $2"
  else
    failed=$((failed + 1))
    echo "not ok - $2"
  fi
}

# -- clang with libFuzzer: what is here, else Debian's.
fuzzes () {
  echo 'int LLVMFuzzerTestOneInput (const char *p, long n) {
    return n > 0 && p[0] == 1 ? 0 : 0; }' >"$work/try.c"
  # shellcheck disable=SC2086 # may be two words
  $CLANG -fsanitize=fuzzer,address,undefined -o "$work/try" "$work/try.c" \
    >"$work/said" 2>&1 && "$work/try" -runs=1 >"$work/said" 2>&1
}
get () { # packages
  PACKAGES=$1 sh "$top/jobs/need.sh" >"$work/said" 2>&1
}
fuzzes || {
  get clang || skip "clang cannot be installed"
  fuzzes || get "libclang-rt-$($CLANG -dumpversion | sed 's/\..*//')-dev"
  fuzzes || skip "clang has no libFuzzer here: $(tail -n 1 "$work/said")"
}
grep -q '^IL_SANITIZER = *$' "$build/Makefile" ||
  skip "this build has a sanitizer of its own"

cd "$build" || exit 1
wanted=$FUZZ_WANTED
: "${wanted:=$(sed -n '/^FUZZ = /,/[^\\]$/{s/^FUZZ = //; s/\\$//; p;}' \
  "$top/tests/fuzz/fuzz.mk" | tr '\n' ' ')}"
# shellcheck disable=SC2086 # a list
make -j"$JOBS" -f "$top/tests/fuzz/fuzz.mk" CLANG="$CLANG" \
  fuzz-programs >fuzz.out 2>&1 </dev/null || {
  tail -n 40 fuzz.out
  echo "fuzz: the harnesses could not be compiled; all of it is in $build/fuzz.out"
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}

TMPDIR=$work
[ ! -w /dev/shm ] || TMPDIR=$(mktemp -d /dev/shm/interlock-fuzz-XXXXXX)
trap 'rm -rf "$work" "$TMPDIR"' EXIT
OMP_NUM_THREADS=1
UBSAN_OPTIONS=print_stacktrace=1
export TMPDIR OMP_NUM_THREADS UBSAN_OPTIONS
# HDF5 leaves memory behind when it fails: there the harness counts our own.
leaks () {
  case $1 in dataset | checkpoint) echo 0 ;; *) echo 1 ;; esac
}

# A harness over files or folders: name, arguments.
fuzz () {
  name=$1
  shift
  ASAN_OPTIONS=detect_leaks=$(leaks "$name"):allocator_may_return_null=1 \
    timeout -k 10 $((FUZZ_SECONDS + 120)) "$build/fuzz/$name" \
    -rss_limit_mb=2048 -malloc_limit_mb=512 -timeout=20 -max_len=8192 \
    -print_final_stats=1 -artifact_prefix="$build/fuzz/found-$name-" "$@"
}

n=0
for name in $wanted; do n=$((n + 1)); done
each=$((FUZZ_SECONDS / n))
[ $each -gt 0 ] || each=1
for name in $wanted; do
  seeds=$work/seeds-$name
  mkdir -p "$seeds" "$work/new-$name"
  log=$build/fuzz/$name.out
  INTERLOCK_FUZZ_SEEDS=$seeds "$build/fuzz/$name" -runs=0 >"$log" 2>&1
  [ ! -d "$top/tests/fuzz/corpus/$name" ] ||
    cp "$top/tests/fuzz/corpus/$name"/* "$seeds"
  plant=$(sed -n '1s|^/\* plant: \(.*\) \*/$|\1|p' "$top/tests/fuzz/$name.c")
  INTERLOCK_FUZZ_PLANT=$plant fuzz "$name" -runs=0 \
    -artifact_prefix="$work/planted-" "$seeds" >"$work/said" 2>&1
  grep -q 'AddressSanitizer: heap-buffer-overflow' "$work/said"
  ok $? "$name: a fault planted in ${plant:-nothing} is found"
  fuzz "$name" -max_total_time=$each "$work/new-$name" "$seeds" >"$log" 2>&1
  code=$?
  # What HDF5 itself does not survive is told, and is not a fault of ours; but
  # memory of ours that it is given for more than it holds is.
  library=$(awk '/ERROR: AddressSanitizer/ { on = 1 }
    /allocated by thread/ { given = 1 }
    given && /\/src\/(base|store)\// { ours = 1 }
    /^SUMMARY/ { on = given = 0 }
    on && first == "" && /^ *#[0-9]+ / &&
      !/_interceptor_|mem(cpy|move|set)|abort|raise/ { first = $0 }
    END { if (first ~ /libhdf5/ && !ours) print "yes" }' "$log")
  if [ $code -ne 0 ] && [ -n "$library" ]; then
    echo "skipped: fuzz: $name: HDF5 fails within itself:" \
      "$(find "$build/fuzz" -name "found-$name-*" | sort | tail -n 1)"
    skipped=$((skipped + 1))
    continue
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
  ok $code "$name: ${runs:-0} inputs"
  [ $code -eq 0 ] || {
    grep -E 'ERROR|runtime error|SUMMARY|blocks are left|^ *#[0-9]+ ' "$log" |
      head -n 20
    ls "$build/fuzz/found-$name-"* 2>/dev/null
  }
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]

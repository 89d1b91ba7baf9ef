#!/bin/sh
# tests/run.sh -- installs what is missing, builds with warnings as errors, runs
# every test.
#
#     sh tests/run.sh [argument of configure ...]
#
# Leaves build-check/ (BUILD=DIRECTORY: another).  The last line says how many
# tests passed, failed and were skipped; the exit code is 0 when none failed.
# As root the jobs are tested too, on virtual nodes under a real Slurm, for which
# packages are installed; SLURM=no leaves that out.
#
# TESTS_WANTED: only these, as `make check TESTS=' takes them, such as
# "tests/kern/conv tests/train/resume.sh" (default: all).
#
# LEGS names further ways to run tests (default: none), each a script in
# tests/legs/: it gets the directory of the build, installs what it needs or says
# why it cannot, and its last line is "N passed, N failed, N skipped", which is
# added up.  LEGS=all is all of them.
set -u

top=$(cd "$(dirname "$0")/.." && pwd)
: "${BUILD:=$top/build-check}"
cores=$( (unset OMP_NUM_THREADS OMP_THREAD_LIMIT; nproc) 2>/dev/null || echo 2)
: "${JOBS:=$cores}"
: "${SLURM:=yes}"
: "${LEGS:=}"
[ "$LEGS" != all ] ||
  LEGS=$(find "$top/tests/legs" -name '*.sh' | sed 's|.*/||; s|\.sh$||' | sort)

# The end of a leg: what it counted is added.  A leg that does not say what it
# counted has failed, and so has one that leaves with an error of its own.
run_leg () { # name; sets legs_passed, legs_failed, legs_skipped
  echo "run: $1"
  leg_log=$BUILD/leg-$1.out
  leg_code=0
  sh "$top/tests/legs/$1.sh" "$BUILD" >"$leg_log" 2>&1 </dev/null ||
    leg_code=$?
  leg_counts=$(tail -n 1 "$leg_log" | sed -n \
    's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
  # shellcheck disable=SC2086 # three words
  set -- "$1" ${leg_counts:-0 1 0}
  [ "$leg_code" -eq 0 ] || [ "$3" -gt 0 ] || set -- "$1" "$2" 1 "$4"
  if [ "$3" -gt 0 ]; then
    grep -v '^ok ' "$leg_log" | tail -n 80
    echo "run: all of it is in $leg_log"
  else
    grep -i 'skipped: ' "$leg_log" | sed "s/^/run: $1: /"
  fi
  echo "run: $1: $2 passed, $3 failed, $4 skipped"
  legs_passed=$((legs_passed + $2))
  legs_failed=$((legs_failed + $3))
  legs_skipped=$((legs_skipped + $4))
}

finish () { # passed failed skipped
  echo "$1 passed, $2 failed, $3 skipped"
  [ "$2" -eq 0 ] && [ "$1" -gt 0 ]
  exit $?
}

# Files beside the repository that some tests compare with.
if [ -z "${INTERLOCK_SHARED-}" ] && [ -d "$top/../shared" ]; then
  INTERLOCK_SHARED=$(cd "$top/../shared" && pwd)
  export INTERLOCK_SHARED
fi

sh "$top/jobs/need.sh" || finish 0 1 0
sh "$top/jobs/build.sh" "$BUILD" --enable-werror "$@" || finish 0 1 0
cd "$BUILD" || finish 0 1 0

rm -f test-suite.log
make -j"$JOBS" check-programs >check.out 2>&1 </dev/null || {
  tail -n 60 check.out
  echo "run: the tests could not be compiled; all of it is in $BUILD/check.out"
  finish 0 1 0
}
echo "run: make check${TESTS_WANTED:+, of it: $TESTS_WANTED}"
# One more than there are cores: many tests wait for a time.
make -j"$((JOBS + 1))" check ${TESTS_WANTED:+TESTS="$TESTS_WANTED"} \
  >>check.out 2>&1 </dev/null
made=$?
[ -f test-suite.log ] || {
  tail -n 60 check.out
  echo "run: make check did not get to its summary; see $BUILD/check.out"
  finish 0 1 0
}
# shellcheck disable=SC2046 # three words
set -- $(awk '
  $1 == "#" && NF == 3 && $2 ~ /^(PASS|XFAIL):$/ { passed += $3 }
  $1 == "#" && NF == 3 && $2 ~ /^(FAIL|XPASS|ERROR):$/ { failed += $3 }
  $1 == "#" && NF == 3 && $2 ~ /^SKIP:$/ { skipped += $3 }
  /^\.\. contents/ { exit }
  END { print passed + 0, failed + 0, skipped + 0 }' test-suite.log)
# make may fail without a test that did: count that.
[ "$made" -eq 0 ] || [ "$2" -gt 0 ] || set -- "$1" 1 "$3"
# What the tests that failed said, without their successes.
if [ "$2" -gt 0 ]; then
  find tests -name '*.trs' | sort | while read -r result; do
    grep -q '^:global-test-result: [FEX]' "$result" || continue
    echo "== ${result%.trs}"
    grep -Ev '^(ok|PASS|FAIL|1\.\.)' "${result%.trs}.log" | tail -n 60
  done
  echo "run: all of it is in $BUILD/test-suite.log"
fi
# What was not tested, and why: each reason once.
if [ "$3" -gt 0 ]; then
  find tests -name '*.log' | sort | xargs grep -i '# SKIP' /dev/null |
    sed 's|^tests/|run: skipped: |; s|\.log:.*# *[Ss][Kk][Ii][Pp][: ]*|: |' |
    sort | uniq -c |
    awk '{ n = $1; $1 = ""; print substr($0, 2) (n > 1 ? " (" n "x)" : "") }'
fi

legs_passed=$1 legs_failed=$2 legs_skipped=$3
for leg in $LEGS; do
  run_leg "$leg"
done
set -- "$legs_passed" "$legs_failed" "$legs_skipped"

[ "$SLURM" != no ] || {
  echo "run: skipped: slurm: SLURM=no"
  finish "$1" "$2" $(($3 + 1))
}
echo "run: jobs under Slurm"
# Not this script's: what the variables of these names would mean there.
unset JOBS SLURM
sh "$top/tests/slurm/run.sh" "$BUILD/interlock" >slurm.out 2>&1
under=$?
sed -n 's/^1\.\.0 # SKIP/run: skipped:/p' slurm.out
# shellcheck disable=SC2046 # three words
set -- $(awk -v passed="$1" -v failed="$2" -v skipped="$3" '
  /^ok / { passed++ }
  /^not ok / { failed++ }
  /^1\.\.0 # SKIP/ { skipped++ }
  END { print passed, failed, skipped }' slurm.out) "$2"
[ $under -eq 0 ] || [ "$2" -gt "$4" ] || set -- "$1" $(($2 + 1)) "$3" "$4"
if [ "$2" -gt "$4" ]; then
  awk '/^ok / { good = 1; next } /^not ok / { good = 0 } !good' slurm.out |
    tail -n 120
  echo "run: all of it is in $BUILD/slurm.out"
fi
finish "$1" "$2" "$3"

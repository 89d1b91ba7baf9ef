#!/bin/sh
# tests/legs/mpich.sh -- the tests that differ by MPI, under MPICH.
#
#     sh tests/legs/mpich.sh BUILD
#
# Installs MPICH and what is built for it (jobs/need.sh), builds in BUILD-mpich
# and runs what travels between ranks, what they write together, what does not
# depend on their number, and how runs end.  About five minutes on two cores.
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -eq 1 ] || {
  echo "usage: sh tests/legs/mpich.sh BUILD"
  exit 64
}
build=${1%/}-mpich
case $build in /*) ;; *) build=$PWD/$build ;; esac
cores=$( (unset OMP_NUM_THREADS OMP_THREAD_LIMIT; nproc) 2>/dev/null || echo 2)
: "${JOBS:=$cores}"

# The programs, with the counts of ranks that are run where not all are; then the
# scripts.
PROGRAMS="wire/abort wire/agree wire/alone wire/ballot wire/calibrate wire/grid
wire/cores wire/idle wire/message wire/reduce wire/round
data/together store/checkpoint store/saver
run/folding run/golden:2,4 run/replica:2,4 run/tokens:2,4
probe/matrix:2,4 probe/token:4"
SCRIPTS="train/failure train/stop train/resume"

passed=0
failed=0
skipped=0
finish () {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
  exit $?
}
skip () { # why
  echo "skipped: mpich: $1"
  skipped=$((skipped + 1))
}
verdict () { # status, words
  if [ "$1" -eq 0 ]; then
    passed=$((passed + 1))
    echo "ok $2"
  else
    failed=$((failed + 1))
    echo "not ok $2"
  fi
}

# What the caller has set for the MPI of its own build.
unset MPICC MPI_CPPFLAGS MPI_LIBS HDF5_CPPFLAGS HDF5_LIBS SCALAPACK_CPPFLAGS \
  SCALAPACK_LIBS TESTMPIRUN INTERLOCK H5PCC PACKAGES
MPI_KIND=mpich
export MPI_KIND

sh "$top/jobs/need.sh" || {
  skip "its packages cannot be installed here"
  finish
}
command -v mpicc.mpich >/dev/null 2>&1 ||
  mpicc -show 2>/dev/null | grep -i mpich >/dev/null || {
  skip "there is no mpicc of MPICH, and no right to install it"
  finish
}
JOBS=$JOBS sh "$top/jobs/build.sh" "$build" --enable-werror --with-mpi=mpich || {
  # Where packages are not ours to install, libraries may be lacking.
  if grep -q '^configure: error: missing:' "$build/configure.out" &&
     ! dpkg-query -W libhdf5-mpich-dev >/dev/null 2>&1; then
    skip "no HDF5 that is built for it"
  else
    verdict 1 "builds with --with-mpi=mpich"
  fi
  finish
}
cd "$build" || finish
verdict 0 "builds with --with-mpi=mpich"
./interlock --version | grep -q '^MPICH [0-9.]*, MPI [0-9.]*$'
verdict $? "says that it is MPICH's"

# -- libraries that were built for another MPI ---------------------------------

# refused KIND-OF-MPI KIND-OF-HDF5 WORDS: configure says no, and why
refused () {
  if ! pkg-config --exists "hdf5-$2" 2>/dev/null ||
     ! command -v "mpicc.$1" >/dev/null 2>&1; then
    skip "no HDF5 for $2 beside $1, to be refused"
    return
  fi
  mkdir -p mixed
  (
    cd mixed || exit 1
    HDF5_LIBS=$(pkg-config --libs-only-L "hdf5-$2")" -lhdf5"
    HDF5_CPPFLAGS=$(pkg-config --cflags-only-I "hdf5-$2")
    export HDF5_LIBS HDF5_CPPFLAGS
    "$top/configure" --with-mpi="$1"
  ) >mixed.out 2>&1 </dev/null
  code=$?
  [ $code -ne 0 ] && grep -q "^configure: error: parallel HDF5 is of no use.*$3" \
    mixed.out
  verdict $? "HDF5 for $2 is refused beside $1"
}
refused mpich openmpi 'another MPI than MPICH'
refused openmpi mpich 'another MPI than Open MPI'

# -- the tests -----------------------------------------------------------------

programs=
for p in $PROGRAMS; do
  programs="$programs tests/${p%:*}"
done
# shellcheck disable=SC2086 # words
make -j"$JOBS" $programs >make-tests.out 2>&1 </dev/null || {
  tail -n 40 make-tests.out
  verdict 1 "the tests can be compiled; all of it is in $build/make-tests.out"
  finish
}
TESTMPIRUN=$(sed -n 's/^TESTMPIRUN = //p' Makefile)
INTERLOCK=$build/interlock
abs_top_srcdir=$top
abs_top_builddir=$build
export TESTMPIRUN INTERLOCK abs_top_srcdir abs_top_builddir

# one PROGRAM [RANKS]: what it says, then its counts
one () {
  log=leg-$(echo "$1" | sed 's|^.*tests/||; s|/|-|g').out
  begin=$(date +%s)
  if [ $# -gt 1 ]; then
    TEST_RANKS=$(echo "$2" | tr , ' ') sh "$top/tests/launch" "$1" >"$log" 2>&1
  else
    sh "$top/tests/launch" "$1" >"$log" 2>&1
  fi
  code=$?
  # shellcheck disable=SC2046 # three words
  set -- "$1" $(awk '
    /^ok .*# *[Ss][Kk][Ii][Pp]/ { skipped++; next }
    /^ok / { passed++ }
    /^not ok / { failed++ }
    END { print passed + 0, failed + 0, skipped + 0 }' "$log")
  [ $code -eq 0 ] || [ "$3" -gt 0 ] || set -- "$1" "$2" 1 "$4"
  passed=$((passed + $2))
  failed=$((failed + $3))
  skipped=$((skipped + $4))
  [ "$3" -eq 0 ] || grep -v '^ok ' "$log" | tail -n 60
  grep -i '^ok .*# *SKIP' "$log" | sed 's/^.*# *[A-Za-z]* */skipped: /'
  echo "${1#"$top/"}: $2 passed, $3 failed, $4 skipped" \
    "in $(($(date +%s) - begin)) s"
}
for p in $PROGRAMS; do
  case $p in
  *:*) one "tests/${p%:*}" "${p#*:}" ;;
  *) one "tests/$p" ;;
  esac
done
for s in $SCRIPTS; do
  one "$top/tests/$s.sh"
done
finish

#!/bin/sh
# tests/legs/ucx.sh BUILD -- the tests of several ranks over what clusters have:
# Open MPI's pml ucx (InfiniBand), and pml cm over libfabric (Omni-Path and
# others), both on one machine without such a network.
#
# Each program runs at the largest of its counts of ranks.  That the transport is
# used is asked for first: Open MPI names what each rank has selected.
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${1:?the directory of a build}" && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
passed=0 failed=0 skipped=0

finish () {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
  exit $?
}

skip () { # what: why
  echo "skipped: $1"
  skipped=$((skipped + 1))
}

launcher=${TESTMPIRUN-}
: "${launcher:=$(sed -n 's/^TESTMPIRUN = //p' "$build/Makefile")}"
starter=${launcher%% *}
case $("$build/interlock" --version) in
*"Open MPI"*) ;;
*)
  skip "ucx, ofi: this build's MPI is not Open MPI"
  finish
  ;;
esac
case $starter in
mpirun | */mpirun | mpiexec | */mpiexec) ;;
*)
  skip "ucx, ofi: '$launcher' is not Open MPI's mpirun"
  finish
  ;;
esac

abs_top_srcdir=$top abs_top_builddir=$build INTERLOCK=$build/interlock
export abs_top_srcdir abs_top_builddir INTERLOCK
: "${SED=sed}" "${IL_SANITIZER=no}"
export SED IL_SANITIZER
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM

# Whether this Open MPI has a component: kind name.
has () {
  info=$(dirname "$(command -v "$starter")")/ompi_info
  "$info" --parsable 2>/dev/null | grep -q "^mca:$1:$2:"
}

# Words for the launcher, behind its first.
with () {
  TESTMPIRUN="$starter $* ${launcher#* }"
  export TESTMPIRUN
}

# Whether both of two ranks select what they should: transport, what Open MPI
# says then, further words.  What was said is in $work/said.
selects () {
  wanted=$1
  shift
  (
    with "$@" --mca pml_base_verbose 10 --mca mtl_base_verbose 10
    TEST_RANKS=2 sh "$top/tests/launch" "$build/tests/wire/round"
  ) >"$work/said" 2>&1
  [ "$(grep -c "$wanted" "$work/said")" -eq 2 ] && ! grep -q '^not ok' "$work/said"
}

# One test over a transport: transport, program or script without tests/.
try () {
  case $2 in
  *.sh) file=$top/tests/$2 ranks= ;;
  *)
    file=$build/tests/$2
    ranks=$(sed -n '1s|^/\* ranks: .*[ ]\{0,1\}\([0-9][0-9]*\) \*/$|\1|p' \
      "$top/tests/$2.c")
    [ "$ranks" != 0 ] || ranks= # it starts the launcher itself
    ;;
  esac
  TEST_RANKS=$ranks sh "$top/tests/launch" "$file" >"$work/out" 2>"$work/err"
  code=$?
  # shellcheck disable=SC2046 # three words
  set -- "$1" "$2" $(awk '
    /^ok .*# *SKIP/ { skipped++; next }
    /^ok / { passed++ }
    /^not ok / { failed++ }
    END { print passed + 0, failed + 0, skipped + 0 }' "$work/out")
  [ $code -eq 0 ] || [ "$4" -gt 0 ] || set -- "$1" "$2" "$3" 1 "$5"
  echo "$1: $2${ranks:+ on $ranks ranks}: $3 passed, $4 failed, $5 skipped"
  [ "$4" -eq 0 ] || cat "$work/out" "$work/err"
  passed=$((passed + $3))
  failed=$((failed + $4))
  skipped=$((skipped + $5))
}

# Programs that run on several ranks, in folders of tests/.
programs () {
  for folder in "$@"; do
    grep -l '^/\* ranks: [0-9 ]*[2-9] \*/' "$top/tests/$folder"/*.c
  done | sed "s|^$top/tests/||; s|\.c\$||"
}

# -- ucx: every program, and scripts that walk through most commands.  `any': it
# is taken without its kind of network, too.
if has pml ucx; then
  set -- --mca pml ucx --mca pml_ucx_tls any --mca pml_ucx_devices any \
    -x UCX_TLS=self,sysv,posix,cma
  if selects 'component ucx selected' "$@"; then
    echo "ok - both ranks have selected pml ucx"
    passed=$((passed + 1))
    with "$@"
    for name in wire/abort $(programs wire store data run train probe) \
      run/language.sh train/resume.sh; do # verify/gradient: arithmetic, and long
      try ucx "$name"
    done
  else
    cat "$work/said"
    echo "not ok - both ranks have selected pml ucx"
    failed=$((failed + 1))
  fi
else
  skip "ucx: this Open MPI has no pml ucx"
fi

# -- cm over libfabric, whose providers need not be there.
if has pml cm && has mtl ofi; then
  set -- --mca pml cm --mca mtl ofi
  if selects 'component ofi selected' "$@"; then
    echo "ok - both ranks have selected mtl ofi"
    passed=$((passed + 1))
    with "$@"
    for name in $(programs wire) run/tags run/tokens run/replica; do
      # A message that nobody awaits yet holds up all later ones between the same
      # ranks over libfabric's tcp, and the test lets one lie on purpose.
      if [ "$name" = wire/message ]; then
        skip "ofi: wire/message: libfabric's tcp stops at a message that is not \
awaited yet"
      else
        try ofi "$name"
      fi
    done
  else
    skip "ofi: libfabric has no provider here that Open MPI takes"
  fi
else
  skip "ofi: this Open MPI has no mtl ofi"
fi
finish

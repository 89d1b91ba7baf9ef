#!/bin/sh
# jobs/build.sh -- question: is interlock built in this directory?
#
#     sh jobs/build.sh DIRECTORY [argument of configure ...]
#
# Nodes: a login node or a single machine.  Minutes: 1.
# Output: DIRECTORY/interlock; configure.out and make.out beside it.
#
# Installs nothing.  Does only what is not done yet.
set -eu

[ $# -ge 1 ] || {
  echo "usage: sh jobs/build.sh DIRECTORY [argument of configure ...]"
  exit 64
}
top=$(cd "$(dirname "$0")/.." && pwd)
case $1 in /*) build=$1 ;; *) build=$(pwd)/$1 ;; esac
shift
# nproc would obey OMP_NUM_THREADS, which is about something else.
cores=$( (unset OMP_NUM_THREADS OMP_THREAD_LIMIT; nproc) 2>/dev/null || echo 2)
: "${JOBS:=$cores}"

step () { # words, log, command ...: show the end of the log when it fails
  words=$1 log=$2
  shift 2
  echo "build: $words"
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 60 "$log"
    echo "build: failed: $words; all of it is in $log"
    exit 70
  fi
}

cd "$top"
mkdir -p "$build"
# A release has its configure with it, whatever is older or newer.
if [ ! -x configure ] || { [ -e .git ] &&
   [ -n "$(find configure.ac Makefile.am m4 src/*/room.am \
                -newer configure 2>/dev/null)" ]; }; then
  step "autoreconf" "$build/autoreconf.out" autoreconf -i
fi
cd "$build"
if [ ! -f Makefile ] ||
   [ -n "$(find "$top/configure" -newer config.status)" ] ||
   [ "$*" != "$(cat configure.arguments 2>/dev/null)" ]; then
  step "configure${*:+ $*}" "$build/configure.out" "$top/configure" "$@"
  echo "$*" >configure.arguments
  sed -n '/is configured/,/^Next/p' configure.out
fi
step "make -j$JOBS" "$build/make.out" make -j"$JOBS"

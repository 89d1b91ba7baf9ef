#!/bin/sh
# tests/legs/debian13.sh -- builds and tests on a bare Debian 13, which has the
# second generation of every library: oneDNN 3, Open MPI 5, HDF5 1.14, gcc 14.
#
#     sh tests/legs/debian13.sh BUILD
#
# BUILD is the build directory of the tests that ran before; only what this leg
# said is left there.  Needs root, and a network the first time: the system is put
# in a directory with debootstrap and kept, INTERLOCK_CACHE (default: interlock in
# XDG_CACHE_HOME or /var/cache), and made again when it is broken or a month old.
# Nothing stays mounted: its /proc, /dev and /sys are in a name space that ends
# with it, as do its processes.
#
# INTERLOCK_MIRROR  where packages come from (default: what apt uses here)
# TESTS_WANTED      the tests to run in place of the list below
# The last line says how many tests passed, failed and were skipped.
# shellcheck disable=SC2016 # what other programs and shells expand
set -u

suite=trixie
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:?usage: sh tests/legs/debian13.sh BUILD}
: "${INTERLOCK_CACHE:=${XDG_CACHE_HOME:-/var/cache}/interlock}"
home=$INTERLOCK_CACHE/debian13
root=$home/root
log=$build/debian13.out
wanted=${TESTS_WANTED-}
: "${wanted:=$(cd "$top" &&
  grep -l '^/\* ranks:' tests/kern/*.c tests/model/*.c | # others are parts
  sed 's/\.c$//' | tr '\n' ' ') tests/run/golden tests/run/folding \
tests/store/checkpoint tests/train/resume.sh}"

# Files beside the repository that some tests compare with.
if [ -z "${INTERLOCK_SHARED-}" ] && [ -d "$top/../shared" ]; then
  INTERLOCK_SHARED=$(cd "$top/../shared" && pwd)
fi
export INTERLOCK_SHARED="${INTERLOCK_SHARED-}"

skip () { # why
  echo "debian13: skipped: $1"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}
broken () { # why; the end of the log shows more
  tail -n 40 "$log"
  echo "debian13: $1; all of it is in $log"
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}

[ "$(id -u)" -eq 0 ] || skip "only root may make another system"
command -v apt-get >/dev/null 2>&1 || skip "no apt-get here to make Debian with"
mkdir -p "$home" "$build" || skip "$home cannot be made"
command -v debootstrap >/dev/null 2>&1 ||
  PACKAGES=debootstrap sh "$top/jobs/need.sh" >"$log" 2>&1 ||
  skip "debootstrap cannot be installed"

# Debian's own archive, neither its updates nor another's packages.
mirror () {
  apt-get indextargets --format '$(LABEL) $(SUITE) $(REPO_URI)' \
    'Created-By: Packages' 2>/dev/null |
    awk '$1 == "Debian" && $2 !~ /-/ { print $3; exit }'
}
: "${INTERLOCK_MIRROR:=$(mirror)}"
[ -n "$INTERLOCK_MIRROR" ] || skip "apt names no archive of Debian here"

# A command in the system: mounts and processes end with it.
inside () {
  unshare --mount --pid --fork --kill-child sh -c '
    root=$1
    shift
    mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" &&
      mount --rbind /dev "$root/dev" || exit 98
    if [ -n "$INTERLOCK_SHARED" ]; then
      mkdir -p "$root/srv/shared"
      mount -o bind,ro "$INTERLOCK_SHARED" "$root/srv/shared" || exit 98
    fi
    exec chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
      ${INTERLOCK_SHARED:+INTERLOCK_SHARED=/srv/shared} \
      ${http_proxy:+http_proxy="$http_proxy"} \
      ${https_proxy:+https_proxy="$https_proxy"} "$@"' sh "$root" "$@"
}

# One run at a time: they share the system.
exec 9>"$home/lock"
flock -n 9 || {
  echo "debian13: waiting for another run"
  flock 9
}

unshare --mount --pid --fork true 2>/dev/null ||
  skip "no right to make a name space of mounts"

# Whole: was made to its end, less than a month ago, and runs.
whole () {
  [ -n "$(find "$home/whole" -mtime -30 2>/dev/null)" ] &&
    inside sh -c 'dpkg --audit && gcc --version' >"$log" 2>&1
}
if ! whole; then
  echo "debian13: making the system in $root, from apt's archive"
  rm -rf --one-file-system "$root" "$home/whole"
  mkdir -p "$root"
  unshare --mount debootstrap --variant=minbase "$suite" "$root" \
    "$INTERLOCK_MIRROR" >"$log" 2>&1 || {
    tail -n 5 "$log"
    skip "debootstrap could not make it (no network?)"
  }
fi
cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null
inside true >"$log" 2>&1
[ $? -ne 98 ] || skip "no right to mount: $(tail -n 1 "$log")"
[ -f "$home/whole" ] || inside apt-get -q update >"$log" 2>&1 ||
  skip "apt-get update failed in it (no network?)"

# The sources as they are here: what git knows, or all but what is made.
src=$root/root/interlock
rm -rf --one-file-system "$src" "$root/root/build"
mkdir -p "$src"
if git -c safe.directory='*' -C "$top" rev-parse >/dev/null 2>&1; then
  (cd "$top" && git -c safe.directory='*' ls-files -z |
    tar --null -T - -cf -)
else
  tar -C "$top" --exclude=./build* --exclude=./configure \
    --exclude=./autom4te.cache -cf - .
fi | tar -C "$src" --no-same-owner -xf - || broken "no copy of the sources"

inside sh /root/interlock/jobs/need.sh >"$log" 2>&1 ||
  broken "jobs/need.sh failed on it"
[ -f "$home/whole" ] || : >"$home/whole"
inside sh -c '. /etc/os-release
  echo "debian13: $PRETTY_NAME, gcc $(gcc -dumpfullversion)," \
    $(dpkg-query -W -f "\${Package} \${Version} " libdnnl-dev libopenmpi-dev \
        libhdf5-openmpi-dev)'

inside env SLURM=no LEGS= TESTS_WANTED="$wanted" BUILD=/root/build \
  sh /root/interlock/tests/run.sh >"$log" 2>&1 9>&-
code=$?
last=$(tail -n 1 "$log")
case $last in
*" passed, "*" failed, "*" skipped")
  sed "s|in /root/build|in $root/root/build|" "$log"
  ;;
*) broken "the tests did not come to their end" ;;
esac
exit $code

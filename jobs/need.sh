#!/bin/sh
# jobs/need.sh -- question: is everything here that building interlock needs?
#
# Nodes: a login node or a single machine.  Minutes: 0 to 2.
# Output: nothing when all is there; otherwise what was installed, or what to do.
#
# On Debian and its relatives missing packages are installed, as root or with a
# sudo that asks nothing.  Elsewhere this only says what to load.
# MPI_KIND=mpich sh jobs/need.sh: MPICH and what is built for it in place of Open MPI;
# both may be installed side by side.
# shellcheck disable=SC2086,SC2015 # lists of words; who fails either way is told
set -eu

# What compiles, then the libraries.  ScaLAPACK, with a fast BLAS behind it, is
# for the command probe alone; TurboJPEG and libpng are for folders of images.
: "${MPI_KIND:=openmpi}"
case $MPI_KIND in
openmpi) launcher=openmpi-bin ;;
mpich) launcher=mpich ;;
*)
  echo "need: MPI_KIND is '$MPI_KIND', neither openmpi nor mpich"
  exit 64
  ;;
esac
TOOLS="gcc libc6-dev make pkg-config $launcher"
# A release has its configure with it.
AUTOTOOLS="autoconf automake"
top=$(cd "$(dirname "$0")/.." && pwd)
[ ! -x "$top/configure" ] || [ -e "$top/.git" ] || AUTOTOOLS=
LIBRARIES="lib$MPI_KIND-dev libhdf5-$MPI_KIND-dev libdnnl-dev libhwloc-dev
libjansson-dev zlib1g-dev libarchive-dev libxxhash-dev libscalapack-$MPI_KIND-dev
libopenblas-dev libturbojpeg0-dev libpng-dev"
: "${PACKAGES:=$TOOLS $AUTOTOOLS $LIBRARIES}"
: "${SPACK:=$MPI_KIND hdf5+mpi onednn hwloc jansson zlib libarchive xxhash netlib-scalapack
libjpeg-turbo libpng $AUTOTOOLS}"

words () { # on one line
  echo "$*"
}

missing_packages () {
  for p in $PACKAGES; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)
    [ "$state" = installed ] || echo "$p"
  done
}

missing_tools () {
  for t in ${AUTOTOOLS:+autoreconf automake} make pkg-config; do
    command -v "$t" >/dev/null 2>&1 || echo "$t"
  done
  command -v "${CC:-cc}" >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 ||
    echo "a C compiler"
  command -v "${MPICC:-mpicc}" >/dev/null 2>&1 ||
    command -v srun >/dev/null 2>&1 || echo "mpicc"
}

advise () { # $1: what is missing
  echo "  a cluster:  module load PACKAGE, for (names differ): $(words $SPACK)"
  echo "  Spack:      spack install $(words $SPACK), then spack load them"
  echo "  Debian:     apt-get install $(words $1)"
}

# Elsewhere, and where we may not install: go on if the tools are there, since
# the libraries may come from modules; configure looks for them one by one.
without_installing () { # $1: Debian packages to name
  tools=$(missing_tools)
  [ -n "$tools" ] || return 0
  echo "need: missing here: $(words $tools)"
  advise "$1"
  exit 69
}

command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 || {
  without_installing "$PACKAGES"
  exit 0
}
missing=$(missing_packages)
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
  as_root=
elif sudo -n true 2>/dev/null; then
  as_root="sudo -n"
else
  echo "need: not installed, and no right to install: $(words $missing)"
  echo "need: trying with what is there; if that fails: \
sudo apt-get install $(words $missing)"
  without_installing "$missing"
  exit 0
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt () {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" \
    >>"$log" 2>&1 </dev/null
}
install () {
  apt install --no-install-recommends $missing
}

echo "need: installing $(words $missing)"
ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || apt update || true
# Lists may be old and name packages that are gone: once more with new ones.
if ! install && ! { apt update && install; }; then
  tail -n 20 "$log"
  echo "need: apt-get failed (above: the end of what it said)"
  exit 69
fi
missing=$(missing_packages)
[ -z "$missing" ] || {
  echo "need: still missing: $(words $missing)"
  exit 69
}

#!/bin/sh
# tests/main/launcher.sh -- of two MPIs side by side, jobs take the launcher of the
# one that the program is linked with.  Prints TAP.

LC_ALL=C
export LC_ALL
top=$(cd "${abs_top_srcdir-$(dirname "$0")/../..}" && pwd)
tmp=$(mktemp -d "${TMPDIR-/tmp}/interlock-test.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
unset MPIRUN

# says FILE WORDS: a program that prints these
says () {
  mkdir -p "${1%/*}"
  printf '#!/bin/sh\necho "%s"\n' "$2" >"$1"
  chmod +x "$1"
}

n=0
failed=0
takes () # FOLDER-OF-LAUNCHERS PROGRAM WANTED
{
  n=$((n + 1))
  got=$(PATH=$tmp/$1:/usr/bin:/bin sh "$top/jobs/launcher.sh" "$tmp/$2")
  if [ "$got" = "$3" ]; then
    echo "ok $n - $2 among $1: '$3'"
  else
    echo "not ok $n - $2 among $1: '$got', not '$3'"
    failed=1
  fi
}

says "$tmp/open" "Open MPI 4.1.4, MPI 3.1"
says "$tmp/mpich" "MPICH 4.0.2, MPI 4.0"
says "$tmp/intel" "Intel(R) MPI Library 2021.9 for Linux* OS, MPI 3.1"
# Plain names, which come first in PATH.
says "$tmp/only-open/mpirun" "mpirun (Open MPI) 4.1.4"
says "$tmp/only-hydra/mpirun" "HYDRA build details:"
says "$tmp/both/mpirun" "mpirun (Open MPI) 4.1.4"
says "$tmp/both/mpiexec" "mpiexec (OpenRTE) 4.1.4"
says "$tmp/both/mpirun.mpich" "HYDRA build details:"
says "$tmp/other/mpirun" "HYDRA build details:"
says "$tmp/other/mpiexec" "HYDRA build details:"
says "$tmp/other/mpirun.openmpi" "mpirun (Open MPI) 5.0.7"

takes only-open open "openmpi mpirun"
takes only-hydra mpich "mpich mpirun"
takes only-hydra intel "mpich mpirun"
takes both open "openmpi mpirun"
takes both mpich "mpich mpirun.mpich"
takes other open "openmpi mpirun.openmpi"
MPIRUN=/opt/mpirun
export MPIRUN
takes both mpich "mpich /opt/mpirun"
takes both open "openmpi /opt/mpirun"
echo "1..$n"
exit $failed

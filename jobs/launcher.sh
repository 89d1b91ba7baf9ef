#!/bin/sh
# jobs/launcher.sh -- question: which mpirun or mpiexec starts this program?
#
#     sh jobs/launcher.sh PROGRAM
#
# Nodes: wherever the program will run.  Minutes: 0.
# Output: one line, the kind of MPI that the program is linked with (openmpi; mpich,
# with Intel's and Cray's) and a launcher of that kind, empty where there is none.
#
# Where two MPIs are installed, mpirun may be the other one's, which would start
# so many worlds of one rank.  MPIRUN names the launcher.
set -eu

program=${1:?the program}
mpi=$("$program" --version | grep ', MPI [0-9]' || :)
case $mpi in
*"Open MPI"* | "") kind=openmpi ;; # nothing: it cannot even run
*) kind=mpich ;;
esac

if [ -n "${MPIRUN-}" ]; then
  echo "$kind $MPIRUN"
  exit 0
fi
for try in mpirun mpiexec "mpirun.$kind" "mpiexec.$kind" mpiexec.hydra; do
  command -v "$try" >/dev/null 2>&1 || continue
  said=$("$try" --version 2>&1 </dev/null || :)
  case $kind:$said in
  openmpi:*"Open MPI"* | openmpi:*open-mpi* | openmpi:*OpenRTE*) ;;
  mpich:*"Open MPI"* | mpich:*open-mpi* | mpich:*OpenRTE* | openmpi:*) continue ;;
  esac
  echo "$kind $try"
  exit 0
done
echo "$kind "

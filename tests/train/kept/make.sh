#!/bin/sh
# tests/train/kept/make.sh PROGRAM FOLDER TO -- makes the kept run directories.
#
#     sh tests/train/kept/make.sh build/interlock build/tests/store/folder NEW
#
# PROGRAM  whose run directories are kept; FOLDER makes a folder of photographs;
# TO       a new folder for the three cases.
#
# Each case is a data set, a run that was stopped at step 4 of 8, what it says when
# asked, and the records of one that was not stopped, of equal cut and kernels.
# README.md says what was kept, and of what version.
set -eu

LC_ALL=C OMP_NUM_THREADS=1
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export LC_ALL OMP_NUM_THREADS OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM
unset SLURM_JOB_ID SLURM_RESTART_COUNT
interlock=$(realpath "$1") folder=$(realpath "$2")
cases=$(cd "$(dirname "$0")" && pwd)
mkdir "$3"
cd "$3"

# Two ranks on one machine.
train () { # words
  mpirun --oversubscribe --bind-to none -n 2 "$interlock" train ../case.ini "$@"
}

# A few looks a second at a run that makes two steps a second: which step it is
# that it stops at is seen from what it says, and tried again.
stopped () {
  until grep -q '^stopped 75 step=4 ' run/status 2>/dev/null; do
    rm -rf run
    INTERLOCK_PACE=500 train >said 2>&1 &
    until grep -q '^step=0*1 ' run/progress 2>/dev/null; do sleep 0.05; done
    touch run/stop
    wait $! || true
  done
}

made () { # name, words of import ...
  name=$1
  shift
  mkdir "$name"
  cd "$name"
  cp "$cases/$name/case.ini" .
  "$interlock" import "$@" -o data.h5
  mkdir work whole
  cd work
  stopped
  cp -R run ..
  again="stages.cut=$(sed -n 's/^cut = //p' run/config.ini)"
  [ ! -f run/tune.txt ] || again="$again train.tune=../run/tune.txt"
  "$interlock" eval run >../whole/eval.out
  ! grep -q '^family = transformer' ../case.ini ||
    "$interlock" generate run --tokens 40 --seed 5 >../whole/generate.out
  rm -rf run
  # shellcheck disable=SC2086 # two words
  train $again
  cp run/config.ini run/events.jsonl run/facts.ini run/metrics.csv ../whole
  cd ..
  rm -r work
  cd ..
}

awk 'BEGIN {
  split ("the a house river stands runs beside under old slowly and", w, " ")
  x = 7
  for (i = 0; i < 60; i++) {
    line = ""
    for (k = 0; k < 9; k++) {
      x = (x * 1103 + 12345) % 65536
      line = line (k ? " " : "") w[1 + x % 11]
    }
    print line "."
  }
}' >text.txt
"$folder" make photographs.d 2
made pixels synthetic seed=5 size=8 train=24 valid=8 test=8
made tokens text ../text.txt valid=0.1 test=0.1
made photographs folder ../photographs.d size=16
rm -r text.txt photographs.d

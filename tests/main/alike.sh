#!/bin/sh
# tests/main/alike.sh -- a launcher may start several lines of words, or several
# programs, as one world: every command that runs under MPI refuses what
# differs, naming it, before anything is opened.
#
# Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

case $launcher in
mpirun* | mpiexec* | */mpirun* | */mpiexec*) ;;
*)
  echo "1..0 # SKIP $launcher starts one line of words only"
  exit 0
  ;;
esac

# mixed "WORDS" PROGRAM "WORDS": one rank of the program with the first words,
# one of another with the second ones.
mixed ()
{
  # shellcheck disable=SC2086
  many 1 $1 : -n 1 "$2" $3
}

# refused CODE WHAT RANK1: exit status, and one line that names what differs
# with what each rank has.
refused ()
{
  got=$?
  [ "$got" = "$1" ]
  ok $? "$4: exit status $got, wanted $1"
  complaints >lines
  [ "$(wc -l <lines)" -eq 1 ] && grep -q "^interlock: $2: not the same on all \
ranks: rank 0 on [^:]*: .*; rank 1 on [^:]*: .*$3" lines
  ok $? "$4: names $2 with ranks and hosts"
}

for command in train eval generate probe verify 'plan --calibrate=costs.ini'; do
  mixed "$command a.ini" "$I" "$command b.ini"
  refused 64 'words of the command line' b.ini "$command"
done
mixed "train a.ini" "$I" "eval a.ini"
refused 64 'words of the command line' 'eval a.ini' 'two commands'
mixed "train a.ini train.lr=0.1" "$I" "train a.ini"
refused 64 'words of the command line' 'train a.ini' 'a word more'
[ "$(find . -name run)" = "" ]
ok $? "nothing was opened"

cp "$I" other && echo >>other
mixed "train a.ini" ./other "train a.ini"
refused 69 program 'interlock [^ ]*, [0-9a-f]*' 'another build'

mkdir t && cd t || exit 1
mixed "train $small train.steps=2" "$I" "train $small train.steps=2"
ok $? "the same words twice are one start"
cd .. || exit 1
done_testing

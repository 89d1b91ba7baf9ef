#!/bin/sh
# tests/train/save.sh -- checkpoints beside the steps: the same ones as while all
# wait, and what becomes of a run whose disk fails.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

# digests FOLDER [STEP]: of a checkpoint (the last one), as the record has them
digests ()
{
  grep '^{"event":"checkpoint"' "$1/run/events.jsonl" |
    grep "\"step\":${2-[0-9]*}," | sed 's/.*"weights":/"weights":/' | tail -n 1
}

# rows FOLDER: metrics.csv without what a clock says
rows ()
{
  $AWK -F, 'NR == 1 { for (i = 1; i <= NF; i++)
      drop[i] = $i == "seconds" || $i == "samples_per_s" }
    { for (i = 1; i <= NF; i++) printf "%s,", drop[i] ? "" : $i; print "" }' \
    "$1/run/metrics.csv"
}

parts () # FOLDER: nothing half-written in it
{
  [ -z "$(ls "$1"/run/checkpoints/*.part 2>/dev/null)" ]
}

# -- three ways, one result ------------------------------------------------------

mkdir beside independent collective
for way in beside independent collective; do
  cd $way || exit 1
  case $way in
  beside) words= ;;
  *) words="checkpoint.async=no checkpoint.io=$way" ;;
  esac
  # shellcheck disable=SC2086
  many 3 train $small train.steps=24 checkpoint.every=8 checkpoint.keep=9 $words
  ok $? "$way"
  cd .. || exit 1
  digests $way 8 >said
  digests $way 24 >>said
  digests independent 8 >errors 2>/dev/null
  digests independent 24 >>errors 2>/dev/null
  [ "$(wc -l <said)" -eq 2 ] && parts $way &&
    { [ $way = beside ] || cmp -s said errors; }
  ok $? "$way: digests of steps 8 and 24"
done
digests beside 24 >said
digests collective 24 >errors
cmp -s said errors
ok $? "beside the steps and while all wait: the same"
one info --check beside/run/checkpoints/step-000000024.h5
ok $? "and whole"
# A short wait is written as 9.5e-05.
grep -q '"async":true,.*"bytes":[0-9][0-9]*,"blocked_s":[0-9][0-9.e+-]*,"write_s":[0-9][0-9.e+-]*,"total_s":[0-9][0-9.e+-]*,"bytes_per_s":[0-9]' \
  beside/run/events.jsonl
ok $? "the record tells bytes, time waited, time and rate of writing"

# -- one save in the middle fails ------------------------------------------------

mkdir middle
cd middle || exit 1
# shellcheck disable=SC2086
INTERLOCK_FAIL=write:2@1 many 2 train $small train.steps=300 \
  checkpoint.every=100 checkpoint.keep=9
code=$?
[ $code = 0 ] && [ -e run/checkpoints/step-000000100.h5 ] &&
  [ ! -e run/checkpoints/step-000000200.h5 ] &&
  [ -e run/checkpoints/step-000000300.h5 ] &&
  parts .
ok $? "the second of three cannot be written: training goes on, exit $code"
[ "$(grep -c 'rank 1: .*step-000000200.*No space left' errors)" -eq 1 ]
ok $? "said once, with rank, file and reason"
grep -q '^{"event":"unsaved",.*"step":200' run/events.jsonl
ok $? "and recorded"
one info --check run/checkpoints/step-000000100.h5
ok $? "the one before is whole"
cd .. || exit 1
mkdir rotten
cd rotten || exit 1
# shellcheck disable=SC2086
INTERLOCK_FAIL=damage:2 many 2 train $small train.steps=300 \
  checkpoint.every=100 checkpoint.keep=9
code=$?
[ $code = 0 ] && [ ! -e run/checkpoints/step-000000200.h5 ] && parts . &&
  grep -q 'step-000000200.*wrong when read back' errors
ok $? "a disk that gives back other bytes is noticed, exit $code"
cd .. || exit 1

# -- all saves fail ----------------------------------------------------------------

mkdir never
cd never || exit 1
mkdir run
: >run/checkpoints # a file where the directory should be
for words in "checkpoint.async=yes" "checkpoint.async=no"; do
  # shellcheck disable=SC2086
  many 2 train $small train.steps=400 checkpoint.every=5 $words
  code=$?
  steps=$(grep -c '^{"event":"unsaved"' run/events.jsonl)
  [ $code = 74 ] && [ "$steps" -eq 3 ]
  ok $? "$words: three failures in a row end the run with 74, not $code"
  rm run/events.jsonl
done
cd .. || exit 1

# -- a full disk -------------------------------------------------------------------

mkdir full full/run full/run/checkpoints
if mount -t tmpfs -o size=600k interlock-test full/run/checkpoints 2>errors; then
  cd full || exit 1
  # shellcheck disable=SC2086
  many 2 train $small train.steps=200 checkpoint.every=10 checkpoint.keep=9
  code=$?
  last=$(ls run/checkpoints/*.h5 | tail -n 1)
  complaints >lines
  [ $code = 74 ] && grep -q 'No space left on device' lines && parts .
  ok $? "a full disk: exit 74, not $code, and the reason"
  whole=0
  for f in run/checkpoints/*.h5; do
    one info --check "$f" || whole=1
  done
  ok $whole "what was saved before is whole: $last"
  rm "$(ls run/checkpoints/*.h5 | head -n 1)"
  # shellcheck disable=SC2086
  many 2 train $small train.steps=200 checkpoint.every=10 checkpoint.keep=1
  code=$?
  [ $code = 0 ] && grep -q 'continuing from' said
  ok $? "with room again the same command goes on to the end, exit $code"
  umount run/checkpoints
  cd .. || exit 1
else
  for _ in 1 2 3; do
    n=$((n + 1)); echo "ok $n # SKIP no file system may be mounted here"
  done
fi

# -- rows of metrics.csv ------------------------------------------------------------

# 600 steps: a row is 6 of them.  It stops in the middle of one.
mkdir whole halves
# shellcheck disable=SC2086
(cd whole && one train $small train.steps=600 train.eval_every=100)
ok $? "600 steps"
cd halves || exit 1
# shellcheck disable=SC2086
"$I" train $small train.steps=600 train.eval_every=100 checkpoint.every=90 \
  >said 2>errors </dev/null &
pid=$!
tries=0
until grep -qs '"step":90' run/events.jsonl || [ $tries -gt 500 ]; do
  sleep 0.02
  tries=$((tries + 1))
done
kill -KILL $pid
wait $pid 2>/dev/null
# shellcheck disable=SC2086
one train $small train.steps=600 train.eval_every=100 checkpoint.every=90
ok $? "the same, killed after a checkpoint and begun again"
grep -q 'continuing from .* at step [1-9]' said
ok $? "in the middle"
cd .. || exit 1
rows whole >said
rows halves >errors
cmp -s said errors
ok $? "has the same rows of metrics.csv, none twice"
(cd halves/run && rm metrics.csv status progress checkpoints/step-000000600.h5)
# shellcheck disable=SC2086
(cd halves && one train $small train.steps=600 train.eval_every=100)
rows halves >errors
cmp -s said errors
ok $? "rows that were lost come back from the checkpoint"

done_testing

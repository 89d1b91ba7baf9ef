#!/bin/sh
# tests/train/last.sh -- evaluations that a stop or a kill finds at work: the
# weights are saved before the last ones, a stop is heard between batches, and the
# next start evaluates what is missing and nothing else.  Prints TAP.

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

unset SLURM_JOB_ID SLURM_RESTART_COUNT SLURM_JOB_END_TIME
"$I" import -q synthetic seed=5 size=16 train=64 valid=960 test=32 -o data.h5 --force ||
  exit 1
words="$small train.steps=4 train.eval_every=2"

# rows FOLDER: split, step, losses and accuracies of the evaluations there
rows () { grep -E ',(valid|test),' "$1/run/metrics.csv" | cut -d , -f 1-11 | sort; }

# slowly N ARGUMENT...: N ranks in the background, 60 batches of evaluation in
# three seconds and more
slowly ()
{
  INTERLOCK_PACE=50 many "$@" &
  pid=$!
}

# in_evaluation STEP: wait until the run has taken so many steps and 0.2 s more
in_evaluation ()
{
  tries=0
  until [ "$(sed -n 's/^step=0*\([0-9][0-9]*\) .*/\1/p' run/progress 2>/dev/null)" = \
    "$1" ] || [ $tries -gt 1000 ]; do
    sleep 0.02
    tries=$((tries + 1))
  done
  [ "$1" = 2 ] || until [ -e run/checkpoints/step-000000004.h5 ] ||
    [ $tries -gt 2000 ]; do
    sleep 0.02
    tries=$((tries + 1))
  done
  sleep 0.2
}

mkdir whole && cd whole || exit 1
# shellcheck disable=SC2086
many 2 train $words
[ $? = 0 ] && [ "$(rows . | wc -l)" = 3 ]
ok $? "a run with three evaluations"
saved=$(grep -n '^saved' run/log | cut -d : -f 1 | tail -n 1)
valid=$(grep -n '^step=4 split=valid' run/log | cut -d : -f 1)
[ -n "$saved" ] && [ "$saved" -lt "$valid" ]
ok $? "its last checkpoint comes before its last evaluations"
cd .. || exit 1

# again NAME: the next start comes to what the undisturbed run has come to
again ()
{
  # shellcheck disable=SC2086
  many 2 train $words
  [ $? = 0 ] && [ "$(cat run/status)" = "finished 0 step=4" ]
  ok $? "$1: the next start finishes"
  rows ../whole >wanted
  rows . | cmp -s wanted -
  ok $? "$1: with the same rows, each once"
}

# -- the last evaluations -----------------------------------------------------------

mkdir killed && cd killed || exit 1
# shellcheck disable=SC2086
INTERLOCK_PACE=50 "$I" train $words train.eval_every=0 >said 2>errors </dev/null &
pid=$!
in_evaluation 4
kill -KILL $pid
wait $pid 2>/dev/null
[ -e run/checkpoints/step-000000004.h5 ] && ! grep -q ',valid,' run/metrics.csv
ok $? "killed in the last evaluation: the weights are there"
words="$words train.eval_every=0"
cp -R . ../copy
# shellcheck disable=SC2086
many 2 train $words
[ $? = 0 ] && [ "$(cat run/status)" = "finished 0 step=4" ] &&
  [ "$(grep -c '"event":"checkpoint"' run/events.jsonl)" = 1 ] &&
  ! grep -q 'split=train' said
ok $? "the next start evaluates only"
rows ../whole | grep '^4,' >wanted
rows . | cmp -s wanted -
ok $? "and has the rows of a run that was not killed"
# shellcheck disable=SC2086
one train $words
[ $? = 0 ] && grep -q 'already finished: 4 steps' said
ok $? "then nothing is left to do"
cd ../copy || exit 1
sed -n '$p' ../killed/run/metrics.csv | grep -q ',test,' &&
  grep ',valid,' ../killed/run/metrics.csv >>run/metrics.csv
# shellcheck disable=SC2086
one train $words
[ $? = 0 ] && ! grep -q split=valid said && grep -q split=test said &&
  rows . | cmp -s ../killed/wanted -
ok $? "of two evaluations the one that is missing"
cd .. || exit 1

mkdir stopped && cd stopped || exit 1
# shellcheck disable=SC2086
slowly 2 train $words
in_evaluation 4
touch run/stop
wait $pid
[ $? = 75 ] && [ "$(cat run/status)" = "stopped 75 step=4 reason=stop-file" ] &&
  ! grep -q '^4,.*,valid,' run/metrics.csv
ok $? "a stop file in the last evaluation: heard before it is over"
rm -f run/status
# shellcheck disable=SC2086
many 2 train $words
[ $? = 0 ] && rows . | grep '^4,' | cmp -s ../killed/wanted -
ok $? "and the next start evaluates"
cd .. || exit 1

mkdir unsaved && cd unsaved || exit 1
# shellcheck disable=SC2086
INTERLOCK_PACE=50 "$I" train $words checkpoint.at_end=no >said 2>errors </dev/null &
pid=$!
in=0
until [ "$(sed -n 's/^step=0*\([0-9][0-9]*\) .*/\1/p' run/progress 2>/dev/null)" = 4 ] ||
  [ $in -gt 1000 ]; do
  sleep 0.02
  in=$((in + 1))
done
kill -USR1 $pid
wait $pid
[ $? = 75 ] && [ -e run/checkpoints/step-000000004.h5 ]
ok $? "a signal where no checkpoint was wanted at the end: saved all the same"
cd .. || exit 1

# -- an evaluation on the way -----------------------------------------------------------

words="$small train.steps=4 train.eval_every=2"
mkdir way && cd way || exit 1
# shellcheck disable=SC2086
slowly 2 train $words
in_evaluation 2
touch run/stop
wait $pid
[ $? = 75 ] && [ "$(cat run/status)" = "stopped 75 step=2 reason=stop-file" ] &&
  ! grep -q ',valid,' run/metrics.csv
ok $? "a stop in an evaluation on the way: heard before it is over"
again "stopped on the way"
cd .. || exit 1

done_testing

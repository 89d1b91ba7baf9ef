#!/bin/sh
# tests/train/start.sh -- starts that are refused, or asked to stop before their
# first step: what status says, and that only starts that died count as having
# come to nothing.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

# stop_at_once ARGUMENT...: a start that hears USR1 before it trains.
stop_at_once ()
{
  # shellcheck disable=SC2086
  "$I" train $small "$@" >said 2>errors </dev/null &
  pid=$!
  tries=0
  until grep -q "\"pid\": $pid," run/lock 2>/dev/null || [ $tries -gt 2000 ]; do
    sleep 0.005
    tries=$((tries + 1))
  done
  kill -USR1 $pid
  wait $pid
}

attempts () { sed -n 's/.* attempts=0*\([0-9]\)/\1/p' run/progress; }

# -- polite stops -------------------------------------------------------------------

mkdir polite && cd polite || exit 1
good=0
for try in 1 2 3 4; do
  stop_at_once train.steps=6
  [ $? = 75 ] && [ "$(cat run/status)" = "stopped 75 step=0 reason=USR1" ] &&
    [ "$(attempts)" = 0 ] && good=$((good + 1))
done
[ $good = 4 ]
ok $? "asked to stop before the first step, four times: 75, and none counts"
# shellcheck disable=SC2086
one train $small train.steps=1 checkpoint.at_end=no && [ "$(attempts)" = 0 ]
ok $? "one that finishes does not count either"
for try in 1 2; do
  # shellcheck disable=SC2086
  INTERLOCK_FAIL=kernel:1 one train $small train.steps=6
  [ $? = 70 ] && [ "$(attempts)" = $try ]
  ok $? "a start that dies counts: $try"
  stop_at_once train.steps=6
  [ $? = 75 ] && [ "$(attempts)" = $try ]
  ok $? "and one that is asked to stop does not take the count back"
done
# shellcheck disable=SC2086
INTERLOCK_FAIL=kernel:1 one train $small train.steps=6
# shellcheck disable=SC2086
one train $small train.steps=6
[ $? = 77 ]
ok $? "three that died: 77"
# shellcheck disable=SC2086
one train $small train.steps=6 run.attempts=0
[ $? = 0 ]
ok $? "run.attempts=0 goes on"
cd .. || exit 1

# -- measuring ----------------------------------------------------------------------

mkdir measured && cd measured || exit 1
stop_at_once run.cache=no train.steps=6 train.tune=yes train.batch=64
[ $? = 75 ] && [ "$(cat run/status)" = "stopped 75 step=0 reason=USR1" ] &&
  grep -q 'asked to stop while choosing kernels' said && [ ! -e run/tune.txt ]
ok $? "a signal while kernels are chosen: heard there"
touch run/stop
# shellcheck disable=SC2086
many 2 train $small run.cache=no train.steps=6 train.tune=yes train.batch=64
[ $? = 75 ] && [ "$(cat run/status)" = "stopped 75 step=0 reason=stop-file" ] &&
  [ ! -e run/tune.txt ] && [ ! -e run/stop ]
ok $? "a stop file that one of two ranks looks at: the same"
# shellcheck disable=SC2086
SLURM_JOB_END_TIME=$(($(date +%s) + 5)) one train $small run.cache=no train.steps=6
[ $? = 75 ] && [ "$(cat run/status)" = "stopped 75 step=0 reason=time-limit" ] &&
  grep -q 'asked to stop while measuring blocks' said && [ ! -e run/costs.txt ]
ok $? "the end of the job's time while blocks are measured: the same"
# shellcheck disable=SC2086
many 2 train $small run.cache=no train.steps=6 train.tune=yes train.batch=64
[ $? = 0 ] && [ -e run/tune.txt ]
ok $? "and the next start trains"
cd .. || exit 1

# -- refused ------------------------------------------------------------------------

# refused CODE NAME ARGUMENT...: in a folder of its own.
refused ()
{
  code=$1 name=$2
  shift 2
  rm -rf run
  # shellcheck disable=SC2086
  one train $small train.steps=6 "$@"
  got=$?
  [ $got = "$code" ] && grep -q "^failed $code step=0 reason=." run/status
  ok $? "refused with $code in a new directory, $name: so says status"
}
mkdir refused && cd refused || exit 1
OMP_NUM_THREADS=100000
refused 64 "a hundred thousand threads"
OMP_NUM_THREADS=1
# shellcheck disable=SC2086
one train $small train.steps=6 run.dir=
[ $? = 64 ] && grep -q 'run.dir is empty' errors
ok $? "an empty run.dir is refused"
refused 64 "less than a batch" data.limit=5
refused 69 "no data set" data.file=none.h5
head -c 3000 ../data.h5 >cut.h5
refused 65 "half a data set" data.file=cut.h5
rm -rf run
# shellcheck disable=SC2086
many 5 train $small train.steps=6
[ $? = 64 ] && grep -q '^failed 64 step=0 reason=' run/status
ok $? "too many ranks: the same"
# shellcheck disable=SC2086
one train $small train.steps=6 && cp run/status before
# shellcheck disable=SC2086
many 5 train $small train.steps=12
[ $? = 64 ] && cmp -s before run/status
ok $? "what status said before stays"
echo 'running 0 step=6' >run/status
# shellcheck disable=SC2086
many 5 train $small train.steps=12
[ $? = 64 ] && ! grep -q running run/status
ok $? "unless it was of a start that is dead"
# shellcheck disable=SC2086
one train $small train.steps=12 && [ "$(cat run/status)" = "finished 0 step=12" ]
ok $? "and the run goes on"
# shellcheck disable=SC2086
one train $small train.steps=13 --dump 99,0,output
[ $? = 0 ] && grep -q -e '--dump 99,0,output: nothing was written' errors
ok $? "a step to dump that is never reached is told"
one eval run data.limit=3
[ $? = 0 ] && grep -q '(valid, 3 samples)' said
ok $? "eval of fewer samples than a batch"

# A damaged file takes no place of a good one.
# shellcheck disable=SC2086
one train $small train.steps=14 checkpoint.keep=9
# In the weights, where opening it does not look.
file=run/checkpoints/step-000000014.h5
dd if=/dev/zero of=$file bs=1 seek=$(($(wc -c <$file) / 2)) count=64 conv=notrunc \
  2>/dev/null
# shellcheck disable=SC2086
one train $small train.steps=16 checkpoint.keep=2
[ $? = 0 ] && [ "$(cd run/checkpoints && echo *.h5)" = \
  "step-000000013.h5 step-000000014.h5 step-000000016.h5" ]
ok $? "checkpoint.keep counts good files"
[ "$(grep -c 'passed over: .*step-000000014' errors)" = 1 ]
ok $? "and the damaged one is named once"

done_testing

#!/bin/sh
# tests/train/stop.sh -- a run that is stopped, killed, finished or started twice:
# nothing is lost, the reason is told, and only one of two publishes.  Prints TAP.

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/train/again.sh"

# -- stopping -----------------------------------------------------------------------

cd "$tmp" && rm -rf now && mkdir now && cd now || exit 1
# A shell's background jobs ignore INT; env can undo that.
interrupt=INT
default="env --default-signal=INT"
$default true 2>/dev/null || { interrupt=; default=; }
for signal in USR1 USR2 TERM $interrupt; do
  # shellcheck disable=SC2086
  INTERLOCK_PACE=10 $default "$I" train $small train.steps=2000 train.eval_every=0 \
    >said.1 2>errors </dev/null &
  pid=$!
  before=$(sed -n 's/^.* step=\([0-9]*\).*/\1/p' run/status 2>/dev/null)
  until_step $((${before:-0} + 3))
  kill -CONT $pid
  kill -$signal $pid
  sleep 0.03
  kill -CONT $pid
  kill -USR2 $pid 2>/dev/null
  kill -TERM $pid 2>/dev/null
  wait $pid
  got=$?
  cp said.1 said
  grep -q "^stopped 75 step=[1-9][0-9]* reason=$signal\$" run/status &&
    [ $got = 75 ] && [ -n "$(newest)" ]
  ok $? "$signal: saved, and left with 75; the second signal changed nothing"
done
[ "$(last exact)" = true ] && [ "$(last lost)" = 0 ]
ok $? "each went on without losing a step"
touch run/stop
# shellcheck disable=SC2086
many 2 train $small train.steps=2000
[ $? = 75 ] && grep -q 'reason=stop-file$' run/status
ok $? "a stop file, told as such"
# shellcheck disable=SC2086
SLURM_JOB_END_TIME=$(($(date +%s) + 5)) many 2 train $small train.steps=2000
[ $? = 75 ] && grep -q 'reason=time-limit$' run/status
ok $? "the time limit, told as such"
one info run
[ $? = 0 ] && grep -q 'stopped .*: USR1' said && grep -q 'stopped .*: time-limit' said &&
  grep -q 'in all: [56] starts, 0 of them died, 0 steps lost' said
ok $? "info tells the history of the run"

# -- killed ---------------------------------------------------------------------------

from half
# shellcheck disable=SC2086
INTERLOCK_PACE=10 "$I" train $small train.steps=2000 checkpoint.every=0 \
  >said.1 2>&1 </dev/null &
pid=$!
until_step 17
kill -KILL $pid
wait $pid 2>/dev/null
reached=$(sed -n 's/^step=0*\([0-9][0-9]*\) .*/\1/p' run/progress)
[ "$(cut -d ' ' -f 1 run/status)" = running ]
ok $? "killed: status still says running"
one info run
[ $? = 0 ] && head -n 1 said | grep -q 'died at step [0-9]*: no process holds the lock' &&
  ! sed '/newest whole/q' said | grep -q running && grep -q 'in all: .* 1 of them died' said
ok $? "but info looks, and says that it died"
# shellcheck disable=SC2086
one train $small train.steps=24 checkpoint.every=12 checkpoint.keep=9
[ $? = 0 ] && [ "$(last lost)" = $((reached - 12)) ] && [ "$(last lost)" -ge 5 ]
ok $? "the next start tells how many steps were lost"
same ../whole
ok $? "and comes to the same bits"

from half
for try in 1 2 3; do
  # shellcheck disable=SC2086
  INTERLOCK_FAIL=kernel:9 one train $small train.steps=24
  [ $? = 70 ] || ok 1 "try $try"
done
# shellcheck disable=SC2086
one train $small train.steps=24
[ $? = 77 ] && grep -q 'run.attempts=0' errors && grep -q '^failed 77 ' run/status
ok $? "three starts without a step of progress: 77"
# shellcheck disable=SC2086
many 2 train $small train.steps=24
[ $? = 77 ]
ok $? "again on 2 ranks"
# shellcheck disable=SC2086
one train $small train.steps=16 run.attempts=0
ok $? "run.attempts=0 goes on"
# shellcheck disable=SC2086
one train $small train.steps=24
ok $? "and progress has reset the count"

# -- finished, and twice at once -------------------------------------------------------

# quickest ARGUMENT...: milliseconds of the fastest of three, and its status
quickest () {
  least=999999
  for _ in 1 2 3; do
    begin=$(date +%s%N)
    one "$@"
    got=$?
    end=$(date +%s%N)
    took=$(((end - begin) / 1000000))
    [ $took -lt $least ] && least=$took
  done
}

from whole
# shellcheck disable=SC2086
one train $small train.steps=24 train.tune=yes
[ $? = 0 ] && grep -q 'already finished: 24 steps' said && [ ! -e run/tune.txt ] &&
  [ "$(cat run/status)" = "finished 0 step=24" ]
ok $? "a finished run has nothing to do, and measures nothing"
case $(date +%N) in
*[!0-9]* | '') ok 0 "# SKIP no clock" ;;
*)
  quickest eval nothing.h5
  bare=$least
  # shellcheck disable=SC2086
  quickest train $small train.steps=24
  echo "$least ms, a start that does nothing $bare ms" >said
  [ $got = 0 ] && [ $least -lt $((bare + 500)) ]
  ok $? "within a second"
  ;;
esac

# One of a job that was left over, asleep, when the job was started again.
cd "$tmp" && rm -rf now && mkdir now && cd now || exit 1
# shellcheck disable=SC2086
SLURM_JOB_ID=17 INTERLOCK_PACE=20 "$I" train $small train.steps=400 \
  checkpoint.every=5 >said.1 2>errors.1 </dev/null &
pid=$!
until_step 7
kill -STOP $pid
# shellcheck disable=SC2086
SLURM_JOB_ID=17 SLURM_RESTART_COUNT=1 one train $small train.steps=24 checkpoint.every=12
ok $? "the same job, restarted: takes over from its older self"
cp said said.2
kill -CONT $pid
wait $pid
got=$?
cp errors.1 errors
[ $got = 64 ] && grep -q 'taken over by process\|lock is gone' errors
ok $? "which ends when it wakes"
[ "$(cat run/status)" = "finished 0 step=24" ] &&
  [ "$(newest)" = run/checkpoints/step-000000024.h5 ] &&
  [ -z "$(find run -name '*.part')" ]
ok $? "and has left nothing behind"

done_testing

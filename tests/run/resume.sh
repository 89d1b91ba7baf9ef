#!/bin/sh
# tests/run/resume.sh -- a run that is stopped, killed, damaged or started twice
# goes on to the bits of one that never was, and says what it did.  Prints TAP.

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

unset SLURM_JOB_ID SLURM_RESTART_COUNT SLURM_JOB_END_TIME

newest () { find run/checkpoints -name '*.h5' 2>/dev/null | sort | tail -n 1; }

# last NAME: its value in the last line of events.jsonl that begins a start
last () {
  grep -E '"event":"(start|resume)"' run/events.jsonl | tail -n 1 |
    sed -n 's/.*"'"$1"'":\("\([^"]*\)"\|\([^,}]*\)\).*/\2\3/p'
}

# same FOLDER: the last checkpoint of the run here holds what that of the run in
# FOLDER holds: weights, optimizer slots, random and sample state
same () {
  for folder in . "$1"; do
    grep '"event":"checkpoint"' "$folder/run/events.jsonl" | tail -n 1 |
      sed -n 's/.*"step":\([0-9]*\).*"weights":"\([0-9a-f]*\)","optimizer":"\([0-9a-f]*\)","state":"\([0-9a-f]*\)".*/\1 \2 \3 \4/p'
  done >said
  [ "$(wc -l <said)" = 2 ] && [ "$(sort -u said | wc -l)" = 1 ]
}

# flip FILE OFFSET: another byte there
flip () {
  byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
  # shellcheck disable=SC2059
  printf "\\$(printf %o $(((byte + 1) % 256)))" |
    dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# from NAME: a folder whose run is a copy of that folder's
from () {
  cd "$tmp" || exit 1
  rm -rf now
  cp -R "$1" now
  cd now || exit 1
}

# until_step N: wait until the run in the background has done so many
until_step () {
  tries=0
  until [ "$(sed -n 's/^step=0*\([0-9][0-9]*\) .*/\1/p' run/progress 2>/dev/null ||
    echo 0)" -ge "$1" ] 2>/dev/null || [ $tries -gt 1000 ]; do
    sleep 0.02
    tries=$((tries + 1))
  done
}

# -- the same bits ----------------------------------------------------------------

# 24 steps without a stop; and 12 of them, to go on from.
mkdir whole half
# shellcheck disable=SC2086
(cd whole && many 2 train $small train.steps=24 checkpoint.every=12 checkpoint.keep=9)
ok $? "24 steps on 2 ranks"
# shellcheck disable=SC2086
(cd half && many 2 train $small train.steps=12 checkpoint.every=4 checkpoint.keep=9 \
  checkpoint.async=no)
ok $? "12 steps on 2 ranks"
[ "$(cat half/run/status)" = "finished 0 step=12" ]
ok $? "status says how it ended"

for ranks in 1 2 4; do
  from half
  # shellcheck disable=SC2086
  many $ranks train $small train.steps=24 checkpoint.every=12 checkpoint.keep=9
  ok $? "12 more on $ranks"
  same ../whole
  ok $? "the last checkpoint holds what that of the undisturbed run holds"
  tail -n 3 run/events.jsonl >said
  [ "$(last exact)" = true ] && [ "$(last lost)" = 0 ] &&
    [ "$(last was_pipe)" = 2 ] && [ "$(last pipe)" = $ranks ] &&
    [ "$(last step)" = 12 ]
  ok $? "the receipt: exact, nothing lost, ranks then and now"
  for part in weights optimizer state; do
    [ -n "$(last saved_$part)" ] && [ "$(last saved_$part)" = "$(last loaded_$part)" ]
    ok $? "digests of $part: as saved, as loaded"
  done
done

# Two micro-batches on one replica, one on each of two: over the same samples.
cd "$tmp" && mkdir two || exit 1
# shellcheck disable=SC2086
(cd two && many 2 train $small train.steps=18 train.micro=2 checkpoint.every=12 \
  checkpoint.async=no checkpoint.keep=9)
ok $? "18 steps of two micro-batches"
from two
rm run/checkpoints/step-000000018.h5 run/status
# shellcheck disable=SC2086
many 2 train $small train.steps=18 run.replicas=2
[ $? = 0 ] && [ "$(last exact)" = false ] && grep -q 'replicas 2, was 1' said
ok $? "on two replicas: it goes on, and does not claim the same bits"
$AWK -F, 'NR == FNR { if ($3 == "train") was[$1] = $10; next }
  $3 == "train" && $1 > 12 { n++; d = $10 - was[$1]; if (d < 0) d = -d
    if (d > 0.001 * was[$1]) { print $1, $10, was[$1]; bad = 1 } }
  END { exit bad || n != 6 }' ../two/run/metrics.csv run/metrics.csv >said
ok $? "the same batches: every loss within 1 in 1000"

# -- damage ---------------------------------------------------------------------

from half
size=$(wc -c <run/checkpoints/step-000000012.h5)
flip run/checkpoints/step-000000012.h5 $((size / 2))
head -c 5000 run/checkpoints/step-000000008.h5 >x &&
  mv x run/checkpoints/step-000000008.h5
touch run/checkpoints/step-000000016.h5.n1.5.part run/config.ini.part
# shellcheck disable=SC2086
many 2 train $small train.steps=16 checkpoint.every=4 checkpoint.keep=9 \
  checkpoint.async=no
[ $? = 0 ] && [ "$(last step)" = 4 ] && [ "$(last lost)" = 8 ]
ok $? "two damaged checkpoints: it goes on from the one before, 8 steps lost"
[ "$(grep -c 'warning: passed over: .*step-00000\(0012\|0008\)' errors)" = 2 ]
ok $? "both are named"
[ -z "$(find run -name '*.part')" ]
ok $? "half-written files are gone"
one info --check run/checkpoints/step-000000012.h5
ok $? "and the damaged one is whole again"

from half
for f in run/checkpoints/*.h5; do flip "$f" 3000; done
# shellcheck disable=SC2086
many 2 train $small train.steps=16
[ $? = 65 ] && grep -q 'none can be used' errors &&
  [ "$(cut -d ' ' -f 1,2 run/status)" = "failed 65" ]
ok $? "nothing left to go on from: 65, not from the beginning"
rm -r run/checkpoints
# shellcheck disable=SC2086
many 2 train $small train.steps=16
[ $? = 65 ]
ok $? "the same when they were removed"
rm run/events.jsonl
# shellcheck disable=SC2086
many 2 train $small train.steps=4
ok $? "without events either: a new run"

# -- other settings -----------------------------------------------------------------

from half
for word in train.seed=4 train.batch=32 train.optimizer=adamw data.limit=48 \
  data.order=sequential; do
  # shellcheck disable=SC2086
  one train $small train.steps=16 $word
  [ $? = 64 ] && grep -q "$(echo $word | sed 's/=/ = /'), was" errors
  ok $? "$word: another run, refused"
done
cmp run/config.ini ../half/run/config.ini >said 2>&1 &&
  [ "$(cat run/status)" = "finished 0 step=12" ]
ok $? "refusing has left no trace"
# shellcheck disable=SC2086
one train $small train.steps=16 model.groups=8x2,24x2
[ $? = 65 ] && grep -q 'the model wants' errors
ok $? "another width: 65"
# shellcheck disable=SC2086
one train $small train.steps=16 model.groups=8x2,16x1 stages.cut=2,1,rest \
  stages.count=3
[ $? = 65 ] && grep -q 'of another network: ' errors
ok $? "less depth: 65, though all that is left would fit"

from half
# shellcheck disable=SC2086
one train $small train.steps=16 stages.count=3 stages.cut=3,2,rest strategy.span=1
[ $? = 0 ] && grep -q 'head 0 is the file.s head 1' said &&
  grep -q 'starts fresh.*: head 1' said && [ "$(last exact)" = false ]
ok $? "other stages: a head behind the same block is kept, others start fresh"
from half
# shellcheck disable=SC2086
many 2 train $small train.steps=16 strategy.span=all train.lr=0.01
[ $? = 0 ] && grep -q 'strategy.span = all, was 2' said &&
  grep -q 'train.lr = 0.01, was 0.05' said &&
  grep -q 'not taken from the file: head 1, head 2' said
ok $? "another span: what is left behind is named"
from half
# shellcheck disable=SC2086
OMP_NUM_THREADS=2 one train $small train.steps=16
[ $? = 0 ] && [ "$(last exact)" = false ] && grep -q 'threads 2, was 1' said
ok $? "other threads: not claimed to be exact"

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

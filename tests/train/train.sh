#!/bin/sh
# tests/train/train.sh -- the program from end to end on a tiny data set: what a run
# directory holds, that a run repeats itself on other ranks, stops when asked and
# goes on as if nothing had been.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

# newest FOLDER: its last checkpoint
newest () {
  ls "$1"/run/checkpoints/*.h5 2>/dev/null | tail -n 1
}

# metric SPLIT COLUMN: of the last row of metrics.csv
metric () {
  $AWK -F, -v part="$1" -v column="$2" '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    $3 == part { value = $at[column] }
    END { printf "%.4f\n", value }' run/metrics.csv
}

# digests FOLDER: of weights, optimizer and state in its last checkpoint, as the
# record has them
digests () {
  sed -n '/^{"event":"checkpoint"/s/.*"weights":/"weights":/p' \
    "$1/run/events.jsonl" | tail -n 1
}

# evaluated HEAD COLUMN: from what eval said
evaluated () {
  $AWK -v head="$1" -v column="$2" '$1 == head { print $column }' said
}

# -- a run and its directory ---------------------------------------------------

mkdir a b c d e f g h
cd a || exit 1
# shellcheck disable=SC2086
many 2 train $small train.steps=12 train.eval_every=5 checkpoint.every=8 \
  run.trace=yes
ok $? "train on 2 ranks"
for f in config.ini log metrics.csv events.jsonl summary.csv trace.json \
  checkpoints/step-000000008.h5 checkpoints/step-000000012.h5; do
  [ -s "run/$f" ]
  ok $? "run directory: $f"
done
[ "$(ls run/checkpoints | wc -l)" -eq 2 ]
ok $? "run directory: nothing else beside the checkpoints"
if command -v python3 >/dev/null 2>&1; then
  python3 -m json.tool run/trace.json >said 2>errors &&
    grep -q '"FORWARD"' said && grep -q '"pid": 1' said
  ok $? "trace.json is JSON, with operations of both ranks"
  while read -r line; do
    echo "$line" | python3 -m json.tool >said 2>errors || echo "$line"
  done <run/events.jsonl >bad
  [ ! -s bad ] && [ -s run/events.jsonl ]
  ok $? "every line of events.jsonl is JSON"
else
  n=$((n + 1)); echo "ok $n # SKIP no python3 to read JSON"
fi
$AWK -F, 'NR == 1 { columns = NF } NF != columns { bad = 1 }
  $3 == "valid" { valid++ } $3 == "test" { test++ } $3 == "train" { train++ }
  END { exit bad || valid != 3 || test != 1 || train != 12 }' run/metrics.csv
ok $? "metrics.csv: rows of 12 steps, 3 + 1 evaluations, equal columns"
$AWK -F, 'NR > 1 { sum = 0; for (i = 2; i < NF; i++) sum += $i
    if (sum - $NF > 1e-3 || $NF - sum > 1e-3) bad = 1 }
  END { exit bad || NR != 3 }' run/summary.csv
ok $? "summary.csv: the classes of both ranks add up to the wall time"

for split in valid test; do
  many 2 eval run --split $split
  [ "$(evaluated 3 4)" = "$(metric $split head3_accuracy)" ] &&
    [ "$(evaluated 3 3)" = "$(metric $split head3_loss)" ] &&
    [ "$(evaluated 1 3)" = "$(metric $split head1_loss)" ]
  ok $? "eval on $split says what metrics.csv says"
done

# shellcheck disable=SC2086
many 2 train $small train.steps=12 train.eval_every=5 checkpoint.every=8 \
  run.trace=yes
[ $? = 0 ] && grep -q 'already finished' said
ok $? "a finished run ends at once"
cd .. || exit 1

# -- the same again ------------------------------------------------------------

(cd b && one train ../a/run/config.ini)
ok $? "the resolved configuration, on one rank"
cmp "$(newest a)" "$(newest b)" >said 2>&1
ok $? "leaves the same checkpoint, byte for byte"
(cd c && many 4 train ../a/run/config.ini run.schedule=1f1b)
ok $? "the same on 4 ranks in another order"
one info --check "$(newest c)"
ok $? "its digests hold"

# -- stopping and going on -----------------------------------------------------

cd d || exit 1
mkdir run
touch run/stop
many 2 train ../a/run/config.ini
[ $? = 75 ] && [ ! -e run/stop ] &&
  [ "$(cat run/status)" = "stopped 75 step=0 reason=stop-file" ]
ok $? "a file named stop before the start: left with 75, nothing is lost"
rm -r run
INTERLOCK_PACE=300 many 2 train ../a/run/config.ini checkpoint.every=0 &
pid=$!
tries=0
until [ -s run/metrics.csv ] || [ $tries -gt 3000 ]; do
  sleep 0.02
  tries=$((tries + 1))
done
touch run/stop
wait $pid
[ $? = 75 ] && [ ! -e run/stop ] && [ -n "$(newest .)" ]
ok $? "a file named stop: saved, and left with 75"
many 2 train ../a/run/config.ini
[ $? = 0 ] && grep -q 'continuing from' said
ok $? "the same command goes on"
events=$(sed 's/^{"event":"\([a-z]*\)".*/\1/' run/events.jsonl | tr '\n' ' ')
echo "$events" >said
[ "$events" = "start checkpoint stopped resume checkpoint checkpoint finished " ]
ok $? "events.jsonl tells all of it in order"
cd .. || exit 1
cmp "$(newest a)" "$(newest d)" >said 2>&1
ok $? "to the same bits as without the stop"

# One rank without a launcher, so that its process is known.  It is held with
# SIGSTOP while a second run asks for the directory.
cd e || exit 1
"$I" train ../a/run/config.ini train.steps=2000 checkpoint.every=0 \
  train.eval_every=0 >said.1 2>&1 </dev/null &
pid=$!
tries=0
until [ -s run/metrics.csv ] || [ $tries -gt 500 ]; do
  sleep 0.02
  tries=$((tries + 1))
done
kill -STOP $pid
one train ../a/run/config.ini
[ $? = 64 ] && grep -q "$pid" errors
ok $? "a second run on the same directory refuses and names the first"
kill -USR1 $pid
kill -CONT $pid
wait $pid
stopped=$?
cp said.1 said
[ $stopped = 75 ] && [ -n "$(newest .)" ]
ok $? "USR1: saved, and left with 75"
stop=$(newest . | sed 's/.*step-0*//; s/\.h5//')
[ "$stop" -gt 0 ] && [ "$stop" -lt 2000 ]
ok $? "in the middle"
one train ../a/run/config.ini train.steps="$((stop + 3))" checkpoint.every=0 \
  train.eval_every=0
ok $? "it goes on"
cd ../f || exit 1
one train ../a/run/config.ini train.steps="$((stop + 3))" checkpoint.every=0 \
  train.eval_every=0
cd .. || exit 1
digests e >said
digests f >errors
[ -s said ] && cmp said errors >/dev/null
ok $? "to the same bits as without the signal"

cd h || exit 1
# shellcheck disable=SC2086
INTERLOCK_PACE=100 SLURM_JOB_END_TIME=$(($(date +%s) + 68)) one train $small \
  train.steps=400 run.time_margin=60
[ $? = 75 ] && grep -q 'reason=time-limit' run/status &&
  { grep -q 'step=0 ' run/status || [ -n "$(newest .)" ]; }
ok $? "the end of the job's time comes near: saved, and left with 75"
rm -rf run
# shellcheck disable=SC2086
one train $small train.steps=12 checkpoint.every=2 checkpoint.keep=3 \
  checkpoint.async=no
[ "$(cd run/checkpoints && echo *)" = \
  "step-000000008.h5 step-000000010.h5 step-000000012.h5" ]
ok $? "the newest three of six checkpoints are kept"
rm -rf run
# shellcheck disable=SC2086
many 2 train $small train.steps=200 checkpoint.every_seconds=0.02
[ "$(grep -c '"event":"checkpoint"' run/events.jsonl)" -gt 1 ]
ok $? "checkpoints by time"
cd .. || exit 1

# -- beginning from a checkpoint -------------------------------------------------

cd g || exit 1
# shellcheck disable=SC2086
many 2 train $small train.steps=1 train.init="$(newest ../a)" train.seed=9
ok $? "train.init takes a checkpoint"
first=$(metric train head3_loss)
one eval "$(newest ../a)" --split train
$AWK -v a="$first" -v b="$(evaluated 3 3)" \
  'BEGIN { exit !(a - b < 0.7 && b - a < 0.7) }'
ok $? "and begins where it ended: loss $first"

# -- the others ------------------------------------------------------------------

# shellcheck disable=SC2086
one plan $small --ranks 4
[ $? = 0 ] && grep -q 'rank 3: stages 3..3' said
ok $? "plan works without a launcher"
# shellcheck disable=SC2086
many 2 train $small train.steps=1 run.dir=x data.file=../rig.h5
[ $? = 69 ] && [ "$(complaints | wc -l)" -eq 1 ]
ok $? "a data set that is not there: 69, said once"
# shellcheck disable=SC2086
many 2 train $small train.steps=1 run.dir=x data.file=../a/run/config.ini
[ $? = 65 ] && [ "$(complaints | wc -l)" -eq 1 ]
ok $? "a file that is no data set: 65, said once"
# shellcheck disable=SC2086
many 7 train $small train.steps=1 run.dir=x
[ $? = 64 ] && grep -q '7 ranks for 4 stages' errors
ok $? "7 ranks where 4 fit: 64"
many 2 verify resume
ok $? "verify resume, on 2 ranks"
if [ -n "${INTERLOCK_BIG-}" ]; then
  RUN_LIMIT=300 many 3 verify
  ok $? "verify, on 3 ranks"
fi
cd .. || exit 1

done_testing

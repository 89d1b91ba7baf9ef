#!/bin/sh
# tests/train/patience.sh -- a rank that is stuck, whatever it is in, is told of by
# all that wait, and ends the job; one that is slow is waited for.  Prints TAP.

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

mkdir base
# shellcheck disable=SC2086
(cd base && one train $small train.steps=1 checkpoint.at_end=no)
ok $? "a run without a fault"
# Ranks 0 and 1 have two stages each.
equal_costs base/run/costs.txt

# stuck FAULT WORDS LINE...: two ranks end with 70, and each LINE (of the form
# RANK PATTERN) was said by that rank before and at the end.
stuck ()
{
  fault=$1 words=$2
  shift 2
  rm -rf t
  cp -r base t
  cd t || exit 1
  # shellcheck disable=SC2086
  INTERLOCK_FAIL=$fault many 2 train $small train.steps=6 run.patience=1 $words
  got=$?
  [ "$got" = 70 ]
  ok $? "$fault: exit status $got, wanted 70"
  tr -cd '\11\12\40-\176' <errors | grep '^interlock: ' >lines
  for line; do
    rank=${line%% *} pattern=${line#* }
    [ "$(grep -c "rank $rank, *$pattern" lines)" -eq 2 ] &&
      grep -q "warning: rank $rank, .* 1.00 s" lines &&
      grep -q "^interlock: rank $rank, .* 2.00 s.*ends the job" lines
    ok $? "$fault: rank $rank says twice that it is in $pattern"
  done
  grep -q '^failed 70 step=[0-9]* reason=nothing has moved' run/status
  ok $? "$fault: and the status says how it ended"
  cd .. || exit 1
}

stuck hang-message:2@0 '' \
  '1 step 1, stage 2, RECV_ACT: .*for rank 0 on .* for a message (tag [0-9]*, [0-9]* bytes): the activations of step 1, micro-batch 0 at border 2'
stuck hang-mpi:2@0 '' \
  '1 step 1, stage 2, RECV_ACT: .*for rank 0 on' \
  '0 step 1, stage 1, SEND_ACT: .*waits for no message'
stuck hang-kernel:3@1 '' \
  '1 step [0-9]*, stage [23], FORWARD: .*waits for no message'
stuck hang-write@1 checkpoint.async=no \
  '1 step 6, saving a checkpoint: .*waits for no message' \
  '0 step 6, saving a checkpoint: .*for all ranks to come'
stuck hang-write@1 '' '1 step 6, .*'
stuck hang-sum:3@1 run.replicas=2 \
  '1 step 0, stage [0-3], [A-Z_]*: .*waits for no message' \
  '0 step 0, stage [0-3], UPDATE: .*for rank 1 on'
stuck hang-gather:3@1 'run.replicas=2 run.share_optimizer=yes' \
  '1 step 0, stage [0-3], [A-Z_]*: .*waits for no message' \
  '0 step 0, stage [0-3], UPDATE: .*for rank 1 on'
stuck hang-take:2@0 '' '0 step 1, stage 0, TAKE: .*waits for no message'
stuck hang-read@1 '' '1 opening the data set: .*waits for no message' \
  '0 opening the data set: .*for all ranks'

# What was saved stays.
rm -rf t
cp -r base t
cd t || exit 1
# shellcheck disable=SC2086
INTERLOCK_FAIL=hang-write:2@0 many 2 train $small train.steps=6 run.patience=1 \
  checkpoint.every=4 checkpoint.async=no
[ $? = 70 ] && [ "$(ls run/checkpoints/*.h5)" = run/checkpoints/step-000000004.h5 ]
ok $? "stuck in the second checkpoint: the first one is there"
# shellcheck disable=SC2086
INTERLOCK_FAIL=hang-kernel@1 many 2 eval run run.patience=1
[ $? = 70 ] && grep -q 'rank 0, .*has waited 2.00 s for rank 1 on' errors
ok $? "an evaluation that is stuck ends, too"
# shellcheck disable=SC2086
many 2 train $small train.steps=6 run.patience=1
[ $? = 0 ] && grep -q 'continuing .* at step 4' said
ok $? "the same command goes on from there"

# Slow is not stuck: a step is three patiences long.
# shellcheck disable=SC2086
INTERLOCK_PACE=3000 many 2 train $small train.steps=9 run.patience=1
[ $? = 0 ] && ! grep -q 'has waited\|has not moved' errors
ok $? "steps that last longer than patience go on"

# -- TERM twice ---------------------------------------------------------------------

rm -rf run
# shellcheck disable=SC2086
INTERLOCK_FAIL=hang-kernel:3 "$I" train $small train.steps=6 run.patience=0 \
  >said 2>errors </dev/null &
pid=$!
for i in 1 2 3 4 5 6 7 8 9 10; do
  sleep 0.5
  grep -q 'ready after' said && break
done
sleep 1
kill -TERM $pid
kill -TERM $pid
sleep 0.2
kill -0 $pid
ok $? "two TERM at once are one, and a rank that is stuck does not hear it"
sleep 1.5
kill -TERM $pid
wait $pid
got=$?
[ $got = 143 ]
ok $? "another one later ends it: $got"

done_testing

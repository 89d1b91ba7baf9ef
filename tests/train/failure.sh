#!/bin/sh
# tests/train/failure.sh -- one rank fails alone at a planted place: all leave with
# the documented code, nobody hangs, and one line names the rank and the place.
#
# Some places lie before training, where ranks agree at a fence, others inside a
# step, where the failing rank ends the job.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

# A folder whose blocks are measured already, so that calls can be counted.
mkdir base
# shellcheck disable=SC2086
(cd base && one train $small train.steps=1 checkpoint.at_end=no)
ok $? "a run without a fault"
# Two ranks have two stages each.
equal_costs base/run/costs.txt
ok $? "its costs are made equal"

# planted RANKS FAULT CODE RANK PLACE [WORDS]: the one line that is said names the
# rank (none is named where RANK is empty) and matches PLACE.
planted ()
{
  rm -rf t
  cp -r base t
  cd t || exit 1
  ranks=$1 fault=$2 code=$3 rank=$4 place=$5 words=${6-}
  INTERLOCK_FAIL=$fault
  export INTERLOCK_FAIL
  # shellcheck disable=SC2086
  many "$ranks" train $small train.steps=6 $words
  got=$?
  unset INTERLOCK_FAIL
  [ "$got" = "$code" ]
  ok $? "$ranks ranks, $fault: exit status $got, wanted $code"
  complaints >lines
  [ "$(wc -l <lines)" -eq 1 ]
  ok $? "$ranks ranks, $fault: one line is said"
  grep -q "^interlock: ${rank:+rank $rank[:,].*}$place" lines
  ok $? "$ranks ranks, $fault: it names${rank:+ rank $rank and} $place"
  [ -z "$(ls run/checkpoints 2>/dev/null)" ]
  ok $? "$ranks ranks, $fault: and no file is left under a final name"
  # A root that can speak says how it ended; one that is killed cannot.
  if [ "${rank:-0}" = 0 ]; then
    grep -q "^failed $code step=[0-9]* reason=." run/status
    ok $? "$ranks ranks, $fault: status says failed $code"
  fi
  cd .. || exit 1
}

# Before training.
planted 2 read@1 65 1 'opening the data set: .*data.h5'
planted 2 alloc:5@1 69 1 'no memory'
planted 4 alloc:300@3 69 3 'no memory'
# In a step.
planted 2 read:3@0 65 0 'step [0-9]*, stage 0, TAKE'
planted 2 kernel:3@1 70 1 'step [0-9]*, stage [23], FORWARD: .*conv'
planted 4 kernel:9@2 70 2 'step [0-9]*, stage 2, FORWARD: .*conv'
planted 2 message:2@0 70 0 'step 1, stage 1, SEND_ACT'
planted 4 message:2@2 70 2 'step [0-9]*, stage 2, SEND_GRAD'
planted 2 loss:4@1 76 '' '.*head 3 was not finite in step 1'
# In the middle of a batch's sums over replicas: the second of a step.
planted 4 sum:2@3 70 3 'step 0, stage [23], [A-Z_]*: a sum over' run.replicas=2
# Replicas that share the optimizer's state: before the sum and behind the update.
planted 4 sum:2@3 70 3 'step 0, stage [23], [A-Z_]*: a sum over' \
  "run.replicas=2 run.share_optimizer=yes"
planted 4 gather:2@3 70 3 'step 0, stage [23], UPDATE: a gathering from' \
  "run.replicas=2 run.share_optimizer=yes"
# Afterwards.
planted 4 write@3 74 3 '.*step-000000006.*not written: No space left'

# What was saved before stays, and the same command goes on from there.
rm -rf t
cp -r base t
cd t || exit 1
# shellcheck disable=SC2086
INTERLOCK_FAIL=write:2@1 many 2 train $small train.steps=6 checkpoint.every=4
[ $? = 74 ] && [ "$(ls run/checkpoints)" = step-000000004.h5 ]
ok $? "the second checkpoint fails: the first one is there"
one info --check run/checkpoints/step-000000004.h5
ok $? "and whole"
# shellcheck disable=SC2086
many 2 train $small train.steps=6 checkpoint.every=4
[ $? = 0 ] && grep -q 'continuing .* at step 4' said
ok $? "the same command goes on from there"
cd .. || exit 1

# Rank 1 has two heads, so its ninth loss is that of step 4; the checkpoint
# after that step would hold what it made.
rm -rf t
cp -r base t
cd t || exit 1
# shellcheck disable=SC2086
INTERLOCK_FAIL=loss:9@1 many 2 train $small train.steps=6 checkpoint.every=1 \
  checkpoint.async=no
[ $? = 76 ] && [ -e run/checkpoints/step-000000004.h5 ] &&
  [ ! -e run/checkpoints/step-000000005.h5 ]
ok $? "nothing is saved of a step whose loss was not finite"
rm -rf run && cp -r ../base/run run
# shellcheck disable=SC2086
INTERLOCK_FAIL=loss:9@1 many 2 train $small train.steps=6 checkpoint.every=1 \
  run.attempts=0
[ $? = 76 ] && [ ! -e run/checkpoints/step-000000005.h5 ] &&
  [ ! -e run/checkpoints/step-000000006.h5 ] &&
  [ -z "$(ls run/checkpoints/*.part 2>/dev/null)" ]
ok $? "nor beside the steps, and nothing is left half-written"
cd .. || exit 1

done_testing

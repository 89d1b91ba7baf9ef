#!/bin/sh
# tests/train/progress.sh -- what a person at a terminal sees before the first step
# and in evaluations; a log gets no such lines from a short run.  Prints TAP.

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

script -qec true /dev/null >/dev/null 2>&1 ||
  { echo "1..0 # SKIP there is no program script, which has a terminal"; exit 0; }

# seen ARGUMENT...: what the program writes to a terminal, a state of the live
# line in each line.  120 ms pass before each step and each batch of an
# evaluation: longer than the 100 after which the line is redrawn, so that the
# first operation and each batch are shown however fast the machine.
seen ()
{
  line=$I
  for word; do line="$line '$word'"; done
  TERM=xterm INTERLOCK_PACE=120 script -qec "$line" /dev/null </dev/null |
    tr '\r' '\n' | sed 's/.\[K//g' >said
}

one import synthetic seed=5 size=16 train=64 valid=320 test=32 -o data.h5 --force
mkdir t && cd t || exit 1
# shellcheck disable=SC2086
seen train $small train.steps=4
grep -q '^comparing kernels with plain arithmetic: [0-9]* of [0-9]*$' said
ok $? "kernels that are proven are counted"
grep -q '^step=1/4 operation [0-9]* of [0-9]*; no losses yet$' said
ok $? "so are operations of the first step"
grep -q '^evaluating valid: batch [0-9]* of 20$' said
ok $? "and batches of an evaluation"
# 64 samples in 120 ms and more; useful operations follow from the rate.
ops=$(sed -n 's/^useful_flops = //p' run/facts.ini)
batch=$(sed -n 's/^batch = //p' run/facts.ini)
sed -n 's/^step=[2-4]\/4 loss=.* accuracy=[0-9.]* lr=\([0-9.e-]*\) samples\/s=\([0-9.]*\) GFLOP\/s=\([0-9.e-]*\) wait=[0-9]*% memory="[0-9.]* [MG]B" eta=.*/\1 \2 \3/p' \
  said >pace
$AWK -v ops="$ops" -v batch="$batch" '{
    want = ops / batch * $2 * 1e-9
    if (!($1 > 0) || !($3 > 0.9 * want && $3 < 1.1 * want)) bad = 1
  }
  END { exit bad || NR < 1 }' pace
ok $? "steps are told with learning rate, speed, waiting and memory"
seen eval run
grep -q '^evaluating valid: batch [0-9]* of 20$' said &&
  grep -q '^head .*valid, 320 samples' said
ok $? "in eval, too, before its table"
rm -rf run
# shellcheck disable=SC2086
one train $small train.steps=4
[ $? = 0 ] && ! grep -q 'evaluating\|no losses yet\|comparing' said
ok $? "without a terminal a short run has nothing of it"

done_testing

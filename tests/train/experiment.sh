#!/bin/sh
# tests/train/experiment.sh -- a run directory is one experiment: another one is
# refused whether the run has finished, has begun or goes on.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
unset SLURM_JOB_ID SLURM_RESTART_COUNT SLURM_JOB_END_TIME

# from NAME: a folder whose run is a copy of that folder's
from () {
  cd "$tmp" || exit 1
  rm -rf now
  cp -R "$1" now
  cd now || exit 1
}

# state: all that a refused start must leave as it was
state () { cat run/status run/config.ini run/metrics.csv run/events.jsonl; }

# refused WORD NAME: `train $small WORD` is, and says both values
refused () {
  state >before
  # shellcheck disable=SC2086
  one train $small train.steps=4 $1
  [ $? = 64 ] && grep -q "$2" errors && state | cmp -s - before
  ok $? "$1: 64, and nothing changed"
}

mkdir done
# shellcheck disable=SC2086
(cd done && one train $small train.steps=4)
ok $? "a run of 4 steps"

# -- finished -------------------------------------------------------------------

from done
for pair in 'train.seed=4 train.seed = 4, was 3' \
  'train.batch=32 train.batch = 32, was 16' 'train.lr=0.1 train.lr = 0.1, was 0.05' \
  'train.optimizer=adamw train.optimizer = adamw, was sgd' \
  'model.groups=8x2,24x2 model.groups = 8x2,24x2, was 8x2,16x2' \
  'model.stem_width=12 model.stem_width = 12, was 0' \
  'model.order=pre model.order = pre, was ' \
  'stages.cut=1,2,1,rest stages.cut = 1,2,1,rest, was 2,1,1,2' \
  'stages.head=gap-fc stages.head = gap-fc, was conv8-bn-gap-fc' \
  'stages.border=rms stages.border = rms, was none' \
  'strategy.span=1 strategy.span = 1, was 2' \
  'strategy.mix=sum strategy.mix = sum, was furthest' \
  'data.limit=48 data.limit = 48, was 0' 'data.test=valid data.test = valid, was test' \
  'train.clip=1 train.clip = 1, was 0' 'train.micro=2 train.micro = 2, was 1'; do
  refused "${pair%% *}" "interlock: run: the run here is finished.*${pair#* }"
done
[ "$(cat run/status)" = "finished 0 step=4" ]
ok $? "it is still finished"
# A version that did not know a key did what is its default now.
grep -v '^border = \|^clip = \|^order = $' run/config.ini >was.ini && cp was.ini run/config.ini
refused stages.border=rms 'stages.border = rms, was none'
refused train.clip=1 'train.clip = 1, was 0'
refused model.order=pre 'model.order = pre, was'
# shellcheck disable=SC2086
one train $small train.steps=4 stages.border=none train.clip=0 model.order=post
ok $? "keys that are not in config.ini, at their defaults: the same run"
refused "train.seed=4 train.lr=1" 'train.seed = 4, was 3; train.lr = 1, was 0.05'

"$I" import synthetic -q seed=6 size=16 train=64 valid=32 test=32 -o ../other.h5
cp ../data.h5 ../copy.h5
refused data.file=../other.h5 'data.file = ../other.h5, was ../data.h5'
# shellcheck disable=SC2086
for words in "" data.file=../copy.h5 strategy.span=pairwise stages.cut=2,1,1,2 \
  "stages.cut=auto stages.count=4" train.tune=yes train.eval_every=2 run.attempts=9 \
  checkpoint.every=1; do
  one train $small train.steps=4 $words
  [ $? = 0 ] && grep -q 'already finished: 4 steps' said
  ok $? "${words:-the same words}: the same experiment, finished"
done
mv ../data.h5 ../away.h5
# shellcheck disable=SC2086
one train $small train.steps=4
ok $? "its data set is gone: finished all the same"
mv ../away.h5 ../data.h5
cp ../data.h5 ../kept.h5
cp ../other.h5 ../data.h5
refused "" 'the data set [0-9a-f]*, was [0-9a-f]*'
cp ../kept.h5 ../data.h5

# shellcheck disable=SC2086
one train $small train.steps=3
[ $? = 0 ] && grep -q 'finished: 4 steps, more than the 3 asked for' said
ok $? "fewer steps: finished, and said"
# shellcheck disable=SC2086
one train $small train.steps=6
[ $? = 0 ] && [ "$(cat run/status)" = "finished 0 step=6" ] &&
  grep -q 'exact, the same bits' said
ok $? "more steps: it goes on"

# A preset is the groups that it stands for.
mkdir preset && cd preset || exit 1
net="model.preset=resnet20 stages.count=2 stages.cut=5,rest stages.head=gap-fc
  data.file=../../data.h5 train.tune=no train.batch=16 train.steps=1"
# shellcheck disable=SC2086
one train $net
# shellcheck disable=SC2086
one train ${net#* } model.groups=16x3,32x3,64x3
[ $? = 0 ] && grep -q 'already finished' said
ok $? "another word for the same network is no other one"
# shellcheck disable=SC2086
one train $net model.preset=resnet32
[ $? = 64 ] && grep -q 'model.preset = resnet32, was resnet20' errors
ok $? "another preset is"

# What the run was is not what somebody has written over it.
from done
sed 's/^seed = 3/seed = 4/' run/config.ini >x && cp x run/config.ini
one train run/config.ini
[ $? = 64 ] && grep -q 'train.seed = 4, was 3' errors
ok $? "another seed in its own config.ini: refused"

# Nothing but config.ini tells it.
cd "$tmp" && mkdir bare && cd bare || exit 1
# shellcheck disable=SC2086
one train $small train.steps=4 checkpoint.at_end=no
[ $? = 0 ] && [ -z "$(ls run/checkpoints 2>/dev/null)" ]
ok $? "a finished run without a checkpoint"
refused train.seed=4 'the run here is finished.*train.seed = 4, was 3'
refused data.file=../other.h5 'data.file = ../other.h5, was ../data.h5'

# -- begun, and nothing to go on from -----------------------------------------------

cd "$tmp" && mkdir begun && cd begun || exit 1
# shellcheck disable=SC2086
INTERLOCK_FAIL=loss:30 one train $small train.steps=24
[ $? = 76 ] && [ -z "$(ls run/checkpoints 2>/dev/null)" ]
ok $? "a run that failed before its first checkpoint"
refused train.seed=4 'the run here has begun.*train.seed = 4, was 3'
# shellcheck disable=SC2086
one train $small train.steps=4
ok $? "with its own words it begins again"

# -- going on -------------------------------------------------------------------

# Weights to begin with are part of it.
from done
one train run/config.ini run.dir=first train.init=run/checkpoints/step-000000004.h5
ok $? "a run that begins with a checkpoint's weights"
cp run/checkpoints/step-000000004.h5 moved.h5
one train first/config.ini train.init=moved.h5
[ $? = 0 ] && grep -q 'already finished' said
ok $? "the same file under another name: the same"
one train run/config.ini run.dir=second train.seed=8
cp second/checkpoints/step-000000004.h5 moved.h5
one train first/config.ini train.init=moved.h5
[ $? = 64 ] && grep -q 'train.init = moved.h5, was run/checkpoints' errors
ok $? "another file: refused"
cp moved.h5 run/checkpoints/step-000000004.h5
one train first/config.ini
[ $? = 64 ] && grep -q 'what is in train.init, digest' errors
ok $? "other weights in the same file: refused"
one train first/config.ini train.steps=6
[ $? = 64 ] && grep -q 'goes on from.*what is in train.init' errors
ok $? "going on: refused too"
one train first/config.ini train.init=
[ $? = 64 ] && grep -q 'train.init = (none), was run/checkpoints' errors
ok $? "none: refused"

done_testing

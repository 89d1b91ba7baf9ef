#!/bin/sh
# tests/train/fresh.sh -- train --fresh: a directory begins anew, the old run is kept,
# whatever happens in between.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
unset SLURM_JOB_ID SLURM_RESTART_COUNT SLURM_JOB_END_TIME

# sums FOLDER: what lies in it, as lines; the lock and the journal aside
sums () {
  (cd "$1" && find . -type f ! -name lock ! -name aside -exec cksum {} + | sort -k 3)
}

mkdir was
# shellcheck disable=SC2086
(cd was && one train $small train.steps=4 checkpoint.every=2 run.trace=yes \
  train.tune=yes --dump 1,3,logits && echo mine >run/notes.txt &&
  echo mine >run/checkpoints/notes && echo mine >'run/metrics of mine.csv')
ok $? "a run of 4 steps, and files that are not interlock's"

# from: a folder `now` whose run is a copy of it
from () {
  cd "$tmp" || exit 1
  rm -rf now
  cp -R was now
  cd now || exit 1
  sums run | grep -v -e notes -e 'of mine' >before
}

# kept N: run/old-N holds all that was interlock's, byte for byte
kept () {
  sums "run/old-$1" | cmp -s - before &&
    [ "$(cat run/notes.txt run/checkpoints/notes 'run/metrics of mine.csv')" = \
      "mine
mine
mine" ]
}

from
# shellcheck disable=SC2086
one train $small train.steps=3 train.seed=4 --fresh
[ $? = 0 ] && grep -q 'moved to run/old-1' said && kept 1
ok $? "another seed: the old run is in old-1, whole, and that is told"
[ "$(cat run/status)" = "finished 0 step=3" ] && grep -q '^seed = 4' run/config.ini &&
  [ "$(ls run/checkpoints)" = "notes
step-000000003.h5" ] && [ ! -e run/trace.json ] && [ ! -e run/tune.txt ] &&
  [ ! -e run/aside ] && head -n 1 run/events.jsonl | grep -q '"event":"fresh"' &&
  ! grep -q old-1/log run/log
ok $? "the new one has its place to itself"
mkdir ../alone && cd ../alone || exit 1
# shellcheck disable=SC2086
one train $small train.steps=3 train.seed=4
cmp run/checkpoints/step-000000003.h5 ../now/run/checkpoints/step-000000003.h5 >said
ok $? "and is what it would be in a directory of its own"
cd ../now || exit 1
# shellcheck disable=SC2086
one train $small train.steps=3 train.seed=4
[ $? = 0 ] && grep -q 'already finished: 3 steps' said
ok $? "without --fresh it is the run that is there"
sums run | grep -v -e notes -e 'of mine' -e /old-1/ >before
one train run/config.ini train.steps=2 --fresh
[ $? = 0 ] && grep -q 'moved to run/old-2' said && kept 2 &&
  [ "$(cat run/status)" = "finished 0 step=2" ]
ok $? "the same experiment, from its own config.ini: begun anew all the same"

# Weights of the run that goes aside.
from
# shellcheck disable=SC2086
one train $small train.steps=3 train.init=run/checkpoints/step-000000002.h5 \
  checkpoint.every=2 --fresh
[ $? = 0 ] && kept 1
ok $? "its own checkpoint can be what the new one begins with"
# shellcheck disable=SC2086
one train $small train.steps=4 train.init=run/checkpoints/step-000000002.h5
ok $? "and a later start goes on, though that checkpoint has moved"

# -- refused ---------------------------------------------------------------------

from
# shellcheck disable=SC2086
for word in data.file=none.h5 train.seed=x data.limit=8; do
  one train $small train.steps=3 $word --fresh
  [ $? != 0 ] && sums run | grep -v -e notes -e 'of mine' | cmp -s - before &&
    [ ! -e run/old-1 ]
  ok $? "$word: refused, nothing has moved"
done
one train none.ini --fresh=
[ $? = 64 ] && grep -q 'fresh=: wanted a name' errors
ok $? "no name where one is given"

# -- in pieces ---------------------------------------------------------------------

# A start that ends after N files have moved: the next one, with --fresh or without
# it, finds the old run in old-1 and begins.
files=$(wc -l <before)
for at in 1 2 5 9 "$files"; do
  for how in '' --fresh; do
    from
    # shellcheck disable=SC2086
    INTERLOCK_FAIL=aside:$at one train $small train.steps=3 train.seed=4 --fresh
    [ $? = 74 ] && [ -e run/aside ] &&
      cat run/status run/old-1/status 2>/dev/null | cmp -s - ../was/run/status
    ok $? "ended after $((at - 1)) files"
    # shellcheck disable=SC2086
    one train $small train.steps=3 train.seed=4 $how
    [ $? = 0 ] && kept 1 && [ ! -e run/aside ] && [ ! -e run/old-2 ] &&
      [ "$(cat run/status)" = "finished 0 step=3" ]
    ok $? "then ${how:-a plain start}: nothing is lost"
  done
done

# A folder on another disk stays there.
from
mv run/checkpoints elsewhere && ln -s ../elsewhere run/checkpoints
cp before x
# shellcheck disable=SC2086
one train $small train.steps=3 train.seed=4 --fresh
(cd run/old-1/checkpoints && cksum step-000000004.h5) >said
grep -q "$(cut -d ' ' -f 1,2 said)" before && [ -L run/checkpoints ] &&
  [ -e elsewhere/step-000000003.h5 ] && [ ! -e elsewhere/step-000000004.h5 ]
ok $? "checkpoints behind a link: the old ones stay on that disk"

# -- jobs ------------------------------------------------------------------------

# resumed STEP: the last start went on from there
resumed () { grep -q "continuing from .* at step $1:" said; }

from
export SLURM_JOB_ID=4711
# shellcheck disable=SC2086
SLURM_RESTART_COUNT=1 one train $small train.steps=2 train.seed=4 --fresh
[ $? = 0 ] && kept 1
ok $? "a job that was started again before it came to it: begins anew"
# shellcheck disable=SC2086
SLURM_RESTART_COUNT=2 one train $small train.steps=3 train.seed=4 --fresh
[ $? = 0 ] && resumed 2 && [ ! -e run/old-2 ]
ok $? "started again after that: goes on"
# shellcheck disable=SC2086
SLURM_RESTART_COUNT=2 SLURM_JOB_ID=4712 one train $small train.steps=3 train.seed=5 --fresh
[ $? = 0 ] && [ -e run/old-2/config.ini ]
ok $? "another job: begins anew"
# shellcheck disable=SC2086
one train $small train.steps=3 train.seed=5 --fresh
[ $? = 0 ] && [ -e run/old-3/config.ini ]
ok $? "the same job by hand, not started again: begins anew"
unset SLURM_JOB_ID
# shellcheck disable=SC2086
one train $small train.steps=2 --fresh=first
# shellcheck disable=SC2086
one train $small train.steps=3 --fresh=first
[ $? = 0 ] && resumed 2 && [ -e run/old-4 ] && [ ! -e run/old-5 ]
ok $? "under one name: once"
# shellcheck disable=SC2086
one train $small train.steps=3 --fresh=second
[ $? = 0 ] && [ -e run/old-5/config.ini ]
ok $? "under another: again"

# All ranks do the same.
from
# shellcheck disable=SC2086
many 2 train $small train.steps=3 train.seed=4 --fresh
[ $? = 0 ] && kept 1
ok $? "on 2 ranks"

done_testing

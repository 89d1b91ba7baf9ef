#!/bin/sh
# tests/design/begun.sh -- a run goes on with the cut and the heads that it began
# with, whatever this version would choose; a cut by time.  Prints TAP.
#
# limit: 300

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

net="model.groups=8x2,16x2 stages.count=4 data.file=../data.h5 train.batch=16
  train.tune=no train.lr=0.05 train.seed=3 train.steps=2 run.dir=run"

# has KEY [FOLDER]: its value in the run's config.ini
has () {
  sed -n "s/^$1 = //p" "${2-run}/config.ini"
}

# at NAME: an empty folder to run in
at () {
  rm -rf "${tmp:?}/$1"
  mkdir "$tmp/$1" && cd "$tmp/$1" || exit 1
}

# same WHAT: the run here has them
same () {
  [ "$(has cut)" = "$cut" ] && [ "$(has head)" = "$heads" ]
  ok $? "$1: the same"
}

# As a version would that knows other weights or other heads.
other="stages.cut=3,1,1,1 stages.head=gap-fc,conv16-gap-fc,conv8-bn-gap-fc"
at began
# shellcheck disable=SC2086
one train $net strategy.span=1 $other checkpoint.every=1
ok $? "a run with another cut and other heads"
# shellcheck disable=SC2086
one train $net strategy.span=1 train.steps=4
[ $? = 0 ] && [ "$(has cut)" = 3,1,1,1 ] &&
  [ "$(has head)" = gap-fc,conv16-gap-fc,conv8-bn-gap-fc ] &&
  grep -q '"exact":true' run/events.jsonl
ok $? "goes on with them where they are auto, exactly"
at whole
# shellcheck disable=SC2086
one train $net strategy.span=1 $other train.steps=4
one compare run ../began/run
ok $? "to the bits of a run that was never stopped"
for ranks in 2 3; do
  at again
  # shellcheck disable=SC2086
  many $ranks train $net strategy.span=1 $other train.steps=4
  one compare run ../whole/run
  ok $? "and on $ranks ranks: heads that differ are at home anywhere"
done
cd ../began || exit 1
# shellcheck disable=SC2086
one train $net strategy.span=1 train.steps=4
[ $? = 0 ] && grep -q 'already finished' said
ok $? "finished, and asked again: nothing is left to do"
# shellcheck disable=SC2086
one train $net strategy.span=1 train.steps=5 stages.head=gap-fc
[ $? = 0 ] && [ "$(has head)" = gap-fc ] &&
  grep -q 'fresh: head 1, head 2' run/events.jsonl
ok $? "another head on purpose: the one that is the same is taken"
# shellcheck disable=SC2086
one train $net strategy.span=1 train.steps=6 stages.head_cost=0.9
[ $? = 0 ] && [ "$(has head)" != gap-fc ]
ok $? "another bound: heads are chosen anew"

# As of a version before: no head_cost, a grammar for all.
at old
# shellcheck disable=SC2086
one train $net strategy.span=1 stages.cut=3,1,1,1 stages.head=conv8-bn-gap-fc
# shellcheck disable=SC2086
one train $net strategy.span=1 train.steps=3
[ $? = 0 ] && [ "$(has head)" = conv8-bn-gap-fc ] && [ "$(has cut)" = 3,1,1,1 ]
ok $? "one head for all stays, too"

# -- by time ---------------------------------------------------------------------

at timed
# shellcheck disable=SC2086
one train $net strategy.span=1 stages.cut=measured
[ $? = 0 ] && case $(has cut) in *,*,*,*) : ;; *) false ;; esac
ok $? "stages.cut = measured with heads that follow"
cut=$(has cut) heads=$(has head)
# shellcheck disable=SC2086
one train $net strategy.span=1 stages.cut=measured train.steps=4
same "gone on with"
at timed
# shellcheck disable=SC2086
many 2 train $net strategy.span=1 stages.cut=measured stages.head=gap-fc
[ $? = 0 ] && [ "$(has head)" = gap-fc ] && [ -s run/costs.txt ]
ok $? "stages.cut = measured with one head"

done_testing

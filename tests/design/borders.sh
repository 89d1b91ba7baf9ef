#!/bin/sh
# tests/design/borders.sh -- where stages end and which heads stand there is the same
# on any ranks, threads and instruction sets and beside other work; a run goes on with
# what it began with; what a measured cut would gain is said.  Prints TAP.
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

# -- a function of the configuration ----------------------------------------------

at first
# shellcheck disable=SC2086
one train $net strategy.span=1
ok $? "cut and heads are chosen"
cut=$(has cut) heads=$(has head)
case $cut,$heads in
*,*,*,*,*-fc) ok 0 "cut $cut, heads $heads" ;;
*) ok 1 "cut $cut, heads $heads" ;;
esac

# same WHAT: the run here has them
same () {
  [ "$(has cut)" = "$cut" ] && [ "$(has head)" = "$heads" ]
  ok $? "$1: the same"
}

for ranks in 2 3 4; do
  at again
  # shellcheck disable=SC2086
  many $ranks train $net strategy.span=1
  same "$ranks ranks"
  one compare run ../first/run
  ok $? "$ranks ranks: to the same bits"
done
at again
# shellcheck disable=SC2086
one train $net strategy.span=1 --threads 2
same "2 threads"
case $(uname -m) in
x86_64 | amd64 | i?86)
  at again
  # shellcheck disable=SC2086
  one train $net strategy.span=1 run.isa=sse41
  same "run.isa = sse41"
  at again
  # shellcheck disable=SC2086
  (export ONEDNN_MAX_CPU_ISA=SSE41; one train $net strategy.span=1)
  same "ONEDNN_MAX_CPU_ISA"
  ;;
esac
at again
# shellcheck disable=SC2086
many 2 train $net strategy.span=1 run.replicas=2
same "2 replicas"
for words in strategy.span=2 strategy.span=all strategy.mix=sum train.micro=2; do
  at again
  # shellcheck disable=SC2086
  one train $net $words
  same "$words"
done
at again
pids=
for i in 1 2 3; do
  (while :; do :; done) &
  pids="$pids $!"
done
# shellcheck disable=SC2086
one train $net strategy.span=1
# shellcheck disable=SC2086
kill $pids
same "beside other work"

# -- what plan says --------------------------------------------------------------

plan="model.groups=8x2,16x2 stages.count=4 strategy.span=1 train.batch=16"
# shellcheck disable=SC2086
one plan $plan
[ $? = 0 ] && grep -q "^cut .*: the largest stage has 1\.[0-9]* x the mean" said &&
  grep -q "^head.*-fc, .* % of the stage's work" said &&
  ! grep -q 'in time' said
ok $? "plan tells how even the cut is and what heads take"
# shellcheck disable=SC2086
one plan $plan --measure stages.cut=1,rest stages.count=2
[ $? = 0 ] && grep -q 'x in time.*; stages.cut = measured would be [2-4],[2-4], its largest stage [0-9]* % shorter' said &&
  grep -q '% of its time' said
ok $? "where times are known, what a measured cut would gain"
# shellcheck disable=SC2086
one plan $plan stages.head=conv64-bn-conv64-bn-gap-fc
[ $? = 0 ] && grep -q 'stages.head = auto would take .*-fc, [0-9]* %' said
ok $? "of a dear head, what auto would take"
# shellcheck disable=SC2086
one plan $plan --map --stages 2,4,32 --micro 1
ok $? "a map of heads that follow"
# shellcheck disable=SC2086
one plan $plan --map --stages 2,4 --micro 1 stages.head=gap-fc,gap-fc,conv8-gap-fc
[ $? = 64 ] && grep -q 'stages.head has to be one grammar' errors
ok $? "not of a list of them"

# -- refused ---------------------------------------------------------------------

# refused WORDS PATTERN
refused () {
  # shellcheck disable=SC2086
  one plan $plan $1
  [ $? = 64 ] && grep -q -- "$2" errors
  ok $? "$1"
}
refused stages.head_cost=0 'stages.head_cost'
refused stages.head_cost=-1 'stages.head_cost'
refused stages.head_cost=nan 'stages.head_cost'
refused stages.head_cost=cheap 'stages.head_cost'
refused stages.head=gap-fc,gap-fc '2 grammars where 3 stages'
refused stages.head=gap-fc,,gap-fc 'empty word'
refused stages.head=gap-fc,gup-fc,gap-fc 'unknown word "gup"'
refused stages.head=auto,gap-fc,gap-fc 'unknown word "auto"'
refused stages.cut=measurd 'measurd'
refused "model.family=transformer stages.head=ln-fc,ln-shared,ln-fc" 'or none'
done_testing

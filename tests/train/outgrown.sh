#!/bin/sh
# tests/train/outgrown.sh -- where a stage's output is to be expected to outgrow its
# neighbours' a hint says so beforehand; runs that are well are not warned of.  Prints
# TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
unset SLURM_JOB_ID SLURM_RESTART_COUNT SLURM_JOB_END_TIME

$AWK 'BEGIN { x = 7; for (i = 0; i < 3000; i++) { x = (x * 1103 + 12345) % 65536
  printf "%s%s", "w" x % 97, i % 12 == 11 ? ".\n" : " " } }' >text.txt
one import text text.txt -o text.h5
ok $? "a text"
gpt="model.family=transformer model.layers=4 model.d_model=16 model.heads=2
  model.context=8 stages.cut=2,1,1,rest stages.head=ln-fc data.file=../text.h5
  train.batch=8 train.tune=no train.seed=3 run.dir=run checkpoint.at_end=no"

# -- the hint ---------------------------------------------------------------------

printf '%s\n' '0 1 0 0' '0 1 0 0' '0 0 1 0' '0 0 0 1' >route.txt
# hints WORDS: how many a plan gives
hints () {
  # shellcheck disable=SC2086
  one plan --unit $gpt train.steps=1 data.file= $1 || echo failed
  grep -c '^hint: .*stages.border = rms' said
}
for words in strategy.span=2 strategy.span=3 strategy.span=1,2,all,1 \
  "strategy.route=@route.txt"; do
  [ "$(hints "$words")" = 1 ]
  ok $? "$words: one hint"
done
for words in strategy.span=local strategy.span=all \
  "strategy.span=2 strategy.mix=sum" "strategy.span=2 strategy.own=0.1" \
  "strategy.span=2 stages.border=rms" "strategy.span=2 stages.border=ln" \
  "strategy.span=1,1,2,1" "strategy.span=2 stages.count=2 stages.cut=3,rest" \
  "strategy.span=2 model.family=resnet model.groups=8x2,16x2 stages.head=gap-fc"; do
  [ "$(hints "$words")" = 0 ]
  ok $? "$words: none"
done

# -- the warning --------------------------------------------------------------------

# One that outgrows its neighbours is in flow.c; these do not.
mkdir near
for words in strategy.span=1 strategy.span=all "strategy.span=2 strategy.mix=sum" \
  "strategy.span=2 stages.border=rms"; do
  rm -rf near/run
  # shellcheck disable=SC2086
  (cd near && one train $gpt $words train.steps=60 train.lr=0.005 && cp errors ..) &&
    ! grep -q 'output of stage' errors && ! grep -q '"outgrown"' near/run/events.jsonl
  ok $? "$words at a fair rate: none"
done
for words in strategy.span=1 strategy.span=2 strategy.span=all; do
  rm -rf near/run
  # shellcheck disable=SC2086
  (cd near && one train $small train.steps=60 $words && cp errors ..) &&
    ! grep -q 'output of stage' errors && ! grep -q '"outgrown"' near/run/events.jsonl
  ok $? "a ResNet, $words: none"
done
done_testing

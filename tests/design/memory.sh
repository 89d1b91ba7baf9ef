#!/bin/sh
# tests/design/memory.sh -- a run that no node has memory for is refused before
# anything is made or measured, with the plan's numbers.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

# Four convolutions of 65536 x 65536 channels, with gradients, momentum and a
# copy for the checkpoint: terabytes.
wide="model.groups=65536x2,65536x2 model.stem_width=16 stages.count=2
  data.file=data.h5 train.batch=16 train.steps=3"
# shellcheck disable=SC2086
one plan $wide --ranks 2
cp said plan
# The larger of the two, as the plan says it.
most=$(sed -n 's/^rank \([01]\): .*, memory \(.* TB\)$/\2 rank \1: \2/p' plan |
  sort -g | tail -n 1 | sed 's/^[^ ]* TB //')
[ -n "$most" ]
ok $? "the plan asks for terabytes ($most)"
# shellcheck disable=SC2086
many 2 train $wide
[ $? = 69 ] && [ "$(complaints | wc -l)" -eq 1 ] &&
  complaints | grep -q "where 2 ranks run ($most), and there are "
ok $? "two ranks are refused, with the plan's number and what there is"
[ ! -e run/tune.txt ] && [ ! -e run/costs.txt ] && [ ! -d run/checkpoints ]
ok $? "before anything was measured"
! grep -q running run/status 2>/dev/null
ok $? "and nothing says that it runs"

# Activations of a batch in one piece are too many, and weights are few: where
# the advice is followed by half, it is still too much.
deep="model.groups=256x4,256x4 stages.count=2 data.file=data.h5
  train.batch=1048576 train.steps=1 train.tune=no"
# shellcheck disable=SC2086
many 2 train $deep
got=$?
micro=$(sed -n 's/.*train.micro = \([0-9]*\) instead of 1 would do.*/\1/p' errors)
[ $got = 69 ] && [ "${micro:-0}" -ge 2 ]
ok $? "a batch in one piece is refused; train.micro = $micro would do"
# shellcheck disable=SC2086
many 2 train $deep train.micro=$((micro / 2))
[ $? = 69 ] && grep -q "train.micro = [0-9]* instead of $((micro / 2)) would" errors
ok $? "half as many micro-batches are too few"

done_testing

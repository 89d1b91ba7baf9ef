#!/bin/sh
# tests/train/narrow.sh -- a run in bf16 goes on to the bits of one that was never
# stopped, on any ranks; a run may change its precision, and says so; replicas,
# evaluation and the comparison of gradients do not depend on the ranks; the plan
# tells messages of half the bytes.  Prints TAP.

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
plain=$small
small="$small train.precision=bf16"
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/train/again.sh"

[ "$(grep -c 'train.precision = bf16' whole/errors)" = 1 ]
ok $? "one warning says how it is computed"

# -- going on ---------------------------------------------------------------------

for ranks in 1 2 4; do
  from half
  # shellcheck disable=SC2086
  many $ranks train $small train.steps=24 checkpoint.every=12 checkpoint.keep=9
  ok $? "12 more on $ranks"
  same ../whole && [ "$(last exact)" = true ]
  ok $? "the same bits as the undisturbed run, and the receipt says exact"
done

from half
# shellcheck disable=SC2086
many 2 train $plain train.precision=f32 train.steps=24
[ $? = 0 ] && [ "$(last exact)" = false ] &&
  grep -q 'train.precision = f32, was bf16' said
ok $? "12 more in f32: it goes on, and does not claim the same bits"
same ../whole
[ $? != 0 ]
ok $? "they are others"
rm -rf run
# shellcheck disable=SC2086
many 2 train $plain train.steps=12 && many 1 train $small train.steps=24
[ $? = 0 ] && [ "$(last exact)" = false ] &&
  grep -q 'train.precision = bf16, was f32' said
ok $? "from f32 to bf16 likewise"

# -- other walks ------------------------------------------------------------------

# columns FILE: what does not depend on time
columns () { cut -d , -f 1-12 "$1"; }

without=$(echo "$small" | sed 's/strategy.span=2//')
for what in "run.replicas=2 train.micro=2 strategy.span=2" \
  "train.agreement=3 strategy.span=3" \
  "strategy.dial=0:local,4:2,6:all train.agreement=4"; do
  cd "$tmp" && rm -rf a b && mkdir a b || exit 1
  # shellcheck disable=SC2086
  (cd a && many 2 train $without train.steps=8 train.eval_every=4 $what)
  ok $? "$what, on 2 ranks"
  # shellcheck disable=SC2086
  (cd b && many 4 train $without train.steps=8 train.eval_every=4 $what)
  ok $? "on 4"
  cd b && same ../a
  ok $? "the same bits"
  columns run/metrics.csv >said
  columns ../a/run/metrics.csv | cmp - said
  ok $? "the same losses, evaluations and agreements"
done

cd "$tmp/a" || exit 1
many 1 eval run && cp said one && many 4 eval run
grep -v seconds one >wanted
grep -v seconds said | cmp - wanted
ok $? "evaluation on 1 and 4 ranks"

# -- the plan ---------------------------------------------------------------------

# shellcheck disable=SC2086
one plan $small train.steps=8 --ranks 4
grep 'border' said >narrow
# shellcheck disable=SC2086
one plan $plain train.steps=8 --ranks 4
grep 'border' said >wide
cat narrow wide >said
[ -s wide ] && ! cmp -s narrow wide
ok $? "the plan's borders differ"

done_testing

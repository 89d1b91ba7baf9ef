#!/bin/sh
# tests/design/proven.sh -- kernels are proven before a network uses them: all ranks
# drop the same, a network trains where none of the library is believed, verdicts
# are kept, and verify shows them.  Prints TAP.

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

tmp=$(mktemp -d) || exit 1
trap 'cd / && rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
one import synthetic train=64 valid=32 test=32 seed=3 -o data.h5 --force
i=0
while [ $i -lt 3000 ]; do
  echo $((i * i % 29))
  i=$((i + 1))
done >ids
one import tokens ids vocab=29 format=text valid=0.2 -o tokens.h5
mkdir runs && cd runs || exit 1

images="$small checkpoint.at_end=no train.steps=3"
words="model.family=transformer model.layers=3 model.d_model=24 model.heads=3
  model.context=80 stages.count=3 stages.cut=auto stages.head=ln-fc
  strategy.span=2 data.file=../tokens.h5 train.batch=4 train.steps=3
  train.tune=no checkpoint.at_end=no run.dir=run"

# losses FILE: what a run found, its times left out
losses ()
{
  cut -d, -f1-6 run/metrics.csv >"$1"
}

# near A B: all numbers within 1e-4 of each other, as a part of them
near ()
{
  paste -d, "$1" "$2" | $AWK -F, '
    { half = NF / 2
      for (i = 1; i <= half; i++) {
        d = $i - $(i + half); if (d < 0) d = -d
        if (d > 1e-4 * ($i < 0 ? -$i : $i)) bad = 1
        if ($i + 0 > 0) seen++
      } }
    END { exit bad || seen < 6 }'
}

for net in images words; do
  case $net in images) how=$images ;; *) how=$words ;; esac
  # shellcheck disable=SC2086
  one train $how
  ok $? "$net: trains"
  losses plain
  ! grep 'kernel dropped' said | grep -qv 'known to write beyond'
  ok $? "$net: with nothing dropped but by rule"
  rm -r run
  # shellcheck disable=SC2086
  INTERLOCK_FAIL=distrust one train $how
  ok $? "$net: trains where no kernel of the library is believed"
  grep -q 'kernel dropped.*not believed' said
  ok $? "$net: which the log says"
  losses own
  near plain own
  ok $? "$net: and comes to the same losses"
  rm -r run
  # A rank of two finds one wrong: the other drops it as well, so the bits are
  # those of one rank that found the same.
  # shellcheck disable=SC2086
  INTERLOCK_FAIL=verdict:3 one train $how
  grep -q 'kernel dropped' said
  ok $? "$net: one that is wrong is named"
  losses alone
  rm -r run
  # shellcheck disable=SC2086
  INTERLOCK_FAIL=verdict:3@1 many 2 train $how
  [ $? = 0 ] && grep -q 'kernel dropped.*another rank' said
  ok $? "$net: one wrong on the second rank only, which is said"
  losses two
  cmp -s alone two
  ok $? "$net: neither rank uses it, to the same bits"
  rm -r run
done

# shellcheck disable=SC2086
INTERLOCK_FAIL=verdict:2 one train $images train.tune=yes
grep -q '^wrong ' run/tune.txt && grep -q '^right forward ' run/tune.txt
ok $? "verdicts are kept with the choices"
grep '^wrong ' run/tune.txt >before
# shellcheck disable=SC2086
one train $images train.tune=yes train.steps=4
grep '^wrong ' run/tune.txt >after
cmp -s before after && ! grep -q 'kernel dropped' said
ok $? "and known at the next start"

# shellcheck disable=SC2086
one train $images checkpoint.at_end=yes run.dir=saved &&
  INTERLOCK_FAIL=distrust one eval saved && grep -q accuracy said &&
  ! grep -q 'kernel dropped' said
ok $? "what eval prints are metrics alone"

cat >narrow.ini <<'END'
[model]
groups=4x1,8x1
[stages]
cut=2,rest
head=gap-fc
[data]
file=../data.h5
[train]
batch=8
steps=1
tune=no
END
one verify narrow.ini
ok $? "verify of a narrow network"
grep -q '^ok 1 - forward .*largest error 0$' said &&
  grep -q ' kernels compared with plain arithmetic' said
ok $? "verify prints what it compared"
many 2 verify narrow.ini train.tune=yes
ok $? "verify with all algorithms, on 2 ranks"
one verify gradients train.batch=8
[ $? = 64 ]
ok $? "a check takes no words"

if [ -n "$INTERLOCK_BIG" ]; then
  RUN_LIMIT=900
  one import synthetic train=8 valid=8 test=8 size=64 classes=10 -o large.h5
  for preset in resnet20 resnet32 resnet44 resnet56 resnet110 resnet18 resnet34 \
    resnet50 resnet101 resnet152 resnet164 resnet1001 wrn-28-10; do
    file=../data.h5
    case $preset in
    *18 | *34 | *50 | *101 | *152) file=large.h5 ;;
    esac
    one verify model.preset=$preset data.file=$file train.batch=8 \
      stages.count=2 stages.head=gap-fc train.steps=1 train.tune=no
    ok $? "kernels of $preset"
  done
  for size in '3 48 3 64' '12 768 12 256'; do
    # shellcheck disable=SC2086
    set -- $size
    one verify model.family=transformer model.layers=$1 model.d_model=$2 \
      model.heads=$3 model.context=$4 data.file=../tokens.h5 train.batch=1 \
      stages.count=2 stages.head=ln-fc train.steps=1
    ok $? "kernels of a Transformer of $1 layers, $2 wide"
  done
fi
done_testing

#!/bin/sh
# tests/design/tiles.sh -- a run with our own Winograd kernels: the same bits on any
# ranks and after a stop, near the losses of plain sums; proven, and dropped where a
# number of a transform is wrong.  Prints TAP.
# limit: 300

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/train/again.sh"

# table WORD: that algorithm for all convolutions of the run that tiles are for
table ()
{
  echo "layout = blocked"
  for shape in "c=8 h=16 w=16 out=8" "c=16 h=8 w=8 out=16" "c=16 h=8 w=8 out=8"; do
    echo "conv n=16 $shape kernel=3 stride=1 pad=1 src=blocked dst=blocked" \
      "forward=$1 back_data=$1 back_weights=$1"
  done
}

for way in winograd2x2 winograd4x4; do
  cd "$tmp" && mkdir $way && table $way >$way.txt && cd $way || exit 1
  # shellcheck disable=SC2086
  many 2 train $small train.steps=12 checkpoint.every=6 checkpoint.keep=9 \
    train.tune=../$way.txt
  ok $? "$way: 12 steps on 2 ranks"
  ! grep -q 'kernel dropped.*wino' said &&
    [ "$(grep -c "forward=$way back_data=$way back_weights=$way" run/tune.txt)" = 3 ]
  ok $? "$way: nothing dropped"
  for part in forward back_data back_weights; do
    grep -q "^right $part .*by own:wino" run/tune.txt || echo "$part" >&2
  done >said 2>&1
  [ ! -s said ]
  ok $? "$way: proven in all directions"
  paste -d , run/metrics.csv ../half/run/metrics.csv |
    $AWK -F, 'NR == 1 { half = NF / 2 }
      $3 == "train" && $1 <= 12 { n++; d = $10 - $(10 + half); if (d < 0) d = -d
        if (d > 0.001 * $10) { print $1, $10, $(10 + half); bad = 1 } }
      END { exit bad || n != 12 }' >said
  ok $? "$way: every loss of 12 steps near that of plain sums"
  ! same ../half
  ok $? "$way: but not its bits"
  case $way in *4x4) counts="1 4" ;; *) counts=3 ;; esac
  for ranks in $counts; do
    cd "$tmp" && rm -rf now && mkdir now && cd now || exit 1
    # shellcheck disable=SC2086
    many $ranks train $small train.steps=6 checkpoint.every=6 \
      train.tune=../$way.txt &&
      many 2 train $small train.steps=12 checkpoint.every=6 checkpoint.keep=9 \
        train.tune=run/tune.txt
    [ $? = 0 ] && [ "$(last exact)" = true ] && same ../$way
    ok $? "$way: 6 steps on $ranks and 6 on 2 ranks, the same bits"
  done
done

# Kernels of three directions are made, and then those of their proof.
cd "$tmp" && rm -rf now && mkdir now && cd now || exit 1
# shellcheck disable=SC2086
INTERLOCK_FAIL=winograd:4 one train $small train.steps=1 \
  train.tune=../winograd4x4.txt
[ $? = 0 ] && grep -q 'kernel dropped: .* by own:wino4x4.*: wrong by' said &&
  grep -q 'forward=direct back_data=winograd4x4' run/tune.txt
ok $? "planted: a wrong number in a transform is noticed, and told"

cat >tiles.ini <<'END'
[model]
groups=16x1
[stages]
cut=2,rest
head=gap-fc
[data]
file=../data.h5
[train]
batch=8
steps=1
END
one verify tiles.ini
[ $? = 0 ] && [ "$(grep -c '^ok .*by own:wino[24]x' said)" -ge 6 ]
ok $? "verify of a configuration tries them"
done_testing

#!/bin/sh
# tests/run/heads_torch.sh -- heads of images and smoothed labels against
# PyTorch's own modules: names and shapes of all tensors, where some steps of SGD
# lead, and the loss in evaluation.  Nothing is done without PyTorch.  Prints TAP.
# limit: 600

# shellcheck disable=SC2016,SC2086 # awk's own $; words of settings
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
top=${abs_top_srcdir-$(dirname "$0")/../..}
case $top in /*) ;; *) top=$OLDPWD/$top ;; esac

python=
for p in python3 /usr/bin/python3; do
  [ -z "$python" ] && "$p" -c "import h5py, torch" >/dev/null 2>&1 && python=$p
done
if [ -z "$python" ]; then
  echo "1..0 # SKIP no python3 with h5py and PyTorch"
  exit 0
fi

words="model.groups=8x2,16x2 stages.count=2 strategy.span=1
  data.file=$tmp/data.h5 data.order=sequential train.batch=8 train.tune=no
  --quiet"

# moved HEAD SMOOTHING WITH [AS [FAULT]]: three steps here, a head behind $cut
# units, and in PyTorch with smoothing WITH, and head AS
cut=2
moved ()
{
  rm -rf first last
  one train $words stages.cut=$cut,rest stages.head=$1 train.smoothing=$2 train.steps=1 train.lr=0 \
    train.weight_decay=0 run.dir=first &&
    many 2 train $words stages.cut=$cut,rest stages.head=$1 train.smoothing=$2 train.steps=3 \
      train.lr=0.05 train.momentum=0.9 train.weight_decay=1e-3 run.dir=last &&
    "$python" "$top/tests/run/torch_heads.py" "$(ls first/checkpoints/*.h5)" \
      "$(ls last/checkpoints/*.h5)" data.h5 "${4-$1}" "$3" 3 \
      $cut ${5-} >said 2>errors
}

for row in pool2-fc16-bn-fc12-fc,0 pool4-conv1x8-bn-conv1x12-pool3-fc,0.1 bn-gap-fc,0 \
  ln-conv12s2-bn-gap-fc9-fc,0 like-1,0.1 like-2-bn-gap-fc,0 \
  conv12s2-bn-gap-fc+rec,0 ln-gap-fc+rec0.25,0.1,4; do
  cut=2
  case $row in *,4) cut=4 row=${row%,4} ;; esac
  head=${row%,*}
  moved $head "${row#*,}" "${row#*,}"
  ok $? "$head, smoothing ${row#*,}: $(tail -n 1 errors)"
  want=$(cat said)
  one eval last --split valid
  have=$($AWK '$1 == 0 { print $3, $5 == "(valid," ? "" : $5 }' said)
  echo $want $have | $AWK -v rec="${head#*+}" '{ d = $1 - $(1 + NF / 2)
    e = NF == 4 ? $2 - $4 : 0
    exit !(NF == (rec ~ /^rec/ ? 4 : 2) && d < 6e-5 && d > -6e-5 &&
      e < 6e-5 && e > -6e-5) }'
  ok $? "$head: evaluates alike: $have, PyTorch $want"
done
moved gap-fc 0.1 0
[ $? -ne 0 ] && grep -q AssertionError errors
ok $? "planted: labels that are not smoothed are noticed"
moved gap-fc+rec 0 0 gap-fc+rec0.9
[ $? -ne 0 ] && grep -q AssertionError errors
ok $? "planted: another weight of the images is noticed"
moved gap-fc+rec 0 0 gap-fc+rec corners
[ $? -ne 0 ] && grep -q AssertionError errors
ok $? "planted: corners that are not aligned are noticed"
done_testing

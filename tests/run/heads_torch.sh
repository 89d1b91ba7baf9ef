#!/bin/sh
# tests/run/heads_torch.sh -- heads of images and smoothed labels against
# PyTorch's own modules: names and shapes of all tensors, where some steps of SGD
# lead, and the loss in evaluation.  Nothing is done without PyTorch.  Prints TAP.
# limit: 480

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

words="model.groups=8x2,16x2 stages.count=2 stages.cut=2,rest strategy.span=1
  data.file=$tmp/data.h5 data.order=sequential train.batch=8 train.tune=no
  --quiet"

# moved HEAD SMOOTHING WITH: three steps here, and in PyTorch with smoothing WITH
moved ()
{
  rm -rf first last
  one train $words stages.head=$1 train.smoothing=$2 train.steps=1 train.lr=0 \
    train.weight_decay=0 run.dir=first &&
    many 2 train $words stages.head=$1 train.smoothing=$2 train.steps=3 \
      train.lr=0.05 train.momentum=0.9 train.weight_decay=1e-3 run.dir=last &&
    "$python" "$top/tests/run/torch_heads.py" "$(ls first/checkpoints/*.h5)" \
      "$(ls last/checkpoints/*.h5)" data.h5 "$1" "$3" 3 >said 2>errors
}

for row in pool2-fc16-bn-fc12-fc,0 pool4-conv1x8-bn-conv1x12-pool3-fc,0.1 bn-gap-fc,0 \
  ln-conv12s2-bn-gap-fc9-fc,0 like-1,0.1 like-2-bn-gap-fc,0; do
  head=${row%,*}
  moved $head "${row#*,}" "${row#*,}"
  ok $? "$head, smoothing ${row#*,}: $(tail -n 1 errors)"
  want=$(cat said)
  one eval last --split valid
  have=$($AWK '$1 == 0 { print $3 }' said)
  echo "$want $have" | $AWK '{ d = $1 - $2
    exit !(NF == 2 && d < 6e-5 && d > -6e-5) }'
  ok $? "$head: evaluates alike: $have, PyTorch $want"
done
moved gap-fc 0.1 0
[ $? -ne 0 ] && grep -q AssertionError errors
ok $? "planted: labels that are not smoothed are noticed"
done_testing

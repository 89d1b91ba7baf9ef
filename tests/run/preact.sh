#!/bin/sh
# tests/run/preact.sh -- ResNets of order pre against PyTorch's own modules: names
# and shapes of all tensors, logits in training and in evaluation, and where some
# steps of SGD lead.  Nothing is done without PyTorch.  Prints TAP.

# shellcheck disable=SC2016 # awk's own $
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
resnet ()
{
  "$python" "$top/tests/run/torch_resnet.py" "$@" >said 2>errors
}

still="train.steps=1 train.lr=0 train.weight_decay=0 train.batch=8
  data.order=sequential train.tune=no --quiet"

# first NAME DATASET WORDS...: its first weights, and what they give
first ()
{
  name=$1
  data=$2
  shift 2
  # shellcheck disable=SC2086
  one train data.file="$data" "$@" $still stages.count=1 run.dir="$name" \
    --dump 0,0,logits
  ok $? "$name: one step that moves nothing"
  file=$(ls "$name"/checkpoints/*.h5)
}

# compared NAME DATASET NET WORDS...
compared ()
{
  name=$1
  data=$2
  net=$3
  shift 3
  first "$name" "$data" "$@"
  resnet logits "$file" "$data" "$net" "$name/dump-0-0-logits.npy"
  ok $? "$name: PyTorch's modules have its names and logits: $(cat said)"
  many 2 train data.file="$data" "$@" train.steps=3 train.lr=0.05 \
    train.momentum=0.9 train.weight_decay=1e-3 train.batch=8 stages.count=3 \
    stages.cut=2,1,rest stages.head=gap-fc data.order=sequential \
    train.tune=no run.dir="$name-3" --quiet
  ok $? "$name: three steps in three stages on two ranks"
  resnet steps "$file" "$(ls "$name"-3/checkpoints/*.h5)" "$data" "$net" 3
  ok $? "$name: PyTorch's SGD ends there as well: $(cat errors)"
  want=$(cat said)
  one eval "$name-3" --split valid
  have=$($AWK 'END { print $3 }' said)
  echo "$want $have" | $AWK '{ d = $1 - $2
    exit !(NF == 2 && d < 6e-5 && d > -6e-5) }'
  ok $? "$name: and evaluates alike: $have, PyTorch $want"
}

one import synthetic -q seed=6 size=16 train=64 valid=32 test=8 -o small.h5
compared basic small.h5 basic:8:cifar:8x2,16x2 model.groups=8x2,16x2 \
  model.order=pre
compared bottleneck small.h5 bottleneck:16:cifar:4x1,8x2 model.groups=4x1,8x2 \
  model.block=bottleneck model.order=pre model.stem_width=16
one import synthetic -q seed=7 size=32 train=64 valid=32 test=8 -o large.h5
compared large large.h5 basic:12:imagenet:8x1,16x2 model.groups=8x1,16x2 \
  model.stem=imagenet model.stem_width=12 model.order=pre

# The presets, on the smallest images that a step can be taken with.
one import synthetic -q seed=8 size=8 train=16 valid=8 test=8 -o tiny.h5
while read -r preset net; do
  first "$preset" tiny.h5 model.preset="$preset"
  resnet logits "$file" tiny.h5 "$net" "$preset/dump-0-0-logits.npy"
  ok $? "$preset: PyTorch's modules have its names and logits: $(cat said)"
done <<'EOF'
resnet164 bottleneck:16:cifar:16x18,32x18,64x18
wrn-28-10 basic:16:cifar:160x4,320x4,640x4
EOF

# A network of the other order is none of these.
first post small.h5 model.groups=8x2,16x2
resnet logits "$file" small.h5 basic:8:cifar:8x2,16x2 post/dump-0-0-logits.npy
[ $? -ne 0 ] && grep -q 'bn1.weight' errors
ok $? "planted: a network of order post is noticed"
done_testing

#!/bin/sh
# tests/weights/weights.sh -- weights go out under other people's names and come
# back the same; damaged files, and models that these names do not have, are
# refused.
#
# Files are looked at by a reader of the test's own (weights.py, python3), and
# models of PyTorch that it writes down take them by name; what is not there is
# said.  Prints TAP.

# shellcheck disable=SC2016 # awk's own $
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
top=${abs_top_srcdir-$(dirname "$0")/../..}
case $top in /*) ;; *) top=$OLDPWD/$top ;; esac

# The first python3 of each kind.
python=
torch=
vision=
for p in python3 /usr/bin/python3; do
  [ -z "$python" ] && "$p" -c '' >/dev/null 2>&1 && python=$p
  [ -z "$torch" ] && "$p" -c 'import h5py, numpy, torch' >/dev/null 2>&1 &&
    torch=$p
  [ -z "$vision" ] && "$p" -c 'import h5py, torchvision' >/dev/null 2>&1 &&
    vision=$p
done
with () # PYTHON ARGUMENT...
{
  program=$1
  shift
  "$program" "$top/tests/weights/weights.py" "$@" >said 2>errors
}
skip () # WHY NAME
{
  n=$((n + 1))
  printf 'ok %d - %s # SKIP %s\n' $n "$2" "$1"
}

images="model.groups=8x2,16x2 stages.cut=2,1,1,rest stages.head=conv8-bn-gap-fc
  strategy.span=2 data.file=data.h5 train.batch=16 train.tune=no train.lr=0.05
  train.seed=3 --quiet"
tokens="model.family=transformer model.layers=2 model.d_model=24 model.heads=4
  model.context=24 stages.cut=2,rest stages.head=ln-fc data.file=text.h5
  train.batch=8 train.lr=0.01 --quiet"
i=0
while [ $i -lt 80 ]; do
  echo "line $i of a text: $((i * 37 % 101)) and $((i * i % 89)), then $i"
  i=$((i + 1))
done >text.txt
one import text text.txt -o text.h5 valid=0.2

modules= # for PyTorch, which takes long to start
# model KIND NAMES DATA WORDS...: trained, exported, read by others, and back.
model ()
{
  kind=$1
  names=$2
  data=$3
  shift 3
  one train "$@" train.steps=12 run.dir="$kind"
  ok $? "$kind: trained"
  one export "$kind" -o "$kind.safetensors" --names "$names"
  ok $? "$kind: exported under the names of $names"
  one import weights "$kind.safetensors" -o "$kind.h5" names="$names"
  ok $? "$kind: imported"
  # A parameter file has all that is exported, so both give the same bytes.
  one export "$kind.h5" -o back.h5 && one export "$kind" -o forth.h5 &&
    cmp -s back.h5 forth.h5
  ok $? "$kind: with the same names, shapes and bits"
  one export "$kind" -o other.h5 --names "$names" &&
    one import weights other.h5 -o from.h5 --force && cmp -s from.h5 "$kind.h5"
  ok $? "$kind: by way of HDF5, too, where names are found"
  if [ -n "$python" ]; then
    with "$python" look "$kind.safetensors"
    ok $? "$kind: another reader finds the layout whole"
  else
    skip "no python3" "$kind: another reader"
  fi
  if [ -n "$torch" ]; then
    one eval "$kind"
    numbers=$($AWK 'END { print $3, $4 }' said)
    modules="$modules $kind $kind.safetensors $data 4 $numbers"
  fi
}

# onward KIND WORDS...: a step from what was imported is one from the checkpoint; a
# bit that had changed would change all that follow.
onward ()
{
  kind=$1
  shift
  file=$(ls "$kind"/checkpoints/*.h5)
  one train "$@" train.steps=1 train.init="$kind.h5" run.dir="$kind-in" &&
    one train "$@" train.steps=1 train.init="$file" run.dir="$kind-ours"
  ok $? "$kind: train.init takes it"
  one export "$kind-in" -o in.h5 && one export "$kind-ours" -o ours.h5 &&
    cmp -s in.h5 ours.h5
  ok $? "$kind: and goes on as from the checkpoint"
}

# End to end, so that nothing is learned from heads, which begin anew.
last="strategy.span=all strategy.heads=needed"
# shellcheck disable=SC2086
model basic torchvision data.h5 $images $last
# shellcheck disable=SC2086
onward basic $images $last
# shellcheck disable=SC2086
model bottleneck torchvision data.h5 $images $last model.block=bottleneck \
  model.stem=imagenet
# shellcheck disable=SC2086
model v2 timm data.h5 $images $last model.block=bottleneck model.order=pre
# shellcheck disable=SC2086
model gpt2 hf-gpt2 text.h5 $tokens $last
# shellcheck disable=SC2086
onward gpt2 $tokens $last
# shellcheck disable=SC2086
model llama hf-llama text.h5 $tokens $last model.norm=rmsnorm model.tied=no \
  model.mlp=swiglu model.positions=rope model.kv_heads=2 model.mlp_ratio=2.5

if [ -n "$torch" ]; then
  # shellcheck disable=SC2086
  with "$torch" torch $modules
  ok $? "PyTorch takes all by name and computes the losses of eval: $(cat said)"
else
  skip "no python3 with torch and h5py" "PyTorch computes the losses of eval"
fi

# -- what such models cannot be ------------------------------------------------

refused () # CODE WORDS NAME ARGUMENT...
{
  code=$1
  words=$2
  name=$3
  shift 3
  one "$@"
  got=$?
  [ $got = "$code" ] && complaints | grep -q -e "$words"
  ok $? "$name: $code, by name"
}
to="-o none.safetensors"
# shellcheck disable=SC2086
{
  refused 64 'bn.running_mean\|bn.bias' "order pre is not torchvision's" \
    export v2 $to --names torchvision
  refused 64 'transformer' "GPT-2 is not Llama" export gpt2 $to --names hf-llama
  refused 64 'conv1.weight\|bn1' "a ResNet is not GPT-2" \
    export basic $to --names hf-gpt2
  refused 64 'torchvison' "an unknown name" export basic $to --names torchvison
  refused 64 'format' "an unknown format" export basic $to --format pickle
  refused 64 ' -o FILE' "no output" export basic
  refused 64 'is the file to read from' "onto itself" export basic.h5 -o basic.h5
  one train $tokens train.steps=1 run.dir=rope model.positions=rope
  refused 64 'wpe' "GPT-2 with rotary positions" export rope $to
  one train $tokens train.steps=1 run.dir=few model.kv_heads=2
  refused 64 'kv_heads' "GPT-2 with few heads of keys" export few $to
  one train $images train.steps=1 run.dir=border stages.border=rms
  refused 64 'stages.border' "a border that normalises" export border $to
  refused 69 'nowhere' "no such run" export nowhere $to
}
[ ! -e none.safetensors ]
ok $? "and nothing is written"

# -- heads of inner stages -----------------------------------------------------

# shellcheck disable=SC2086
one train $images train.steps=2 run.dir=local strategy.span=1
one export local -o heads.safetensors --heads &&
  one import weights heads.safetensors -o heads.h5
ok $? "heads of inner stages go out and in"
# shellcheck disable=SC2086
one train $images train.steps=1 strategy.span=1 train.init=heads.h5 run.dir=h1 &&
  one train $images train.steps=1 strategy.span=1 run.dir=h2 \
    train.init="$(ls local/checkpoints/*.h5)" && one export h1 -o h1.h5 --heads &&
  one export h2 -o h2.h5 --heads && cmp -s h1.h5 h2.h5
ok $? "and are those of the checkpoint"
one info heads.h5 && grep -q /heads/1/0.weight said
ok $? "under their own names"

# -- another number of classes -------------------------------------------------

one import synthetic seed=6 size=16 train=32 valid=32 test=32 classes=4 -o few.h5
# shellcheck disable=SC2086
refused 65 'fc.weight.*train.init.fresh = fc' "another number of classes" \
  train $images data.file=few.h5 train.steps=1 run.dir=f1 train.init=basic.h5
# shellcheck disable=SC2086
"$I" train model.groups=8x2,16x2 stages.count=2 strategy.span=2 data.file=few.h5 \
  train.batch=16 train.steps=2 run.dir=f2 train.init=basic.h5 \
  train.init.fresh=fc >said 2>errors && grep -q 'start new:.*fc.weight' said errors
ok $? "train.init.fresh = fc fine-tunes it, which is told"
one export f2 -o f2.safetensors
ok $? "and what came of it is exported"

# -- nothing half-written ------------------------------------------------------

echo before >kept.safetensors
INTERLOCK_FAIL="write" one export basic -o kept.safetensors
[ $? = 74 ] && [ "$(cat kept.safetensors)" = before ] && [ -z "$(ls ./*.part 2>/dev/null)" ]
ok $? "a failed write leaves what was there, and nothing beside it"
INTERLOCK_FAIL="hang-write" "$I" export basic -o gone.safetensors >/dev/null 2>&1 &
pid=$!
i=0
while [ $i -lt 100 ] && [ -z "$(ls ./*.part 2>/dev/null)" ]; do
  sleep 0.1
  i=$((i + 1))
done
found=$(ls ./*.part 2>/dev/null)
kill -TERM $pid
wait $pid 2>/dev/null
[ $? -gt 128 ] && [ -n "$found" ] && [ -z "$(ls ./*.part gone.safetensors 2>/dev/null)" ]
ok $? "nor does a signal"

# -- damaged files -------------------------------------------------------------

if [ -z "$python" ]; then
  skip "no python3" "damaged files"
  done_testing
fi
bias=layer1.0.bn1.bias
while read -r what words; do
  rm -f bad.h5
  with "$python" change basic.safetensors bad.safetensors "$what"
  refused 65 "$words" "safetensors: $what" import weights bad.safetensors \
    -o bad.h5
  [ ! -e bad.h5 ] || ok 1 "$what: a file was written"
done <<END
overlap $bias
hole $bias
more at the end are of no tensor
cut $bias.*cut off
dtype $bias.*F33
integer $bias.*I32
untyped $bias
shape $bias
huge $bias
negative $bias
deep $bias.*dims
outside $bias
backwards $bias
twice $bias
json header is damaged
extra layer1.0.se.fc1.weight
short shorter than 8
0 safetensors
100000000000 header of 100000000000
18446744073709551615 header of 18446744073709551615
END
with "$python" change basic.safetensors bad.safetensors missing
one import weights bad.safetensors -o missing.h5
# shellcheck disable=SC2086
refused 65 "$bias is missing" "a tensor is missing" \
  train $images train.steps=1 run.dir=m1 train.init=missing.h5
with "$python" change basic.safetensors bad.safetensors other
one import weights bad.safetensors -o other.h5 --force
# shellcheck disable=SC2086
refused 65 "$bias: shape" "a tensor has another shape" \
  train $images train.steps=1 run.dir=m2 train.init=other.h5
with "$python" change basic.safetensors bad.safetensors wrapped
one import weights bad.safetensors -o wrapped.h5 && cmp -s wrapped.h5 basic.h5
ok $? "names of a wrapped module are the same"
refused 64 'names=' "names that are not" import weights basic.safetensors \
  -o bad.h5 names=tf
refused 65 'torchvision' "names of another" import weights gpt2.safetensors \
  -o bad.h5 names=torchvision
head -c 4000 data.h5 >bad.safetensors
refused 65 'bad.safetensors' "HDF5 that is cut off" import weights \
  bad.safetensors -o bad.h5

for type in F16 BF16 F64; do
  with "$python" recode basic.safetensors $type.safetensors $type
  one import weights $type.safetensors -o wide.h5 --force &&
    one export wide.h5 -o wide.safetensors &&
    with "$python" same $type.safetensors.f32 wide.safetensors
  ok $? "$type is widened to the last bit"
done

# As the hub has GPT-2: without the first word, with masks.
with "$python" change gpt2.safetensors hub.safetensors hub
one import weights hub.safetensors -o hub.h5 && one export hub.h5 -o hub2.h5 &&
  one export gpt2 -o gpt2b.h5 && cmp -s hub2.h5 gpt2b.h5
ok $? "GPT-2 as hubs have it is the same"
one import weights hub.safetensors -o hub.h5 --force && grep -q 'not used:.*attn.bias' errors said
ok $? "and its masks are told"

# -- torchvision itself --------------------------------------------------------

if [ -n "$vision" ]; then
  one import synthetic seed=5 size=64 train=8 valid=8 test=8 -o large.h5
  one train model.preset=resnet18 data.file=large.h5 train.batch=8 train.steps=1 \
    train.tune=no run.dir=r18 checkpoint.keep=1 --quiet
  one export r18 -o r18.safetensors
  one eval r18
  numbers=$($AWK 'END { print $3, $4 }' said)
  # shellcheck disable=SC2086
  with "$vision" torch torchvision r18.safetensors large.h5 0 $numbers
  ok $? "torchvision's resnet18 has these names and shapes, no more and no less, and computes the loss of eval"
else
  skip "no torchvision" "torchvision's resnet18"
fi

done_testing

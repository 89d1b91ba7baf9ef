#!/bin/sh
# tests/run/heads.sh -- the words of heads, each through whole runs: the same bits
# on any number of ranks and after a stop, evaluation with the numbers of
# training, and what is refused before anything is read.
#
# Prints TAP; needs a launcher.
# limit: 600
# shellcheck disable=SC2016,SC2086 # awk's own $; words of settings

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

i=0
while [ $i -lt 200 ]; do
  echo "line $i of a text: $((i * 37 % 101)) and $((i * i % 89)), then $i"
  i=$((i + 1))
done >text.txt
one import text text.txt -o text.h5 valid=0.1 test=0.1
ok $? "text is imported"

images="$small data.file=$tmp/data.h5 strategy.mix=sum train.micro=2
  train.eval_every=4 --quiet"
tokens="model.family=transformer model.layers=3 model.d_model=16 model.heads=2
  model.context=16 stages.cut=1,1,1,rest strategy.span=2 strategy.mix=sum
  data.file=$tmp/text.h5 train.batch=8 train.micro=2 train.lr=0.01 train.clip=1
  train.eval_every=4 --quiet"

# digests DIRECTORY: of its last checkpoint
digests () {
  grep '"event":"checkpoint"' "$1/events.jsonl" | tail -n 1 |
    sed -n 's/.*"step":\([0-9]*\).*"weights":"\([0-9a-f]*\)","optimizer":"\([0-9a-f]*\)","state":"\([0-9a-f]*\)".*/\1 \2 \3 \4/p'
}

# The last loss of head 1 on valid, as metrics.csv has it.
judged () # DIRECTORY
{
  $AWK -F, '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["split"] == "valid" { v = $at["head1_loss"] }
    END { printf "%.4f", v }' "$1/metrics.csv"
}

# through NAME SETTINGS: 8 steps on 3 ranks; 4 on 4 and 4 on 1; evaluation.
seen=
through ()
{
  name=$1
  run=run$n
  shift
  many 3 train "$@" train.steps=8 run.dir=$run-whole &&
    many 4 train "$@" train.steps=4 run.dir=$run-parts &&
    one train "$@" train.steps=8 run.dir=$run-parts
  ok $? "$name: 8 steps on 3 ranks; 4 on 4 and 4 on 1"
  was=$(digests $run-whole)
  [ -n "$was" ] && [ "$was" = "$(digests $run-parts)" ] &&
    case $seen in *"$was"*) false ;; esac
  ok $? "$name: end in the same bits, which no other has"
  seen="$seen $was"
  many 2 eval $run-whole --split valid && cp said two &&
    one eval $run-parts --split valid && cmp -s said two &&
    grep -q "$(judged $run-whole)" said
  ok $? "$name: evaluated on 2 ranks and on one, with the numbers of training"
}

head=pool4-conv1x16-bn-conv1x8-pool2-fc24-fc24-fc
through $head $images stages.head=$head
through "smoothed, ln-pool2-fc" $images stages.head=ln-pool2-fc \
  train.smoothing=0.2
through like-2 $images stages.head=like-2
rec=conv8s2-bn-gap-fc
through $rec+rec0.5 $images stages.head=$rec+rec0.5 data.augment=flip+crop4 \
  train.agreement=2

# Images are made again on ranks that do not have the first stage, in the phases
# that use the heads, and whoever reads them reads the same.

whole=$was
$AWK -F, 'NR == 1 {
    for (i = 1; i <= NF; i++) at[$i] = i
    for (k = 0; k < 3; k++) if (!at["head" k "_reconstruction"]) exit 1
    if (at["head3_reconstruction"]) exit 1
    next
  }
  $at["split"] == "agreement" { next }
  { v = $at["head2_reconstruction"]; if (!(v > 0.1 && v < 1)) exit 1 }
' $run-whole/metrics.csv && grep -q reconstruction said
ok $? "heads that make images again have a column of it, in each row"
many 3 train $images stages.head=$rec+rec0.25 data.augment=flip+crop4 \
  train.steps=8 run.dir=lighter && [ "$(digests lighter)" != "$whole" ]
ok $? "planted: half the weight is noticed"
INTERLOCK_FAIL=picture:2@2 many 3 train $images stages.head=$rec+rec0.5 \
  data.augment=flip+crop4 train.agreement=2 train.steps=8 run.dir=wrong &&
  [ "$(digests wrong)" != "$whole" ]
ok $? "planted: images of another micro-batch, on the last rank, are noticed"
dial=$(echo $images | sed 's/strategy.span=2//')
dial="$dial stages.head=$rec+rec strategy.dial=0:all,3:local,5:all,6:2"
many 4 train $dial train.steps=8 checkpoint.every=4 run.dir=dial &&
  cp -r dial again && rm again/checkpoints/*8.h5 again/status &&
  many 2 train again/config.ini run.dir=again
ok $? "a dial that needs images from step 3 on: on 4 ranks; gone on from 4 on 2"
[ "$(digests dial)" = "$(digests again)" ]
ok $? "the same bits"
many 4 train $images stages.head=$rec+rec run.replicas=2 train.micro=1 \
  train.steps=4 run.dir=twins-4 &&
  many 2 train $images stages.head=$rec+rec run.replicas=2 train.micro=1 \
    train.steps=4 run.dir=twins-2 && [ "$(digests twins-4)" = "$(digests twins-2)" ]
ok $? "two replicas of one rank and of two: the same bits"
for p in 1 3; do
  many $p train $images stages.head=$rec+rec train.precision=bf16 \
    train.steps=4 run.dir=narrow-$p
done
[ "$(digests narrow-1)" = "$(digests narrow-3)" ] && [ -n "$(digests narrow-1)" ]
ok $? "in bf16, on one rank and on 3: the same bits"
one train $images stages.head=auto+rec2 train.steps=2 run.dir=chosen &&
  grep -q '^head = .*-fc+rec2' chosen/config.ini && one plan chosen/config.ini &&
  grep -q '^head.*+rec2, ' said
ok $? "auto+rec2: what is chosen makes images again"
one train $images stages.head=auto+rec2 train.steps=4 run.dir=chosen
ok $? "auto+rec2: goes on"
one verify chosen/config.ini run.dir=verified train.steps=2
ok $? "verified"
through ln-fc24-rank4-fc $tokens stages.head=ln-fc24-rank4-fc
through like-1 $tokens stages.head=like-1 model.dropout=0.1
one generate $run-whole --prompt line --tokens 5
ok $? "like-1: the output generates"
one generate $run-whole --prompt line --tokens 5 --head 1
[ $? = 64 ] && grep -q 'head 1: .*look back (like-1).*head 3' errors
ok $? "like-1: an inner head is refused"

# Before data is touched: where in the grammar, and why.
refused () # FAMILY HEAD PATTERN
{
  one train model.family=$1 stages.head=$2 run.dir=none
  [ $? = 64 ] && grep -q "^head \"$2\": $3" errors && [ ! -e none ]
  ok $? "refused: $1, $2"
}
refused resnet pool2-fc8-gap-fc 'word 3, "gap": gap cannot follow fcN'
refused resnet conv1x8-fc 'word 2, "fc": a linear layer needs gap or poolN'
refused resnet gap-ln-fc 'word 2, "ln": over images ln must be the first word'
refused resnet gap-rank8-fc 'word 2, "rank8": rankN belongs to Transformers'
refused resnet pool0-fc 'unknown word "pool0".*did you mean "pool2"'
refused resnet gap-fc+record 'unknown suffix "+record"; known is +recW'
one train stages.head=auto+rec0 run.dir=none
[ $? = 64 ] && grep -q 'unknown suffix "+rec0"; known is +recW' errors
ok $? "refused: auto+rec0"
refused transformer ln-fc+rec '+rec makes images again: only ResNets'
refused resnet gap-like-2 'word 2, "like-2": blocks of the network must be'
refused resnet like-gap-fc 'unknown word "like-gap"'
refused "transformer stages.head_tokens=0.5" like-1 'its blocks look at all'
refused transformer ln-pool2-fc 'word 2, "pool2": heads of Transformers'
refused transformer ln-rank8 'word 2, "rank8": the last word must be fc'

done_testing

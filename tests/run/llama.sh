#!/bin/sh
# tests/run/llama.sh -- a language model of Llama's layers from text to text:
# trained, stopped, gone on with on other ranks, judged, generating; and what may
# not change in it.
#
# Prints TAP; needs a launcher.
# limit: 600
# shellcheck disable=SC2016 # awk's own $

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

i=0
while [ $i -lt 200 ]; do
  echo "line $i of a text: $((i * 37 % 101)) and $((i * i % 89)), then $i"
  i=$((i + 1))
done >text.txt
one import text text.txt -o text.h5 valid=0.2
ok $? "text is imported"

model="model.family=transformer model.preset=llama-nano model.layers=3
  model.d_model=24 model.context=16 stages.cut=1,1,1,rest data.file=text.h5
  train.batch=8 train.micro=2 train.lr=0.01 train.clip=1 train.eval_every=4
  strategy.span=2 --quiet"
hard="$model model.qk_norm=yes model.dropout=0.1 stages.head=ln-shared
  stages.head_tokens=0.5 stages.border=rms"

# digests of the last checkpoint of each folder named; all the same?
same () {
  for folder in "$@"; do
    grep '"event":"checkpoint"' "$folder/events.jsonl" | tail -n 1 |
      sed -n 's/.*"step":\([0-9]*\).*"weights":"\([0-9a-f]*\)","optimizer":"\([0-9a-f]*\)","state":"\([0-9a-f]*\)".*/\1 \2 \3 \4/p'
  done >said
  [ "$(wc -l <said)" = $# ] && [ "$(sort -u said | wc -l)" = 1 ]
}

# shellcheck disable=SC2086
for row in "plain $model" "untied $model model.tied=no" "hard $hard"; do
  name=${row%% *}
  words=${row#* }
  many 2 train $words train.steps=8 run.dir=$name
  ok $? "$name: 8 steps on 2 ranks"
  many 4 train $words train.steps=3 run.dir=$name-parts
  many 3 train $words train.steps=5 run.dir=$name-parts
  one train $words train.steps=8 run.dir=$name-parts
  ok $? "$name: 3 on 4, 2 more on 3, 3 more on 1"
  same $name $name-parts
  ok $? "$name: end in the same bits"
done
# shellcheck disable=SC2086
one train $model model.tied=yes train.steps=8 run.dir=tied
same plain tied
ok $? "the preset ties its matrices"
! same plain untied
ok $? "untied is another network"

# Each switch is another network, from the beginning; none slips in on the way.
# shellcheck disable=SC2086
for word in norm=layernorm mlp=gelu positions=learned kv_heads=4 qk_norm=yes; do
  one train $model train.steps=12 run.dir=plain "model.$word"
  [ $? = 64 ] && grep -q "model.${word%=*}" errors
  ok $? "model.$word in a run without is refused"
done
# shellcheck disable=SC2086
one train $model train.steps=8 run.dir=plain model.kv_heads=2
ok $? "what the preset says, said once more, is not"

many 3 eval hard --split valid
cp said three
one eval hard --split valid
loss=$($AWK -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
  $at["split"] == "valid" { v = $at["head3_loss"] } END { print v }' hard/metrics.csv)
cmp -s said three && grep -q "$(printf '%.4f' "$loss")" said
ok $? "evaluated on 3 ranks and on one: the numbers of training"

for run in plain hard; do
  for ranks in 1 2 4; do
    many $ranks generate $run --prompt 'line ' --tokens 40 --seed 5 --top-k 8
    cp said text$ranks
  done
  cmp -s text1 text2 && cmp -s text1 text4 && [ "$(wc -c <text1)" = 46 ]
  ok $? "$run: the same text from 1, 2 and 4 ranks, on behind the context"
  one generate $run --prompt 'line ' --tokens 10 --temperature 0
  cp said all
  one generate $run --prompt "$(head -c 10 all)" --tokens 5 --temperature 0
  cmp -s said all
  ok $? "$run: kept keys and values give what a longer prompt gives"
done

# What a run is made of is in its config.ini, and repeats it.
grep -q '^norm = rmsnorm$' plain/config.ini && grep -q '^mlp = swiglu$' \
  plain/config.ini && grep -q '^positions = rope$' plain/config.ini &&
  grep -q '^qk_norm = yes$' hard/config.ini
ok $? "config.ini says what layers are made of"
one train plain/config.ini run.dir=again --quiet
same plain again
ok $? "and repeats the run"
one train plain/config.ini run.dir=gpt train.steps=1 model.preset=gpt-nano \
  stages.cut=2,2,2,rest --quiet
grep -q '^norm = layernorm$' gpt/config.ini &&
  grep -q '^positions = learned$' gpt/config.ini
ok $? "a preset on top of it brings its own"
done_testing

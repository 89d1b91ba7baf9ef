#!/bin/sh
# tests/run/folder.sh -- a small ResNet on a folder of JPEG images: import, train
# on parts of them, stop, go on with other ranks, evaluate.
#
# Prints TAP; needs a launcher.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

make=${abs_top_builddir-.}/tests/import/folder
"$make" make "$tmp/set" 8 || {
  echo "1..0 # SKIP built without libjpeg-turbo, or $make is not there"
  exit 0
}
one import folder set -o set.h5 size=32
ok $? "a folder is imported"
one info set.h5 --check && grep -q 'train *24 samples, 8 to 8' said &&
  grep -q 'JPEG images of .* to ' said && grep -q '/test/jpeg .* agrees' said
ok $? "info tells of it, and checks it"

model="model.groups=8x1,16x1 stages.count=2 stages.head=gap-fc strategy.span=1
  data.file=$tmp/set.h5 data.augment=imagenet train.batch=12 train.micro=2
  train.lr=0.05 train.tune=no --quiet"

# digests of the last checkpoint of each folder named; all the same?
same () {
  for folder in "$@"; do
    grep '"event":"checkpoint"' "$folder/events.jsonl" | tail -n 1 |
      sed -n 's/.*"step":\([0-9]*\).*"weights":"\([0-9a-f]*\)","optimizer":"\([0-9a-f]*\)","state":"\([0-9a-f]*\)".*/\1 \2 \3 \4/p'
  done >said
  [ "$(wc -l <said)" = $# ] && [ "$(sort -u said | wc -l)" = 1 ]
}

# rows FOLDER: metrics.csv without what a clock says
rows () {
  $AWK -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    { $at["seconds"] = $at["samples_per_s"] = ""; print }' "$1/metrics.csv"
}

# shellcheck disable=SC2086
{
  one train $model train.steps=4 run.dir=one
  ok $? "4 steps on 1 rank"
  many 2 train $model train.steps=4 run.dir=two
  ok $? "4 steps on 2 ranks"
  same one two
  ok $? "end in the same bits"
  rows one >a && rows two >b && cmp a b
  ok $? "with the same losses, on valid and test too"
  many 2 train $model train.steps=2 run.dir=parts &&
    one train $model train.steps=4 run.dir=parts
  ok $? "2 steps on 2 ranks, 2 more on 1"
  same one parts
  ok $? "end in the same bits as 4 without a stop"
  many 2 train $model train.steps=4 run.dir=plain data.augment=none &&
    ! same one plain
  ok $? "without augmentation they are others"
  many 2 train $model train.steps=4 run.dir=twins run.replicas=2 &&
    many 2 train $model train.steps=4 run.dir=again run.replicas=2 &&
    same twins again
  ok $? "two replicas, twice"
  many 2 eval one --split test
  ok $? "an evaluation"
}

# What a plan says of decoding.  First a network that takes seconds for what
# decodes in milliseconds, by guessed costs; then one image takes a second, and
# the network milliseconds.
# shellcheck disable=SC2086
{
  one plan $model model.groups=512x2,1024x2 data.file=$tmp/set.h5
  [ $? = 0 ] && grep -q '^decoding: [0-9]* images/s by .*; [0-9]* needed$' said &&
    ! grep -q bottleneck errors
  ok $? "a plan tells how fast decoding is, and warns of nothing"
  INTERLOCK_FAIL=slow-decode:2 one plan $model
  [ $? = 0 ] && grep -q '^with decoding: .* per batch, ' said &&
    grep -q 'warning: data will be the bottleneck: .* run.replicas' errors
  ok $? "one where images take a second warns, and says what helps"
  INTERLOCK_FAIL=slow-decode:2 many 2 train $model train.steps=1 run.dir=slow
  [ $? = 0 ] && [ "$(grep -c 'warning: data will be the bottleneck' errors)" = 1 ]
  ok $? "so does training, once"
}

# An image that does not decode, met by the rank that reads; all leave with 65.
# shellcheck disable=SC2086
{
  cp set.h5 bad.h5
  at=$(grep -a -o -b "$(printf '\377\330\377')" bad.h5 | sed -n '5s/:.*//p')
  printf 'none' | dd of=bad.h5 bs=1 seek="$at" conv=notrunc 2>/dev/null
  one info bad.h5 --check
  [ $? -eq 65 ] && grep -q 'bad.h5: /train/jpeg: damaged: image 4 ' errors
  ok $? "info --check names a damaged image"
  many 2 train $model train.steps=4 run.dir=bad data.file=$tmp/bad.h5
  [ $? -eq 65 ] && [ "$(grep -c 'bad.h5: /train/jpeg: damaged: image 4 ' errors)" = 1 ]
  ok $? "training on it leaves with 65 and its name, said once"
}

# Pixels of the same folder work as any others.
# shellcheck disable=SC2086
{
  one import folder set -o raw.h5 size=32 raw=yes
  ok $? "as pixels"
  many 2 train $model train.steps=2 run.dir=raw data.file=$tmp/raw.h5 \
    data.augment=flip+crop4
  ok $? "trained on with flip+crop4"
  many 2 train $model train.steps=2 run.dir=raw2 data.file=$tmp/raw.h5
  [ $? -eq 64 ] && grep -q 'raw.h5 has no JPEG images' errors
  ok $? "and refused with imagenet"
}
done_testing

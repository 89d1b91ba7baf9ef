#!/bin/sh
# tests/main/repeat.sh -- a run is repeated by its resolved configuration, and
# the commands that look at it agree with it.
#
# Two folders train the same thing: one from words, the other from the file that
# the first one left.  Their checkpoints are the same bytes.  Prints TAP.

LC_ALL=C
OMP_NUM_THREADS=1
export LC_ALL OMP_NUM_THREADS
I=${INTERLOCK-./interlock}
case $I in /*) ;; *) I=$PWD/$I ;; esac

n=0
failed=0
ok () # CONDITION NAME
{
  n=$((n + 1))
  if [ "$1" = 0 ]; then
    printf 'ok %d - %s\n' $n "$2"
  else
    printf 'not ok %d - %s\n' $n "$2"
    sed 's/^/# /' said
    failed=1
  fi
}

if ! "$I" --version >/dev/null 2>&1; then
  echo "1..0 # SKIP $I does not run"
  exit 0
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
cd "$tmp" || exit 1
mkdir a b c

"$I" import synthetic seed=5 train=48 valid=16 test=16 -o data.h5 >said 2>&1
ok $? "import makes a data set"
"$I" info --check data.h5 >said 2>&1 && grep -q '/train  *48' said
ok $? "info shows it"

(cd a && "$I" train model.groups=8x1,12x1 stages.count=2 stages.head=gap-fc \
  strategy.span=1 data.file=../data.h5 data.augment=flip+crop4 \
  train.batch=12 train.micro=2 train.epochs=1 train.seed=3 \
  train.tune=no run.dir=run) >said 2>&1
ok $? "train, from words"
(cd b && "$I" train ../a/run/config.ini) >said 2>&1
ok $? "train, from the resolved file"
cmp a/run/config.ini b/run/config.ini >said 2>&1
ok $? "the resolved file resolves to itself"
one=$(ls a/run/checkpoints/*.h5)
two=$(ls b/run/checkpoints/*.h5)
[ "${one#a/}" = "${two#b/}" ] && cmp "$one" "$two" >said 2>&1
ok $? "both leave the same checkpoint, byte for byte"
(cd c && "$I" train ../a/run/config.ini train.seed=4) >said 2>&1
! cmp -s "$one" c/run/checkpoints/*.h5
ok $? "another seed leaves another one"

before=$(cksum <"$one")
(cd a && "$I" train run/config.ini) >said 2>&1
s=$?
[ $s -eq 0 ] && [ "$before" = "$(cksum <"$one")" ]
ok $? "a finished run is left alone, with code 0"

# Evaluation and training agree on the loss of the last head on test.
"$I" eval --quiet a/run data.file=data.h5 --split test >said 2>&1
s=$?
loss=$(awk '$1 == "1" { print $(NF - 1) }' said)
want=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i }
  $c["split"] == "test" { v = $c["head1_loss"] } END { printf "%.4f", v }' \
  a/run/metrics.csv)
[ $s -eq 0 ] && [ -n "$loss" ] && [ "$loss" = "$want" ]
ok $? "eval of the run gives the loss that training recorded ($loss, $want)"
"$I" info a/run >said 2>&1 && grep -q '^  .* checkpoint step 4, ' said &&
  grep -q '^  .* finished  *step 4 ' said &&
  grep -q '^a/run/checkpoints/step-000000004.h5: checkpoint' said &&
  grep -q '/model/conv1.weight' said
ok $? "info of the run shows its checkpoint and its events"
"$I" info --check "$one" >said 2>&1
ok $? "the checkpoint's digests agree"

# A shared file may hold keys of the other family; they are not silent.
"$I" plan model.layers=3 2>said >out
s=$?
[ $s -eq 0 ] && [ -s out ] && grep -q 'model.layers has no effect' said
ok $? "a key without effect is warned about"

echo "1..$n"
exit $failed

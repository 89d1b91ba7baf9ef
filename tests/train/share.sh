#!/bin/sh
# tests/train/share.sh -- replicas that share the optimizer's state leave the
# checkpoints of those that do not, and a run goes on from either to the bits of
# one that was never stopped.  Prints TAP.

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
unset SLURM_JOB_ID SLURM_RESTART_COUNT SLURM_JOB_END_TIME
words="$small model.groups=8x2,48x2 run.replicas=2 train.optimizer=adamw
  train.lr=0.01 checkpoint.keep=9"
shared=run.share_optimizer=yes

# last NAME: its value in the last line of events.jsonl that begins a start
last ()
{
  grep -E '"event":"(start|resume)"' run/events.jsonl | tail -n 1 |
    sed -n 's/.*"'"$1"'":\("\([^"]*\)"\|\([^,}]*\)\).*/\2\3/p'
}

# digests FOLDER STEP: of weights, optimizer and state, as written
digests ()
{
  sed -n 's/.*"event":"checkpoint".*"step":'"$2"',.*"weights":"\([0-9a-f]*\)","optimizer":"\([0-9a-f]*\)","state":"\([0-9a-f]*\)".*/\1 \2 \3/p' \
    "$1/run/events.jsonl" | tail -n 1
}

# same FOLDER STEP: what the checkpoint here holds is what that one holds
same ()
{
  digests . "$2" >said
  digests "$1" "$2" >>said
  [ "$(grep -c . said)" = 2 ] && [ "$(sort -u said | wc -l)" = 1 ]
}

mkdir whole && cd whole || exit 1
# shellcheck disable=SC2086
many 4 train $words train.steps=8 checkpoint.every=4
ok $? "8 steps, each replica with all of the state"
cp -R "$tmp/whole" "$tmp/half"
rm "$tmp/half/run/checkpoints/step-000000008.h5" "$tmp/half/run/status"

# A stage of 48 channels has several buckets.
for async in yes no; do
  rm -rf "$tmp/shared"
  mkdir "$tmp/shared" && cd "$tmp/shared" || exit 1
  # shellcheck disable=SC2086
  many 4 train $words train.steps=4 $shared checkpoint.async=$async
  ok $? "4 shared, checkpoint.async=$async"
  same ../whole 4
  ok $? "the checkpoint holds what that of the others holds"
done
one info --check run/checkpoints/step-000000004.h5
ok $? "and is whole"

# go_on FOLDER RANKS [WORD...]: from there to the end
go_on ()
{
  cd "$tmp" && rm -rf now && cp -R "$1" now && cd now || exit 1
  ranks=$2
  shift 2
  # shellcheck disable=SC2086
  many "$ranks" train $words train.steps=8 "$@"
}
go_on shared 2
[ $? = 0 ] && same ../whole 8 && [ "$(last exact)" = true ]
ok $? "on from shared to not, on other ranks: the same bits, exact"
go_on half 4 $shared
[ $? = 0 ] && same ../whole 8 && [ "$(last exact)" = true ] &&
  [ "$(last step)" = 4 ]
ok $? "from not shared to shared: the same bits, exact"
go_on shared 4 $shared train.clip=0.001
[ $? = 0 ] && same ../whole 8
[ $? != 0 ]
ok $? "with clipping others: the comparison can tell"
go_on shared 4 run.replicas=4 $shared
[ $? = 0 ] && [ "$(last exact)" = false ] && [ "$(last replicas)" = 4 ] &&
  [ "$(last saved_optimizer)" = "$(last loaded_optimizer)" ]
ok $? "on four replicas: the state as loaded is the state as saved"
go_on shared 1 run.replicas=1 $shared train.micro=2
[ $? = 0 ] && [ "$(last saved_optimizer)" = "$(last loaded_optimizer)" ]
ok $? "on one"

# -- the plan -----------------------------------------------------------------------

# memory WORD...: bytes that a rank needs, as a number of KiB
memory ()
{
  # shellcheck disable=SC2086
  one plan $words model.groups=64x2,256x2 train.steps=8 checkpoint.at_end=no \
    checkpoint.every_seconds=0 --ranks 4 "$@" --json
  sed -n 's/.*"memory_bytes": *\([0-9]*\).*/\1/p' said | sort -n | tail -n 1
}
a=$(memory) b=$(memory $shared)
echo "$a $b" >>said
[ -n "$a" ] && [ -n "$b" ] && [ "$b" -lt "$a" ]
ok $? "the plan foresees less memory"

done_testing

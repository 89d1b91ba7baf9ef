#!/bin/sh
# tests/bench/save.sh -- what checkpoints cost: time that steps wait for a save
# beside them, bandwidth in the background against a plain write and fsync of the
# same bytes, and the time from start to the first new step.
#
# A ResNet-34 with the CIFAR stem and momentum (21.3 M parameters, 170 MB) on one
# rank.  Variables: STEPS, EVERY, BATCH, THREADS, TMPDIR (its disk is measured).

I=${INTERLOCK-./interlock}
case $I in /*) ;; *) I=$PWD/$I ;; esac
STEPS=${STEPS-12} EVERY=${EVERY-4} BATCH=${BATCH-128} THREADS=${THREADS-2}
AWK=${AWK-awk}
LC_ALL=C
OMP_NUM_THREADS=$THREADS
NO_COLOR=1
export LC_ALL OMP_NUM_THREADS NO_COLOR
dir=$(mktemp -d "${TMPDIR-/tmp}/interlock-bench.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
INTERLOCK_CACHE=$dir/cache
export INTERLOCK_CACHE
trap 'exit 1' HUP INT TERM
cd "$dir" || exit 1

now () { date +%s.%N; }

"$I" import synthetic train=512 valid=16 test=16 -o data.h5 >/dev/null || exit 1
words="model.preset=resnet34 model.stem=cifar stages.count=1 data.file=data.h5
  train.batch=$BATCH train.optimizer=sgd train.momentum=0.9 train.lr=0.01
  train.tune=no checkpoint.every=$EVERY checkpoint.keep=2 run.dir=run"

# plain FILE: seconds of writing its bytes to another file, with fsync
plain ()
{
  begin=$(now)
  dd if="$1" of=plain.bin bs=1M conv=fsync 2>/dev/null
  end=$(now)
  rm -f plain.bin
  echo "$begin $end" | $AWK '{ print $2 - $1 }'
}

# shellcheck disable=SC2086
"$I" train $words train.steps="$STEPS" data.valid=valid >said 2>&1 ||
  { cat said; exit 1; }
last=$(ls run/checkpoints/*.h5 | tail -n 1)
cat "$last" >/dev/null
for i in 1 2 3 4 5; do
  plain "$last"
done | sort -n >plain.s
plain_s=$($AWK 'NR == 3' plain.s)

# Beside the steps: the saves before the last one, which is written while all
# wait.
field ()
{
  sed -n "s/^{\"event\":\"checkpoint\".*\"$1\":\([0-9.e-]*\).*/\1/p" run/events.jsonl
}
median ()
{
  sort -n | $AWK '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
n=$(field bytes | wc -l)
bytes=$(field bytes | head -n 1)
blocked_s=$(field blocked_s | head -n $((n - 1)) | median)
write_s=$(field write_s | head -n $((n - 1)) | median)
total_s=$(field total_s | head -n $((n - 1)) | median)
alone_s=$(field write_s | tail -n 1)
step_s=$($AWK -F, -v b="$BATCH" '
  NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
  $at["split"] == "train" && $at["samples_per_s"] > 0 {
    print b / $at["samples_per_s"] }' run/metrics.csv | median)

# A second start, for two steps more; the file is in memory by now.
begin=$(now)
# shellcheck disable=SC2086
"$I" train $words train.steps=$((STEPS + 1)) checkpoint.at_end=no \
  checkpoint.every=0 >said 2>&1 || { cat said; exit 1; }
cp run/log log.2
begin_read=$(now)
cat "$last" >/dev/null
end_read=$(now)

$AWK -v bytes="$bytes" -v blocked="$blocked_s" -v write="$write_s" \
  -v total="$total_s" -v alone="$alone_s" -v plain="$plain_s" \
  -v step="$step_s" -v n=$((n - 1)) 'BEGIN {
  mb = bytes / 1e6
  printf "checkpoint of %.1f MB, %d saves beside the steps (median)\n", mb, n
  printf "  a step                              %8.3f s\n", step
  printf "  steps wait for the copy             %8.3f s   %.3f of a step\n", blocked, blocked / step
  printf "  plain write and fsync               %8.3f s   %6.0f MB/s\n", plain, mb / plain
  printf "  write and fsync beside the steps    %8.3f s   %6.0f MB/s, %.2f of plain\n", write, mb / write, plain / write
  printf "  the same while all wait             %8.3f s   %6.0f MB/s, %.2f of plain\n", alone, mb / alone, plain / alone
  printf "  from the copy to the final name     %8.3f s   read back and verified\n", total
}'
grep -h 'ready after\|first step after' log.2 | tail -n 1
echo "$begin_read $end_read" | $AWK '{
  printf "  reading the file once               %8.3f s\n", $2 - $1 }'

#!/bin/sh
# tests/bench/pipe.sh -- what a pipe of two ranks gains or costs.
#
#     sh tests/bench/pipe.sh
#     SPANS="1 2" REPEAT=5 INTERLOCK=build/interlock sh tests/bench/pipe.sh
#
# The same arithmetic (stages, heads, algorithms of convolutions) on 2 ranks of
# 1 thread and on 1 rank of 2 threads, K = 4, for each span: images/s, and for
# the 2 ranks the share of what interlock predicted from the measured costs of
# its blocks.  A warm-up run chooses the algorithms, one per span the cut.  Then
# all cases run in turn, REPEAT times, the blocks measured anew in each run; the
# table has the medians, the lines above it every run.
#
# A run's images/s: from metrics.csv, all steps after the first SKIP, over the
# time they took; beside it in brackets the median over single steps.
#
# Figures, no pass marks.
set -eu

: "${INTERLOCK:=./interlock}"
: "${TESTMPIRUN:=mpirun --oversubscribe --bind-to none -n NP}"
: "${SPANS:=1 2 3 all}"
: "${REPEAT:=3}"
: "${STEPS:=26}"
: "${SKIP:=5}"
: "${BATCH:=128}"
: "${MODEL:=resnet32}"
: "${HEAD:=conv32s2-bn-gap-fc}"
: "${WORDS:=}"              # further section.key=value

OMPI_ALLOW_RUN_AS_ROOT=1
OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
PRTE_ALLOW_RUN_AS_ROOT=1
PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM \
  PRTE_ALLOW_RUN_AS_ROOT PRTE_ALLOW_RUN_AS_ROOT_CONFIRM

tmp=$(mktemp -d "${TMPDIR:-/tmp}/interlock-pipe-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
INTERLOCK_CACHE=$tmp/cache
export INTERLOCK_CACHE
trap 'exit 1' HUP INT TERM

train () # RANKS THREADS DIRECTORY WORDS...
{
  launcher=$(echo "$TESTMPIRUN" | sed "s/NP/$1/g")
  OMP_NUM_THREADS=$2
  export OMP_NUM_THREADS
  run=$3
  shift 3
  # shellcheck disable=SC2086 # words on purpose
  $launcher "$INTERLOCK" train model.preset="$MODEL" stages.head="$HEAD" \
    stages.count=4 data.file="$tmp/data.h5" data.augment=flip+crop4 \
    train.batch="$BATCH" train.lr=0.01 checkpoint.at_end=no run.dir="$run" \
    "$@" $WORDS \
    >"$run.out" 2>&1 </dev/null || {
    code=$?
    tail -n 20 "$run.out" >&2
    echo "pipe: $run ended with code $code" >&2
    exit "$code"
  }
}

# "MEAN MEDIAN" images/s of a run; rows without a rate were not timed.
rate () # DIRECTORY
{
  awk -F, -v batch="$BATCH" -v skip="$SKIP" '
    NR == 1 {
      for (i = 1; i <= NF; i++) at[$i] = i
      next
    }
    $at["split"] != "train" || $at["samples_per_s"] == "" { next }
    $at["step"] == skip { begin = $at["seconds"] }
    $at["step"] > skip {
      v = $at["samples_per_s"] + 0
      for (i = ++n; i > 1 && one[i - 1] > v; i--) one[i] = one[i - 1]
      one[i] = v
      end = $at["seconds"]
    }
    END {
      if (!n || end <= begin) exit 1
      middle = n % 2 ? one[(n + 1) / 2] : (one[n / 2] + one[n / 2 + 1]) / 2
      printf "%.1f %.1f\n", n * batch / (end - begin), middle
    }' "$1/metrics.csv" || {
    echo "pipe: $1/metrics.csv has no timed steps; raise STEPS" >&2
    exit 70
  }
}

"$INTERLOCK" --version
echo "$MODEL, K = 4, batch $BATCH, head $HEAD, $STEPS steps, $REPEAT times each"
"$INTERLOCK" import synthetic train=$((BATCH > 256 ? 4 * BATCH : 1024)) \
  valid="$BATCH" test="$BATCH" -o "$tmp/data.h5" >"$tmp/import.out" 2>&1 || {
  cat "$tmp/import.out" >&2
  exit 70
}

# Span 1 has a head behind every stage: no shape is missing in its choices.
train 2 1 "$tmp/tune" strategy.span=1 train.steps=1
tune=$tmp/tune.txt
cp "$tmp/tune/tune.txt" "$tune"
for span in $SPANS; do
  train 2 1 "$tmp/cut-$span" strategy.span="$span" train.steps=1 \
    train.tune="$tune"
  sed -n 's/^cut *= *//p' "$tmp/cut-$span/config.ini" >"$tmp/cut-$span.txt"
  echo "span $span: cut $(cat "$tmp/cut-$span.txt")"
done

one () # SPAN RANKS THREADS REPETITION
{
  dir=$tmp/run-$1-$2x$3-$4
  train "$2" "$3" "$dir" strategy.span="$1" train.steps="$STEPS" \
    stages.cut="$(cat "$tmp/cut-$1.txt")" train.tune="$tune"
  speed=$(rate "$dir")
  predicted=$(sed -n 's/^predicted cycle: .*, \([0-9.e+]*\) samples.s$/\1/p' \
    "$dir.out" | tr -d '\r' | head -n 1)
  echo "$1 $2x$3 $4 $speed ${predicted:-0}" >>"$tmp/figures"
  echo "$1 $2x$3 $4 $speed ${predicted:-0}" | awk '{
    printf "span %-3s %s run %d: %8.1f images/s (%.1f), predicted %.0f\n",
      $1, $2, $3, $4, $5, $6 }'
  rm -rf "$dir"
}

n=1
while [ "$n" -le "$REPEAT" ]; do
  for span in $SPANS; do
    if [ $((n % 2)) -eq 1 ]; then # neither is always the first
      one "$span" 2 1 "$n"
      one "$span" 1 2 "$n"
    else
      one "$span" 1 2 "$n"
      one "$span" 2 1 "$n"
    fi
  done
  n=$((n + 1))
done

echo
awk '
  { rate[$1, $2, $3] = $4; predicted[$1, $2, $3] = $6; times = $3 }
  !($1 in seen) { seen[$1] = 1; order[++spans] = $1 }
  function put_in(v) {
    for (i = ++m; i > 1 && list[i - 1] > v; i--) list[i] = list[i - 1]
    list[i] = v
  }
  function median() {
    v = m % 2 ? list[(m + 1) / 2] : (list[m / 2] + list[m / 2 + 1]) / 2
    m = 0
    return v
  }
  END {
    printf "%-5s %14s %14s %8s %16s %10s\n", "span", "2 ranks x 1",
      "1 rank x 2", "ratio", "2x1 predicted", "measured"
    printf "%-5s %14s %14s %8s %16s %10s\n", "", "images/s", "images/s", "",
      "images/s", ": predicted"
    for (s = 1; s <= spans; s++) {
      k = order[s]
      m = 0
      for (r = 1; r <= times; r++) put_in(rate[k, "2x1", r])
      two = median()
      for (r = 1; r <= times; r++) put_in(rate[k, "1x2", r])
      one = median()
      for (r = 1; r <= times; r++)
        put_in(rate[k, "2x1", r] / rate[k, "1x2", r])
      ratio = median()
      for (r = 1; r <= times; r++) put_in(predicted[k, "2x1", r])
      said = median()
      for (r = 1; r <= times; r++)
        if (predicted[k, "2x1", r] > 0)
          put_in(rate[k, "2x1", r] / predicted[k, "2x1", r])
      kept = m ? sprintf("%.3f", median()) : "-"
      printf "%-5s %14.1f %14.1f %8.3f %16.1f %10s\n", k, two, one, ratio, said,
        kept
    }
  }' "$tmp/figures"

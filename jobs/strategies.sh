#!/bin/sh
# jobs/strategies.sh -- question: which accuracy does each strategy reach after
# the same number of steps?
#
#     sh jobs/strategies.sh cifar10.h5
#     SPANS="1 2 3 4 all" SEEDS="1 2 3" LAUNCH="mpirun -n 4" sh jobs/strategies.sh DATA.h5
#
# Nodes: 1.  Minutes: about 5 a run on two free cores with jobs/strategies.ini.
# Output: a run directory per span and seed below OUT, and a table of mean and
# range over the seeds.  A run that is there is not repeated.
# shellcheck disable=SC2086 # words
set -eu

jobs=$(dirname "$0")
: "${CONFIG:=$jobs/strategies.ini}"
: "${SPANS:=1 2 3 all}"
: "${SEEDS:=1 2}"
: "${WORDS:=}"                     # further section.key=value
: "${OUT:=runs/strategies}"
: "${INTERLOCK:=$(sh "$jobs/program.sh")}"
: "${LAUNCH:=}"                    # mpirun -n 2, srun --mpi=pmix -n 4, ...
data=${1:?which data set file?}

mkdir -p "$OUT"
for span in $SPANS; do
  for seed in $SEEDS; do
    run=$OUT/span$span-seed$seed
    [ ! -f "$run/summary.csv" ] || continue
    echo "strategies: $run" >&2
    $LAUNCH "$INTERLOCK" train "$CONFIG" data.file="$data" \
      strategy.span="$span" train.seed="$seed" run.dir="$run" $WORDS \
      >"$run.out" 2>&1 </dev/null || {
      code=$?
      tail -n 20 "$run.out" >&2
      exit "$code"
    }
  done
done

# The last row of a split: accuracy of the model's own output, which is the last
# head; one line "span split accuracy" per run.
for span in $SPANS; do
  for seed in $SEEDS; do
    awk -F, -v span="$span" '
      NR == 1 {
        for (i = 1; i <= NF; i++) {
          if ($i == "split") split_at = i
          if ($i == "step") step_at = i
          if ($i ~ /^head[0-9]+_accuracy$/) output = i
        }
        next
      }
      $split_at == "agreement" { next } # not about heads
      { accuracy[$split_at] = $output; step = $step_at }
      END {
        for (s in accuracy) print span, s, accuracy[s], step
      }' "$OUT/span$span-seed$seed/metrics.csv"
  done
done | awk '
  function name(span) {
    if (span == 1) return "local"
    if (span == "all") return "end to end"
    return span "-wise"
  }
  !($1 in seen) { seen[$1] = 1; order[++n] = $1 }
  {
    key = $1 " " $2
    v = 100 * $3
    sum[key] += v
    count[key]++
    if (!(key in low) || v < low[key]) low[key] = v
    if (!(key in high) || v > high[key]) high[key] = v
    steps = $4
  }
  function cell(span, s,   key) {
    key = span " " s
    if (!count[key]) return "-"
    return sprintf("%.2f (%.2f .. %.2f)", sum[key] / count[key], low[key],
      high[key])
  }
  END {
    printf "accuracy of the output in %% after %d steps: mean (range) of %d seeds\n\n",
      steps, count[order[1] " valid"]
    printf "| %-10s | %-22s | %-22s |\n", "strategy", "valid", "test"
    print "|------------|------------------------|------------------------|"
    for (i = 1; i <= n; i++)
      printf "| %-10s | %-22s | %-22s |\n", name(order[i]),
        cell(order[i], "valid"), cell(order[i], "test")
  }'

#!/bin/sh
# tests/bench/map.sh -- does the map tell what runs do?
#
#     sh tests/bench/map.sh
#     SPANS="1 all" MICRO=1,2 REPEAT=3 INTERLOCK=build/interlock sh tests/bench/map.sh
#
# Calibrates on 2 ranks of 1 thread, draws the map of K = 4 on these 2 ranks, and
# trains every span and number of micro-batches of it: images/s measured, and
# measured : predicted.  REPEAT rounds of runs: the median of them, and the best
# of their quiet steps; every run is shown.
#
# Figures, no pass marks.
set -eu

: "${INTERLOCK:=./interlock}"
: "${TESTMPIRUN:=mpirun --oversubscribe --bind-to none -n NP}"
: "${SPANS:=1 2 3 all}"
: "${MICRO:=1,2}"
: "${REPEAT:=2}"
: "${STEPS:=14}"
: "${SKIP:=3}"
: "${BATCH:=128}"
: "${MODEL:=resnet20}"
: "${HEAD:=conv32s2-bn-gap-fc}"
: "${ORDER:=eager}"
: "${COSTS:=}"              # a calibration made before
: "${WORDS:=}"              # further section.key=value

OMPI_ALLOW_RUN_AS_ROOT=1
OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
PRTE_ALLOW_RUN_AS_ROOT=1
PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
OMP_NUM_THREADS=1
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM \
  PRTE_ALLOW_RUN_AS_ROOT PRTE_ALLOW_RUN_AS_ROOT_CONFIRM OMP_NUM_THREADS

tmp=$(mktemp -d "${TMPDIR:-/tmp}/interlock-map-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
INTERLOCK_CACHE=$tmp/cache
export INTERLOCK_CACHE
trap 'exit 1' HUP INT TERM
launcher=$(echo "$TESTMPIRUN" | sed "s/NP/2/g")

"$INTERLOCK" import synthetic train=$((BATCH > 256 ? 4 * BATCH : 1024)) \
  valid="$BATCH" test="$BATCH" -o "$tmp/data.h5" >"$tmp/import.out" 2>&1 || {
  cat "$tmp/import.out" >&2
  exit 70
}
set -- model.preset="$MODEL" stages.head="$HEAD" stages.count=4 \
  data.file="$tmp/data.h5" data.augment=flip+crop4 train.batch="$BATCH" \
  train.lr=0.01 checkpoint.at_end=no run.schedule="$ORDER"

if [ -z "$COSTS" ]; then
  COSTS=$tmp/costs.ini
  # shellcheck disable=SC2086 # words on purpose
  $launcher "$INTERLOCK" plan "$@" $WORDS --micro "$MICRO" --calibrate "$COSTS"
fi
# shellcheck disable=SC2086
"$INTERLOCK" plan "$@" $WORDS --map --costs "$COSTS" --stages 4 --ranks 2 \
  --micro "$MICRO" --spans "$(echo "$SPANS" | tr ' ' ',')" --csv "$tmp/map.csv"

# "MEDIAN QUIET" images/s of a run's steps, quiet being the upper quartile: what
# others on the machine take is not in it, as it is not in the calibration, which
# takes the quickest of a few rounds.  Rows without a rate were not timed.
rate () # DIRECTORY
{
  awk -F, -v skip="$SKIP" '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["split"] != "train" || $at["samples_per_s"] == "" { next }
    $at["step"] > skip {
      v = $at["samples_per_s"] + 0
      for (i = ++n; i > 1 && one[i - 1] > v; i--) one[i] = one[i - 1]
      one[i] = v
    }
    END {
      if (!n) exit 1
      print n % 2 ? one[(n + 1) / 2] : (one[n / 2] + one[n / 2 + 1]) / 2,
        one[int (n - n / 4)]
    }' "$1/metrics.csv"
}

n=1
while [ "$n" -le "$REPEAT" ]; do
  for micro in $(echo "$MICRO" | tr ',' ' '); do
    for span in $SPANS; do
      # shellcheck disable=SC2086
      $launcher "$INTERLOCK" train "$@" $WORDS strategy.span="$span" \
        train.micro="$micro" train.steps="$STEPS" run.dir="$tmp/run" \
        >"$tmp/run.out" 2>&1 </dev/null || {
        tail -n 20 "$tmp/run.out" >&2
        exit 70
      }
      said=$(awk -F, -v m="$micro" -v s="$span" -v o="$ORDER" \
        '$4 == m && $5 == s && $6 == o { print $8 }' "$tmp/map.csv")
      own=$(sed -n 's/^predicted cycle: .*, \([0-9.e+]*\) samples.s$/\1/p' \
        "$tmp/run.out" | tr -d '\r' | head -n 1)
      echo "$micro $span $(rate "$tmp/run") $said ${own:-0}" |
        tee -a "$tmp/figures" | awk '{
          printf "micro %d span %-3s: %.1f images/s, quiet %.1f, map %.1f, ",
            $1, $2, $3, $4, $5
          printf "plan of the run %.1f\n", $6 }'
      rm -rf "$tmp/run"
    done
  done
  n=$((n + 1))
done

awk '
  { k = $1 " " $2; if (!(k in n)) order[++keys] = k
    v[k, ++n[k]] = $3; said[k] = $5; if ($4 > quiet[k]) quiet[k] = $4 }
  END {
    printf "\n%-6s %-5s %10s %10s %10s %10s %10s\n", "micro", "span", "map",
      "measured", "ratio", "quiet", "ratio"
    for (i = 1; i <= keys; i++) {
      k = order[i]; m = n[k]
      for (a = 2; a <= m; a++)
        for (b = a; b > 1 && v[k, b - 1] > v[k, b]; b--) {
          t = v[k, b]; v[k, b] = v[k, b - 1]; v[k, b - 1] = t }
      mid = m % 2 ? v[k, (m + 1) / 2] : (v[k, m / 2] + v[k, m / 2 + 1]) / 2
      split (k, w, " ")
      printf "%-6s %-5s %10.1f %10.1f %10.3f %10.1f %10.3f\n", w[1], w[2],
        said[k], mid, mid / said[k], quiet[k], quiet[k] / said[k]
    }
  }' "$tmp/figures"

#!/bin/sh
# jobs/language.sh -- question: how many bits per byte does a language model
# reach under each strategy after the same number of steps, and what does it
# write?
#
#     interlock import text input.txt -o text.h5 valid=0.05 test=0.05
#     sh jobs/language.sh text.h5
#     SPANS="1 2 3 4" LAUNCH="mpirun -n 4" sh jobs/language.sh text.h5
#
# Nodes: 1.  Minutes: about 15 a run on two free cores with jobs/language.ini.
# Output: a run directory per span below OUT; a table of the bits per byte of
# every head on valid; a sample of each.  A run that is there is not repeated.
# shellcheck disable=SC2086 # words
set -eu

: "${CONFIG:=jobs/language.ini}"
: "${SPANS:=1 2 3 all}"
: "${SEED:=1}"
: "${WORDS:=}"                     # further section.key=value
: "${OUT:=runs/language}"
: "${INTERLOCK:=build/interlock}"
: "${LAUNCH:=}"                    # mpirun -n 2, srun --mpi=pmix -n 4, ...
: "${PROMPT:=ROMEO:}"
: "${TOKENS:=300}"
: "${TEMPERATURE:=0.8}"
data=${1:?which data set file?}

mkdir -p "$OUT"
for span in $SPANS; do
  run=$OUT/span$span
  [ ! -f "$run/summary.csv" ] || continue
  echo "language: $run" >&2
  $LAUNCH "$INTERLOCK" train "$CONFIG" data.file="$data" \
    strategy.span="$span" train.seed="$SEED" run.dir="$run" $WORDS \
    >"$run.out" 2>&1 </dev/null || {
    code=$?
    tail -n 20 "$run.out" >&2
    exit "$code"
  }
done

name () {
  case $1 in
  1) echo local ;;
  all) echo "end to end" ;;
  *) echo "$1-wise" ;;
  esac
}

# The last row of valid: bits per byte of each head, '-' where it is silent.
for span in $SPANS; do
  awk -F, -v name="$(name "$span")" -v first="$([ "$span" = "${SPANS%% *}" ] && echo 1)" '
    NR == 1 {
      for (i = 1; i <= NF; i++) {
        if ($i == "split") split_at = i
        if ($i == "step") step_at = i
        if ($i == "seconds") seconds_at = i
        if ($i ~ /^head[0-9]+_bits_per_byte$/) bits[++n] = i
      }
      next
    }
    $split_at == "valid" { row = $0 }
    $seconds_at > 0 { seconds = $seconds_at }
    END {
      split (row, v, ",")
      if (first) {
        printf "bits per byte on valid after %d steps\n\n| strategy   |", v[step_at]
        for (k = 1; k <= n; k++) printf k < n ? " head %d |" : " output |", k - 1
        printf " seconds |\n|------------|"
        for (k = 1; k <= n; k++) printf "-------:|"
        printf "--------:|\n"
      }
      printf "| %-10s |", name
      for (k = 1; k <= n; k++)
        if (v[bits[k]] == "") printf "      - |"
        else printf " %6.3f |", v[bits[k]]
      printf " %7.0f |\n", seconds
    }' "$OUT/span$span/metrics.csv"
done

for span in $SPANS; do
  printf '\n%s:\n\n' "$(name "$span")"
  $LAUNCH "$INTERLOCK" generate "$OUT/span$span" --prompt "$PROMPT" \
    --tokens "$TOKENS" --temperature "$TEMPERATURE" --top-k 40 --seed 1 |
    sed 's/^/    /'
done

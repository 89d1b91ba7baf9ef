#!/bin/sh
# jobs/language.sh -- question: how many bits per byte does a language model
# reach under each strategy after the same number of steps, and what does it
# write?
#
#     sh jobs/language.sh book.txt
#     SPANS=1 PROMPT=Once sh jobs/language.sh book.txt
#     SPANS="1 2 3 4" LAUNCH="mpirun -n 4" sh jobs/language.sh text.h5
#
# Of a text (UTF-8 or any bytes; its last parts are kept for valid and test) or a
# data set file.  Nodes: 1.  Minutes: about 5 a run on two free cores with
# jobs/language.ini, installation and build not counted.
# Output: a run directory per span below OUT; a table of the bits per byte of
# every head on valid; a sample of each.  A run that is there is not repeated.
# shellcheck disable=SC2086,SC1091 # words; ready.sh is beside
set -eu

: "${CONFIG:=}"                    # default: language.ini, beside this script
: "${SPANS:=1 2 3 all}"
: "${SEED:=1}"
: "${WORDS:=}"                     # further section.key=value
: "${OUT:=runs/language}"
: "${PROMPT:=ROMEO:}"              # RANKS, LAUNCH, BUILD, INTERLOCK: jobs/ready.sh
: "${TOKENS:=300}"
: "${TEMPERATURE:=0.8}"
data=${1-}

say () {
  echo "language: $*" >&2
}

stop () {
  echo "language: stopped: $*" >&2
  exit "${code:-64}"
}

# From wherever we are called: paths of the caller's count from there.
whole () {
  case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac
}
[ -n "$data" ] || stop "which text, or data set file?  sh jobs/language.sh book.txt"
[ -f "$data" ] || stop "$data: no such file"
data=$(whole "$data")
[ -z "${INTERLOCK-}" ] || INTERLOCK=$(whole "$INTERLOCK")
jobs=$(cd "$(dirname "$0")" && pwd)
[ -n "$CONFIG" ] || CONFIG=$jobs/language.ini
[ -f "$CONFIG" ] && CONFIG=$(whole "$CONFIG")
[ "$OUT" = runs/language ] || OUT=$(whole "$OUT")
. "$jobs/ready.sh"

mkdir -p "$OUT"
# Files of HDF5 say so in their first bytes.
if [ "$(head -c 4 "$data" | tail -c 3)" != HDF ]; then
  text=$data data=$OUT/text.h5
  made="$text $(cksum <"$text")"
  if [ ! -f "$data" ] || [ "$made" != "$(cat "$data.from" 2>/dev/null)" ]; then
    [ ! -f "$data" ] || stop "$OUT is about another text; set OUT="
    "$INTERLOCK" import text "$text" -o "$data" valid=0.05 test=0.05 >&2 || {
      code=$?
      stop "the import failed, see above"
    }
    echo "$made" >"$data.from"
  fi
fi
for span in $SPANS; do
  run=$OUT/span$span
  [ ! -f "$run/summary.csv" ] || continue
  say "$run"
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

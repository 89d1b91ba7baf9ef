#!/bin/sh
# jobs/quickstart.sh -- question: what does the reach of gradients cost and gain?
#
#     sh jobs/quickstart.sh                  on data drawn by interlock itself
#     sh jobs/quickstart.sh CIFAR-10-FOLDER  on cifar-10-batches-bin (.bin, .xz)
#
# Nodes: one machine of 2 cores or more.  Minutes: 5, installation included.
# Output: a table, and a page with pictures; build/ and runs/quickstart-* stay.
#
# Installs what is missing, builds, and trains the same ResNet, cut into four
# stages, under four strategies with the same data, seed and number of steps.  A
# second call repeats only what has changed since the first.
# shellcheck disable=SC2015,SC1091,SC2153 # one message for both; ready.sh is beside
set -eu

: "${MODEL:=resnet20}"
: "${CUT:=$([ "$MODEL" = resnet20 ] && echo 3,2,2,rest || echo auto)}"
: "${HEAD:=conv32-bn-gap-fc}" # behind the stages that are not the last
: "${STEPS:=160}"
: "${BATCH:=64}"
: "${EVERY:=$(((STEPS + 7) / 8))}" # steps between evaluations
: "${LR:=0.1}"
: "${SEED:=1}"
: "${SPANS:=1 2 3 all}"
: "${OUT:=runs}"               # RANKS, LAUNCH, BUILD, INTERLOCK: jobs/ready.sh
folder=${1-}

say () {
  echo "quickstart: $*"
}

stop () {
  echo "quickstart: stopped: $*" >&2
  exit 70
}

jobs=$(cd "$(dirname "$0")" && pwd)
case $folder in
  "") ;;
  *) [ -d "$folder" ] || stop "$folder is not a folder"
     folder=$(cd "$folder" && pwd) ;;
esac
started=$(date +%s)
. "$jobs/ready.sh"
interlock=$INTERLOCK

# -- data ----------------------------------------------------------------------

mkdir -p "$OUT"
if [ -n "$folder" ]; then
  name=cifar10
  data=$OUT/quickstart-cifar10.h5
  augment=flip+crop4
else
  name=synthetic
  data=$OUT/quickstart-synthetic.h5
  augment=none
fi
made="$folder $(cksum <"$interlock")"
if [ -f "$data" ] && [ "$made" = "$(cat "$data.from" 2>/dev/null)" ]; then
  say "data: $data is there"
else
  say "data: $data"
  rm -f "$data.from"
  if [ -n "$folder" ]; then
    "$interlock" import cifar10 "$folder" -o "$data" --force >"$data.out" 2>&1
  else
    "$interlock" import synthetic -o "$data" --force >"$data.out" 2>&1
  fi || {
    tail -n 20 "$data.out"
    stop "the import failed, see above"
  }
  rm -f "$data.out"
  echo "$made" >"$data.from"
fi

# -- training ------------------------------------------------------------------

label () { # of a span
  case $1 in
    1) echo local ;;
    all) echo "end to end" ;;
    *) echo "$1-wise" ;;
  esac
}

# train.tune=no: convolution algorithms by rule, the same in all four runs.
train () { # span, run directory
  set -- "$1" "$2" model.preset="$MODEL" stages.count=4 stages.cut="$CUT" \
    stages.head="$HEAD" strategy.span="$1" data.file="$data" \
    data.augment="$augment" train.batch="$BATCH" train.steps="$STEPS" \
    train.eval_every="$EVERY" \
    train.seed="$SEED" train.lr="$LR" train.schedule=onecycle \
    train.warmup="$((STEPS / 5))" train.nesterov=yes train.tune=no \
    run.dir="$2"
  run=$2
  shift 2
  settings="$LAUNCH, $OMP_NUM_THREADS threads: $* data $(cksum <"$data") \
program $(cksum <"$interlock")"
  if [ -f "$run/summary.csv" ] &&
     [ "$settings" = "$(cat "$run/quickstart" 2>/dev/null)" ]; then
    say "   $(label "$span"): $run is there"
    return 0
  fi
  # Only a directory that an earlier call of this script has made is replaced.
  if [ -e "$run" ]; then
    [ -f "$run/quickstart" ] ||
      stop "$run exists and is not from this script; move it or set OUT="
    rm -rf "$run"
  fi
  mkdir -p "$run"
  echo "not finished" >"$run/quickstart"
  say "   $(label "$span"): $LAUNCH $interlock train ... run.dir=$run"
  code=0
  $LAUNCH "$interlock" train "$@" >"$run/quickstart.out" 2>&1 </dev/null ||
    code=$?
  [ "$code" -eq 0 ] && [ -f "$run/summary.csv" ] || {
    tail -n 30 "$run/quickstart.out"
    stop "training under span $span ended with code $code, see above"
  }
  echo "$settings" >"$run/quickstart"
}

say "training $MODEL, 4 stages, $STEPS steps of $BATCH images,\
 $RANKS ranks x $OMP_NUM_THREADS threads"
for span in $SPANS; do
  train "$span" "$OUT/quickstart-$name-span-$span"
done

# -- the table -----------------------------------------------------------------

# One line of numbers for a run: accuracy on valid and test, seconds of training,
# images per second, share of waiting.  Columns are found by their names.
numbers () { # run directory
  awk -F, -v batch="$BATCH" '
    function column(name, other) { return at[(name in at) ? name : other] }
    function share(x) { return (x == "") ? "-" : 100 * x }
    FNR == 1 { # a new file and its header
      file++
      for (i in at) delete at[i]
      for (i = 1; i <= NF; i++) {
        at[$i] = i
        if ($i ~ /^head[0-9]+_accuracy$/) output = i # the last one
      }
      next
    }
    file == 1 {
      split_name = $(at["split"])
      accuracy[split_name] = $output
      if (split_name == "train") {
        seconds = $(at["seconds"])
        steps = $(at["step"])
      }
    }
    file == 2 && $(at["rank"]) ~ /^[0-9]+$/ {
      wait += $(column("wait", "waiting"))
      wait += $(column("exposed", "communication"))
      busy += $(at["wall"]) - $(at["other"]) - $(column("eval", "evaluation"))
    }
    END {
      valid = share(accuracy["valid"])
      test = share(accuracy["test"])
      rate = (seconds > 0) ? steps * batch / seconds : "-"
      waiting = (busy > 0) ? 100 * wait / busy : "-"
      print valid, test, (seconds > 0) ? seconds : "-", rate, waiting
    }
  ' "$1/metrics.csv" "$1/summary.csv"
}

for span in $SPANS; do
  line=$(numbers "$OUT/quickstart-$name-span-$span") ||
    stop "no numbers in $OUT/quickstart-$name-span-$span"
  echo "$(label "$span")|$line"
done | awk -F'|' -v model="$MODEL" -v steps="$STEPS" -v batch="$BATCH" \
           -v ranks="$RANKS" -v threads="$OMP_NUM_THREADS" -v name="$name" '
  {
    row[++n] = $1
    split($2, v, " ")
    for (i = 1; i <= 5; i++) value[n, i] = v[i]
    if ($1 == "end to end") reference = v[3]
  }
  END {
    printf "\n%s, 4 stages, %s, %d steps of %d, %d ranks x %d threads\n\n",
      model, name, steps, batch, ranks, threads
    print "| strategy   | valid % | test % | training s | images/s |" \
      " waiting % | time / end to end |"
    print "|------------|--------:|-------:|-----------:|---------:|" \
      "----------:|------------------:|"
    for (r = 1; r <= n; r++) {
      ratio = "-"
      if (reference > 0 && value[r, 3] > 0)
        ratio = sprintf("%.2f", value[r, 3] / reference)
      printf "| %-10s | %7s | %6s | %10s | %8s | %9s | %17s |\n", row[r],
        f(value[r, 1], "%.1f"), f(value[r, 2], "%.1f"),
        f(value[r, 3], "%.1f"), f(value[r, 4], "%.0f"),
        f(value[r, 5], "%.1f"), ratio
    }
    print ""
  }
  function f(x, how) { return (x == "-" || x == "") ? "-" : sprintf(how, x) }'
# Times beside which others were at work tell little.
for span in $SPANS; do
  echo "$(label "$span")|$(sed -n 's/^others = //p' \
    "$OUT/quickstart-$name-span-$span/facts.ini" 2>/dev/null)"
done | awk -F'|' '
  $2 > 0.1 {
    if ($2 > most) most = $2
    if (runs != "") runs = runs ", "
    runs = runs $1
  }
  END {
    if (runs != "")
      printf "others used up to %.0f %% of these cores while this ran (%s):" \
        " times are not comparable\n\n", 100 * most, runs
  }'
report=$OUT/quickstart-$name.html
set --
for span in $SPANS; do
  set -- "$@" "$OUT/quickstart-$name-span-$span"
done
"$interlock" report "$@" -o "$report" >"$report.out" 2>&1 || {
  cat "$report.out"
  stop "the report failed, see above"
}
rm -f "$report.out"
say "side by side, with pictures: $report"
say "runs are in $OUT/quickstart-$name-span-*; all of this took\
 $(($(date +%s) - started)) s"

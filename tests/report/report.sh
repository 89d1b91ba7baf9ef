#!/bin/sh
# tests/report/report.sh -- two strategies are trained and reported: the figures
# of the page are those of the tables, those of the tables are those of the
# records, and the facts are what can be counted by hand.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

words="model.groups=8x1 stages.cut=1,1,1 stages.head=gap-fc data.file=data.h5
  train.batch=16 train.tune=no train.steps=12 train.eval_every=4 run.trace=yes"
mkdir runs
for span in 1 all; do
  for seed in 1 2; do
    # shellcheck disable=SC2086
    many 2 train $words strategy.span=$span train.seed=$seed \
      run.dir=runs/s$span-$seed
    ok $? "span $span, seed $seed is trained"
  done
done

# The probe of one seed; without ScaLAPACK there is none.
probe=
many 2 probe runs/s1-1 runs/sall-1
status=$?
if [ $status = 0 ]; then
  probe=probe
elif [ $status = 69 ] && grep -q 'built without ScaLAPACK' errors; then
  status=0
fi
ok $status "stages are probed${probe:+ and found}"

# -- facts ---------------------------------------------------------------------

fact () # RUN KEY
{
  sed -n "s/^$2 = //p" "runs/$1/facts.ini"
}

# Images of 16 x 16.  Convolutions by hand, two operations for a product and a
# sum: stem 3 to 8 channels, a block of two from 8 to 8, ten classes.  What is
# small beside them (sums, normalisation) may add a few per cent.
hand=$($AWK 'BEGIN {
  stem = 2 * 27 * 8 * 256; block = 2 * 2 * 72 * 8 * 256; fc = 2 * 8 * 10
  print 16 * (3 * (stem + block + fc) - stem) }')
$AWK -v got="$(fact sall-1 useful_flops)" -v want="$hand" \
  'BEGIN { exit !(got >= want && got <= 1.06 * want) }'
ok $? "useful operations of a step, counted by hand"
[ -n "$(fact sall-1 useful_flops)" ] &&
  [ "$(fact sall-1 useful_flops)" = "$(fact sall-1 executed_flops)" ]
ok $? "end to end executes what is useful"
[ -n "$(fact s1-1 useful_flops)" ] &&
  [ "$(fact s1-1 useful_flops)" = "$(fact sall-1 useful_flops)" ]
ok $? "what is useful does not depend on the strategy"
[ "$(fact s1-1 cores)" = 2 ] && [ "$(fact s1-1 ranks)" = 2 ] &&
  [ "$(fact s1-1 busy_s | wc -w)" = 2 ]
ok $? "cores, ranks and the plan of each"
$AWK -v one="$(fact s1-1 peak_bytes)" -v all="$(fact s1-1 peak_bytes_all)" \
  'BEGIN { exit !(one > 1e7 && all > one && all <= 2 * one) }'
ok $? "highest memory of a rank and of both"

# -- tables --------------------------------------------------------------------

one report runs -o page.html
ok $? "a folder of runs is reported"
one report runs/s1-1 runs/s1-2 runs/sall-1/ runs/sall-2 -o again.html &&
  cmp -s page.html again.html
ok $? "the same runs by name give the same page"
if command -v xmllint >/dev/null 2>&1; then
  xmllint --noout page.html 2>errors
  ok $? "xmllint finds the page well-formed"
fi
[ -s page.html ] && ! grep -q '<script\|<link\|<img\|@import\|url(h' page.html
ok $? "the page fetches nothing and runs nothing"
for id in output depth heads time step $probe ${probe:+cka}; do
  grep -q "<figure id=\"$id\"" page.html
  ok $? "the page has the picture $id"
done

# Each number of a table of the page, in its order, against the CSV: the whole
# value is in <data value="...">, and what people see is that, rounded.
numbers () # RUNS PAGE TABLE
{
  table=$3
  one report "$1" --csv --table "$table" && cp said "$table.csv"
  $AWK -v table="$table" '
    index ($0, "<table id=\"table-" table "\"") { on = 1 }
    on {
      while (match ($0, /<data value="[^"]*">[^<]*</)) {
        item = substr ($0, RSTART + 13, RLENGTH - 14)
        $0 = substr ($0, RSTART + RLENGTH)
        split (item, part, "\">")
        print part[1], part[2]
      }
    }
    on && /<\/table>/ { exit }' "$2" >shown
  # Of the CSV: the columns that people see (what is equal is told them in the
  # note), deviations and intervals only where there are any.
  $AWK -F, '
    NR == 1 { n = split ($0, name, ","); next }
    {
      for (i = 1; i <= n; i++) {
        if (name[i] ~ /^(strategy|run|state)$/ || name[i] ~ /_n$/) continue
        if (name[i] ~ /^equal_|_to_reach$/) continue
        if ($i == "") continue
        if (name[i] ~ /_sd$/) same = $i + 0 <= 1e-12 * last
        if (name[i] ~ /_(sd|low|high)$/) { if (!same) print $i; continue }
        last = $i < 0 ? -$i : $i
        print $i
      }
    }' "$table.csv" >told
  cut -d' ' -f1 shown | diff - told >errors && [ -s told ]
  ok $? "table $table: the page has the numbers of the CSV ($(wc -l <told))"
  $AWK '
    {
      digits = index ($2, ".") ? length ($2) - index ($2, ".") : 0
      good = 0
      for (scale = 1e-6; scale < 5e3; scale *= 10)
        for (k = 1; k <= 3.6; k += 2.6) {
          shown = sprintf ("%." digits "f", $1 * scale * k)
          d = shown - $2
          if (d < 0) d = -d
          if (d <= 1.01 * 10 ^ -digits) good = 1
        }
      if (!good) { print; bad = 1 }
    }
    END { exit bad || NR == 0 }' shown >errors
  ok $? "table $table: what is seen is the value, rounded"
}
for table in compare cost heads time scale runs $probe; do
  numbers runs page.html "$table"
done

if [ -n "$probe" ]; then
  files=runs/s1-1/probe/step-000000012-valid-pooled-with-1
  # columns FILE NAME...: those of that name
  columns ()
  {
    file=$1
    shift
    $AWK -F, -v names="$*" '
      NR == 1 {
        n = split (names, name, " ")
        for (i = 1; i <= NF; i++) at[$i] = i
        next
      }
      { for (i = 1; i <= n; i++) printf "%s ", $at[name[i]]; print "" }' "$file"
  }
  columns $files-stages.csv accuracy effective_rank participation_ratio \
    features >want
  columns probe.csv accuracy effective_rank participation_ratio features >told
  cmp -s want told && [ "$(wc -l <told)" = 6 ]
  ok $? "the table of probes is that of the probe"
  # Maps: each network by itself, then the two; cells from left to right.
  $AWK -F, '
    $1 == 0 && $3 == 0 { a = a sprintf ("%.2f\n", $5) }
    $1 == 1 && $3 == 1 { b = b sprintf ("%.2f\n", $5) }
    $1 == 0 && $3 == 1 { c = c sprintf ("%.2f\n", $5) }
    END { printf "%s%s%s", a, b, c }' $files-cka.csv >want
  sed -n '/<figure id="cka"/,/<\/figure>/s/.*"on-[a-z]*">\(.*\)<.text>/\1/p' \
    page.html >told
  cmp -s want told && [ "$(wc -l <told)" = 27 ]
  ok $? "the maps of similarity have the numbers of the probe"
  one report runs --text
  grep -q '^What stages still know' said && grep -q '^Similarity of stages' said
  ok $? "and so has the text"
fi

# The record itself: mean of two seeds after the last step.
for span in 1 all; do
  label=local
  [ $span = all ] && label='end to end'
  want=$($AWK -F, 'FNR == 1 { next } $3 == "valid" { v[FILENAME] = $9 }
    END { for (f in v) s += v[f] / 2; printf "%.6f", s }' \
    runs/s$span-1/metrics.csv runs/s$span-2/metrics.csv)
  got=$($AWK -F, -v label="$label" '
    { gsub (/"/, "") } $1 == label { printf "%.6f", $3 }' compare.csv)
  [ -n "$got" ] && [ "$got" = "$want" ]
  ok $? "$label: mean accuracy at equal samples is that of metrics.csv"
done

# What is equal: all have finished, 12 batches of 16.
one report runs --csv
$AWK -F, -v flops="$(fact sall-1 executed_flops)" '
  NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
  $at["equal_samples"] == 192 && $at["equal_seconds"] > 0 &&
    $at["equal_core_hours"] > 0 {
      f = $at["equal_flops"] / flops / 12 - 1
      good += f * f < 1e-12
  }
  END { exit good != 2 }' said
ok $? "what is equal is in the CSV"

one report runs --latex
grep -q '\\begin{tabular}' said && grep -q '\\end{tabular}' said &&
  [ "$(grep -c '\\\\$' said)" = 3 ]
ok $? "a table for LaTeX"
one report runs --csv --table results --on 2
cp said results.csv
one report runs --csv --table runs
for split in valid test; do
  want=$($AWK -F, -v which=$split '
    { gsub (/"/, "") }
    NR == 1 { for (i = 1; i <= NF; i++) if ($i == which "_accuracy") at = i }
    $2 == "local" { s += $at / 2 } END { printf "%.6f", s }' said)
  got=$($AWK -F, -v which=$split '
    NR == 1 { for (i = 1; i <= NF; i++) if ($i == which "_accuracy") at = i }
    NR == 2 { printf "%.6f", $at }' results.csv)
  [ -n "$got" ] && [ "$got" = "$want" ]
  ok $? "results: mean accuracy on $split at the end"
done
$AWK -F, 'NR > 1 && $2 == 2 && $3 == 2 && $4 == 12 { n++ }
  END { exit n != 2 }' results.csv
ok $? "results: runs, those that have finished, steps"
cp -r runs/s1-1 begun
echo 'running 0 step=4' >begun/status
rm -f begun/lock
sed -i '/^8,/,$d' begun/metrics.csv
sed -i 's/^seed *=.*/seed = 3/' begun/config.ini
sed -i '/finished/d' begun/events.jsonl
one report runs begun --csv --table results --on 2
$AWK -F, 'NR == FNR { was[FNR] = $0; next }
  FNR == 2 { split (was[2], w, ","); good = $2 == 3 && $3 == 2
    for (i = 4; i <= 18; i++) good = good && $i == w[i] }
  END { exit !good }' results.csv said
ok $? "results: what is not finished is counted, and its numbers are not"
one report runs begun --markdown --table results
grep -q '^| strategy | runs | finished |' said &&
  grep -q '^| local | 3 | 2 | 12 | ' said && grep -q '^|---|---:|' said &&
  [ "$($AWK 'NR > 4 && length > 90' said)" = "" ]
ok $? "a table for a README"
{
  printf '%s\n' "[sweep]" "root = runs" "strategy.span = 1, all" \
    "train.seed = 1..3"
  for word in $words; do
    case $word in *=*) printf '[%s]\n%s\n' "${word%%.*}" "${word#*.}" ;; esac
  done
} >these.sweep
INTERLOCK=$I sh "${abs_top_srcdir-$(dirname "$0")/../..}/tests/results/table.sh" \
  these.sweep 2 >said 2>errors
status=$?
[ $status = 0 ] && grep -q '^The sweep: 6 runs: 2 missing, 4 finished' said &&
  grep -q '^| end to end | 2 | 2 | 12 | .* | [0-9.]* |$' said &&
  [ "$(grep -c '^## ' said)" -ge 5 ]
ok $? "the table of a sweep, with what is wanting counted"
one report runs --svg --on 3
grep -q '^<svg .*</title>$' said && grep -q 'predicted training time on 3' said
ok $? "a picture alone"
one report runs --text
grep -q '^The comparison' said && grep -q 'accuracy of the output' said
ok $? "a text for the terminal"

# -- times that are predicted ------------------------------------------------

# of FILE COLUMN: its number in the first row
of ()
{
  $AWK -F, -v name="$2" '
    { gsub (/"[^"]*"/, "name") }
    NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i }
    NR == 2 { print $at }' "$1"
}

# On the ranks that a run was made on the plan is its own.
for run in s1-1 sall-2; do
  one report runs/$run --on 2 --csv --table cost
  [ -n "$(fact $run cycle_s)" ] &&
    [ "$(of said predicted_step_s_on_2)" = "$(fact $run cycle_s)" ]
  ok $? "$run: predicted on its own ranks as before its first step"
done

# A strategy that changes: the mean of its phases, as the run has it.
# shellcheck disable=SC2086
many 2 train $words "strategy.dial=0:local, 50%:all" run.dir=dial
ok $? "a strategy that changes is trained"
sed -n 's/^cycle_s = //p' dial/facts.ini >want
one report dial --on 2 --csv --table cost
$AWK -v got="$(of said predicted_step_s_on_2)" -v want="$(cat want)" \
  'BEGIN { d = got / want - 1; exit !(want > 0 && d * d < 1e-16) }'
ok $? "its time is predicted phase by phase"
one report dial --svg --on 3
grep -q 'class="line s0 mark"' said && grep -q '>all</text>' said
ok $? "its line has a tick"

# On others as `plan` has it, from the same numbers by another way.
params=$(fact s1-1 parameters)
{
  echo "[costs]"
  echo "network = 3 units, $params parameters, head gap-fc"
  printf '%s\n' "units = 3" "ranks = 1" "threads = 1" "latency = 2e-5" \
    "bandwidth = 5e9" "bandwidth_both = 5e9"
  $AWK '$1 == "unit" { print "unit = 16", $2, $3, $4, $5, $7, $8, $9, $11, $13 }' \
    runs/s1-1/costs.txt
} >own.costs
for ranks in 1 3; do
  one report runs/s1-1 --on $ranks --csv --table cost
  cp said predicted.csv
  one plan runs/s1-1/config.ini --ranks $ranks --costs own.costs
  ms=$($AWK '/^predicted cycle/ {
    print $3 * ($4 == "us" ? 1e-3 : $4 == "s" ? 1e3 : 1) }' said)
  $AWK -v got="$(of predicted.csv predicted_step_s_on_$ranks)" -v want="$ms" \
    'BEGIN { d = got * 1e3 / want - 1; exit !(want > 0 && d * d < 2.6e-5) }'
  ok $? "s1-1: predicted on $ranks ranks as plan has it"
done

# Runs of one network and cut help each other: numbers of one of three that were
# disturbed do not count, and one that has lost its file is predicted like the
# others.
mkdir three
for i in 1 2 3; do
  cp -r runs/s1-1 three/$i
  sed "s/^seed *=.*/seed = $i/" runs/s1-1/config.ini >three/$i/config.ini
done
one report three --on 3 --csv --table cost
want=$(of said predicted_step_s_on_3)
$AWK '$1 == "unit" { for (i = 3; i <= NF; i++) if ($i + 0 > 0) $i *= 7 } { print }' \
  runs/s1-1/costs.txt >three/2/costs.txt
one report three --on 3 --csv --table cost
[ -n "$want" ] && [ "$(of said predicted_step_s_on_3)" = "$want" ] &&
  [ "$(of said predicted_step_s_on_3_n)" = 3 ]
ok $? "costs that were disturbed in one run of three do not count"
cp runs/s1-1/costs.txt three/2
rm three/1/costs.txt
one report three --on 3 --csv --table cost
[ "$(of said predicted_step_s_on_3)" = "$want" ]
ok $? "a run without costs has those of the others"
rm three/[23]/costs.txt
one report three --on 3 --text
grep -q 'no time is predicted on 3 ranks for 1 and 2 more: it has no costs.txt' \
  said
ok $? "where no run has any, this is said"
mkdir elsewhere
(cd elsewhere && one report ../runs/s1-1 --on 2 --text
  grep -q 'for s1-1: its data set is not there: data.h5' said)
ok $? "a data set that is not there: said"
one report runs --on 2,16 --text
grep -q 'no time is predicted on 16 ranks .*at most 3 ranks' said &&
  grep -q 'step ms, predicted on 2 ranks' said
ok $? "more ranks than there are stages: said"
for list in 0 2, x 1,2,3,4,5; do
  one report runs --on $list --text
  [ $? = 64 ] && grep -q -e '--on' errors
  ok $? "--on $list: 64"
done

# -- language models -----------------------------------------------------------

lines=0
while [ $lines -lt 200 ]; do
  echo "line $lines of a text that is $((lines * lines % 97)) long"
  lines=$((lines + 1))
done >text.txt
one import text text.txt -o text.h5 valid=0.1
ok $? "a text is imported"
mkdir models
for span in 1 all; do
  many 2 train model.family=transformer model.layers=2 model.d_model=16 \
    model.heads=2 model.context=16 stages.count=2 data.file=text.h5 \
    train.batch=8 train.steps=12 train.eval_every=4 strategy.span=$span \
    run.dir=models/$span
  ok $? "a language model of span $span is trained"
done
one report models -o models.html
ok $? "they are reported"
for table in compare heads runs; do
  numbers models models.html "$table"
done
for span in 1 all; do
  label=local
  [ $span = all ] && label='end to end'
  want=$($AWK -F, '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["split"] == "valid" { v = $at["head1_bits_per_byte"] }
    END { printf "%.6f", v }' models/$span/metrics.csv)
  got=$($AWK -F, -v label="$label" '
    { gsub (/"/, "") }
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $1 == label { printf "%.6f", $at["bits_per_byte_at_samples"] }' compare.csv)
  [ -n "$got" ] && [ "$got" = "$want" ]
  ok $? "$label: bits per byte at equal samples are those of metrics.csv"
done
one report models --text --loss 2.5
grep -q '^loss of the output in bits/byte, valid' said &&
  grep -q 'to be reached is 2.5 bits/byte' said
ok $? "a text, with the loss that was asked for"
one report models --latex
grep -q '& bits/byte at equal samples &' said && ! grep -q '\\%' said
ok $? "a table for LaTeX, of losses"
one report models --accuracy 50
[ $? = 64 ] && grep -q -e '--loss' errors
ok $? "the time to an accuracy is refused: 64"
one report runs --loss 2
[ $? = 64 ] && grep -q -e '--accuracy' errors
ok $? "and that to a loss of other runs"
# numbers has left tables of these
for table in compare heads runs; do
  one report runs --csv --table "$table" && cp said "$table.csv"
done

# -- agreement of gradients ----------------------------------------------------

# Rows as train.agreement writes them, put in by hand.
mkdir agree
for span in 1 all; do
  cp -r runs/s$span-1 runs/s$span-2 agree
done
for f in agree/*/metrics.csv; do
  $AWK -F, -v OFS=, 'NR == 1 { n = NF }
    {
      more = NR == 1 ? "stage0_cosine,stage1_cosine,stage2_cosine," \
        "stage0_norm_ratio,stage1_norm_ratio,stage2_norm_ratio" : ",,,,,"
      print $0, more
      if (NR > 1 && $3 == "train") {
        $3 = "agreement"
        for (i = 4; i <= n; i++) $i = ""
        print $0, "0.25,0.5,1,0.75,1.5,1"
      }
    }' "$f" >part && mv part "$f"
done
one report agree -o agree.html && grep -q '<figure id="agreement"' agree.html
ok $? "gradients have a picture"
one report agree --csv --table agreement
[ "$(sed -n 2p said | cut -d, -f3,8,13,18)" = "0.25,0.25,0.75,0.75" ] &&
  [ "$(wc -l <said)" = 7 ]
ok $? "and a table"
for table in compare cost heads time runs; do
  one report agree --csv --table "$table" && cmp -s said "$table.csv"
  ok $? "their rows leave the table $table as it was"
done

# -- refusals ------------------------------------------------------------------

# shellcheck disable=SC2086
many 2 train $words train.lr=0.01 run.dir=other
one report runs other --text
[ $? = 64 ] && grep -q 'train.lr' errors && grep -q -e '--unlike' errors
ok $? "other learning rate: refused with 64, by name"
one report runs other --unlike --text && grep -q 'UNLIKE' said
ok $? "compared when told"
one report runs other --unlike --csv && grep -q 'train.lr' errors &&
  [ "$(head -n 1 said | cut -d, -f1)" = strategy ]
ok $? "a table as CSV says it beside the table"
cp -r runs cut
for f in cut/*/metrics.csv cut/*/events.jsonl cut/*/summary.csv; do
  head -c $(($(wc -c <"$f") - 9)) "$f" >part && mv part "$f"
done
rm cut/s1-1/facts.ini cut/s1-2/facts.ini
one report cut --unlike --text && grep -q 'not recorded' said
ok $? "half-written and missing files are no obstacle"
one report nothing-here
[ $? = 69 ] && [ "$(grep -c . errors)" = 1 ] && grep -q 'nothing-here' errors
ok $? "no run: 69, and one message"
one report data.h5
[ $? = 69 ] && [ "$(grep -c . errors)" = 1 ] && grep -q 'a run is' errors
ok $? "a file in place of a run: one message that says what a run is"
one report runs nothing-here --csv
[ $? = 0 ] && [ "$(grep -c 'nothing-here' errors)" = 1 ]
ok $? "beside runs it is a warning"
# For programs: the same numbers as a table, all tables at once.
if command -v python3 >/dev/null 2>&1; then
  mkdir csv
  for table in compare cost heads time probe cka agreement scale results runs \
    card differs repeat; do
    one report runs --csv --table $table && cp said csv/$table.csv
  done
  one report runs --json && cp said all.json &&
    python3 "$abs_top_srcdir/tests/report/tables_json.py" all.json csv/*.csv \
      >differs 2>&1
  [ $? = 0 ] && [ ! -s differs ]
  ok $? "as JSON tables say what they say as CSV $(head -n 3 differs)"
else
  n=$((n + 1))
  echo "ok $n - tables as JSON # SKIP there is no python3"
fi
one report runs --markdown --svg
[ $? = 64 ]
ok $? "two forms at once: 64"
one report runs -o /nowhere/page.html
[ $? = 74 ] && [ -z "$(find . -name 'page.html*.part')" ]
ok $? "a page that cannot be written: 74"
# Nine groups with a trace: eight steps are drawn, and the page says so.
mkdir nine
for i in 1 2 3 4 5 6 7 8 9; do
  cp -r runs/s1-1 nine/$i
  sed "s/^lr *=.*/lr = 0.$i/" runs/s1-1/config.ini >nine/$i/config.ini
done
one report nine --unlike -o nine.html &&
  [ "$(grep -c 'operations of one step' nine.html)" = 8 ] &&
  grep -q 'that were traced, not all' nine.html &&
  ! grep -q 'that were traced, not all' page.html
ok $? "where more steps were traced than are drawn, the page says so"

done_testing

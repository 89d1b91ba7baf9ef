#!/bin/sh
# tests/main/map.sh -- plan --map and --calibrate from the command line: options,
# files, and figures against each other and against plan.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
RUN_LIMIT=120
command -v timeout >/dev/null 2>&1 && limited="timeout -k 5 $RUN_LIMIT"

words="model.groups=8x3 stages.count=2 stages.head=gap-fc train.batch=16"

# shellcheck disable=SC2086 # words on purpose, everywhere below
map () { one plan $words --map "$@"; }

# value of CSV FILE: stages micro span order column
value ()
{
  $AWK -F, -v k="$2" -v m="$3" -v s="$4" -v o="$5" -v c="$6" '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["stages"] == k && $at["micro"] == m && $at["span"] == s &&
      $at["order"] == o { print $at[c] }' "$1"
}

# -- units: closed forms -------------------------------------------------------

map --unit --stages 2,4,5,9,64,300 --micro 1,2 --spans 1,2,all --csv unit.csv \
  --svg unit.svg
ok $? "a map of units"
$AWK -F, 'NR > 1 && $4 == 1 && $6 == "eager" {
    want = $5 == "all" ? 2 * $1 + 1 : 2 * $5 + 1
    n++
    if ($7 != want) { print "# " $0; bad = 1 }
  }
  END { exit bad || n != 17 }' unit.csv
ok $? "one micro-batch: 3 local, 5 for span 2, 2 K + 1 end to end"
[ "$(value unit.csv 4 1 1 eager network)" = model ] &&
  [ "$(value unit.csv 5 1 1 eager network)" = model ] &&
  [ "$(value unit.csv 9 1 1 eager network)" = chain ]
ok $? "5 blocks: more stages are a chain"
[ -z "$(value unit.csv 2 1 2 eager cycle_s)" ]
ok $? "span 2 of 2 stages is end to end"

# -- the table has the figures of the lines ------------------------------------

map --stages 2,5,70 --micro 1,2 --spans 1,2 --csv map.csv --svg map.svg
ok $? "a map of guessed costs"
cp said table
$AWK -F, 'NR > 1 && $12 == 1 {
    ratio = $5 == "all" ? "" : sprintf (" x%.2f", $9)
    print $4, $1, sprintf ("%.5g%s %s", $8, ratio, $6)
  }' map.csv >cells
bad=0
while read -r micro stages cell; do
  $AWK -v m="$micro" -v k="$stages" -v cell="$cell" '
    / micro-batch(es)?$/ { now = $1 }
    now == m && $1 == k && index ($0, " " cell " ") { found = 1 }
    END { exit !found }' table || { echo "# $micro $stages: $cell"; bad=1; }
done <cells
[ $bad = 0 ] && [ "$(wc -l <cells)" = 16 ]
ok $? "$(wc -l <cells) cells of the table are those of the CSV file"
$AWK -F, 'NR > 1 && $13 == 1 { n++ }
  NR > 1 && $13 != 1 && $11 == 1 && $12 == 1 { k = $1 " " $4
    if ($8 > top[k]) top[k] = $8 }
  NR > 1 && $13 == 1 { best[$1 " " $4] = $8 }
  END { for (k in best) if (top[k] > best[k]) exit 1; exit n != 6 }' map.csv
ok $? "one fastest for each depth and number of micro-batches"

# A cell is what plan says.
for order in eager 1f1b filldrain; do
  one plan $words strategy.span=2 stages.count=5 train.micro=2 \
    run.schedule=$order
  rate=$(sed -n 's/^predicted cycle: .*, \([0-9]*\) samples.s$/\1/p' said)
  $AWK -v a="$rate" -v b="$(value map.csv 5 2 2 $order samples_per_s)" \
    'BEGIN { exit !(a > 0 && a - b < 0.51 && b - a < 0.51) }'
  ok $? "plan with $order: $rate samples/s, as in the map"
done

# -- memory --------------------------------------------------------------------

most=$(value map.csv 5 1 all eager memory_bytes)
limit=$($AWK -v b="$(value map.csv 5 1 1 1f1b memory_bytes)" -v m="$most" \
  'BEGIN { printf "%.9f", (b + m) / 2e9 }')
map --stages 2,5,70 --micro 1,2 --spans 1,2 --memory "$limit" --csv small.csv
ok $? "a map under a limit"
$AWK -F, -v limit="$limit" 'NR > 1 {
    if (($10 <= limit * 1e9) != $11 || ($12 && !$11)) bad = 1
    if (!$11) out++
    else fit++
  }
  END { print "# " out " left out, " fit " fit"; exit bad || !out || !fit }' \
  small.csv
ok $? "what needs more is left out, and never the best"
grep -q 'over: ' said && grep -q 'left out: what needs more than' said
ok $? "and the table marks it"

# -- pictures ------------------------------------------------------------------

if command -v xmllint >/dev/null 2>&1; then
  xmllint --noout unit.svg map.svg 2>errors
  ok $? "the pictures are well-formed"
elif command -v python3 >/dev/null 2>&1; then
  python3 -c 'import sys, xml.dom.minidom as x
for f in sys.argv[1:]: x.parse(f)' unit.svg map.svg 2>errors
  ok $? "the pictures are well-formed"
fi
! grep -q -E '(href|src|@import|url\()' map.svg
ok $? "a picture needs nothing else"
bad=0
while read -r _ _ cell; do
  # The table has been rounded once.
  number=$(echo "$cell" | $AWK '{
    printf "%.4g|%.4g", $1 * 0.99999, $1 * 1.00001 }')
  grep -q -E ">($number) [e1f]<" map.svg || { echo "# $cell"; bad=1; }
done <cells
ok $bad "a picture has the figures of the table"

# -- calibration ---------------------------------------------------------------

many 2 plan $words --micro 1,2 --calibrate costs.ini
ok $? "2 ranks calibrate"
$AWK -F' = ' '/^(latency|bandwidth|bandwidth_both) / && !($2 > 0) { bad = 1 }
  /^(latency|bandwidth|bandwidth_both) / { n++ }
  /^unit = / { split ($2, v, " "); u++; size[v[1]] = 1
    if (!(v[3] > 0 && v[5] > 0)) bad = 1 }
  END { exit bad || n != 3 || u != 10 || !(8 in size) || !(16 in size) }' costs.ini
ok $? "the file has positive figures of links and of 5 blocks in 2 sizes"
map --costs costs.ini --stages 2,5,70 --micro 1,2 --csv cal.csv
ok $? "a map from it"
grep -q '^blocks as calibrated' said
ok $? "which says so"
# One stage on one rank is the sum of its five blocks: of a size that was measured,
# and of one on the line through two.
$AWK '/^unit = 8 / { print "unit = 8", $4, "0.0008 0.008 0.08 0.5 0 0.7"; next }
  /^unit = 16 / { print "unit = 16", $4, "0.001 0.01 0.1 0.6 0 0.8"; next }
  { print }' costs.ini >made.ini
map --costs made.ini --stages 1 --micro 1,2,4 --spans all --csv one.csv
ok $? "a map of made costs"
for want in 1:0.555 2:0.888 4:1.554; do
  $AWK -v cycle="$(value one.csv 1 "${want%:*}" all eager cycle_s)" \
    -v want="${want#*:}" \
    'BEGIN { exit !(cycle > want - 1e-4 && cycle < want + 1e-3) }'
  ok $? "one stage, ${want%:*} micro-batches: ${want#*:} s"
done
# A chain of blocks: local stages hand nothing on, data and weights are one pass.
# The last, the output, costs nothing.
$AWK '/^unit = / { print "unit =", $3, $4,
    $4 < 4 ? "0.1 0.4 0.8 0 0 0 0.2 0.1" : "0 0 0 0 0 0 0 0"; next }
  { print }' costs.ini >saves.ini
map --costs saves.ini --stages 70 --micro 1 --spans 1,all --latency 1ns --bandwidth 1000000GB/s --csv saves.csv
$AWK -v a="$(value saves.csv 70 1 1 eager cycle_s)" \
  'BEGIN { exit !(a > 1 - 1e-3 && a < 1 + 1e-3) }'
ok $? "what is saved is in a map: 0.1 + (0.4 - 0.1) + (0.8 - 0.2) s"
sed '/^unit = 16 3/s/$/ 5/' saves.ini >bad.ini
map --costs bad.ini --stages 4
[ $? -eq 64 ] && grep -q 'bad.ini:.*unit = 16 3' errors
ok $? "a number too many is refused"
map --costs costs.ini --stages 4 --micro 1 --spans 1,all --latency 1s --csv slow.csv
$AWK -v a="$(value slow.csv 4 1 all eager cycle_s)" \
  -v b="$(value cal.csv 5 1 all eager cycle_s)" \
  'BEGIN { exit !(a > 6 && a < 6.5 && b < 0.5) }'
ok $? "a second a message: end to end has six of them in a row"
one plan $words --costs costs.ini
grep -q 'as calibrated' said
ok $? "plan takes it too"
one plan $words --calibrate alone.ini
[ $? -eq 64 ] && grep -q 'mpirun' errors && [ ! -f alone.ini ]
ok $? "one rank has no link to measure"

# -- what is refused, by name ---------------------------------------------------

refused () # WORDS... -- expects exit 64 and the pattern $want
{
  one plan "$@"
  code=$?
  [ $code -eq 64 ] && tr '\n' ' ' <errors | grep -q -e "$want"
  ok $? "refused: $want"
}
want='--stages 2,x' refused $words --map --stages 2,x
want='--spans 40' refused $words --map --spans 40
want='--micro 0' refused $words --map --micro 0
want='--latency 5: wanted a time' refused $words --map --latency 5
want='--bandwidth 10GB: wanted a rate' refused $words --map --bandwidth 10GB
want='--ahead -1' refused $words --map --ahead -1
want='--memory none' refused $words --map --memory none
want='want --map' refused $words --stages 2,4
want='--map and --calibrate' refused $words --map --calibrate x
want='--costs excludes' refused $words --map --costs x --measure
want='does not divide into 3 micro-batches' refused $words --map --micro 3
want='the network has 5 blocks' refused $words --map --stages 4,8 --ranks 2
want='another network' refused $words model.groups=8x2 --map --costs costs.ini
sed 's/^latency = .*/latency = fast/' costs.ini >bad.ini
want='bad.ini:10: latency = fast' refused $words --map --costs bad.ini
sed '/^unit = 16 3/d' costs.ini >bad.ini
want='bad.ini:.*unit = 16 4' refused $words --map --costs bad.ini
sed '$d' costs.ini >bad.ini
want='bad.ini: not whole' refused $words --map --costs bad.ini
echo 'colour = blue' >>costs.ini
want='costs.ini:.*not a key' refused $words --map --costs costs.ini
want='--json does not go with' refused $words --map --json

# One plan for programs says what it says in words.
if command -v python3 >/dev/null; then
  for more in "" "strategy.dial=0:local,50%:2,80%:all train.steps=100"; do
    # shellcheck disable=SC2086
    one plan $words $more --ranks 2 && cp said words &&
      one plan $words $more --ranks 2 --json && cp said plan.json &&
      python3 "$abs_top_srcdir/tests/main/plan_json.py" words plan.json >differs 2>&1
    [ $? = 0 ] && [ ! -s differs ]
    ok $? "plan --json says what plan says $(head -n 3 differs)"
  done
else
  n=$((n + 1))
  echo "ok $n - plan --json # SKIP there is no python3"
fi
map --csv /nowhere/map.csv --stages 2
[ $? -eq 74 ] && grep -q '/nowhere/map.csv' errors
ok $? "a file that cannot be written: 74"

done_testing

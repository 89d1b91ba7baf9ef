#!/bin/sh
# tests/probe/report.sh -- from training to the page: two tiny runs, local and end
# to end, are trained, probed and reported, and the figures of the page are those
# of the files.  Prints TAP.
# shellcheck disable=SC2016 # awk's own $

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

words="model.groups=8x2,16x1 stages.cut=2,1,1,rest stages.head=gap-fc
  data.file=data.h5 train.batch=16 train.tune=no train.lr=0.05 train.steps=12
  train.eval_every=6"
for span in local e2e; do
  # shellcheck disable=SC2086
  many 2 train $words strategy.span=$span run.dir=$span
  ok $? "$span is trained"
done
many 2 probe local e2e
status=$?
if [ $status = 69 ] && grep -q 'built without ScaLAPACK' errors; then
  skip=yes
else
  ok $status "both are probed together"
fi
one report local e2e -o page.html
ok $? "and reported"

# values TABLE: the exact numbers of a table of the page, one on a line.
values ()
{
  $AWK -v table="$1" '
    index ($0, "<table id=\"table-" table "\"") { on = 1 }
    on {
      while (match ($0, /<data value="[^"]*">/)) {
        print substr ($0, RSTART + 13, RLENGTH - 15)
        $0 = substr ($0, RSTART + RLENGTH)
      }
    }
    on && /<\/table>/ { exit }' page.html
}
# among FILE: every number on standard input is a line of FILE, to 1e-8; and
# there are some.
among ()
{
  $AWK -v file="$1" '
    BEGIN { while ((getline line < file) > 0) v[++n] = line + 0 }
    {
      good = 0
      for (i = 1; i <= n; i++) {
        d = v[i] - $1
        s = $1 < 0 ? -$1 : $1
        if (d < 0) d = -d
        if (d <= 1e-8 * s + 1e-12) good = 1
      }
      if (!good) { print "not on the page: " $1; bad = 1 }
    }
    END { exit bad || NR == 0 }' >errors
}
# The last row of a run and split: COLUMN-PATTERN as a regular expression.
records ()
{
  $AWK -F, -v pattern="$3" -v split_name="$2" '
    NR == 1 { for (i = 1; i <= NF; i++) name[i] = $i; next }
    { for (i = 1; i <= NF; i++) if (name[i] == "split") at = i }
    $at == split_name { for (i = 1; i <= NF; i++) last[i] = $i; n = NF }
    END { for (i = 1; i <= n; i++)
      if (name[i] ~ pattern && last[i] != "") print last[i] }' "$1/metrics.csv"
}
values heads >page
for span in local e2e; do
  records $span valid '^head3_accuracy$' | among page
  ok $? "the page has the accuracy that $span recorded"
done
echo 0.123456789 | among page
[ $? = 1 ]
ok $? "a figure that is not there would be missed"
if [ -n "$skip" ]; then
  n=$((n + 1))
  echo "ok $n # SKIP built without ScaLAPACK"
  done_testing
fi

# -- the probe ---------------------------------------------------------------

stem=local/probe/step-000000012-valid-pooled-with-1
# column NAME: of the table of stages
column ()
{
  $AWK -F, -v name="$1" '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    { print $at[name] }' $stem-stages.csv
}
[ "$(column accuracy | wc -l)" = 8 ] && [ -z "$(column bits_per_token | tr -d '\n')" ]
ok $? "four stages of both"
$AWK -F, 'NR > 1 { v[$1 "." $2, $3 "." $4] = $5; n++ }
  END {
    for (k in v) {
      split (k, part, SUBSEP)
      d = v[k] - v[part[2], part[1]]
      if (d > 1e-9 || d < -1e-9) bad = 1
    }
    exit bad || n != 64 || v["0.1", "0.1"] != 1 || v["0.1", "1.1"] > 0.9999
  }' $stem-cka.csv
ok $? "similarity of local and end to end: symmetric, and not the same network"
values probe >page
if [ -s page ]; then
  for name in accuracy effective_rank participation_ratio; do
    column $name | among page
    ok $? "the page has the $name of the probe"
  done
else
  n=$((n + 1))
  echo "ok $n # SKIP the page has no table of probes"
fi
done_testing

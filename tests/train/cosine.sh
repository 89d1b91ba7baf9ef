#!/bin/sh
# tests/train/cosine.sh -- train.agreement from outside: rows of metrics.csv, the
# same on any ranks and after a stop; training and its checkpoints as without it;
# its time and its memory; wrong values.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

# weights FOLDER: digests of the last checkpoint, as the record has them
weights () {
  sed -n '/^{"event":"checkpoint"/s/.*"weights":/"weights":/p' \
    "$1/run/events.jsonl" | tail -n 1
}

# rows FOLDER: the rows of split agreement, without what a clock says
rows () {
  $AWK -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; n = NF }
    NF != n { print "columns" }
    $at["split"] == "agreement" { $at["seconds"] = ""; print }' \
    "$1/run/metrics.csv"
}

newest () { find "$1/run/checkpoints" -name '*.h5' | sort | tail -n 1; }

# class NAME FOLDER: its seconds on rank 0
class () {
  $AWK -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    NR == 2 { print $at[name] + 0 }' "$2/run/summary.csv"
}

mkdir off on one four halves later
words="$small train.micro=2 train.steps=12 train.eval_every=5 checkpoint.every=6
  checkpoint.keep=9"

# shellcheck disable=SC2086
(cd off && many 2 train $words)
ok $? "12 steps without it, on 2 ranks"
# shellcheck disable=SC2086
(cd on && many 2 train $words train.agreement=3)
ok $? "12 steps, compared every 3"
weights off >said
weights on >errors
[ -s said ] && cmp said errors >/dev/null
ok $? "weights, optimizer and state have the same digests"
if command -v h5diff >/dev/null 2>&1; then
  h5diff "$(newest off)" "$(newest on)" /model /model >said 2>&1 &&
    h5diff "$(newest off)" "$(newest on)" /heads /heads >>said 2>&1 &&
    h5diff "$(newest off)" "$(newest on)" /optimizer /optimizer >>said 2>&1
  ok $? "the checkpoints hold the same tensors"
fi
head -n 1 off/run/metrics.csv >header
echo "$(cat header),stage0_cosine,stage1_cosine,stage2_cosine,stage3_cosine,\
stage0_norm_ratio,stage1_norm_ratio,stage2_norm_ratio,stage3_norm_ratio" >said
head -n 1 on/run/metrics.csv >errors
cmp said errors >/dev/null
ok $? "metrics.csv: eight more columns at the end"
$AWK -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; n = NF; next }
  NF != n { bad = 1 }
  $at["split"] != "agreement" {
    for (k = 0; k < 4; k++)
      if ($at["stage" k "_cosine"] $at["stage" k "_norm_ratio"] != "") bad = 1
    next
  }
  {
    if ($1 != 3 * ++rows || $at["lr"] $at["samples_per_s"] != "") bad = 1
    for (k = 0; k < 4; k++) {
      c = $at["stage" k "_cosine"]; r = $at["stage" k "_norm_ratio"]
      if ($at["head" k "_loss"] $at["head" k "_accuracy"] != "") bad = 1
      if (k < 2 && !(c > -1 && c < 1 && c != 0 && r > 0 && r != 1)) bad = 1
      if (k >= 2 && (c != "1" || r != "1")) bad = 1
    }
  }
  END { exit bad || rows != 4 }' on/run/metrics.csv
ok $? "rows of steps 3, 6, 9, 12; span 2: the last two stages agree, others do not"
grep -v ,agreement, on/run/metrics.csv | $AWK -F, 'NR == 1 {
  for (i = 1; i <= NF; i++) at[$i] = i; m = at["lr"] } { NF = m; print }' >said
$AWK -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; m = at["lr"] }
  { NF = m; print }' off/run/metrics.csv >errors
cmp said errors >/dev/null
ok $? "all other rows are those without it"
[ "$(class agree off)" = 0 ]
ok $? "summary.csv: no time went into it where it is off"
# A comparison walks as much as a step of one micro-batch, and back again.
mkdir time
# shellcheck disable=SC2086
(cd time && one train $small train.steps=30 train.agreement=1 &&
  grep -q 'agree: train.agreement' said)
ok $? "it is explained below the table"
$AWK -v a="$(class agree time)" -v p="$(class plain time)" \
  'BEGIN { print a, p; exit !(a > 0.8 * p && a < 6 * p) }' >said
ok $? "every step compared: as long as the steps themselves, at least"

# -- other ranks, and a stop ----------------------------------------------------

for ranks in 1 4; do
  case $ranks in 1) folder=one ;; *) folder=four ;; esac
  (cd $folder && many $ranks train ../on/run/config.ini)
  rows on >said
  rows $folder >errors
  [ -s said ] && cmp said errors >/dev/null && ! grep -q columns said
  ok $? "the same values on $ranks rank(s)"
  cmp "$(newest on)" "$(newest $folder)" >said 2>&1
  ok $? "and the same checkpoint, rows included, byte for byte"
done

# The second start begins behind a step that was compared.
(cd halves && many 2 train ../on/run/config.ini train.steps=7 &&
  rm run/checkpoints/step-000000007.h5 run/status &&
  many 1 train ../on/run/config.ini)
ok $? "7 steps, the last one lost, and on from 6 on another number of ranks"
rows on >said
rows halves >errors
cmp said errors >/dev/null
ok $? "has the same rows, none twice"
cmp "$(newest on)" "$(newest halves)" >said 2>&1
ok $? "and the same checkpoint"

# -- columns that were not there --------------------------------------------------

# shellcheck disable=SC2086
(cd later && many 2 train $words train.steps=6 &&
  cp run/metrics.csv was && many 2 train $words train.agreement=3)
ok $? "it can be asked for later"
cmp later/was later/run/metrics-1.csv >said 2>&1
ok $? "the earlier rows are kept in metrics-1.csv"
rows later >said
rows on | tail -n 2 >errors
cmp said errors >/dev/null && [ "$(head -n 1 later/run/metrics.csv)" = \
  "$(head -n 1 on/run/metrics.csv)" ]
ok $? "the new ones have all columns"
weights on >said
weights later >errors
cmp said errors >/dev/null
ok $? "to the same bits"
# shellcheck disable=SC2086
(cd later && many 2 train $words train.steps=15)
[ $? = 0 ] && [ ! -e later/run/metrics-2.csv ] &&
  $AWK -F, 'NR == 1 { n = NF } NF != n { bad = 1 } END { exit bad }' \
    later/run/metrics.csv && [ "$(rows later | wc -l)" = 2 ]
ok $? "and be left out again: the columns stay, empty"

# -- the others -----------------------------------------------------------------

cd on || exit 1
# shellcheck disable=SC2086
one plan $words --ranks 2 && sed -n 's/^rank 0.*memory //p' said >less
# shellcheck disable=SC2086
one plan $words train.agreement=3 --ranks 2 && sed -n 's/^rank 0.*memory //p' said >more
[ -s less ] && ! cmp less more >/dev/null
ok $? "plan counts its memory"
grep -q '^comparing gradients: .* every 3 steps, ' said
ok $? "and says what it will take"
one eval "$(newest .)" && grep -q '^3 ' said
ok $? "eval of its checkpoint"
for value in -1 often 1.5; do
  # shellcheck disable=SC2086
  one train $words run.dir=x train.agreement=$value
  [ $? = 64 ] && grep -q 'train.agreement' errors && [ ! -e x ]
  ok $? "train.agreement = $value: 64"
done
# shellcheck disable=SC2086
one train $words run.dir=x train.agreemnt=3
[ $? = 64 ] && grep -q 'agreement' errors
ok $? "the nearest name is told"

done_testing

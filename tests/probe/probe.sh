#!/bin/sh
# tests/probe/probe.sh -- the command `probe` from end to end: what it leaves, that
# ranks and grids do not matter, what it refuses; and its numbers against NumPy.
# Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
here=${abs_top_srcdir-$(dirname "$0")/../..}/tests/probe

skip ()
{
  n=$((n + 1))
  echo "ok $n # SKIP $1"
}

mkdir work
cd work || exit 1
# shellcheck disable=SC2086
many 2 train $small train.steps=12
ok $? "a run to probe"

many 2 probe run
status=$?
if [ $status = 69 ] && grep -q 'built without ScaLAPACK' errors; then
  ok 0 "without ScaLAPACK the command refuses, and says what to do"
  done_testing
fi
ok $status "probe on 2 ranks"
name=run/probe/step-000000012-valid-pooled
for f in .h5 -stages.csv -spectrum.csv -cka.csv; do
  [ -s $name$f ]
  ok $? "it leaves $f"
done
$AWK -F, 'NR == 1 { columns = NF } NF != columns { bad = 1 }
  END { exit bad || NR != 5 }' $name-stages.csv
ok $? "a row for each stage"
$AWK -F, '$1 == $3 && $2 == $4 && $5 != 1 { bad = 1 }
  NR > 1 && ($5 < 0 || $5 > 1.00001) { bad = 1 }
  END { exit bad || NR != 17 }' $name-cka.csv
ok $? "similarities of all pairs, 1 with itself"

# near FILE FILE: equal headers; numbers equal to 1e-4
near ()
{
  paste -d, "$1" "$2" | $AWK -F, '{
      for (i = 1; i <= NF / 2; i++) {
        a = $i; b = $(i + NF / 2); d = a - b; if (d < 0) d = -d
        s = a < 0 ? -a : a
        if (a ~ /^[-0-9.e+]+$/ ? d > 1e-4 * s + 1e-9 : a != b) bad = 1
      }
    } END { exit bad || NR == 0 }'
}
for ranks in 1 4 6; do
  many $ranks probe run --double -o other --block 3
  ok $? "double precision on $ranks ranks"
  near $name-cka.csv other/step-000000012-valid-pooled-cka.csv &&
    cut -d, -f1-13,17-20 $name-stages.csv >one &&
    cut -d, -f1-13,17-20 other/step-000000012-valid-pooled-stages.csv >two &&
    near one two
  ok $? "the same numbers on $ranks ranks, whatever the grid"
done
$AWK -F, -v OFS=, 'NR == 3 { $NF *= 1.001 } { print }' one >three
near one two && ! near one three
ok $? "a number that differs would be seen"

many 2 probe run run --features maps --samples 20 train.seed=4
[ $? = 0 ] && grep -q '20 samples' said && grep -q 'inner products' said &&
  $AWK -F, '$1 != $3 && $2 == $4 && ($5 < 0.99999 || $5 > 1.00001) { bad = 1 }
    END { exit bad || NR != 65 }' \
    run/probe/step-000000012-valid-maps-with-1-cka.csv
ok $? "two checkpoints, whole maps, fewer samples than features; equal: 1"

one probe run --features maps --memory 0.001
[ $? = 69 ] && complaints | grep -q 'takes .* on a rank'
ok $? "what does not fit is refused with numbers"
many 2 probe run --grid 3x1
[ $? = 64 ] && complaints | grep -q '3x1'
ok $? "a grid for other ranks"
one probe run --features whole
[ $? = 64 ] && complaints | grep -q 'pooled or maps'
ok $? "an unknown kind of features"
one probe nowhere.h5
[ $? = 69 ] && complaints | grep -q 'nowhere.h5'
ok $? "no such checkpoint"
one probe run --split test data.file=nowhere.h5
[ $? = 69 ] && complaints | grep -q 'nowhere.h5'
ok $? "no such data set"
INTERLOCK_FAIL=write one probe run -o lost
[ $? = 74 ] && [ -z "$(ls lost 2>/dev/null)" ]
ok $? "writing fails: nothing is left"

# -- against NumPy ---------------------------------------------------------------

study=${abs_top_builddir-}/tests/probe/study
[ -x "$study" ] || study=$(dirname "$I")/tests/probe/study
if ! [ -x "$study" ]; then
  skip "tests/probe/study is not built"
elif ! command -v python3 >/dev/null 2>&1; then
  skip "no python3 to compare with"
else
  program=$I
  I=$study
  many 2 --golden golden
  I=$program
  python3 "$here/golden.py" golden >said 2>errors
  status=$?
  if [ $status = 77 ]; then
    skip "python3 has no NumPy to compare with"
  else
    ok $status "ridge, spectra and CKA as NumPy has them"
    sed '$s/.*/0.5/' golden >wrong
    python3 "$here/golden.py" wrong >said 2>errors
    [ $? = 1 ] && grep -q 'CKA of views' said
    ok $? "a wrong number would be seen"
  fi
fi
done_testing

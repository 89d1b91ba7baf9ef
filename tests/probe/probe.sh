#!/bin/sh
# tests/probe/probe.sh -- the command `probe` from end to end: what it leaves, that
# ranks and grids do not matter, what it refuses; and its numbers against NumPy.
# Prints TAP.
# limit: 240

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
one probe $name.h5
[ $? = 65 ] && complaints | grep -q 'format "probe"'
ok $? "HDF5 can be opened, and says what it is"
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
# names: those in `pairs`, without the first part that all have
names ()
{
  for f in pairs/*-stages.csv; do
    f=${f%-stages.csv}
    printf '%s ' "${f#pairs/step-000000012-valid-pooled-}"
  done
}
cp -r run twin && one probe run twin -o pairs && one probe run run -o pairs &&
  one probe run run --double -o pairs
[ $? = 0 ] && [ "$(names)" = "with-1-2 with-1 " ] &&
  grep -q '"twin/' pairs/*-with-1-stages.csv &&
  ! grep -q '"twin/' pairs/*-with-1-2-stages.csv && grep -q 'with-1-2.h5' said
ok $? "pairs with one checkpoint do not replace each other, the same pair does"

one probe run --features maps --memory 0.001
[ $? = 69 ] && complaints | grep -q 'takes .* on a rank'
ok $? "what does not fit is refused with numbers"
many 2 probe run --grid 3x1
[ $? = 64 ] && complaints | grep -q '3x1'
ok $? "a grid for other ranks"
# Memory between that of one checkpoint and that of both.
one probe run twin -o pairs
between=$($AWK '/^probe: grid/ {
    for (i = 1; i < NF; i++) if ($i == "rank:") { sum += $(i + 1); unit = $(i + 2) }
    n++
  } END { if (n == 2 && unit == "kB") printf "%.9f", sum / 2 / 1e6 }' said)
one probe run --memory "$between" -o pairs
ok $? "one checkpoint fits in $between GB"
one probe run twin --memory "$between" -o pairs
[ $? = 69 ] && complaints | grep -q 'probing 2 checkpoints takes .* kB on a rank' &&
  ! grep -q 'outputs of' said
ok $? "two do not, which is told before the first is computed"
one probe run twin/none.h5 -o pairs
[ $? = 69 ] && ! grep -q 'outputs of' said
ok $? "and so is a second one that is not there"
one probe run --features whole
[ $? = 64 ] && complaints | grep -q 'pooled or maps'
ok $? "an unknown kind of features"
one probe nowhere.h5
[ $? = 69 ] && complaints | grep -q 'nowhere.h5'
ok $? "no such checkpoint"
one probe run --split test data.file=nowhere.h5
[ $? = 69 ] && complaints | grep -q 'nowhere.h5: .*data.file=PATH'
ok $? "no such data set"
INTERLOCK_FAIL=write one probe run -o lost
[ $? = 74 ] && [ -z "$(ls lost 2>/dev/null)" ]
ok $? "writing fails: nothing is left"
mkdir full
ln -s /dev/full full/step-000000012-valid-pooled.h5
one probe run -o full
[ $? = 74 ] && complaints | grep -q 'No space left' &&
  [ "$(ls full)" = step-000000012-valid-pooled.h5 ]
ok $? "a full disk: refused, and nothing is left"
one probe run -o kept && cat kept/* >before &&
  INTERLOCK_FAIL=write:3 one probe run --double --seed 2 -o kept
[ $? = 74 ] && cat kept/* | cmp -s - before && [ "$(ls kept | wc -l)" = 4 ]
ok $? "one file of a probe cannot be written: all stay what they were"

# -- tokens ----------------------------------------------------------------------

# Lower-case letters at random, each followed by itself in upper case: what
# follows can be told from one of two places, and is one of 8 after the other.
# One rank sees 8 + 8 letters and 8 places in 32 features, so that a linear probe
# of the embedding has all there is: 0 and 3 bits in turn.  Labels one place off
# would give 3 bits (the letter after the next) or 0 (the letter itself).
$AWK 'BEGIN {
  x = 7
  for (i = 0; i < 9000; i++) {
    x = (x * 1103515245 + 12345) % 2147483648
    c = int (x / 65536) % 8
    printf "%s%s", substr ("abcdefgh", c + 1, 1), substr ("ABCDEFGH", c + 1, 1)
  }
}' >letters
one import text letters -o letters.h5 valid=0.5
many 2 train model.family=transformer model.layers=2 model.d_model=32 \
  model.heads=2 model.context=8 stages.cut=1,1,rest strategy.span=local \
  data.file=letters.h5 train.batch=8 train.lr=0.0001 train.steps=2 \
  train.tune=no run.dir=words
ok $? "a language model to probe"
# column NAME ROW: of the table of stages
column ()
{
  $AWK -F, -v name="$1" -v row="$2" '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    NR == row + 1 { print $at[name] }' \
    "${3:-words/probe/step-000000002-valid-positions}-stages.csv"
}
many 2 probe words --samples 4000
[ $? = 0 ] && grep -q 'bits/token' said && [ "$(column samples 1)" = 4000 ]
ok $? "probe of positions, 4000 of them"
echo "$(column bits_per_token 1) $(column accuracy 1) $(column bits_unigram 1)" |
  $AWK '{ exit !($1 > 1.4 && $1 < 1.7 && $2 > 0.5 && $2 < 0.65 &&
    $3 > 4.05 && $3 < 4.15) }'
ok $? "bits per token are those of the text: half of 3; 4.1 by smoothed counts"
for ranks in 1 3; do
  many $ranks probe words --samples 4000 --double -o letters-$ranks
  ok $? "tokens on $ranks ranks"
  near words/probe/step-000000002-valid-positions-cka.csv \
    letters-$ranks/step-000000002-valid-positions-cka.csv &&
    $AWK -F, -v OFS=, '{ print $4, $6, $7, $21, $23 }' \
      words/probe/step-000000002-valid-positions-stages.csv >one &&
    $AWK -F, -v OFS=, '{ print $4, $6, $7, $21, $23 }' \
      letters-$ranks/step-000000002-valid-positions-stages.csv >two &&
    near one two
  ok $? "the same numbers of tokens on $ranks ranks"
done
one probe words --samples 4000 --seed 2 -o second
[ $? = 0 ] && [ "$(column trace 1)" != \
  "$(column trace 1 second/step-000000002-valid-positions)" ]
ok $? "another seed, other positions"
one probe words --classes 3 -o cut
[ $? = 0 ] && [ "$(column classes 1 cut/step-000000002-valid-positions)" = 3 ]
ok $? "the vocabulary cut to 3 classes"
[ -z "$(column bits_per_token 1 run/probe/step-000000012-valid-pooled)" ]
ok $? "images have no bits per token"
one probe words --features maps
[ $? = 64 ] && complaints | grep -q 'every position is a sample'
ok $? "tokens have no maps"
one probe words --split test
[ $? = 65 ] &&
  complaints | grep -q 'no split /test; what there is: --split train --split valid'
ok $? "a split that is not there"

# -- against NumPy ---------------------------------------------------------------

# golden PROGRAM SCRIPT WHAT FAULT: values that tests/probe/PROGRAM writes, against
# NumPy; FAULT, for sed, makes one wrong
golden ()
{
  program=${abs_top_builddir-}/tests/probe/$1
  [ -x "$program" ] || program=$(dirname "$I")/tests/probe/$1
  if ! [ -x "$program" ]; then
    skip "tests/probe/$1 is not built"
    return
  fi
  python=
  for p in python3 /usr/bin/python3; do
    [ -n "$python" ] || ! "$p" -c 'import numpy' 2>/dev/null || python=$p
  done
  if [ -z "$python" ]; then
    skip "no python3 with NumPy to compare with"
    return
  fi
  kept=$I
  I=$program
  many 2 --golden golden
  I=$kept
  "$python" "$here/$2" golden >said 2>errors
  ok $? "$3 as NumPy has them"
  sed "$4" golden >wrong
  "$python" "$here/$2" wrong >said 2>errors
  [ $? = 1 ] && grep -q 'and NumPy has' said
  ok $? "a wrong number would be seen"
}
golden study golden.py "ridge, spectra and CKA" '$s/.*/0.5/'
golden token golden_token.py "bits per token" '3s/[^ ]*$/9/'
done_testing

#!/bin/sh
# tests/train/route.sh -- a strategy by hand: what is wrong in a table is told with
# its place, a run holds its table and goes on without the file, the same table in
# other words is the same run, and sweeps and reports tell tables apart.  Prints TAP.

RUN_LIMIT=60
kept=$(cd "${abs_top_srcdir-$(dirname "$0")/../..}/tests/train/kept" && pwd) || exit 1
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/train/again.sh"
case $(uname -m) in
x86_64 | amd64 | i?86) isa=run.isa=sse41 ;;
*) isa=run.isa=auto ;;
esac
cd "$tmp" || exit 1
here=$(echo "$small" | sed 's/strategy.span=2//')

# -- what is wrong ----------------------------------------------------------------

# wrong NAME WORDS LINE...: a table of these lines is refused with these words
wrong () {
  name=$1 words=$2
  shift 2
  printf '%s\n' "$@" >bad.txt
  one plan stages.count=3 strategy.route=@bad.txt
  [ $? = 64 ] && complaints >told && grep -q "^interlock: bad.txt:$words" told
  ok $? "refused: $name"
}
wrong 'not a number' '3: route row 1, column 2: "x" is not' '# three' '1 0 0' '0 1 x' '0 0 1'
wrong 'no number' '1: route row 0, column 1: "nan" is not' '1 nan 0' '0 1 0' '0 0 1'
wrong 'a weight below 0' '2: route row 1, column 1: -1 is not' '1 0 0' '0 -1 0' '0 0 1'
wrong 'an earlier head' '5: route row 2, column 1: stage 2 cannot learn' \
  '1 0 0' '' '0 1 0 # two' '' '0,2,1'
wrong 'a row of zeros' '2: route row 1 is zero' '1 0 0' '0 0 0' '0 0 1'
wrong 'a short row' '2: route row 1 has 2 numbers, wanted 3' '1 0 0' '0 1' '0 0 1'
wrong 'a long row' '1: route row 0 has 4 numbers, wanted 3' '1 0 0 0' '0 1 0' '0 0 1'
printf '%s\n' '1 0 0' '0 1 0' >bad.txt
one plan stages.count=3 strategy.route=@bad.txt
[ $? = 64 ] && grep -q 'bad.txt:.*route has 2 rows, wanted 3' errors
ok $? "refused: too few rows"
printf '%s\n' '1 0 0' '0 1 y' '0 2 1' >bad.txt
one plan stages.count=3 strategy.route=@bad.txt train.batch=0
[ $? = 64 ] && grep -q '^interlock: 3 things are wrong' errors &&
  grep -q '^bad.txt:2: ' errors && grep -q '^bad.txt:3: ' errors
ok $? "all that is wrong is told at once"
one plan stages.count=3 strategy.route=@nothing.txt
[ $? = 64 ] && grep -q 'nothing.txt: No such file' errors &&
  grep -q 'strategy.route = @nothing.txt' errors
ok $? "refused: a file that is not there"
one plan stages.count=3 'strategy.route=1 0 0/0 1 0'
[ $? = 64 ] && grep -q 'strategy.route: route has 2 rows, wanted 3' errors
ok $? "refused: a table in place with too few rows"
one plan stages.count=3 strategy.span=1,2
[ $? = 64 ] && grep -q 'strategy.span = 1,2 has 2 words where there are 3' errors
ok $? "refused: fewer spans than stages"
one plan stages.count=3 strategy.span=1,4,2
[ $? = 64 ] && grep -q 'strategy.span = 4 does not fit 3 stages' errors
ok $? "refused: a span beyond the number of stages"
one plan --map strategy.own=1
[ $? = 64 ] && grep -q 'strategy.own has no place' errors
ok $? "refused: a map of own"

# -- a plan -----------------------------------------------------------------------

one plan stages.count=3 strategy.span=1,1,2 strategy.own=0.5
cp said spans
[ $? = 0 ] && grep -q 'span 1,1,2, mix furthest, own 0.5$' said
ok $? "plan tells spans and own"
one plan stages.count=3 'strategy.route=1,0,0/0,1,0/0,0,1'
[ $? = 0 ] && grep -q 'stages; route by hand$' said && sed 1d said >a &&
  sed 1d spans >b && cmp -s a b
ok $? "plan tells of a table, and plans as for the spans that make it"

# -- a run ------------------------------------------------------------------------

table='1 0 0 0 / 0 0.5 1 0 / 0 0 0 1 / 0 0 0 2'
mkdir table alone || exit 1
printf '%s\n' '# a table' '1,0,0,0' '' '0 5e-1 1 0 # mixed' '0 0 0 1' '0 0 -0 2.0' \
  >table/table.txt
# shellcheck disable=SC2086
(cd alone && one train $here "strategy.route=$table" train.steps=8)
ok $? "8 steps of a table in place, alone"
# shellcheck disable=SC2086
(cd table && many 2 train $here strategy.route=@table.txt train.steps=4)
ok $? "4 steps of a table from a file, on 2 ranks"
grep -q "^route = $table\$" table/run/config.ini &&
  ! grep -q '^span\|^mix\|^own' table/run/config.ini
ok $? "config.ini has its rows, and nothing that they replace"
rm table/table.txt
from table
many 3 train run/config.ini train.steps=8
[ $? = 0 ] && [ "$(last exact)" = true ]
ok $? "it goes on without the file, on 3 ranks"
same ../alone
ok $? "to the bits of one rank that never stopped"
from table
# shellcheck disable=SC2086
many 2 train $here 'strategy.route=1 0 0 0/0 5e-1 1 0/0 0 0 1/0 0 0 2' train.steps=8
[ $? = 0 ] && [ "$(last exact)" = true ]
ok $? "the same table in other digits: the same run"
from table
printf '%s\n' '1 0 0 0' '0 1 0 0' '0 0 0 1' '0 0 0 2' >table.txt
# shellcheck disable=SC2086
many 2 train $here strategy.route=@table.txt train.steps=8
[ $? = 0 ] && [ "$(last exact)" = false ] &&
  grep -q "strategy.route = 1 0 0 0 / 0 1 0 0 .*, was $table" said
ok $? "another file: told, and not claimed to be exact"
from table
# shellcheck disable=SC2086
many 2 train $here strategy.span=2 train.steps=8
[ $? = 0 ] && [ "$(last exact)" = false ] &&
  grep -q "strategy.route = (none), was $table" said
ok $? "a span in place of the table: told"
from half
# shellcheck disable=SC2086
many 2 train $here train.steps=16 \
  'strategy.route=0 1 0 0/0 0 1 0/0 0 0 1/0 0 0 1'
[ $? = 0 ] && [ "$(last exact)" = true ]
ok $? "a table that is what the span was: the same run"
from half
# shellcheck disable=SC2086
many 2 train $here train.steps=16 strategy.span=2,pairwise,2,1
[ $? = 0 ] && [ "$(last exact)" = true ]
ok $? "spans that are what the span was: the same run"
from half
# shellcheck disable=SC2086
many 2 train $small train.steps=16 strategy.own=0.5
[ $? = 0 ] && [ "$(last exact)" = false ] &&
  grep -q 'strategy.own = 0.5, was 0' said
ok $? "own: told"

# A version that knew of neither.
for what in strategy.own=0.5 'strategy.route=3 0 0/0 1 0/0 0 1'; do
  cd "$tmp" && rm -rf now && cp -R "$kept/pixels" now && chmod -R u+w now &&
    mkdir now/here && mv now/run now/here/run && cd now/here || exit 1
  case $what in
  strategy.route=*) sed '/^span *=/d; /^mix *=/d' ../case.ini >case.ini ;;
  *) cp ../case.ini case.ini ;;
  esac
  many 2 train case.ini $isa "$what"
  [ $? = 0 ] && [ "$(last exact)" = false ] && grep -q "${what%%=*} = .*, was" said
  ok $? "a run of an older version, ${what%%=*}: told"
done

# -- sets of runs ------------------------------------------------------------------

cd "$tmp" || exit 1
printf '%s\n' '1 0' '0 1' >a.txt
printf '%s\n' '0.5 1' '0 1' >b.txt
printf '%s\n' '[sweep]' 'strategy.route = @a.txt, @b.txt, 1 0/0 1' '[stages]' \
  'count = 2' '[data]' 'file = data.h5' >tables.sweep
one sweep tables.sweep list --csv
cp said first
[ $? = 0 ] && [ "$(sed -n 's/^[0-9]*,\(route-[0-9a-f]\{8\}\),.*/\1/p' said |
  sort -u | wc -l)" = 2 ]
ok $? "a sweep over tables: equal ones are one run"
printf '%s\n' '0.25 1' '0 1' >b.txt
one sweep tables.sweep list --csv
[ $? = 0 ] && [ "$(cut -d , -f 2 said | sed -n 2p)" = \
  "$(cut -d , -f 2 first | sed -n 2p)" ] &&
  [ "$(cut -d , -f 2 said | sed -n 3p)" != "$(cut -d , -f 2 first | sed -n 3p)" ]
ok $? "what is in the file makes the run"
printf '%s\n' '[sweep]' 'strategy.span = 1,1 | 1 | 2,1 | all' '[stages]' \
  'count = 2' '[data]' 'file = data.h5' >spans.sweep
one sweep spans.sweep
[ $? = 0 ] && grep -q '^2 runs: .*; 2 the same as another' said
ok $? "a sweep over spans: the same in other words is one run"

mkdir mixed
# shellcheck disable=SC2086
(cd mixed && one train $here strategy.span=1,1,2,all strategy.own=0.25 train.steps=8)
ok $? "8 steps of a span for each stage"
one report alone/run mixed/run --text
[ $? = 0 ] && grep -q 'route [0-9a-f]*' said && grep -q 'spans 1,1,2,1' said
ok $? "a report tells a table and spans"
mkdir phases
# shellcheck disable=SC2086
(cd phases && one train $here 'strategy.dial=0:local, 4:frozen,1,2,all' \
  train.agreement=2 train.steps=8)
ok $? "8 steps of a dial"
$AWK -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
  $at["split"] == "agreement" { n++
    if ((($at["stage0_cosine"] == "") != ($1 > 4)) ||
      $at["stage1_cosine"] == "") exit 1 }
  END { exit n != 4 }' phases/run/metrics.csv
ok $? "gradients are compared in both phases, of the stages that learn"
one info phases/run
grep -q ' phase  *step 0, 0:local$' said &&
  grep -q ' phase  *step 4, 4:frozen,1,2,all$' said
ok $? "info tells what each phase is"
done_testing

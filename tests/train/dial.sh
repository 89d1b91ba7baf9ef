#!/bin/sh
# limit: 240
# tests/train/dial.sh -- a strategy that changes in the course of a run: what is wrong
# with phases is told, a plan shows each, a run records where they begin and goes on in
# any of them, or where one ends, to the same bits; other phases are another course;
# and what is made of such runs.  Prints TAP.

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/train/again.sh"
cd "$tmp" || exit 1
here=$(echo "$small" | sed 's/strategy.span=2//')
dial='strategy.dial=0:local, 25%:2 own=0.5, 75%:all'

# -- what is wrong ----------------------------------------------------------------

# wrong NAME WORDS DIAL [WORD...]: refused with these words
wrong () {
  name=$1 words=$2 text=$3
  shift 3
  one plan stages.count=3 train.steps=100 "strategy.dial=$text" "$@"
  [ $? = 64 ] && grep -q "strategy.dial.*$words" errors
  ok $? "refused: $name"
}
wrong 'phases out of order' 'phase 2 begins at 20%, no later than phase 1 at 30%' \
  '0:local, 30%:2, 20%:all'
wrong 'a share above 100 %' '"130%" is neither' '0:local, 130%:2'
wrong 'a step behind the end' 'phase 1 begins at step 100 of a run of 100' \
  '0:local, 100:2'
wrong 'two phases on one step' 'phases 0 and 1 begin at steps 0 and 0' \
  '0:local, 0.1%:2'
wrong 'too few words for the stages' 'phase 1: .* has 2 words where there are 3' \
  '0:local, 5:1,2'
wrong 'a reach beyond the stages' 'phase 1: .* does not fit 3 stages' '0:1, 5:4'
wrong 'rows of another number of stages' 'phase 1: route has 2 rows, wanted 3' \
  '0:1, 5:1 0/0 1'
wrong 'an earlier head' 'phase 1: route row 1, column 0' '0:1, 5:1 0 0/1 1 0/0 0 1'
wrong 'own of another mix' 'phase 1: own=1 is for strategy.mix' '0:1, 5:2 own=1' \
  strategy.mix=sum
wrong 'a span beside it' 'strategy.span are both given' '0:1, 5:2' strategy.span=2
printf '%s\n' '1 0 0' '# two' '0 1' '0 0 1' >bad.txt
one plan stages.count=3 train.steps=100 'strategy.dial=0:1, 50%:@bad.txt'
[ $? = 64 ] && grep -q 'bad.txt:3: route row 1 has 2 numbers, wanted 3' errors
ok $? "refused: a file that does not fit, with its line"
one plan stages.count=3 'strategy.dial=0:1, 50%:@nothing.txt'
[ $? = 64 ] && grep -q 'nothing.txt: No such file' errors
ok $? "refused: a file that is not there"
mkdir plan && cd plan || exit 1
# shellcheck disable=SC2086
one train $here train.epochs=0.5 'strategy.dial=0:1, 2:2'
[ $? = 64 ] && grep -q 'phase 1 begins at step 2 of a run of 2 steps' errors
ok $? "refused: a step behind the end, once the data is known"
cd "$tmp" || exit 1
one plan --map 'strategy.dial=0:1, 5:2'
[ $? = 64 ] && grep -q 'strategy.dial has no place' errors
ok $? "refused: a map of phases"

# -- a plan -----------------------------------------------------------------------

cd plan || exit 1
# shellcheck disable=SC2086
one plan $here train.steps=200 "$dial" --list
[ $? = 0 ] && grep -q 'dial in 3 phases' said &&
  grep -q '^phase 0 (0:local), steps 1 to 50: 25.0 % of the steps, .* of the time$' said &&
  grep -q '^phase 1 (25%:2 own=0.5), steps 51 to 150: 50.0 %' said &&
  grep -q '^phase 2 (75%:all), steps 151 to 200: 25.0 %' said &&
  grep -q '^heads that rest: 0, 1, 2$' said &&
  grep -q '^all phases: .* per batch in the mean, .*; 200 steps in ' said
ok $? "plan shows every phase, its part of the time, and the whole"
[ "$(grep -c '^predicted cycle' said)" = 3 ] && [ "$(grep -c 'operations a step$' said)" = 12 ]
ok $? "with a timetable and lists for each"
# shellcheck disable=SC2086
one plan $here train.steps=200 strategy.dial=0:2 --list && cp said dialled
# shellcheck disable=SC2086
one plan $here train.steps=200 strategy.span=2 --list
sed 1d said >a && sed 1d dialled >b && cmp -s a b
ok $? "one phase is planned as the strategy that it has"
# shellcheck disable=SC2086
one plan $here train.steps=0 train.epochs=3 data.file= 'strategy.dial=0:1, 50%:2'
[ $? = 0 ] && grep -q '^phase 1 (50%:2): 50.0 % of the steps' said
ok $? "shares can be planned without data"

# -- a run ------------------------------------------------------------------------

cd "$tmp" || exit 1
mkdir alone cut || exit 1
# shellcheck disable=SC2086
(cd alone && one train $here "$dial" train.steps=16 train.agreement=1 train.clip=0.5 \
  checkpoint.every=1 checkpoint.keep=99 checkpoint.async=no)
ok $? "16 steps through three phases, alone"
cd alone || exit 1
grep -q '^dial = 0:local, 25%:2 own=0.5, 75%:all$' run/config.ini &&
  ! grep -q '^span\|^route' run/config.ini
ok $? "config.ini has the phases, and nothing that they replace"
[ "$(sed -n 's/.*"event":"phase".*"step":\([0-9]*\),"phase":\([0-9]\),"phases":3,"dial":"\([^"]*\)".*/\1 \2 \3/p' \
  run/events.jsonl | tr '\n' '|')" = '0 0 0:local|4 1 25%:2 own=0.5|12 2 75%:all|' ]
ok $? "an event where each begins"
$AWK -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
  { want = $1 <= 4 ? 0 : $1 <= 12 ? 1 : 2
    if ($at["phase"] != want) bad = 1
    if ($at["split"] == "agreement" && want == 2)
      for (k = 0; k < 4; k++)
        if ($at["stage" k "_cosine"] != 1 || $at["stage" k "_norm_ratio"] != 1) bad = 2
    if ($at["split"] == "agreement" && want == 0 && $at["stage0_cosine"] == 1) bad = 3
    if ($at["split"] == "train" && ($at["head1_loss"] == "") != (want == 2)) bad = 4
    if ($at["split"] == "valid" && $at["head1_loss"] == "") bad = 5 }
  END { exit bad }' run/metrics.csv
ok $? "metrics.csv has the phase, the agreement of each, and no loss of heads that rest"
cd "$tmp" || exit 1
# shellcheck disable=SC2086
(cd cut && many 3 train $here "$dial" train.steps=16 train.agreement=1 train.clip=0.5)
from cut
same ../alone
ok $? "on 3 ranks: the same bits"
$AWK -F, '$3 == "agreement"' run/metrics.csv | cut -d, -f 1-12,15- | sed 's/,[0-9.]*,,/,/' >a
$AWK -F, '$3 == "agreement"' ../alone/run/metrics.csv | cut -d, -f 1-12,15- |
  sed 's/,[0-9.]*,,/,/' >b
[ -s a ] && cmp -s a b
ok $? "and the same agreement of gradients"
cd "$tmp" || exit 1
# From every phase, the last step of one, and where one begins.
for stop in 3 4 11 12; do
  from alone
  for file in run/checkpoints/*.h5; do
    step=${file##*step-}
    [ "$(echo "${step%.h5}" | sed 's/^0*//')" -le $stop ] || rm "$file"
  done
  rm run/status
  many $((stop % 3 + 1)) train run/config.ini
  [ $? = 0 ] && [ "$(last exact)" = true ] && [ "$(last step)" = $stop ] &&
    same ../alone
  ok $? "gone on from step $stop, on $((stop % 3 + 1)) ranks: the same bits"
done
cd "$tmp" || exit 1

# -- other words, other phases ------------------------------------------------------

mkdir file part || exit 1
printf '%s\n' '1 0 0 0' '0 1 0.5 0 # mixed' '0 0 1 0' '0 0 0 1' >file/table.txt
# shellcheck disable=SC2086
(cd file && many 2 train $here 'strategy.dial=0:local, 6:@table.txt' train.steps=8)
ok $? "a phase whose table is in a file"
grep -q '^dial = 0:local, 6:1 0 0 0 / 0 1 0.5 0 / 0 0 1 0 / 0 0 0 1$' file/run/config.ini
ok $? "config.ini has its rows"
rm file/table.txt
from file
many 2 train run/config.ini train.steps=10
[ $? = 0 ] && [ "$(last exact)" = true ]
ok $? "it goes on without the file, and for longer"
cd "$tmp" || exit 1
# shellcheck disable=SC2086
(cd part && many 2 train $here 'strategy.dial=0:local, 6:2' train.steps=12 \
  checkpoint.every=8 && rm run/checkpoints/step-000000012.h5 run/status)
ok $? "a run of 12 steps, of which the last are lost"
from part
# shellcheck disable=SC2086
many 2 train $here 'strategy.dial=0%:1,1,1,1, 50%:pairwise' train.steps=12
[ $? = 0 ] && [ "$(last exact)" = true ]
ok $? "other words for the same phases: the same run"
from part
# shellcheck disable=SC2086
many 2 train $here 'strategy.dial=0:local, 7:2' train.steps=12
[ $? = 0 ] && [ "$(last exact)" = false ] &&
  grep -q 'strategy.dial = 0:local, 7:2, was 0:local, 6:2' said
ok $? "another step: told, and not claimed to be exact"
from part
# shellcheck disable=SC2086
many 2 train $here strategy.span=2 train.steps=12
[ $? = 0 ] && [ "$(last exact)" = false ] &&
  grep -q 'strategy.dial = (none), was 0:local, 6:2' said
ok $? "a span in place of phases: told"
from half
# shellcheck disable=SC2086
many 2 train $here strategy.dial=0:2 train.steps=16
[ $? = 0 ] && [ "$(last exact)" = true ]
ok $? "one phase with the span that the run had: the same run"
from half
# shellcheck disable=SC2086
many 2 train $here 'strategy.dial=0:2, 14:all' train.steps=16
[ $? = 0 ] && [ "$(last exact)" = false ] &&
  grep -q 'strategy.dial = 0:2, 14:all, was (none)' said
ok $? "phases in place of a span: told"
from alone
# shellcheck disable=SC2086
one train $here "$dial" train.steps=20 train.agreement=1 train.clip=0.5
[ $? = 0 ] && [ "$(last exact)" = false ] && grep -q 'train.steps = 20, was 16' said
ok $? "a longer run, which moves shares: told"

# -- what is made of it ---------------------------------------------------------------

cd "$tmp/alone" || exit 1
one eval run && grep -q loss said
ok $? "a checkpoint can be evaluated"
one probe run
ok $? "and probed"
cd "$tmp" || exit 1
one report alone/run whole/run --text --unlike
[ $? = 0 ] && grep -q 'dial 0:local, 25%:2 own=0.5, 75%:all' said
ok $? "a report tells the phases"
printf '%s\n' '[sweep]' \
  'strategy.dial = 0:local, 5:2 | 0:1, 5:pairwise | 0:local, 5:all' '[stages]' \
  'count = 2' '[data]' 'file = data.h5' '[train]' 'steps = 10' >dials.sweep
one sweep dials.sweep list --csv
[ $? = 0 ] && [ "$(sed -n 's/^[0-9]*,\(dial-[0-9a-f]\{8\}\),.*/\1/p' said | sort -u |
  wc -l)" = 3 ]
ok $? "a sweep over phases"
done_testing

#!/bin/sh
# tests/train/resume.sh -- a run goes on to the bits of one that was never stopped,
# on any ranks and past damaged files, and says what it did.  Prints TAP.

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/train/again.sh"

# -- the same bits ----------------------------------------------------------------

for ranks in 1 2 4; do
  from half
  # shellcheck disable=SC2086
  many $ranks train $small train.steps=24 checkpoint.every=12 checkpoint.keep=9
  ok $? "12 more on $ranks"
  same ../whole
  ok $? "the last checkpoint holds what that of the undisturbed run holds"
  tail -n 3 run/events.jsonl >said
  [ "$(last exact)" = true ] && [ "$(last lost)" = 0 ] &&
    [ "$(last was_pipe)" = 2 ] && [ "$(last pipe)" = $ranks ] &&
    [ "$(last step)" = 12 ]
  ok $? "the receipt: exact, nothing lost, ranks then and now"
  for part in weights optimizer state; do
    [ -n "$(last saved_$part)" ] && [ "$(last saved_$part)" = "$(last loaded_$part)" ]
    ok $? "digests of $part: as saved, as loaded"
  done
  cut -d , -f 1-12 run/metrics.csv >../resumed.rows
done

# Where borders carry the bare stream of order pre.
cd "$tmp" && mkdir stream && cd stream || exit 1
# shellcheck disable=SC2086
many 2 train $small model.order=pre train.steps=8
ok $? "8 steps of order pre"
from stream
rm -rf run
# shellcheck disable=SC2086
many 2 train $small model.order=pre train.steps=4 &&
  many 3 train $small model.order=pre train.steps=8
[ $? = 0 ] && [ "$(last exact)" = true ] && same ../stream
ok $? "4 and, on other ranks, 4 more: the same bits"

# Two micro-batches on one replica, one on each of two: over the same samples.
cd "$tmp" && mkdir two || exit 1
# shellcheck disable=SC2086
(cd two && many 2 train $small train.steps=18 train.micro=2 checkpoint.every=12 \
  checkpoint.async=no checkpoint.keep=9)
ok $? "18 steps of two micro-batches"
from two
rm run/checkpoints/step-000000018.h5 run/status
# shellcheck disable=SC2086
many 2 train $small train.steps=18 run.replicas=2
[ $? = 0 ] && [ "$(last exact)" = false ] && grep -q 'replicas 2, was 1' said
ok $? "on two replicas: it goes on, and does not claim the same bits"
$AWK -F, 'NR == FNR { if ($3 == "train") was[$1] = $10; next }
  $3 == "train" && $1 > 12 { n++; d = $10 - was[$1]; if (d < 0) d = -d
    if (d > 0.001 * was[$1]) { print $1, $10, was[$1]; bad = 1 } }
  END { exit bad || n != 6 }' ../two/run/metrics.csv run/metrics.csv >said
ok $? "the same batches: every loss within 1 in 1000"

# -- nothing saved yet ------------------------------------------------------------

# Rows of metrics.csv are part of a checkpoint: those of a start that came to no
# checkpoint must not stay among those of the next.
cd "$tmp" && mkdir early && cd early || exit 1
# shellcheck disable=SC2086
INTERLOCK_FAIL=loss:30 one train $small train.steps=24 checkpoint.every=12 \
  checkpoint.keep=9
[ $? = 76 ] && [ "$(wc -l <run/metrics.csv)" -gt 2 ] &&
  [ -z "$(ls run/checkpoints 2>/dev/null)" ]
ok $? "a run that fails before its first checkpoint"
# shellcheck disable=SC2086
one train $small train.steps=24 checkpoint.every=12 checkpoint.keep=9
ok $? "started again"
cmp "$(newest)" "../whole/$(newest)" >said 2>&1
ok $? "its last checkpoint is that of the undisturbed run, byte for byte"
[ "$(wc -l <run/metrics.csv)" = "$(wc -l <../whole/run/metrics.csv)" ] &&
  [ -s run/metrics-1.csv ]
ok $? "the rows of the first start are kept beside"

# A file of rows that lost some of them: the checkpoint has them, all but those of
# the last evaluations, which come behind it.
from half
head -c 200 run/metrics.csv >x && mv x run/metrics.csv
# shellcheck disable=SC2086
one train $small train.steps=24 checkpoint.every=12 checkpoint.keep=9
ok $? "12 more with a cut metrics.csv"
grep -v '^12,.*,\(valid\|test\),' ../resumed.rows >wanted
cut -d , -f 1-12 run/metrics.csv | diff wanted - >said
[ $? = 0 ] && [ "$(wc -l <wanted)" -ge 25 ]
ok $? "the rows that it lost are back"

# -- damage ---------------------------------------------------------------------

from half
size=$(wc -c <run/checkpoints/step-000000012.h5)
flip run/checkpoints/step-000000012.h5 $((size / 2))
head -c 5000 run/checkpoints/step-000000008.h5 >x &&
  mv x run/checkpoints/step-000000008.h5
touch run/checkpoints/step-000000016.h5.n1.5.part run/config.ini.part
touch run/mine.part run/checkpoints/mine.part
# shellcheck disable=SC2086
many 2 train $small train.steps=16 checkpoint.every=4 checkpoint.keep=9 \
  checkpoint.async=no
[ $? = 0 ] && [ "$(last step)" = 4 ] && [ "$(last lost)" = 8 ]
ok $? "two damaged checkpoints: it goes on from the one before, 8 steps lost"
[ "$(grep -c 'warning: passed over: .*step-00000\(0012\|0008\)' errors)" = 2 ]
ok $? "both are named"
[ "$(find run -name '*.part' | sort)" = "run/checkpoints/mine.part
run/mine.part" ]
ok $? "half-written files are gone, and nobody else's"
one info --check run/checkpoints/step-000000012.h5
ok $? "and the damaged one is whole again"

from half
for f in run/checkpoints/*.h5; do flip "$f" 3000; done
# shellcheck disable=SC2086
many 2 train $small train.steps=16
[ $? = 65 ] && grep -q 'none can be used' errors &&
  [ "$(cut -d ' ' -f 1,2 run/status)" = "failed 65" ]
ok $? "nothing left to go on from: 65, not from the beginning"
rm -r run/checkpoints
# shellcheck disable=SC2086
many 2 train $small train.steps=16
[ $? = 65 ]
ok $? "the same when they were removed"
rm run/events.jsonl
# shellcheck disable=SC2086
many 2 train $small train.steps=4
ok $? "without events either: a new run"

# -- other settings -----------------------------------------------------------------

from half
for setting in train.seed=4 train.batch=32 train.optimizer=adamw data.limit=48 \
  data.order=sequential; do
  # shellcheck disable=SC2086
  many 2 train $small train.steps=16 $setting
  [ $? = 64 ] && grep -q "^interlock: run goes on.*$(echo $setting |
    sed 's/=/ = /'), was" errors
  ok $? "$setting: another run, refused"
done
cmp run/config.ini ../half/run/config.ini >said 2>&1 &&
  [ "$(cat run/status)" = "finished 0 step=12" ]
ok $? "refusing has left no trace"
# shellcheck disable=SC2086
one train $small train.steps=16 model.groups=8x2,24x2
[ $? = 64 ] && grep -q 'model.groups = 8x2,24x2, was' errors &&
  grep -q 'the model wants' errors && ! grep -q 'remove' errors
ok $? "another width: another run, refused, and no word of removing it"
# shellcheck disable=SC2086
one train $small train.steps=16 model.groups=8x2,16x1 stages.cut=2,1,rest \
  stages.count=3
[ $? = 64 ] && grep -q 'of another network: ' errors &&
  grep -q 'model.groups = 8x2,16x1, was' errors
ok $? "less depth: refused, though all that is left would fit"

from half
# shellcheck disable=SC2086
one train $small train.steps=16 stages.count=3 stages.cut=3,2,rest strategy.span=1
[ $? = 0 ] && grep -q 'head 0 is the file.s head 1' said &&
  grep -q 'starts fresh.*: head 1' said && [ "$(last exact)" = false ]
ok $? "other stages: a head behind the same block is kept, others start fresh"
from half
# shellcheck disable=SC2086
many 2 train $small train.steps=16 strategy.span=all train.lr=0.01
[ $? = 0 ] && grep -q 'strategy.span = all, was 2' said &&
  grep -q 'train.lr = 0.01, was 0.05' said &&
  grep -q 'not taken from the file: head 1, head 2' said
ok $? "another span: what is left behind is named"
from half
# shellcheck disable=SC2086
OMP_NUM_THREADS=2 one train $small train.steps=16
[ $? = 0 ] && [ "$(last exact)" = false ] && grep -q 'threads 2, was 1' said
ok $? "other threads: not claimed to be exact"
from half
sed 's/"program":"[^"]*"/"program":"0.1.0"/' run/events.jsonl >x && mv x run/events.jsonl
# shellcheck disable=SC2086
many 2 train $small train.steps=16
[ $? = 0 ] && [ "$(last exact)" = true ] && [ "$(last was_program)" = 0.1.0 ]
ok $? "written by an earlier program of the same bits: exact"
from half
sed 's/"program":"[^"]*"/"program":"1000.0.0"/' run/events.jsonl >x && mv x run/events.jsonl
# shellcheck disable=SC2086
many 2 train $small train.steps=16
[ $? = 0 ] && [ "$(last exact)" = false ] && grep -q 'program .*, was 1000.0.0' said
ok $? "written by a later one: not claimed to be exact"
from half
sed 's/"program":"[^"]*"/"program":"0.0"/; s/"kernels":"[^"]*"/"kernels":"X 1.0"/
  s/"tuning":"[^"]*"/"tuning":"0"/; s/"processor":"[^"]*"/"processor":"Z80"/' \
  run/events.jsonl >x && mv x run/events.jsonl
# shellcheck disable=SC2086
many 2 train $small train.steps=16
[ $? = 0 ] && [ "$(last exact)" = false ] && grep -q 'program .*, was 0.0' said &&
  grep -q 'kernel library .*, was X 1.0' said && grep -q 'was Z80' said &&
  grep -q 'kernel choices differ' said && [ "$(last was_kernels)" = 'X 1.0' ]
ok $? "written by another program, library and processor: each is named"

done_testing

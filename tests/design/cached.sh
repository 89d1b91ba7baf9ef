#!/bin/sh
# tests/design/cached.sh -- a start takes from the cache what an earlier one has
# measured, where nothing differs that it depends on; nothing that happens to the
# cache hinders a run, and a run that goes on keeps what it began with.  Prints TAP.
# limit: 300

RUN_LIMIT=90
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
plant=${abs_top_builddir-$here}/tests/store/cache

INTERLOCK_CACHE=$tmp/cache
export INTERLOCK_CACHE
mkdir runs && cd runs || exit 1
from='from the cache of earlier starts'
all='kernel choices, proofs of kernels, costs of blocks'

# start [WORD...]: a run of its own in the folder run
start ()
{
  rm -rf run
  # shellcheck disable=SC2086
  one train $small checkpoint.at_end=no train.steps=1 train.tune=yes "$@"
}

# bits: what that run has found; its times left out
bits ()
{
  cut -d, -f1-6 run/metrics.csv
}

start && ! grep -q "$from" said && [ "$(ls ../cache/start | wc -l)" = 3 ]
ok $? "the first start measures, and leaves it: three entries"
bits >first
cp run/tune.txt run/costs.txt .
cp -R ../cache kept
start && grep -q "$from: $all\$" said
ok $? "the second one takes all from the cache"
cmp -s run/tune.txt tune.txt && cmp -s run/costs.txt costs.txt
ok $? "which is what the first one had measured"
bits | cmp -s - first
ok $? "with the same bits"
diff -r kept ../cache >said 2>&1
ok $? "and leaves the cache as it was"
start train.tune=no && ! grep -q 'kernel choices' said
ok $? "train.tune=no chooses by rule"
start train.tune=no && grep -q "$from: proofs of kernels, costs of blocks\$" said
ok $? "and takes the rest, of such runs"
start strategy.span=all
# shellcheck disable=SC2086
one plan $small train.tune=yes strategy.span=all --measure &&
  cat said errors | grep -q "$from: $all\$"
ok $? "plan --measure takes what a run without inner heads has left"
# shellcheck disable=SC2086
many 2 plan $small train.tune=yes --calibrate costs.csv --micro 1 &&
  many 2 plan $small train.tune=yes --calibrate costs.csv --micro 1 &&
  ! cat said errors | grep -q "$from"
ok $? "plan --calibrate takes nothing"

# -- what an entry depends on --------------------------------------------------------

OMP_NUM_THREADS=2 start && ! grep -q "$from" said
ok $? "another number of threads: nothing"
start run.isa=sse41 && ! grep -q "$from" said
ok $? "another instruction set: nothing"
ONEDNN_MAX_CPU_ISA=SSE41 start && grep -q "$from: $all\$" said
ok $? "which the library's variable may ask for as well"
start train.batch=32 && ! grep -q "$from" said
ok $? "another micro-batch: nothing"
start train.micro=2 train.batch=32 && grep -q "$from: $all\$" said
ok $? "as large a micro-batch of a larger batch: all"
start model.groups=8x2,32x2 && ! grep -q "$from" said
ok $? "another network: nothing"
start stages.head=conv16-gap-fc && ! grep -q 'cache.*choices' said
ok $? "other heads: not the choices"
cp "$I" ./program && echo >>program
I=$PWD/program start && ! grep -q "$from" said
ok $? "another program: nothing"
# shellcheck disable=SC2086
rm -r run && many 2 train $small checkpoint.at_end=no train.steps=1 \
  train.tune=yes && ! grep -q "$from" said && bits >second
ok $? "two ranks on a node, which measure beside each other: nothing"
# shellcheck disable=SC2086
rm -r run && many 2 train $small checkpoint.at_end=no train.steps=1 \
  train.tune=yes && grep -q "$from: $all\$" said && bits | cmp -s - second
ok $? "and the same once more: all, on both, with the same bits"

# -- what may happen to it -----------------------------------------------------------

rm -r ../cache && cp -R kept ../cache
for entry in ../cache/start/*; do
  printf '\377' | dd of="$entry" bs=1 seek=200 conv=notrunc 2>/dev/null
done
# Those of costs are asked for where the same kernels win again.
start && ! grep -q "$from" said && grep -q 'choices is damaged: not used' said &&
  grep -q 'proofs is damaged: not used' said
ok $? "damaged entries: measured, and said of each"
start && grep -q "$from: $all\$" said && ! grep -q damaged said
ok $? "and replaced"
for entry in ../cache/start/*; do
  echo 'something else' >"$entry"
done
start && ! grep -q "$from" said
ok $? "files of somebody else in their place: the same"
echo >file
INTERLOCK_CACHE=$PWD/file start &&
  [ "$(grep -c 'no cache of measurements' said)" = 1 ]
ok $? "a cache that cannot be made: the run goes on, and says so once"
if [ "$(id -u)" != 0 ]; then
  chmod -w ../cache/start
  start train.batch=8 && [ "$(grep -c 'no cache of measurements' said)" = 1 ]
  ok $? "one that cannot be written: the same"
  chmod +w ../cache/start
fi
rm -r ../cache
mkdir twice
(
  cd twice && cp ../../data.h5 .. && start
) &
start
mine=$?
wait $!
[ $? = 0 ] && [ $mine = 0 ] && [ "$(ls ../cache/start | wc -l)" -le 6 ] &&
  start && grep -q "$from: $all\$" said
ok $? "two starts at once, and one behind them"

# -- the key -------------------------------------------------------------------------

rm -r ../cache
start run.cache=no && [ ! -e ../cache ]
ok $? "run.cache=no leaves nothing"
cp -R kept ../cache
start run.cache=no && ! grep -q "$from" said && diff -r kept ../cache >/dev/null
ok $? "and takes nothing"
start run.cache=anew && ! grep -q "$from" said && start && grep -q "$from" said
ok $? "run.cache=anew measures, for others too"
rm -r ../cache && cp -R kept ../cache
INTERLOCK_FAIL=loss:99 start && ! grep -q "$from" said &&
  diff -r kept ../cache >/dev/null
ok $? "a start with a planted failure leaves it alone"

# -- going on ------------------------------------------------------------------------

rm -rf run
# shellcheck disable=SC2086
one train $small train.steps=2 train.tune=yes && grep -q "$from" said
ok $? "a run that has taken its choices"
cp -R run began
case $(head -n 1 tune.txt) in
*last) was=last other=blocked ;;
*) was=blocked other=last ;;
esac
"$plant" --plant "$(ls ../cache/start/*.choices)" "layout = $was" "layout = $other" &&
  start && grep -q "$from: kernel choices" said && grep -q "layout = $other" run/tune.txt
ok $? "planted: other choices, which a new run takes"
for lost in nothing tune.txt; do
  rm -rf run
  cp -R began run
  rm -f run/$lost
  # shellcheck disable=SC2086
  one train $small train.steps=4 train.tune=yes &&
    ! grep -q "$from" said &&
    grep -q '"event":"resume".*"exact":true' run/events.jsonl &&
    cmp -s run/tune.txt began/tune.txt && cmp -s run/costs.txt began/costs.txt
  ok $? "it goes on with its own, $lost lost"
done
done_testing

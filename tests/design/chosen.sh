#!/bin/sh
# tests/design/chosen.sh -- a run goes on with the kernel choices of its checkpoint,
# whatever became of tune.txt.  Prints TAP.

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

# last NAME: its value in the last line of events.jsonl that begins a start
last () {
  grep -E '"event":"(start|resume)"' run/events.jsonl | tail -n 1 |
    sed -n 's/.*"'"$1"'":\("\([^"]*\)"\|\([^,}]*\)\).*/\2\3/p'
}

# from NAME: a folder whose run is a copy of that folder's
from () {
  cd "$tmp" || exit 1
  rm -rf now
  cp -R "$1" now
  cd now || exit 1
}

# Choices that measuring would not come to: another layout, and no convolution.
mkdir tuned || exit 1
# shellcheck disable=SC2086
(cd tuned && one train $small train.steps=1 train.tune=yes)
case $(head -n 1 tuned/run/tune.txt) in
*last) other=blocked ;;
*) other=last ;;
esac
rm -r tuned/run
echo "layout = $other" >tuned/forced
# shellcheck disable=SC2086
(cd tuned && many 2 train $small train.steps=4 train.tune=forced)
ok $? "4 steps with kernel choices from a file"
cp tuned/run/tune.txt forced
for way in yes run/tune.txt; do
  from tuned
  rm run/tune.txt
  # shellcheck disable=SC2086
  many 2 train $small train.steps=8 train.tune=$way
  [ $? = 0 ] && [ "$(last exact)" = true ] && cmp -s run/tune.txt ../forced
  ok $? "tune.txt lost, train.tune=$way: those of the checkpoint, exact"
done
from tuned
# shellcheck disable=SC2086
many 2 train $small train.steps=8 train.tune=no
[ $? = 0 ] && [ "$(last exact)" = false ] &&
  grep -q 'kernel choices differ' said
ok $? "train.tune=no: not those, and it says so"
done_testing

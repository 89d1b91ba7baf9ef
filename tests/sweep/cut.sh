#!/bin/sh
# tests/sweep/cut.sh -- stages.cut = measured in a sweep: strategies share a cut,
# whichever run measures first; runs that have begun keep theirs.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

cat >a.sweep <<'END'
[sweep]
root = out
ranks = 1
strategy.span = 1, 2, all
train.lr = 0.05, 0.02
[model]
groups = 8x2,16x2
[stages]
count = 3
cut = measured
[data]
file = data.h5
[train]
batch = 16
steps = 2
eval_every = 0
tune = no
END

# cuts: of all runs that there are, each once
cuts () {
  sed -n 's/^cut = //p' out/*-*/config.ini | sort -u
}

# Two jobs at once; neither may hang on the other.
"$I" sweep a.sweep run 1 >one.said 2>&1 </dev/null &
pid=$!
one sweep a.sweep run 4
s=$?
wait $pid
[ $? = 0 ] && [ $s = 0 ] && [ "$(cuts | wc -l)" = 1 ] &&
  [ "$(ls out/cuts | wc -l)" = 1 ]
ok $? "two strategies at once: one cut, $(cuts), and nothing left half-made"
file=$(ls out/cuts/*.txt)
cut=$(sed -n 's/^cut //p' "$file")
[ "$(cuts)" = "$cut" ] && [ "$(grep -c '^unit ' "$file")" = 6 ]
ok $? "it stands in the sweep's folder, with what blocks took"

# A cut that nobody would measure shows who obeys it.
other=4,1,1
sed -i "s/^cut .*/cut $other/" "$file"
echo half >"$file.dead.1.2.part" # of a job that was killed
mkdir -p "$(one sweep a.sweep dir 5; cat said)"
one sweep a.sweep run 5
[ $? = 0 ] && grep -q "cut $other, as in all such runs of the sweep" errors said &&
  [ "$(sed -n 's/^cut = //p' "$(one sweep a.sweep dir 5; cat said)/config.ini")" \
    = "$other" ]
ok $? "a third strategy takes what is there"
one sweep a.sweep list
grep -q "^cut $other is shared (out/cuts/" said
ok $? "the list says which"

# A run that died behind a checkpoint goes on with its own.
sed 's/root = out/root = two/; s/^steps = 2/steps = 4/' a.sweep >b.sweep
printf '[checkpoint]\nevery = 1\n' >>b.sweep
one sweep b.sweep run 3
one sweep b.sweep dir 3
dir=$(cat said)
own=$(sed -n 's/^cut = //p' "$dir/config.ini")
sed -i "s/^cut .*/cut $other/" two/cuts/*.txt
rm "$dir"/checkpoints/*4.h5
echo "failed 70 step=4 reason=died" >"$dir/status"
one sweep b.sweep run 3
[ $? = 0 ] && [ "$own" ] && [ "$own" != "$other" ] &&
  [ "$(cat "$dir/status")" = "finished 0 step=4" ] &&
  grep -q '"event":"resume".*"exact":true' "$dir/events.jsonl" &&
  [ "$(sed -n 's/^cut = //p' "$dir/config.ini")" = "$own" ]
ok $? "a run that goes on keeps its own cut, $own"

# So does one that died before its first checkpoint.
one sweep b.sweep dir 2
mkdir -p "$(cat said)"
sed "s/^cut .*/cut = 3,2,1/; s|^dir = .*|dir = $(cat said)|; s/^span = .*/span = 1/;
  s/^lr = .*/lr = 0.02/" "$dir/config.ini" >"$(cat said)/config.ini"
dir=$(cat said)
one sweep b.sweep run 2
[ $? = 0 ] && grep -q '^cut = 3,2,1' "$dir/config.ini"
ok $? "and so does one that died before its first checkpoint"

# Other blocks are another comparison.
sed 's/^groups.*/groups = 8x3,16x3/' a.sweep >c.sweep
one sweep c.sweep run 2
[ $? = 0 ] && [ "$(ls out/cuts/*.txt | wc -l)" = 2 ]
ok $? "other blocks have another file"
sed -i 's/^cut .*/cut 9,9,9/' "$file"
one sweep a.sweep run 6
[ $? = 64 ] && grep -q 'no cut of this network into 3 stages; remove the file' \
  errors
ok $? "a file that is damaged is refused: 64"

done_testing

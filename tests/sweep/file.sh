#!/bin/sh
# tests/sweep/file.sh -- sweep files through the program: what is listed, what is
# refused and where, what `check` finds before anything runs.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

cat >base.ini <<'END'
[model]
groups = 8x2,16x2
[stages]
head = conv8-bn-gap-fc
[data]
file = data.h5
[train]
batch = 16
steps = 4
tune = no
END

# put FILE LINE...: a sweep file
put () {
  file=$1
  shift
  printf '%s\n' "$@" >"$file"
}

# hashes: of the runs that were listed
hashes () {
  sed -n 's/^[0-9]*,\([^,]*\),.*/\1/p' said | sed 's/.*-//' | sort | tr '\n' ' '
}

put a.sweep '[sweep]' 'base = base.ini' 'strategy.span = 1, 2, all' \
  'stages.cut = 2,1,1,rest | 3,rest' 'exclude = strategy.span > stages.count'
one sweep a.sweep
[ $? = 0 ] && grep -q '^5 runs: 5 missing; 1 the same as another' said &&
  grep -q 'span1-cut2_1_1_rest-[0-9a-f]\{8\}  missing  *0/4 *4' said
ok $? "list: all of two cuts and three spans where span 2 of 2 stages is all"
[ "$(grep -c '^ *[0-9]* *span' said)" = 5 ]
ok $? "a line for each"
one sweep a.sweep list --csv
[ $? = 0 ] && [ "$(head -n 1 said)" = \
  "number,run,state,step,steps,ranks,code,job,dir" ] && [ "$(wc -l <said)" = 6 ]
ok $? "list --csv"
first=$(hashes)
awk -F, 'NR > 1 && $9 != "runs/a/" $2 { bad = 1 } END { exit bad }' said
ok $? "run directories are ROOT/ID"

# The same from the other side: own sections over the base, another order, a key
# at its default, run.dir, and more values.
put b.sweep '[sweep]' 'stages.cut = 3,rest | 2,1,1,rest' \
  'strategy.span = e2e, pairwise, local' 'exclude = strategy.span>stages.count' \
  '[train]' 'batch=16' 'momentum = 0.9' 'steps=4' 'tune=no' '[run]' 'dir = x' \
  '[model]' 'groups = 8x2,16x2' '[data]' 'file = data.h5' '[stages]' \
  'head = conv8-bn-gap-fc'
one sweep b.sweep list --csv
[ "$(hashes)" = "$first" ]
ok $? "the hash is of what the configuration comes to: $first"
put b.sweep '[sweep]' 'base = base.ini' 'strategy.span = 1, 2, all' \
  'stages.cut = 2,1,1,rest | 3,rest' 'train.seed = 1..2'
one sweep b.sweep list --csv
for hash in $first; do
  case " $(hashes) " in *" $hash "*) ;; *) echo "$hash" ;; esac
done >lost
[ ! -s lost ] && [ "$(wc -l <said)" = 11 ]
ok $? "one more key leaves the runs that are there"
put b.sweep '[sweep]' 'base = base.ini' 'strategy.span = 1, 2, all' \
  'stages.cut = 2,1,1,rest | 3,rest' '[train]' 'lr = 0.05'
one sweep b.sweep list --csv
[ "$(hashes)" != "$first" ] && [ "$(wc -l <said)" = 6 ]
ok $? "another learning rate gives other runs"
put b.sweep '[sweep]' 'base = base.ini' '[train]' 'steps = 9'
one sweep b.sweep
[ $? = 0 ] && grep -q ' 0/9 ' said && grep -q '^1 run: 1 missing' said
ok $? "own sections lie over the base"
one sweep a.sweep dir 2
[ "$(cat said)" = "$(one sweep a.sweep list --csv; sed -n 3p said | cut -d, -f9)" ]
ok $? "dir names the run directory"

# -- what is wrong -------------------------------------------------------------

put bad.sweep '[sweep]' 'base = base.ini' 'train.bacth = 1, 2' \
  'strategy.mix = sum, men' 'roto = x' '[train]' 'stesp = 4' '[modle]'
one sweep bad.sweep
[ $? = 64 ]
ok $? "a bad file: 64"
for words in 'bad.sweep:3: train.bacth is not a key; did you mean train.batch?' \
  'bad.sweep:4: strategy.mix = men: wanted furthest, sum or mean' \
  'bad.sweep:5: \[sweep\] has no key roto; did you mean root?' \
  'bad.sweep:7: \[train\] has no key stesp; did you mean train.steps?' \
  'bad.sweep:8: \[modle\] is not a section; did you mean \[model\]?'; do
  [ "$(grep -c "$words" errors)" = 1 ]
  ok $? "said once, at once: $words"
done
sed 's/steps = 4/stesp = 4/' base.ini >worse.ini
put bad.sweep '[sweep]' 'base = worse.ini' 'train.seed = 1..3'
one sweep bad.sweep check
[ $? = 64 ] && [ "$(grep -c 'worse.ini:9: \[train\] has no key stesp' errors)" = 1 ]
ok $? "a bad base: 64, with its own name and line"
put bad.sweep '[sweep]' 'base = none.ini'
one sweep bad.sweep
[ $? = 69 ] && grep -q 'none.ini: No such file' errors
ok $? "no base: 69"
put bad.sweep '[sweep]' 'train.seed = 1..2' 'exclude = train.seed > 0'
one sweep bad.sweep
[ $? = 64 ] && grep -q 'no run is left: 2 combinations excluded' errors
ok $? "nothing left: 64"
one sweep a.sweep dir span1
[ $? = 64 ] && grep -q 'a.sweep: no run span1' errors
ok $? "no such run: 64"

# -- check -----------------------------------------------------------------------

one sweep a.sweep check
[ $? = 0 ] && grep -q '5 runs, nothing wrong; a rank needs .* at most' said
ok $? "check: nothing wrong"
[ ! -e runs ]
ok $? "and nothing is written"
put c.sweep '[sweep]' 'base = base.ini' 'stages.count = 2, 4, 60' \
  'strategy.span = 1, 3' 'train.batch = 16, 15' 'train.micro = 1, 2'
one sweep c.sweep check
[ $? = 64 ] && grep -q 'run [0-9]* and 3 more: strategy.span = 3 does not fit 2' \
  errors && grep -q 'stages.count = 60: the network has only 6 blocks' errors &&
  grep -q 'train.batch = 15 does not divide into train.micro = 2' errors
ok $? "check: all that is wrong in any run, once each, with the number of runs"
put c.sweep '[sweep]' 'base = base.ini' 'data.file = data.h5, none.h5, base.ini'
one sweep c.sweep check
[ $? = 69 ] && grep -q 'run 2: none.h5: No such file' errors &&
  grep -q 'run 3: base.ini: ' errors && ! grep -q 'run 1:' errors
ok $? "check: data sets that are not there, or none"
put c.sweep '[sweep]' 'base = base.ini' 'train.batch = 8, 32' 'memory = 63M'
one sweep c.sweep check
[ $? = 69 ] && grep -q "run 2: rank . of . needs .* more than the file's memory" \
  errors && ! grep -q 'run 1:' errors
ok $? "check: a plan that does not fit into memory"
sed -i 's/63M/1G/' c.sweep
one sweep c.sweep check
ok $? "and with more of it fits"

# -- ready ones --------------------------------------------------------------------

top=${abs_top_srcdir-$(dirname "$0")/../..}
cp "$top"/jobs/*.sweep .
one sweep smoke.sweep
[ $? = 0 ] && grep -q '^6 runs: 6 missing' said
ok $? "smoke.sweep: 3 spans x 2 seeds"
cp data.h5 synthetic.h5
one sweep smoke.sweep check
ok $? "and nothing wrong in it"
one sweep resnet-depth.sweep
[ $? = 0 ] && grep -q '^45 runs: 45 missing; 5 combinations excluded; 10' said
ok $? "resnet-depth.sweep: 5 depths x (2, 3, 4 spans of 2, 4, 8 stages)"
cp data.h5 cifar10.h5
one sweep resnet-depth.sweep check
ok $? "and nothing wrong in it"
if one plan model.family=transformer; then
  one sweep transformer-size.sweep
  [ $? = 0 ] && grep -q '^9 runs' said
  ok $? "transformer-size.sweep: 3 sizes x 3 spans"
else
  one sweep transformer-size.sweep check
  [ $? = 64 ] && [ "$(complaints | wc -l)" = 1 ] &&
    grep -q 'model.family = transformer is not in this version' errors
  ok $? "transformer-size.sweep: check says what is not built in"
fi

# -- the sweeps that come with the program -----------------------------------------

# What they name is there, whatever the data set.
top=${abs_top_srcdir-$(dirname "$0")/../..}
for sweep in "$top"/jobs/*.sweep "$top"/tests/results/*.sweep; do
  one sweep "$sweep" list --csv
  [ $? = 0 ] && [ "$(wc -l <said)" -gt 1 ]
  ok $? "${sweep##*/}: $(($(wc -l <said) - 1)) runs"
done

done_testing

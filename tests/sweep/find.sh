#!/bin/sh
# tests/sweep/find.sh -- which directory is which run, whatever they are called, and
# words beside a run.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
unset SLURM_JOB_ID SLURM_RESTART_COUNT SLURM_JOB_END_TIME

net="[model]
groups = 8x1,16x1
[stages]
count = 2
cut = 2,rest
head = gap-fc
[data]
file = data.h5
[train]
batch = 16
tune = no"

# a set NAME of these lines of [sweep], steps = 2
set_of () {
  { echo "[sweep]"; echo "root = out"; cat; echo "$net"; echo "steps = 2"; } >a.sweep
}

# states: of all runs, one line
states () {
  one sweep a.sweep list --csv
  tail -n +2 said | cut -d, -f3 | tr '\n' ' '
}

set_of <<'END'
train.seed = 1, 2
END
one sweep a.sweep run --missing
[ $? = 0 ] && [ "$(states)" = "finished finished " ]
ok $? "two runs"
one sweep a.sweep dir 1 && first=$(cat said)
one sweep a.sweep dir 2 && second=$(cat said)

# -- other names for the same runs ---------------------------------------------------

set_of <<'END'
train.seed = 1..3
strategy.span = all, 1
END
[ "$(states)" = "finished missing finished missing missing missing " ]
ok $? "another axis: what is done is found"
one sweep a.sweep dir 3
[ "$(cat said)" = "$second" ]
ok $? "in the directory where it is"
set_of <<'END'
strategy.span = 2, 1
train.seed = 2, 1
END
[ "$(states)" = "finished finished missing missing " ]
ok $? "another order and another word for the same reach"
set_of <<'END'
train.seed = 1, 2
checkpoint.every = 0, 7
train.eval_every = 0
END
[ "$(states)" = "finished missing finished missing " ]
ok $? "a swept key that makes no other experiment keeps runs apart"
set_of <<'END'
train.seed = 1, 2
END
sed -i 's/^steps = 2/steps = 2\neval_every = 1\n[checkpoint]\nevery = 1/' a.sweep
[ "$(states)" = "finished finished " ]
ok $? "how it is watched and saved is no part of it"
sed -i 's/^cut = .*/cut = 2,2/; s/^groups.*/groups = 8x1, 16x1/' a.sweep
sed -i 's/8x1, 16x1/8x1,16x1/' a.sweep
[ "$(states)" = "finished finished " ]
ok $? "nor is another word for the same cut"
mv "$first" out/by-hand
[ "$(states)" = "finished finished " ] && one sweep a.sweep dir 1 &&
  [ "$(cat said)" = out/by-hand ]
ok $? "a directory under any name, by what its config.ini says"
one sweep a.sweep run --missing
[ $? = 0 ] && grep -q '0 runs done, none is wanting' said
ok $? "nothing is done twice"
one sweep a.sweep run by-hand
[ $? = 0 ] && grep -q 'already finished: 2 steps' said && [ ! -e "$first" ]
ok $? "and it goes by the name of its directory"
mv out/by-hand "$first"
set_of <<'END'
train.seed = 1, 2
train.lr = 0.1, 0.2
END
[ "$(states)" = "finished missing finished missing " ]
ok $? "another rate is another run"

# -- a name that fits, and another experiment in it ------------------------------------

set_of <<'END'
train.seed = 1, 2
END
mv "$first" kept
cp -R "$second" "$first"
one sweep a.sweep list --csv
[ "$(sed -n 2p said | cut -d, -f3,4,7)" = "failed,0,64" ]
ok $? "seed 2 in the directory of seed 1: failed, not finished"
one sweep a.sweep table --csv
[ "$(sed -n 2p said | cut -d, -f5)" = 0 ]
ok $? "and its numbers are not those of seed 1"
one sweep a.sweep check
[ $? = 64 ] && grep -q 'train.seed = 1, was 2' errors
ok $? "check says so"
one sweep a.sweep run 1
[ $? = 64 ] && grep -q 'train.seed = 1, was 2' errors
ok $? "so does its start"
one sweep a.sweep run 1 --fresh
[ $? = 0 ] && [ "$(states)" = "finished finished " ] &&
  grep -q '^seed = 2' "$first/old-1/config.ini"
ok $? "--fresh moves it aside"
rm -r "$first" && mv kept "$first"

# -- words ------------------------------------------------------------------------

cp data.h5 copy.h5
"$I" import synthetic -q seed=6 size=16 train=64 valid=32 test=32 -o other.h5
before=$(cat "$first"/config.ini "$first"/status)
for word in train.seed=9 train.lr=0.3 strategy.span=1 data.file=other.h5 \
  train.batch=32 run.dir=else data.limit=32 train.init="$(ls "$first"/checkpoints/*)"; do
  one sweep a.sweep run 1 "$word"
  [ $? = 64 ] && grep -q "a.sweep: ${word%%=*} = .*, but run 1 has " errors &&
    [ "$(cat "$first"/config.ini "$first"/status)" = "$before" ]
  ok $? "${word%%=*}: belongs to the set"
done
one sweep a.sweep run 1 train.seed=1 strategy.span=2 data.file=copy.h5 run.trace=yes
[ $? = 0 ] && grep -q 'already finished' said
ok $? "the same values, a copy of the data set, and how it is run do not"

set_of <<'END'
train.seed = 5
END
sed -i 's/^steps = 2/epochs = 1/' a.sweep
one sweep a.sweep run 1 train.steps=2
[ $? = 0 ] && [ "$(states)" = "stopped " ]
ok $? "tried out with 2 steps of an epoch: stopped, not finished"
one sweep a.sweep run --missing
[ $? = 0 ] && one sweep a.sweep list --csv &&
  [ "$(sed -n 2p said | cut -d, -f3,4,5)" = "finished,4,4" ]
ok $? "still wanting, and done then"

# -- refused ----------------------------------------------------------------------

set_of <<'END'
train.seed = 7
stages.count = 2, 9
stages.cut = auto
END
sed -i '/^count/d; /^cut/d' a.sweep
one sweep a.sweep run --missing
[ $? = 64 ] && [ "$(states)" = "finished failed " ]
ok $? "a run that is refused before its directory is looked at: failed"
set_of <<'END'
train.seed = 8
train.init = none.h5
END
one sweep a.sweep check
[ $? = 69 ] && grep -q 'none.h5' errors
ok $? "check looks for the weights to begin with"
set_of <<'END'
train.seed = 8
train.batch = 16, 24
train.micro = 1, 5
END
one sweep a.sweep check
[ $? = 64 ] && grep -q 'run 2 and 1 more\|train.batch = 16 does not divide' errors
ok $? "and whether a batch divides"

done_testing

#!/bin/sh
# tests/sweep/run.sh -- a sweep of four real runs, one of which fails on purpose;
# then only what is missing runs again.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

cat >a.sweep <<'END'
[sweep]
root = out
ranks = 2
strategy.span = 1, all
data.file = data.h5, late.h5
[model]
groups = 8x1,16x1
[stages]
count = 2
cut = 2,rest
head = gap-fc
[train]
batch = 16
steps = 6
eval_every = 3
lr = 0.05
tune = no
END

states () {
  one sweep a.sweep list --csv
  cut -d, -f3 said | tail -n +2 | tr '\n' ' '
}

# What every run directory holds: another start would leave another line.
marks () {
  for d in out/*-*; do
    echo "$d $(cat "$d"/checkpoints/*.h5 "$d/events.jsonl" 2>/dev/null | cksum)"
  done
}

[ "$(states)" = "missing missing missing missing " ]
ok $? "four runs, none started"
many 2 sweep a.sweep run 1
[ $? = 0 ] && [ "$(states)" = "finished missing missing missing " ]
ok $? "run 1, on 2 ranks"
one sweep a.sweep list --csv
dir=$(sed -n 2p said | cut -d, -f9)
grep -q '^span = 1$' "$dir/config.ini" && grep -q "^dir = $dir\$" "$dir/config.ini" &&
  [ -n "$(ls "$dir/checkpoints")" ]
ok $? "its directory is a run directory"
many 2 train "$dir/config.ini" run.dir=again
ok $? "its config.ini trains"
cmp "$dir"/checkpoints/*6.h5 again/checkpoints/*6.h5 >said 2>&1 ||
  { a=$("$I" info "$dir"/checkpoints/*6.h5 | grep /model | cksum)
    b=$("$I" info again/checkpoints/*6.h5 | grep /model | cksum)
    [ "$a" = "$b" ]; }
ok $? "to the same network"

marks >before
many 2 sweep a.sweep run --missing
s=$?
cp errors errors.1
[ $s = 69 ] && grep -q '2 of the 3 runs that were wanting failed' errors
ok $? "run --missing: one set of data is not there: 69"
[ "$(tr -cd '\11\12\40-\176' <errors.1 | grep -c 'late.h5: No such file')" = 2 ]
ok $? "said once for each run"
[ "$(states | tr ' ' '\n' | grep -c finished)" = 2 ]
ok $? "the others have run all the same"
grep -F -x -f before <<END >/dev/null
$(marks)
END
ok $? "the run that was finished was left alone"

marks >before
cp data.h5 late.h5
many 2 sweep a.sweep run --missing
[ $? = 0 ] && [ "$(states)" = "finished finished finished finished " ]
ok $? "with the data there, the same command does the rest"
marks >after
[ "$(grep -c -F -x -f before after)" = 2 ]
ok $? "and only the rest"
marks >before
many 2 sweep a.sweep run --missing
[ $? = 0 ] && grep -q 'none is wanting' said && marks | cmp -s - before
ok $? "a third time there is nothing to do"
many 2 sweep a.sweep run 3
[ $? = 0 ] && grep -q 'already finished' said
ok $? "a finished run by its number: 0 at once"

# -- words for one start, stopping -------------------------------------------------

sed 's/root = out/root = two/' a.sweep >b.sweep
one sweep b.sweep dir 2
id=$(basename "$(cat said)")
cp data.h5 copy.h5
mkdir -p "two/$id"
touch "two/$id/stop"
many 2 sweep b.sweep run "$id" data.file=copy.h5
[ $? = 75 ]
ok $? "a run by its id, on a copy of its data set, stopped early: 75"
one sweep b.sweep list --csv
[ "$(sed -n 3p said | cut -d, -f3)" = stopped ]
ok $? "it is listed as stopped"
many 2 sweep b.sweep run "$id" data.file=copy.h5
[ $? = 0 ] && grep -q '^file = copy.h5' "two/$id/config.ini" &&
  [ "$(cat "two/$id/status")" = "finished 0 step=6" ]
ok $? "and goes on: a word changed the start, not the id"

# -- the table --------------------------------------------------------------------

one sweep a.sweep table
[ $? = 0 ] && [ "$(grep -c ' finished  test  *6 ' said)" = 4 ] &&
  grep -q 'output  head0  head1' said
ok $? "the table has all runs"
one sweep a.sweep table --csv --split valid
[ $? = 0 ] && [ "$(head -n 1 said)" = "run,state,strategy.span,data.file,split,\
step,accuracy,loss,head0_accuracy,head0_loss,head1_accuracy,head1_loss" ]
ok $? "the same for programs"
want=$(awk -F, '$3 == "valid" { v = $7 } END { print v }' "$dir/metrics.csv")
name=$(awk -F, 'NR == 1 { print $7 }' "$dir/metrics.csv")
got=$(sed -n 2p said | cut -d, -f7)
[ "$name" = head1_accuracy ] && [ -n "$got" ] && [ "$got" = "$want" ]
ok $? "its accuracy is that of the run's last row: $got"
awk -F, '$3 == "all" && $9 != "" { bad = 1 } $3 == 1 && $9 == "" { bad = 1 }
  END { exit bad }' said
ok $? "a silent head has none"

done_testing

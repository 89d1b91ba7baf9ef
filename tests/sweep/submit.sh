#!/bin/sh
# tests/sweep/submit.sh -- what is given to Slurm, by stand-ins for its commands
# that write down how they were called.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

mkdir bin jobs
cat >bin/sbatch <<'END'
#!/bin/sh
[ ! -e "$FAKE/refuse" ] || { echo "sbatch: error: no" >&2; exit 1; }
n=$(($(cat "$FAKE/n" 2>/dev/null || echo 99) + 1))
echo $n >"$FAKE/n"
echo "$*" >>"$FAKE/calls"
echo "$SWEEP|$SWEEP_LIST|$SWEEP_PACK|$SWEEP_RANKS|$INTERLOCK|$JOBS" >>"$FAKE/environment"
echo "$n;cluster"
END
cat >bin/scontrol <<'END'
#!/bin/sh
[ "$*" = "show config" ] && echo "MaxArraySize            = ${MAX_ARRAY-1001}"
END
cat >bin/squeue <<'END'
#!/bin/sh
cat "$FAKE/queue" 2>/dev/null
true
END
chmod +x bin/*
PATH=$PWD/bin:$PATH
FAKE=$PWD
export PATH FAKE
unset SWEEP SWEEP_SCRIPT
echo '#!/bin/sh' >jobs/sweep.sbatch
here=$PWD

cat >a.sweep <<'END'
[sweep]
name = set
root = out
train.seed = 1..7
stages.count = 2, 3
strategy.span = 1
[model]
groups = 8x2,16x2
[stages]
head = gap-fc
[data]
file = data.h5
[train]
batch = 16
steps = 3
tune = no
END

# calls N WORDS: the N-th call of sbatch has them
called () {
  sed -n "$1p" calls | grep -q -e "$2"
}

# words: ids of the list that the N-th call names, one line
ids () {
  tr '\n' ' ' <"out/submitted/$(printf %06d "$1").list"
}

one sweep a.sweep submit --dry-run -- -p 'big ones'
[ $? = 0 ] && [ ! -e calls ] && [ ! -e out ] && [ "$(grep -c ^sbatch said)" = 2 ] &&
  grep -q -e "--array=0-6 --ntasks=2 -p 'big ones' $here/jobs/sweep.sbatch" said &&
  grep -q '^# would submit 14 runs in 2 job arrays' said
ok $? "--dry-run says the commands and does nothing"

one sweep a.sweep submit --at-once 3 -- -p big -t 5
[ $? = 0 ] && [ "$(wc -l <calls)" = 2 ] &&
  grep -q '^submitted 14 runs in 2 job arrays' said
ok $? "an array for each number of ranks"
called 1 "--parsable --job-name=set --array=0-6%3 --ntasks=2 -p big -t 5 \
$here/jobs/sweep.sbatch $here/a.sweep $here/out/submitted/000001.list 1 2 $I\$"
ok $? "its words"
called 2 "--array=0-6%3 --ntasks=3 .*000002.list 1 3 "
ok $? "and those of the other"
[ "$(sed -n 2p environment)" = \
  "$here/a.sweep|$here/out/submitted/000002.list|1|3|$I|$here/jobs" ]
ok $? "the same in the environment"
one sweep a.sweep list --csv
awk -F, 'NR > 1 && $6 == 2 { printf "%s ", $2 }' said >want
[ "$(ids 1)" = "$(cat want)" ]
ok $? "the list names the runs"

# All 14 are in the queue now: as ranges would be, one line a task.
awk '{ print 1000 + NR, $1, $2, "PENDING" }' out/submitted/jobs >queue
[ "$(wc -l <queue)" = 14 ]
ok $? "what was submitted is known"
one sweep a.sweep submit
[ $? = 0 ] && [ "$(wc -l <calls)" = 2 ] && grep -q 'nothing to submit' said
ok $? "what is in the queue is not submitted again"
one sweep a.sweep
[ "$(grep -c 'missing .* 10[01]_[0-6]$' said)" = 14 ] &&
  grep -q "14 in Slurm's queue" said
ok $? "list says which task"

# Three tasks are gone: a finished run, one stopped, one failed.
one sweep a.sweep dir 1 && finished=$(cat said)
one sweep a.sweep dir 2 && stopped=$(cat said)
one sweep a.sweep dir 3 && broken=$(cat said)
mkdir -p "$finished" "$stopped" "$broken"
echo "finished 0 step=3" >"$finished/status"
echo "stopped 75 step=2 reason=time-limit" >"$stopped/status"
echo "failed 76 step=1 reason=numbers" >"$broken/status"
grep -v -e ' 100 [01] ' -e ' 101 0 ' queue >rest
mv rest queue
one sweep a.sweep
grep -q ' finished  *3/3' said && grep -q ' stopped  *2/3' said &&
  grep -q ' failed  *1/3 .*(code 76)' said &&
  grep -q '^14 runs: 11 missing, 1 stopped, 1 finished, 1 failed; 11 in' said
ok $? "states, by what the runs left"
one sweep a.sweep submit
[ $? = 0 ] && [ "$(wc -l <calls)" = 4 ] && grep -q '^submitted 2 runs' said &&
  [ "$(cat out/submitted/000003.list out/submitted/000004.list | sort)" = \
    "$(basename "$stopped" && basename "$broken")" ] ||
  [ "$(cat out/submitted/000003.list out/submitted/000004.list | sort)" = \
    "$( (basename "$stopped"; basename "$broken") | sort)" ]
ok $? "only the stopped and the failed one"

# A run that somebody is at work on, without the queue: its lock says so.
: >queue
one sweep a.sweep dir 5 && busy=$(cat said)
mkdir -p "$busy"
echo "running 0 step=0" >"$busy/status"
sleep 60 >/dev/null 2>&1 &
sleeper=$!
printf '{"host":"%s","pid":%d,"job":"77","restart":0}' "$(hostname)" $sleeper \
  >"$busy/lock"
one sweep a.sweep
grep -q ' running .* 77$' said
ok $? "a lock whose holder lives: running"
kill $sleeper
wait $sleeper 2>/dev/null
one sweep a.sweep
! grep -q ' running ' said && [ "$(grep -c ' stopped ' said)" = 2 ]
ok $? "and when he is gone: stopped"
printf '{"host":"elsewhere.invalid","pid":1,"job":"78","restart":0}' >"$busy/lock"
one sweep a.sweep
grep -q ' running .* 78$' said
ok $? "on another host, a sign of life just now: running"
touch -d '2 minutes ago' "$busy/lock"
one sweep a.sweep
! grep -q ' running ' said
ok $? "and none for two minutes: stopped"

# -- splitting and packing -------------------------------------------------------

rm -rf out calls n environment
MAX_ARRAY=3 one sweep a.sweep submit
[ $? = 0 ] && [ "$(wc -l <calls)" = 6 ] && called 1 '--array=0-2 ' &&
  called 3 '--array=0-0 '
ok $? "arrays split at MaxArraySize"
rm -rf out calls n environment
MAX_ARRAY=2 one sweep a.sweep submit --pack 3
[ $? = 0 ] && [ "$(wc -l <calls)" = 4 ] &&
  called 1 '--array=0-1 --ntasks=6 .*000001.list 3 2 ' &&
  called 2 '--array=0-0 --ntasks=2 ' && called 3 '--ntasks=9 '
ok $? "three runs side by side in a task"
[ "$(awk '$1 == 100 { print $2 }' out/submitted/jobs | tr '\n' ' ')" = \
  "0 0 0 1 1 1 " ]
ok $? "which task has which run"

# -- refusals --------------------------------------------------------------------

rm -rf out calls n environment
touch refuse
one sweep a.sweep submit
[ $? = 69 ] && grep -q 'sbatch: error: no' errors &&
  grep -q 'sbatch refused (code 1); 0 runs' errors &&
  [ "$(ls out/submitted)" = "" ]
ok $? "sbatch refuses: 69, and no list is left"
rm -f refuse
sed 's/steps = 3/steps = 3\nwarmpu = 1/' a.sweep >bad.sweep
one sweep bad.sweep submit
[ $? = 64 ] && [ ! -e calls ]
ok $? "nothing is submitted from a file with a mistake"
sed 's/data.h5/none.h5/' a.sweep >bad.sweep
one sweep bad.sweep submit
[ $? = 69 ] && [ ! -e calls ] && grep -q 'run 1 and 13 more: none.h5' errors
ok $? "nor without its data"
mv jobs/sweep.sbatch mine.sbatch
one sweep a.sweep submit --script none.sbatch
[ $? = 69 ] && grep -q 'none.sbatch: No such file' errors
ok $? "no such script: 69"
one sweep a.sweep submit --script mine.sbatch
[ $? = 0 ] && called 1 " $here/mine.sbatch "
ok $? "a script of one's own"

done_testing

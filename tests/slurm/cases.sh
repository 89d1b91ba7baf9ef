#!/bin/bash
# tests/slurm/cases.sh -- question: does a run lose nothing when its job is
# preempted, requeued, signalled, out of time, or robbed of a rank or a node?
#
#     CPUS=4 bash tests/slurm/cluster.sh 29 bash tests/slurm/cases.sh PROGRAM [CASE ...]
#
# Nodes: 29 virtual ones.  Minutes: 3.  Output: TAP; work/ in CLUSTER.
#
# Every case trains the same small network by jobs/train.sbatch on two nodes of
# its own, is disturbed once, and has to end with the bits of the run that was
# not.  Lanes of cases go on side by side: they mostly wait for Slurm.
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
I=$(realpath "$1")
shift
wanted=" $* "
work=$CLUSTER/work
mkdir -p "$work"
cd "$work" || exit 70
LC_ALL=C
export LC_ALL

# Steps last 50 ms whatever the machine does; what bits depend on is fixed.
export INTERLOCK=$I INTERLOCK_PACE=50 BIND=none PAUSE=1 INTERLOCK_CACHE=$work/cache
STEPS=240
EVERY=60

"$I" import synthetic seed=5 size=16 train=64 valid=32 test=32 -o data.h5 \
  >import.out 2>&1 || { cat import.out; exit 70; }

configuration () {
  cat <<END
[model]
groups = 8x2,16x2
[stages]
cut = 2,1,1,rest
head = conv8-bn-gap-fc
[strategy]
span = 2
[data]
file = ../data.h5
augment = flip+crop4
[train]
batch = 16
steps = $STEPS
lr = 0.05
seed = 3
tune = no
[checkpoint]
every = $EVERY
[run]
dir = run
time_margin = 20
END
}

# -- one case: its directory is the working directory ----------------------------

begin () { # NAME
  mkdir -p "$work/$1"
  cd "$work/$1" || exit 70
  configuration >train.ini
  : >tap
}

# ok STATUS WORDS: for the report at the end
ok () {
  if [ "$1" = 0 ]; then
    echo "ok - ${PWD##*/}: $2" >>tap
  else
    {
      echo "not ok - ${PWD##*/}: $2"
      tail -n 60 ./*.out run/events.jsonl 2>/dev/null | cut -c1-300 |
        sed 's/^/# /'
    } >>tap
  fi
}

# until_true SECONDS COMMAND ...
until_true () {
  local tries=$(($1 * 5))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.2
  done
}

# submit NODES [option of sbatch ...]: sets job
submit () {
  local nodes=$1
  shift
  job=$(CONFIG=train.ini sbatch --parsable -w "$nodes" -N 2 -n 2 \
    --cpus-per-task=1 -t 10 "$@" "$top/jobs/train.sbatch")
  [ -n "$job" ]
}

field () { # JOB NAME
  scontrol show job -o "$1" | tr ' ' '\n' | sed -n "s/^$2=//p" | head -n 1
}
state () {
  field "$1" JobState
}
is_over () {
  case $(state "$1") in
    COMPLETED | FAILED | TIMEOUT | CANCELLED | NODE_FAIL | PREEMPTED) ;;
    *) return 1 ;;
  esac
}
saved () { # a checkpoint has been written
  grep -q '"event":"checkpoint"' run/events.jsonl
}
stopped () {
  grep -q '"event":"stopped"' run/events.jsonl
}
pending () {
  [ "$(state "$1")" = PENDING ]
}
restarts () { # JOB NUMBER
  [ "$(field "$1" Restarts)" = "$2" ]
}

# value KEY: of an event on standard input
value () {
  sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p"
}

# rank_of JOB RANK: its process
rank_of () {
  local p
  for p in /proc/[0-9]*; do
    [ "$(cat "$p/comm" 2>/dev/null)" = interlock ] || continue
    tr '\0' '\n' <"$p/environ" 2>/dev/null >"$work/env.$1.$2"
    grep -q "^SLURM_JOB_ID=$1\$" "$work/env.$1.$2" &&
      grep -q -E "^(PMIX_RANK|PMI_RANK|OMPI_COMM_WORLD_RANK)=$2\$" "$work/env.$1.$2" &&
      echo "${p#/proc/}" && return
  done
  return 1
}

final () { # the last checkpoint of a run directory
  find "$1/checkpoints" -name '*.h5' | sort | tail -n 1
}

digests () { # of weights and optimizer, at the last checkpoint
  grep '"event":"checkpoint"' "$1/events.jsonl" | tail -n 1 |
    grep -o '"\(weights\|optimizer\)":"[^"]*"'
}

# finished SECONDS LOST [RESTARTS]: the job completes; the run has the bits of
# the undisturbed one; it went on with receipts, at most LOST steps back.
finished () {
  local resumes lost
  until_true "$1" is_over "$job"
  [ "$(state "$job")" = COMPLETED ] && grep -q '^finished' run/status
  ok $? "completes ($(state "$job"), $(field "$job" Restarts) restarts)"
  until_true 60 test -s "$work/reference/done"
  cmp "$(final "$work/reference/run")" "$(final run)" >compared 2>&1
  ok $? "ends with the same bits as the undisturbed run"
  grep '"event":"resume"' run/events.jsonl >resumes
  resumes=$(wc -l <resumes)
  [ "$resumes" -ge 1 ] && ! grep -v -q '"exact":true' resumes
  ok $? "$resumes resumed, each with an exact receipt"
  lost=$(value lost <resumes | sort -n | tail -n 1)
  [ -n "$lost" ] && [ "$lost" -le "$2" ]
  ok $? "steps lost: ${lost:-not said}, at most $2 promised"
  [ -z "$(find run -name '*.part*')" ]
  ok $? "no half-written file is left"
}

# -- cases -----------------------------------------------------------------------

undisturbed () { # NODES LAUNCH
  begin reference
  LAUNCH=$2 submit "$1"
  until_true 90 is_over "$job"
  [ "$(state "$job")" = COMPLETED ] && grep -q '^finished' run/status &&
    [ -n "$(final run)" ]
  ok $? "a run without disturbance completes"
  "$I" info --check run >info.out 2>&1
  ok $? "its digests hold"
  echo yes >"done"
}

preempted () { # NODES LAUNCH PARTITION
  begin "preempted-$3-$2"
  LAUNCH=$2 submit "$1" -p "$3"
  until_true 60 saved
  other=$(sbatch --parsable -p high -w "$1" -N 2 --exclusive -o high.out \
    --wrap 'sleep 2')
  until_true 60 is_over "$other"
  [ "$(state "$other")" = COMPLETED ]
  ok $? "the job of higher priority gets the nodes"
  finished 90 "$4"
}

requeued () { # NODES LAUNCH LOST
  begin "requeued-$2"
  LAUNCH=$2 submit "$1"
  until_true 60 saved
  scontrol requeue "$job"
  finished 90 "$3"
}

signalled () { # NODES LAUNCH [option of scancel]
  begin "signalled-$2"
  LAUNCH=$2 submit "$1"
  until_true 60 saved
  # shellcheck disable=SC2086 # one word or none
  scancel --signal=USR1 ${3-} "$job"
  until_true 30 restarts "$job" 1
  ok $? "a signal: stops, saves, and requeues itself"
  finished 90 0
}

# The run is longer than the job may be.  Slurm warns WARNING seconds before its
# time, or up to 30 s earlier; interlock stops by itself 20 s before.
out_of_time () { # NODES LAUNCH WARNING REASON
  begin "time-limit-$2-${3##*@}"
  export INTERLOCK_PACE=220
  LAUNCH=$2 submit "$1" -t 1 --signal="$3"
  until_true 120 restarts "$job" 1
  ok $? "stops before the time limit, and requeues itself"
  grep -q "^job $job.0, .* stopped status.* reason=$4 " "interlock-$job.out"
  ok $? "because of $4"
  finished 150 0
}

# Without any warning: Slurm ends the job.
rank_killed () { # NODES LAUNCH
  begin "rank-killed-$2"
  LAUNCH=$2 submit "$1"
  until_true 60 saved
  kill -9 "$(rank_of "$job" 1)"
  finished 120 "$EVERY"
}

daemon_killed () { # NODES LAUNCH NODE
  begin "daemon-killed-$2"
  export INTERLOCK_PACE=400 # it takes Slurm a while to notice
  LAUNCH=$2 submit "$1"
  until_true 60 saved
  kill -9 "$(cat "$CLUSTER/$3.pid")"
  until_true 90 pending "$job"
  ok $? "the lost node is noticed, the job requeued"
  rm -f "$CLUSTER/$3.pid"
  "$CLUSTER/daemon" "$3"
  finished 120 "$EVERY"
}

# The daemon of the only node dies, and its ranks live on while the job has been
# started again elsewhere: what they write must not count.
outlived () { # NODES
  local other
  begin outlived
  export INTERLOCK_PACE=400
  job=$(CONFIG=train.ini sbatch --parsable -N 1 -n 2 --cpus-per-task=1 -t 10 \
    --exclude="$2" "$top/jobs/train.sbatch")
  until_true 60 saved
  node=$(field "$job" NodeList)
  old=$(rank_of "$job" 0)
  kill -9 "$(cat "$CLUSTER/$node.pid")"
  until_true 120 grep -q '"event":"resume"' run/events.jsonl
  other=$(field "$job" NodeList)
  [ -d "/proc/$old" ] && [ "$other" != "$node" ]
  ok $? "runs on $other while its ranks still live on $node"
  finished 120 "$EVERY"
  until_true 60 test ! -d "/proc/$old"
  ok $? "the old ranks notice and end"
  grep -q "^finished 0" run/status
  ok $? "and the run stays finished"
  [ "$(grep -c '"event":"resume"' run/events.jsonl)" = 1 ]
  ok $? "and their successor is not disturbed"
}

# Where jobs may not be requeued.
submitted () { # NODES
  local next
  begin submitted
  AGAIN=submit SUBMIT_OPTIONS="-w $1" submit "$1" --no-requeue
  until_true 60 saved
  scancel --signal=USR1 "$job"
  until_true 30 grep -q '^Submitted' "interlock-$job.out"
  next=$(sed -n 's/^Submitted batch job //p' "interlock-$job.out")
  until_true 30 is_over "$job"
  [ "$(state "$job")" = FAILED ] && [ "$(field "$job" ExitCode)" = 75:0 ]
  ok $? "stops with 75, and submits its successor ${next:-(none)}"
  job=${next:-0}
  finished 90 0
}

# Nothing that another try would change.
refused () { # NODES
  begin refused
  sed -i 's/span = 2/span = two/' train.ini
  submit "$1"
  until_true 60 is_over "$job"
  [ "$(state "$job")" = FAILED ] && [ "$(field "$job" ExitCode)" = 64:0 ] &&
    [ "$(grep -c '^job ' "interlock-$job.out")" -eq 1 ]
  ok $? "a wrong configuration: 64, tried once"
}

# The data set on the nodes' own disks (here: /dev/shm, which differs).
staged () { # NODES
  begin staged
  SCRATCH=/dev/shm DATA=../data.h5 submit "$1"
  until_true 60 saved
  [ -s "/dev/shm/interlock-$job/data.h5" ]
  ok $((! $?)) "not on the head"
  "$CLUSTER/node" "$3" ls "/dev/shm/interlock-$job/data.h5" >ls.out 2>&1
  ok $? "the data set is on the second node"
  scontrol requeue "$job"
  until_true 90 is_over "$job"
  [ "$(state "$job")" = COMPLETED ] && grep -q '^finished' run/status &&
    grep -q "file = /dev/shm/interlock-$job/data.h5" run/config.ini
  ok $? "trains from there"
  grep '"event":"resume"' run/events.jsonl | grep -q '"exact":true'
  ok $? "and goes on exactly"
  [ "$(digests "$work/reference/run")" = "$(digests run)" ]
  ok $? "to the same weights"
  ! "$CLUSTER/node" "$3" ls "/dev/shm/interlock-$job" >ls.out 2>&1
  ok $? "nothing is left there"
}

chained () { # NODES
  begin chain
  CONFIG=train.ini sh "$top/jobs/chain.sh" 3 -w "$1" -N 2 -n 2 \
    --cpus-per-task=1 -t 10 >chain.out
  job=$(sed -n '1s/[^0-9]*//gp' chain.out)
  ok $? "three jobs in a chain"
  until_true 60 saved
  scancel --signal=USR1 "$job"
  job=$(sed -n '3s/[^0-9]*//gp' chain.out)
  finished 120 0
  [ "$(state $((job - 1)))" = COMPLETED ] && [ "$(state $((job - 2)))" = FAILED ]
  ok $? "the first stops, the second finishes, the third has nothing to do"
  grep -c '"event":"resume"' run/events.jsonl >count
  [ "$(cat count)" = 1 ]
  ok $? "it went on once"
}

# -- sweeps ----------------------------------------------------------------------

sweep_file () {
  configuration
  cat <<END
[sweep]
root = runs
ranks = 2
train.seed = 1..$1
END
}
nobody () { # NAME: no job of that name is left
  [ -z "$(squeue -h -n "$1" -o %i)" ]
}
finished_runs () { # SWEEP-FILE: how many
  "$I" sweep "$1" list --csv | awk -F, '
    NR == 1 { for (i = 1; i <= NF; i++) if ($i == "state") column = i }
    $column == "finished"' | wc -l
}
going () { # SWEEP-FILE NUMBER ...: runs have checkpoints
  local i file=$1
  shift
  for i in "$@"; do
    grep -q '"event":"checkpoint"' "$("$I" sweep "$file" dir "$i" 2>/dev/null)/events.jsonl" ||
      return 1
  done
}

swept () { # NODES EXCLUDED
  local first
  begin sweep
  sweep_file 6 | sed '/^seed/d; /^dir/d' >six.sweep
  "$I" sweep six.sweep check >check.out 2>&1
  ok $? "six runs pass the check"
  # A planted fault in one of them, by a launcher in front of the real one.
  mkdir -p bin
  cat >bin/srun <<END
#!/bin/sh
[ "\$SLURM_ARRAY_TASK_ID" != 3 ] || export INTERLOCK_FAIL=loss:100@1
exec $(command -v srun) "\$@"
END
  chmod 755 bin/srun
  PATH=$PWD/bin:$PATH "$I" sweep six.sweep submit \
    --script "$top/jobs/sweep.sbatch" \
    -- -N 2 --exclusive -t 10 --exclude="$2" >submit.out 2>&1
  ok $? "are submitted"
  first=$(squeue -h -n six -o %F | head -n 1)
  until_true 60 going six.sweep 1 2
  for i in 0 1; do
    job=${first}_$i
    sbatch -p high -w "$(field "$job" NodeList)" -N 2 --exclusive -o high.out \
      --wrap 'sleep 1' >>high.id
  done
  until_true 200 nobody six
  [ "$(finished_runs six.sweep)" = 5 ] &&
    grep -q '^failed 76' "$("$I" sweep six.sweep dir 4)/status"
  ok $? "five of six are finished, the one with the fault has failed"
  for i in 1 2; do
    grep -q '"exact":true' "$("$I" sweep six.sweep dir $i)/events.jsonl"
    ok $? "run $i was preempted, and went on exactly"
  done
  "$I" sweep six.sweep submit --script "$top/jobs/sweep.sbatch" -- -N 2 \
    --exclusive -t 10 --exclude="$2" >again.out 2>&1
  squeue -h -r -n six -o %i >squeue.out
  [ "$(wc -l <squeue.out)" = 1 ]
  ok $? "submitted again: only what is missing"
  until_true 100 nobody six
  [ "$(finished_runs six.sweep)" = 6 ]
  ok $? "now all are finished"
  "$I" sweep six.sweep table --csv >table.csv 2>table.out
  [ "$(wc -l <table.csv)" = 7 ]
  ok $? "the table has six rows"
  cmp "$(final "$("$I" sweep six.sweep dir 1)")" \
    "$(final "$("$I" sweep six.sweep dir 3)")" >compared 2>&1
  [ $? = 1 ]
  ok $? "of different runs"
}

# Two runs side by side in one job, both warned by way of its script.
packed () { # NODES EXCLUDED
  begin packed
  sweep_file 2 | sed '/^seed/d; /^dir/d' >pair.sweep
  "$I" sweep pair.sweep submit --pack 2 --script "$top/jobs/sweep.sbatch" \
    -- -N 1 -t 10 --exclude="$2" >submit.out 2>&1
  job=$(squeue -h -n pair -o %F | head -n 1)_0
  [ "$(field "$job" NumTasks)" = 4 ]
  ok $? "two runs of two ranks in one job"
  until_true 60 going pair.sweep 1 2
  scancel --batch --signal=USR1 "$job"
  until_true 120 nobody pair
  [ "$(finished_runs pair.sweep)" = 2 ]
  ok $? "both finish"
  for i in 1 2; do
    [ "$(grep -c '"exact":true' "$("$I" sweep pair.sweep dir $i)/events.jsonl")" = 1 ]
    ok $? "after one stop of run $i without a loss"
  done
}

# -- lanes -----------------------------------------------------------------------

want () {
  [ "$wanted" = "  " ] || case $wanted in *" $1 "*) ;; *) return 1 ;; esac
}
# lane FIRST-NODE 'CASE ARGUMENT ...' ...: one after the other on two nodes
lane () {
  local nodes="node[$1-$(($1 + 1))]" case name words
  shift
  for case in "$@"; do
    IFS=' ' read -r -a words <<<"$case"
    name=${words[0]}
    want "$name" || [ "$name" = undisturbed ] || continue
    words=("${words[@]:1}")
    "$name" "$nodes" "${words[@]}"
  done
}

# The long ones first.
lane 1 "undisturbed srun" chained &
lane 3 "out_of_time srun USR1@30 USR1" &
lane 5 "out_of_time mpirun B:USR1@30 USR1" &
lane 7 "daemon_killed srun node8" &
lane 9 "out_of_time srun B:USR1@1 time-limit" &
lane 11 "preempted mpirun low20 $EVERY" "rank_killed srun" \
  "requeued mpirun $EVERY" &
lane 13 "preempted srun low0 0" "preempted mpirun low0 $EVERY" "requeued srun 0" &
lane 15 "signalled srun" "signalled mpirun --full" "rank_killed mpirun" &
lane 17 "preempted srun low20 0" refused submitted "staged - node18" &
lane 19 "outlived node[1-18,21-29]" &
lane 21 "swept node[1-20,29]" &
lane 29 "packed node[1-28]" &
wait

cat ./*/tap | awk '
  /^(not )?ok/ { n++; sub(/ok - /, "ok " n " - ") }
  { print }
  /^not ok/ { failed++ }
  END { print "1.." n; exit failed > 0 || n == 0 }'

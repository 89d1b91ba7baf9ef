# shellcheck shell=bash disable=SC2034
# jobs/supervise.sh -- question: how does a run get to its end, whatever happens to
# its job?
#
# Not submitted itself: train.sbatch and sweep.sbatch read it.
# Nodes, minutes, output: theirs.
#
# What it knows about Slurm, learned from real ones (22.05 to 24.11):
# - The exit code of srun, of mpirun and of the job proves nothing: a lost node or
#   a launch that failed may give 0.  What counts is RUN/status, which interlock
#   writes last, and only when it was written by this launch.
# - A job that just ends while it is being preempted is not requeued by all
#   versions: after a stop with its state saved it asks for that itself, and
#   waits to be ended.  A finished run may be started once more; it ends at once.
# - A dead rank fails the job without a requeue: that is tried again here, RETRIES
#   times without a newer checkpoint in between.
# - TERM must never be passed to srun, which would kill the ranks; they get their
#   own.  With srun in the foreground bash would see no signal before the end.
# - After the loss of a node the old script may live on beside its successor:
#   it looks at the number of restarts before it starts anything.

: "${INTERLOCK:=}"         # the program; default: that of jobs/program.sh
: "${LAUNCH:=srun}"        # srun or mpirun
: "${MPIRUN:=}"            # the mpirun or mpiexec; default: that of the program's MPI
: "${AGAIN:=requeue}"      # when there is more to do: requeue, submit or no
: "${RETRIES:=3}"          # failures in a row without a newer checkpoint
: "${PAUSE:=10}"           # seconds before a retry
: "${MPI:=}"               # of srun; default: pmix, or pmi2 for MPICH;
                           # `srun --mpi=list` shows what there is
: "${BIND:=cores}"         # none where the cores of a node are shared
: "${OPTIONS:=}"           # more options of srun or mpirun
: "${MODULES:=}"           # modules to load first
: "${SCRATCH:=}"           # directory on each node to copy the data set to
: "${DATA:=}"              # the data set file, for SCRATCH

# A task of an array is named differently from a job.
job=$SLURM_JOB_ID
if [ -n "${SLURM_ARRAY_TASK_ID-}" ]; then
  job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
fi
warned=    # USR1 has come: the end of the job is near
ended=     # TERM has come: Slurm is ending the job
children=  # what USR1 is passed on to

note () {
  echo "job $job.$restart, $(date +%H:%M:%S): $*" >&2
}

# job_field NAME: what the controller says of this job
job_field () {
  scontrol show job -o "$job" 2>/dev/null | tr ' ' '\n' |
    sed -n "s/^$1=//p" | head -n 1
}

# Which start of the job this is.  Variables may have come along from the job that
# submitted this one.
restart=$(job_field Restarts)
SLURM_RESTART_COUNT=${restart:-0}
export SLURM_RESTART_COUNT

# Not a ghost: the controller has not restarted the job since.
current () {
  [ "$(job_field Restarts)" = "$restart" ]
}

# Traps hold no $(...): bash trips over one when two signals come together.
catch_signals () {
  trap 'warned=yes; kill -USR1 $children 2>/dev/null || :' USR1
  trap 'ended=yes' TERM
}

# prepare DIRECTORY-OF-JOBS: modules, program, threads, end of the job's time
prepare () {
  local module end kind launcher
  for module in $MODULES; do
    module load "$module"
  done
  [ -n "$INTERLOCK" ] || INTERLOCK=$(sh "$1/program.sh") || exit 69
  read -r kind launcher <<<"$(sh "$1/launcher.sh" "$INTERLOCK")"
  mpi_kind=$kind
  MPIRUN=$launcher
  [ "$LAUNCH" != mpirun ] || [ -n "$MPIRUN" ] || {
    note "no mpirun or mpiexec for $kind, which $INTERLOCK is linked with; set MPIRUN"
    exit 69
  }
  if [ -z "$MPI" ]; then
    MPI=pmix
    [ "$mpi_kind" = openmpi ] || MPI=pmi2
  fi
  OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
  export OMP_NUM_THREADS
  # 22.05 does not say when the job ends; interlock stops in time if told.
  end=$(date -d "$(job_field EndTime)" +%s 2>/dev/null) || end=
  SLURM_JOB_END_TIME=${end:-${SLURM_JOB_END_TIME-}}
  export SLURM_JOB_END_TIME
  # From TERM to KILL mpirun gives its ranks these seconds, not one.  (It
  # takes four times these to end after a rank has failed.)
  : "${OMPI_MCA_odls_base_sigkill_timeout:=5}"
  : "${PRTE_MCA_odls_base_sigkill_timeout:=5}"
  export OMPI_MCA_odls_base_sigkill_timeout PRTE_MCA_odls_base_sigkill_timeout
}

# -- the data set on the nodes -------------------------------------------------

on_each_node () {
  srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" \
    --ntasks-per-node=1 --cpus-per-task=1 --mpi=none "$@"
}

# stage: copies DATA to every node; then data.file=... is in staged.
staged=
stage () {
  local there
  [ -n "$SCRATCH" ] || return 0
  [ -f "$DATA" ] || {
    note "SCRATCH needs DATA, the data set file; there is no '$DATA'"
    exit 69
  }
  there=$SCRATCH/interlock-$SLURM_JOB_ID/${DATA##*/}
  # shellcheck disable=SC2016 # the nodes' shells expand this
  if on_each_node sh -c 'mkdir -p "${2%/*}" && cp "$1" "$2.part" &&
      mv "$2.part" "$2"' stage "$DATA" "$there"; then
    staged=data.file=$there
    note "$DATA is $there on every node"
  else
    note "$DATA does not fit into $SCRATCH on every node; used as it is"
    unstage
  fi
}

unstage () {
  [ -z "$SCRATCH" ] || [ -n "$ended" ] ||
    on_each_node rm -rf "$SCRATCH/interlock-$SLURM_JOB_ID" || :
}

# -- one run -------------------------------------------------------------------

# launch RANKS PROGRAM ARGUMENT ...: becomes the launcher
launch () {
  local ranks=$1 bind=()
  shift
  INTERLOCK_RANKS=$ranks
  export INTERLOCK_RANKS
  case $LAUNCH in
    srun)
      [ "$BIND" = none ] || bind=(--cpu-bind="$BIND")
      # srun does not take --cpus-per-task from sbatch since 22.05.
      # shellcheck disable=SC2086 # words
      exec srun --mpi="$MPI" --ntasks="$ranks" --kill-on-bad-exit=1 \
        --cpus-per-task="$OMP_NUM_THREADS" "${bind[@]}" $OPTIONS "$@"
      ;;
    mpirun)
      if [ "$mpi_kind" = mpich ]; then
        # It passes signals on and waits; 75 is a code like any other.
        bind=(-bind-to "core:$OMP_NUM_THREADS")
        [ "$BIND" != none ] || bind=(-bind-to none)
        # shellcheck disable=SC2086 # words
        exec "$MPIRUN" -n "$ranks" "${bind[@]}" $OPTIONS "$@"
      fi
      bind=(--map-by "slot:PE=$OMP_NUM_THREADS" --bind-to core)
      [ "$BIND" != none ] || bind=(--bind-to none)
      # mpirun takes 75 for a failure and would end the ranks the hard way; a
      # rank that was killed has to stay one.  Signals are for the rank.
      # shellcheck disable=SC2086,SC2016 # words; for the inner shell
      exec "$MPIRUN" -n "$ranks" "${bind[@]}" $OPTIONS sh -c '
        trap "" USR1 USR2 TERM
        "$0" "$@"
        code=$?
        [ $code -eq 75 ] || exit $code' "$@"
      ;;
  esac
  note "LAUNCH is '$LAUNCH', neither srun nor mpirun"
  exit 64
}

# Until the launcher is gone, whatever signals come; its exit code.
wait_for () {
  while kill -0 "$1" 2>/dev/null; do
    wait "$1"
  done
  wait "$1"
}

# Which file RUN/status is: another one after each writing.
stamp () {
  stat -c '%i %z' "$1/status" 2>/dev/null || :
}

newest () {
  find "$1/checkpoints" -name '*.h5' 2>/dev/null | sort | tail -n 1
}

# One more failure of the run; fails when these were too many without progress.
# RUN/failures holds their number and the newest checkpoint.
bearable () {
  local count=0 file='' now
  now=$(newest "$1")
  { read -r count file <"$1/failures"; } 2>/dev/null || :
  [ "$file" = "$now" ] || count=0
  count=$((count + 1))
  echo "$count $now" >"$1/failures"
  [ "$count" -le "$RETRIES" ]
}

# supervise RUN RANKS ARGUMENT ...: starts interlock, judges how it ended, tries
# again.  Returns 0: finished.  75: there is more to do.  Else a code: do not try
# again; 130 when the user has stopped it by RUN/stop.
supervise () {
  local run=$1 ranks=$2 before code word number rest tries=0
  shift 2
  mkdir -p "$run"
  while :; do
    before=$(stamp "$run")
    children=
    launch "$ranks" "$INTERLOCK" "$@" &
    children=$!
    # A warning that came while there was nobody to pass it on to.
    [ -z "$warned" ] || kill -USR1 "$children"
    wait_for "$children"
    code=$?
    children=
    word='' number='' rest=''
    if [ "$(stamp "$run")" != "$before" ]; then
      { read -r word number rest <"$run/status"; } 2>/dev/null || :
    fi
    note "$run: ${word:-no} status${number:+, code $number}${rest:+, $rest}" \
      "($LAUNCH: $code)"
    case $word in
      finished)
        rm -f "$run/failures"
        return 0
        ;;
      stopped)
        rm -f "$run/failures"
        case $rest in *stop-file*) return 130 ;; esac
        return 75
        ;;
      failed) code=$number ;;
    esac
    # Nothing that another try would change.  (Without a status: refused.)
    case $word,$code in
      failed,64 | failed,65 | failed,76 | failed,77) return "$code" ;;
      ,64 | ,65 | ,77) return "$code" ;;
    esac
    [ -z "$ended" ] || return 75
    bearable "$run" || {
      note "$run: $RETRIES failures without a newer checkpoint: giving up"
      [ "$code" -ne 0 ] && [ "$code" -ne 75 ] || code=70
      return "$code"
    }
    # Once more here; a node that is lost needs another allocation.
    tries=$((tries + 1))
    if [ "$tries" -gt 1 ] || [ -n "$warned" ]; then
      return 75
    fi
    sleep "$PAUSE" &
    wait $!
    [ -z "$ended" ] && current || return 75
  done
}

# -- after the runs -------------------------------------------------------------

# The same script, with what Slurm gave this time.
submit_again () {
  local words=(--dependency="afterany:$SLURM_JOB_ID" --export=ALL
    --job-name="$SLURM_JOB_NAME" --partition="$SLURM_JOB_PARTITION"
    --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_NTASKS"
    --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --time="$(job_field TimeLimit)")
  [ -z "${SLURM_JOB_ACCOUNT-}" ] || words+=(--account="$SLURM_JOB_ACCOUNT")
  [ -z "${SLURM_JOB_QOS-}" ] || words+=(--qos="$SLURM_JOB_QOS")
  # Slurm's variables of this job are not the next one's.
  (
    for name in "${!SLURM_@}"; do
      [ "$name" = SLURM_CONF ] || unset "$name"
    done
    # shellcheck disable=SC2086 # words
    sbatch "${words[@]}" ${SUBMIT_OPTIONS-} "$@"
  )
}

# leave CODE [SCRIPT ARGUMENT ...]: ends the job; there is more to do if CODE is 75
leave () {
  local code=$1 state
  shift
  unstage
  if [ "$code" -eq 130 ]; then
    note "stopped by request; submit again to go on"
    exit 75
  fi
  [ "$code" -eq 75 ] && [ "$AGAIN" != no ] && current || exit "$code"
  state=$(job_field JobState)
  case $state in
    RUNNING) ;;
    *) # Slurm is ending the job: it requeues it, or the user has cancelled it
      note "$state; leaving the rest to Slurm"
      exit 75
      ;;
  esac
  if [ "$AGAIN" = requeue ] && scontrol requeue "$job"; then
    note "requeued"
    # The job has to be ended, not to end.
    while [ -z "$ended" ]; do
      sleep 60 &
      wait $!
    done
    exit 75
  fi
  if submit_again "$@"; then
    note "submitted again"
  else
    note "neither requeued nor submitted again"
  fi
  exit 75
}

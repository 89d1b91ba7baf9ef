# shellcheck shell=sh
# jobs/ready.sh -- question: is there a program, and what starts its ranks?
#
# Nodes: a single machine.  Minutes: 0 to 3.
# Output: none of its own; read by jobs that start from nothing, never run; jobs is
# the directory they lie in.
#
# In the sources goes to the top directory, installs what is missing and builds,
# unless INTERLOCK names a program.  Where jobs/ is installed it stays where it is
# called, and takes the program that was installed with it.  Takes
# RANKS (default: one per core, at most 4), LAUNCH (default: mpirun), BUILD; sets
# these, INTERLOCK, and OMP_NUM_THREADS such that ranks x threads = cores.  Says
# what it does by the caller's say and stop.
# shellcheck disable=SC2034,SC2154 # for the caller, and of it

: "${BUILD:=build}"
cores=$( (unset OMP_NUM_THREADS OMP_THREAD_LIMIT; nproc) 2>/dev/null || echo 2)
[ -n "${RANKS-}" ] || RANKS=$((cores < 4 ? cores : 4))
# More would only get in each other's way.
OMP_NUM_THREADS=$((cores / RANKS > 1 ? cores / RANKS : 1))
export OMP_NUM_THREADS

if [ ! -f "$jobs/../configure.ac" ]; then
  INTERLOCK=$(sh "$jobs/program.sh") || stop "there is no program"
else
  cd "$jobs/.." || stop "$jobs/.. cannot be entered"
fi
if [ -z "${INTERLOCK-}" ]; then
  say "what building needs"
  sh jobs/need.sh || stop "something is missing, see above"
  say "build in $BUILD/"
  sh jobs/build.sh "$BUILD" || stop "the build failed, see above"
  INTERLOCK=$BUILD/interlock
fi

if [ -z "${LAUNCH-}" ]; then
  launcher=$(sh "$jobs/launcher.sh" "$INTERLOCK")
  [ -n "${launcher#* }" ] ||
    stop "no mpirun; give LAUNCH=, e.g. LAUNCH='srun --mpi=pmix -n $RANKS'"
  case $launcher in
  openmpi*)
    # Threads of a rank must not be bound to one core; containers may offer
    # fewer slots than cores.
    LAUNCH="${launcher#* } --bind-to none --oversubscribe -n $RANKS"
    ;;
  *) LAUNCH="${launcher#* } -n $RANKS" ;;
  esac
fi
if [ "$(id -u)" = 0 ]; then # mpirun asks for this
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  export PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# tests/run/rig.sh -- what the shell tests of the engine share; sourced.
#
# Sets I (the program), tmp (a folder of their own, also the working directory)
# and the functions ok, launched, many, equal_costs, small, done_testing.

LC_ALL=C
OMP_NUM_THREADS=1
NO_COLOR=1
export LC_ALL OMP_NUM_THREADS NO_COLOR
AWK=${AWK-awk}
I=${INTERLOCK-./interlock}
case $I in /*) ;; *) I=$PWD/$I ;; esac
launcher=${TESTMPIRUN:-mpirun --oversubscribe --bind-to none -n NP}

n=0
failed=0
ok () # STATUS NAME: what was said is shown when STATUS is not 0
{
  n=$((n + 1))
  if [ "$1" = 0 ]; then
    printf 'ok %d - %s\n' $n "$2"
  else
    printf 'not ok %d - %s\n' $n "$2"
    sed 's/^/# /' errors said 2>/dev/null | head -n 15
    failed=1
  fi
}

done_testing ()
{
  echo "1..$n"
  exit $failed
}

limited=
command -v timeout >/dev/null 2>&1 && limited="timeout -k 5 ${RUN_LIMIT-30}"

# launched N PROGRAM ARGUMENT...: a program on N ranks; its output goes to `said`
# and `errors`, its exit status is that of the launcher.  A run past the time
# limit ends with 124.
launched ()
{
  start=
  for word in $launcher; do
    case $word in
    NP) word=$1 ;;
    *=NP) word=${word%NP}$1 ;;
    esac
    start="$start $word"
  done
  shift
  # shellcheck disable=SC2086
  $limited $start "$@" >said 2>errors </dev/null
}

# many N ARGUMENT...: ours on N ranks.
many ()
{
  ranks_of_many=$1
  shift
  launched "$ranks_of_many" "$I" "$@"
}

# one ARGUMENT...: the same without a launcher.
one ()
{
  # shellcheck disable=SC2086
  $limited "$I" "$@" >said 2>errors </dev/null
}

# equal_costs FILE: all blocks and heads of costs.txt cost the same, so that which
# rank has which stage does not depend on what was measured.
equal_costs ()
{
  $AWK '$1 == "unit" {
    for (i = 3; i <= NF; i++) if ($i != "head") $i = "0.001" }
    { print }' "$1" >costs && cp costs "$1"
}

# complaints: what the program itself said in `errors`, warnings aside.  A
# launcher may add bytes that make grep think of a binary file.
complaints ()
{
  tr -cd '\11\12\40-\176' <errors | grep '^interlock: ' |
    grep -v '^interlock: warning: '
}

# Words of a small training run in the folder run of the working directory; its
# data set lies one folder up.
small="model.groups=8x2,16x2 stages.cut=2,1,1,rest stages.head=conv8-bn-gap-fc
  strategy.span=2 data.file=../data.h5 data.augment=flip+crop4 train.batch=16
  train.tune=no train.lr=0.05 train.seed=3 run.dir=run"

if ! "$I" --version >/dev/null 2>&1; then
  echo "1..0 # SKIP $I does not run"
  exit 0
fi
tmp=$(mktemp -d "${TMPDIR-/tmp}/interlock-test.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
cd "$tmp" || exit 1
"$I" import synthetic seed=5 size=16 train=64 valid=32 test=32 -o data.h5 \
  >said 2>&1 || { echo "1..0 # SKIP no data set could be made"; exit 0; }

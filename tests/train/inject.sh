#!/bin/sh
# tests/train/inject.sh -- the n-th call that writes, syncs, renames, opens, closes,
# asks for memory or starts a thread fails on one of two ranks (inject.c): the run
# ends with a documented code that fits, no rank hangs or dies of a signal, and the
# same command without the fault leaves the same last checkpoint, byte for byte, as
# a run that nothing disturbs.  Prints TAP and how often which code came.
#
# Some chosen places; with INTERLOCK_BIG all over the run, at most MOST of a kind
# on a rank (32).  Every place costs a start or two:
# limit: 600

RUN_LIMIT=${RUN_LIMIT-120}
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

source=${abs_top_srcdir-$(dirname "$0")/../..}
case $source in /*) ;; *) source=$OLDPWD/$source ;; esac
if [ -n "${IL_SANITIZER-}" ]; then
  echo "1..0 # SKIP a sanitizer takes the place of the same calls"
  exit 0
fi
if ! ${CC-cc} -D_GNU_SOURCE -O1 -shared -fPIC -o "$tmp/inject.so" \
  "$source/tests/train/inject.c" -ldl >said 2>&1; then
  echo "1..0 # SKIP no library could be made here"
  exit 0
fi

words="$small train.steps=6 checkpoint.every=2 checkpoint.keep=2 train.eval_every=3"
last=run/checkpoints/step-000000006.h5
INJECT_PROGRAM=${I##*/} INJECT_LOG=$tmp/hit
export INJECT_PROGRAM INJECT_LOG

# train WAY: on two ranks; checkpoints beside the steps, while all wait and each
# writes, or while all wait in collective transfers
train ()
{
  case $1 in
  beside) set -- ;;
  waiting) set -- checkpoint.async=no ;;
  together) set -- checkpoint.async=no checkpoint.io=collective ;;
  esac
  # shellcheck disable=SC2086
  many 2 train $words "$@"
}

# watched WAY RANK: what calls there are on a rank, in calls.WAY.RANK
watched ()
{
  rm -rf run
  LD_PRELOAD=$tmp/inject.so INJECT_NTH=0 INJECT_RANK=$2 INJECT_BELOW=$PWD/run \
    INJECT_LOG=$tmp/calls.$1.$2 train "$1"
}

# whole WAY: the last checkpoint is that of the undisturbed run
whole () { cmp -s "$last" "../$1.h5"; }

# struck WAY RANK KIND NTH ERROR [LASTING]: the run with the fault; sets code
struck ()
{
  rm -rf run
  : >"$tmp/hit"
  (
    LD_PRELOAD=$tmp/inject.so INJECT_RANK=$2 INJECT_KIND=$3 INJECT_NTH=$4
    INJECT_ERROR=$5 INJECT_BELOW=$PWD/run
    export LD_PRELOAD INJECT_RANK INJECT_KIND INJECT_NTH INJECT_ERROR \
      INJECT_BELOW
    [ -z "${6-}" ] || { INJECT_LASTING=1; export INJECT_LASTING; }
    train "$1"
  )
  code=$?
}

# strike "CODES" WAY RANK KIND NTH ERROR [LASTING]: one place, judged
strike ()
{
  codes=$1
  shift
  struck "$@"
  hit=$(sed -n '1s/.*\/run/run/p;1s/.*\(+0x.*\)/\1/p' "$tmp/hit")
  name="$*: ${hit:-not reached}: $code"
  echo "${code}" >>"$tmp/codes"
  why=
  case " $codes " in *" $code "*) ;; *) why="not one of $codes" ;; esac
  [ $code = 124 ] && why="hangs"
  grep -q 'on signal\|Signal code' errors && why="died of a signal"
  cp errors said "$tmp" 2>/dev/null
  if [ -z "$why" ] && [ $code = 0 ]; then
    { whole "$1" && grep -q '^finished 0 step=6' run/status; } ||
      why="exit 0, and no whole last checkpoint or status"
  elif [ -z "$why" ]; then
    train "$1"
    again=$?
    if [ $again != 0 ]; then
      why="the next start ends with $again"
    elif ! whole "$1"; then
      why="another last checkpoint after the next start"
    elif grep -q 'passed over' errors; then
      why="left a damaged checkpoint"
    fi
  fi
  [ -z "$why" ] || [ $code = 0 ] || cp "$tmp/errors" "$tmp/said" .
  [ -z "$why" ]
  ok $? "$name${why:+ ($why)}"
}

mkdir runs && cd runs || exit 1
# undisturbed WAY RANK
undisturbed ()
{
  watched "$1" "$2" && [ -s "$tmp/calls.$1.$2" ] && cp $last "../$1.h5"
  ok $? "$1: calls of rank $2, nothing fails"
}

# chosen "CODES" WAY RANK KIND PATTERN WHICH ERROR [LASTING]: the WHICH-th ($: the
# last) call whose file fits
chosen ()
{
  codes=$1 way=$2 rank=$3 kind=$4
  place=$(grep "^$4 [0-9]* .*$5" "$tmp/calls.$2.$3" | sed -n "$6p" |
    cut -d ' ' -f 2)
  if [ -z "$place" ]; then
    n=$((n + 1))
    echo "ok $n - no such call here: $4 $5 # SKIP"
    return
  fi
  shift 6
  strike "$codes" "$way" "$rank" "$kind" "$place" "$@"
}

# -- chosen places -------------------------------------------------------------

if [ -z "${INTERLOCK_BIG-}" ]; then
  undisturbed beside 0
  undisturbed beside 1
  undisturbed waiting 1
  part='step-000000002.h5.*part$'
  # What a run cannot do without.
  chosen 74 beside 0 write 'lock' 1 ENOSPC
  chosen 74 beside 0 rename 'config.ini$' 1 EDQUOT
  chosen 74 beside 0 sync 'config.ini.*part$' 1 EIO
  # One save that fails is no harm; all of them are.
  chosen 0 beside 0 mkdir 'checkpoints$' 1 ENOSPC
  chosen 0 beside 0 allocate "$part" 1 ENOSPC
  chosen 0 beside 0 write "$part" 1 ENOSPC
  chosen 0 beside 0 write "$part" 9 ENOSPC
  chosen 74 beside 0 write "$part" 9 ENOSPC lasting
  chosen 0 beside 0 close "$part" 3 EIO
  chosen 74 beside 0 close "$part" 1 EIO lasting
  chosen 0 beside 0 rename 'step-000000002.h5$' 1 ENOSPC
  chosen 0 beside 1 write "$part" 5 EDQUOT
  chosen 0 beside 1 write "$part" 5 short
  chosen 74 beside 1 sync "$part" 1 EIO lasting
  chosen 0 beside 1 open "$part" 1 EMFILE
  # The rows for a checkpoint need no descriptor: all opens are those of the start.
  late=$($AWK '/^open .*metrics.csv$/ && saved { n++ }
    / .*step-000000002.h5/ { saved = 1 } END { print n + 0 }' \
    "$tmp/calls.beside.0")
  [ "$late" = 0 ]
  ok $? "no save opens metrics.csv ($late times)"
  # Open MPI hangs where one rank cannot open.
  chosen 74 waiting 1 open "$part" 1 EMFILE lasting
  # The last words.
  chosen 0 beside 0 rename 'status$' '$' ENOSPC
  chosen 0 beside 0 rename 'status$' '$' ENOSPC lasting
  chosen 74 beside 0 write 'status.*part$' '$' ENOSPC lasting
  # Memory and threads.
  chosen 69 beside 0 memory . 5 ENOMEM
  chosen 69 beside 1 memory . 300 ENOMEM
  chosen 69 beside 0 thread . '$' EAGAIN
  chosen 69 beside 1 thread . '$' EAGAIN
fi

# -- all over the run -----------------------------------------------------------

# errors_of KIND: what such calls meet
errors_of ()
{
  case $1 in
  write) echo ENOSPC EIO EDQUOT short ;;
  open) echo EMFILE EIO ENOSPC ;;
  memory) echo ENOMEM ;;
  thread) echo EAGAIN ;;
  sync | close) echo EIO ENOSPC EDQUOT ;;
  *) echo ENOSPC EDQUOT EIO ;;
  esac
}

codes_of ()
{
  case $1 in
  memory) echo 0 69 ;;
  thread) echo 0 69 ;; # the one that watches over waiting may lack
  open) echo 0 69 74 ;;
  *) echo 0 74 ;;
  esac
}

# spread CALLS MOST: so many numbers from 1 to CALLS, evenly
spread ()
{
  $AWK -v n="$1" -v most="$2" 'BEGIN { m = n < most ? n : most
    for (i = 0; i < m; i++) print int(i * n / m) + 1 }'
}

# all_over WAY RANK: of every kind
all_over ()
{
  for kind in ${KINDS-write sync rename open close truncate allocate mkdir \
    unlink memory thread}; do
    calls=$(grep -c "^$kind " "$tmp/calls.$1.$2")
    turn=0
    for place in $(spread "$calls" "${MOST-32}"); do
      way=$1 rank=$2
      # shellcheck disable=SC2046
      set -- $(errors_of "$kind")
      shift $((turn / 2 % $#))
      lasting=
      [ $((turn % 2)) = 1 ] && [ "$1" != short ] && lasting=lasting
      turn=$((turn + 1))
      strike "$(codes_of "$kind")" "$way" "$rank" "$kind" "$place" "$1" $lasting
      set -- "$way" "$rank"
    done
  done
}

if [ -n "${INTERLOCK_BIG-}" ]; then
  for way in ${WAYS-beside waiting}; do
    for rank in ${RANKS-0 1}; do
      undisturbed "$way" "$rank"
      all_over "$way" "$rank"
    done
  done
  # A rank that cannot open anything from some moment on.
  undisturbed together 1
  for place in 1 3 5; do
    strike 74 together 1 open $place EMFILE lasting
  done
fi

sort -n "$tmp/codes" | uniq -c | while read -r times code; do
  echo "# exit $code: $times times"
done
done_testing

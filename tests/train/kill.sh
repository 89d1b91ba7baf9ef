#!/bin/sh
# tests/train/kill.sh -- a run that is killed again and again, at random moments
# (from a seed), while it leaves checkpoints all the time: it always goes on, no
# file under its final name is damaged, and what it leaves in the end is what an
# undisturbed run leaves, byte for byte.  Prints TAP.
#
# KILLS: how many on one rank (42; with INTERLOCK_BIG 400) and a fifth of that on
# two.  SEED: of the moments.  Every kill costs a start, a second or two where the
# machine is slow:
# limit: 600

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

[ -n "$limited" ] && limited="timeout -k 5 200"
kills=${KILLS-42}
[ -n "${INTERLOCK_BIG-}" ] && kills=${KILLS-400}
seed=${SEED-7}
steps=1200
words="train.steps=$steps train.eval_every=1000 checkpoint.every=5
  checkpoint.keep=3 run.attempts=0"
last=$(printf 'run/checkpoints/step-%09d.h5' $steps)

# moments N: so many waits in seconds
moments ()
{
  $AWK -v n="$1" -v seed="$seed" 'BEGIN { srand(seed)
    while (n-- > 0) printf "%.3f\n", rand() * 0.2 }'
}

starts ()
{
  grep -c '^{"event":"\(start\|resume\)"' run/events.jsonl 2>/dev/null
}

# kill_once WAIT COMMAND...: start it, wait until its training has begun and WAIT
# seconds longer, kill a process of it.  Sets code: 0 when it came to its end
# before.
kill_once ()
{
  pause=$1
  shift
  before=$(starts)
  "$@" >said 2>errors </dev/null &
  pid=$!
  tries=0
  while [ "$(starts)" = "$before" ] && kill -0 $pid 2>/dev/null &&
    [ $tries -lt 1000 ]; do
    sleep 0.02
    tries=$((tries + 1))
  done
  sleep "$pause"
  victim=$pid all=''
  if [ "$ranks" -gt 1 ]; then
    for stat in /proc/[0-9]*/stat; do
      # Only a rank carries the name of the program.
      read -r child name _ parent _ 2>/dev/null <"$stat" || continue
      [ "$parent" = $pid ] && [ "$name" = "(${I##*/})" ] &&
        victim=$child all="$all $child"
    done 2>/dev/null
  fi
  kill -KILL "$victim" 2>/dev/null
  wait $pid 2>/dev/null
  code=$?
  # The launcher may leave before the last of its ranks.
  for child in $all; do
    tries=0
    while alive "$child" && [ $tries -lt 200 ]; do
      sleep 0.05
      tries=$((tries + 1))
    done
  done
}

alive () # PID: there, and no zombie
{
  read -r _ _ state _ 2>/dev/null <"/proc/$1/stat" && [ "$state" != Z ]
} 2>/dev/null

# check_files: every file under a final name is whole
check_files ()
{
  for f in run/checkpoints/*.h5; do
    [ -e "$f" ] || continue
    "$I" info --check "$f" >said 2>errors || { damaged=$f; return 1; }
  done
}

# an undisturbed run
mkdir whole
cd whole || exit 1
# shellcheck disable=SC2086
one train $small $words
ok $? "a run that nobody kills"
cd .. || exit 1

# killed RANKS N: until N have been killed, in as many runs as that takes
killed ()
{
  ranks=$1 wanted=$2
  mkdir "killed$ranks"
  cd "killed$ranks" || exit 1
  killed=0 ended=0 damaged='' differs='' code=0
  if [ "$ranks" -gt 1 ]; then
    start=
    for word in $launcher; do
      case $word in
      NP) word=$ranks ;;
      *=NP) word=${word%NP}$ranks ;;
      esac
      start="$start $word"
    done
  else
    start=
  fi
  for pause in $(moments "$wanted"); do
    # shellcheck disable=SC2086
    kill_once "$pause" $start "$I" train $small $words
    case $code in
    0)
      ended=$((ended + 1))
      cmp -s "$last" "../whole/$last" || differs="run $ended"
      rm -rf run
      ;;
    64 | 65 | 69 | 70 | 74 | 76 | 77)
      break
      ;;
    *) killed=$((killed + 1)) ;;
    esac
    check_files || break
  done
  case $code in
  0 | 137 | 143 | 1) true ;;
  *) [ $code -gt 128 ] ;;
  esac
  ok $? "$ranks ranks: always resumable; $killed of $wanted killed, $ended ended, last status $code"
  [ -z "$damaged" ]
  ok $? "$ranks ranks: no damaged file under a final name $damaged"
  [ $killed -ge $((wanted * 3 / 4)) ]
  ok $? "$ranks ranks: $killed killed in the middle"
  resumed=$(grep -c '^{"event":"resume"' run/events.jsonl)
  # shellcheck disable=SC2086
  many "$ranks" train $small $words
  code=$?
  [ $code = 0 ] && check_files
  ok $? "$ranks ranks: then it comes to its end, $code, after $resumed resumes"
  cmp "$last" "../whole/$last" >said 2>&1 && [ -z "$differs" ]
  ok $? "$ranks ranks: and leaves the same file, byte for byte $differs"
  [ -z "$(ls run/checkpoints/*.part 2>/dev/null)" ]
  ok $? "$ranks ranks: and nothing half-written"
  cd .. || exit 1
}

killed 1 "$kills"
killed 2 "$((kills / 5))"
done_testing

#!/bin/sh
# tests/main/output.sh -- every command that writes a file by a name from the
# command line writes through links and pipes; an import that a signal ends
# leaves nothing behind.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
TMPDIR=$tmp/parts
export TMPDIR
mkdir parts far

# shellcheck disable=SC2086
(mkdir run && cp data.h5 far && cd run && one train $small train.steps=2) ||
  { echo "1..0 # SKIP no run"; exit 0; }
seq 1 3000 >text.txt
net="model.groups=8x2,16x2 stages.count=2 --stages 2,4"

# through NAME KIND ARGUMENT...: the words, with OUT for the output, make what
# they make in a plain file also behind a link and through a pipe.  KIND: same
# (bytes), or any (they differ between calls).
through ()
{
  name=$1 kind=$2
  shift 2
  for out in plain link pipe; do
    rm -f plain link pipe far/target got
    case $out in
    link) ln -s far/target link ;;
    pipe)
      mkfifo pipe
      $limited cat pipe >got &
      reader=$!
      ;;
    esac
    words=
    for word in "$@"; do
      case $word in OUT) word=$out ;; esac
      words="$words $word"
    done
    # shellcheck disable=SC2086
    one $words
    status=$?
    case $out in
    plain)
      [ $status = 0 ] && [ -s plain ]
      ok $? "$name: a file"
      cp plain wanted
      continue
      ;;
    link) made=far/target test=-L ;;
    pipe)
      [ $status = 0 ] || : >pipe & # wakes a reader that nobody has served
      wait $reader
      made=got test=-p
      ;;
    esac
    [ $status = 0 ] && [ $test $out ] && [ -s $made ] &&
      { [ $kind = any ] || cmp -s wanted $made; }
    ok $? "$name: a $out"
  done
}

through "report --csv" same report run/run --csv -o OUT
through "report" any report run/run -o OUT
through "plan --map --csv" same plan --map $net --csv OUT
through "plan --map --svg" same plan --map $net --svg OUT
through "import synthetic" same import -q synthetic train=8 valid=2 test=2 \
  classes=2 size=8 -o OUT
through "import text" same import -q text text.txt -o OUT
one info wanted
[ $? = 0 ] && cp wanted far/whole && one info --check far/whole
ok $? "what was made is a data set"

# Its two files with a name of their own, by way of links.
ln -s far elsewhere
(cd run && one probe run -o ../elsewhere --samples 16)
if [ $? = 0 ]; then
  [ -L elsewhere ] && ls far/*-stages.csv >/dev/null
  ok $? "probe: a directory behind a link"
else
  ok 0 "probe # SKIP not built"
fi

# /dev/stdout as the shell has opened it.
echo before >far/added
# shellcheck disable=SC2086
$limited "$I" report run/run --csv -o /dev/stdout >>far/added 2>errors
[ "$(head -n 1 far/added)" = before ] && [ "$(wc -l <far/added)" -gt 1 ]
ok $? "/dev/stdout: added to, as the shell was told"
mkdir -p only && one report run/run --csv -o only
[ $? = 64 ] && grep -q 'is a directory' errors
ok $? "a directory is refused"
[ -z "$(ls parts)" ] && [ -z "$(find . -name '*.part*')" ]
ok $? "nothing half-made is left"

# -- ended by a signal ----------------------------------------------------------------

# ended SIGNAL ARGUMENT...: an import that the signal finds at work on its file.
ended ()
{
  signal=$1
  shift
  "$I" import -q "$@" -o far/half.h5 >said 2>errors </dev/null &
  pid=$!
  tries=0
  until [ -n "$(find far -name 'half.h5.*.part*')" ] || [ $tries -gt 2000 ]; do
    sleep 0.005
    tries=$((tries + 1))
  done
  kill -$signal $pid
  wait $pid 2>/dev/null
  status=$?
  { [ $status -gt 128 ] || [ $status = 0 ]; } &&
    [ -z "$(find far -name 'half.h5.*.part*')" ]
  ok $? "import $1, $signal: ends, and nothing half-made is left"
  rm -f far/half.h5
}
ended TERM synthetic train=40000 classes=10 size=32
ended USR1 synthetic train=40000 classes=10 size=32
seq 1 3000000 >text.txt
ended USR2 text text.txt
ended HUP text text.txt

done_testing

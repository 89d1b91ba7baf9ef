#!/bin/sh
# tests/base/launch.sh -- the runner of tests, on programs that misbehave.
#
# Small made programs go through tests/launch, and what it says about them is
# compared with what it must say.  No MPI: the launcher is a script that repeats
# a program NP times.

top=${abs_top_srcdir-$(dirname "$0")/../..}
top=$(cd "$top" && pwd)
dir=$(mktemp -d "${TMPDIR-/tmp}/launch-test.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/tests/x"

n=0
bad=0
check () { # verdict, name
  n=$((n + 1))
  if [ "$1" -eq 0 ]; then
    echo "ok $n - $2"
  else
    echo "not ok $n - $2"
    sed 's/^/#   /' "$dir/got"
    bad=1
  fi
}

# A program: name, ranks line, body of a shell script.
make () {
  echo "$2" >"$dir/tests/x/$1.c"
  printf '#!/bin/sh\n%s\n' "$3" >"$dir/tests/x/$1"
  chmod +x "$dir/tests/x/$1"
}

cat >"$dir/repeat" <<'END'
#!/bin/sh
[ "$1" = -n ] || exit 9
COUNT=$2
export COUNT
shift 2
exec "$@"
END
chmod +x "$dir/repeat"

launch () {
  (cd "$dir" && abs_top_srcdir=$dir TESTMPIRUN="$dir/repeat -n NP" \
    TEST_TIMEOUT=2 sh "$top/tests/launch" "./tests/x/$1") \
    >"$dir/got" 2>/dev/null
  echo $? >"$dir/rc"
}

# Name, exit status, the stream without its comments ('|' between lines).
expect () {
  launch "$1"
  stream=$(grep -v '^#' "$dir/got" | tr '\n' '|')
  [ "$(cat "$dir/rc")" -eq "$2" ] && [ "$stream" = "$3" ]
  check $? "$1: $4"
  [ "$stream" = "$3" ] || echo "#   wanted: $3"
}

zero='/* ranks: 0 */'
make good "$zero" 'echo "ok 1 - a"; echo "ok 2 - b"; echo 1..2'
expect good 0 'ok 1 - a|ok 2 - b|1..2|' "passes through"

# shellcheck disable=SC2016
make many '/* ranks: 1 3 */' 'echo 1..1; echo "ok 1 - count $COUNT"'
expect many 0 'ok 1 - [1] count 1|ok 2 - [3] count 3|1..2|' "renumbered"

make fails "$zero" 'echo 1..2; echo "ok 1 - a"; echo "not ok 2 - b"; exit 1'
expect fails 1 'ok 1 - a|not ok 2 - b|1..2|' "a failure is kept"

make short "$zero" 'echo 1..2; echo "ok 1 - a"'
expect short 1 'ok 1 - a|not ok 2 - planned 2 tests and ran 1|1..2|' \
  "tests that are missing"

make mute "$zero" ':'
expect mute 1 'not ok 1 - ended without a plan, exit status 0|1..1|' "no plan"

# shellcheck disable=SC2016
make crash "$zero" 'echo "ok 1 - a"; kill -SEGV $$'
expect crash 1 'ok 1 - a|not ok 2 - ended by signal 11|1..2|' "a crash"

make code "$zero" 'echo 1..1; echo "ok 1 - a"; exit 3'
expect code 1 'ok 1 - a|not ok 2 - exit status 3|1..2|' \
  "a bad exit after good tests"

make slow "$zero" 'echo 1..1; sleep 30; echo "ok 1 - a"'
expect slow 1 'not ok 1 - took longer than 2 s, or was killed|1..1|' \
  "the time limit"

# shellcheck disable=SC2016
make half '/* ranks: 2 3 */' 'echo 1..1; [ "$COUNT" = 2 ] && echo "ok 1 - a"'
expect half 1 \
  'ok 1 - [2] a|not ok 2 - [3] planned 1 tests and ran 0|1..2|' \
  "one count of two fails"

make skip "$zero" 'echo "1..0 # SKIP no network"'
expect skip 0 'ok 1 - # SKIP no network|1..1|' "a whole program skipped"

make chatty "$zero" 'echo hello; echo "ok 1 - a"; echo 1..1'
launch chatty
grep -q '^# hello$' "$dir/got"
check $? "chatty: other output becomes a comment"

make headless 'int main;' 'echo "ok 1 - a"; echo 1..1'
expect headless 1 \
  'not ok 1 - ./tests/x/headless: the first line of its source names no ranks|1..1|' \
  "no rank counts"

printf '%s\n' '#!/bin/sh' '# limit: 1' 'echo 1..1; sleep 20; echo "ok 1 - a"' \
  >"$dir/tests/x/own.sh"
(cd "$dir" && TEST_TIMEOUT='' sh "$top/tests/launch" ./tests/x/own.sh) 2>/dev/null |
  grep -q '^not ok 1 - took longer than 1 s'
check $? "own: a script's own time limit"

echo "1..$n"
exit $bad

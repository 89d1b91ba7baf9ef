# tests/limits.sh -- what those tests share that run other tests once more, with
# a library limited to some of the processor's instructions; sourced.
#
# Such a test runs in `make check-big' (INTERLOCK_BIG) only, and where the program
# needs, one of those that it runs, is built.  Sets top, built, I (the program),
# out (a file for what a test says) and the functions has, ok, is_test,
# done_testing.

LC_ALL=C
export LC_ALL
top=${abs_top_srcdir-$(dirname "$0")/../..}
built=${abs_top_builddir-.}
I=${INTERLOCK-$built/interlock}

[ -n "${INTERLOCK_BIG-}" ] || {
  echo "1..0 # SKIP long: make check-big has it"
  exit 0
}
[ -x "$built/$needs" ] || {
  echo "1..0 # SKIP no test programs in $built (make check-programs)"
  exit 0
}
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
trap 'exit 1' HUP INT TERM

n=0
failed=0
ok () # STATUS NAME: what was said in $out is shown when STATUS is not 0
{
  n=$((n + 1))
  if [ "$1" = 0 ]; then
    printf 'ok %d - %s\n' $n "$2"
  else
    printf 'not ok %d - %s\n' $n "$2"
    grep -Ev '^ok|^1\.\.' "$out" | sed 's/^/# /'
    failed=1
  fi
}

done_testing ()
{
  echo "1..$n"
  exit $failed
}

# has FLAG...: whether the processor says all of these of itself.
has ()
{
  for flag; do
    grep -m 1 '^flags' /proc/cpuinfo 2>/dev/null | grep -qw "$flag" || return 1
  done
}

# is_test FILE: a program of its own, not a part of others.
is_test ()
{
  sed -n 1p "$1" | grep -q '^/\* ranks:'
}

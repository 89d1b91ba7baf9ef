#!/bin/sh
# tests/main/refusals.sh -- doc/refusals.md is true: its files are made as it
# says, every command of its tables is run, and code, place and words are those
# of the row.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
page=${abs_top_srcdir-$(dirname "$0")/../..}/doc/refusals.md
case $page in /*) ;; *) page=$OLDPWD/$page ;; esac

interlock () {
  # shellcheck disable=SC2086
  $limited "$I" "$@" </dev/null
}
on () { # N interlock ARGUMENT...
  ranks=$1
  shift 2
  many "$ranks" "$@"
  code=$?
  cat said
  cat errors >&2
  return $code
}

skip () { # words
  n=$((n + 1))
  printf 'ok %d # SKIP %s\n' $n "$1"
}

# What the page's first block of shell makes.
sed -n '/^```sh$/,/^```$/{/^```/!p;}' "$page" >make.sh
. ./make.sh >said 2>errors
[ -s done/metrics.csv ] && [ -s short.h5 ] && [ -s text.h5 ]
ok $? "the files are made as the page says"

# Rows: what, command, where, words, code, a tab between them.
sed -n 's/^| \(.*\) | `\(.*\)` | `\(.*\)` | `\(.*\)` | \([0-9]*\) |$/\1\t\2\t\3\t\4\t\5/p' \
  "$page" >rows
[ "$(wc -l <rows)" -ge 40 ] &&
  [ "$(wc -l <rows)" = "$(grep -c '^| .*interlock.* | [0-9]* |$' "$page")" ]
ok $? "$(wc -l <rows) rows, and every row is one"
tab=$(printf '\t')
images=$("$I" --version | grep -c 'turbo [0-9]')
while IFS=$tab read -r what command where words code; do
  case $command in
  *"import folder odd valid"*)
    [ "$images" -gt 0 ] || { skip "$what: no libjpeg-turbo here"; continue; } ;;
  esac
  eval "$command" >out 2>err
  got=$?
  cp err errors
  printf 'left with %s\n' $got >said
  [ $got = "$code" ] && [ "$(tr -cd '\11\12\40-\176' <err |
    grep -F -e "$where" | grep -c -F -e "$words")" -ge 1 ]
  ok $? "$what: $command"
done <rows
[ -z "$(find . -name "x.h5*" -o -name "*.part")" ]
ok $? "none has left half a file behind"
done_testing

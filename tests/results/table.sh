#!/bin/sh
# tests/results/table.sh -- what a sweep has come to so far, as Markdown for a
# document of this folder.
#
#     sh tests/results/table.sh SWEEP [RANKS [--unlike]]
#
# RANKS: for which the time is predicted, as in 4,8.  INTERLOCK: the program.  To
# be given where the sweep was run.  Writes to the terminal: first what was
# reached, with runs that have not finished counted, then more of those that have.

sweep=${1:?"usage: sh tests/results/table.sh SWEEP [RANKS [--unlike]]"}
I=${INTERLOCK:-interlock}
on=${2:+--on $2}
unlike=$3

table () # NAME TITLE ON RUN...
{
  name=$1 title=$2 on=$3
  shift 3
  # shellcheck disable=SC2086 # options, or nothing
  "$I" report "$@" --markdown --table "$name" $on $unlike >"$part" || exit
  # More than a head and a line below it.
  if [ "$(grep -c '^|' "$part")" -gt 2 ]; then
    printf '\n## %s\n\n' "$title"
    cat "$part"
  fi
}

part=$(mktemp) || exit
trap 'rm -f "$part"' EXIT
first=$("$I" sweep "$sweep" dir 1) || exit
printf '%s, %s:\n\n' "$(date -u +%Y-%m-%d)" "$("$I" --version | head -n 1)"
sed -n '/^\[/q; s/^; \(    interlock import\)/\1/p; s/^; \(    .* run .*\)/\1/p' \
  "$sweep"
printf '\nThe sweep: %s.\n' "$("$I" sweep "$sweep" | tail -n 1)"
table results "What was reached" "$on" "$(dirname "$first")"
beside=${sweep%.sweep}-published.md
if [ -s "$beside" ]; then
  echo
  cat "$beside"
fi
set --
for i in $("$I" sweep "$sweep" --csv | sed -n 's/^\([0-9]*\),[^,]*,finished,.*/\1/p')
do
  set -- "$@" "$("$I" sweep "$sweep" dir "$i")"
done
[ $# -gt 0 ] || exit 0
table compare "At equal samples, operations and time" "$on" "$@"
table heads "By depth" "" "$@"
table cost "What it costs" "" "$@"
table scale "How large outputs and gradients are" "" "$@"
table agreement "Where the gradients point" "" "$@"
table probe "What stages know" "" "$@"

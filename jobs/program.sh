#!/bin/sh
# jobs/program.sh -- question: which interlock do these jobs start?
#
#     sh jobs/program.sh
#
# Nodes: any.  Minutes: 0.
# Output: one line, its path: INTERLOCK; the one built beside jobs/, in build/; the
# one installed with jobs/; the one in PATH.  69 where there is none.
set -eu

jobs=$(cd "$(dirname "$0")" && pwd)
if [ -n "${INTERLOCK-}" ]; then
  echo "$INTERLOCK"
  exit 0
fi
for program in "$jobs/../build/interlock" "$jobs/../../../bin/interlock"; do
  [ -x "$program" ] || continue
  echo "$(cd "$(dirname "$program")" && pwd)/interlock"
  exit 0
done
command -v interlock || {
  echo "no program: set INTERLOCK, or build in ${jobs%/*}/build" >&2
  exit 69
}

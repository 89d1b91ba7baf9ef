#!/bin/sh
# tests/main/receipt.sh -- doc/resume.md is what a run with a damaged newest
# checkpoint says and writes: the page's commands are run, and what they say is
# compared, but for times, hosts, digests and sizes.  Prints TAP.
#
#     tests/main/receipt.sh --print
#
# prints the page with what they say here.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
page=${abs_top_srcdir-$(dirname "$0")/../..}/doc/resume.md
case $page in /*) ;; *) page=$OLDPWD/$page ;; esac
unset SLURM_JOB_ID SLURM_RESTART_COUNT SLURM_JOB_END_TIME

[ "${1-}" != --print ] || ok () { :; }

interlock () {
  # shellcheck disable=SC2086
  $limited "$I" "$@" </dev/null
}

# What a page shows of what was said: of a start the lines about going on, saving
# and results; of a receipt each value on its own line.
shown () {
  sed -e '/^ *\/\(model\|optimizer\)\//d' -e 's/^{\(.*\)}$/\1/' |
    $AWK '/^to stop it/ { next } /^interlock [0-9]/ { skip = 1; next }
      / steps of / { skip = 0 } /^where the time/ { skip = 1 }
      !skip' |
    sed -e '/"event":/s/,"/,\n"/g' | sed '/^$/d'
}
# What may differ.
plain () {
  sed -e 's/[0-9]\{4\}-[0-9-]* [0-9:]*/TIME/' -e 's/[0-9a-f]\{16,32\}/DIGEST/g' \
    -e 's/[0-9.]\{1,\} [num]*s\b/TIME/g' -e 's/[0-9.]* [kMG]*B/SIZE/g' \
    -e 's/, on [^ ]*$/, on HOST/' -e 's/^\(  made with \).*/\1/' -e 's/ *(.*//' \
    -e 's/loss=.*/loss/' -e 's/\("time":\).*/\1/' \
    -e 's/\("\(was_\)*\(program\|kernels\|isa\|processor\|mpi\|hdf5\|images\|hosts*\)":\).*/\1/'
}

# Blocks of shell, and the text behind each: sh-1, text-1, ...
$AWK '/^```sh$/ { file = "sh-" ++n; printf "" >file; next }
  /^```text$/ { file = "text-" n; printf "" >file; next }
  /^```/ { file = ""; next }
  file { print >file }' "$page"
for block in 1 2 3 4 5; do
  . "./sh-$block" >raw 2>errors
  code=$?
  # What a person sees: messages first, as they come before a start's.
  cat errors raw | shown >"now-$block"
  cp "now-$block" said
  case $block in
  1) [ $code = 0 ]; ok $? "a run, and its last checkpoint cut" ;;
  2) [ $code = 65 ]; ok $? "asked for, it is damaged: 65" ;;
  *) [ $code = 0 ]; ok $? "$(head -n 1 "sh-$block"): 0" ;;
  esac
done
if [ "${1-}" = --print ]; then
  $AWK '/^```sh$/ { n++ } { print } /^```text$/ { skip = 1
      while ((getline line <("now-" n)) > 0) print line }
    skip { while ((getline line) > 0 && line != "```"); print "```"; skip = 0 }' \
    "$page"
  exit
fi
for block in 2 3 4 5; do
  plain <"text-$block" >wanted
  plain <"now-$block" | diff wanted - >said ||
    echo "doc/resume.md: tests/main/receipt.sh --print makes it anew" >>said
  [ "$(wc -l <said)" = 0 ] && [ -s wanted ]
  ok $? "$(head -n 1 "sh-$block"): as the page shows"
done
for part in weights optimizer state; do
  saved=$(sed -n "s/^\"saved_$part\":\"\(.*\)\",*$/\1/p" now-5)
  [ -n "$saved" ] &&
    [ "$saved" = "$(sed -n "s/^\"loaded_$part\":\"\(.*\)\",*$/\1/p" now-5)" ]
  ok $? "$part: loaded what was saved"
done
done_testing

#!/bin/sh
# tests/train/unlike.sh -- ranks on unlike machines: what all have is used, with the
# bits of a run in which nobody has more; what cannot be brought together is
# refused with names, values, ranks and hosts.
#
# One rank is made to have less by a variable of the kernel library.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

case $launcher in
mpirun* | mpiexec* | */mpirun* | */mpiexec*) ;;
*)
  echo "1..0 # SKIP $launcher gives all ranks one environment"
  exit 0
  ;;
esac
unset ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA
have=$("$I" --version | sed -n 's/^oneDNN [^,]*, \([a-z0-9_]*\), .*/\1/p')
case $have in
avx512_core*) low=avx2 LOW=AVX2 ;;
avx*) low=sse41 LOW=SSE41 ;;
*)
  echo "1..0 # SKIP $have has no level below it"
  exit 0
  ;;
esac

# mixed SETTING... -- WORD...: two ranks, the first with settings of its
# environment.
mixed ()
{
  settings=
  while [ "$1" != -- ]; do
    settings="$settings $1"
    shift
  done
  shift
  # shellcheck disable=SC2086
  launched 1 env $settings "$I" "$@" : -n 1 env "$I" "$@"
}

both () # WORD...: two ranks alike
{
  many 2 "$@"
}

# train FOLDER COMMAND...: a small run in a folder of its own.
in_folder ()
{
  mkdir -p "$1" && cd "$1" || exit 1
  shift
  "$@"
  got=$?
  mv said errors .. && cd .. || exit 1
  return $got
}
run="$small train.steps=3"

digests () # FOLDER: of its last checkpoint
{
  grep '^{"event":"checkpoint"' "$1/run/events.jsonl" |
    sed 's/.*"weights":/"weights":/' | tail -n 1
}

warned="run.isa = auto: all ranks work with $low, which all have (rank 0 on \
[^:]*: $low; rank 1 on [^:]*: $have)"

# -- auto ------------------------------------------------------------------------

# shellcheck disable=SC2086
in_folder mixed mixed ONEDNN_MAX_CPU_ISA=$LOW -- train $run
[ $? = 0 ] && cat said errors | grep -q "$warned"
ok $? "auto: unlike ranks train, with a word"
# shellcheck disable=SC2086
ONEDNN_MAX_CPU_ISA=$LOW in_folder limited both train $run
[ $? = 0 ] && ! cat said errors | grep -q 'run.isa ='
ok $? "auto: ranks that have $low alike, without a word"
# shellcheck disable=SC2086
in_folder key both train $run run.isa=$low
[ $? = 0 ] && ! cat said errors | grep -q 'run.isa ='
ok $? "run.isa = $low on ranks that have more"
[ -n "$(digests mixed)" ] && [ "$(digests mixed)" = "$(digests limited)" ] &&
  [ "$(digests mixed)" = "$(digests key)" ]
ok $? "all three have the same bits"
grep -q "^isa = $low$" mixed/run/facts.ini &&
  grep -q "\"isa\":\"$low\"" mixed/run/events.jsonl &&
  grep -q "oneDNN [^,]*, $low, " mixed/run/log
ok $? "facts, events and log name the level in use"

# -- native and names ------------------------------------------------------------

# shellcheck disable=SC2086
in_folder native mixed ONEDNN_MAX_CPU_ISA=$LOW -- train $run run.isa=native
[ $? = 69 ] && complaints | grep -q "run.isa = native: .*rank 0 on [^:]*: $low; \
rank 1 on [^:]*: $have"
ok $? "native: unlike ranks are refused"
# shellcheck disable=SC2086
in_folder native mixed ONEDNN_MAX_CPU_ISA=$LOW -- train $run run.isa=$have
[ $? = 69 ] && complaints | grep -q "run.isa = $have: not all ranks have it: \
rank 0 on [^:]*: $low"
ok $? "a level that one rank lacks is refused"
case $("$I" --version) in
*"oneDNN 2."*) other=avx512_core_fp16 ;;
*) other=avx512_mic ;;
esac
# shellcheck disable=SC2086
in_folder other one train $run run.isa=$other
[ $? = 69 ] && complaints | grep -q "run.isa = $other: .* has no such level"
ok $? "$other is of another generation of the library"
# shellcheck disable=SC2086
in_folder other one train $run run.isa=avx22
[ $? = 64 ] && complaints | grep -q 'run.isa = avx22: .*did you mean avx2?'
ok $? "avx22 is no level"

# -- other commands --------------------------------------------------------------

# A word for this start, whatever the checkpoint says.
in_folder key mixed ONEDNN_MAX_CPU_ISA=$LOW -- eval run run.isa=auto
[ $? = 0 ] && cat said errors | grep -q "$warned"
ok $? "eval: with a word"
if ! "$I" --version | grep -q 'without ScaLAPACK'; then
  in_folder key mixed ONEDNN_MAX_CPU_ISA=$LOW -- probe run --samples=32 \
    run.isa=native
  [ $? = 69 ] && complaints | grep -q "run.isa = native: "
  ok $? "probe: native refuses"
fi
# The matrix library follows another variable, where it is one that listens.
in_folder key mixed OPENBLAS_CORETYPE=Prescott -- probe run --samples=32
got=$?
case $(cat said errors) in
*Prescott* | *PRESCOTT*)
  [ $got = 0 ] && cat said errors | tr '[:upper:]' '[:lower:]' | grep -q \
    'the matrix library is not the same on all ranks.*rank 0 on .*prescott'
  ok $? "probe: unlike matrix libraries, with a word"
  ;;
*) ok 0 "probe: unlike matrix libraries # SKIP it is none of OpenBLAS" ;;
esac
# shellcheck disable=SC2086
in_folder key mixed ONEDNN_MAX_CPU_ISA=$LOW -- plan $run --calibrate=costs.ini \
  run.isa=native
[ $? = 69 ] && complaints | grep -q "run.isa = native: "
ok $? "plan --calibrate: native refuses"

# -- what cannot be brought together ---------------------------------------------

# shellcheck disable=SC2086
in_folder threads mixed OMP_NUM_THREADS=2 -- train $run
[ $? = 64 ] && complaints | grep -q "threads of a rank: not the same .*rank 0 on \
[^:]*: 2; rank 1 on [^:]*: 1; set OMP_NUM_THREADS"
ok $? "unlike threads are refused"
# shellcheck disable=SC2086
in_folder threads mixed ONEDNN_DEFAULT_FPMATH_MODE=BF16 -- train $run
[ $? = 64 ] && complaints | grep -q 'element type: not the same .*bf16.*strict'
ok $? "unlike arithmetic is refused"

# -- going on --------------------------------------------------------------------

# shellcheck disable=SC2086
in_folder key both train $run train.steps=5 run.isa=$low
[ $? = 0 ] && grep -q 'continuing .* exact, the same bits' key/run/log
ok $? "going on with the same level is exact"
# shellcheck disable=SC2086
in_folder key both train $run train.steps=7 run.isa=$have
[ $? = 0 ] && grep -q "not exact, because: .*instruction set (run.isa) $have, \
was $low" key/run/log
ok $? "with another one it is not, and says so"

# Choices of kernels are those of a level: another one may not offer them.
# shellcheck disable=SC2086
in_folder tuned one train $small train.tune=yes train.steps=2 run.isa=$have
[ $? = 0 ] && grep -q "^machine = $have, " tuned/run/tune.txt
ok $? "tune.txt names the level"
in_folder tuned one eval run run.isa=$low
[ $? = 0 ] && grep -q "choices were made with $have, .*: chosen anew" said
ok $? "an evaluation with another one chooses anew"
# shellcheck disable=SC2086
in_folder tuned one train $small train.tune=yes train.steps=4 run.isa=$low
[ $? = 0 ] && grep -q "^machine = $low, " tuned/run/tune.txt &&
  grep -q "choices were made with $have, .*: chosen anew" tuned/run/log &&
  grep -q 'not exact, because: .*kernel choices differ' tuned/run/log
ok $? "and so does a start that goes on, once"
# shellcheck disable=SC2086
in_folder tuned one train $small train.tune=yes train.steps=6 run.isa=$low
[ $? = 0 ] && [ "$(grep -c 'chosen anew' tuned/run/log)" = 1 ] &&
  grep 'continuing ' tuned/run/log | tail -n 1 | grep -q ': exact'
ok $? "the next one finds them"

done_testing

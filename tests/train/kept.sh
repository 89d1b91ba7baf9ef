#!/bin/sh
# tests/train/kept.sh -- runs that an earlier version began (tests/train/kept) are read,
# gone on with and come to the bits of one that was never stopped.  Prints TAP.
#
# What a run goes on with, where, and what its settings mean is the same everywhere.
# The bits behind it are so where kernels, processor and decoder are those of the
# kept run: elsewhere it has to say that they are not, and losses are close.

RUN_LIMIT=60
kept=$(cd "${abs_top_srcdir-$(dirname "$0")/../..}/tests/train/kept" && pwd) || exit 1
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
unset SLURM_JOB_ID SLURM_RESTART_COUNT SLURM_JOB_END_TIME
# The level that kept runs name, where there is one of that name.
case $(uname -m) in
x86_64 | amd64 | i?86) isa=run.isa=sse41 ;;
*) isa=run.isa=auto ;;
esac

# field EVENT NAME [FOLDER]: its value in the last line of that event
field () {
  grep "\"event\":\"$1\"" "${3-run}/events.jsonl" | tail -n 1 |
    sed -n 's/.*"'"$2"'":\("\([^"]*\)"\|\([^,}]*\)\).*/\2\3/p'
}

# What a run of 8 steps has come to, beside a clock's numbers.
rows () { # metrics.csv
  $AWK -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    { $at["seconds"] = $at["samples_per_s"] = ""; print }' "$1"
}

# Whether losses are those of another file of rows, within a share of them; which
# rows there are, of which columns, has to be the same.
close_rows () { # metrics.csv metrics.csv share
  $AWK -F, -v share="$3" '
    FNR == 1 { n_files++; for (i = 1; i <= NF; i++) name[i] = $i }
    n_files == 1 { was[FNR] = $0; n = FNR; next }
    { split (was[FNR], w, ","); m = FNR
      for (i = 1; i <= NF; i++) {
        if (FNR == 1 || i <= 3) { if ($i != w[i]) bad = bad " " FNR ":" name[i] }
        else if (($i == "") != (w[i] == "") && name[i] != "samples_per_s")
          bad = bad " " FNR ":" name[i]
        else if (name[i] ~ /_loss$|^lr$/) {
          d = $i - w[i]; if (d < 0) d = -d
          if (d > share * w[i]) bad = bad " " FNR ":" name[i]
        } } }
    END { if (m != n) bad = bad " rows:" m
      if (bad != "") print "not close:" bad
      exit bad != "" }' "$1" "$2"
}

# again NAME: a copy of a case, with a working directory as when it was made
again () {
  cd "$tmp" || exit 1
  rm -rf now
  cp -R "$kept/$1" now
  chmod -R u+w now
  mkdir now/here
  mv now/run now/here/run
  cp -R now/here/run now/was
  cd now/here || exit 1
}

same=
unlike () { # why these bits are not compared here; "" where they are
  for fact in kernels isa processor tuning images threads; do
    is=$(field resume $fact) was=$(field resume was_$fact)
    [ "$is" = "$was" ] || echo "$fact $is, was $was"
  done | tr '\n' ';'
}

# bits NAME: of the status before; or a word why they are not compared
bits () {
  got=$?
  if [ -z "$same" ]; then
    ok $got "$1"
  else
    ok 0 "$1 # SKIP ${same%;}"
  fi
}

for case in pixels photographs tokens; do
  again $case
  if [ $case = photographs ] && "$I" --version | grep -q 'no libjpeg'; then
    ok 0 "$case # SKIP built without libjpeg-turbo"
    continue
  fi

  # -- as it was left --------------------------------------------------------

  one info run
  [ $? = 0 ] && head -n 1 said | grep -q '^run run: stopped 75 step=4' &&
    grep -q 'stopped .* step 4 .*: stop-file' said
  ok $? "$case: info tells how it was left"
  one info --check run/checkpoints/step-000000004.h5
  ok $? "$case: its checkpoint is whole"
  one info --check ../data.h5
  ok $? "$case: so is its data set"
  one eval run $isa
  [ $? = 0 ] && grep -v 'chosen anew$' said >a && $AWK '
    NR == FNR { was[FNR] = $0; n = FNR; next }
    { k = split (was[FNR], w, " "); if (NF != k) exit bad = 1
      for (i = 1; i <= NF; i++) { d = $i - w[i]
        if (FNR == 1 || $i !~ /^[0-9.]+$/ ? $i != w[i] : d * d > 1e-6 * w[i] * w[i])
          bad = 1 } }
    END { exit bad || FNR != n }' ../whole/eval.out a
  ok $? "$case: its heads are as good as they were"
  printf '%s\n' '[sweep]' 'base = ../case.ini' 'root = .' 'train.seed = 3, 4, 5' \
    >a.sweep
  one sweep a.sweep list --csv
  [ $? = 0 ] && [ "$(grep -c ',stopped,4,8,' said)" = 1 ] &&
    [ "$(grep -c ',missing,' said)" = 2 ]
  ok $? "$case: a sweep finds it to be one of its runs"

  # -- another run -----------------------------------------------------------

  many 2 train ../case.ini $isa train.seed=9
  [ $? = 64 ] && complaints | grep -q 'train.seed = 9, was [345]'
  ok $? "$case: another seed is refused"
  for file in config.ini events.jsonl metrics.csv status costs.txt; do
    cmp run/$file ../was/$file
  done >said 2>&1
  [ ! -s said ] && [ "$(find run -type f | wc -l)" = "$(find ../was -type f | wc -l)" ]
  ok $? "$case: which has left no trace"

  # -- going on --------------------------------------------------------------

  many 2 train ../case.ini $isa
  [ $? = 0 ] && [ "$(cat run/status)" = "finished 0 step=8" ] &&
    [ "$(field resume step)" = 4 ] && [ "$(field resume lost)" = 0 ]
  ok $? "$case: it goes on from step 4 to 8"
  cp errors said
  for part in weights optimizer state; do
    [ "$(field resume loaded_$part)" = "$(field checkpoint $part ../was)" ] &&
      [ -n "$(field checkpoint $part ../was)" ]
    ok $? "$case: $part as they were saved"
  done
  [ "$(field resume plan)" = "$(field start plan ../was)" ]
  ok $? "$case: by the same plan"
  cmp run/costs.txt ../was/costs.txt >said 2>&1
  ok $? "$case: costs are not measured again"
  # What may stand there is what bits depend on but settings.
  field resume reasons | tr ';' '\n' | sed 's/^ //; /^$/d' >reasons
  grep -Ev '^((program|kernel library|instruction set \(run.isa\)|processor|'\
'decoder of images) .*|kernel choices differ)$' reasons >said
  [ ! -s said ] && [ -z "$(field resume fresh)" ]
  ok $? "$case: nothing in its settings is another"
  same=$(unlike)
  [ "$(field resume exact)" = "$(if [ -s reasons ]; then echo false
    else echo true; fi)" ] && { [ -z "$same" ] || [ -s reasons ]; }
  ok $? "$case: it says whether its bits are those${same:+: $same}"
  sed '/^;/d; /^isa = /d' ../was/config.ini >was.ini
  sed '/^;/d; /^isa = /d' run/config.ini | diff was.ini - | grep '^<' >said
  [ ! -s said ] && [ -s was.ini ]
  ok $? "$case: no key has another name or value"
  if [ $case = tokens ]; then
    grep -q '^residual = plain' run/config.ini
    ok $? "$case: what is a choice by now is what it was then"
    one train ../case.ini $isa && grep -q 'already finished' said errors
    ok $? "$case: and does not make another run of it"
  fi
  $AWK -F, 'NR == 1 || $1 < 4 || $3 == "train" && $1 == 4' ../was/metrics.csv >a
  $AWK -F, 'NR == 1 || $1 < 4 || $3 == "train" && $1 == 4' run/metrics.csv |
    diff a - >said && [ ! -e run/metrics-1.csv ]
  ok $? "$case: metrics.csv goes on behind the rows that were there"
  close_rows ../whole/metrics.csv run/metrics.csv 0.01 >said
  ok $? "$case: its columns and losses are those of a run without a stop"
  rows ../whole/metrics.csv >a
  rows run/metrics.csv | diff a - >said
  bits "$case: to the bit"
  [ "$(field checkpoint weights)" = "$(field checkpoint weights ../whole)" ] &&
    [ "$(field checkpoint optimizer)" = "$(field checkpoint optimizer ../whole)" ] &&
    [ "$(field checkpoint state)" = "$(field checkpoint state ../whole)" ]
  bits "$case: all that the last checkpoint holds, too"
  one report run ../whole --text -o report.txt
  [ $? = 0 ] && [ -s report.txt ]
  ok $? "$case: both are reported side by side"
  if [ -f ../whole/generate.out ]; then
    cp -R ../was asked && one generate asked --tokens 40 --seed 5 $isa &&
      cmp said ../whole/generate.out
    bits "$case: it writes what it wrote"
  fi

  # -- from the beginning ----------------------------------------------------

  # By rule, as that version had it: a table that leaves all to the library.
  tune=$PWD/rule plain=
  echo 'layout = last' >"$tune"
  [ $case != tokens ] || plain=model.residual=plain
  [ ! -f run/tune.txt ] || tune=$PWD/run/tune.txt
  mkdir ../fresh && cd ../fresh || exit 1
  one train ../case.ini $isa $plain train.tune="$tune" \
    stages.cut="$(sed -n 's/^cut = //p' ../was/config.ini)"
  ok $? "$case: 8 steps without a stop by this program"
  one compare run ../here/run
  bits "$case: come to the same as 4 by that one and 4 by this"
  [ "$(field checkpoint state)" = "$(field checkpoint state ../here/run)" ]
  ok $? "$case: and to the same sample and random state"
done
done_testing

#!/bin/sh
# tests/train/columns.sh -- a column of metrics.csv means one thing from its first row to
# its last, whatever stages a run goes on with.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
unset SLURM_JOB_ID SLURM_RESTART_COUNT SLURM_JOB_END_TIME

# heads FILE: how many its header names; steps FILE: of the training rows, one line
heads () { head -n 1 "$1" | tr , '\n' | grep -c '^head[0-9]*_loss$'; }
steps () { $AWK -F, '$3 == "train" { printf "%s ", $1 }' "$1"; }
even () { $AWK -F, 'NR == 1 { n = NF } NF != n { bad = 1 } END { exit bad }' "$1"; }

three="stages.count=3 stages.cut=3,2,rest strategy.span=1"
mkdir was
# shellcheck disable=SC2086
(cd was && one train $small strategy.span=1 train.steps=4)
ok $? "4 steps of 4 stages"

# gone_on WORDS: 3 steps more with them
gone_on () {
  cd "$tmp" && rm -rf now && cp -R was now && cd now || exit 1
  # shellcheck disable=SC2086
  one train $small strategy.span=1 train.steps=7 $1
  [ $? = 0 ] && cmp -s run/metrics-1.csv ../was/rows && [ ! -e run/metrics-2.csv ] &&
    [ "$(heads run/metrics.csv)" = "$2" ] && [ "$(steps run/metrics.csv)" = "5 6 7 " ] &&
    even run/metrics.csv
  ok $? "$3: a new file, the old one kept"
}
$AWK -F, 'NR == 1 || $1 <= 4' was/run/metrics.csv >was/rows
gone_on "$three" 3 "fewer stages"
rm run/checkpoints/step-000000007.h5 run/status
# shellcheck disable=SC2086
one train $small train.steps=7 $three
[ $? = 0 ] && cmp -s run/metrics-1.csv ../was/rows && [ ! -e run/metrics-2.csv ] &&
  [ "$(steps run/metrics.csv)" = "5 6 7 " ]
ok $? "its checkpoint was lost: the same files again, no row twice"
# shellcheck disable=SC2086
one train $small train.steps=9 $three
[ $? = 0 ] && [ ! -e run/metrics-2.csv ] && [ "$(steps run/metrics.csv)" = "5 6 7 8 9 " ]
ok $? "going on with the same stages: the same file"
# shellcheck disable=SC2086
one train $small train.steps=10 strategy.span=1
[ $? = 0 ] && [ "$(heads run/metrics.csv)" = 4 ] && [ "$(heads run/metrics-2.csv)" = 3 ] &&
  [ "$(steps run/metrics-2.csv)" = "5 6 7 8 9 " ] && [ "$(steps run/metrics.csv)" = "10 " ]
ok $? "and back to four: a third file"
gone_on "stages.cut=1,2,1,rest" 4 "as many stages behind other blocks"

done_testing

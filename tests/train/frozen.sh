#!/bin/sh
# tests/train/frozen.sh -- runs with frozen stages: stopped and gone on with they are
# the runs that were never stopped, what is frozen keeps its bits, a network that was
# trained before is trained on in part, and what makes no sense is refused.  Prints TAP.

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
unset SLURM_JOB_ID SLURM_RESTART_COUNT SLURM_JOB_END_TIME
small=$(echo "$small" | sed 's/strategy.span=2//')
records="run.check_every=4 run.digests=yes checkpoint.keep=9"

# digests COLUMNS: of stages, of all rows of digests here
digests () {
  $AWK -F, -v want="$1" 'NR == 1 { n = split(want, k, " ")
      for (i = 1; i <= NF; i++) for (j = 1; j <= n; j++)
        if ($i == "stage" k[j] "_digest") at[j] = i }
    $3 == "digest" { line = $1; for (j = 1; j <= n; j++) line = line " " $at[j]
      print line }' run/metrics.csv
}
# values N: how many there are of the N-th digest in `rows`
values () { cut -d ' ' -f $(($1 + 1)) rows | sort -u | wc -l; }

# -- wrong ------------------------------------------------------------------------

# wrong NAME WORDS KEY...: refused with these words
wrong () {
  name=$1 words=$2
  shift 2
  one plan stages.count=3 "$@"
  [ $? = 64 ] && complaints >told && grep -q "$words" told
  ok $? "refused: $name"
}
wrong 'one word for all' 'strategy.span = frozen: nothing would learn' \
  strategy.span=frozen
wrong 'all of them' 'frozen,frozen,frozen: nothing would learn' \
  strategy.span=frozen,frozen,frozen
wrong 'too few' 'has 2 words where there are 3' strategy.span=frozen,2
wrong 'another word' 'wanted .*frozen' strategy.span=frost,2,1
wrong 'a table in place, all frozen' 'all 3 stages are frozen' \
  'strategy.route=frozen/frozen/frozen'
printf '%s\n' '# three' frozen 'frozen # too' frozen >bad.txt
wrong 'a table in a file, all frozen' 'bad.txt:.*: all 3 stages are frozen' \
  strategy.route=@bad.txt
printf '%s\n' frozen 'frozen 1 0' '0 0 1' >bad.txt
wrong 'a word among numbers' 'bad.txt:2: route row 1, column 0: "frozen" is not' \
  strategy.route=@bad.txt
token="model.family=transformer model.preset=gpt-nano model.layers=2 stages.head=ln-fc"
# shellcheck disable=SC2086
wrong 'a frozen embedding that is tied' 'model.tied = yes' $token \
  strategy.span=frozen,2,1
# shellcheck disable=SC2086
wrong 'no learner of a tied output' 'no stage learns from the output.*model.tied' \
  $token strategy.span=1,1,frozen
# shellcheck disable=SC2086
wrong 'no learner of a shared output' 'no stage learns from the output.*stages.head' \
  $token model.tied=no stages.head=ln-shared strategy.span=1,1,frozen
# shellcheck disable=SC2086
one plan stages.count=3 $token model.tied=no strategy.span=frozen,2,1
[ $? = 0 ] && grep -q 'stage 0 .*is frozen; 0 backward passes' said
ok $? "a frozen embedding that is not tied"

# -- a plan -----------------------------------------------------------------------

printf '%s\n' 'frozen # as it is' '' '0 0 1' ' frozen ' >table.txt
one plan stages.count=3 strategy.route=@table.txt --list
cp said table
[ $? = 0 ] && [ "$(grep -c 'is frozen' said)" = 2 ] && grep -q '^2 frozen stages: ' said &&
  ! grep -q '\(WEIGHTS\|REDUCE\|UPDATE\) *stage 0' said && grep -q 'PASS *stage 2' said &&
  ! grep -q ' WEIGHTS *stage 2' said && grep -q 'HEAD_WEIGHTS *stage 2' said
ok $? "plan: frozen stages have no weights, and hand on what others learn from"
one plan stages.count=3 strategy.span=frozen,2,frozen --list
sed 's/; span .*/; route by hand/' said | cmp -s - table
ok $? "the same in words"

# memory SPAN: MB of stage 0, of 64 images of 32x32
memory () {
  one plan stages.count=3 stages.cut=4,3,rest train.batch=64 strategy.span="$1" "$2" &&
    $AWK '$1 == 0 && $NF == "MB" { print $(NF - 1) }' said
}
whole=$(memory all train.agreement=0) still=$(memory frozen,1,1 train.agreement=0)
through=$(memory frozen,1,1 train.agreement=9)
echo "$whole $through $still" >said
$AWK -v a="$whole" -v b="$through" -v c="$still" \
  'BEGIN { exit !(0 < c && c < 0.5 * a && c < 0.7 * b && b < 0.9 * a) }'
ok $? "plan: a frozen stage takes less memory, least where nothing goes through it"

# -- stopped and gone on with -------------------------------------------------------

span=strategy.span=frozen,2,frozen,all
for optimizer in sgd adamw; do
  cd "$tmp" && mkdir $optimizer && cd $optimizer && mkdir whole half &&
    ln -s ../data.h5 . || exit 1
  with="$small $span train.optimizer=$optimizer train.clip=0.5 train.weight_decay=0.1"
  # shellcheck disable=SC2086
  (cd whole && many 2 train $with train.steps=16 \
    checkpoint.every=8 $records)
  ok $? "$optimizer: 16 steps on 2 ranks"
  (cd whole && digests '0 1 2 3') >rows
  [ "$(wc -l <rows)" = 4 ] && [ "$(values 1)" = 1 ] && [ "$(values 2)" = 4 ] &&
    [ "$(values 3)" = 4 ] && [ "$(values 4)" = 4 ]
  ok $? "$optimizer: stage 0 keeps its bits, stage 2 has a head that learns"
  for ranks in 1 3 4; do
    # shellcheck disable=SC2086
    (cd half && rm -rf run && many $ranks train $with train.steps=8 $records &&
      many $((5 - ranks)) train $with train.steps=16 $records)
    ok $? "$optimizer: 8 steps on $ranks ranks, 8 more on $((5 - ranks))"
    [ -s rows ] && (cd half && digests '0 1 2 3') | cmp -s - rows
    ok $? "$optimizer: the bits of the run that was never stopped"
  done
done
# shellcheck disable=SC2086
(cd half && rm -rf run && one train $with train.steps=16 $records train.agreement=4)
[ -s rows ] && (cd half && digests '0 1 2 3') | cmp -s - rows
ok $? "comparing gradients changes no bit"
grep -c ',agreement,' half/run/metrics.csv >said
[ "$(cat said)" = 4 ]
ok $? "and they are compared"

# -- trained on in part -------------------------------------------------------------

cd "$tmp" && mkdir was tuned || exit 1
# shellcheck disable=SC2086
(cd was && one train $small train.steps=8 $records && digests '0 1 2 3' | tail -n 1) >rows
ok $? "8 steps end to end"
cut -d ' ' -f 2,3 rows >wanted
init=$(find was/run/checkpoints -name '*08.h5')
for ranks in 1 2; do
  # shellcheck disable=SC2086
  (cd tuned && rm -rf run && many $ranks train $small strategy.span=frozen,frozen,2,all \
    "train.init=../$init" train.steps=8 train.seed=9 $records)
  ok $? "8 more of its last two stages on $ranks ranks, from its parameters"
  (cd tuned && digests '0 1 2 3') >rows
  [ "$(cut -d ' ' -f 2,3 rows | sort -u)" = "$(cat wanted)" ] && [ "$(values 3)" = 2 ] &&
    [ "$(values 4)" = 2 ]
  ok $? "the first two are those of the file, the last two learn"
done

# One stage after the other: the output's loss is known from evaluations.
mkdir greedy
# shellcheck disable=SC2086
(cd greedy && many 2 train $small strategy.span=1,frozen,frozen,frozen train.steps=4 \
  train.eval_every=4 $records)
ok $? "the first stage alone learns"
$AWK -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
  $3 == "train" && ($at["head0_loss"] == "" || $at["head3_loss"] != "") { bad = 1 }
  $3 == "valid" { n++; if ($at["head3_loss"] == "") bad = 1 }
  END { exit bad || n != 1 }' greedy/run/metrics.csv
ok $? "no loss of the output in training, one in evaluation"
done_testing

#!/bin/sh
# tests/run/language.sh -- a language model from text to text: import, train,
# stop, go on with other ranks, evaluate, generate.
#
# Prints TAP; needs a launcher.
# shellcheck disable=SC2016 # awk's own $

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"

lines () {
  $AWK 'BEGIN {
    split ("the a house river stands runs beside under old slowly and", w, " ")
    x = 7
    for (i = 0; i < 300; i++) {
      line = ""
      for (k = 0; k < 9; k++) {
        x = (x * 1103 + 12345) % 65536
        line = line (k ? " " : "") w[1 + x % 11]
      }
      print line "."
    }
  }'
}
lines >text.txt
one import text text.txt -o text.h5 valid=0.1 test=0.1
ok $? "text is imported"

model="model.family=transformer model.layers=3 model.d_model=16 model.heads=2
  model.context=16 stages.cut=1,1,1,rest data.file=$tmp/text.h5 train.batch=8
  train.micro=2 train.lr=0.01 train.clip=1 --quiet"
hard="$model model.dropout=0.1 stages.head=ln-shared stages.head_tokens=0.5
  strategy.span=2"

# digests of the last checkpoint of each folder named; all the same?
same () {
  for folder in "$@"; do
    grep '"event":"checkpoint"' "$folder/events.jsonl" | tail -n 1 |
      sed -n 's/.*"step":\([0-9]*\).*"weights":"\([0-9a-f]*\)","optimizer":"\([0-9a-f]*\)","state":"\([0-9a-f]*\)".*/\1 \2 \3 \4/p'
  done >said
  [ "$(wc -l <said)" = $# ] && [ "$(sort -u said | wc -l)" = 1 ]
}

# shellcheck disable=SC2086
{
  many 2 train $hard train.steps=8 run.dir=whole
  ok $? "8 steps on 2 ranks: dropout, shared matrix, some positions, clipping"
  many 4 train $hard train.steps=4 run.dir=parts
  ok $? "4 steps on 4 ranks"
  many 3 train $hard train.steps=6 run.dir=parts
  ok $? "2 more on 3"
  one train $hard train.steps=8 run.dir=parts
  ok $? "and 2 on 1"
  same whole parts
  ok $? "end in the same bits as 8 without a stop"
  many 2 train $hard train.steps=8 run.dir=other model.dropout=0.2
  ! same whole other
  ok $? "another dropout ends in others"
  many 2 train $model train.steps=60 train.eval_every=30 strategy.span=2 run.dir=lm
  ok $? "60 steps on 2 ranks"
}

# The last row of a split, as columns by name.
run=lm
column () # SPLIT NAME
{
  $AWK -F, -v split_name="$1" -v name="$2" '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["split"] == split_name { v = $at[name] }
    END { print v }' "$run/metrics.csv"
}
loss=$(column valid head3_loss)
first=$($AWK -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
  $at["split"] == "train" { print $at["head3_loss"]; exit }' lm/metrics.csv)
echo "$first $loss $(column valid head3_perplexity) $(column valid head3_bits_per_byte)" |
  $AWK '{
    p = $3 / exp ($2) - 1; b = $4 / ($2 / log (2)) - 1
    exit !($2 < $1 - 1 && p * p < 1e-8 && b * b < 1e-8)
  }'
ok $? "metrics.csv: the loss falls, perplexity and bits per byte follow from it"
echo "$(column train head2_loss) $(column train head2_perplexity)" |
  $AWK '{ p = $2 / exp ($1) - 1; exit !($1 > 0 && p * p < 1e-8) }'
ok $? "those of training and of an inner head too"
[ -z "$(column valid head0_loss)" ] && [ -z "$(column valid head0_perplexity)" ]
ok $? "a head that nobody needs has no numbers"

many 3 eval lm --split valid
ok $? "evaluated on 3 ranks"
cp said three
one eval lm --split valid
grep -q perplexity said && grep -q bits/byte said && cmp -s said three &&
  grep -q "$(printf '%.4f' "$loss")" said
ok $? "and on one: the numbers of training"

generate () # RANKS OPTION...
{
  ranks=$1
  shift
  many "$ranks" generate lm --tokens 40 "$@" && cp said "text$ranks"
}
for ranks in 1 2 4; do
  generate $ranks --prompt 'the ' --seed 5 --top-k 8
  ok $? "text from $ranks ranks"
done
cmp -s text1 text2 && cmp -s text1 text4 && [ "$(wc -c <text1)" = 45 ]
ok $? "is the same, and goes on behind the context"
generate 1 --prompt 'the ' --seed 6 --top-k 8
! cmp -s text1 text2
ok $? "another seed draws another"

# Token by token is the same as all at once: the likeliest after a longer prompt.
one generate lm --prompt 'the ' --tokens 10 --temperature 0
cp said all
one generate lm --prompt "$(head -c 9 all)" --tokens 5 --temperature 0
cmp -s said all
ok $? "kept keys and values give what a longer prompt gives"
many 2 generate lm --prompt 'the ' --tokens 5 --head 1
ok $? "an inner head can be asked"
one generate lm --head 0
[ $? = 64 ] && grep -q 'head 0' errors
ok $? "one that was not trained cannot"
one generate lm --prompt 'longer than sixteen bytes'
[ $? = 64 ] && grep -q '25 tokens.*16' errors
ok $? "a prompt longer than the context is refused"

# What enters a stage is normalised, wherever it goes on, is judged or generates.
border="$model strategy.span=2 train.eval_every=4 stages.border=rms"
# shellcheck disable=SC2086
{
  many 2 train $border train.steps=8 run.dir=border
  ok $? "8 steps with stages.border = rms on 2 ranks"
  many 4 train $border train.steps=4 run.dir=pieces
  one train $border train.steps=8 run.dir=pieces
  ok $? "4 on 4, and 4 more on 1"
  same border pieces
  ok $? "end in the same bits"
  many 2 train $model strategy.span=2 train.eval_every=4 train.steps=8 run.dir=none
  ! same border none
  ok $? "those without a border are others"
  one train $border stages.border=ln train.steps=12 run.dir=border
  [ $? = 64 ] && grep -q 'stages.border = ln, was rms' errors
  ok $? "another border is another run"
}
run=border
many 3 eval border --split valid
cp said three
one eval border --split valid
cmp -s said three && grep -q "$(printf '%.4f' "$(column valid head3_loss)")" said
ok $? "evaluated on 3 ranks and on one: the numbers of training"
one generate border --prompt 'the ' --tokens 10 --temperature 0
cp said all
many 2 generate border --prompt "$(head -c 9 all)" --tokens 5 --temperature 0
cmp -s said all
ok $? "kept keys and values give what a longer prompt gives"

# The job, on a text that lies where it is called, in another size.
job () # TEXT WORDS...
{
  (text=$1
  shift
  INTERLOCK=$I LAUNCH=$(echo "$launcher" | sed 's/NP/2/') OUT=job SPANS="1 all" \
    PROMPT=the TOKENS=8 WORDS="model.layers=3 model.d_model=16 model.heads=2
    model.context=16 stages.cut=1,1,1,rest train.batch=8 train.steps=4
    train.warmup=1 $*" sh "${abs_top_srcdir-$(dirname "$0")/../..}/jobs/language.sh" "$text"
  ) >said 2>errors </dev/null
}
job text.txt
[ $? = 0 ] && grep -q '^| end to end |' said && grep -q '^    the' said &&
  [ -f job/text.h5 ]
ok $? "the job: from a text to a table and a sample of each strategy"
job text.txt data.order=nonsense
[ $? = 0 ] && ! grep -q 'language: job/span' errors
ok $? "a second call repeats nothing"
echo another >other.txt
job other.txt
[ $? = 64 ] && grep -q 'another text' errors
ok $? "another text is not mixed in"
job missing.txt
[ $? = 64 ] && grep -q 'missing.txt' errors
ok $? "one that is not there is named"

# Ctrl-C and kill: here while another program is busy, which ends as well.
mkdir bin
cat >bin/spm_train <<'E'
#!/bin/sh
trap 'echo >ended; exit 1' TERM
echo >busy
i=0
while [ $i -lt 200 ]; do sleep 0.1; i=$((i + 1)); done
E
chmod +x bin/spm_train
await () # FILE
{
  i=0
  while [ ! -f "$1" ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done
  [ -f "$1" ]
}
PATH=$tmp/bin:$PATH "$I" import text text.txt -o halfway.h5 \
  --tokenizer sentencepiece >said 2>errors </dev/null &
job=$!
await busy && [ -n "$(ls halfway.h5.*.part.train.txt)" ]
ok $? "an import under way has files beside its output"
kill $job
wait $job 2>/dev/null
[ $? = 143 ] && [ -z "$(ls halfway.h5* 2>/dev/null)" ]
ok $? "stopped by a signal it leaves none"
await ended
ok $? "and ends the program that it runs"

if command -v spm_train >/dev/null 2>&1; then
  one import text text.txt -o pieces.h5 --tokenizer sentencepiece --vocab 280
  ok $? "the same by pieces"
  # shellcheck disable=SC2086
  one train $model data.file="$tmp/pieces.h5" train.steps=40 run.dir=pieces
  ok $? "is trained"
  rm -f text.txt
  one generate pieces --prompt 'the house' --tokens 12 --temperature 0
  ok $? "generates"
  head -n 1 said | grep -q '^the house'
  ok $? "with the prompt in front"
  ! grep -q 'is not the data set' errors
  ok $? "and nothing to say against its data set"
  # other pieces, but as many
  lines | tr 'aeou' 'zyxw' >text.txt
  one import text text.txt -o other.h5 --tokenizer sentencepiece --vocab 280
  one generate pieces data.file="$tmp/other.h5" --prompt 'thy' --tokens 2
  [ $? = 0 ] && grep -q 'other.h5 is not the data set' errors
  ok $? "with as many pieces of another text it warns"
  # another vocabulary under the same checkpoint
  one generate pieces data.file="$tmp/text.h5"
  [ $? = 65 ] && grep -q 'wte' errors
  ok $? "a data set of another vocabulary is refused"
else
  for i in 1 2 3 4 5 6 7; do
    n=$((n + 1))
    echo "ok $n - # SKIP spm_train is not installed ($i)"
  done
fi
done_testing

#!/bin/sh
# tests/run/torch.sh -- a language model from here to PyTorch and back: names,
# layouts, logits and losses, with and without tied and shared matrices, of GPT-2's
# layers and of Llama's.
#
# Without PyTorch NumPy does its part; without h5py nothing is done.  Prints TAP.
# limit: 600

# shellcheck disable=SC2016 # awk's own $
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
top=${abs_top_srcdir-$(dirname "$0")/../..}
case $top in /*) ;; *) top=$OLDPWD/$top ;; esac

# The first python3 with h5py, one with PyTorch before one without.
python=
for module in torch numpy; do
  for p in python3 /usr/bin/python3; do
    if [ -z "$python" ] &&
      "$p" -c "import h5py, numpy, $module" >/dev/null 2>&1; then
      python=$p
      with=$module
    fi
  done
done
if [ -z "$python" ]; then
  echo "1..0 # SKIP no python3 with h5py"
  exit 0
fi
compute ()
{
  "$python" "$top/tests/run/torch_model.py" "$@" >said 2>errors
}

i=0
while [ $i -lt 150 ]; do
  echo "line $i of a text: $((i * 37 % 101)) and $((i * i % 89)), then $i"
  i=$((i + 1))
done >text.txt
one import text text.txt -o text.h5 valid=0.2

# The words of the last row of metrics.csv for valid: losses of heads.
trained () # DIRECTORY
{
  $AWK -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["split"] == "valid" {
      line = ""
      for (k = 0; k < 3; k++) line = line " " $at["head" k "_loss"]
    }
    END { print line }' "$1/metrics.csv"
}

# near: the numbers of two lines, three each, are the same to 1e-5, or to LIMIT.
near () # LINE LINE [LIMIT]
{
  echo "$1 $2" | $AWK -v limit="${3-1e-5}" '{
    for (k = 1; k <= 3; k++) {
      d = $k - $(k + 3)
      if (d > limit || d < -limit) exit 1
    }
    exit NF != 6
  }'
}

# The network of torch_model.py: embedding and one layer, one layer, one layer and
# the output; spreads over which 1e-4 means something.
common="model.family=transformer model.layers=3 model.d_model=24
  model.context=24 stages.cut=2,1,rest strategy.span=2 strategy.heads=all
  data.file=text.h5 train.batch=8 --quiet"
still="train.steps=1 train.lr=0 train.weight_decay=0 data.order=sequential"

round_trip () # NAME HEADS WORDS...
{
  name=$1
  heads=$2
  shift 2
  set -- model.heads="$heads" "$@"
  # shellcheck disable=SC2086
  many 2 train $common "$@" train.steps=40 train.lr=0.01 run.dir="$name"
  ok $? "$name: trained"
  file=$(ls "$name"/checkpoints/*.h5)
  dumps=
  for stage in 0 1 2; do
    # shellcheck disable=SC2086
    one train $common $still "$@" train.init="$file" run.dir="$name-$stage" \
      --dump 0,$stage,logits
    dumps="$dumps $name-$stage/dump-0-$stage-logits.npy"
  done
  # shellcheck disable=SC2086
  compute check "$file" text.h5 $heads $dumps
  ok $? "$name: $with computes the logits of all heads within 1e-4"
  sed 's/^/# /' errors
  losses=$(cat said)
  near "$losses" "$(trained "$name")"
  ok $? "$name: and their losses within 1e-5: $losses"
  compute change "$file" "$name.h5"
  ok $? "$name: $with writes other weights"
  # shellcheck disable=SC2086
  many 3 train $common $still "$@" train.init="$name.h5" run.dir="$name-back"
  ok $? "$name: they are taken back"
  # shellcheck disable=SC2086
  compute check "$name.h5" text.h5 $heads $dumps
  grep -q AssertionError errors
  ok $? "$name: and give other logits than before"
  dumps=
  for stage in 0 1 2; do
    # shellcheck disable=SC2086
    one train $common $still "$@" train.init="$name.h5" \
      run.dir="$name-back-$stage" --dump 0,$stage,logits
    dumps="$dumps $name-back-$stage/dump-0-$stage-logits.npy"
  done
  # shellcheck disable=SC2086
  compute check "$name.h5" text.h5 $heads $dumps
  ok $? "$name: those that $with computes from them"
  losses=$(cat said)
  near "$losses" "$(trained "$name-back")"
  ok $? "$name: with its losses: $losses"
  one eval "$name-back" --split valid
  said=$($AWK 'NR > 1 { printf "%s ", $3 }' said)
  near "$losses" "$said" 6e-5
  ok $? "$name: eval says the same: $said"
}

round_trip untied 3 model.tied=no stages.head=ln-fc
round_trip tied 3 model.tied=yes stages.head=ln-shared
# model.kv_heads is said, since model.heads is: 2, as the preset.
llama="model.preset=llama-nano model.kv_heads=2"
# shellcheck disable=SC2086
round_trip llama 4 $llama model.tied=no stages.head=ln-fc
# shellcheck disable=SC2086
round_trip qwen 4 $llama model.qk_norm=yes stages.head=ln-shared

# The lines of doc/run-directory.md, into modules of these names.
if [ "$with" = torch ]; then
  "$python" - "$(ls untied/checkpoints/*.h5)" >said 2>errors <<'EOF'
import sys
import h5py, torch
from torch import nn

def block(d):
    names = {"ln_1": nn.LayerNorm(d), "attn": nn.ModuleDict({
        "c_attn": nn.Linear(d, 3 * d), "c_proj": nn.Linear(d, d)}),
        "ln_2": nn.LayerNorm(d), "mlp": nn.ModuleDict({
            "c_fc": nn.Linear(d, 4 * d), "c_proj": nn.Linear(4 * d, d)})}
    return nn.ModuleDict(names)

net = nn.ModuleDict({"transformer": nn.ModuleDict({
    "wte": nn.Embedding(256, 24), "wpe": nn.Embedding(24, 24),
    "h": nn.ModuleList(block(24) for _ in range(3)),
    "ln_f": nn.LayerNorm(24)}), "lm_head": nn.Linear(24, 256, bias=False)})
f = h5py.File (sys.argv[1])["model"]
net.load_state_dict ({k: torch.tensor (v[()]) for k, v in f.items ()})
EOF
  ok $? "README's lines load it into PyTorch, every name and shape"
else
  n=$((n + 1))
  echo "ok $n - # SKIP PyTorch is not installed: NumPy computed in its place"
fi

# And into Hugging Face's own Llama, every name and shape, with its logits.
if [ "$with" = torch ] &&
  "$python" -c "from transformers import LlamaForCausalLM" >/dev/null 2>&1; then
  "$python" - "$(ls llama/checkpoints/*.h5)" text.h5 llama-2/dump-0-2-logits.npy \
    >said 2>errors <<'EOF'
import sys
import h5py, numpy, torch
from transformers import LlamaConfig, LlamaForCausalLM

net = LlamaForCausalLM (LlamaConfig (
    vocab_size=256, hidden_size=24, intermediate_size=66, num_hidden_layers=3,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=24,
    rms_norm_eps=1e-5, tie_word_embeddings=False))
names = h5py.File (sys.argv[1])["model"]
net.load_state_dict ({k: torch.tensor (v[()]) for k, v in names.items ()})
net.eval ()
have = numpy.load (sys.argv[3])
ids = h5py.File (sys.argv[2])["train/tokens"][:have.shape[0] * have.shape[1]]
ids = torch.tensor (ids.astype (numpy.int64).reshape (have.shape[:2]))
with torch.no_grad ():
    want = net (ids).logits.numpy ()
assert abs (have - want).max () < 1e-4, abs (have - want).max ()
EOF
  ok $? "Hugging Face's Llama takes it and computes its logits"
else
  n=$((n + 1))
  echo "ok $n - # SKIP Hugging Face's transformers are not installed"
fi
done_testing

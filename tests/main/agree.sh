#!/bin/sh
# tests/main/agree.sh -- help, manual pages, README and the agreed outside of the
# program say the same.
#
# The lists below are written by hand: they are what users were promised, not
# what the program's table happens to hold.  Prints TAP.

LC_ALL=C
COLUMNS=80
export LC_ALL COLUMNS
AWK=${AWK-awk}
top=${abs_top_srcdir-$(dirname "$0")/../..}
I=${INTERLOCK-./interlock}
page1=$top/src/main/interlock.1
page5=$top/src/main/interlock.5

KEYS='
model family preset block groups stem stem_width order layers d_model heads context mlp_ratio norm mlp positions kv_heads qk_norm dropout tied residual
stages count cut head head_cost head_tokens border
strategy span mix own route dial grow heads
data file train valid test augment order stride limit
train batch micro steps epochs seed optimizer lr momentum nesterov weight_decay betas eps decay schedule warmup milestones clip smoothing precision init init.fresh tune eval_every agreement
checkpoint every every_seconds keep at_end async io
run dir replicas share_optimizer schedule trace time_margin patience isa cache check_every digests attempts
'

# section key | default | words its line has
DEFAULTS='
model.family|resnet|resnet transformer
model.preset|resnet20|resnet20 resnet32 resnet44 resnet56 resnet110 resnet18 resnet34 resnet50 resnet101 resnet152 resnet164 resnet1001 wrn-28-10 gpt-nano gpt2 llama-nano llama-15m llama-42m llama-110m
model.dropout|0|dropped
model.block|basic|basic bottleneck
model.stem|preset|cifar imagenet
model.order|post|post pre resnet164
model.tied|yes|yes no
model.norm|preset|layernorm rmsnorm
model.mlp|preset|gelu swiglu
model.positions|preset|learned rope
model.kv_heads|0|divides
model.qk_norm|no|Qwen3
model.residual|scaled|scaled plain
stages.cut|auto|2,1,1,rest measured
stages.head_cost|0.15|share
stages.head|auto|gap poolN conv1xN rankN ln shared +rec
stages.head_tokens|1|share
stages.border|none|none rms ln
strategy.span|all|local pairwise e2e all
strategy.mix|furthest|furthest sum mean
strategy.own|0|furthest own
strategy.route|none|@FILE row
strategy.dial|none|0:local 30%:2 70%:all
strategy.grow|0|penalty
strategy.heads|needed|needed all
data.augment|none|none flip crop4 flip+crop4 imagenet
data.order|shuffle|shuffle sequential
data.stride|model.context|sequential
train.optimizer|sgd|sgd adamw
train.decay|all (sgd), matrices (adamw)|all matrices
train.schedule|constant|constant step cosine onecycle
train.precision|f32|f32 bf16
'

COMMANDS='train eval generate plan verify compare export import info probe sweep report'
KINDS='cifar10 cifar100 idx folder text tokens synthetic weights'
CODES='0 1 64 65 69 70 74 75 76 77'

n=0
failed=0
ok () # CONDITION NAME
{
  n=$((n + 1))
  if [ "$1" = 0 ]; then
    printf 'ok %d - %s\n' $n "$2"
  else
    printf 'not ok %d - %s\n' $n "$2"
    failed=1
  fi
}

if ! "$I" --version >/dev/null 2>&1; then
  echo "1..0 # SKIP $I does not run"
  exit 0
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

# -- keys as "section.key|rest of its text", one per line ---------------------

promised ()
{
  echo "$KEYS" | $AWK '{ for (i = 2; i <= NF; i++) print $1 "." $i }' | sort -t'|' -k1,1
}

from_help ()
{
  "$I" "$1" --help | $AWK '
    function flush () { if (key != "") print key "|" line; key = "" }
    /^\[[a-z]+\]$/ { flush(); section = substr ($0, 2, length ($0) - 2); next }
    section == "" { next }
    /^  [a-z]/ {
      flush(); key = section "." $1; line = ""
      for (i = 2; i <= NF; i++) line = line " " $i
      next
    }
    /^    / { for (i = 1; i <= NF; i++) line = line " " $i; next }
    END { flush() }' | sort -t'|' -k1,1
}

from_page () # FILE
{
  sed 's/\\-/-/g' "$1" | $AWK '
    function flush () { if (key != "") print key "|" line; key = "" }
    /^\.SS \[/ {
      flush(); section = $2; gsub (/[][]/, "", section); next
    }
    /^\.S[SH]/ { flush(); section = ""; next }
    section == "" { next }
    /^\.B / { flush(); key = section "." $2; line = ""; next }
    /^\./ { next }
    { for (i = 1; i <= NF; i++) line = line " " $i }
    END { flush() }' | sort -t'|' -k1,1
}

# Of each key its default: what stands behind the last "default:".
defaults ()
{
  sed 's/|.*; default: /|/; s/\. [A-Z][^|]*$//; s/\.$//' "$1"
}

promised >"$tmp/promised"
from_help train >"$tmp/help"
from_help plan >"$tmp/help-plan"
from_page "$page5" >"$tmp/page"
cut -d'|' -f1 "$tmp/help" >"$tmp/help-keys"
cut -d'|' -f1 "$tmp/page" >"$tmp/page-keys"

same () # FILE FILE NAME
{
  diff "$1" "$2" >"$tmp/diff"
  s=$?
  sed 's/^/# /' "$tmp/diff"
  ok $s "$3"
}

[ "$(wc -l <"$tmp/promised")" -eq 83 ]
ok $? "the promise has 83 keys"
same "$tmp/promised" "$tmp/help-keys" "--help has the keys that were promised"
same "$tmp/promised" "$tmp/page-keys" "interlock.5 has the keys that were promised"
same "$tmp/help" "$tmp/help-plan" "plan --help lists the same keys"
defaults "$tmp/help" >"$tmp/help-defaults"
defaults "$tmp/page" >"$tmp/page-defaults"
same "$tmp/help-defaults" "$tmp/page-defaults" "help and interlock.5 have the same defaults"

echo "$DEFAULTS" | grep . >"$tmp/rows"
while IFS='|' read -r key value words; do
  line=$(grep "^$key|" "$tmp/help")
  bad=0
  case $line in *"default: $value"* | *"default: the $value"*) ;; *) bad=1 ;; esac
  for word in $words; do
    case $line in *"$word"*) ;; *) bad=1 ;; esac
  done
  ok $bad "$key: default $value; $words"
done <"$tmp/rows"

# A key that is lost from the page, and a default that differs, are seen.
grep -v '^\.B milestones' "$page5" | from_page /dev/stdin | cut -d'|' -f1 |
  cmp -s - "$tmp/promised"
[ $? -ne 0 ]
ok $? "planted: a key that is not in the page"
sed 's/default: furthest/default: sum/' "$page5" | from_page /dev/stdin \
  >"$tmp/planted"
defaults "$tmp/planted" | cmp -s - "$tmp/help-defaults"
[ $? -ne 0 ]
ok $? "planted: another default in the page"

# -- commands, options, codes ------------------------------------------------

"$I" --help >"$tmp/program" 2>"$tmp/err"
[ $? -eq 0 ] && [ ! -s "$tmp/err" ]
ok $? "--help succeeds and is silent on stderr"
sed 's/\\-/-/g; s/\\f[A-Z]//g' "$page1" >"$tmp/page1"
for c in $COMMANDS; do
  "$I" "$c" --help >"$tmp/out" 2>"$tmp/err" && [ ! -s "$tmp/err" ] &&
    grep -q "^usage: interlock $c" "$tmp/out" &&
    grep -q "^  $c " "$tmp/program" && grep -q "^\.BI $c " "$tmp/page1"
  ok $? "$c is in --help, $c --help and interlock.1"
  bad=0
  for option in $(grep -o -e '--[a-z][a-z]*' "$tmp/out" | sort -u); do
    [ "$option" = --options ] && continue
    grep -q -e "$option" "$tmp/page1" || bad=1
  done
  ok $bad "options of $c are in interlock.1"
done
extra=$($AWK '/^Commands:/ { on = 1; next } /^$/ { on = 0 }
  on && /^  [a-z]/ { print $1 }' "$tmp/program" | sort | tr '\n' ' ')
want=$(echo "$COMMANDS" | tr ' ' '\n' | sort | tr '\n' ' ')
[ "$extra" = "$want" ]
ok $? "and no other command"

bad=0
for code in $CODES; do
  grep -q "^  $code  *[a-z]" "$tmp/program" || bad=1
  grep -q "^\.B $code\$" "$tmp/page1" || bad=1
done
ok $bad "exit codes are in --help and interlock.1"
[ "$($AWK '/^Exit codes:/ { on = 1; next } on' "$tmp/program" | wc -l)" -eq 10 ]
ok $? "and no other code"

"$I" import --help >"$tmp/out"
bad=0
for kind in $KINDS; do
  grep -q "\.IR* $kind" "$tmp/page1" || bad=1
  grep -q "^  $kind " "$tmp/out" || bad=1
done
ok $bad "kinds of import are in import --help and interlock.1"

"$I" --version >"$tmp/out"
grep -q '^interlock [0-9]' "$tmp/out" && grep -q 'oneDNN [0-9]' "$tmp/out" &&
  grep -q 'HDF5 [0-9]' "$tmp/out" && grep -q 'MPI [0-9]' "$tmp/out"
ok $? "--version names program, oneDNN, HDF5 and MPI"

# -- the version --------------------------------------------------------------

# It stands in configure.ac alone; what cannot take it from there has the same.
version=$(sed -n 's/^AC_INIT(\[interlock\], \[\(.*\)\])$/\1/p' "$top/configure.ac")
version_in () { # FILE: the one that it names first
  grep -o -E '[0-9]+\.[0-9]+\.[0-9]+' "$1" | head -n 1
}
[ "$(sed -n 's/^interlock \([0-9].*\)/\1/p' "$tmp/out")" = "$version" ]
ok $? "--version is that of configure.ac, $version"
for file in NEWS ChangeLog packaging/debian/changelog packaging/apptainer/interlock.def; do
  [ "$(version_in "$top/$file")" = "$version" ]
  ok $? "$file begins with $version"
done
grep -q -x "version: $version" "$top/CITATION.cff"
ok $? "CITATION.cff has $version"
spack=$top/packaging/spack/spack_repo/interlock/packages/interlock/package.py
grep -q "^    version(\"$version\")" "$spack" && grep -q "/interlock-$version.tar" "$spack"
ok $? "packaging/spack has $version"
for file in "$top"/packaging/easybuild/interlock-*.eb; do
  grep -q -x "version = '$version'" "$file" &&
    case $file in */interlock-$version-*) ;; *) false ;; esac
  ok $? "packaging/easybuild/${file##*/} has $version"
done

if command -v python3 >/dev/null 2>&1; then
  python3 -c 'import ast, sys
for name in sys.argv[1:]: ast.parse(open(name).read(), name)' \
    "$top"/packaging/easybuild/*.eb "${spack%/*}"/../*/package.py 2>"$tmp/err"
  s=$?
  sed 's/^/# /' "$tmp/err"
  ok $s "recipes that are Python are whole"
fi

# -- what others show --------------------------------------------------------

# Every section.key=value in README, doc and jobs is a key.
bad=0
for file in "$top"/README.md "$top"/doc/*.md "$top"/jobs/* "$top"/datasets/*; do
  [ -f "$file" ] || continue
  for word in $(grep -o -h -E \
    '(model|stages|strategy|data|train|checkpoint|run)\.[a-z_]+=' "$file" |
    sort -u); do
    grep -q -x -F "${word%=}" "$tmp/promised" || {
      echo "# ${file##*/}: $word"
      bad=1
    }
  done
done
ok $bad "keys in README, doc, jobs and datasets exist"

# And every section.key that a message of the program names; run.ranks, run.threads
# and data.digest are facts that a report compares, model.embed_* tensors.
named () # FILE...
{
  grep -h -o -E '"([^"\\]|\\.)*"' "$@" | grep -v '/' |
    grep -o -w -E '(model|stages|strategy|data|train|checkpoint|run)\.[a-z_]+(\.fresh)?' |
    grep -v -E '\.(h5|csv|ini|txt|bin|json|log|am|h)$' |
    grep -v -x -E 'run\.(ranks|threads)|data\.digest|model\.embed_[a-z]*' | sort -u
}
named "$top"/src/*/*.c "$top"/src/*/*.h >"$tmp/named"
grep -v -x -F -f "$tmp/promised" "$tmp/named" >"$tmp/strange"
sed 's/^/# /' "$tmp/strange"
[ -s "$tmp/named" ] && [ ! -s "$tmp/strange" ]
ok $? "keys in messages of the program exist"
echo '  fail (E_CONFIG, "a lower train.lrate may help");' >"$tmp/planted.c"
[ "$(named "$tmp/planted.c")" = train.lrate ]
ok $? "planted: a key in a message that there is not"
pages="CONTRIBUTING.md SECURITY.md packaging/README.md"
if [ -f "$top/README.md" ]; then
  bad=0
  for c in $COMMANDS; do
    grep -q -E "\`$c[ \`]|interlock $c" "$top/README.md" || {
      echo "# README.md does not name $c"
      bad=1
    }
  done
  ok $bad "README names every command"
  (cd "$top" && for page in README.md $pages doc/*.md; do
    grep -o '](\([A-Za-z./-]*\))' "$page" | sed 's/^](//; s/)$//' |
      while read -r link; do
        [ -f "$(dirname "$page")/$link" ] || echo "# $page: $link"
      done
  done) >"$tmp/lost"
  cat "$tmp/lost"
  [ ! -s "$tmp/lost" ]
  ok $? "pages that README and doc link to are there"
  # Rows of tables cannot be broken; what programs print stands as it is.
  (cd "$top" && $AWK 'FNR == 1 { code = 0 }
    /^```/ { code = !code; next }
    length ($0) > 80 && !/^\|/ && !code { print "# " FILENAME ":" FNR }' \
    README.md $pages doc/*.md) >"$tmp/long"
  cat "$tmp/long"
  [ ! -s "$tmp/long" ]
  ok $? "lines of README and doc have 80 columns"
fi

# What doc/design.md names of the source is there.
page=$top/doc/design.md
lost_names () # FILE
{
  for file in $(grep -o '`[a-z]*/[a-z_]*\.[ch]`' "$1" | tr -d '`' | sort -u); do
    [ -f "$top/src/$file" ] || echo "# no file src/$file"
  done
  for name in $(grep -o '`[a-z]*_[a-z_0-9]*`' "$1" | tr -d '`' | sort -u); do
    grep -rqw "$name" "$top/src" || echo "# no $name in src"
  done
}
if [ -f "$page" ] && [ -d "$top/src" ]; then
  lost_names "$page" >"$tmp/lost"
  cat "$tmp/lost"
  [ ! -s "$tmp/lost" ]
  ok $? "functions and files that doc/design.md names are there"
  lost_names "$top/CONTRIBUTING.md" >"$tmp/lost"
  cat "$tmp/lost"
  [ ! -s "$tmp/lost" ]
  ok $? "and those that CONTRIBUTING.md names"
  sed 's/`wire_send`/`wire_sent`/' "$page" >"$tmp/planted"
  [ "$(lost_names "$tmp/planted")" = "# no wire_sent in src" ]
  ok $? "planted: a function that is not there"
  $AWK '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on' "$page" |
    sed "s|^interlock |'$I' |" >"$tmp/command"
  sh "$tmp/command" >"$tmp/list" 2>&1
  $AWK '/^```text$/ { on = 1; next } /^```/ { on = 0 } on' "$page" >"$tmp/shown"
  [ -s "$tmp/shown" ] && ! grep -v -x -F -f "$tmp/list" "$tmp/shown" >"$tmp/lost"
  ok $? "the list in doc/design.md is what plan prints"
fi

if command -v groff >/dev/null 2>&1; then
  groff -man -Tascii -ww "$page1" "$page5" 2>"$tmp/err" >/dev/null
  sed 's/^/# /' "$tmp/err"
  [ ! -s "$tmp/err" ]
  ok $? "groff has no complaint about the pages"
fi

echo "1..$n"
exit $failed

#!/bin/sh
# tests/main/completion.sh -- what bash and zsh offer on the command line: it comes
# from the program's tables, and is there.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
top=${abs_top_srcdir-$(cd "$OLDPWD" && cd "$(dirname "$0")/../.." && pwd)}

one --completion && mv said tables && sh -n tables 2>errors
ok $? "the tables are functions for sh"
cat tables "$top/completion/interlock.bash" >bash.completion
cat tables "$top/completion/interlock.zsh" >zsh.completion

# from_help COMMAND: its long options
from_help () {
  "$I" "$1" --help | sed -n '/^Options:/,/^Keys/p' |
    grep -o '^  [^ ].\{20\}' | grep -o -e '--[a-z-]*' | sort
}
for command in $("$I" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
  from_help "$command" >want
  (. ./tables && _interlock_options "$command") | cut -f1 | tr -d = | sort >said
  [ -s want ] && cmp -s want said
  ok $? "options of $command are those of its help"
done
"$I" train --help | $AWK '/^\[/ { s = substr ($0, 2, length ($0) - 2) }
  s && /^  [a-z]/ { print s "." $1 "=" }' | sort >want
(. ./tables && _interlock_keys) | cut -f1 | sort >said
[ -s want ] && cmp -s want said
ok $? "keys are those of the help"

# offer WORD...: what bash offers for the last of these
cat >offer.bash <<'END'
source ./bash.completion
COMP_LINE="interlock $*"
COMP_POINT=${#COMP_LINE}
COMPREPLY=()
_interlock 2>errors
printf '%s\n' "${COMPREPLY[@]}"
END
# offers WORDS OFFERED...
offers () {
  bash offer.bash "$1" >said 2>&1
  line=$1
  shift
  [ "$(tr '\n' ' ' <said)" = "${*:+$* }" ] || [ "$* " = "$(tr '\n' ' ' <said)" ]
  ok $? "'$line': ${*:-nothing}"
}
if command -v bash >/dev/null 2>&1; then
  offers "tr" train
  offers "--w" --where
  offers "--where d" datasets doc
  offers "train --th" --threads
  offers "train model.fa" model.family=
  offers "train x.ini model.family=t" transformer
  offers "train --threads=2 stages.cut=me" ""
  offers "train model.tied=" yes no
  offers "eval run --split t" train test
  offers "eval run --split=v" valid
  offers "import cifar" cifar10 cifar100
  offers "sweep a.sweep su" submit
  offers "sweep a.sweep --split tr" train
  offers "train x" ""
  bash -c 'COMP_WORDBREAKS=" "; . ./offer.bash "train model.family=r"' >said 2>&1
  [ "$(cat said)" = model.family=resnet ]
  ok $? "where = does not end a word: the whole of it"
fi

# zsh's own functions stand for what they would show.
cat >offer.zsh <<'END'
compset () { IPREFIX=${PREFIX%%=*}=; PREFIX=${PREFIX#*=} }
compadd () { shift; print -l ${(P)1} }
_files () { print files }
_describe () { print -l -- ${(P)4} }
words=(interlock $=1)
CURRENT=$#words
PREFIX=$words[CURRENT]
source ./zsh.completion
END
zsh_offers () { # WORDS PATTERN
  zsh -f offer.zsh "$1" >said 2>&1
  grep -q -x -e "$2" said
  ok $? "zsh, '$1': $2"
}
if command -v zsh >/dev/null 2>&1; then
  zsh_offers "tr" 'train:train .*'
  zsh_offers "train --th" '--threads:threads of each rank; .*'
  zsh_offers "train model" 'model.family=:.*'
  zsh_offers "train model.family=t" transformer
  zsh_offers "eval run --split t" valid
  zsh_offers "import c" cifar100
  zsh_offers "sweep a.sweep su" submit
  zsh_offers "--where j" jobs
  zsh_offers "train x.ini" files
else
  n=$((n + 1))
  echo "ok $n - zsh # SKIP there is none"
fi

done_testing

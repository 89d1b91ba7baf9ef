# completion/interlock.zsh -- what zsh offers on the command line; behind the
# functions that `interlock --completion` prints.

# _interlock_describe WHAT LINES [OPTION OF compadd ...]: "WORD<tab>MEANING"
_interlock_describe ()
{
  local what=$1
  local -a rows
  rows=("${(@f)2}")
  rows=("${(@)rows//:/\\:}")
  rows=("${(@)rows/$'\t'/:}")
  shift 2
  _describe -t "$what" "$what" rows "$@"
}

_interlock ()
{
  local command=$words[2] before=$words[CURRENT-1] key names=0 found word
  local -a choices
  if (( CURRENT == 2 )); then
    _interlock_describe commands "$(_interlock_commands)"
    return
  fi
  for word in ${words[3,CURRENT-1]}; do
    [[ $word == -* || $word == *=* ]] || (( names += 1 ))
  done
  if [[ $PREFIX == *=* ]]; then
    key=${PREFIX%%=*}
    [[ $key != -* ]] || key="$command $key"
    compset -P '*='
    choices=(${=$(_interlock_values $key)})
  elif [[ $PREFIX == -* ]]; then
    _interlock_describe options "$(_interlock_options $command)"
    return
  else
    key="$command $before"
    [[ $command != --where ]] || key=$before
    found=$(_interlock_values $key)
    [[ -n $found ]] || found=$(_interlock_names $command $((names + 1)))
    choices=(${=found})
  fi
  if (( $#choices )); then
    compadd -a choices
    return
  fi
  [[ -z $PREFIX || -n $key && $key != *' '* ]] ||
    _interlock_describe keys "$(_interlock_keys)" -S ''
  _files
}
_interlock "$@"

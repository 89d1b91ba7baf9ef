# completion/interlock.bash -- what bash offers on the command line; behind the
# functions that `interlock --completion` prints.
# shellcheck shell=bash disable=SC2207 # no word has a blank in it

# _interlock_reply PREFIX BEGINNING WORDS: those with this beginning.  In front of
# = there is nothing to repeat where bash takes it for the end of a word.
_interlock_reply ()
{
  case $COMP_WORDBREAKS in *=*) set -- "" "$2" "$3" ;; esac
  COMPREPLY=($(compgen -P "$1" -W "$3" -- "$2"))
}

_interlock ()
{
  local line=${COMP_LINE:0:COMP_POINT} word before command names=0 words
  local IFS=$' \t\n' typed
  word=${line##*[[:blank:]]}
  read -ra typed <<<"${line%"$word"}"
  command=${typed[1]-}
  before=${typed[${#typed[@]} - 1]}
  for words in "${typed[@]:2}"; do
    case $words in -* | *=*) ;; *) names=$((names + 1)) ;; esac
  done
  if [ ${#typed[@]} -lt 2 ]; then
    COMPREPLY=($(compgen -W "$(_interlock_commands | cut -f1)" -- "$word"))
    return
  fi
  case $word in
  --*=*) words=$(_interlock_values "$command ${word%%=*}") ;;
  *=*) words=$(_interlock_values "${word%%=*}") ;;
  -*) words=$(_interlock_options "$command" | cut -f1) ;;
  *)
    [ "$command" = --where ] || before="$command $before"
    words=$(_interlock_values "$before")
    [ -n "$words" ] || words=$(_interlock_names "$command" $((names + 1)))
    [ -n "$words" ] || [ -z "$word" ] || words=$(_interlock_keys | cut -f1)
    ;;
  esac
  case $word in
  *=*) _interlock_reply "${word%%=*}=" "${word#*=}" "$words" ;;
  *) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
  esac
  case ${COMPREPLY[0]-} in *=) compopt -o nospace 2>/dev/null ;; esac
}
# Nothing of these: names of files.
complete -o default -o bashdefault -F _interlock interlock

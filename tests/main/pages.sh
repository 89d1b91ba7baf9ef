#!/bin/sh
# tests/main/pages.sh -- the commands that README and doc/*.md show are run, at small
# sizes, and do what they say.  Prints TAP.
# limit: 600
#
#     sh tests/main/pages.sh [PAGE ...]      only these, such as doc/sweeps.md
#
# A block is what is indented by four, or fenced as sh or python.  Blocks of README
# run in order in one shell, in a directory that looks like a clone with build/ in
# it; those of every other page in a directory as README's have left it.  Programs
# that are put in front there make everything small: interlock itself (steps,
# batches, sizes of made images), and stand-ins for Slurm.  Comments of the page,
# which no reader sees, on a line of their own:
#
#     <!-- not run: WHY -->        the next block: its syntax and options are checked
#     <!-- leaves with N -->       the next block: the code of its last command
#     <!-- before: COMMANDS -->    run before the next block: what it presumes
#     <!-- run by FILE -->         the whole page is another test's

# shellcheck disable=SC2016,SC2030,SC2031,SC2046,SC2154 # awk's own $; PATH is meant
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
top=${abs_top_srcdir-$(dirname "$0")/../..}
case $top in /*) ;; *) top=$OLDPWD/$top ;; esac
top=$(cd "$top" && pwd)
unset SLURM_JOB_ID SLURM_RESTART_COUNT SLURM_JOB_END_TIME MPIRUN RANKS LAUNCH \
  INTERLOCK BUILD

# -- a clone in which everything is small ---------------------------------------

SMALL="train.steps=4 train.batch=8 train.eval_every=4 train.tune=no"
# Not the one that is put in front.
LAUNCHER="$(command -v "${launcher%% *}") ${launcher#* }"
export SMALL LAUNCHER I
mkdir world world/build world/tests bin
cp -R "$top/jobs" "$top/datasets" "$top/README.md" world
ln -s "$top/doc" world
ln -s "$top/tests/results" "$top/tests/slurm" world/tests
# What installs, builds, and runs this test.
chmod -R u+w world
for script in jobs/need jobs/build tests/run; do
  : >"world/$script.sh"
done
cat >world/build/interlock <<'END'
#!/bin/sh
case "$*" in *transformer* | *language*) SMALL="$SMALL model.context=32 \
  model.d_model=96" ;; esac
case $1-$2 in
--where-*) cd "${0%/*}/.." && exec echo "$PWD/$2" ;;
train--* | plan--*) exec "$I" "$@" ;;
train-*) exec "$I" "$@" $SMALL ;;
plan-*) exec "$I" "$@" $SMALL train.batch=16 ;;
import-synthetic) exec "$I" "$@" train=64 valid=32 test=32 size=8 ;;
verify-) exec "$I" verify resume ;;
import-folder) exec "$I" "$@" size=64 ;;
esac
exec "$I" "$@"
END
# mpirun, of whatever MPI: -n N PROGRAM ...; srun of the ranks likewise.
cat >bin/mpirun <<'END'
#!/bin/sh
n=1
while :; do
  case $1 in
  --version) exec ${LAUNCHER%% *} --version ;;
  -n) n=$2; shift ;;
  --bind-to | --map-by) shift ;;
  --mca) shift 2 ;;
  --oversubscribe) ;;
  -*) echo "mpirun: $1?" >&2; exit 64 ;;
  *) break ;;
  esac
  shift
done
exec $(echo "$LAUNCHER" | sed "s/NP/$n/") "$@"
END
cat >bin/srun <<'END'
#!/bin/sh
n=1
while :; do
  case $1 in
  --mpi=list) echo "MPI plugin types are... pmix pmi2 none"; exit ;;
  -n) n=$2; shift ;;
  -N | -t) shift ;;
  --mpi=* | --cpus-per-task=*) ;;
  -*) echo "srun: $1?" >&2; exit 64 ;;
  *) break ;;
  esac
  shift
done
exec mpirun -n "$n" "$@"
END
# The script is looked at, and its run made at once.
cat >bin/sbatch <<'END'
#!/bin/sh
id="Submitted batch job 7"
for word; do
  case $word in
  --parsable) id=7 ;;
  *train.sbatch)
    bash -n "$word" || exit
    # A chain's other jobs would find it finished.
    : "${CONFIG:=train.ini}"
    [ "$(cat submitted 2>/dev/null)" = "$CONFIG $WORDS" ] ||
      interlock train "$CONFIG" $WORDS >interlock-7.out 2>&1 || exit
    echo "$CONFIG $WORDS" >submitted
    ;;
  *.sbatch) bash -n "$word" || exit ;;
  esac
done
echo "$id"
END
echo 'exit 0' >bin/squeue
echo '[ "$*" != "show config" ] || echo "MaxArraySize = 1001"' >bin/scontrol
cat >bin/tail <<'END'
#!/bin/sh
[ "$1" != -f ] || shift
PATH=/usr/bin:/bin exec tail "$@"
END
echo ': modules' >bin/module
for script in bin/*; do
  head -n 1 "$script" | grep -q '^#!' ||
    sed -i '1s|^|#!/bin/sh\n|' "$script"
done
chmod +x bin/* world/build/interlock
PATH=$tmp/bin:$PATH
export PATH

PYTHON=
for p in python3 /usr/bin/python3; do
  [ -n "$PYTHON" ] || ! "$p" -c 'import h5py, numpy' >/dev/null 2>&1 ||
    PYTHON=$p
done
PYTHONDONTWRITEBYTECODE=1
export PYTHON PYTHONDONTWRITEBYTECODE

# -- blocks out of pages --------------------------------------------------------

# script PAGE NAME FOLDER: writes FOLDER/N, a block each, and FOLDER/all, which
# runs them; FOLDER/left has those that are not run, with the reason.
script ()
{
  mkdir -p "$3"
  : >"$3/left"
  $AWK -v page="$2" -v dir="$3" '
    function begin (kind)
    {
      n++; file = dir "/" n; where = page ":" FNR; block = kind
      printf "" >file
    }
    function end ()
    {
      close (file)
      if (by != "" && block != "other") why = by
      if (block == "other")
        ;
      else if (why != "")
        print where "|" why "|" n "|" block >(dir "/left")
      else {
        printf "at \"%s\" %s\n", where, dir
        run = (block == "sh" ? ". " : "python_block ") file
        if (code)
          printf "set +e; %s; code=$?; set -e\n[ $code = %d ]\n", run, code
        else
          print run
      }
      if (block != "other") { why = ""; code = 0 }
      block = ""
    }
    block != "" && !fenced && !/^    / && NF { end() }
    block == "" && /^<!-- not run: .* -->$/ {
      why = substr ($0, 15, length ($0) - 18); next }
    block == "" && /^<!-- leaves with [0-9]* -->$/ { code = $4; next }
    block == "" && /^<!-- run by [^ ]* -->$/ { by = "run by " $4; next }
    block == "" && /^<!-- before: .* -->$/ {
      printf "echo \"%s:%d\" >%s/at\n%s\n", page, FNR, dir,
        substr ($0, 14, length ($0) - 17)
      next }
    /^<!--/ { print "echo \"" page ":" FNR ": an unknown comment\" >&2; exit 1"
      next }
    block == "" && /^```/ {
      kind = substr ($0, 4)
      begin(kind == "sh" || kind == "python" ? kind : "other"); fenced = 1
      next }
    fenced && /^```/ { end(); fenced = 0; next }
    fenced { print >file; next }
    block == "" && /^    / { begin("sh") }
    block != "" { print substr ($0, 5) >file }
    END { if (block != "") end()
      if (why != "" || code) print "exit 1 # a comment without its block" }' \
    "$1" >"$3/all"
}

# options FILE: those of interlock that a block gives and --help does not have.
options ()
{
  sed -e ':a' -e '/\\$/{N;s/\\\n//;ba' -e '}' -e 's/#.*//' -e 's/ -- .*//' "$1" |
    sed -n 's/.*interlock \([a-z][a-z]* .*\)/\1/p' |
    while read -r command rest; do
      "$I" "$command" --help >"$tmp/options" 2>&1 || echo "$command?"
      for option in $(echo "$rest" | grep -o -e '--[a-z][a-z]*'); do
        grep -q -w -e "$option" "$tmp/options" || echo "$command $option"
      done
    done
}

# run FOLDER: 0 when all blocks do what they should; said and errors have the end.
run ()
{
  rm -f "$1/at" "$1/skipped"
  : >"$1/ran"
  { cat <<'END'
set -e
at () # PAGE:LINE FOLDER
{
  where=$1 folder=$2
  echo "$where" >"$folder/at"
  echo "$where" >>"$folder/ran"
}
photos () # FOLDER: some; where JPEG cannot be had the page ends here
{
  "${abs_top_builddir-.}/tests/import/folder" make "$1" 8 || {
    echo "$(cat "$folder/at"): no JPEG" >>"$folder/skipped"
    exit 0
  }
}
python_block ()
{
  # What this Python has not is not this page's fault.
  for module in h5py $(sed -n 's/^import \(.*\)/\1/p' "$1" | tr -d ,); do
    case $module in h5py | numpy | torch*) ;; *) continue ;; esac
    "${PYTHON:-false}" -c "import $module" 2>/dev/null || {
      echo "$where: no python3 with $module" >>"$folder/skipped"
      return 0
    }
  done
  "$PYTHON" "$1"
}
END
    cat "$1/all"; } >"$1/shell"
  timeout 120 sh "$1/shell" >said 2>errors </dev/null
}

page () # NAME: the test of one
{
  name=$1
  folder=$tmp/blocks/$(echo "$name" | tr / -)
  script "$top/$name" "$name" "$folder"
  if [ "$name" = README.md ]; then
    cd "$tmp/world" || exit 1
  else
    cp -R "$tmp/world" "$tmp/here" && cd "$tmp/here" || exit 1
  fi
  (PATH=$PWD/build:$PATH && run "$folder")
  good=$?
  [ $good = 0 ] || echo "# stopped at $(cat "$folder/at" 2>/dev/null)"
  [ $good = 0 ] || mv said errors "$tmp"
  cd "$tmp" || exit 1
  ok $good "$name: $(wc -l <"$folder/ran") blocks run"
  rm -rf "$tmp/here"
  [ ! -f "$folder/skipped" ] || while read -r line; do
    n=$((n + 1))
    echo "ok $n - # SKIP $line"
  done <"$folder/skipped"
  left "$folder"
}

left () # FOLDER: what is not run is at least read
{
  while IFS='|' read -r where why number block; do
    bad=0
    case $why in
    "run by "*) [ -f "$top/${why#run by }" ] || bad=1 ;;
    *)
      if [ "$block" = sh ]; then
        { sh -n "$1/$number" && options "$1/$number"; } >said 2>errors || bad=1
        [ ! -s said ] || bad=1
      fi
      ;;
    esac
    ok $bad "$where: not run: $why"
  done <"$1/left"
}

# -- a checker is checked -------------------------------------------------------

# caught WORDS: a page of these lines is not well.
caught () # NAME LINE...
{
  what=$1
  shift
  printf '%s\n' "$@" >planted.md
  rm -rf planted
  script planted.md planted.md "$tmp/planted"
  (cd world && PATH=$PWD/build:$PATH && run "$tmp/planted" && [ -z "$(cat "$tmp/planted/left")" ])
  bad=$?
  if [ -s planted/left ] && [ $bad != 0 ]; then
    bad=$(left "$tmp/planted" | grep -c '^not ok')
  fi
  [ "$bad" != 0 ]
  ok $? "planted: $what"
}
passes () # LINE...
{
  printf '%s\n' "$@" >planted.md
  rm -rf planted
  script planted.md planted.md "$tmp/planted"
  (cd world && PATH=$PWD/build:$PATH && run "$tmp/planted")
  ok $? "a page that is well"
}

if [ $# = 0 ]; then
  set -- README.md $(cd "$top" && ls doc/*.md)
  whole=yes
else
  set -- README.md "$@"
  whole=
fi
for name; do
  page "$name"
done
if [ "$whole" = yes ]; then
  total=$(cat blocks/*/ran | wc -l)
  [ "$total" -ge 40 ]
  ok $? "$total blocks were run, $(cat blocks/*/left | wc -l) only read"
  passes 'Words.' '' '    interlock --version' '    true' '' 'More.' '```sh' \
    'test -f data.h5' '```' '<!-- leaves with 3 -->' '' '    (exit 3)'
  caught "a command that there is not" '' '    interlock trian train.ini'
  caught "the first of two" '    interlock info none.h5' '    true'
  caught "a key" '```sh' 'interlock plan train.ini train.lrr=1' '```'
  caught "another code" '<!-- leaves with 1 -->' '' '    (exit 2)'
  [ -z "$PYTHON" ] ||
    caught "Python" '```python' 'import h5py' 'h5py.File ("none.h5", "r")' '```'
  caught "syntax, where a block is not run" '<!-- not run: so -->' '' \
    '    for x in; do'
  caught "an option, where a block is not run" '<!-- not run: so -->' '' \
    '    interlock train train.ini --frsh'
  caught "a test that there is not" '<!-- run by tests/main/none.sh -->' '' \
    '    true'
  caught "an unknown comment" '<!-- not ran: so -->' '' '    true'
fi
done_testing

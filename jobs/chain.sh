#!/bin/sh
# jobs/chain.sh -- question: how does a long run train where only short jobs are
# allowed, or start soon?
#
#     CONFIG=train.ini sh jobs/chain.sh 10 -n 4 --cpus-per-task=8 -t 30
#     LINKS: the first word, how many jobs; the others go to sbatch.
#
# Nodes: as told to sbatch.  Minutes: LINKS times what a job gets.
# Output: the job numbers; the run directory; interlock-JOBID.out of each job.
#
# All jobs have one name, and --dependency=singleton lets them run one after the
# other, each going on where the one before stopped.  Once the run has finished,
# those that are left end within seconds.  Variables are those of train.sbatch.
# NAME is the name, by default made from CONFIG and WORDS, so that the chains of
# two runs do not wait for each other and a longer chain can be added later.
set -eu

: "${CONFIG:=train.ini}"
: "${WORDS:=}"
: "${NAME:=chain-$(echo "$PWD $CONFIG $WORDS" | cksum | cut -d' ' -f1)}"
links=${1:?how many jobs?}
shift
case $links in
  *[!0-9]* | 0*) echo "chain: not a number of jobs: $links" >&2; exit 64 ;;
esac
[ -r "$CONFIG" ] || { echo "chain: no configuration $CONFIG" >&2; exit 64; }

# A job that stops leaves the rest to the next one.
AGAIN=no
export CONFIG WORDS AGAIN
# Beginning anew is for the first job of a chain that gets so far.
if [ "${FRESH-}" = yes ]; then
  FRESH_BY=chain-$$-$(date +%s)
  export FRESH FRESH_BY
fi
script=$(dirname "$0")/train.sbatch
while [ "$links" -gt 0 ]; do
  sbatch --job-name="$NAME" --dependency=singleton "$@" "$script"
  links=$((links - 1))
done

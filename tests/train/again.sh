# tests/train/again.sh -- what the tests of stopping and going on share; sourced
# behind rig.sh.
#
# Leaves the folders whole, with a run of 24 steps, and half, with one of 12.

unset SLURM_JOB_ID SLURM_RESTART_COUNT SLURM_JOB_END_TIME

newest () { find run/checkpoints -name '*.h5' 2>/dev/null | sort | tail -n 1; }

# last NAME: its value in the last line of events.jsonl that begins a start
last () {
  grep -E '"event":"(start|resume)"' run/events.jsonl | tail -n 1 |
    sed -n 's/.*"'"$1"'":\("\([^"]*\)"\|\([^,}]*\)\).*/\2\3/p'
}

# same FOLDER: the last checkpoint of the run here holds what that of the run in
# FOLDER holds: weights, optimizer slots, random and sample state
same () {
  for folder in . "$1"; do
    grep '"event":"checkpoint"' "$folder/run/events.jsonl" | tail -n 1 |
      sed -n 's/.*"step":\([0-9]*\).*"weights":"\([0-9a-f]*\)","optimizer":"\([0-9a-f]*\)","state":"\([0-9a-f]*\)".*/\1 \2 \3 \4/p'
  done >said
  [ "$(wc -l <said)" = 2 ] && [ "$(sort -u said | wc -l)" = 1 ]
}

# flip FILE OFFSET: another byte there
flip () {
  byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
  # shellcheck disable=SC2059
  printf "\\$(printf %o $(((byte + 1) % 256)))" |
    dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# from NAME: a folder whose run is a copy of that folder's
from () {
  cd "$tmp" || exit 1
  rm -rf now
  cp -R "$1" now
  cd now || exit 1
}

# until_step N: wait until the run in the background has done so many
until_step () {
  tries=0
  until [ "$(sed -n 's/^step=0*\([0-9][0-9]*\) .*/\1/p' run/progress 2>/dev/null ||
    echo 0)" -ge "$1" ] 2>/dev/null || [ $tries -gt 1000 ]; do
    sleep 0.02
    tries=$((tries + 1))
  done
}

# 24 steps without a stop; and 12 of them, to go on from.
mkdir whole half
# shellcheck disable=SC2086
(cd whole && many 2 train $small train.steps=24 checkpoint.every=12 checkpoint.keep=9)
ok $? "24 steps on 2 ranks"
# shellcheck disable=SC2086
(cd half && many 2 train $small train.steps=12 checkpoint.every=4 checkpoint.keep=9 \
  checkpoint.async=no)
ok $? "12 steps on 2 ranks"
[ "$(cat half/run/status)" = "finished 0 step=12" ]
ok $? "status says how it ended"

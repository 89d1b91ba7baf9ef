#!/bin/sh
# tests/run/load.sh -- a checkpoint in other hands: h5py finds the promised names
# and shapes, numpy computes the promised loss from them, and a file that h5py
# writes begins a run.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
top=${abs_top_srcdir-$(dirname "$0")/../..}
case $top in /*) ;; *) top=$OLDPWD/$top ;; esac

python=
for p in python3 /usr/bin/python3; do
  if "$p" -c 'import h5py, numpy' >/dev/null 2>&1; then
    python=$p
    break
  fi
done
if [ -z "$python" ]; then
  echo "1..0 # SKIP no python3 with h5py"
  exit 0
fi

mkdir a b
# shellcheck disable=SC2086
(cd a && one train $small train.steps=20)
ok $? "train"
c=$(ls a/run/checkpoints/*.h5)
"$python" "$top/tests/run/load.py" "$c" data.h5 other.h5 >said 2>errors
ok $? "h5py finds the names and shapes that the manual promises"
want=$(cat said)
one eval "$c" data.file=data.h5
got=$($AWK '$1 == 3 { print $3, $4 }' said)
echo "$got $want" >said
$AWK '{ exit !($1 - $3 < 2e-4 && $3 - $1 < 2e-4 && $2 == $4) }' said
ok $? "numpy computes loss and accuracy from it: $want, eval says $got"
# Nothing is learned, so what was put in comes out.
# shellcheck disable=SC2086
(cd b && one train $small train.steps=1 train.lr=0 train.weight_decay=0 \
  train.init=../other.h5)
ok $? "a parameter file that h5py wrote begins a run"
"$python" - "$(ls b/run/checkpoints/*.h5)" other.h5 >said 2>errors <<'EOF'
import sys, h5py
a, b = (h5py.File(p, "r")["model"] for p in sys.argv[1:])
assert set(a) == set(b)
for name in a:
    if "running_" not in name:
        assert (a[name][()] == b[name][()]).all(), name
EOF
ok $? "with its very values"

# What no tensor tells: only the digest over all says that the file is not what
# was written.
cp "$c" changed.h5
"$python" -c 'import h5py; f = h5py.File("changed.h5", "r+"); f.attrs.modify("seed", f.attrs["seed"] + 1)'
one eval changed.h5 data.file=data.h5
[ $? = 65 ] && complaints | grep -q 'changed.h5: damaged: an attribute'
ok $? "eval refuses a checkpoint of which an attribute was changed"
mkdir d e
# shellcheck disable=SC2086
(cd d && one train $small train.steps=1 train.init=../changed.h5)
[ $? = 65 ]
ok $? "so does train.init"
# Seven everywhere, and no digest that says otherwise.
cp "$c" sevens.h5
"$python" - <<'EOF'
import h5py
f = h5py.File("sevens.h5", "r+")
d = f["model/bn1.bias"]
del d.attrs["digest"]
d[...] = 7
EOF
one eval sevens.h5 data.file=data.h5
[ $? = 65 ] && complaints | grep -q 'bn1.bias: damaged: it has lost its digest'
ok $? "eval refuses a tensor that has lost its digest"
# shellcheck disable=SC2086
(cd e && one train $small train.steps=1 train.init=../sevens.h5)
[ $? = 65 ]
ok $? "so does train.init"

done_testing

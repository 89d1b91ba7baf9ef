#!/bin/sh
# tests/run/peer.sh -- tests/bench/peer.py: its figures with sides that say what
# they took, and its words where PyTorch is not there.  Prints TAP.

. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
top=${abs_top_srcdir-$(dirname "$0")/../..}
case $top in /*) ;; *) top=$OLDPWD/$top ;; esac
peer=$top/tests/bench/peer.py
python3 -c 'import ast, argparse' 2>/dev/null || {
  echo "1..0 # SKIP no python3"
  exit 0
}

python3 -c 'import ast, sys; ast.parse (open (sys.argv[1]).read ())' "$peer"
ok $? "peer.py is Python"

# A PyTorch that does not load is none.
mkdir absent && echo 'raise ImportError ("absent")' >absent/torch.py
PYTHONPATH=$tmp/absent python3 "$peer" --networks none >said 2>errors
[ $? = 0 ] && grep -q 'PyTorch is not installed here .*python3-torch' said &&
  [ ! -e peer.md ]
ok $? "without PyTorch it says so"
python3 "$peer" --networks resnet33 >said 2>errors
[ $? != 0 ] && grep -q 'resnet33: expected resnet32, resnet34, small, large' errors
ok $? "an unknown network is refused"

# side PARAMETERS SECONDS TURNS: steps of so many seconds, by what it is told; its
# turns go to a file that all sides share.
cat >side.sh <<'END'
for word; do
  case $word in precision=*) precision=${word#*=} ;; bf16) precision=bf16 ;; esac
done
seconds=$2
[ "${precision-f32}" != bf16 ] || seconds=$3
echo "ready parameters=$1 units=100 flops=1e9 setting=plain library=$4 1"
while read -r what _; do
  case $what in
    go) echo "$4 ${precision-f32}" >>turns
        echo "took $seconds 9 $seconds" ;;
    peak) echo "peak 20e9" ;;
  esac
done
END
two () # PARAMETERS
{
  : >turns
  python3 "$peer" --networks resnet32 --precisions f32,bf16 --rounds 2 \
    --ours "sh side.sh 7 0.1 0.05 ours" \
    --theirs "sh side.sh $1 0.15 0.2 theirs" --out figures >said 2>errors
}
two 7
grep -v '^peer: ' said | cmp -s - figures
ok $? "with two sides it writes the table that it shows"
row='| resnet32, batch 128 |'
grep -Fq "$row f32 | 1000 | 50 | 666.7 | plain | 1.50 (1.50-1.50) |  |" figures &&
  grep -Fq "$row bf16 | 2000 | 100 | 500 | plain | 4.00 (4.00-4.00) | 2.00 (2.00-2.00) |" figures
ok $? "rates, shares and ratios are those of the steps"
printf '%s\n' 'ours f32' 'theirs f32' 'ours bf16' 'theirs bf16' \
  'theirs bf16' 'ours bf16' 'theirs f32' 'ours f32' >round
cat round round | cmp -s - turns
ok $? "sides take turns, there and back"
two 8
[ $? != 0 ] && grep -q 'not the same network: parameters: interlock 7, PyTorch 8' errors
ok $? "networks that differ are not compared"
done_testing

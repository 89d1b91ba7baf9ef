#!/bin/sh
# tests/main/python.sh -- jobs/interlock.py: starts runs, by mpirun and by a stand-in
# for sbatch, waits for them, reads what they leave, and puts weights into PyTorch.
# Prints TAP.

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
PYTHONPATH=$top/jobs
PYTHONDONTWRITEBYTECODE=1
INTERLOCK=$I
export PYTHONPATH PYTHONDONTWRITEBYTECODE INTERLOCK
python () # its standard input is the program
{
  { echo "import sys, interlock, numpy as np"; cat; } >script.py
  "$python" script.py "$@" >said 2>errors
}

# An sbatch that starts the run as jobs/train.sbatch would, and a squeue that has
# it until it has ended.
mkdir bin
cat >bin/sbatch <<END
#!/bin/sh
echo "\$*" >sbatch.words
[ ! -e refuse ] || { echo "sbatch: error: no such partition" >&2; exit 1; }
{ "$I" train "\$CONFIG" \$WORDS -q; rm -f in-queue; } >interlock-7.out 2>&1 &
: >in-queue
echo "7;cluster"
END
cat >bin/squeue <<'END'
#!/bin/sh
[ ! -e in-queue ] || { echo RUNNING; exit 0; }
echo "slurm_load_jobs error: Invalid job id specified" >&2
exit 1
END
chmod +x bin/*

one import synthetic -o data.h5 train=64 valid=32 test=32 size=8
cat >train.ini <<'END'
[model]
groups = 8x2,16x2       ; four blocks
[stages]
cut = 2,1,1,rest
head = gap-fc
[data]
file = data.h5
[train]
batch = 16
steps = 8
tune = no
[run]
dir = told   ; by the file
END

python <<'END'
job = interlock.submit("train.ini", by="mpirun", ranks=2, threads=1,
                       strategy_span=2, train_nesterov=True,
                       stages_cut=[2, 1, 1, "rest"], **{"run.digests": "yes"})
assert str(interlock.wait(job)) == "told", job
config = open("told/config.ini").read()
assert "span = 2\n" in config and "nesterov = yes\n" in config
m = interlock.read("told", split="train")
assert list(m["step"]) == list(range(1, 9)), m["step"]
assert m["step"].dtype == np.int64 and m["lr"].dtype == np.float64
assert np.isfinite(m["head3_loss"]).all() and np.isnan(m["head0_loss"]).all()
assert set(m["split"]) == {"train"}
everything = interlock.read("told")
assert "valid" in everything["split"] and "digest" in everything["split"]
digests = [d for d in everything["stage0_digest"] if d]
assert digests and all(d[0] == "x" and len(d) == 17 for d in digests)
for name, column in everything.items():
    assert len(column) == len(everything["step"]), name
assert interlock.status("told")[:2] == ("finished", 0)
assert interlock.checkpoint("told").name == "step-000000008.h5"
assert interlock.wait(interlock.submit("train.ini", by="mpirun",
    strategy_span=2, train_nesterov=True, run_digests=True)).name == "told"
END
ok $? "mpirun: a run, its metrics as arrays, its status; once more ends at once"
sed -n 's/^\([^,]*\),[^,]*,train,.*/\1/p' told/metrics.csv >want
[ "$(wc -l <want)" = 8 ]
ok $? "of which metrics.csv has eight rows"

(PATH=$PWD/bin:$PATH && export PATH && python <<'END'
job = interlock.submit("train.ini", ranks=3, threads=2, options=["-p", "big"],
                       run_dir="by-slurm", train_tune=False)
assert job.id == "7" and job.output == "interlock-7.out", job
assert interlock.wait(job, every=0.1, timeout=60).name == "by-slurm"
assert interlock.status("by-slurm")[0] == "finished"
try:
    interlock.submit("train.ini", strategy_dial="0:local, 50%:2")
    raise SystemExit("not refused")
except interlock.Error as e:
    assert "train.ini: 'strategy.dial=" in str(e), e
open("refuse", "w").close()
try:
    interlock.submit("train.ini")
    raise SystemExit("not refused")
except interlock.Error as e:
    assert str(e) == "sbatch: sbatch: error: no such partition", e
END
)
ok $? "sbatch: submitted and waited for; what it refuses is an exception"
(PATH=$PWD/bin:$PATH && rm -f refuse && python <<'END'
try:
    interlock.wait(interlock.submit("train.ini", run_dir="no-such", train_lrr=1),
                   every=0.1)
    raise SystemExit("not failed")
except interlock.Failed as e:
    assert "no-such: no status" in str(e) and "train.lr" in str(e), e
END
)
ok $? "a job that leaves no status has failed, and says why"

python <<'END'
import os, shutil

def refused(what, call, *args, **keys):
    try:
        call(*args, **keys)
    except interlock.Error as e:
        assert what in str(e) and e.file, (what, str(e))
        return e
    raise SystemExit(f"{what}: not refused")

e = refused("train.lrr", lambda: interlock.wait(
    interlock.submit("train.ini", by="mpirun", train_lrr=1, run_dir="bad")))
assert isinstance(e, interlock.Failed) and e.code == 64, e
refused("told: no status of this start", lambda: interlock.wait(
    interlock.submit("train.ini", by="mpirun", train_lrr=1)))
os.mkdir("halted")
open("halted/stop", "w").close()
e = refused("halted: stopped step=", lambda: interlock.wait(
    interlock.submit("train.ini", by="mpirun", run_dir="halted")))
assert e.code == 75, e
refused("none.ini: no such", interlock.submit, "none.ini")
refused("neither 'sbatch' nor", interlock.submit, "train.ini", by="hand")
refused("none/metrics.csv: No such", interlock.read, "none")
refused("none/checkpoints: no checkpoint", interlock.checkpoint, "none")
open("broken.ini", "w").write("steps = 1\n")
refused("broken.ini", interlock.submit, "broken.ini")
shutil.copytree("told", "torn")
text = open("told/metrics.csv").read()
open("torn/metrics.csv", "w").write(text + "9,2.25,train,1.")
assert len(interlock.read("torn")["step"]) == len(interlock.read("told")["step"])
open("torn/metrics.csv", "w").write(text + "9,2.25,train\n")
refused(f"torn/metrics.csv:{text.count(chr(10)) + 1}: 3 cells",
        interlock.read, "torn")
open("torn/metrics.csv", "w").write(text.replace(",train,", ",train,much", 1))
refused("torn/metrics.csv: column head0_loss", interlock.read, "torn")
END
ok $? "what is wrong is an exception that names the file"

if [ "$with" = torch ]; then
  python <<'END'
import h5py, torch
from torch import nn

class Block(nn.Module):
    def __init__(self, c, width):
        super().__init__()
        self.conv1 = nn.Conv2d(c, width, 3, width // c, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        if c != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(c, width, 1, width // c, bias=False),
                nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y))
        return (y + (self.downsample(x) if hasattr(self, "downsample")
                     else x)).relu()

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(Block(8, 8), Block(8, 8))
        self.layer2 = nn.Sequential(Block(8, 16), Block(16, 16))
        self.fc = nn.Linear(16, classes)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        return self.fc(self.layer2(self.layer1(x)).mean((2, 3)))

with h5py.File("data.h5", "r") as f:
    mean, std = (np.array(f.attrs[a])[:, None, None] for a in ("mean", "std"))
    x = torch.tensor((f["valid/images"][()] / 255.0 - mean) / std).float()
    labels = torch.tensor(f["valid/labels"][()].astype(int))
    classes = len(f.attrs["classes"])
net = interlock.load("told", Net(classes)).eval()
loss = nn.functional.cross_entropy(net(x), labels).item()
m = interlock.read("told", split="valid")
assert abs(m["head3_loss"][-1] - loss) < 2e-4, (m["head3_loss"], loss)
file = interlock.checkpoint("told")
head = interlock.load(file, nn.Sequential(nn.AdaptiveAvgPool2d(1),
                                          nn.Linear(8, classes)), head=1)
with h5py.File(file, "r") as f:
    assert (f["heads/1/1.weight"][()] == head[1].weight.detach().numpy()).all()

def refused(what, call, *args, **keys):
    try:
        call(*args, **keys)
    except interlock.Error as e:
        assert what in str(e) and str(file) in str(e), (what, str(e))
        return
    raise SystemExit(f"{what}: not refused")

other = Net(classes + 1)
was = other.conv1.weight.clone()
refused("fc.weight: (10, 16) here, (11, 16) there", interlock.load, file, other)
assert (other.conv1.weight == was).all()
small = nn.Module()
small.bn1 = nn.BatchNorm2d(8)
refused("no place for conv1.weight", interlock.load, file, small)
interlock.load(file, small, strict=False)
assert (small.bn1.running_var == net.bn1.running_var).all()
net.more = nn.Linear(2, 2)
refused("nothing for more.weight", interlock.load, file, net)
refused("has no heads/9", interlock.load, file, net, head=9)
END
  ok $? "load: PyTorch computes the loss that the run has; what does not fit is told"
else
  n=$((n + 1))
  echo "ok $n - # SKIP PyTorch is not installed"
fi

done_testing

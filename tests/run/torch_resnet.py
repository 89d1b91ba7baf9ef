"""tests/run/torch_resnet.py -- ResNets of order pre out of PyTorch's own modules.

    torch_resnet.py logits CHECKPOINT DATASET NET DUMP
    torch_resnet.py steps FIRST LAST DATASET NET STEPS

NET: block:stem width:imagenet or cifar:groups, as in basic:16:cifar:8x2,16x2.
CHECKPOINT, FIRST: of one step without a rate, so with the first weights; they
are loaded by name, none missing and none left over.  logits: DUMP is the last
head's in training, of the first batch in sequential order; they may be off by
ten times what single precision is off in PyTorch.  steps: SGD from FIRST over the first STEPS batches has to end where LAST is, running statistics
included; prints the loss on the valid split.
"""
import sys

import h5py
import numpy as np
import torch
from torch import nn


class Block(nn.Module):
    """He et al. 2016, "Identity mappings": a projection sees what the first
    normalisation and ReLU give, the identity what they are given."""

    def __init__(self, basic, c, width, stride):
        super().__init__()
        out = width if basic else 4 * width
        shape = [(c, width, 3, stride), (width, out, 3, 1)] if basic else [
            (c, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
        for i, (a, b, kernel, step) in enumerate(shape, 1):
            setattr(self, f"bn{i}", nn.BatchNorm2d(a))
            setattr(self, f"conv{i}", nn.Conv2d(
                a, b, kernel, step, kernel // 2, bias=False))
        self.parts = len(shape)
        self.downsample = None
        if stride != 1 or c != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(c, out, 1, stride, bias=False))
        self.out = out

    def forward(self, x):
        y = torch.relu(self.bn1(x))
        side = x if self.downsample is None else self.downsample(y)
        y = self.conv1(y)
        for i in range(2, self.parts + 1):
            bn, conv = getattr(self, f"bn{i}"), getattr(self, f"conv{i}")
            y = conv(torch.relu(bn(y)))
        return y + side


class Net(nn.Module):
    def __init__(self, text, channels, classes):
        super().__init__()
        block, width, stem, groups = text.split(":")
        c = int(width)
        large = stem == "imagenet"
        self.conv1 = nn.Conv2d(channels, c, 7 if large else 3,
                               2 if large else 1, 3 if large else 1, bias=False)
        self.pool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        self.groups = []
        for g, group in enumerate(groups.split(",")):
            w, blocks = (int(n) for n in group.split("x"))
            row = []
            for b in range(blocks):
                row.append(Block(block == "basic", c, w,
                                 2 if g > 0 and b == 0 else 1))
                c = row[-1].out
            setattr(self, f"layer{g + 1}", nn.Sequential(*row))
            self.groups.append(f"layer{g + 1}")
        self.bn = nn.BatchNorm2d(c)
        self.fc = nn.Linear(c, classes)

    def forward(self, x):
        x = self.pool(self.conv1(x))
        for name in self.groups:
            x = getattr(self, name)(x)
        return self.fc(torch.relu(self.bn(x)).mean((2, 3)))


def tensors(path):
    found = {}
    with h5py.File(path, "r") as file:
        file["model"].visititems(
            lambda name, item: found.update({name: torch.tensor(item[()])})
            if isinstance(item, h5py.Dataset) else None)
    return found


def load(net, state):
    """All names but PyTorch's own count of batches; statistics anew."""
    counts = {k: v for k, v in net.state_dict().items()
              if k.endswith("num_batches_tracked")}
    net.load_state_dict({**state, **counts})
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.reset_running_stats()


def images(dataset, split):
    with h5py.File(dataset, "r") as file:
        x = file[split]["images"][()].astype(np.float32) / 255
        mean, std = (np.float32(file.attrs[n])[:, None, None]
                     for n in ("mean", "std"))
        y = file[split]["labels"][()].astype(np.int64)
        classes = len(file.attrs["classes"])
    return torch.tensor((x - mean) / std), torch.tensor(y), classes


def logits(checkpoint, dataset, text, dump):
    x, _, classes = images(dataset, "train")
    have = torch.tensor(np.load(dump)).double()
    net = Net(text, x.shape[1], classes)
    load(net, tensors(checkpoint))
    x = x[:len(have)]
    with torch.no_grad():
        single, want = net(x).double(), net.double()(x.double())

    def off(z):
        return ((z - want).abs().max() / want.abs().max()).item()
    count = sum(p.numel() for p in net.parameters())
    print(f"{count} parameters, logits off by {off(have):.1e} of the largest, "
          f"in single precision there by {off(single):.1e}")
    assert want.std() > 1e-3, want.std()
    assert off(have) < max(1e-6, 10 * off(single)), off(have)


def steps(first, last, dataset, text, n):
    x, y, classes = images(dataset, "train")
    net = Net(text, x.shape[1], classes)
    load(net, tensors(first))
    sgd = torch.optim.SGD(net.parameters(), 0.05, 0.9, weight_decay=1e-3)
    for i in range(int(n)):
        sgd.zero_grad()
        at = slice(8 * i, 8 * i + 8)
        nn.functional.cross_entropy(net(x[at]), y[at]).backward()
        sgd.step()
    want, have, was = net.state_dict(), tensors(last), tensors(first)
    worst = 0
    for name, value in have.items():
        moved = (want[name] - was[name]).norm()
        worst = max(worst, ((value - want[name]).norm() / moved).item())
    print(f"{len(have)} tensors moved alike but for {worst:.1e}",
          file=sys.stderr)
    assert worst < 2e-3, worst
    x, y, _ = images(dataset, "valid")
    net.eval()
    with torch.no_grad():
        print(f"{nn.functional.cross_entropy(net(x), y).item():.8f}")


{"logits": logits, "steps": steps}[sys.argv[1]](*sys.argv[2:])

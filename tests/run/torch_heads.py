"""tests/run/torch_heads.py -- heads of images out of PyTorch's own modules.

    torch_heads.py FIRST LAST DATASET HEAD SMOOTHING STEPS CUT [corners]

A ResNet of groups 8x2,16x2 in two stages, CUT units and the rest, that learn
locally; HEAD stands behind the first.  FIRST: a checkpoint of one step without
a rate.  Its tensors are loaded by name, none missing and none left over; SGD
over the first STEPS batches of 8 has to end where LAST is, running statistics
included.  Prints the first head's loss on the valid split, of labels as they
are, and of HEAD+recW that of the images that it makes again.
With `corners`, a planted fault, corners are not aligned there.
"""
import sys

import h5py
import numpy as np
import torch
from torch import nn

GROUPS = [(8, 2), (16, 2)]


class Block(nn.Module):
    def __init__(self, c, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or c != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(c, width, 1, stride, bias=False),
                nn.BatchNorm2d(width))

    def forward(self, x):
        side = x if self.downsample is None else self.downsample(x)
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + side)


class Net(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        c = GROUPS[0][0]
        self.conv1 = nn.Conv2d(channels, c, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        for g, (width, blocks) in enumerate(GROUPS):
            row = []
            for b in range(blocks):
                row.append(Block(c, width, 2 if g > 0 and b == 0 else 1))
                c = width
            setattr(self, f"layer{g + 1}", nn.Sequential(*row))
        self.fc = nn.Linear(c, classes)

    def stages(self, cut):
        """What is in front of the first head, and the rest."""
        stem = nn.Sequential(self.conv1, self.bn1, nn.ReLU())
        units = [stem, *self.layer1, *self.layer2]
        return nn.Sequential(*units[:cut]), nn.Sequential(
            *units[cut:], nn.AdaptiveAvgPool2d(1), nn.Flatten(), self.fc)


def like(depth, cut):
    """AugLocal behind `cut` units of the stem and four blocks."""
    widths = [GROUPS[0][0]] + [w for w, n in GROUPS for _ in range(n)]
    after, last = cut - 1, len(widths) - 1
    depth = min(depth, last - after)
    at = [round(after + (last - after) / depth * i)
          for i in range(1, depth + 1)]
    c, row = widths[after], []
    for i in at:
        row.append(Block(c, widths[i], 2 if widths[i] > c else 1))
        c = widths[i]
    return nn.Sequential(*row)


def head(grammar, x, classes, cut):
    """The words as modules, of which each has the number of its word."""
    words = grammar.split("-")
    if words[0] == "like":
        words[:2] = ["like" + words[1]]
    if words[-1].startswith("like"):
        words += ["gap", "fc"]
    row = nn.Sequential()

    def add(name, *modules):
        nonlocal x
        for i, m in enumerate(modules):
            row.add_module(name if i == 0 else f"{name}+{i}", m)
            x = m(x)

    for i, word in enumerate(words):
        name, bn = str(i), words[i + 1:i + 2] == ["bn"]
        relu = [] if bn else [nn.ReLU()]
        if word.startswith("like"):
            add(name, like(int(word[4:]), cut))
        elif word.startswith("conv"):
            one = word.startswith("conv1x")
            n, _, stride = word[6 if one else 4:].partition("s")
            add(name, nn.Conv2d(x.shape[1], int(n), 1 if one else 3,
                                int(stride or 1), 0 if one else 1), *relu)
        elif word == "bn":
            kind = nn.BatchNorm2d if x.dim() > 2 else nn.BatchNorm1d
            add(name, kind(x.shape[1]), *([nn.ReLU()] if i > 0 else []))
        elif word == "ln":
            add(name, nn.GroupNorm(1, x.shape[1], affine=False))
        elif word.startswith("pool"):
            add(name, nn.AdaptiveAvgPool2d(int(word[4:])))
        elif word == "gap":
            add(name, nn.AdaptiveAvgPool2d(1))
        else:
            if x.dim() > 2:
                add(f"{name}-", nn.Flatten())
            add(name, nn.Linear(x.shape[1], int(word[2:] or classes)),
                *(relu if word != "fc" else []))
    return row


class Decoder(nn.Module):
    """What makes images again of a head's input: InfoPro's."""
    def __init__(self, c, image, aligned):
        super().__init__()
        self.size, self.aligned = image.shape[2:], aligned
        self.rec = nn.Sequential(nn.Conv2d(c, 12, 3, 1, 1), nn.BatchNorm2d(12),
                                 nn.ReLU(),
                                 nn.Conv2d(12, image.shape[1], 3, 1, 1),
                                 nn.Sigmoid())

    def forward(self, z, target):
        z = nn.functional.interpolate(z, size=self.size, mode="bilinear",
                                      align_corners=self.aligned)
        return nn.functional.binary_cross_entropy(self.rec(z), target)


def tensors(path):
    """Both parts by the names that the modules below have."""
    found = {}
    with h5py.File(path, "r") as file:
        for part, where in (("net.", "model"), ("head.", "heads/0")):
            file[where].visititems(
                lambda name, item: found.update(
                    {part + name: torch.tensor(item[()])})
                if isinstance(item, h5py.Dataset) else None)
    return found


def images(dataset, split):
    with h5py.File(dataset, "r") as file:
        x = file[split]["images"][()].astype(np.float32) / 255
        mean, std = (np.float32(file.attrs[n])[:, None, None]
                     for n in ("mean", "std"))
        y = file[split]["labels"][()].astype(np.int64)
        classes = len(file.attrs["classes"])
    return torch.tensor((x - mean) / std), torch.tensor(y), classes, \
        torch.tensor(x)


def main(first, last, dataset, grammar, smoothing, n, cut, fault=""):
    grammar, rebuilds, weight = grammar.partition("+rec")
    x, y, classes, pixels = images(dataset, "train")
    both = nn.Module()
    both.net = Net(x.shape[1], classes)
    front, rest = both.net.stages(int(cut))
    both.head = nn.Module()
    row = head(grammar, front(x[:8]).detach(), classes, int(cut))
    decoder = Decoder(front(x[:8]).shape[1], x, fault != "corners")
    for name, module in row.named_children():
        both.head.add_module(name, module)
    if rebuilds:
        both.head.rec = decoder.rec
    counts = {k: v for k, v in both.state_dict().items()
              if k.endswith("num_batches_tracked")}
    both.load_state_dict({**tensors(first), **counts})
    for m in both.modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)):
            m.reset_running_stats()
    sgd = torch.optim.SGD(both.parameters(), 0.05, 0.9, weight_decay=1e-3)
    loss = nn.CrossEntropyLoss(label_smoothing=float(smoothing))
    for i in range(int(n)):
        sgd.zero_grad()
        at = slice(8 * i, 8 * i + 8)
        z = front(x[at])
        (loss(row(z), y[at]) + (float(weight or 1) * decoder(z, pixels[at])
                                if rebuilds else 0)).backward()
        loss(rest(z.detach()), y[at]).backward()
        sgd.step()
    want, have, was = both.state_dict(), tensors(last), tensors(first)
    worst = 0
    for name, value in have.items():
        # A bias in front of a BatchNorm moves by decay and rounding alone.
        moved = (want[name] - was[name]).norm() + 1e-3 * was[name].norm()
        worst = max(worst, ((value - want[name]).norm() / moved).item())
    print(f"{len(have)} tensors moved alike but for {worst:.1e}",
          file=sys.stderr)
    assert worst < 2e-3, worst
    x, y, _, pixels = images(dataset, "valid")
    both.eval()
    with torch.no_grad():
        z = front(x)
        print(f"{nn.functional.cross_entropy(row(z), y).item():.8f}",
              f"{decoder(z, pixels).item():.8f}" if rebuilds else "")


main(*sys.argv[1:])

"""tests/run/load.py CHECKPOINT DATASET OUT -- what somebody else reads.

Loads a checkpoint with h5py, checks names, shapes and attributes against a list
made here, runs the network on the valid split with numpy alone and prints its
mean loss and accuracy; writes the model's tensors to OUT as a bare parameter
file.  The network is that of tests/run/rig.sh: groups 8x2,16x2, CIFAR stem, two
stages' heads conv8-bn-gap-fc.
"""
import sys

import h5py
import numpy as np


def bn(name, c):
    return {f"{name}.{part}": (c,)
            for part in ("weight", "bias", "running_mean", "running_var")}


def network(classes):
    shapes = {"conv1.weight": (8, 3, 3, 3), **bn("bn1", 8)}
    c = 8
    for group, width in enumerate((8, 16), 1):
        for block in range(2):
            name = f"layer{group}.{block}"
            shapes[f"{name}.conv1.weight"] = (width, c, 3, 3)
            shapes.update(bn(f"{name}.bn1", width))
            shapes[f"{name}.conv2.weight"] = (width, width, 3, 3)
            shapes.update(bn(f"{name}.bn2", width))
            if c != width:
                shapes[f"{name}.downsample.0.weight"] = (width, c, 1, 1)
                shapes.update(bn(f"{name}.downsample.1", width))
            c = width
    shapes["fc.weight"] = (classes, c)
    shapes["fc.bias"] = (classes,)
    return shapes


def head(c, classes):
    return {"0.weight": (8, c, 3, 3), "0.bias": (8,), **bn("1", 8),
            "3.weight": (classes, 8), "3.bias": (classes,)}


def learnable(names):
    return {n for n in names if "running_" not in n}


def check(found, wanted, what):
    assert set(found) == set(wanted), (what, set(found) ^ set(wanted))
    for name, shape in wanted.items():
        tensor = found[name]
        assert tensor.shape == shape, (what, name, tensor.shape, shape)
        assert tensor.dtype == np.float32, (what, name, tensor.dtype)
        assert np.isfinite(tensor).all(), (what, name)


def conv(x, w, stride):
    k = w.shape[2]
    x = np.pad(x, ((0, 0), (0, 0), (k // 2,) * 2, (k // 2,) * 2))
    h = (x.shape[2] - k) // stride + 1
    y = np.zeros((x.shape[0], w.shape[0], h, h))
    for i in range(k):
        for j in range(k):
            part = x[:, :, i:i + stride * h:stride, j:j + stride * h:stride]
            y += np.einsum("nchw,oc->nohw", part, w[:, :, i, j])
    return y


def forward(state, x):
    def norm(name, x):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scale = state[f"{name}.weight"] / np.sqrt(var + 1e-5)
        shift = state[f"{name}.bias"] - mean * scale
        return x * scale[:, None, None] + shift[:, None, None]

    x = np.maximum(norm("bn1", conv(x, state["conv1.weight"], 1)), 0)
    for name in ("layer1.0", "layer1.1", "layer2.0", "layer2.1"):
        stride = 2 if name == "layer2.0" else 1
        y = conv(x, state[f"{name}.conv1.weight"], stride)
        y = np.maximum(norm(f"{name}.bn1", y), 0)
        y = norm(f"{name}.bn2", conv(y, state[f"{name}.conv2.weight"], 1))
        if f"{name}.downsample.0.weight" in state:
            x = conv(x, state[f"{name}.downsample.0.weight"], stride)
            x = norm(f"{name}.downsample.1", x)
        x = np.maximum(x + y, 0)
    return x.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]


def tensors(group):
    """All tensors below a group, by name; three lines load a model."""
    found = {}
    group.visititems(lambda name, item: found.update({name: item[()]})
                     if isinstance(item, h5py.Dataset) else None)
    return found


def main(checkpoint, dataset, out):
    with h5py.File(dataset, "r") as f:
        x = f["valid/images"][()] / 255.0
        mean, std = np.array(f.attrs["mean"]), np.array(f.attrs["std"])
        x = (x - mean[:, None, None]) / std[:, None, None]
        labels = f["valid/labels"][()].astype(int)
        classes = len(f.attrs["classes"])
    with h5py.File(checkpoint, "r") as f:
        kind = f.attrs["interlock_format"]
        assert (kind.decode() if isinstance(kind, bytes) else kind) == \
            "checkpoint", kind
        for name in ("version", "step", "epoch", "sample", "seed", "config"):
            assert name in f.attrs, name
        model = tensors(f["model"])
        check(model, network(classes), "model")
        widths = {"1": 8, "2": 16}  # behind stage 1: layer1.1; 2: layer2.0
        assert set(f["heads"]) == set(widths), set(f["heads"])
        for h, c in widths.items():
            check(tensors(f["heads"][h]), head(c, classes), f"head {h}")
        moments = tensors(f["optimizer/momentum"])
        wanted = {f"model/{n}" for n in learnable(model)}
        for h, c in widths.items():
            wanted |= {f"heads/{h}/{n}" for n in learnable(head(c, classes))}
        assert set(moments) == wanted, set(moments) ^ wanted
        for name, tensor in moments.items():
            assert tensor.shape == f[name].shape, name
    logits = forward(model, x)
    logits -= logits.max(1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    loss = -logs[np.arange(len(labels)), labels].mean()
    print(f"{loss:.4f} {(logits.argmax(1) == labels).mean():.4f}")
    with h5py.File(out, "w") as f:
        for name, tensor in model.items():
            f[f"model/{name}"] = tensor


main(*sys.argv[1:])

"""tests/weights/weights.py -- somebody else reads and writes safetensors.

    weights.py look FILE              checks the layout; prints names and shapes
    weights.py recode FILE OUT DTYPE  the same numbers as F16, BF16 or F64
    weights.py change FILE OUT WHAT   a file that is damaged, or of another model
    weights.py torch [KIND FILE DATASET HEADS LOSS ACCURACY]...
    weights.py page FILE [DIRECTORY]  runs a page's blocks of Python

Written from the published layout: 8 bytes of length, little-endian, a JSON
header, data without holes.  torch: a module with the names of torchvision, timm
(ResNetV2), Hugging Face's GPT-2 or Llama, written down here, takes every tensor
by name, and its mean loss on the valid split has to be LOSS.  The rest needs
nothing but the standard library.
"""
import json
import struct
import sys

BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8}


def read(path):
    """{name: (dtype, shape, bytes)} in the order of the data, and metadata."""
    with open(path, "rb") as file:
        whole = file.read()
    (length,) = struct.unpack("<Q", whole[:8])
    assert length % 8 == 0 and 8 + length <= len(whole), length
    header = whole[8:8 + length].decode()
    assert header[0] == "{", header[:8]
    names = []

    def once(pairs):
        names.extend(k for k, v in pairs if isinstance(v, dict))
        return dict(pairs)

    found = json.loads(header, object_pairs_hook=once)
    assert len(names) == len(set(names)), "a name comes twice"
    meta = found.pop("__metadata__", {})
    data, at, tensors = whole[8 + length:], 0, {}
    order = sorted(found.items(), key=lambda item: item[1]["data_offsets"])
    for name, value in order:
        begin, end = value["data_offsets"]
        count = 1
        for d in value["shape"]:
            count *= d
        assert begin == at, (name, begin, at)
        assert end - begin == count * BYTES[value["dtype"]], name
        assert begin % BYTES[value["dtype"]] == 0, name
        tensors[name] = value["dtype"], value["shape"], data[begin:end]
        at = end
    assert at == len(data), (at, len(data))
    return tensors, meta


def write(path, tensors, header=lambda h: h, data=lambda d: d):
    found, blob = {}, b""
    for name, (dtype, shape, raw) in tensors.items():
        found[name] = {"dtype": dtype, "shape": shape,
                       "data_offsets": [len(blob), len(blob) + len(raw)]}
        blob += raw
    text = header(found)
    text = (text if isinstance(text, str) else json.dumps(text)).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data(blob))


def look(path):
    tensors, meta = read(path)
    assert meta.get("format") == "pt", meta
    for name, (dtype, shape, _) in sorted(tensors.items()):
        print(name, dtype, *shape)


def recode(path, out, dtype):
    def narrow(raw):
        numbers = struct.unpack(f"<{len(raw) // 4}f", raw)
        if dtype == "BF16":  # cut off
            return b"".join(raw[i + 2:i + 4] for i in range(0, len(raw), 4))
        return struct.pack(f"<{len(numbers)}{'e' if dtype == 'F16' else 'd'}",
                           *numbers)

    tensors, _ = read(path)
    write(out, {name: (dtype, shape, narrow(raw)) if d == "F32" else
                (d, shape, raw) for name, (d, shape, raw) in tensors.items()})
    # what these numbers are as 32-bit floats, for comparison
    back = {}
    for name, (d, shape, raw) in read(out)[0].items():
        if d == "BF16":
            raw = b"".join(b"\0\0" + raw[i:i + 2]
                           for i in range(0, len(raw), 2))
        elif d != "I64":
            code = {"F16": "e", "F64": "d"}[d]
            numbers = struct.unpack(f"<{len(raw) // BYTES[d]}{code}", raw)
            raw = struct.pack(f"<{len(numbers)}f", *numbers)
        back[name] = "F32" if d != "I64" else d, shape, raw
    write(out + ".f32", back)


def same(path, other):
    a, b = read(path)[0], read(other)[0]
    floats = {n for n in a if a[n][0] == "F32"}
    assert floats == {n for n in b if b[n][0] == "F32"}, floats ^ set(b)
    for name in floats:
        assert a[name] == b[name], name


def change(path, out, what):
    tensors, _ = read(path)
    name = "layer1.0.bn1.bias"

    def edit(**values):
        def header(found):
            found[name].update(values)
            return {k: v for k, v in found.items() if v is not None}
        return header

    def at(shift):
        def header(found):
            for value in found.values():
                if value["data_offsets"][0] >= where[0]:
                    value["data_offsets"] = [
                        x + shift for x in value["data_offsets"]]
            return found
        return header

    spots = {}
    write(out, tensors, lambda h: spots.update(h) or h)
    name = name if name in spots else next(iter(spots))
    where = spots[name]["data_offsets"]
    twice = json.dumps(spots)[:-1] + f', "{name}": ' + \
        json.dumps(spots[name]) + "}"
    shape = tensors[name][1]
    ways = {
        "overlap": (at(-4), lambda d: d[:-4]),
        "hole": (at(4), lambda d: d + b"1234"),
        "more": (lambda h: h, lambda d: d + b"1234"),
        "cut": (lambda h: h, lambda d: d[:where[0] + 4]),
        "dtype": (edit(dtype="F33"), None),
        "integer": (edit(dtype="I32"), None),
        "untyped": (edit(dtype=None), None),
        "shape": (edit(shape=[shape[0] + 1]), None),
        "huge": (edit(shape=[2 ** 62, 2 ** 62]), None),
        "negative": (edit(shape=[-shape[0]]), None),
        "deep": (edit(shape=[1] * 40 + shape), None),
        "outside": (edit(data_offsets=[2 ** 62, 2 ** 62 + 4 * shape[0]]), None),
        "backwards": (edit(data_offsets=where[::-1]), None),
        "twice": (lambda h: twice, None),
        "json": (lambda h: json.dumps(h)[:-3] + "???", None),
    }
    if what in ways:
        header, data = ways[what]
        write(out, tensors, header, data or (lambda d: d))
    elif what == "missing":
        write(out, {n: t for n, t in tensors.items() if n != name})
    elif what == "extra":
        write(out, {**tensors, "layer1.0.se.fc1.weight": tensors[name]})
    elif what == "other":
        write(out, {**tensors, name: ("F32", [shape[0] + 1],
                                      tensors[name][2] + b"\0\0\0\0")})
    elif what == "wrapped":
        write(out, {"module." + n: t for n, t in tensors.items()})
    elif what == "hub":
        bare = {n[len("transformer."):]: t for n, t in tensors.items()}
        bare["h.0.attn.bias"] = "F32", [1, 1, 2, 2], bytes(16)
        write(out, bare)
    elif what == "short":
        open(out, "wb").write(b"\7\0\0")
    else:  # a number: the length that the file tells
        write(out, tensors)
        with open(out, "r+b") as file:
            file.write(struct.pack("<Q", int(what)))


# -- the same models of PyTorch -----------------------------------------------

def modules():
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Block(nn.Module):
        """torchvision's BasicBlock and Bottleneck."""

        def __init__(self, basic, c, width, stride):
            super().__init__()
            out = width if basic else 4 * width
            shapes = [(c, width, 3, stride), (width, out, 3, 1)] if basic else [
                (c, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
            for i, (a, b, kernel, step) in enumerate(shapes, 1):
                setattr(self, f"conv{i}", nn.Conv2d(
                    a, b, kernel, step, kernel // 2, bias=False))
                setattr(self, f"bn{i}", nn.BatchNorm2d(b))
            self.n, self.out, self.downsample = len(shapes), out, None
            if stride != 1 or c != out:
                self.downsample = nn.Sequential(
                    nn.Conv2d(c, out, 1, stride, bias=False),
                    nn.BatchNorm2d(out))

        def forward(self, x):
            y = x
            for i in range(1, self.n + 1):
                y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
                y = torch.relu(y) if i < self.n else y
            side = x if self.downsample is None else self.downsample(x)
            return torch.relu(y + side)

    class ResNet(nn.Module):
        def __init__(self, basic, stem, groups, classes):
            super().__init__()
            c = groups[0][0]
            self.conv1 = nn.Conv2d(3, c, 7, 2, 3, bias=False) if stem else \
                nn.Conv2d(3, c, 3, 1, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(c)
            self.maxpool = nn.MaxPool2d(3, 2, 1) if stem else nn.Identity()
            self.n = len(groups)
            for g, (width, blocks) in enumerate(groups):
                row = []
                for b in range(blocks):
                    row.append(Block(basic, c, width, 2 if g and not b else 1))
                    c = row[-1].out
                setattr(self, f"layer{g + 1}", nn.Sequential(*row))
            self.fc = nn.Linear(c, classes)

        def forward(self, x):
            x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
            for g in range(self.n):
                x = getattr(self, f"layer{g + 1}")(x)
            return self.fc(x.mean((2, 3)))

    class PreBlock(nn.Module):
        """timm's PreActBottleneck; its norms bring their ReLU."""

        def __init__(self, c, width, stride, first):
            super().__init__()
            out = 4 * width
            self.norm1 = nn.BatchNorm2d(c)
            self.conv1 = nn.Conv2d(c, width, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.norm3 = nn.BatchNorm2d(width)
            self.conv3 = nn.Conv2d(width, out, 1, bias=False)
            self.downsample = None
            if first:
                self.downsample = nn.Sequential()
                self.downsample.add_module(
                    "conv", nn.Conv2d(c, out, 1, stride, bias=False))

        def forward(self, x):
            y = torch.relu(self.norm1(x))
            side = x if self.downsample is None else self.downsample(y)
            y = torch.relu(self.norm2(self.conv1(y)))
            y = torch.relu(self.norm3(self.conv2(y)))
            return self.conv3(y) + side

    class V2(nn.Module):
        def __init__(self, groups, classes):
            super().__init__()
            c = groups[0][0]
            self.stem = nn.Sequential()
            self.stem.add_module("conv", nn.Conv2d(3, c, 3, 1, 1, bias=False))
            stages = []
            for g, (width, blocks) in enumerate(groups):
                row = []
                for b in range(blocks):
                    row.append(PreBlock(c, width, 2 if g and not b else 1,
                                        b == 0))
                    c = 4 * width
                stages.append(nn.ModuleDict({"blocks": nn.Sequential(*row)}))
            self.stages = nn.ModuleList(stages)
            self.norm = nn.BatchNorm2d(c)
            self.head = nn.ModuleDict({"fc": nn.Conv2d(c, classes, 1)})

        def forward(self, x):
            x = self.stem(x)
            for stage in self.stages:
                x = stage["blocks"](x)
            x = torch.relu(self.norm(x)).mean((2, 3), keepdim=True)
            return self.head["fc"](x).flatten(1)

    class Conv1D(nn.Module):
        """Hugging Face's: [in, out]."""

        def __init__(self, out, into):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(into, out))
            self.bias = nn.Parameter(torch.empty(out))

        def forward(self, x):
            return x @ self.weight + self.bias

    def attend(q, k, v, heads):
        n, t, _ = q.shape
        w = q.shape[-1] // heads
        q, k, v = (x.reshape(n, t, -1, w).transpose(1, 2) for x in (q, k, v))
        return q, k, v, w

    def mix(q, k, v):
        n, heads, t, w = q.shape
        k, v = (x.repeat_interleave(heads // x.shape[1], 1) for x in (k, v))
        s = q @ k.transpose(2, 3) / w ** 0.5
        s = s.masked_fill(torch.ones(t, t).triu(1).bool(), -torch.inf)
        return (s.softmax(-1) @ v).transpose(1, 2).reshape(n, t, heads * w)

    class Gpt(nn.Module):
        def __init__(self, state, heads):
            super().__init__()
            words, d = state["transformer.wte.weight"].shape
            context = state["transformer.wpe.weight"].shape[0]
            layers = sum(n.endswith(".ln_1.weight") for n in state)
            wide = state["transformer.h.0.mlp.c_fc.weight"].shape[1]
            self.heads = heads
            self.transformer = nn.ModuleDict({
                "wte": nn.Embedding(words, d), "wpe": nn.Embedding(context, d),
                "ln_f": nn.LayerNorm(d),
                "h": nn.ModuleList(nn.ModuleDict({
                    "ln_1": nn.LayerNorm(d), "ln_2": nn.LayerNorm(d),
                    "attn": nn.ModuleDict({"c_attn": Conv1D(3 * d, d),
                                           "c_proj": Conv1D(d, d)}),
                    "mlp": nn.ModuleDict({"c_fc": Conv1D(wide, d),
                                          "c_proj": Conv1D(d, wide)})})
                    for _ in range(layers))})
            self.lm_head = nn.Linear(d, words, bias=False)
            if "lm_head.weight" not in state:
                self.lm_head.weight = self.transformer["wte"].weight

        def forward(self, ids):
            t = self.transformer
            x = t["wte"](ids) + t["wpe"](torch.arange(ids.shape[1]))
            for h in t["h"]:
                q, k, v = h["attn"]["c_attn"](h["ln_1"](x)).chunk(3, -1)
                q, k, v, _ = attend(q, k, v, self.heads)
                x = x + h["attn"]["c_proj"](mix(q, k, v))
                y = F.gelu(h["mlp"]["c_fc"](h["ln_2"](x)), approximate="tanh")
                x = x + h["mlp"]["c_proj"](y)
            return self.lm_head(t["ln_f"](x))

    class Rms(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(d))

        def forward(self, x):
            return x * (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * \
                self.weight

    def rotated(x):
        """Halves of a head, as its rotate_half."""
        w = x.shape[-1]
        speed = 10000.0 ** (-torch.arange(0, w, 2, dtype=torch.float64) / w)
        angle = torch.outer(torch.arange(x.shape[2]).double(), speed)
        angle = torch.cat([angle, angle], -1)
        other = torch.cat([-x[..., w // 2:], x[..., :w // 2]], -1)
        return x * angle.cos().float() + other * angle.sin().float()

    class Llama(nn.Module):
        def __init__(self, state, heads):
            super().__init__()
            words, d = state["model.embed_tokens.weight"].shape
            layers = sum(n.endswith("input_layernorm.weight") for n in state)
            keys = state["model.layers.0.self_attn.k_proj.weight"].shape[0]
            wide = state["model.layers.0.mlp.up_proj.weight"].shape[0]

            def linear(a, b):
                return nn.Linear(a, b, bias=False)

            self.heads = heads
            self.model = nn.ModuleDict({
                "embed_tokens": nn.Embedding(words, d), "norm": Rms(d),
                "layers": nn.ModuleList(nn.ModuleDict({
                    "input_layernorm": Rms(d),
                    "post_attention_layernorm": Rms(d),
                    "self_attn": nn.ModuleDict({
                        "q_proj": linear(d, d), "k_proj": linear(d, keys),
                        "v_proj": linear(d, keys), "o_proj": linear(d, d)}),
                    "mlp": nn.ModuleDict({
                        "gate_proj": linear(d, wide), "up_proj": linear(d, wide),
                        "down_proj": linear(wide, d)})})
                    for _ in range(layers))})
            self.lm_head = linear(d, words)
            if "lm_head.weight" not in state:
                self.lm_head.weight = self.model["embed_tokens"].weight

        def forward(self, ids):
            x = self.model["embed_tokens"](ids)
            w = x.shape[-1] // self.heads
            for h in self.model["layers"]:
                a, y = h["self_attn"], h["input_layernorm"](x)
                q, k, v = (a[f"{p}_proj"](y).reshape(*y.shape[:2], -1, w)
                           .transpose(1, 2) for p in "qkv")
                x = x + a["o_proj"](mix(rotated(q), rotated(k), v))
                y = h["post_attention_layernorm"](x)
                m = h["mlp"]
                x = x + m["down_proj"](F.silu(m["gate_proj"](y)) *
                                       m["up_proj"](y))
            return self.lm_head(self.model["norm"](x))

    return ResNet, V2, Gpt, Llama


def run_all(*words):
    for i in range(0, len(words), 6):
        run(*words[i:i + 6])


def run(kind, path, dataset, heads, loss, accuracy):
    import h5py
    import numpy as np
    import torch
    from torch.nn import functional as F
    ResNet, V2, Gpt, Llama = modules()
    codes = {"F32": np.float32, "I64": np.int64}
    state = {name: torch.tensor(np.frombuffer(raw, codes[dtype]).reshape(shape))
             for name, (dtype, shape, raw) in read(path)[0].items()}
    groups = [(8, 2), (16, 2)]
    with h5py.File(dataset, "r") as f:
        if kind in ("gpt2", "llama"):
            tokens = torch.tensor(f["valid/tokens"][()].astype(np.int64))
            net = (Gpt if kind == "gpt2" else Llama)(state, int(heads))
        else:
            x = torch.tensor(f["valid/images"][()] / 255.0)
            mean, std = (torch.tensor(f.attrs[w])[:, None, None]
                         for w in ("mean", "std"))
            x = ((x - mean) / std).float()
            labels = torch.tensor(f["valid/labels"][()].astype(np.int64))
            n = len(f.attrs["classes"])
            if kind == "torchvision":
                import torchvision
                net = torchvision.models.resnet18(num_classes=n)
                assert set(net.state_dict()) == set(state)
            else:
                net = V2(groups, n) if kind == "v2" else \
                    ResNet(kind == "basic", kind == "bottleneck", groups, n)
    tied = {"lm_head.weight"} - set(state) if kind in ("gpt2", "llama") else set()
    missing, extra = net.load_state_dict(state, strict=not tied)
    assert set(missing) == tied and not extra, (missing, extra)
    net.eval()
    with torch.no_grad():
        if kind in ("gpt2", "llama"):
            total, length = 0.0, 24
            for at in range(0, len(tokens) - 1, length):
                want = tokens[at + 1:at + 1 + length]
                got = net(tokens[None, at:at + len(want)])[0]
                total += F.cross_entropy(got, want, reduction="sum").item()
            found = total / (len(tokens) - 1)
        else:
            y = net(x)
            found = F.cross_entropy(y, labels).item()
            right = (y.argmax(1) == labels).float().mean().item()
            assert abs(right - float(accuracy)) < 1e-4, (right, accuracy)
    print(f"{kind} {found:.5f}", end=" ")
    assert abs(found - float(loss)) < 2e-4, (found, loss)


def page(path, number="0"):
    """Block `number` of Python of a page, as it stands."""
    with open(path) as file:
        blocks = file.read().split("```python\n")[1:]
    code = blocks[int(number)].split("```")[0]
    print(code)
    exec(compile(code, path, "exec"), {})


if __name__ == "__main__":
    {"look": look, "recode": recode, "same": same, "change": change,
     "torch": run_all, "page": page}[sys.argv[1]](*sys.argv[2:])

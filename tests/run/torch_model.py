"""tests/run/torch_model.py -- a language model's checkpoint in PyTorch, and back.

    torch_model.py check CHECKPOINT DATASET HEADS LOGITS...
    torch_model.py change CHECKPOINT OUT

check: loads the model by name, runs GPT-2's forward or, where the names are
Llama's, Llama's, both written down here, and compares: LOGITS (dumps of the first batch in sequential order, the heads in the
order of their stages, the model's own last) within 1e-4; prints the mean loss of
each head on the valid split.  change: the same weights, moved at random, as a
bare parameter file.  HEADS: of attention.  Without PyTorch the forward is
NumPy's, in double precision.
"""
import sys

import h5py
import numpy as np

try:
    import torch
    from torch.nn import functional as F
except ImportError:
    torch = None


def tensors(group):
    """All tensors below a group, by name."""
    found = {}
    group.visititems(lambda name, item: found.update({name: item[()]})
                     if isinstance(item, h5py.Dataset) else None)
    return found


# -- the network twice ---------------------------------------------------------

class Numpy:
    """x [B, T, D] in double precision."""

    def tensor(self, value):
        return value.astype(np.float64)

    def embed(self, table, ids):
        return table[ids]

    def linear(self, x, w, b=None):
        y = x @ w.T
        return y if b is None else y + b

    def norm(self, x, w, b):
        mean = x.mean(-1, keepdims=True)
        var = ((x - mean) ** 2).mean(-1, keepdims=True)
        return (x - mean) / np.sqrt(var + 1e-5) * w + b

    def gelu(self, x):
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi)
                                      * (x + 0.044715 * x ** 3)))

    def attention(self, q, k, v):
        scores = np.einsum("bhid,bhjd->bhij", q, k) / np.sqrt(q.shape[-1])
        length = scores.shape[-1]
        scores[..., np.triu_indices(length, 1)[0],
               np.triu_indices(length, 1)[1]] = -np.inf
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        return np.einsum("bhij,bhjd->bhid",
                         scores / scores.sum(-1, keepdims=True), v)

    def rms(self, x, w):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w

    def silu(self, x):
        return x / (1 + np.exp(-x))

    def rotate(self, x):
        """Heads [B, H, T, w], as complex numbers."""
        half = x.shape[-1] // 2
        angle = np.outer(np.arange(x.shape[2]),
                         10000.0 ** (-np.arange(half) / half))
        z = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angle)
        return np.concatenate([z.real, z.imag], -1)

    def repeat(self, x, times):
        return np.repeat(x, times, 1)

    def turn(self, x):
        return x.swapaxes(1, 2)

    def array(self, x):
        return x


class Torch:
    """The same with PyTorch's own functions, in single precision."""

    def tensor(self, value):
        return torch.tensor(value)

    def embed(self, table, ids):
        return F.embedding(torch.tensor(ids), table)

    def linear(self, x, w, b=None):
        return F.linear(x, w, b)

    def norm(self, x, w, b):
        return F.layer_norm(x, (len(w),), w, b)

    def gelu(self, x):
        return F.gelu(x, approximate="tanh")

    def attention(self, q, k, v):
        length = q.shape[2]
        scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
        later = torch.ones(length, length).triu(1).bool()
        return scores.masked_fill(later, float("-inf")).softmax(-1) @ v

    def rms(self, x, w):
        if hasattr(F, "rms_norm"):
            return F.rms_norm(x, (len(w),), w, 1e-5)
        return w * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))

    def silu(self, x):
        return F.silu(x)

    def rotate(self, x):
        """Heads [B, H, T, w], as Hugging Face turns them."""
        width = x.shape[-1]
        speed = 1.0 / 10000.0 ** (torch.arange(0, width, 2).float() / width)
        angle = torch.outer(torch.arange(x.shape[2]).float(), speed)
        angle = torch.cat([angle, angle], -1)
        low, high = x[..., :width // 2], x[..., width // 2:]
        return x * angle.cos() + torch.cat([-high, low], -1) * angle.sin()

    def repeat(self, x, times):
        return x.repeat_interleave(times, 1)

    def turn(self, x):
        return x.transpose(1, 2)

    def array(self, x):
        return x.numpy().astype(np.float64)


def llama(f, state, ids, n_heads):
    """What comes out of every layer; the embedding's first."""
    x = f.embed(state["model.embed_tokens.weight"], ids)
    outputs = [x]
    batch, length, width = x.shape
    head = width // n_heads
    layers = 1 + max(int(name.split(".")[2]) for name in state
                     if name.startswith("model.layers."))
    for i in range(layers):
        def get(name):
            return state.get(f"model.layers.{i}.{name}.weight")

        def heads(x, norm):
            x = f.turn(x.reshape(batch, length, -1, head))
            gain = get(norm)
            return x if gain is None else f.rms(x, gain)

        y = f.rms(x, get("input_layernorm"))
        q, k, v = (heads(f.linear(y, get(f"self_attn.{p}_proj")),
                         f"self_attn.{p}_norm") for p in "qkv")
        q, k = f.rotate(q), f.rotate(k)
        times = q.shape[1] // k.shape[1]
        y = f.attention(q, f.repeat(k, times), f.repeat(v, times))
        y = f.turn(y).reshape(batch, length, width)
        x = x + f.linear(y, get("self_attn.o_proj"))
        y = f.rms(x, get("post_attention_layernorm"))
        y = f.silu(f.linear(y, get("mlp.gate_proj"))) * \
            f.linear(y, get("mlp.up_proj"))
        x = x + f.linear(y, get("mlp.down_proj"))
        outputs.append(x)
    return outputs


def gpt2(f, state, ids, n_heads):
    """What comes out of every layer; the embedding's first."""
    p = "transformer."
    x = f.embed(state[p + "wte.weight"], ids) + \
        state[p + "wpe.weight"][:ids.shape[1]]
    outputs = [x]
    batch, length, width = x.shape
    layers = 1 + max(int(name.split(".")[2]) for name in state
                     if name.startswith(p + "h."))

    def linear(x, name):
        return f.linear(x, state[name + ".weight"], state[name + ".bias"])

    def norm(x, name):
        return f.norm(x, state[name + ".weight"], state[name + ".bias"])

    def heads(x):
        return f.turn(x.reshape(batch, length, n_heads, width // n_heads))

    for i in range(layers):
        h = f"{p}h.{i}."
        y = linear(norm(x, h + "ln_1"), h + "attn.c_attn")
        y = f.attention(*(heads(y[..., j * width:(j + 1) * width])
                          for j in range(3)))
        x = x + linear(f.turn(y).reshape(batch, length, width),
                       h + "attn.c_proj")
        y = f.gelu(linear(norm(x, h + "ln_2"), h + "mlp.c_fc"))
        x = x + linear(y, h + "mlp.c_proj")
        outputs.append(x)
    return outputs


def logits_of(f, state, heads, ids, n_heads):
    """Logits of every head, by stage; the model's own is called "last"."""
    modern = "model.embed_tokens.weight" in state
    outputs = (llama if modern else gpt2)(f, state, ids, n_heads)
    table = "model.embed_tokens" if modern else "transformer.wte"
    last = "model.norm" if modern else "transformer.ln_f"
    matrix = state.get("lm_head.weight", state[table + ".weight"])
    found = {}

    def norm(x, words, name):
        w, b = words[name + ".weight"], words.get(name + ".bias")
        return f.rms(x, w) if modern else f.norm(x, w, b)

    for stage, words in heads.items():
        # the cut of the test: the embedding and one layer, then one each
        x = norm(outputs[stage + 1], words, "0")
        found[stage] = f.linear(x, words.get("1.weight", matrix))
    found["last"] = f.linear(norm(outputs[-1], state, last), matrix)
    return {name: f.array(x) for name, x in found.items()}


# -- the commands --------------------------------------------------------------

def load(f, path):
    with h5py.File(path, "r") as file:
        state = {k: f.tensor(v) for k, v in tensors(file["model"]).items()}
        heads = {int(h): {k: f.tensor(v) for k, v in tensors(g).items()}
                 for h, g in file.get("heads", {}).items()}
    return state, dict(sorted(heads.items()))


def losses(f, state, heads, tokens, length, n_heads):
    """Windows in order; every token but the first is a label once."""
    sums = {}
    for at in range(0, len(tokens) - 1, length):
        ids = tokens[at:at + length]
        labels = tokens[at + 1:at + 1 + length]
        found = logits_of(f, state, heads, ids[None, :], n_heads)
        for name, x in found.items():
            x = x[0, :len(labels)]
            x = x - x.max(-1, keepdims=True)
            x = x - np.log(np.exp(x).sum(-1, keepdims=True))
            sums[name] = sums.get(name, 0) - \
                x[np.arange(len(labels)), labels].sum()
    return {name: s / (len(tokens) - 1) for name, s in sums.items()}


def check(checkpoint, dataset, n_heads, *dumps):
    f = Torch() if torch else Numpy()
    state, heads = load(f, checkpoint)
    n_heads = int(n_heads)
    with h5py.File(dataset, "r") as file:
        train = file["train/tokens"][:4096].astype(np.int64)
        valid = file["valid/tokens"][()].astype(np.int64)
    names = [*heads, "last"]
    assert len(dumps) == len(names), (dumps, names)
    for name, path in zip(names, dumps):
        have = np.load(path).astype(np.float64)
        batch, length, _ = have.shape
        ids = train[:batch * length].reshape(batch, length)
        want = logits_of(f, state, heads, ids, n_heads)[name]
        off = np.abs(have - want).max()
        assert have.std() > 0.1 and off < 1e-4, (name, have.std(), off)
        print(f"head {name}: logits off by {off:.1e} of a spread of "
              f"{have.std():.2f}", file=sys.stderr)
    found = losses(f, state, heads, valid, length, n_heads)
    print(*(f"{found[name]:.8f}" for name in names))


def change(checkpoint, out):
    draw = np.random.default_rng(3)
    with h5py.File(checkpoint, "r") as old, h5py.File(out, "w") as new:
        for top in ("model", "heads"):
            for name, value in tensors(old[top]).items():
                value = value + 0.05 * draw.standard_normal(value.shape)
                if torch:
                    value = torch.tensor(value, dtype=torch.float32).numpy()
                new[f"{top}/{name}"] = value.astype(np.float32)


{"check": check, "change": change}[sys.argv[1]](*sys.argv[2:])

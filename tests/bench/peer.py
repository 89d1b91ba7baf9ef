"""tests/bench/peer.py -- training steps of interlock beside those of PyTorch.

    python3 tests/bench/peer.py [--build DIR] [--networks NAME,...]
        [--precisions f32,bf16] [--threads N] [--rounds N] [--seconds S]
        [--out FILE]
    python3 tests/bench/peer.py serve NETWORK PRECISION THREADS

`make bench-peer` is the first, with PEER_ARGS.  Four networks, each the same on
both sides, which the numbers of parameters are compared for:
  resnet32, resnet34   images of 32 x 32, 10 classes, batch 128, SGD; resnet34
                       has a stem of 64 channels for such images
  small, large         GPT-2's: width 256, 4 layers, 4 heads, context 128,
                       vocabulary 8192, batch 16; width 768, 12 layers, 12
                       heads, context 256, vocabulary 32768, batch 4; AdamW
A side is a process that takes steps for some seconds when it is told.  All
sides of a network are open at once and take turns, there and back in every
round, so that a machine whose speed drifts is slow for all.  A round's figure is
the median of its steps; rates are those of the fastest round, since others who
use the machine add time and take none away; ratios are made within a round, and
their median is shown.  interlock's steps read and augment their images;
PyTorch's have one batch in memory.

PyTorch is the best of its settings here: channels last or not, compiled or not
(where torch.compile works: Debian's needs g++, python3-dev, python3-setuptools
and libtorch-dev), attention fused or written out, optimizer fused or not.  bf16
is autocast's there and train.precision's here; it is left out where the
processor has none.  Without PyTorch only interlock's rows are made.

Writes a table to FILE (peer.md).  Figures, no pass marks.
"""
import argparse
import datetime
import os
import platform
import subprocess
import sys
import time

# name: program and model, what is counted, what it is called
NETWORKS = {
    "resnet32": ("step", "resnet32", "images", "resnet32, batch 128"),
    "resnet34": ("step", "resnet34", "images",
                 "resnet34, CIFAR stem, batch 128"),
    "small": ("language", "small", "tokens",
              "GPT d 256, 4 layers, T 128, V 8192, batch 16"),
    "large": ("language", "large", "tokens",
              "GPT d 768, 12 layers, T 256, V 32768, batch 4"),
}
GPT = {"small": (256, 4, 4, 128, 8192, 16),
       "large": (768, 12, 12, 256, 32768, 4)}
BATCH = 128


# -- PyTorch's side ------------------------------------------------------------

def resnet(torch, name):
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, c, out, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(c, out, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(out)
            self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(out)
            self.side = nn.Identity()
            if stride != 1 or c != out:
                self.side = nn.Sequential(
                    nn.Conv2d(c, out, 1, stride, bias=False),
                    nn.BatchNorm2d(out))

        def forward(self, x):
            y = torch.relu(self.bn1(self.conv1(x)))
            return torch.relu(self.bn2(self.conv2(y)) + self.side(x))

    groups = {"resnet32": [(16, 5), (32, 5), (64, 5)],
              "resnet34": [(64, 3), (128, 4), (256, 6), (512, 3)]}[name]
    c = groups[0][0]
    parts = [nn.Conv2d(3, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c),
             nn.ReLU()]
    for g, (out, blocks) in enumerate(groups):
        for b in range(blocks):
            parts.append(Block(c, out, 2 if g > 0 and b == 0 else 1))
            c = out
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10)]
    return nn.Sequential(*parts)


def gpt(torch, name, fused):
    nn, F = torch.nn, torch.nn.functional
    d, layers, heads, context, words, _ = GPT[name]

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(d), nn.LayerNorm(d)
            self.attn, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
            self.fc, self.back = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

        def attention(self, q, k, v, later):
            if fused:
                return F.scaled_dot_product_attention(q, k, v, is_causal=True)
            score = (q @ k.transpose(2, 3)) * (q.shape[-1] ** -0.5)
            return score.masked_fill(later, float("-inf")).softmax(-1) @ v

        def forward(self, x, later):
            b, t, _ = x.shape
            q, k, v = (p.view(b, t, heads, d // heads).transpose(1, 2)
                       for p in self.attn(self.ln_1(x)).split(d, 2))
            y = self.attention(q, k, v, later).transpose(1, 2)
            x = x + self.proj(y.reshape(b, t, d))
            y = F.gelu(self.fc(self.ln_2(x)), approximate="tanh")
            return x + self.back(y)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(words, d), nn.Embedding(context, d)
            self.layer = nn.ModuleList(Layer() for _ in range(layers))
            self.ln_f = nn.LayerNorm(d)
            self.register_buffer(
                "later", torch.ones(context, context).triu(1).bool())
            for p in self.parameters():
                if p.dim() > 1:
                    nn.init.normal_(p, 0, 0.02)

        def forward(self, ids):
            x = self.wte(ids) + self.wpe.weight
            for layer in self.layer:
                x = layer(x, self.later)
            return F.linear(self.ln_f(x), self.wte.weight)

    return Net()


def optimizer(torch, net, language, fused):
    more = {"fused": True} if fused else {}
    if not language:
        return torch.optim.SGD(net.parameters(), 0.01, 0.9, weight_decay=1e-4,
                               **more)
    wide = [p for p in net.parameters() if p.dim() > 1]
    narrow = [p for p in net.parameters() if p.dim() <= 1]
    return torch.optim.AdamW([{"params": wide, "weight_decay": 0.01},
                              {"params": narrow, "weight_decay": 0}], 1e-4,
                             **more)


class Setting:
    """One way to run a network; raises what PyTorch raises if it cannot."""

    def __init__(self, torch, name, bf16, words):
        self.words = words
        torch.manual_seed(1)
        language = name in GPT
        if language:
            self.net = gpt(torch, name, "attention" in words)
            d, _, _, context, vocabulary, batch = GPT[name]
            self.x = torch.randint(vocabulary, (batch, context))
            self.y = torch.randint(vocabulary, (batch * context,))
            self.units = batch * context
        else:
            self.net = resnet(torch, name)
            self.x = torch.randn(BATCH, 3, 32, 32)
            self.y = torch.randint(10, (BATCH,))
            self.units = BATCH
        if "channels-last" in words:
            self.net = self.net.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        self.update = optimizer(torch, self.net, language, "fused" in words)
        self.call = torch.compile(self.net) if "compile" in words else self.net
        self.torch, self.bf16 = torch, bf16

    def step(self):
        torch = self.torch
        self.update.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            z = self.call(self.x)
            z = z.view(-1, z.shape[-1])
            loss = torch.nn.functional.cross_entropy(z.float(), self.y)
        loss.backward()
        self.update.step()

    def timed(self, seconds, least=2):
        took, end = [], time.monotonic() + seconds
        while len(took) < least or time.monotonic() < end:
            start = time.monotonic()
            self.step()
            took.append(time.monotonic() - start)
        return took


def settings(torch, name):
    """Words of all settings; those that this PyTorch lacks fall out later."""
    first = ["attention"] if name in GPT else ["channels-last"]
    for a in ([], first):
        for c in ([], ["compile"]):
            for f in ([], ["fused"]):
                yield a + c + f


def best_setting(torch, name, bf16):
    """The fastest, after a short trial of each; what does not work is no
    choice."""
    best, best_s = None, float("inf")
    refused = {}
    for words in settings(torch, name):
        if any(set(w) <= set(words) for w in refused):
            continue
        try:
            s = Setting(torch, name, bf16, words)
            s.step()
            s.step()
            took = min(s.timed(2))
        except Exception as e:  # pylint: disable=broad-except
            lines = [line for line in str(e).split("\n") if line.strip()]
            refused[tuple(words)] = " ".join(lines[:2]) or type(e).__name__
            if not words:
                raise
            continue
        print(f"# {name}: {' '.join(words) or 'plain'}: {took * 1e3:.1f} ms",
              file=sys.stderr, flush=True)
        if took < best_s:
            best, best_s = s, took
    for words, why in refused.items():
        print(f"# {name}: {' '.join(words)}: does not work: {why[:160]}",
              file=sys.stderr, flush=True)
    return best


def peak(torch, bf16):
    """Operations per second of a large product."""
    a = torch.randn(2048, 2048)
    b = torch.randn(2048, 2048)
    if bf16:
        a, b = a.bfloat16(), b.bfloat16()
    times = []
    for _ in range(4):
        start = time.monotonic()
        torch.mm(a, b)
        times.append(time.monotonic() - start)
    return 2 * 2048 ** 3 / min(times[1:])


def serve(name, precision, threads):
    """The other side's process."""
    import torch  # pylint: disable=import-outside-toplevel
    torch.set_num_threads(int(threads))
    bf16 = precision == "bf16"
    s = best_setting(torch, name, bf16)
    library = [w.strip(" -") for w in torch.__config__.show().split("\n")
               if "DNN v" in w]
    count = sum(p.numel() for p in s.net.parameters())
    print(f"ready parameters={count} units={s.units} flops=0 "
          f"setting={'+'.join(s.words) or 'plain'} library=PyTorch "
          f"{torch.__version__}, {(library or ['no oneDNN'])[0]}", flush=True)
    for line in sys.stdin:
        word = line.split()
        if word[0] == "peak":
            print("peak", peak(torch, bf16), flush=True)
        elif word[0] == "go":
            print("took", *s.timed(float(word[1])), flush=True)


# -- both sides ------------------------------------------------------------------

class Side:
    """A process that takes steps when it is told."""

    def __init__(self, who, precision, command):
        self.who, self.precision = who, precision
        self.rounds, self.peak = [], 0.0
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.answer("ready")
        head, self.library = line.split(" library=", 1)
        self.facts = dict(w.split("=", 1) for w in head.split()[1:])
        self.count = int(self.facts["parameters"])
        self.units = int(self.facts["units"])

    def answer(self, word):
        for line in self.process.stdout:
            if line.startswith(word):
                return line.rstrip("\n")
        self.process.wait()
        raise RuntimeError(f"{self.who} in {self.precision} has ended with "
                           f"code {self.process.returncode}")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return [float(w) for w in self.answer(line.split()[0].replace(
            "go", "took")).split()[1:]]

    def measure_peak(self):
        self.peak = max(self.peak, self.ask("peak")[0])

    def take(self, seconds):
        self.rounds.append(median(self.ask(f"go {seconds}")))

    def rate(self):
        return self.units / min(self.rounds)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def median(v):
    v = sorted(v)
    n = len(v)
    return v[n // 2] if n % 2 else (v[n // 2 - 1] + v[n // 2]) / 2


def open_sides(o, name, torch_python):
    """Those that there are."""
    program, model, _, _ = NETWORKS[name]
    sides = []
    for precision in o.precisions.split(","):
        ours = o.ours.split() if o.ours else [
            os.path.join(o.build, "tests/bench", program)]
        theirs = o.theirs.split() if o.theirs else [
            torch_python, os.path.abspath(__file__), "serve"]
        more = [] if o.ours or program == "step" else ["memory=no"]
        try:
            sides.append(Side("interlock", precision, ours + [
                f"model={model}", f"precision={precision}",
                f"threads={o.threads}", "serve=yes"] + more))
        except RuntimeError as e:
            print(f"peer: {name}: {e}: left out", flush=True)
            continue
        if torch_python or o.theirs:
            sides.append(Side("PyTorch", precision, theirs + [
                name, precision, str(o.threads)]))
    counts = {s.count for s in sides}
    if len(counts) > 1:
        for s in sides:
            s.close()
        sys.exit(f"peer: {name}: not the same network: parameters: " +
                 ", ".join(f"{s.who} {s.count}" for s in sides))
    return sides


def run(o, name, torch_python):
    """Rounds of all sides of a network, there and back."""
    print(f"peer: {name}: opening", flush=True)
    sides = open_sides(o, name, torch_python)
    for _ in range(o.rounds):
        for s in sides + sides[::-1]:
            s.take(o.seconds / 2)
    for s in sides:
        s.measure_peak()
        print(f"peer: {name}: {s.who} {s.precision}: "
              f"{s.rate():.4g} {NETWORKS[name][2]}/s", flush=True)
        s.close()
    return sides


# -- the table -------------------------------------------------------------------

def find(sides, who, precision):
    return next((s for s in sides if (s.who, s.precision) == (who, precision)),
                None)


def ratio(a, b):
    """How many times as fast a is: the median of rounds, and their range."""
    if not a or not b:
        return "-"
    r = [y / x for x, y in zip(a.rounds, b.rounds)]
    return f"{median(r):.2f} ({min(r):.2f}-{max(r):.2f})"


def row(name, precision, sides):
    ours, theirs = (find(sides, who, precision)
                    for who in ("interlock", "PyTorch"))
    if not ours:
        return None
    share = "-"
    if ours.peak > 0 and float(ours.facts["flops"]) > 0:
        per_s = float(ours.facts["flops"]) / min(ours.rounds)
        share = f"{100 * per_s / ours.peak:.0f}"
    cells = [NETWORKS[name][3], precision, f"{ours.rate():.4g}", share,
             f"{theirs.rate():.4g}" if theirs else "-",
             theirs.facts["setting"] if theirs else "-", ratio(ours, theirs)]
    if precision != "f32":
        cells.append(ratio(ours, find(sides, "interlock", "f32")))
    else:
        cells.append("")
    return "| " + " | ".join(cells) + " |"


def processor():
    model, flags = platform.machine(), ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            for line in f:
                if line.startswith("model name"):
                    model = line.split(":", 1)[1].strip()
                if line.startswith("flags"):
                    flags = line.split(":", 1)[1]
                    break
    except OSError:
        pass
    has = [w for w in ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
           if w in flags.split()]
    return model, has


def system():
    try:
        with open("/etc/os-release", encoding="utf-8") as f:
            for line in f:
                if line.startswith("PRETTY_NAME="):
                    return line.split("=", 1)[1].strip().strip('"')
    except OSError:
        pass
    return platform.system()


def load():
    try:
        return f"{os.getloadavg()[0]:.1f}"
    except OSError:
        return "?"


def write(o, tables, before):
    model, has = processor()
    libraries = []
    for sides in tables.values():
        for s in sides:
            words = f"{s.who}: {s.library}"
            if words not in libraries:
                libraries.append(words)
    lines = [
        f"# interlock beside PyTorch, {datetime.date.today()}", "",
        f"{model} ({', '.join(has) or 'no vector units known'}), "
        f"{os.cpu_count()} cores, {o.threads} threads; {system()}; load "
        f"{before} before, {load()} after. {'; '.join(libraries)}.", "",
        f"    make bench-peer PEER_ARGS=\"{' '.join(sys.argv[1:])}\"", "",
        "Images or tokens per second in the fastest of "
        f"{2 * o.rounds} rounds of {o.seconds / 2:g} s; peak: share of a large "
        "f32 product's speed that the useful arithmetic reaches; ratios: "
        "interlock over PyTorch, bf16 over interlock's own f32: median "
        "(range) of rounds.", "",
        "| network | | interlock | % of product peak | PyTorch | its setting "
        "| ratio | bf16 : f32 |",
        "|---|---|---|---|---|---|---|---|"]
    for name, sides in tables.items():
        for precision in o.precisions.split(","):
            line = row(name, precision, sides)
            if line:
                lines.append(line)
    text = "\n".join(lines) + "\n"
    with open(o.out, "w", encoding="utf-8") as f:
        f.write(text)
    print(text, end="")
    print(f"peer: written to {o.out}")


def torch_at():
    """A Python that has PyTorch, or None."""
    for p in (sys.executable, "python3", "/usr/bin/python3"):
        try:
            if subprocess.run([p, "-c", "import torch"], check=False,
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0:
                return p
        except OSError:
            continue
    return None


def options():
    p = argparse.ArgumentParser(prog="peer.py", allow_abbrev=False)
    p.add_argument("--build", default=".")
    p.add_argument("--networks", default=",".join(NETWORKS))
    p.add_argument("--precisions", default="")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=6)
    p.add_argument("--out", default="peer.md")
    p.add_argument("--ours", default="", help=argparse.SUPPRESS)
    p.add_argument("--theirs", default="", help=argparse.SUPPRESS)
    o = p.parse_args()
    o.networks = [n for n in o.networks.split(",") if n and n != "none"]
    for n in o.networks:
        if n not in NETWORKS:
            p.error(f"--networks: {n}: expected {', '.join(NETWORKS)} or none")
    if not o.precisions:
        o.precisions = "f32"
        if "avx512_bf16" in processor()[1]:
            o.precisions += ",bf16"
        else:
            print("peer: this processor has no bf16: f32 alone")
    return o


def main():
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:5])
        return
    o = options()
    torch_python = None if o.theirs else torch_at()
    if not torch_python and not o.theirs:
        print("peer: PyTorch is not installed here (Debian: python3-torch): "
              "interlock's rows alone", flush=True)
    before = load()
    tables = {name: run(o, name, torch_python) for name in o.networks}
    if tables:
        write(o, tables, before)


if __name__ == "__main__":
    main()

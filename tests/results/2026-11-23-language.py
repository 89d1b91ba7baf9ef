#!/usr/bin/env python3
"""A language model under a strategy, in plain PyTorch: nothing of interlock.

    python3 2026-11-23-language.py TEXT SPAN [MIX] [STEPS]

Four stages of one GPT-2 layer each (the first has the embeddings), each with a
head of LayerNorm and a matrix; stage k follows the loss of head k + SPAN - 1
(MIX furthest) or the sum of the losses from k up to there (MIX sum).  Prints
the loss of every head on held-out text, in nats per byte, every 50 steps.  For
comparison with the same sizes in interlock: d 128, 4 heads, context 64, batch
16, AdamW at 1e-3, no dropout, no clipping.
"""
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

D, HEADS, T, BATCH, VOCAB, K = 128, 4, 64, 16, 256, 4
LR, WARMUP, DECAY = 1e-3, 30, 0.1


def initial(module):
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, 0, 0.02)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.up, self.down = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)
        self.apply(initial)
        for last in (self.out, self.down):
            nn.init.normal_(last.weight, 0, 0.02 / math.sqrt(2 * K))
        self.register_buffer("past", torch.tril(torch.ones(T, T)).bool())

    def forward(self, x):
        q, k, v = (part.view(-1, T, HEADS, D // HEADS).transpose(1, 2)
                   for part in self.qkv(self.ln_1(x)).split(D, 2))
        score = q @ k.transpose(2, 3) / math.sqrt(D // HEADS)
        weight = score.masked_fill(~self.past, float("-inf")).softmax(-1)
        x = x + self.out((weight @ v).transpose(1, 2).reshape(-1, T, D))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))


class Embedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.place = nn.Embedding(VOCAB, D), nn.Embedding(T, D)
        self.apply(initial)

    def forward(self, x):
        return self.token(x) + self.place.weight


def head():
    h = nn.Sequential(nn.LayerNorm(D), nn.Linear(D, VOCAB, bias=False))
    h.apply(initial)
    return h


def optimizer(stage, its_head):
    every = list(stage.parameters()) + list(its_head.parameters())
    return torch.optim.AdamW(
        [{"params": [p for p in every if p.dim() > 1], "weight_decay": DECAY},
         {"params": [p for p in every if p.dim() < 2], "weight_decay": 0}],
        lr=LR, betas=(0.9, 0.95))


def main(text, span, mix="furthest", steps="200"):
    torch.manual_seed(1)
    torch.set_num_threads(1)
    span, steps = int(span), int(steps)
    data = np.fromfile(text, dtype=np.uint8).astype(np.int64)
    cut = int(len(data) * 0.9)
    train, valid = torch.tensor(data[:cut]), torch.tensor(data[cut:])
    stages = [nn.Sequential(Embedding(), Layer())] + [Layer() for _ in range(3)]
    heads = [head() for _ in range(K)]
    optimizers = [optimizer(s, h) for s, h in zip(stages, heads)]
    last = [min(k + span - 1, K - 1) for k in range(K)]
    route = [range(k if mix == "sum" else last[k], last[k] + 1)
             for k in range(K)]
    draw = torch.Generator().manual_seed(5)

    def losses(source, starts):
        x = torch.stack([source[i:i + T] for i in starts])
        y = torch.stack([source[i + 1:i + T + 1] for i in starts]).reshape(-1)
        out = []
        for stage, its_head in zip(stages, heads):
            x = stage(x)
            out.append(F.cross_entropy(its_head(x).reshape(-1, VOCAB), y))
        return out

    for step in range(steps):
        each = losses(train, torch.randint(0, cut - T - 1, (BATCH,),
                                           generator=draw))
        for k in range(K):  # all gradients before the first update
            own = list(stages[k].parameters())
            its = list(heads[k].parameters())
            goal = sum(each[h] for h in route[k])
            gradient = (torch.autograd.grad(goal, own, retain_graph=True) +
                        torch.autograd.grad(each[k], its, retain_graph=True))
            for p, g in zip(own + its, gradient):
                p.grad = g
        fall = 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (steps - WARMUP)))
        rate = LR * ((step + 1) / WARMUP if step < WARMUP else fall)
        for o in optimizers:
            for group in o.param_groups:
                group["lr"] = rate
            o.step()
        if step % 50 == 49:
            with torch.no_grad():
                of = [losses(valid, torch.arange(b * 16, b * 16 + 16) * T)
                      for b in range(8)]
            print(step + 1, [round(float(sum(v)) / 8, 3) for v in zip(*of)],
                  flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])

"""tests/main/plan_json.py -- a plan as JSON against the same plan in words.

    python3 tests/main/plan_json.py WORDS JSON

Prints what differs; nothing where they agree.
"""
import json
import re
import sys

words = open(sys.argv[1], encoding="utf-8").read()
plan = json.load(open(sys.argv[2], encoding="utf-8"))


def same(what, said, got):
    if said != got:
        print(f"{what}: {said!r} in words, {got!r} as JSON")


rows = re.findall(r"^(\d+) +(\d+) .*? ([\d.]+)ms +([\d.]+)ms +([\d.]+)ms "
                  r"+([\d.]+)ms", words, re.M)
same("stages", len(rows), len(plan["stages"]))
for row, s in zip(rows, plan["stages"]):
    t = s["times"]
    same("a stage", list(row), [
        str(s["stage"]), str(s["rank"]), f"{t['forward'] * 1e3:.1f}",
        f"{t['data'] * 1e3:.1f}", f"{t['weights'] * 1e3:.1f}",
        f"{(t['head'] + t['head_weights']) * 1e3:.1f}"])
same("parameters", plan["parameters"],
     sum(s["parameters"] for s in plan["stages"]))
same("blocks", plan["blocks"], sum(len(s["blocks"]) for s in plan["stages"]))
same("micro-batches", plan["batch"],
     plan["micro_batch"] * plan["micro_batches"] * plan["replicas"])

rates = re.findall(r"per batch, (\d+) samples/s$", words, re.M)
same("rates", rates, [f"{p['samples_per_s']:.0f}" for p in plan["phases"]])
ranks = re.findall(r"^rank (\d+): stages (\d+)\.\.(\d+), bubble ([\d.]+) %",
                   words, re.M)
same("ranks", ranks, [
    (str(r["rank"]), str(r["first_stage"]),
     str(r["first_stage"] + r["stages"] - 1),
     f"{100 * max(0, 1 - r['busy'] / p['cycle']):.1f}")
    for p in plan["phases"] for r in p["ranks"]])
messages = re.findall(r"(\d+) activations, (\d+) gradients", words)
same("messages", messages,
     [(str(p["activations"]), str(p["gradients"])) for p in plan["phases"]])
for p in plan["phases"]:
    for k, row in enumerate(p["route"]):
        if any(row[:k]) or len(row) != len(plan["stages"]):
            print(f"stage {k} follows {row}")

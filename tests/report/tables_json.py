"""tests/report/tables_json.py -- report --json against report --csv.

    python3 tests/report/tables_json.py JSON TABLE.csv...

Prints what differs; nothing where they agree.
"""
import csv
import json
import os
import sys

PARTS = (("", "mean"), ("_sd", "sd"), ("_low", "low"), ("_high", "high"),
         ("_n", "n"))

tables = json.load(open(sys.argv[1], encoding="utf-8"))["tables"]


def flat(row):
    """A row as the CSV has it: five columns of a number over several runs."""
    for name, value in row.items():
        if isinstance(value, dict):
            for end, part in PARTS:
                yield name + end, value[part]
        else:
            yield name, value


def same(text, value):
    if value is None or isinstance(value, str):
        return text == (value or "")
    return text != "" and float(text) == value


for path in sys.argv[2:]:
    name = os.path.basename(path)[:-4]
    rows = list(csv.DictReader(open(path, encoding="utf-8", newline="")))
    if len(rows) != len(tables[name]["rows"]):
        print(f"{name}: {len(rows)} rows as CSV, "
              f"{len(tables[name]['rows'])} as JSON")
    for a, b in zip(rows, tables[name]["rows"]):
        b = dict(flat(b))
        if list(a) != list(b):
            print(f"{name}: {list(a)} as CSV, {list(b)} as JSON")
            break
        for column, value in b.items():
            if not same(a[column], value):
                print(f"{name}: {column}: {a[column]!r} as CSV, {value!r} "
                      "as JSON")
if len(tables) != len(sys.argv) - 2:
    print(f"{len(tables)} tables as JSON: {', '.join(tables)}")

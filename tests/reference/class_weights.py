#!/usr/bin/env python3
"""Balanced class weights from sklearn.utils.class_weight.compute_class_weight.

Run it as trajectories.py is run (see README.md; it needs scikit-learn): without arguments it
rewrites class_weights.json, with --check it recomputes and compares, exit 1 on any difference over
1e-15 of a weight. `--out FILE` names another file. A case is the number of samples of each class
and the weight of each.
"""

import argparse
import json
import os
import sys

import numpy as np
import sklearn
from sklearn.utils.class_weight import compute_class_weight

TOLERANCE = 1e-15
COUNTS = [[7], [5, 5], [1, 99], [50, 30, 20], [3, 1, 4, 1, 5, 9, 2, 6], [5923, 6742, 5958, 6131]]


def compute():
    cases = []
    for counts in COUNTS:
        classes = np.arange(len(counts))
        weights = compute_class_weight("balanced", classes=classes, y=np.repeat(classes, counts))
        cases.append(dict(counts=counts, weights=weights.tolist()))
    return {"scikit-learn": sklearn.__version__, "cases": cases}


def text(data):
    dump = lambda value: json.dumps(value, separators=(",", ":"), allow_nan=False)
    every = ",\n".join(dump(c) for c in data["cases"])
    return f'{{"scikit-learn":{dump(data["scikit-learn"])},\n"cases":[\n{every}\n]}}\n'


def differences(new, old):
    if [c["counts"] for c in new["cases"]] != [c["counts"] for c in old["cases"]]:
        return ["the cases differ"]
    found = []
    for a, b in zip(new["cases"], old["cases"]):
        x, y = np.array(a["weights"]), np.array(b["weights"])
        if x.shape != y.shape or not np.all(np.abs(x - y) <= TOLERANCE * np.abs(y)):
            found.append(f"{a['counts']}: the weights differ")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = os.path.dirname(os.path.abspath(__file__))
    beside = os.path.join(here, "class_weights.json")
    parser.add_argument("--out", metavar="FILE", default=beside, help="default: beside this script")
    parser.add_argument("--check", action="store_true", help="compare with FILE, write nothing")
    args = parser.parse_args()
    data = compute()
    if not args.check:
        with open(args.out, "w", encoding="ascii", newline="\n") as f:
            f.write(text(data))
        print(f"{len(data['cases'])} cases written")
        return 0
    with open(args.out, encoding="ascii") as f:
        old = json.load(f)
    if old["scikit-learn"] != data["scikit-learn"]:
        print(f"note: committed with {old['scikit-learn']}, recomputed with {data['scikit-learn']}")
    found = differences(data, old)
    for line in found:
        print(line)
    print(f"{len(found)} differences" if found else f"{len(data['cases'])} cases agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Tables encoded by scikit-learn: missing values filled, categories one-hot, columns measured.

Run, from the repository root:

    python3 -m venv venv
    venv/bin/pip install -r tests/reference/requirements.txt   # scikit-learn, numpy
    venv/bin/python tests/reference/tables.py                   # rewrite tables.json
    venv/bin/python tests/reference/tables.py --check           # compare with the committed file

`--out FILE` names another file. --check exits 1 on any difference: everything that is not a
computed number must be equal, each number must agree to 1e-12 of itself. Versions may differ.

What is computed, for one table of 60 rows and --missing mean and median, from its training rows:

* numbers are read as float64 and rounded to float32, as the program holds them;
* "fills": sklearn.impute.SimpleImputer, strategy mean or median for numbers, most_frequent for
  text (of equally frequent ones the first in order);
* "categories": sklearn.preprocessing.OneHotEncoder(handle_unknown="ignore"), in its order;
* "inputs": the encoded matrix of all rows, fills rounded to float32;
* "stats": mean and (population) standard deviation of the training rows of "inputs" by
  sklearn.preprocessing.StandardScaler, minimum and maximum by NumPy.

The target holds three classes; sklearn.preprocessing.LabelEncoder numbers them ("labels").
"""

import argparse
import json
import math
import os
import sys

import numpy as np
import sklearn
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler

ROWS = 60
NUMBERS = ["length", "count", "flat", "tiny"]
TEXTS = ["colour", "size"]
HEADER = ["length", "colour", "count", "size", "flat", "tiny", "species"]
TOLERANCE = 1e-12


class Random:
    """splitmix64, written out so that the data depend on no library's generator."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        z ^= z >> 31
        return (z >> 11) / float(1 << 53)

    def below(self, n):
        return int(self.uniform() * n)


def make_table():
    """The rows as text; "" is missing. "size" holds numbers and texts, numbers first."""
    random = Random(7)
    rows = []
    for row in range(ROWS):
        colours = ["red", "green", "blue", "Zinc", "été"]
        sizes = ["10", "9", "L", "XL"] if row > 3 else ["10", "9"]
        rows.append({
            "length": f"{random.uniform() * 100 - 50:.6f}",
            "colour": colours[random.below(len(colours))],
            "count": str(random.below(5000)),
            "size": sizes[random.below(len(sizes))],
            "flat": "0.1",
            "tiny": f"{random.uniform() * 1e-2 + 1e3:.7f}",
            "species": ["setosa", "virginica", "Versicolor"][random.below(3)],
        })
    for column in ["length", "colour", "count", "size", "flat"]:
        for _ in range(6):
            rows[random.below(ROWS)][column] = ""
    train = [row for row in range(ROWS) if random.below(3) > 0]
    rows[next(row for row in range(ROWS) if row not in train)]["colour"] = "mauve"
    return rows, train


def text_of(rows):
    words = ["", "NA", "?", "n/a", "null", "NaN"]
    lines, missing = [",".join(HEADER)], 0
    for row in rows:
        cells = []
        for name in HEADER:
            cell = row[name]
            if cell == "":
                cell = words[missing % len(words)]
                missing += 1
            cells.append(f'"{cell}"' if len(lines) % 7 == 0 else cell)
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def compute():
    rows, train = make_table()
    cases = []
    for missing in ["mean", "median"]:
        fills, categories, parts = {}, {}, []
        for name in HEADER[:-1]:
            cells = [row[name] for row in rows]
            if name in NUMBERS:
                column = np.array([np.float32(float(c)) if c else np.nan for c in cells])
                column = column.astype(np.float64).reshape(-1, 1)
                imputer = SimpleImputer(strategy=missing).fit(column[train])
                fills[name] = float(imputer.statistics_[0])
                parts.append(imputer.transform(column).astype(np.float32).astype(np.float64))
            else:
                column = np.array([c if c else None for c in cells], dtype=object).reshape(-1, 1)
                imputer = SimpleImputer(strategy="most_frequent", missing_values=None)
                imputer.fit(column[train])
                fills[name] = imputer.statistics_[0]
                column = imputer.transform(column)
                encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
                known = imputer.transform(np.array(
                    [[c if c else None] for c in (cells[row] for row in train)], dtype=object))
                encoder.fit(known)
                categories[name] = [str(c) for c in encoder.categories_[0]]
                parts.append(encoder.transform(column))
        inputs = np.hstack(parts)
        scaler = StandardScaler().fit(inputs[train])
        cases.append({
            "missing": missing,
            "fills": fills,
            "categories": categories,
            "inputs": inputs.tolist(),
            "stats": {
                "mean": scaler.mean_.tolist(),
                "std": np.sqrt(scaler.var_).tolist(),
                "min": inputs[train].min(axis=0).tolist(),
                "max": inputs[train].max(axis=0).tolist(),
            },
        })
    labels = LabelEncoder().fit([row["species"] for row in rows])
    return {
        "sklearn": sklearn.__version__,
        "table": text_of(rows),
        "train": train,
        "classes": [str(name) for name in labels.classes_],
        "labels": labels.transform([row["species"] for row in rows]).tolist(),
        "cases": cases,
    }


def differences(new, old, at=""):
    """The places where the two differ, as text."""
    if isinstance(new, dict) and isinstance(old, dict):
        if sorted(new) != sorted(old):
            return [f"{at}: keys {sorted(new)} and {sorted(old)}"]
        return [d for key in new for d in differences(new[key], old[key], f"{at}.{key}")]
    if isinstance(new, list) and isinstance(old, list):
        if len(new) != len(old):
            return [f"{at}: {len(new)} and {len(old)} items"]
        return [d for i, pair in enumerate(zip(new, old)) for d in differences(*pair, f"{at}[{i}]")]
    if isinstance(new, float) and isinstance(old, (int, float)):
        if math.isclose(new, old, rel_tol=TOLERANCE, abs_tol=0.0):
            return []
    elif new == old and type(new) is type(old):
        return []
    return [f"{at}: {new!r} and {old!r}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tables.json")
    parser.add_argument("--out", metavar="FILE", default=beside, help="default: beside this script")
    parser.add_argument("--check", action="store_true", help="compare with FILE, write nothing")
    args = parser.parse_args()
    data = compute()
    if not args.check:
        with open(args.out, "w", encoding="ascii", newline="\n") as f:
            # A line a row of the matrices.
            f.write(json.dumps(data, sort_keys=True).replace("], [", "],\n["))
            f.write("\n")
        print(f"{len(data['cases'])} cases written")
        return 0
    with open(args.out, encoding="ascii") as f:
        old = json.load(f)
    version = old.pop("sklearn")
    if version != data.pop("sklearn"):
        print(f"note: committed with scikit-learn {version}")
    found = differences(data, old)
    for line in found:
        print(line)
    print(f"{len(found)} differences" if found else f"{len(data['cases'])} cases agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

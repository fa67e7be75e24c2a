#!/usr/bin/env python3
"""Small data sets and what NumPy makes of their normalisation.

Run, from the repository root:

    python3 -m venv venv && venv/bin/pip install -r tests/reference/requirements.txt
    venv/bin/python tests/reference/normalize.py            # rewrite normalize.npz files and normalize.json
    venv/bin/python tests/reference/normalize.py --check    # compare with the committed ones, exit 1 on a difference

For each archive and each way of --normalize: one (scale, centre) per channel of pictures, per column of
vectors, fitted on x_train alone; an input becomes (x - centre) * scale, so that

* standard: centre = mean, scale = 1 / population standard deviation;
* 0-1: bytes are divided by 255; else centre = min, scale = 1 / (max - min);
* none: centre 0, scale 1.
"""

import argparse
import json
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "normalize")
TOLERANCE = 1e-12


def archives():
    random = np.random.RandomState(7)
    labels = lambda n: np.arange(n, dtype=np.uint8) % 3
    pictures = random.randint(0, 256, (12, 4, 5, 3)).astype(np.uint8)
    pictures[..., 1] //= 4  # a dark channel
    vectors = random.normal(size=(15, 6)).astype(np.float32)
    vectors[:, 2] = vectors[:, 2] * 1e-3 + 1000  # a large mean
    vectors[:, 4] *= 250
    floats = random.uniform(-1, 3, (9, 3, 4)).astype(np.float32)
    return {
        "pictures": (pictures, labels(12), pictures[:3] // 2, labels(3)),
        "vectors": (vectors, labels(15), vectors[:4] * 9, labels(4)),
        "floats": (floats, labels(9), floats[:3] + 50, labels(3)),
    }


def normalisation(x, how):
    if x.ndim == 4:
        channels = [x[..., c] for c in range(x.shape[3])]
    elif x.ndim == 3:
        channels = [x]
    else:
        channels = [x[:, c] for c in range(x.shape[1])]
    if how == "none" or (how == "0-1" and x.dtype == np.uint8):
        return {"scale": [1.0 if how == "none" else 1.0 / 255.0], "centre": [0.0]}
    channels = [c.astype(np.float64) for c in channels]
    if how == "standard":
        return {"scale": [1 / c.std() for c in channels], "centre": [c.mean() for c in channels]}
    return {"scale": [1 / (c.max() - c.min()) for c in channels], "centre": [c.min() for c in channels]}


def compute():
    return {
        name: {how: normalisation(x, how) for how in ("standard", "0-1", "none")}
        for name, (x, *_) in archives().items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    args = parser.parse_args()
    path = os.path.join(HERE, "normalize.json")
    data = compute()
    if not args.check:
        os.makedirs(FOLDER, exist_ok=True)
        for name, (x, y, x_test, y_test) in archives().items():
            file = os.path.join(FOLDER, f"{name}.npz")
            np.savez_compressed(file, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
        with open(path, "w", encoding="ascii") as f:
            json.dump(data, f, indent=1)
            f.write("\n")
        return 0
    found = []
    for name, (x, y, x_test, y_test) in archives().items():
        stored = np.load(os.path.join(FOLDER, f"{name}.npz"))
        if not (np.array_equal(stored["x_train"], x) and np.array_equal(stored["x_test"], x_test)):
            found.append(f"{name}.npz differs")
    with open(path, encoding="ascii") as f:
        old = json.load(f)
    for name, ways in data.items():
        for how, table in ways.items():
            for key, values in table.items():
                if not np.allclose(values, old[name][how][key], rtol=TOLERANCE, atol=0):
                    found.append(f"{name}, {how}: {key} differs")
    for line in found:
        print(line)
    print(f"{len(found)} differences" if found else "all agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The bounds and standard deviations that torch.nn.init draws initial parameters with.

Run it as trajectories.py is run (see README.md): without arguments it rewrites init.json, with
--check it recomputes and compares, exit 1 on any difference over 1e-15 of a value. `--out FILE`
names another file.

Each case is an initialiser, a weight's shape, and what the weight and the bias of that layer are
drawn from: ["uniform", bound], ["normal", standard deviation] or ["zeros", 0]. The numbers are the
arguments that torch passes to Tensor.uniform_ and Tensor.normal_. "pytorch" is what the layer's own
reset_parameters does (torch.nn.Linear, torch.nn.Conv2d); the other initialisers leave biases to
the caller, here zero. He's are kaiming_*_ with nonlinearity="relu" and the default fan_in.
"""

import argparse
import json
import os
import sys
from unittest import mock

import torch
from torch import nn

TOLERANCE = 1e-15
SHAPES = [[1, 1], [10, 784], [128, 784], [7, 3], [3, 7], [8, 1, 3, 3], [16, 8, 5, 5], [4, 6, 1, 2]]
INITIALIZERS = {
    "xavier-uniform": nn.init.xavier_uniform_,
    "xavier-normal": nn.init.xavier_normal_,
    "he-uniform": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"),
    "he-normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "zeros": nn.init.zeros_,
}


def layer_of(shape):
    if len(shape) == 2:
        return nn.Linear(shape[1], shape[0])
    return nn.Conv2d(shape[1], shape[0], kernel_size=tuple(shape[2:]))


def drawn_from(action):
    """What each tensor that `action` draws is drawn from, in order."""
    draws = []

    def uniform_(tensor, a, b, generator=None):
        assert a == -b
        draws.append(["uniform", b])
        return tensor

    def normal_(tensor, mean, std, generator=None):
        assert mean == 0
        draws.append(["normal", std])
        return tensor

    with mock.patch.object(torch.Tensor, "uniform_", uniform_), \
         mock.patch.object(torch.Tensor, "normal_", normal_):
        action()
    return draws


def compute():
    cases = []
    for shape in SHAPES:
        weight, bias = drawn_from(lambda: layer_of(shape))
        cases.append(dict(init="pytorch", shape=shape, weight=weight, bias=bias))
        for name, init in INITIALIZERS.items():
            layer = layer_of(shape)
            assert list(layer.weight.shape) == shape
            with torch.no_grad():
                layer.weight.fill_(1.0)
            draws = drawn_from(lambda: init(layer.weight))
            if not draws:
                assert bool((layer.weight == 0).all())
            weight, = draws or [["zeros", 0.0]]
            cases.append(dict(init=name, shape=shape, weight=weight, bias=["zeros", 0.0]))
    return {"torch": torch.__version__.split("+")[0], "cases": cases}


def text(data):
    dump = lambda value: json.dumps(value, separators=(",", ":"), allow_nan=False)
    every = ",\n".join(dump(c) for c in data["cases"])
    return f'{{"torch":{dump(data["torch"])},\n"cases":[\n{every}\n]}}\n'


def differences(new, old):
    kinds = lambda c: (c["init"], c["shape"], c["weight"][0], c["bias"][0])
    if [kinds(c) for c in new["cases"]] != [kinds(c) for c in old["cases"]]:
        return ["the cases differ"]
    found = []
    for a, b in zip(new["cases"], old["cases"]):
        for part in ("weight", "bias"):
            x, y = a[part][1], b[part][1]
            if not abs(x - y) <= TOLERANCE * abs(y):
                found.append(f"{kinds(a)}: the {part}'s {x!r} is {y!r} in the file")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "init.json")
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
    if old["torch"] != data["torch"]:
        print(f"note: committed with torch {old['torch']}, recomputed with {data['torch']}")
    found = differences(data, old)
    for line in found:
        print(line)
    print(f"{len(found)} differences" if found else f"{len(data['cases'])} cases agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

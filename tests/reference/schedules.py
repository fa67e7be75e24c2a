#!/usr/bin/env python3
"""The learning rate of every update under each schedule, from torch.optim.lr_scheduler.

Run it as trajectories.py is run (see README.md): without arguments it rewrites schedules.json,
with --check it recomputes and compares, exit 1 on any difference over 1e-12 of a rate. `--out
FILE` names another file.

A case is a schedule and a warm-up in the notation of --schedule and --warmup, a base rate, and a
run of `epochs` epochs of `per_epoch` updates. "lrs" holds the rate that optimizer.step() number t
uses, t = 0, 1, ..., where scheduler.step() follows each optimizer.step() (step, exponential and
plateau: each epoch; plateau hears the epoch's entry of "losses", where null is a NaN).

Warm-up over N updates is LinearLR(start_factor=1/N, total_iters=N-1). Schedules that move with the
updates follow it in a SequentialLR over the remaining updates; those that move with the epochs run
beside it, in PyTorch's chainable form, so that the factors multiply. A percentage is rounded up to
whole updates.
"""

import argparse
import json
import math
import os
import sys
import warnings

import torch
from torch.optim import lr_scheduler

TOLERANCE = 1e-12
SHAPES = [(5, 8), (1, 9), (4, 3)]  # (updates of an epoch, epochs)
SCHEDULES = [
    "constant",
    "step:3:0.5",
    "step:1:0.1",
    "exponential:0.9",
    "polynomial:1",
    "polynomial:2.5",
    "cosine",
    "one-cycle:0.3",
    "one-cycle:0.6",
]
# A loss that falls by less than the threshold, a NaN, a rise and a fall.
LOSSES = [1.0, 0.9, 0.89995, 0.9, None, 0.7, 0.71, 0.72, 0.73, 0.5, 0.5, 0.49999, 0.4999, 0.5]


def make_case(schedule, warmup, shape, lr, losses=None):
    per_epoch, epochs = shape
    case = dict(schedule=schedule, warmup=warmup, lr=lr, per_epoch=per_epoch, epochs=epochs)
    if losses is not None:
        assert len(losses) == epochs
        case["losses"] = losses
    return case


def cases():
    every = [make_case(schedule, warmup, shape, 0.1)
             for schedule in SCHEDULES
             for shape in SHAPES
             for warmup in (["0", "7", "15%"] if shape[0] > 1 else ["0", "1"])]
    every += [make_case(s, "0", (n, 1), 0.003) for s in ("cosine", "one-cycle:0.3")
              for n in (1, 2, 3)]
    for schedule in ("plateau:0:0.5", "plateau:1:0.1", "plateau:2:0.5", "plateau:10:0.1"):
        for warmup in ("0", "3"):
            every.append(make_case(schedule, warmup, (2, len(LOSSES)), 0.1, LOSSES))
    # The last reductions are by less than 1e-8 and are not made.
    every.append(make_case("plateau:0:0.5", "0", (1, 8), 1e-7, [1.0] * 8))
    return every


def updates_of_warmup(text, updates):
    return math.ceil(updates * float(text[:-1]) / 100) if text.endswith("%") else int(text)


def run(case):
    parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([parameter], lr=case["lr"])
    updates = case["per_epoch"] * case["epochs"]
    n = updates_of_warmup(case["warmup"], updates)
    name, *arguments = case["schedule"].split(":")
    by_update, by_epoch = [], []
    if n:
        by_update.append(lr_scheduler.LinearLR(optimizer, start_factor=1 / n, total_iters=n - 1))
    if name == "step":
        by_epoch.append(lr_scheduler.StepLR(optimizer, int(arguments[0]), float(arguments[1])))
    elif name == "exponential":
        by_epoch.append(lr_scheduler.ExponentialLR(optimizer, float(arguments[0])))
    elif name == "polynomial":
        by_update.append(lr_scheduler.PolynomialLR(optimizer, total_iters=updates - n,
                                                   power=float(arguments[0])))
    elif name == "cosine":
        by_update.append(lr_scheduler.CosineAnnealingLR(optimizer, T_max=updates - n))
    elif name == "one-cycle":
        by_update.append(lr_scheduler.OneCycleLR(optimizer, max_lr=case["lr"],
                                                 total_steps=updates - n,
                                                 pct_start=float(arguments[0]),
                                                 cycle_momentum=False))
    elif name == "plateau":
        plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=int(arguments[0]),
                                                 factor=float(arguments[1]))
    else:
        assert name == "constant", name
    if len(by_update) == 2:
        by_update = [lr_scheduler.SequentialLR(optimizer, by_update, milestones=[n])]
    lrs = []
    for epoch in range(case["epochs"]):
        for _ in range(case["per_epoch"]):
            lrs.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            for scheduler in by_update:
                if len(lrs) < updates:
                    scheduler.step()
        for scheduler in by_epoch:
            scheduler.step()
        if name == "plateau":
            loss = case["losses"][epoch]
            plateau.step(math.nan if loss is None else loss)
    return dict(case, lrs=lrs)


def compute():
    warnings.simplefilter("error")
    # SequentialLR itself calls what this warning is about.
    warnings.filterwarnings("ignore", message=".*Detected call of `lr_scheduler.step.*")
    return {"torch": torch.__version__.split("+")[0], "cases": [run(c) for c in cases()]}


def text(data):
    dump = lambda value: json.dumps(value, separators=(",", ":"), allow_nan=False)
    every = ",\n".join(dump(c) for c in data["cases"])
    return f'{{"torch":{dump(data["torch"])},\n"cases":[\n{every}\n]}}\n'


def differences(new, old):
    settings = lambda c: {k: v for k, v in c.items() if k != "lrs"}
    if [settings(c) for c in new["cases"]] != [settings(c) for c in old["cases"]]:
        return ["the cases differ"]
    found = []
    for a, b in zip(new["cases"], old["cases"]):
        close = (abs(x - y) <= TOLERANCE * abs(y) for x, y in zip(a["lrs"], b["lrs"]))
        if len(a["lrs"]) != len(b["lrs"]) or not all(close):
            found.append(f"{settings(a)}: the rates differ")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schedules.json")
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

#!/usr/bin/env python3
"""The default search beside random search: the same number of trials, ten seeds each, by turns.

    cargo build --release && benches/samplers/search.py

Writes SEARCH.md beside itself. Needs nothing but Python 3; p is the one-sided Mann-Whitney test of "the
default is worse" in its normal approximation with a correction for ties and continuity.
"""

import argparse
import datetime
import json
import math
import os
import platform
import statistics
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAM = os.environ.get("GPU_TRAIN", HERE.parents[1] / "target" / "release" / "gpu-train")
SEARCH = ["mnist", "--limit", "2000", "--val-split", "0.03", "--epochs", "5", "--trials", "64", "--device", "cpu"]
SIDES = {"default": [], "random": ["--sampler", "random", "--pruner", "none"]}


def search(side, seed, folder):
    words = ["tune", *SEARCH, *SIDES[side], "--seed", str(seed * 1000), "--split-seed", str(seed),
             "--out", str(folder / f"{side}-{seed}"), "--json", "--quiet"]
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    result = next(e for e in events if e["event"] == "result")
    epochs = sum(e["event"] == "trial_epoch" for e in events)
    return result | {"epochs": epochs}


def p_worse(a, b):
    """p of a being no smaller than b, against a being smaller."""
    n, m = len(a), len(b)
    u = sum((x > y) + 0.5 * (x == y) for x in a for y in b)
    pooled = a + b
    ties = sum(c ** 3 - c for c in (pooled.count(v) for v in set(pooled)))
    variance = n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1)))
    return 0.5 * math.erfc(-(u + 0.5 - n * m / 2) / math.sqrt(2 * variance))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    found = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            for side in SIDES:
                found[side].append(search(side, seed, Path(folder)))
                print(seed, side, found[side][-1], flush=True)
    lines = [
        "# The default search beside random search", "",
        f"Written by `benches/samplers/search.py` on {datetime.date.today()}, {platform.machine()}: "
        f"`gpu-train tune {' '.join(SEARCH)}` against the same with `{' '.join(SIDES['random'])}`, "
        f"{seeds} seeds, each with a validation part of its own that both sides share.", "",
        "| seed | default: validation | test | epochs | random: validation | test | epochs |",
        "|---|---|---|---|---|---|---|",
    ]
    percent = lambda x: f"{100 * x:.2f}"
    for seed, (a, b) in enumerate(zip(found["default"], found["random"])):
        cells = [c for r in (a, b) for c in
                 (percent(r["best_value"]), percent(r["test_accuracy"]), str(r["epochs"]))]
        lines.append(f"| {seed} | " + " | ".join(cells) + " |")
    lines.append("")
    for key, words in (("best_value", "Validation accuracy of the winner"), ("test_accuracy", "Its test accuracy")):
        a, b = ([r[key] for r in found[side]] for side in SIDES)
        lines.append(f"{words}: median {percent(statistics.median(a))} % against "
                     f"{percent(statistics.median(b))} %; p that the default is worse {p_worse(a, b):.3f}.")
    (HERE / "SEARCH.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

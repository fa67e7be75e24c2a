#!/usr/bin/env python3
"""Compares the samplers of `gpu-train tune` with Optuna's on functions with known minima.

    cargo bench --bench samplers > ours.jsonl
    python3 -m venv venv && venv/bin/pip install optuna scipy cmaes torch greenlet
    venv/bin/python benches/samplers/compare.py --ours ours.jsonl

Runs whatever `--theirs` lacks (a line a run, so that it can be interrupted; optuna.jsonl beside this
file has what was run so far), then writes RESULTS.md beside this file: medians of the best value
after 100 and 300 trials, and the one-sided Mann-Whitney p-value of "ours is worse". The functions are
those of benches/samplers.rs. GPSampler takes a minute or more a run.
"""

import argparse
import datetime
import json
import math
import platform
import statistics
import time
import warnings
from pathlib import Path

import optuna
import scipy
from scipy.stats import mannwhitneyu

CHECKPOINTS = (100, 300)
DIMENSIONS = 5

HARTMANN_ALPHA = (1.0, 1.2, 3.0, 3.2)
HARTMANN_A = (
    (10, 3, 17, 3.5, 1.7, 8),
    (0.05, 10, 17, 0.1, 8, 14),
    (3, 3.5, 1.7, 10, 17, 8),
    (17, 8, 0.05, 10, 0.1, 14),
)
HARTMANN_P = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)


def sphere(x):
    return sum(v * v for v in x)


def rastrigin(x):
    return sum(v * v - 10 * math.cos(2 * math.pi * v) + 10 for v in x)


def rosenbrock(x):
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(x, x[1:]))


def hartmann6(x):
    exponents = (
        sum(a * (v - p) ** 2 for a, p, v in zip(row, centre, x))
        for row, centre in zip(HARTMANN_A, HARTMANN_P)
    )
    return -sum(alpha * math.exp(-e) for alpha, e in zip(HARTMANN_ALPHA, exponents))


def branin(x):
    a, b = x
    bend = b - 5.1 / (4 * math.pi**2) * a * a + 5 / math.pi * a - 6
    return bend * bend + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10


# The minimum is at no dyadic fraction of a range, where a Sobol sequence or the middle of a prior
# would meet it by chance.
FUNCTIONS = {
    "sphere": (sphere, [(-5.0, 10.0)] * DIMENSIONS),
    "rastrigin": (rastrigin, [(-2.56, 5.12)] * DIMENSIONS),
    "rosenbrock": (rosenbrock, [(-5.0, 10.0)] * DIMENSIONS),
    "hartmann6": (hartmann6, [(0.0, 1.0)] * 6),
    "branin": (branin, [(-5.0, 10.0), (0.0, 15.0)]),
}

# Ours by name -> Optuna's counterpart.
SAMPLERS = {
    "random": ("RandomSampler", lambda seed: optuna.samplers.RandomSampler(seed=seed)),
    "sobol": (
        "QMCSampler(scramble=True)",
        lambda seed: optuna.samplers.QMCSampler(scramble=True, seed=seed),
    ),
    "tpe": ("TPESampler", lambda seed: optuna.samplers.TPESampler(seed=seed)),
    "cmaes": ("CmaEsSampler", lambda seed: optuna.samplers.CmaEsSampler(seed=seed)),
    "gp": ("GPSampler", lambda seed: optuna.samplers.GPSampler(seed=seed)),
    "nsga2": ("NSGAIISampler", lambda seed: optuna.samplers.NSGAIISampler(seed=seed)),
}


def run(sampler, function, seed, trials):
    objective, bounds = FUNCTIONS[function]

    def of_trial(trial):
        return objective([trial.suggest_float(f"x{i}", *b) for i, b in enumerate(bounds)])

    started = time.monotonic()
    study = optuna.create_study(sampler=SAMPLERS[sampler][1](seed))
    study.optimize(of_trial, n_trials=trials)
    values = [trial.value for trial in study.trials]
    line = {"sampler": sampler, "function": function, "seed": seed}
    for n in CHECKPOINTS:
        if n <= trials:
            line[f"best_{n}"] = min(values[:n])
    line["seconds"] = round(time.monotonic() - started, 3)
    return line


def read(path):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def trials_of(row):
    """How many trials a run had, as far as it matters."""
    return max(n for n in CHECKPOINTS if f"best_{n}" in row)


def fill(path, samplers, functions, seeds, trials):
    done = {
        (r["sampler"], r["function"], r["seed"])
        for r in read(path)
        if trials_of(r) >= min(trials, max(CHECKPOINTS))
    }
    with path.open("a") as out:
        for sampler in samplers:
            for function in functions:
                for seed in seeds:
                    if (sampler, function, seed) not in done:
                        out.write(json.dumps(run(sampler, function, seed, trials)) + "\n")
                        out.flush()


def best(rows, sampler, function, n, seeds):
    """Best values after n trials of these seeds; one that was run anew for longer counts once."""
    key = f"best_{n}"
    by_seed = {
        r["seed"]: r[key]
        for r in rows
        if r["sampler"] == sampler and r["function"] == function and key in r and r["seed"] in seeds
    }
    return [by_seed[seed] for seed in sorted(by_seed)]


def table(ours, theirs, seeds):
    names = list(dict.fromkeys(r["sampler"] for r in ours))
    for sampler in names:
        counterpart = SAMPLERS.get(sampler, (None,))[0]
        yield f"\n## {sampler}" + (f" beside {counterpart}" if counterpart else "")
        yield "\n| function | trials | seeds | ours, median | Optuna, median | p (ours worse) |"
        yield "|---|---|---|---|---|---|"
        for function in FUNCTIONS:
            for n in CHECKPOINTS:
                a = best(ours, sampler, function, n, seeds)
                b = best(theirs, sampler, function, n, seeds)
                if not a:
                    continue
                median = f"{statistics.median(b):.4g}" if b else "-"
                p = mannwhitneyu(a, b, alternative="greater").pvalue if b else None
                shown = "-" if p is None else f"**{p:.3f}**" if p <= 0.05 else f"{p:.3f}"
                counts = f"{len(a)}" if len(b) in (0, len(a)) else f"{len(a)}, {len(b)}"
                yield (
                    f"| {function} | {n} | {counts} | {statistics.median(a):.4g} "
                    f"| {median} | {shown} |"
                )


def report(ours, theirs, seeds):
    yield "# The samplers beside Optuna's"
    yield (
        f"\nWritten by `benches/samplers/compare.py` on {datetime.date.today()}: Optuna "
        f"{optuna.__version__}, SciPy {scipy.__version__}, Python {platform.python_version()}; how to "
        "run it stands at its top."
    )
    yield (
        "\nLower is better. p is the one-sided Mann-Whitney test of \"ours is worse\"; at or below "
        "0.05 it is set bold. Of twenty comparisons between equals one is bold by chance. Sphere, "
        "Rastrigin and Rosenbrock have 5 dimensions, Hartmann 6, Branin 2; ranges are at the top of "
        "`compare.py`. Where there are two numbers of seeds, the second one is Optuna's."
    )
    yield from table(ours, theirs, seeds)
    # What was close is worth a second look, at seeds that had no part in the first.
    later = range(seeds.stop, seeds.stop + len(seeds))
    again = [
        name
        for name in SAMPLERS
        if best(ours, name, "branin", 300, later) and best(theirs, name, "branin", 300, later)
    ]
    if again:
        yield f"\n# Again, with seeds {later.start} to {later.stop - 1}"
        yield from table([r for r in ours if r["sampler"] in again], theirs, later)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", type=Path, help="output of the bench; without it Optuna runs alone")
    parser.add_argument(
        "--theirs",
        type=Path,
        default=Path(__file__).with_name("optuna.jsonl"),
        help="Optuna's runs, added to [default: %(default)s]",
    )
    parser.add_argument(
        "--samplers",
        default=",".join(SAMPLERS),
        help="of Optuna, by our names; nothing: run none [default: %(default)s]",
    )
    parser.add_argument("--functions", default=",".join(FUNCTIONS))
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first", type=int, default=0, help="first seed [default: %(default)s]")
    parser.add_argument("--trials", type=int, default=max(CHECKPOINTS))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    samplers = [name for name in args.samplers.split(",") if name]
    seeds = range(args.first, args.first + args.seeds)
    fill(args.theirs, samplers, args.functions.split(","), seeds, args.trials)
    if args.ours:
        lines = report(read(args.ours), read(args.theirs), range(args.seeds))
        args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The reference metrics in metrics.json: scikit-learn's, on awkward predictions.

From the repository root, in the environment of requirements.txt:

    venv/bin/python tests/reference/metrics.py             # rewrite metrics.json
    venv/bin/python tests/reference/metrics.py --check     # compare with the committed file

`--out FILE` names another file, to write or (with --check) to compare with. --check exits 1 on any
difference: inputs must be equal, computed numbers must agree to 1e-12 of themselves (R^2, a
difference from 1, to 1e-12 of the larger of 1 and itself). The scikit-learn version may differ and
is only reported.

Classification: labels and scores [N, C] (exact in float32, all finite); the prediction is the first
of the largest scores. All classes are named to scikit-learn (labels=range(C)), with zero_division=0,
its default's value; so macro averages include classes without samples. Top-k where C > k; ROC with
class 1 as the positive one where C = 2. Undefined numbers (ROC-AUC with one class in the data, R^2 of
one sample) are null.

Regression: float64 targets and predictions; r2_score with force_finite, its default.
"""

import argparse
import json
import math
import os
import sys
import warnings

import numpy as np
import sklearn
from sklearn import metrics

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


def softmax(rows):
    """In float32, so that large differences saturate to exact ties at 0 and 1."""
    e = np.exp(np.float32(rows) - np.max(np.float32(rows), axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True)).astype(np.float32)


def drawn(seed, n, classes, labels_of=None, levels=None, spread=2.0):
    """Labels, and scores that favour them: of `levels` equally spaced values, or a softmax."""
    random = Random(seed)
    labels = [random.below(labels_of or classes) for _ in range(n)]
    rows = [[random.uniform() + (0.4 if c == label else 0.0) for c in range(classes)]
            for label in labels]
    if levels:
        scores = [[math.floor(x * levels) / levels for x in row] for row in rows]
    else:
        scores = softmax([[spread * x for x in row] for row in rows]).tolist()
    return labels, scores


def one_hot(predictions, classes):
    return [[1.0 if c == p else 0.0 for c in range(classes)] for p in predictions]


def classification_cases():
    """name: (classes, labels, scores)"""
    return {
        "three classes": (3, *drawn(1, 40, 3)),
        "never predicted": (3, [0, 0, 0, 1, 1, 2], one_hot([0, 0, 1, 1, 0, 0], 3)),
        "never predicted, never true": (5, [0, 0, 3, 3, 0], one_hot([0, 3, 3, 1, 0], 5)),
        "predicted, not in the data": (3, [0, 0, 1], one_hot([2, 2, 2], 3)),
        "all wrong": (2, [0, 0, 1], one_hot([1, 1, 0], 2)),
        "all right": (4, [3, 1, 0, 2], one_hot([3, 1, 0, 2], 4)),
        "one sample": (3, [1], one_hot([1], 3)),
        "one sample, wrong": (3, [1], one_hot([2], 3)),
        "seven classes": (7, *drawn(2, 60, 7)),
        "seven classes, few levels": (7, *drawn(3, 60, 7, levels=3)),
        "eight classes, all scores equal": (8, list(range(8)), [[0.125] * 8] * 8),
        "twelve classes, five in the data": (12, *drawn(4, 50, 12, labels_of=5, levels=5)),
        "six classes, one sample": (6, [4], [[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]]),
        "two classes": (2, *drawn(5, 50, 2)),
        "two classes, few levels": (2, *drawn(6, 50, 2, levels=4)),
        "two classes, saturated": (2, *drawn(7, 50, 2, spread=200.0)),
        "two classes, all scores equal": (2, [0, 1, 1, 0, 1], [[0.5, 0.5]] * 5),
        "two classes, perfect order": (2, [0, 0, 1, 1], [[.9, .1], [.8, .2], [.3, .7], [.1, .9]]),
        "two classes, reversed order": (2, [1, 1, 0, 0], [[.9, .1], [.8, .2], [.3, .7], [.1, .9]]),
        "two classes, one in the data": (2, [1, 1, 1], [[.9, .1], [.2, .8], [.3, .7]]),
        "two classes, one of each": (2, [1, 0], [[.4, .6], [.4, .6]]),
        "two classes, zeros of both signs": (2, [1, 0, 1], [[0.0, 0.0], [0.0, -0.0], [-1.0, 1.0]]),
    }


def regression_cases():
    """name: (targets, predictions)"""
    random = Random(8)
    x = [10.0 * random.uniform() for _ in range(30)]
    noise = [random.uniform() - 0.5 for _ in range(30)]
    return {
        "drawn": (x, [a + b for a, b in zip(x, noise)]),
        "worse than the mean": (x, x[::-1]),
        "far from zero": ([1e6 + a for a in x], [1e6 + a + b for a, b in zip(x, noise)]),
        "tiny": ([1e-7 * a for a in x], [1e-7 * (a + b) for a, b in zip(x, noise)]),
        "perfect": ([1.0, -2.5, 4.0], [1.0, -2.5, 4.0]),
        "constant targets, perfect": ([3.0] * 4, [3.0] * 4),
        "constant targets": ([3.0] * 4, [3.0, 3.0, 3.0, 3.5]),
        "constant zero, perfect": ([0.0] * 2, [0.0] * 2),
        "constant predictions": ([1.0, 2.0, 3.0], [2.0] * 3),
        "one sample": ([2.0], [3.5]),
        "one sample, perfect": ([2.0], [2.0]),
        "two samples": ([1.0, 2.0], [1.5, 1.0]),
    }


def finite(x):
    return float(x) if math.isfinite(x) else None


def classification(name, n_classes, labels, scores):
    scores = np.float32(scores).tolist()
    table = np.float64(scores)
    classes = list(range(n_classes))
    predictions = [row.index(max(row)) for row in scores]

    def average(kind):
        p, r, f, _ = metrics.precision_recall_fscore_support(
            labels, predictions, labels=classes, average=kind, zero_division=0)
        return {"precision": float(p), "recall": float(r), "f1": float(f)}

    p, r, f, s = metrics.precision_recall_fscore_support(
        labels, predictions, labels=classes, average=None, zero_division=0)
    case = {
        "name": name,
        "n_classes": n_classes,
        "labels": labels,
        "scores": scores,
        "predictions": predictions,
        "confusion": metrics.confusion_matrix(labels, predictions, labels=classes).tolist(),
        "accuracy": float(metrics.accuracy_score(labels, predictions)),
        "balanced_accuracy": float(metrics.balanced_accuracy_score(labels, predictions)),
        "precision": p.tolist(),
        "recall": r.tolist(),
        "f1": f.tolist(),
        "support": [int(n) for n in s],
        "macro": average("macro"),
        "micro": average("micro"),
        "weighted": average("weighted"),
        "top_k": [],
        "roc_auc": None,
        "roc_curve": None,
    }
    if n_classes > 2:
        case["top_k"] = [
            float(metrics.top_k_accuracy_score(labels, table, k=k, labels=classes))
            for k in range(1, n_classes)]
    if n_classes == 2:
        case["roc_auc"] = finite(metrics.roc_auc_score(labels, table[:, 1]))
        fpr, tpr, thresholds = metrics.roc_curve(labels, table[:, 1])
        if case["roc_auc"] is not None:
            case["roc_curve"] = {"fpr": fpr.tolist(), "tpr": tpr.tolist(),
                                 "thresholds": thresholds[1:].tolist()}
    return case


def regression(name, targets, predictions):
    return {
        "name": name,
        "targets": targets,
        "predictions": predictions,
        "mse": float(metrics.mean_squared_error(targets, predictions)),
        "rmse": float(metrics.root_mean_squared_error(targets, predictions)),
        "mae": float(metrics.mean_absolute_error(targets, predictions)),
        "r2": finite(metrics.r2_score(targets, predictions)),
    }


def compute():
    # Undefined numbers are warned of; which they are is what the cases are for.
    warnings.simplefilter("ignore")
    return {
        "sklearn": sklearn.__version__,
        "classification": [classification(name, *case)
                           for name, case in classification_cases().items()],
        "regression": [regression(name, *case) for name, case in regression_cases().items()],
    }


def text(data):
    """One line for each case."""
    dump = lambda value: json.dumps(value, separators=(",", ":"), allow_nan=False)
    lines = lambda cases: ",\n".join(dump(case) for case in cases)
    return (f'{{"sklearn":{dump(data["sklearn"])},\n'
            f'"classification":[\n{lines(data["classification"])}\n],\n'
            f'"regression":[\n{lines(data["regression"])}\n]}}\n')


def differences(new, old, where):
    """The places where the two differ; numbers may by TOLERANCE."""
    if isinstance(new, dict) and isinstance(old, dict) and list(new) == list(old):
        return [d for key in new for d in differences(new[key], old[key], f"{where}.{key}")]
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        named = lambda ix: new[ix]["name"] if isinstance(new[ix], dict) else ix
        return [d for ix in range(len(new))
                for d in differences(new[ix], old[ix], f"{where}[{named(ix)}]")]
    if isinstance(new, float) and isinstance(old, float):
        scale = max(1.0, abs(old)) if where.endswith(".r2") else abs(old)
        same = abs(new - old) <= TOLERANCE * scale
    else:
        same = type(new) is type(old) and new == old
    return [] if same else [f"{where}: {old} committed, {new} computed"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "metrics.json")
    parser.add_argument("--out", metavar="FILE", default=beside, help="default: beside this script")
    parser.add_argument("--check", action="store_true", help="compare with FILE, write nothing")
    args = parser.parse_args()
    data = compute()
    n = len(data["classification"]) + len(data["regression"])
    if not args.check:
        with open(args.out, "w", encoding="ascii", newline="\n") as f:
            f.write(text(data))
        print(f"{n} cases written")
        return 0
    with open(args.out, encoding="ascii") as f:
        old = json.load(f)
    if old["sklearn"] != data["sklearn"]:
        print(f"note: committed with scikit-learn {old['sklearn']}, computed with {data['sklearn']}")
    del old["sklearn"], data["sklearn"]
    found = differences(data, old, "metrics")
    for line in found:
        print(line)
    print(f"{len(found)} differences" if found else f"{n} cases agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

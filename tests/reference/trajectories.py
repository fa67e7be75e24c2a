#!/usr/bin/env python3
"""Ten-step training trajectories of tiny MLPs, computed by PyTorch in float64.

Run, from the repository root:

    python3 -m venv venv
    venv/bin/pip install -r tests/reference/requirements.txt   # torch, numpy
    venv/bin/python tests/reference/trajectories.py             # rewrite trajectories.json
    venv/bin/python tests/reference/trajectories.py --check     # compare with the committed file

`--out FILE` names another file, to write or (with --check) to compare with. The CPU build of
torch is enough; nothing here uses a GPU. --check exits 1 on any difference: everything that is
not a computed number must be equal, each loss must agree to 1e-12 of itself, and each element of
a final tensor to 1e-12 of that tensor's largest magnitude (a weight that lands near zero has no
relative precision of its own). The torch version may differ and is only reported.

What is computed, at each of the ten steps:

* inputs are x = pixel * float64(float32(1/255)), in float64: the constant a float32 program
  multiplies by, without the rounding of its product; initial values are exact in float32;
* loss: F.cross_entropy with label smoothing (the reported loss is the smoothed one), mean over
  the batch; or "mse": one-hot targets against raw outputs, mean over samples and outputs;
* the objective adds l1 * sum|w| + l2 * sum w^2 over weights, not biases (so the gradient gains
  l1 * sign(w) + 2 * l2 * w, sign(0) = 0); the reported loss is the data term alone;
* clip_norm > 0: torch.nn.utils.clip_grad_norm_ over all parameters, after l1 and l2 and before
  the optimiser's own weight decay: g *= min(1, clip_norm / (norm + 1e-6));
* torch.optim steps, weight_decay being the optimiser's own, on all parameters, biases included:
  decoupled for adamw, added to the gradient elsewhere;
* "losses" and "correct" (argmax == label) are taken before the step's update, "final" after the
  tenth. A batch's mean is over its own samples: the short batches have 5, not 7.

Guards make sure that a float32 program can follow: no ReLU or leaky ReLU input, no gap between the
two largest outputs, and no weight under l1 (but for exact zeros) comes within MARGIN of its kink.
"""

import argparse
import json
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

STEPS, SAMPLES, BATCH, WIDTH, CLASSES = 10, 19, 7, 13, 5
MARGIN = 1e-4
TOLERANCE = 1e-12
DEAD_PIXEL = 4  # always 0, so that its weights have no data gradient
SCALE = float(np.float32(1.0) / np.float32(255.0))

# name: (layer notation, seed)
PROBLEMS = {
    "relu": ("linear:8,relu", 137),
    "tanh-sigmoid": ("linear:8,tanh,linear:6,sigmoid", 21),
    "gelu-leaky": ("linear:8,gelu,linear:6,leaky-relu", 24),
    "linear": ("", 10),
}

LR = {
    "sgd": 0.5,
    "momentum": 0.2,
    "nesterov": 0.2,
    "adagrad": 0.1,
    "rmsprop": 0.02,
    "adam": 0.05,
    "adamw": 0.05,
}


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

    def shuffled(self, n):
        order = list(range(n))
        for i in range(n - 1, 0, -1):
            j = self.below(i + 1)
            order[i], order[j] = order[j], order[i]
        return order


def layers_of(notation):
    """The notation's layers with the output layer appended: ("linear", in, out) or (activation,)."""
    layers, width = [], WIDTH
    for word in notation.split(",") if notation else []:
        if word.startswith("linear:"):
            out = int(word[len("linear:"):])
            layers.append(("linear", width, out))
            width = out
        else:
            layers.append((word,))
    return layers + [("linear", width, CLASSES)]


def make_problem(notation, seed):
    random = Random(seed)
    templates = [[random.below(256) for _ in range(WIDTH)] for _ in range(CLASSES)]
    order = random.shuffled(SAMPLES)
    labels = [k % CLASSES for k in order]
    pixels = []
    for label in labels:
        row = [(4 * t + random.below(256)) // 5 for t in templates[label]]
        row[DEAD_PIXEL] = 0
        pixels.append(row)
    pixels[0][0], pixels[1][1] = 0, 255
    batches = []
    while len(batches) < STEPS:
        order = random.shuffled(SAMPLES)
        batches += [order[i:i + BATCH] for i in range(0, SAMPLES, BATCH)]
    init = {}
    for i, layer in enumerate(layers_of(notation)):
        if layer[0] == "linear":
            _, fan_in, fan_out = layer
            bound = 2.0 / math.sqrt(fan_in)
            draw = lambda: float(np.float32((2.0 * random.uniform() - 1.0) * bound))
            init[f"{i}.weight"] = [[draw() for _ in range(fan_in)] for _ in range(fan_out)]
            init[f"{i}.bias"] = [draw() for _ in range(fan_out)]
    # sign(0) = 0: one zero weight that only a penalty could move, and one that the data move.
    init["0.weight"][1][DEAD_PIXEL] = 0.0
    init["0.weight"][2][7] = 0.0
    return {
        "shape": [1, 1, WIDTH],
        "classes": CLASSES,
        "layers": notation,
        "labels": labels,
        "batches": batches[:STEPS],
        "pixels": pixels,
        "init": init,
    }


def case(problem, opt, suffix="", loss="cross-entropy", **changes):
    hyper = {
        "lr": LR[opt],
        "momentum": 0.9 if opt in ("momentum", "nesterov") else 0.0,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-10 if opt == "adagrad" else 1e-8,
        "alpha": 0.99,
        "weight_decay": 0.0,
        "l1": 0.0,
        "l2": 0.0,
        "clip_norm": 0.0,
        "label_smoothing": 0.0,
    }
    assert set(changes) <= set(hyper)
    hyper.update(changes)
    name = f"{problem}-{opt}" + (f"-{suffix}" if suffix else "")
    return {"name": name, "problem": problem, "opt": opt, "loss": loss, "hyper": hyper}


def cases():
    every = [case("relu", opt) for opt in LR]
    every += [case("tanh-sigmoid", opt, "decay", weight_decay=0.05) for opt in LR]
    every += [
        case("gelu-leaky", "sgd"),
        case("gelu-leaky", "adam"),
        case("relu", "adam", "l1-l2", l1=0.01, l2=0.02),
        # The norm is over the bound at every step of "-clip", at some of "-clip-some".
        case("relu", "sgd", "l1-l2-decay-clip", l1=0.01, l2=0.02, weight_decay=0.05, clip_norm=0.25),
        case("relu", "momentum", "clip-some", clip_norm=0.7),
        case("relu", "adamw", "decay-clip", weight_decay=0.05, clip_norm=0.25),
        case("relu", "adam", "smooth", label_smoothing=0.1),
        case("relu", "sgd", "mse", loss="mse"),
        case("relu", "adam", "mse", loss="mse"),
        case("linear", "sgd"),
    ]
    return every


def optimiser(opt, h, params):
    common = dict(lr=h["lr"], weight_decay=h["weight_decay"], foreach=False)
    if opt in ("sgd", "momentum", "nesterov"):
        return torch.optim.SGD(params, momentum=h["momentum"], dampening=0.0,
                               nesterov=opt == "nesterov", fused=False, **common)
    if opt == "adagrad":
        return torch.optim.Adagrad(params, lr_decay=0.0, initial_accumulator_value=0.0,
                                   eps=h["eps"], fused=False, **common)
    if opt == "rmsprop":
        return torch.optim.RMSprop(params, alpha=h["alpha"], eps=h["eps"], momentum=0.0,
                                   centered=False, **common)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[opt]
    return kind(params, betas=(h["beta1"], h["beta2"]), eps=h["eps"], amsgrad=False, fused=False,
                **common)


ACTIVATIONS = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": lambda x: F.gelu(x, approximate="none"),
    "leaky-relu": lambda x: F.leaky_relu(x, 0.01),
}


def run(problem, case, dtype=torch.float64):
    """The case with its losses, counts and final tensors, and the measures the guards look at."""
    h, layers = case["hyper"], layers_of(problem["layers"])
    params = {name: torch.tensor(value, dtype=dtype, requires_grad=True)
              for name, value in problem["init"].items()}
    inputs = torch.tensor(problem["pixels"], dtype=dtype) * SCALE
    labels = torch.tensor(problem["labels"])
    weights = [p for name, p in params.items() if name.endswith(".weight")]
    step = optimiser(case["opt"], h, list(params.values()))
    losses, correct, norms, kinks = [], [], [], []
    for batch in problem["batches"]:
        x, y = inputs[batch], labels[batch]
        for i, layer in enumerate(layers):
            if layer[0] == "linear":
                x = F.linear(x, params[f"{i}.weight"], params[f"{i}.bias"])
            else:
                if layer[0] in ("relu", "leaky-relu"):
                    kinks.append(x.detach().abs().min().item())
                x = ACTIVATIONS[layer[0]](x)
        top = x.detach().topk(2, dim=1).values
        kinks.append((top[:, 0] - top[:, 1]).min().item())
        if case["loss"] == "mse":
            data = F.mse_loss(x, F.one_hot(y, CLASSES).to(dtype))
        else:
            data = F.cross_entropy(x, y, label_smoothing=h["label_smoothing"])
        objective = data
        if h["l1"]:
            objective = objective + h["l1"] * sum(w.abs().sum() for w in weights)
            for w in weights:
                kinks.append(w.detach()[w != 0].abs().min().item())
        if h["l2"]:
            objective = objective + h["l2"] * sum((w * w).sum() for w in weights)
        losses.append(data.item())
        correct.append(int((x.argmax(dim=1) == y).sum()))
        step.zero_grad()
        objective.backward()
        bound = h["clip_norm"] if h["clip_norm"] else math.inf
        norms.append(torch.nn.utils.clip_grad_norm_(params.values(), bound, foreach=False).item())
        step.step()
    result = dict(case, losses=losses, correct=correct,
                  final={name: p.tolist() for name, p in params.items()})
    return result, norms, min(kinks)


def compute():
    torch.set_num_threads(1)
    problems = {name: make_problem(*spec) for name, spec in PROBLEMS.items()}
    results = []
    for c in cases():
        result, norms, kink = run(problems[c["problem"]], c)
        assert kink > MARGIN, f"{c['name']}: {kink:.1e} from a kink; choose another seed"
        clip = c["hyper"]["clip_norm"]
        over = sum(n > clip for n in norms) if clip else 0
        if clip:
            right = 0 < over < STEPS if "clip-some" in c["name"] else over == STEPS
            assert right, f"{c['name']}: clipped at {over} steps"
        results.append(result)
    assert len({c["name"] for c in results}) == len(results)
    return {"torch": torch.__version__.split("+")[0], "problems": problems, "cases": results}


def text(data):
    """One line for each problem and each case."""
    dump = lambda value: json.dumps(value, separators=(",", ":"), allow_nan=False)
    problems = ",\n".join(f"{dump(name)}:{dump(p)}" for name, p in data["problems"].items())
    every = ",\n".join(dump(c) for c in data["cases"])
    return (f'{{"torch":{dump(data["torch"])},\n"problems":{{\n{problems}\n}},\n'
            f'"cases":[\n{every}\n]}}\n')


def differences(new, old):
    found = []
    if new["problems"] != old["problems"]:
        found.append("problems differ")
    if [c["name"] for c in new["cases"]] != [c["name"] for c in old["cases"]]:
        return found + ["the cases' names differ"]
    for a, b in zip(new["cases"], old["cases"]):
        computed = ("losses", "final")
        if ({k: v for k, v in a.items() if k not in computed}
                != {k: v for k, v in b.items() if k not in computed}):
            found.append(f"{a['name']}: settings or counts differ")
        x, y = np.array(a["losses"]), np.array(b["losses"])
        if x.shape != y.shape or not np.all(np.abs(x - y) <= TOLERANCE * np.abs(y)):
            found.append(f"{a['name']}: losses differ")
        if list(a["final"]) != list(b["final"]):
            found.append(f"{a['name']}: the final tensors' names differ")
            continue
        for name in a["final"]:
            x, y = np.array(a["final"][name]), np.array(b["final"][name])
            if x.shape != y.shape or not np.all(np.abs(x - y) <= TOLERANCE * np.abs(y).max()):
                found.append(f"{a['name']}: final {name} differs")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "trajectories.json")
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

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
a final tensor, which is stored to ten decimals, to 1e-10 (a weight that lands near zero has no relative
precision of its own). The torch version may differ and is only reported.

What is computed, at each of the ten steps:

* inputs are x = pixel * float64(float32(1/255)), in float64: the constant a float32 program
  multiplies by, without the rounding of its product; initial values are exact in float32;
  problems of regression have float32 samples instead, x = (sample - centre) * scale;
* loss: F.cross_entropy with label smoothing and class weights (the reported loss is the smoothed and
  weighted one), mean over the batch; or F.mse_loss, F.l1_loss, F.huber_loss of raw outputs against
  one-hot rows or against the target of the one output, mean over samples and outputs; with class
  weights each sample's times its class's, over the sum of these, as F.cross_entropy has it;
* the objective adds l1 * sum|w| + l2 * sum w^2 over weights, not biases (so the gradient gains
  l1 * sign(w) + 2 * l2 * w, sign(0) = 0); the reported loss is the data term alone;
* clip_norm > 0: torch.nn.utils.clip_grad_norm_ over all parameters, after l1 and l2 and before
  the optimiser's own weight decay: g *= min(1, clip_norm / (norm + 1e-6));
* "accumulate" N batches make one optimiser step: their gradients are of the mean over all samples
  of the N, which differ in size; the last step has fewer batches than N;
* torch.optim steps, weight_decay being the optimiser's own, on all parameters, biases included:
  decoupled for adamw, added to the gradient elsewhere;
* max_norm > 0: after each step, rows of weight matrices over that norm are scaled back to it;
* ema > 0: torch.optim.swa_utils.get_ema_multi_avg_fn after each step, the first of which copies;
  running statistics are copied, as AveragedModel does with use_buffers=False;
* the parameters of "frozen" layers are left out of it all; a frozen batchnorm is in eval mode;
* "losses" and "correct" (argmax == label; in regression the sum of squared errors) are taken before
  the step's update, "final" after the tenth. A batch's mean is over its own samples: the short
  batches have 5, not 7;
* "eval_loss" is the mean over all samples after the tenth step, in eval mode (running statistics, no
  smoothing, no weights), of the averaged parameters where there are such ("average").

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
from torch.optim.swa_utils import get_ema_multi_avg_fn

STEPS, SAMPLES, BATCH, WIDTH, CLASSES = 10, 19, 7, 13, 5
MARGIN = 1e-4
TOLERANCE = 1e-12
DIGITS = 10  # behind the point, of final tensors
DEAD_PIXEL = 4  # always 0, so that its weights have no data gradient
SCALE = float(np.float32(1.0) / np.float32(255.0))

# name: (layer notation, seed); the names of problems of regression start with "values"
PROBLEMS = {
    "relu": ("linear:8,relu", 137),
    "tanh-sigmoid": ("linear:8,tanh,linear:6,sigmoid", 21),
    "gelu-leaky": ("linear:8,gelu,linear:6,leaky-relu", 24),
    "linear": ("", 10),
    "batchnorm": ("linear:8,batchnorm,relu,linear:6,batchnorm,tanh", 126),
    "layernorm": ("linear:8,layernorm,relu,linear:6,tanh,layernorm", 114),
    "residual": ("linear:6,relu,residual(linear:8,tanh,residual(layernorm,linear:8),linear:6),tanh", 115),
    "values": ("linear:8,tanh", 118),
}

WEIGHTS = [0.25, 1.5, 1.0, 2.0, 0.75]  # exact in float32, as a class weights table has them

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


def words_of(text):
    """The notation cut at the commas outside parentheses."""
    words, depth = [""], 0
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            words.append("")
        else:
            words[-1] += letter
    return words if text else []


def layers_of(notation, outputs=CLASSES):
    """The notation's layers with the output layer appended, each with its tensors' prefix: ("linear",
    prefix, in, out), ("batchnorm" or "layernorm", prefix, width), ("residual", layers) or (activation,)."""
    def read(words, prefix, width):
        layers = []
        for i, word in enumerate(words):
            name = f"{prefix}{i}"
            if word.startswith("residual("):
                inner, out = read(words_of(word[len("residual("):-1]), name + ".", width)
                assert out == width
                layers.append(("residual", inner))
            elif word.startswith("linear:"):
                out = int(word[len("linear:"):])
                layers.append(("linear", name, width, out))
                width = out
            elif word.endswith("norm"):
                layers.append((word, name, width))
            else:
                layers.append((word,))
        return layers, width

    return read(words_of(notation) + [f"linear:{outputs}"], "", WIDTH)[0]


def flat(layers):
    """The layers, those inside residual blocks included."""
    for layer in layers:
        yield from flat(layer[1]) if layer[0] == "residual" else [layer]


def make_problem(name, notation, seed):
    regression = name.startswith("values")
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
    for layer in flat(layers_of(notation, 1 if regression else CLASSES)):
        if layer[0] == "linear":
            _, prefix, fan_in, fan_out = layer
            bound = 2.0 / math.sqrt(fan_in)
            draw = lambda: float(np.float32((2.0 * random.uniform() - 1.0) * bound))
            init[f"{prefix}.weight"] = [[draw() for _ in range(fan_in)] for _ in range(fan_out)]
            init[f"{prefix}.bias"] = [draw() for _ in range(fan_out)]
        elif layer[0].endswith("norm"):
            _, prefix, width = layer
            draw = lambda: float(np.float32(random.uniform()))
            init[f"{prefix}.weight"] = [0.5 + draw() for _ in range(width)]
            init[f"{prefix}.bias"] = [draw() - 0.5 for _ in range(width)]
            if layer[0] == "batchnorm":
                init[f"{prefix}.running_mean"] = [0.0] * width
                init[f"{prefix}.running_var"] = [1.0] * width
    # sign(0) = 0: one zero weight that only a penalty could move, and one that the data move.
    init["0.weight"][1][DEAD_PIXEL] = 0.0
    init["0.weight"][2][7] = 0.0
    problem = {
        "shape": [1, 1, WIDTH],
        "classes": 1 if regression else CLASSES,
        "layers": notation,
        "batches": batches[:STEPS],
        "init": init,
    }
    if regression:
        draw = lambda scale: float(np.float32((2.0 * random.uniform() - 1.0) * scale))
        # Far from zero, which the centre takes out again.
        problem["samples"] = [[float(np.float32(50.0 + draw(4.0))) for _ in range(WIDTH)]
                              for _ in range(SAMPLES)]
        problem["scale"], problem["centre"] = 0.25, 50.5
        problem["targets"] = [draw(2.0) for _ in range(SAMPLES)]
    else:
        problem["labels"], problem["pixels"] = labels, pixels
    return problem


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
        "huber_delta": 1.0,
        "max_norm": 0.0,
        "ema": 0.0,
        "accumulate": 1,
        "class_weights": [],
        "frozen": [],
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
        case("relu", "sgd", "mae", loss="mae"),
        case("relu", "adam", "huber", loss="huber", huber_delta=0.4),
        case("relu", "adam", "weights", lr=0.04, class_weights=WEIGHTS),
        case("relu", "sgd", "weights-smooth", class_weights=WEIGHTS, label_smoothing=0.1),
        case("relu", "sgd", "weights-mse", loss="mse", class_weights=WEIGHTS),
        case("relu", "sgd", "weights-huber", loss="huber", huber_delta=0.4, class_weights=WEIGHTS),
        case("values", "sgd", "mse", loss="mse", lr=0.05),
        case("values", "adam", "mae", loss="mae"),
        case("values", "momentum", "huber", loss="huber", huber_delta=0.7, lr=0.05),
        # Gradients of a bias that a batchnorm takes out again are rounding, which Adam would scale up.
        case("batchnorm", "sgd", lr=0.1),
        case("batchnorm", "momentum", "decay-ema", lr=0.05, weight_decay=0.02, ema=0.8),
        case("batchnorm", "sgd", "frozen", lr=0.1, frozen=["1", "3"]),
        case("layernorm", "sgd", lr=0.1),
        case("layernorm", "adam", lr=0.02),
        case("residual", "sgd", lr=0.1),
        case("residual", "momentum", "frozen", lr=0.05, weight_decay=0.02, frozen=["2.2", "0"]),
        case("relu", "momentum", "max-norm", max_norm=0.8),
        case("tanh-sigmoid", "adam", "max-norm-l2", max_norm=0.9, l2=0.01),
        case("relu", "adam", "ema", ema=0.75),
        case("relu", "sgd", "accumulate", accumulate=3),
        case("relu", "adamw", "accumulate-weights-clip-ema", accumulate=3, class_weights=WEIGHTS,
             label_smoothing=0.05, weight_decay=0.05, clip_norm=0.1, ema=0.6),
        case("relu", "adam", "frozen-l1", lr=0.04, l1=0.01, frozen=["0"]),
        case("relu", "adamw", "frozen-decay", weight_decay=0.05, frozen=["2"]),
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


def forward(layers, params, x, training, frozen, kinks):
    for layer in layers:
        if layer[0] == "linear":
            x = F.linear(x, params[f"{layer[1]}.weight"], params[f"{layer[1]}.bias"])
        elif layer[0] == "residual":
            x = x + forward(layer[1], params, x, training, frozen, kinks)
        elif layer[0] == "layernorm":
            x = F.layer_norm(x, (layer[2],), params[f"{layer[1]}.weight"], params[f"{layer[1]}.bias"])
        elif layer[0] == "batchnorm":
            weight, bias, mean, var = (
                params[f"{layer[1]}.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
            x = F.batch_norm(x, mean, var, weight, bias, training and not under(layer[1], frozen))
        else:
            if layer[0] in ("relu", "leaky-relu"):
                kinks.append(x.detach().abs().min().item())
            x = ACTIVATIONS[layer[0]](x)
    return x


def under(name, layers):
    """Whether a layer's or tensor's name belongs to one of the layers."""
    return any(name == layer or name.startswith(layer + ".") for layer in layers)


def sample_losses(case, x, y, kinks):
    """The loss of each sample, unweighted; None for cross-entropy, which has a function of its own."""
    if case["loss"] == "cross-entropy":
        return None
    one_hot = F.one_hot(y, CLASSES).to(x.dtype) if y.dtype == torch.int64 else y[:, None]
    error = (x - one_hot).detach().abs()
    delta = case["hyper"]["huber_delta"]
    if case["loss"] == "mae":
        kinks.append(error.min().item())
    if case["loss"] == "huber":
        kinks.append((error - delta).abs().min().item())
    of = {
        "mse": lambda: F.mse_loss(x, one_hot, reduction="none"),
        "mae": lambda: F.l1_loss(x, one_hot, reduction="none"),
        "huber": lambda: F.huber_loss(x, one_hot, reduction="none", delta=delta),
    }
    return of[case["loss"]]().mean(dim=1)


def data_loss(case, x, y, kinks, train=True):
    """The loss of a batch, and the weight that its mean divides by."""
    h = case["hyper"]
    weights = torch.tensor(h["class_weights"], dtype=x.dtype) if train and h["class_weights"] else None
    total = float(len(y)) if weights is None else weights[y].sum().item()
    each = sample_losses(case, x, y, kinks)
    if each is None:
        smoothing = h["label_smoothing"] if train else 0.0
        return F.cross_entropy(x, y, weight=weights, label_smoothing=smoothing), total
    if weights is None:
        return each.mean(), total
    return (each * weights[y]).sum() / total, total


def run(problem, case, dtype=torch.float64):
    """The case with its losses, counts and final tensors, and the measures the guards look at."""
    h, layers = case["hyper"], layers_of(problem["layers"], problem["classes"])
    regression = "samples" in problem
    params = {name: torch.tensor(value, dtype=dtype) for name, value in problem["init"].items()}
    moving = {name: p.requires_grad_() for name, p in params.items()
              if not under(name, h["frozen"]) and ".running_" not in name}
    if regression:
        inputs = (torch.tensor(problem["samples"], dtype=dtype) - problem["centre"]) * problem["scale"]
        labels = torch.tensor(problem["targets"], dtype=dtype)
    else:
        inputs = torch.tensor(problem["pixels"], dtype=dtype) * SCALE
        labels = torch.tensor(problem["labels"])
    weights = [p for p in moving.values() if p.dim() == 2]
    step = optimiser(case["opt"], h, list(moving.values()))
    losses, correct, norms, kinks, average = [], [], [], [], None
    batches, count = problem["batches"], h["accumulate"]
    for first in range(0, len(batches), count):
        step.zero_grad()
        update, total = [], 0.0
        for batch in batches[first:first + count]:
            x, y = inputs[batch], labels[batch]
            x = forward(layers, params, x, True, h["frozen"], kinks)
            if regression:
                correct.append(((x[:, 0] - y) ** 2).sum().item())
            else:
                top = x.detach().topk(2, dim=1).values
                kinks.append((top[:, 0] - top[:, 1]).min().item())
                correct.append(int((x.argmax(dim=1) == y).sum()))
            data, weight = data_loss(case, x, y, kinks)
            losses.append(data.item())
            update.append((data, weight))
            total += weight
        for data, weight in update:
            (data * (weight / total)).backward()
        penalty = torch.zeros((), dtype=dtype)
        if h["l1"]:
            penalty = penalty + h["l1"] * sum(w.abs().sum() for w in weights)
            for w in weights:
                kinks.append(w.detach()[w != 0].abs().min().item())
        if h["l2"]:
            penalty = penalty + h["l2"] * sum((w * w).sum() for w in weights)
        if penalty.requires_grad:
            penalty.backward()
        bound = h["clip_norm"] if h["clip_norm"] else math.inf
        norms.append(torch.nn.utils.clip_grad_norm_(moving.values(), bound, foreach=False).item())
        step.step()
        with torch.no_grad():
            if h["max_norm"]:
                for w in weights:
                    norm = w.norm(dim=1, keepdim=True)
                    w.mul_(torch.where(norm > h["max_norm"], h["max_norm"] / norm, torch.ones_like(norm)))
            if h["ema"] and average is None:
                average = {name: p.detach().clone() for name, p in params.items()}
            elif h["ema"]:
                get_ema_multi_avg_fn(h["ema"])([average[name] for name in moving],
                                               [p.detach() for p in moving.values()], None)
                for name in params.keys() - moving.keys():
                    average[name] = params[name].detach().clone()
    result = dict(case, losses=losses, correct=correct,
                  final={name: p.tolist() for name, p in params.items()})
    with torch.no_grad():
        last = average or params
        x = forward(layers, last, inputs, False, h["frozen"], [])
        result["eval_loss"] = data_loss(case, x, labels, [], train=False)[0].item()
    if average:
        result["average"] = {name: p.tolist() for name, p in average.items()}
    return result, norms, min(kinks, default=1.0)


def compute():
    torch.set_num_threads(1)
    problems = {name: make_problem(name, *spec) for name, spec in PROBLEMS.items()}
    results = []
    for c in cases():
        result, norms, kink = run(problems[c["problem"]], c)
        assert kink > MARGIN, f"{c['name']}: {kink:.1e} from a kink; choose another seed"
        clip = c["hyper"]["clip_norm"]
        over = sum(n > clip for n in norms) if clip else 0
        if clip:
            right = 0 < over < len(norms) if "clip-some" in c["name"] else over == len(norms)
            assert right, f"{c['name']}: clipped at {over} steps"
        results.append(result)
    assert len({c["name"] for c in results}) == len(results)
    return {"torch": torch.__version__.split("+")[0], "problems": problems, "cases": results}


def text(data):
    """One line for each problem and each case."""
    def rounded(value):
        if isinstance(value, list):
            return [rounded(x) for x in value]
        return round(value, DIGITS)

    def stored(c):
        tensors = {key: {name: rounded(value) for name, value in c[key].items()}
                   for key in ("final", "average") if key in c}
        return dict(c, **tensors)

    dump = lambda value: json.dumps(value, separators=(",", ":"), allow_nan=False)
    problems = ",\n".join(f"{dump(name)}:{dump(p)}" for name, p in data["problems"].items())
    every = ",\n".join(dump(stored(c)) for c in data["cases"])
    return (f'{{"torch":{dump(data["torch"])},\n"problems":{{\n{problems}\n}},\n'
            f'"cases":[\n{every}\n]}}\n')


def differences(new, old):
    found = []
    if new["problems"] != old["problems"]:
        found.append("problems differ")
    if [c["name"] for c in new["cases"]] != [c["name"] for c in old["cases"]]:
        return found + ["the cases' names differ"]
    for a, b in zip(new["cases"], old["cases"]):
        computed = ("losses", "final", "eval_loss", "average")
        if a["problem"].startswith("values"):
            computed += ("correct",)
        if ({k: v for k, v in a.items() if k not in computed}
                != {k: v for k, v in b.items() if k not in computed}):
            found.append(f"{a['name']}: settings or counts differ")
        x, y = (np.array(c["losses"] + [c["eval_loss"]] + c["correct"]) for c in (a, b))
        if x.shape != y.shape or not np.all(np.abs(x - y) <= TOLERANCE * np.abs(y)):
            found.append(f"{a['name']}: losses differ")
        tensors = [{f"{kind} {name}": value for kind in ("final", "average")
                    for name, value in c.get(kind, {}).items()} for c in (a, b)]
        if list(tensors[0]) != list(tensors[1]):
            found.append(f"{a['name']}: the final tensors' names differ")
            continue
        for name in tensors[0]:
            x, y = (np.array(t[name]) for t in tensors)
            if x.shape != y.shape or not np.all(np.abs(x - y) <= 10.0 ** -DIGITS):
                found.append(f"{a['name']}: {name} differs")
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

"""Trains gpu-train and its peers side by side, epochs alternating in one run, and prints tables.

benches/README.md says what is compared with what; run.sh makes the Python environment.
"""

import argparse
import json
import os
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import machine
from sides import HERE, GpuTrain, Peer, SideFailed
from table import Row, markdown

ROOT = HERE.parents[1]
BURN = HERE.parent / "burn" / "target" / "release" / "burn-peer"
NETWORKS = {"cpu": ["784-128-10:32", "784-128-10:128", "784-128-10:512", "784-1024-1024-10:128", "784-10:128"],
            "gpu": ["784-128-10:128"]}


@dataclass
class Work:
    layers: str
    batch: int
    data: Path
    threads: int
    max_batches: int


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--networks", nargs="+", metavar="LAYERS:BATCH", help="such as 784-128-10:128")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="sides whose name holds one of these words")
    parser.add_argument("--rounds", type=int, help="turns of each side [7; 3 with --device gpu]")
    parser.add_argument("--epochs-per-turn", type=int, default=2)
    parser.add_argument("--patience", type=float, default=60,
                        help="seconds of timed epochs after which a side gets no more turns in a table")
    parser.add_argument("--max-batches", type=int,
                        help="batches per timed unit of the peers, 0: whole epochs [0; 40 with --device gpu]")
    parser.add_argument("--quick", action="store_true", help="one network, two rounds")
    parser.add_argument("--program", type=Path, default=ROOT / "target" / "release" / "gpu-train")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    gpu = args.device == "gpu"
    args.networks = args.networks or (["784-128-10:128"] if args.quick else NETWORKS[args.device])
    args.rounds = args.rounds or (2 if args.quick else 3 if gpu else 7)
    args.max_batches = args.max_batches if args.max_batches is not None else 40 if gpu else 0
    return args


def mnist(folder):
    """The original IDX files in `folder`, unpacked there once from those in assets/."""
    names = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"]
    if not all((folder / name).exists() for name in names):
        sys.path.insert(0, str(ROOT / "tests" / "interop"))
        import mnist as packed
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in zip(names, [packed.idx_images("train"), packed.idx_labels("train")]):
            (folder / (name + ".part")).write_bytes(content)
            (folder / (name + ".part")).rename(folder / name)
    return folder


def sides(device, program, cuda):
    """The sides of a device, and why any were left out."""
    def python(file, variant=""):
        return [sys.executable, HERE / file, "--variant", variant]

    left_out = []
    if device == "cpu":
        hidden = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
        one = {"OPENBLAS_NUM_THREADS": "1"}
        found = [GpuTrain(program, "cpu"),
                 Peer("JAX, epoch in one jitted scan", python("jax_scan.py"), hidden),
                 Peer("Keras model.fit, TensorFlow back end", python("keras_fit.py", "tensorflow"), hidden),
                 Peer("Keras model.fit, JAX back end", python("keras_fit.py", "jax"), hidden),
                 Peer("PyTorch eager, fused Adam", python("pytorch.py", "eager"), hidden),
                 Peer("PyTorch eager, fused Adam, 1 thread", python("pytorch.py", "eager"), hidden, 1),
                 Peer("PyTorch torch.compile, fused Adam", python("pytorch.py", "compile"), hidden),
                 Peer("PyTorch torch.compile, fused Adam, 1 thread", python("pytorch.py", "compile"), hidden, 1),
                 Peer("scikit-learn MLPClassifier", python("sklearn_mlp.py"), hidden),
                 Peer("scikit-learn MLPClassifier, 1 thread", python("sklearn_mlp.py"), hidden | one)]
        burn = Peer("burn, Flex (its CPU back end)", [BURN, "--variant", "flex"])
        left_out.append("CUDA rows: `--device gpu` on a machine with CUDA")
    else:
        found = [GpuTrain(program, "gpu"), Peer("tinygrad, WEBGPU", python("tinygrad_webgpu.py"))]
        burn = Peer("burn, wgpu", [BURN, "--variant", "wgpu"])
        if cuda:
            found.append(Peer("JAX, epoch in one jitted scan", python("jax_scan.py")))
            found.append(Peer("JAX, epoch in one jitted scan, TF32", python("jax_scan.py", "tf32")))
            for tf32 in "", "-tf32":
                for variant, name in ("eager", "eager"), ("graph", "CUDA graph"), ("compile", "torch.compile"):
                    found.append(Peer(f"PyTorch {name}, fused Adam{', TF32' if tf32 else ''}",
                                      python("pytorch.py", variant + tf32)))
        else:
            left_out.append("PyTorch and JAX on CUDA: `nvidia-smi -L` finds no GPU here")
    if BURN.exists():
        found.append(burn)
    else:
        left_out.append(f"{burn.name}: not built, `cargo build --release` in benches/burn")
    return found, left_out


def compare(chosen, work, args, left_out):
    """Rows of one network and batch; a side that fails is left out, and the table says so."""
    rows, running = [], []
    try:
        for side in chosen:
            progress(f"{work.layers}, batch {work.batch}: warming up {side.name}")
            try:
                side.start(work)
                running.append((side, Row(side.name)))
            except SideFailed as why:
                left_out.append(f"{side.name}, {work.layers}, batch {work.batch}: {why}")
        rows = [row for _, row in running]
        for turn in range(args.rounds):
            for side, row in list(running):
                progress(f"{work.layers}, batch {work.batch}: round {turn + 1} of {args.rounds}, {side.name}")
                start = time.monotonic()
                try:
                    row.epochs += side.turn(args.epochs_per_turn)
                except SideFailed as why:
                    left_out.append(f"{side.name}, {work.layers}, batch {work.batch}: {why}")
                    running.remove((side, row))
                row.spent += time.monotonic() - start
                if row.spent > args.patience and (side, row) in running:
                    running.remove((side, row))
    finally:
        progress("")
        for side in chosen:
            side.stop()
    return [row for row in rows if row.epochs]


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def main():
    args = arguments()
    threads = len(os.sched_getaffinity(0))
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gpu-train" / "mnist"
    data = mnist(cache)
    given = " ".join(map(shlex.quote, sys.argv[1:]))
    about = machine.describe(args.program, f'make bench-peers ARGS="{given}"' if given else "make bench-peers")
    chosen, left_out = sides(args.device, args.program, machine.has_cuda())
    if args.only:
        chosen = [s for s in chosen if any(word.lower() in s.name.lower() for word in args.only)]
    text = [machine.sentence(about), ""]
    if about["load_average"] > 0.5:
        text[1:1] = ["", "The machine was not idle: seconds are longer, and threads that wait by spinning suffer most."]
    print(*text, sep="\n")
    results, versions, devices = [], {}, {}
    for network in args.networks:
        layers, _, batch = network.partition(":")
        work = Work(layers, int(batch), data, threads, args.max_batches)
        rows = compare(chosen, work, args, left_out)
        reference = next((row for row in rows if row.name.startswith("gpu-train")), None)
        table = [f"**{layers}, batch {batch}**", "", markdown(rows, reference, 1 + args.epochs_per_turn), ""]
        print(*table, sep="\n", flush=True)
        text += table
        results += [{"layers": layers, "batch": int(batch), "side": r.name, "epochs": r.epochs} for r in rows]
        versions |= {side.version: None for side in chosen if side.version}
        devices |= {side.name: side.device for side in chosen if side.device}
    tail = [f"Versions: {'; '.join(versions)}.", *(f"Left out: {line}." for line in left_out)]
    print(*tail, sep="\n")
    if args.markdown:
        args.markdown.write_text("\n".join(text + tail) + "\n")
    if args.json:
        args.json.write_text(json.dumps({"machine": about, "versions": list(versions), "devices": devices,
                                         "left_out": left_out, "results": results}, indent=1) + "\n")
    return 0 if results else 2


if __name__ == "__main__":
    sys.exit(main())

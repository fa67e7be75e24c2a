"""What the Python peers share: options, MNIST and the protocol.

A peer trains one epoch untimed, which compiles whatever it compiles, says `{"ready": ...}`, and then
trains one epoch, waited for, per line `go` on standard input: `{"seconds", "samples", "loss"}`. The end
of the input ends it, so that an idle peer blocks and does not spin.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", required=True, help="such as 784-128-10")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of MNIST's IDX files")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--variant", default="", help="which idiom, where the peer has several")
    parser.add_argument("--max-batches", type=int, default=0, help="batches per timed unit, 0: the epoch")
    opts = parser.parse_args()
    opts.layers = [int(width) for width in opts.layers.split("-")]
    return opts


def training_data(opts):
    """Pixels / 255 [60000, 784] as f32, and labels [60000] as i32."""
    images = np.fromfile(opts.data / "train-images-idx3-ubyte", np.uint8, offset=16)
    labels = np.fromfile(opts.data / "train-labels-idx1-ubyte", np.uint8, offset=8)
    return (images.reshape(len(labels), -1) / np.float32(255)).astype(np.float32), labels.astype(np.int32)


def serve(epoch, **said):
    """`epoch()` trains one, waits for its end and returns the samples trained and their mean loss."""
    epoch()
    answer(ready=True, **said)
    for line in sys.stdin:
        assert line == "go\n", line
        start = time.perf_counter()
        samples, loss = epoch()
        answer(seconds=time.perf_counter() - start, samples=samples, loss=float(loss))


def answer(**said):
    print(json.dumps(said), flush=True)

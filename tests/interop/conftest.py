"""What the checks share: the program, and one trained MNIST model."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("GPU_TRAIN", ROOT / "target" / "release" / "gpu-train"))


def gpu_train(*words):
    """Runs the program with --json: its events. Fails where the program does."""
    command = [PROGRAM, *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def event(events, name):
    found = [e for e in events if e["event"] == name]
    assert len(found) == 1, f"{len(found)} events \"{name}\" of {[e['event'] for e in events]}"
    return found[0]


@pytest.fixture(scope="session")
def mnist_run(tmp_path_factory):
    """A run folder of two epochs on MNIST, with TensorBoard's event files."""
    run = tmp_path_factory.mktemp("mnist") / "run"
    gpu_train("mnist", "--epochs", 2, "--model", "linear:32,gelu,linear:16,leaky-relu",
              "--val-split", 0.1, "--device", "cpu", "--no-compare", "--tensorboard", "--out", run)
    return run

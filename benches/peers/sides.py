"""The sides of a comparison: each trains an epoch when asked, and waits asleep for its next turn."""

import json
import os
import subprocess
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What a machine's set-up says of threads and kernels is not a peer's best.
DROPPED = ("OPENBLAS_", "OMP_", "MKL_", "GOTO_", "NVPL_", "JAX_", "XLA_", "KERAS_", "TORCH")
EPOCH_SECONDS = 600


class SideFailed(Exception):
    pass


def environment():
    kept = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
    quiet = {"PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "NODEVICE_SELECT": "1"}
    return kept | quiet


class Peer:
    """A process that speaks the protocol of peer.py."""

    def __init__(self, name, command, extra=None, threads=None):
        self.name, self.command = name, [str(word) for word in command]
        self.extra, self.threads = extra or {}, threads
        self.process, self.version, self.device = None, "", ""

    def start(self, work):
        command = self.command + ["--layers", work.layers, "--batch", str(work.batch), "--data", str(work.data),
                                  "--threads", str(self.threads or work.threads),
                                  "--max-batches", str(work.max_batches)]
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=self.errors, env=environment() | self.extra, cwd=HERE)
        ready = self.answer()
        self.version, self.device = ready["version"], ready["device"]

    def turn(self, epochs):
        """[{"seconds", "samples", "loss"}], an entry an epoch."""
        return [self.epoch() for _ in range(epochs)]

    def epoch(self):
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.fail("ended")
        return self.answer()

    def answer(self):
        late = threading.Timer(EPOCH_SECONDS, self.process.kill)
        late.start()
        line = self.process.stdout.readline()
        late.cancel()
        return json.loads(line) if line else self.fail(f"ended, or took more than {EPOCH_SECONDS} s")

    def fail(self, what):
        self.stop()
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines()
        raise SideFailed(f"{what}: {said[-1] if said else 'it said nothing'}")

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.process = None


class GpuTrain:
    """The program as users run it: a turn is a run whose first epoch, the warm-up, is not counted."""

    def __init__(self, program, device):
        self.name = f"gpu-train {device}"
        self.program, self.version, self.device, self.which = program, "", "", device

    def start(self, work):
        self.work = work
        self.version = run([self.program, "--version"]).strip()

    def turn(self, epochs):
        hidden = self.work.layers.split("-")[1:-1]
        model = ",".join(f"linear:{width},relu" for width in hidden)
        with tempfile.TemporaryDirectory() as folder:
            lines = run([self.program, "mnist", "--model", model, "--batch", str(self.work.batch),
                         "--opt", "adam", "--lr", "0.001", "--epochs", str(1 + epochs), "--device", self.which,
                         "--no-compare", "--json", "--quiet", "--out", Path(folder) / "run"])
        events = [json.loads(line) for line in lines.splitlines()]
        self.device = next(e["device"] for e in events if e["event"] == "start")
        timed = [e for e in events if e["event"] == "epoch"][1:]
        return [{"seconds": e["seconds"], "samples": 60000, "loss": e["train_loss"]} for e in timed]

    def stop(self):
        pass


def run(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment())
    if done.returncode:
        raise SideFailed(done.stderr.strip() or f"exit code {done.returncode}")
    return done.stdout

"""Event files as TensorBoard's own reader sees them: the numbers of metrics.jsonl, once each."""

import json
import subprocess

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

from conftest import PROGRAM, gpu_train

MEASURES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
TRAIN = ("mnist", "--model", "linear:16,relu", "--val-split", 0.1, "--device", "cpu",
         "--no-compare", "--tensorboard")


def event_files(run):
    return sorted((run / "tensorboard").rglob("events.out.tfevents.*"))


def curves(run):
    """tag: [(step, value)], of every folder under tensorboard/."""
    found = {}
    for folder in {path.parent for path in event_files(run)}:
        reader = EventAccumulator(str(folder), size_guidance={"scalars": 0})
        reader.Reload()
        for tag in reader.Tags()["scalars"]:
            points = [(event.step, event.value) for event in reader.Scalars(tag)]
            found[f"{folder.name}/{tag}"] = points
    return found


def same_as_metrics(run, epochs):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == epochs
    drawn = curves(run)
    for tag, points in drawn.items():
        steps = [step for step, _ in points]
        assert steps == sorted(set(steps)), f"{tag}: {steps}"
    for measure in MEASURES:
        want = np.float32([line[measure] for line in lines])
        found = [tag for tag, points in drawn.items()
                 if np.array_equal(np.float32([value for _, value in points]), want)]
        assert found, f"no curve has the values of {measure}, {want}: {drawn}"


def test_every_record_is_whole(mnist_run):
    files = event_files(mnist_run)
    assert len(files) >= 1
    for path in files:
        # The reader checks both checksums of every record.
        records = list(RawEventFileLoader(str(path), detect_file_replacement=False).Load())
        assert len(records) >= 4
        assert path.stat().st_size == sum(16 + len(record) for record in records)


def test_curves(mnist_run):
    same_as_metrics(mnist_run, 2)


def test_a_resumed_run_draws_each_epoch_once(tmp_path):
    run = tmp_path / "run"
    command = [PROGRAM, *map(str, TRAIN), "--epochs", "4", "--out", run, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as training:
        epochs = 0
        for line in training.stdout:
            epochs += json.loads(line)["event"] == "epoch"
            if epochs == 2:
                training.kill()
                break
    assert epochs == 2 and training.wait() != 0
    before = set(event_files(run))
    gpu_train("mnist", "--resume", run, "--device", "cpu", "--no-compare", "--tensorboard")
    assert set(event_files(run)) > before, "a resumed run opens files of its own"
    same_as_metrics(run, 4)

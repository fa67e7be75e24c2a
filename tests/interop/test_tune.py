"""`gpu-train tune` beside Python's Optuna: workers of both on one study, a worker that is killed, and a
study that Optuna and its dashboard read."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from conftest import PROGRAM, event, gpu_train
from optuna.trial import TrialState
from test_storage import finish, new_url, server, storage_of  # noqa: F401 (fixtures)

TRIALS = 40
SPACE = ["--space", "lr=log:1e-3..1e-1", "--space", "dropout=0..0.5", "--space", "opt=sgd|adam"]


def command(url, *words):
    return [PROGRAM, "tune", "synthetic:moons:2000", "--device", "cpu", "--storage", url, "--study", "shared",
            "--model", "linear:32,relu,dropout:0.1", "--batch", "8", "--json", "--quiet",
            "--heartbeat", "1", *SPACE, *map(str, words)]


def worker(url, out, *words):
    """A worker of ours, as a running process."""
    return subprocess.Popen(command(url, "--out", out, *words), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def hear(worker, kind):
    """Reads what a worker of ours says until an event of that kind."""
    for line in worker.stdout:
        if json.loads(line)["event"] == kind:
            return
    pytest.fail(f"no {kind}: {worker.stderr.read()}")


def python_worker(url, n):
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_tune; "
    code += f"test_tune.work({url!r}, {n})"
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def work(url, n):
    """What a worker in Python does: the same space, and made-up values."""
    def objective(trial):
        lr = trial.suggest_float("lr", 1e-3, 1e-1, log=True)
        trial.suggest_float("dropout", 0, 0.5)
        trial.suggest_categorical("opt", ["sgd", "adam"])
        trial.set_user_attr("by", "python")
        trial.report(lr, 1)
        time.sleep(0.02)
        return lr

    heartbeat = {} if url.startswith("journal:") else {"heartbeat_interval": 1, "grace_period": 30}
    study = optuna.create_study(study_name="shared", direction="maximize", load_if_exists=True,
                                storage=storage_of(url, **heartbeat))
    study.optimize(objective, n_trials=n)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "journal"])
def test_two_workers_of_each_share_a_study(kind, new_url, tmp_path):  # noqa: F811
    url = new_url(kind)
    optuna.create_study(study_name="shared", direction="maximize", storage=storage_of(url))
    ours = [worker(url, tmp_path / f"w{k}", "--trials", TRIALS, "--epochs", 2) for k in range(2)]
    theirs = [python_worker(url, 8) for _ in range(2)]
    finish(ours + theirs)
    trials = optuna.load_study(study_name="shared", storage=storage_of(url)).get_trials()
    assert [t.number for t in trials] == list(range(len(trials)))
    # Those in Python come on top where ours are done first; two that ask at the same moment may both
    # begin the last one.
    assert TRIALS <= len(trials) <= TRIALS + 16 + 2
    assert all(t.state.is_finished() for t in trials)
    python = [t for t in trials if t.user_attrs.get("by") == "python"]
    assert len(python) == 16
    for trial in trials:
        if trial in python:
            continue
        assert trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        assert trial.params.keys() == {"lr", "dropout", "opt"}
        assert trial.intermediate_values
        if trial.state == TrialState.COMPLETE:
            assert trial.value == max(trial.intermediate_values.values())
            assert "lr = " in trial.user_attrs["config"]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_a_killed_worker_had_is_tried_again(kind, new_url, tmp_path):  # noqa: F811
    url = new_url(kind)
    first = worker(url, tmp_path / "killed", "--trials", 8, "--epochs", 2000, "--pruner", "none")
    hear(first, "trial_epoch")
    first.kill()
    first.wait()
    study = optuna.load_study(study_name="shared", storage=storage_of(url))
    lost = [t for t in study.get_trials() if t.state == TrialState.RUNNING]
    assert lost
    # SQLite counts whole seconds.
    time.sleep(4)
    finish([worker(url, tmp_path / "next", "--trials", 8, "--epochs", 1, "--pruner", "none")])
    trials = study.get_trials()
    assert [t.number for t in trials] == list(range(8 + len(lost)))
    for trial in lost:
        assert trials[trial.number].state == TrialState.FAIL
        again = [t for t in trials if t.system_attrs.get("failed_trial") == trial.number]
        assert len(again) == 1 and again[0].state == TrialState.COMPLETE
        assert again[0].params == trial.params


def test_an_outage_makes_nobody_dead(server, tmp_path):  # noqa: F811
    url = server.new_database()
    options = ["--trials", 30, "--population", 1, "--pruner", "none", "--sampler", "random"]
    slow = worker(url, tmp_path / "slow", *options, "--epochs", 1500)
    hear(slow, "trial_epoch")
    quick = worker(url, tmp_path / "quick", *options, "--epochs", 20)
    hear(quick, "trial_epoch")
    # Twice as long as a worker may be silent, and the one is back before the other.
    slow.send_signal(signal.SIGSTOP)
    server.stop()
    time.sleep(6)
    server.start()
    for _ in range(50):
        hear(quick, "trial_epoch")
    slow.send_signal(signal.SIGCONT)
    said = [each.communicate(timeout=300) for each in (slow, quick)]
    assert [slow.returncode, quick.returncode] == [0, 0], said
    assert all("trying again" in complaint for _, complaint in said)
    trials = optuna.load_study(study_name="shared", storage=storage_of(url)).get_trials()
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 30
    assert len(trials[0].intermediate_values) == 1500


def test_optuna_reads_a_study_as_it_was(tmp_path):
    out = tmp_path / "study"
    events = gpu_train("tune", "synthetic:moons:600", "--device", "cpu", "--epochs", 3, "--trials", 20,
                       "--batch", 32, "--out", out, "--quiet")
    result = event(events, "result")
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{out}/study.db")
    assert study.best_trial.number == result["best_trial"]
    assert study.best_value == result["best_value"]
    ours = json.loads((out / "trials.json").read_text())["trials"]
    for mine, trial in zip(ours, study.get_trials(), strict=True):
        assert mine["state"] == trial.state.name
        assert mine["params"] == trial.params
        assert mine["values"] == (trial.values or [])
        assert {int(k): v for k, v in mine["intermediate"].items()} == trial.intermediate_values
        assert mine["user_attrs"].keys() == trial.user_attrs.keys()
    importances = optuna.importance.get_param_importances(study)
    assert set(importances) <= {"lr", "opt", "weight-decay", "width", "depth", "dropout"}
    # It goes on in Python with the same distributions.
    trial = study.ask(study.trials[0].distributions)
    study.tell(trial, 0.5)
    assert study.trials[-1].number == 20

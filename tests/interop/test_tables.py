"""scikit-learn's tables: gpu-train learns them as well as scikit-learn's own MLP, and says of its
predictions what scikit-learn's metrics say.

Both train the same network with the same optimiser on the same splits, REPEATS of them, each with
a seed of its own. Two equally good trainers differ by noise, from the initial weights (scikit-learn
draws them otherwise) and the order of the samples; the differences split by split say how large it
is. The mean difference may not fall below what noise alone would show in one of a thousand such
tests: the 0.999 quantile of Student's t times the standard error. Accuracies are counts of a few
dozen test samples, and agree in most splits, so half a sample is added for their steps. Training ends
before the networks fit the training part by heart, where the form of the output matters (scikit-learn
has one logistic output for two classes, gpu-train a softmax over both).
"""

import csv
import math
import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import datasets, metrics
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from conftest import event, gpu_train

REPEATS = 12
EPOCHS, BATCH, RATE, WIDTH = 30, 16, 0.003, 32

TABLES = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
}


class Table:
    """One data set, split by `seed`, with the two parts as CSV files."""

    def __init__(self, name, seed, folder):
        data = TABLES[name]()
        self.is_regression = name == "diabetes"
        x, y = data.data, data.target
        if not self.is_regression:
            y = np.array([str(data.target_names[k]) for k in y])
        self.columns = [str(column) for column in data.feature_names]
        parts = train_test_split(x, y, test_size=0.3, random_state=seed,
                                 stratify=None if self.is_regression else y)
        self.x_train, self.x_test, self.y_train, self.y_test = parts
        self.train, self.test = folder / f"{name}-{seed}.csv", folder / f"{name}-{seed}-test.csv"
        self.write(self.train, self.x_train, self.y_train)
        self.write(self.test, self.x_test, self.y_test)

    def write(self, path, x, y):
        with open(path, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow([*self.columns, "target"])
            rows.writerows([*map(repr, map(float, row)), target] for row, target in zip(x, y))

    def score_of_sklearn(self, seed):
        """Accuracy or R^2 of scikit-learn's MLP on the test part."""
        scaler = StandardScaler().fit(self.x_train)
        common = dict(hidden_layer_sizes=(WIDTH,), solver="adam", alpha=0.0, batch_size=BATCH,
                      learning_rate_init=RATE, max_iter=EPOCHS, n_iter_no_change=EPOCHS,
                      random_state=seed)
        x, x_test = scaler.transform(self.x_train), scaler.transform(self.x_test)
        with warnings.catch_warnings():
            # It is told to train for EPOCHS and not until it converges.
            warnings.simplefilter("ignore", ConvergenceWarning)
            if not self.is_regression:
                return MLPClassifier(**common).fit(x, self.y_train).score(x_test, self.y_test)
            mean, deviation = self.y_train.mean(), self.y_train.std()
            model = MLPRegressor(**common).fit(x, (self.y_train - mean) / deviation)
            return metrics.r2_score(self.y_test, model.predict(x_test) * deviation + mean)

    def train_here(self, run, seed):
        """Trains with gpu-train; the result event."""
        events = gpu_train(
            "train", self.train, "--test", self.test, "--target", "target", "--normalize",
            "standard", "--model", f"linear:{WIDTH},relu", "--opt", "adam", "--lr", RATE, "--batch",
            BATCH, "--epochs", EPOCHS, "--seed", seed, "--device", "cpu", "--no-compare",
            "--out", run)
        return event(events, "result")

    def evaluate_here(self, run):
        return event(gpu_train("eval", run, self.test), "eval")


@pytest.mark.parametrize("name", TABLES)
def test_as_good_as_sklearn(name, tmp_path):
    here, there = [], []
    for seed in range(REPEATS):
        table = Table(name, seed, tmp_path)
        run = tmp_path / f"run-{seed}"
        table.train_here(run, seed)
        said = table.evaluate_here(run)
        here.append(said["r2" if table.is_regression else "accuracy"])
        there.append(table.score_of_sklearn(seed))
    differences = np.subtract(here, there)
    error = differences.std(ddof=1) / math.sqrt(REPEATS)
    margin = stats.t.ppf(0.999, REPEATS - 1) * error
    if not table.is_regression:
        margin += 0.5 / len(table.y_test)
    print(f"{name}: gpu-train {np.mean(here):.4f}, scikit-learn {np.mean(there):.4f}, "
          f"mean difference {differences.mean():+.4f}, margin {margin:.4f}")
    assert differences.mean() >= -margin, f"here {here}, scikit-learn {there}"


def predictions(run, table):
    """The rows that `gpu-train predict` writes for the test part, by column name."""
    out = run / "predictions.csv"
    gpu_train("predict", run, table.test, "--out", out)
    with open(out, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", [name for name in TABLES if name != "diabetes"])
def test_class_metrics_are_those_of_sklearn(name, tmp_path):
    table = Table(name, 0, tmp_path)
    run = tmp_path / "run"
    table.train_here(run, 0)
    said = table.evaluate_here(run)
    rows = predictions(run, table)
    assert len(rows) == len(table.y_test)
    predicted = [row["class"] for row in rows]
    names = [c["class"] for c in said["classes"]]
    assert sorted(names) == sorted(set(table.y_train))

    close = dict(rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(said["accuracy"], metrics.accuracy_score(table.y_test, predicted),
                               **close)
    assert np.array_equal(said["confusion"],
                          metrics.confusion_matrix(table.y_test, predicted, labels=names))
    of_each = metrics.precision_recall_fscore_support(table.y_test, predicted, labels=names,
                                                      zero_division=0)
    for key, want in zip(("precision", "recall", "f1", "support"), of_each):
        np.testing.assert_allclose([c[key] for c in said["classes"]], want, **close)
    for average in ("macro", "micro", "weighted"):
        want = metrics.precision_recall_fscore_support(
            table.y_test, predicted, labels=names, average=average, zero_division=0)
        for key, number in zip(("precision", "recall", "f1"), want):
            np.testing.assert_allclose(said[average][key], number, **close)
    probabilities = np.array([[float(row[c]) for c in names] for row in rows])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    loss = metrics.log_loss(table.y_test, probabilities, labels=names)
    np.testing.assert_allclose(said["loss"], loss, rtol=1e-5)
    if len(names) == 2:
        auc = metrics.roc_auc_score(table.y_test == names[1], probabilities[:, 1])
        np.testing.assert_allclose(said["roc_auc"], auc, **close)


def test_regression_metrics_are_those_of_sklearn(tmp_path):
    table = Table("diabetes", 0, tmp_path)
    run = tmp_path / "run"
    table.train_here(run, 0)
    said = table.evaluate_here(run)
    rows = predictions(run, table)
    assert len(rows) == len(table.y_test)
    predicted = [float(row["target"]) for row in rows]
    close = dict(rtol=1e-6)
    np.testing.assert_allclose(said["mse"], metrics.mean_squared_error(table.y_test, predicted), **close)
    np.testing.assert_allclose(said["rmse"],
                               metrics.root_mean_squared_error(table.y_test, predicted), **close)
    np.testing.assert_allclose(said["mae"], metrics.mean_absolute_error(table.y_test, predicted), **close)
    np.testing.assert_allclose(said["r2"], metrics.r2_score(table.y_test, predicted), **close)

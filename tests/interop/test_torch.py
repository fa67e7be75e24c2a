"""A model file, taken by torch.nn.Sequential as it is, gives what `gpu-train eval` says."""

import json

import numpy as np
import torch
from safetensors import safe_open
from torch import nn

import mnist
from conftest import event, gpu_train

ACTIVATIONS = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "leaky-relu": nn.LeakyReLU,
}


def sequential(info, inputs, outputs):
    """The torch twin of a layer notation, the output layer appended."""
    layers, width = [], inputs
    for word in info["architecture"].split(","):
        name, _, size = word.partition(":")
        if name == "linear":
            layers.append(nn.Linear(width, int(size)))
            width = int(size)
        else:
            layers.append(ACTIVATIONS[name]())
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def test_load_state_dict(mnist_run):
    with safe_open(mnist_run / "model.safetensors", "pt") as file:
        info = json.loads(file.metadata()["gpu-train"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    model = sequential(info, 28 * 28, 10)
    model.load_state_dict(tensors, strict=True)
    images, labels = mnist.test_part()
    pixels = torch.tensor(images.reshape(len(images), -1).astype(np.float64))
    labels = torch.tensor(labels.astype(np.int64))
    with torch.no_grad():
        outputs = model.double()(pixels / 255)
        losses = nn.functional.cross_entropy(outputs, labels, reduction="none")
    predictions = outputs.argmax(dim=1)

    said = event(gpu_train("eval", mnist_run), "eval")
    assert said["samples"] == len(labels)
    # float32 against float64: a loss passes through three products of at most 784 terms, whose
    # errors grow as the root of that, 28 u = 2e-6 of the sums; the mean's are smaller.
    np.testing.assert_allclose(said["loss"], losses.mean().item(), rtol=1e-5)
    # A prediction can differ only where the two largest outputs are that close.
    top = outputs.topk(2, dim=1).values
    close = int(((top[:, 0] - top[:, 1]) < 1e-5 * top[:, 0].abs().clamp(min=1)).sum())
    right = int((predictions == labels).sum())
    assert abs(said["accuracy"] * len(labels) - right) <= close + 1e-6
    assert close < 5
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels.numpy(), predictions.numpy()), 1)
    assert np.abs(np.array(said["confusion"]) - counts).sum() <= 2 * close
    assert right > 9000, "the model has learnt something, so that equal numbers mean something"

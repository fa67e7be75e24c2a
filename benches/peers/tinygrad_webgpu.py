"""tinygrad on its WEBGPU back end (Dawn, from dawn-python): the whole step in one TinyJit.

A batch is gathered in host memory and handed over: a gather on the device is slower by a half, and the
images as f32, 188 MB, pass the 128 MiB that a WebGPU binding may hold by default. The last short batch
of an epoch is dropped: a second shape would be a second capture.
"""

import os
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

# dawn-python ships Dawn's library under a name that tinygrad does not look for.
folder = Path(find_spec("pydawn").origin).parent / "lib"
os.environ["WEBGPU_PATH"] = str(folder / f"libwebgpu_dawn_{os.uname().machine}.so")
os.environ["DEV"] = "WEBGPU"

import numpy as np  # noqa: E402
from tinygrad import Context, Device, Tensor, TinyJit, nn  # noqa: E402

import peer  # noqa: E402


class Mlp:
    def __init__(self, layers):
        self.layers = [nn.Linear(n_in, n_out) for n_in, n_out in zip(layers, layers[1:])]

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)


def main():
    opts = peer.options()
    Tensor.manual_seed(0)
    images, labels = peer.training_data(opts)
    model = Mlp(opts.layers)
    optimizer = nn.optim.Adam(nn.state.get_parameters(model), lr=1e-3, eps=1e-8)
    total = Tensor.zeros(1).contiguous().realize()
    batches = len(images) // opts.batch
    batches = min(batches, opts.max_batches or batches)
    rng = np.random.default_rng(0)

    @TinyJit
    def step(x, y):
        optimizer.zero_grad()
        loss = model(x).sparse_categorical_crossentropy(y).backward()
        total.assign(total + loss.detach())
        Tensor.realize(total, *optimizer.schedule_step())

    def epoch():
        total.assign(Tensor.zeros(1)).realize()
        order = rng.permutation(len(images))[:batches * opts.batch]
        for rows in order.reshape(batches, -1):
            step(Tensor(images[rows]).realize(), Tensor(labels[rows]).realize())
        loss = total.item() / batches
        Device[Device.DEFAULT].synchronize()
        return batches * opts.batch, loss

    with Context(TRAINING=1):
        peer.serve(epoch, version=f"tinygrad {version('tinygrad')}, dawn-python {version('dawn-python')}",
                   device=Device.DEFAULT)


main()

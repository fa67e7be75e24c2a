"""PyTorch: data and index lists as resident tensors, no DataLoader, Adam in its fused kernel.

Variants: eager; compile (torch.compile of gather, forward and loss, which compiles the backward too);
graph (CUDA: the whole step captured once and replayed). TF32 only with `-tf32` behind the variant.
"""

import torch
from torch import nn

import peer


def sequential(layers):
    modules = []
    for n_in, n_out in zip(layers, layers[1:]):
        modules += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def captured(step, rows, optimizer):
    """The step on static index lists, as a CUDA graph: replayed with other rows."""
    static = rows.clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step(static)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        step(static)

    def replay(rows):
        static.copy_(rows)
        graph.replay()

    return replay


def main():
    opts = peer.options()
    variant, _, tf32 = opts.variant.partition("-")
    torch.set_num_threads(opts.threads)
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images, labels = peer.training_data(opts)
    x = torch.from_numpy(images).to(device)
    y = torch.from_numpy(labels).long().to(device)
    model = sequential(opts.layers).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True, capturable=variant == "graph")
    total = torch.zeros((), device=device)

    def batch_loss(rows):
        return nn.functional.cross_entropy(model(x[rows]), y[rows])

    if variant == "compile":
        batch_loss = torch.compile(batch_loss, dynamic=False)

    def step(rows):
        optimizer.zero_grad(set_to_none=True)
        loss = batch_loss(rows)
        loss.backward()
        optimizer.step()
        total.add_(loss.detach(), alpha=len(rows))

    steps = {}

    def step_for(rows):
        if variant != "graph":
            return step
        if len(rows) not in steps:
            steps[len(rows)] = captured(step, rows, optimizer)
        return steps[len(rows)]

    def epoch():
        total.zero_()
        for rows in torch.randperm(len(x), device=device).split(opts.batch):
            step_for(rows)(rows)
        return len(x), total.item() / len(x)

    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    peer.serve(epoch, version=f"PyTorch {torch.__version__}", device=name)


main()

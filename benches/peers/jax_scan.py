"""JAX: every gather and step and the short last batch of an epoch in one jitted call, state donated.

The shuffle is numpy's: jax.random.permutation sorts, which on a CPU takes longer.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import peer

LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8


def initial(key, layers):
    """[(weight [in, out], bias [out])], uniform(-1/sqrt(in), 1/sqrt(in))."""
    params = []
    for n_in, n_out in zip(layers, layers[1:]):
        key, k_weight, k_bias = jax.random.split(key, 3)
        bound = n_in**-0.5
        params.append((jax.random.uniform(k_weight, (n_in, n_out), minval=-bound, maxval=bound),
                       jax.random.uniform(k_bias, (n_out,), minval=-bound, maxval=bound)))
    return params


def mean_loss(params, x, y):
    for weight, bias in params[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    weight, bias = params[-1]
    log_p = jax.nn.log_softmax(x @ weight + bias)
    return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()


def adam(params, grads, m, v, t):
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, grads)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, grads)
    rate, root = LR / (1 - BETA1**t), (1 - BETA2**t) ** -0.5
    params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) * root + EPS), params, m, v)
    return params, m, v


@partial(jax.jit, static_argnames="batch", donate_argnums=0)
def epoch(state, order, x, y, batch):
    n = len(x)

    def step(state, rows):
        params, m, v, t = state
        loss, grads = jax.value_and_grad(mean_loss)(params, x[rows], y[rows])
        return (*adam(params, grads, m, v, t + 1), t + 1), loss * len(rows)

    whole = n // batch * batch
    state, losses = jax.lax.scan(step, state, order[:whole].reshape(-1, batch))
    total = losses.sum()
    if whole < n:
        state, last = step(state, order[whole:])
        total += last
    return state, total / n


def main():
    opts = peer.options()
    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if opts.variant == "tf32" else "highest")
    x, y = map(jax.device_put, peer.training_data(opts))
    rng = np.random.default_rng(0)
    params = initial(jax.random.key(0), opts.layers)
    zeros = [jax.tree.map(jnp.zeros_like, params) for _ in range(2)]
    state = (params, *zeros, jnp.float32(0))

    def one_epoch():
        nonlocal state
        state, loss = epoch(state, rng.permutation(len(x)).astype(np.int32), x, y, opts.batch)
        jax.block_until_ready(state)
        return len(x), loss

    device, = x.devices()
    peer.serve(one_epoch, version=f"JAX {jax.__version__}", device=f"{device.device_kind}")


main()

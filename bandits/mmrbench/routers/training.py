"""Minibatch training of the neural routers: AdamW on a masked squared error, compiled as one scan."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bandits import require, threefry
from bandits.late import jax, jnp, optax
from bandits.mmrbench.routers.base import Fit, Floats, Predict

Params = Any  # a pytree of arrays

# `(params, context (b, d), key or None) -> (2, b, K)`: utility and cost. A key switches dropout on.
Forward = Callable[[Params, "jax.Array", "jax.Array | None"], "jax.Array"]

# `(key, d, K) -> params`
Initial = Callable[["jax.Array", int, int], Params]


class Schedule(NamedTuple):
    """Passes over the training queries, queries a step, and the numbers of AdamW."""

    epochs: int
    batch: int
    lr: float
    decay: float = 0.0


def network(name: str, initial: Initial, forward: Forward, schedule: Schedule, seed: int) -> Fit:
    """Return a router that trains a network to predict utility and cost at once.

    Costs are learned in units of the dearest model's mean cost over the training queries, so that the cost unit
    of a table does not matter (the published code learns them as they are).

    Args:
        name: of the router, for messages.
        initial: makes the parameters.
        forward: a function of a module: its identity keeps what was compiled.
        schedule: of the training.
        seed: of parameters, minibatches and dropout.

    Raises:
        ValueError: a number of the schedule out of its range.
    """
    require.whole(name, 1, epochs=schedule.epochs, batch=schedule.batch)
    require.above(name, 0, lr=schedule.lr)
    require.whole(name, 0, seed=seed)

    def fit(context: Floats, utility: Floats, cost: Floats) -> Predict:
        seen = ~np.isnan(cost)
        scale = float((np.where(seen, cost, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)).max()) or 1.0
        target = jnp.asarray(np.stack([utility, cost / scale], axis=1), jnp.float32)
        start, drawn = jax.random.split(threefry.key(seed))
        params = initial(start, context.shape[1], utility.shape[1])
        data = jnp.asarray(context, jnp.float32), target
        passes = schedule.epochs, min(schedule.batch, len(context))
        params = _train(forward, passes, params, data, drawn, (schedule.lr, schedule.decay))

        def predict(context: Floats) -> tuple[Floats, Floats]:
            told = np.asarray(_ask(forward, params, jnp.asarray(context, jnp.float32)), np.float64)
            return told[0], told[1] * scale

        return predict

    return fit


@partial(jax.jit, static_argnums=0)
def _ask(forward: Forward, params: Params, context: jax.Array) -> jax.Array:
    return forward(params, context, None)


@partial(jax.jit, static_argnums=(0, 1))
def _train(
    forward: Forward,
    passes: tuple[int, int],
    params: Params,
    data: tuple[jax.Array, jax.Array],
    key: jax.Array,
    rates: tuple[float, float],
) -> Params:
    """Return the trained parameters; every pass has a fresh random order, and its last batch may be short.

    Args:
        forward: the network.
        passes: epochs, and queries a step.
        params: to start from.
        data: context `(n, d)` and target `(n, 2, K)`, NaN where missing.
        key: of orders and dropout.
        rates: learning rate and weight decay.
    """

    optimiser = optax.adamw(rates[0], weight_decay=rates[1])
    (epochs, batch), (context, target) = passes, data
    n = len(context)
    steps = -(-n // batch)
    live = (jnp.arange(steps * batch) < n).reshape(steps, batch)

    def step(carry: tuple[Params, Any], inputs: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[Any, None]:
        params, moments = carry
        rows, counted, key = inputs
        wanted = jnp.swapaxes(jnp.where(counted[:, None, None], target[rows], jnp.nan), 0, 1)
        gradient = jax.grad(lambda p: _loss(forward(p, context[rows], key), wanted))(params)
        updates, moments = optimiser.update(gradient, moments, params)
        return (optax.apply_updates(params, updates), moments), None

    def epoch(carry: tuple[Params, Any], key: jax.Array) -> tuple[Any, None]:
        of_order, of_steps = jax.random.split(key)
        order = jax.random.permutation(of_order, n)
        rows = jnp.pad(order, (0, steps * batch - n)).reshape(steps, batch)
        return jax.lax.scan(step, carry, (rows, live, jax.random.split(of_steps, steps)))

    (params, _), _ = jax.lax.scan(epoch, (params, optimiser.init(params)), jax.random.split(key, epochs))
    return params


def _loss(predicted: jax.Array, wanted: jax.Array) -> jax.Array:
    """Return the mean squared error of utility plus that of cost, over entries of `(2, b, K)` that are not NaN."""
    seen = ~jnp.isnan(wanted)
    error = jnp.where(seen, predicted - jnp.where(seen, wanted, 0.0), 0.0)
    return ((error**2).sum(axis=(1, 2)) / jnp.maximum(seen.sum(axis=(1, 2)), 1)).sum()

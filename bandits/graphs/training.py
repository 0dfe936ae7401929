"""M3 trained on labels as released: Adam 0.01, batches of 64, 10 epochs, the best by validation (`code/run_m3.py`)."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import threefry
from bandits.graphs.network import Batch, Weights, cce, first_weights, logits, names
from bandits.late import jax, jnp, optax
from envs.graphs.tasks import Tasks

Floats = NDArray[np.float64]
BATCH, EPOCHS, RATE = 64, 10, 0.01
ROUND = 32  # to a multiple of which places are rounded up
STEP, FADE = 100, 0.6  # the rate is multiplied by FADE every STEP batches


class Fitted(NamedTuple):
    """A network, the epoch (from 1) that validation chose, and its validation SER."""

    weights: Weights
    epoch: int
    valid: float


def labels(tasks: Tasks) -> Floats:
    """Return `(T, A)` labels, NaN where an assignment was not tried."""
    return np.asarray(tasks.success.reshape(len(tasks), -1), np.float64)


def masked(label: Floats, ratio: float, seed: int) -> Floats:
    """Return labels of which a share is missing, each by itself at random, as the release's missing choices."""
    drawn = np.random.default_rng([seed, 21]).random(label.shape)
    return np.where(drawn < ratio, np.nan, label)


def fit(
    train: Tasks, valid: Tasks, label: Floats, *, epochs: int = EPOCHS, seed: int = 0, rate: float = RATE
) -> Fitted:
    """Return the network of the epoch with the highest validation SER, the first of equal ones.

    Args:
        train, valid: queries to learn from and to choose the epoch by.
        label: `(T, A)` of `train`, NaN where missing.
        epochs: passes over `train`, >= 1.
        seed: of the first weights and of the batches.
        rate: of Adam at first.
    """

    weights = first_weights(threefry.key(seed), len(train.vqa), len(train.loc), train.text.shape[1])
    moments: optax.OptState = _adam(rate).init(weights)
    rows, rng = jnp.asarray(names(len(train.vqa), len(train.loc))), np.random.default_rng([seed, 22])
    best = Fitted(weights, 0, -1.0)
    for epoch in range(1, epochs + 1):
        at = _batches(rng.permutation(len(train)))
        data, wanted = packed(train, at), jnp.asarray(label[at], jnp.float32)
        weights, moments = _epoch(rate, weights, moments, rows, data, wanted, jnp.asarray(at >= 0))
        found = ser(valid, predicted(weights, valid))
        if found > best.valid:
            best = Fitted(weights, epoch, found)
    return best


def predicted(weights: Weights, tasks: Tasks) -> NDArray[np.int64]:
    """Return `(T,)` the assignment of the highest logit."""
    rows = jnp.asarray(names(len(tasks.vqa), len(tasks.loc)))
    found = _best(weights, rows, packed(tasks, _batches(np.arange(len(tasks)))))
    return np.asarray(found).ravel()[: len(tasks)].astype(np.int64)


def ser(tasks: Tasks, assignment: NDArray[np.int64]) -> float:
    """Return the success execution rate: the share of queries whose assignment `(T,)` succeeds."""
    return float(succeeds(tasks, assignment).mean())


def succeeds(tasks: Tasks, assignment: NDArray[np.int64]) -> Floats:
    """Return `(T,)` whether each query's assignment succeeds; one that was not tried did not."""
    return np.nan_to_num(labels(tasks)[np.arange(len(tasks)), assignment])


def packed(tasks: Tasks, at: NDArray[np.int64]) -> Batch:
    """Return batches `(batches, B)` of rows for the network, a leading axis for the batches; -1 stands for row 0.

    Places for nodes and edges are the most that a batch needs, rounded up, so that few programs are compiled.
    """
    kind, edge = tasks.shape.kind[at], tasks.shape.edge[at] | np.eye(tasks.shape.kind.shape[1], dtype=bool)
    there = kind > 0
    edge = edge & there[:, :, :, None]
    places, links = (
        -(-int(part.reshape(len(at), -1).sum(axis=1).max()) // ROUND) * ROUND for part in (there, edge)
    )
    empty = np.zeros((len(at), places), np.int32), np.full((len(at), places), at.shape[1], np.int32)
    ends = np.zeros((len(at), links), np.int32), np.full((len(at), links), places, np.int32)
    for b in range(len(at)):
        query, node = np.nonzero(there[b])
        number = np.zeros(there[b].shape, np.int32)
        number[query, node] = np.arange(len(query))
        empty[0][b, : len(query)], empty[1][b, : len(query)] = kind[b][query, node], query
        of, to, source = np.nonzero(edge[b])
        ends[0][b, : len(of)], ends[1][b, : len(of)] = number[of, source], number[of, to]
    return Batch(*(jnp.asarray(a) for a in (tasks.text[at], tasks.image[at], *empty, *ends)))


def _batches(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `(batches, BATCH)` rows, -1 where the last batch has ended."""
    return np.concatenate([order, np.full(-len(order) % BATCH, -1)]).reshape(-1, BATCH)


def _adam(rate: float) -> Any:

    return optax.adam(optax.exponential_decay(rate, STEP, FADE, staircase=True))


@partial(jax.jit, static_argnums=0)
def _epoch(
    rate: float,
    weights: Weights,
    moments: Any,
    rows: jax.Array,
    data: Batch,
    label: jax.Array,
    real: jax.Array,
) -> tuple[Weights, Any]:

    adam = _adam(rate)

    def loss(weights: Weights, batch: Batch, label: jax.Array, real: jax.Array) -> jax.Array:
        return jnp.where(real, cce(logits(weights, rows, batch), label), 0.0).sum() / real.sum()

    def step(carry: Any, one: Any) -> tuple[Any, None]:
        weights, moments = carry
        change, moments = adam.update(jax.grad(loss)(weights, *one), moments)
        return (optax.apply_updates(weights, change), moments), None

    trained, _ = jax.lax.scan(step, (weights, moments), (data, label, real))
    return trained


@jax.jit
def _best(weights: Weights, rows: jax.Array, data: Batch) -> jax.Array:
    found: jax.Array = jax.lax.map(lambda batch: logits(weights, rows, batch).argmax(axis=1), data)
    return found

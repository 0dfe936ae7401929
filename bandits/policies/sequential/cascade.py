"""A cascade: a chain of models, each but the last with the score at which its answer will do."""

from __future__ import annotations

import math

from bandits import require
from bandits.base import Feedback, Observation, Policy
from bandits.late import jax, jnp

STOP = -1  # as `envs.calls.STOP`


def cascade(n_arms: int, dim: int, *, order: tuple[int, ...], thresholds: str | float = "") -> Policy:
    """Call models in order until the judge's score of the latest answer reaches its threshold.

    A model that cannot be called is left out, with its threshold; where none of the order can, the first model that
    can be called is.

    Args:
        n_arms: `K`.
        dim: `d`, not used.
        order: arms in the order of their calls; on the command line their names, as in `order=a>b>c`.
        thresholds: a probability for each model but the last, as in `0.9>0.7`.

    Raises:
        ValueError: an arm named twice or that is none, another number of thresholds, or one that is no number.
    """
    del dim
    for arm in order:
        require.within("cascade", 0, n_arms - 1, order=arm)
    if len(order) != len(set(order)) or not order:
        raise ValueError(f"cascade needs an order that names each model once, got {len(order)} models")
    at = _numbers(str(thresholds))
    if len(at) != len(order) - 1:
        raise ValueError(
            f"cascade of {len(order)} models needs {len(order) - 1} thresholds, as in thresholds=0.9>0.7, got {len(at)}"
        )
    chain, needed = jnp.asarray(order, jnp.int32), jnp.asarray([*at, -jnp.inf], jnp.float32)

    def act(key: jax.Array, state: jax.Array, seen: Observation) -> jax.Array:
        del key, state
        open_ = seen.available[chain]
        then = chain[open_.argmax()]
        first = jnp.where(open_.any(), then, seen.available.argmax()).astype(jnp.int32)
        if seen.asked is None or seen.heard is None:
            return first
        will_do = ((seen.heard[chain] >= needed) & seen.asked[chain]).any()
        going = ~will_do & open_.any()
        return jnp.where(seen.asked.any(), jnp.where(going, then, STOP), first).astype(jnp.int32)

    def update(
        key: jax.Array, state: jax.Array, seen: Observation, arm: jax.Array, heard: Feedback
    ) -> jax.Array:
        del key, seen, arm, heard
        return state

    return Policy(lambda key: jnp.zeros((), jnp.int32), act, update, again=True)


def _numbers(text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(">") if part.strip()]
    except ValueError:
        found = [math.nan]
    if any(math.isnan(number) for number in found):
        raise ValueError(f"cascade needs thresholds that are numbers, as in 0.9>0.7, got {text!r}")
    return found

"""What the context-free policies keep: pulls and mean reward of each arm, with rewards brought to [0, 1].

The theory of these policies needs rewards in [0, 1]; a reward here is a utility in [0, 1] less a weighted cost.
A run gives them the range of its own rewards, from the least to the highest of its table, so that nothing is clipped.
The default range [-0.2, 1], for a policy built by itself, is that of the linear reward at the default preference 0.2
for calls that cost up to the mean of the dearest model; a range too wide is safe but explores more.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from bandits.late import begun, jax, jnp

LOW, HIGH = -0.2, 1.0


class Counts(NamedTuple):
    """How often each arm was pulled and what it gave.

    Attributes:
        pulls: `(K,)` float32, exact up to 2^24.
        mean: `(K,)` mean reward, in units of the range.
    """

    pulls: jax.Array
    mean: jax.Array


def nothing(n_arms: int) -> Counts:
    """Return the counts before the first round; nothing here needs JAX."""
    none: Any = np.zeros(n_arms, np.float32)
    return begun(Counts(none, none))  # type: ignore[no-any-return]


def count(counts: Counts, arm: jax.Array, value: jax.Array) -> Counts:
    """Return the counts after `arm` gave `value`."""
    pulls = counts.pulls.at[arm].add(1.0)
    return Counts(pulls, counts.mean.at[arm].add((value - counts.mean[arm]) / pulls[arm]))


def unit(reward: jax.Array, low: float, high: float) -> jax.Array:
    """Return `reward` in units of the range, clipped to [0, 1]."""
    return jnp.clip((reward - low) / (high - low), 0.0, 1.0)


def require_range(policy: str, low: float, high: float) -> None:
    """Raise unless `low < high`, both finite numbers."""
    finite = all(isinstance(end, int | float) and math.isfinite(end) for end in (low, high))
    if not (finite and low < high):
        raise ValueError(f"{policy} needs numbers low < high, got low={low}, high={high}")

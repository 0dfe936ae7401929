"""What a policy would call for every query once it has stopped to learn: its state as a run left it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.base import Policy, State
from bandits.late import jax, jnp
from bandits.loop.keys import seed_keys
from bandits.loop.lanes import sheet
from bandits.loop.replay import shared
from bandits.loop.rounds import Chunk, Shared, observe

if TYPE_CHECKING:
    from bandits.rewards import Preference
    from envs.stream import Stream


def decisions(
    policy: Policy,
    state: State,
    stream: Stream,
    table: NDArray[np.float64],
    preference: Preference,
    *,
    seed: tuple[int, int, int],
    after: int,
) -> NDArray[np.int32]:
    """Return the `(N,)` model that a policy calls for each row of a stream, learning nothing.

    What it draws depends on the row alone: two contexts of one row are decided with the same randomness.

    Args:
        policy: as the run had it.
        state: as `relearn.relearned` gives it.
        stream, table, preference: what it decides on, see `replay.Case`; no outcome is shown to it.
        seed: the run's seed, how many seeds it had and which of them, from 0.
        after: rounds of the run, so that no key is used twice.
    """
    run, seeds, own = seed
    number = np.arange(after, after + len(stream))
    met = sheet(stream, table, preference)
    return np.asarray(_decide(policy, state, seed_keys(run, seeds)[own], shared(stream), met, number))


@partial(jax.jit, static_argnums=0)
def _decide(policy: Policy, state: State, key: jax.Array, own: Shared, met: Chunk, number: Any) -> jax.Array:
    def one(now: Chunk, number: jax.Array) -> jax.Array:
        to_act, _ = jax.random.split(jax.random.fold_in(key, number))
        return policy.act(to_act, state, observe(own, now, None, jnp.float32(1)))

    return jnp.asarray(jax.lax.map(lambda row: one(*row), (met, number), batch_size=256))

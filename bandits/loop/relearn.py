"""The state that a policy ended a run in, found again from the calls of its trace: a run keeps none."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.base import Policy, State
from bandits.late import jax, jnp
from bandits.loop.keys import seed_keys
from bandits.loop.lanes import sheet
from bandits.loop.rounds import Chunk, Shared, feedback_of, observe

if TYPE_CHECKING:
    from bandits.rewards import Preference
    from envs.stream import Stream


def relearned(
    policy: Policy,
    stream: Stream,
    table: NDArray[np.float64],
    preference: Preference,
    calls: tuple[NDArray[np.int32], NDArray[np.int32]],
    *,
    seed: tuple[int, int, int],
    total: int,
) -> State:
    """Return the state after a policy has heard what its calls gave, each before the next round.

    Randomness is that of the run: a policy that draws in `init` or `update` ends as it did.

    Args:
        policy: as the run had it.
        stream, table, preference: what it was replayed on, see `replay.Case`.
        calls: rows asked and models called, both `(n,)`, from the first round on.
        seed: the run's seed, how many seeds it had and which of them, from 0.
        total: rounds of the run, >= `n`.
    """
    rows, arms = calls
    whole = sheet(stream, table, preference)
    met = jax.tree.map(lambda column: column[rows], whole)
    number = np.arange(len(rows))
    left = np.maximum(total - number, 1).astype(np.float32)
    shared = Shared(jnp.asarray(stream.price, jnp.float32), jnp.float32(stream.cost_scale))
    run, seeds, own = seed
    key = seed_keys(run, seeds)[own]
    return _heard(policy, key, shared, (met, arms.astype(np.int32), number, left))


@partial(jax.jit, static_argnums=0)
def _heard(policy: Policy, key: jax.Array, shared: Shared, calls: Any) -> State:
    def hear(state: State, now: tuple[Chunk, jax.Array, jax.Array, jax.Array]) -> tuple[State, None]:
        met, arm, number, left = now
        to_act, to_learn = jax.random.split(jax.random.fold_in(key, number))
        seen = observe(shared, met, None, left)
        chance: Any = 1.0 if policy.chances is None else policy.chances(to_act, state, seen)[arm]
        return policy.update(to_learn, state, seen, arm, feedback_of(met.outcome[arm], chance)), None

    return jax.lax.scan(hear, policy.init(key), calls)[0]

"""One training for each seed of a run, so that intervals over seeds hold what the training's draws do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bandits import require
from bandits.base import Policy, State
from bandits.late import jax, jnp


def by_run(
    factory: Callable[..., Policy],
    keys: Sequence[jax.Array],
    n_arms: int,
    dim: int,
    *,
    seed: int,
    run: int,
    **given: Any,
) -> Policy:
    """Return the policy which begins a run's seed with parameters trained for that seed.

    Args:
        factory: of a policy whose parameters are its state, so that `act` is the same for all.
        keys: `S` keys of the run's seeds, which `init` is called with; any other key begins as the first of them.
        n_arms: `K`.
        dim: `d`.
        seed: the policy's own seed.
        run: seed of the run; with it, `seed` and its place each run seed has a training seed, whatever `S`.
        given: hyperparameters.
    """
    require.whole(getattr(factory, "__name__", "policy"), 0, seed=seed)
    drawn = [int(np.random.SeedSequence([seed, run, s]).generate_state(1)[0] >> 1) for s in range(len(keys))]
    made = [factory(n_arms, dim, seed=one, **given) for one in drawn]
    begun = jax.tree.map(lambda *x: jnp.stack(x), *(p.init(key) for p, key in zip(made, keys, strict=True)))
    marks = jnp.stack([jax.random.key_data(key) for key in keys])

    def init(key: jax.Array) -> State:
        place = jnp.argmax((marks == jax.random.key_data(key)).all(axis=1))
        return jax.tree.map(lambda x: x[place], begun)

    return made[0]._replace(init=init)

"""The keys of a run's randomness, named by numbers until something draws from them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from bandits import threefry
from bandits.late import jax


class SeedKey(NamedTuple):
    """The key of one seed of a run before it is made: making it takes JAX, and a kernel may not ask for it.

    Attributes:
        run: what was given as `--seed`.
        of: number of the seed.
        seeds: how many the run has.
    """

    run: int
    of: int
    seeds: int


def named(run: int, seeds: int) -> list[Any]:
    """Return a key for each seed of a run."""
    return [SeedKey(run, s, seeds) for s in range(seeds)]


def made(keys: Sequence[Any]) -> list[jax.Array]:
    """Return keys as JAX has them; those that are made already as they are."""
    runs = {(key.run, key.seeds) for key in keys if isinstance(key, SeedKey)}
    known = {one: seed_keys(*one) for one in runs}
    return [known[key.run, key.seeds][key.of] if isinstance(key, SeedKey) else key for key in keys]


@partial(jax.jit, static_argnums=1)
def seed_keys(seed: int, seeds: int) -> list[jax.Array]:
    """Return a key for each seed of a run."""
    return [jax.random.fold_in(threefry.key(seed), s) for s in range(seeds)]

"""A log drawn from a full table: a policy plays, a coin of ours sometimes calls another model, and says how likely."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import require
from bandits.base import Policy
from bandits.late import jax, jnp
from bandits.loop.keys import seed_keys
from bandits.loop.lanes import sheet
from bandits.loop.orders import orders
from bandits.loop.rounds import Chunk, Shared, feedback_of, observe
from bandits.off_policy.rounds import CHANCE
from bandits.rewards import PREFERENCE
from envs.tables.about import KEY

if TYPE_CHECKING:
    from bandits.base import State
    from envs.stream import Stream

Floats = NDArray[np.float64]
MARK = b"routebandit_log"  # in the Parquet schema: a log that may be written over


class Drawn(NamedTuple):
    """A log of `T` rounds from a table of `N` queries and `K` models.

    Attributes:
        row: `(T,)` of the table.
        arm: `(T,)` model called.
        own: `(T,)` model that the policy itself chose.
        propensity: `(T,)` of `arm`, given the policy's own choice: `(1 - e) 1[arm = own] + e / available`.
        every: `(T, K)` the whole distribution, over the policy's own randomness where it tells its chances, else
            given its choice.
        marginal: whether `every` is over the policy's randomness.
    """

    row: NDArray[np.int32]
    arm: NDArray[np.int32]
    own: NDArray[np.int32]
    propensity: Floats
    every: Floats
    marginal: bool


def draw(
    policy: Policy, stream: Stream, table: Floats, *, explore: float = 0.1, preference: float = PREFERENCE,
    rounds: int | None = None, seed: int = 0, order: str = "shuffle",
) -> Drawn:  # fmt: skip
    """Return the log of a policy that plays a stream once; it learns from the model that was really called.

    Args:
        policy: any; the coin is around it.
        stream: a `Stream`.
        table: `(N, K)` rewards, from `reward_table`.
        explore: `e`, chance of a uniform available model instead of the policy's own, in [0, 1].
        preference: shown to the policy.
        rounds, seed, order: as `orders` takes them, for one seed.

    Raises:
        ValueError: a number out of range.
    """
    require.within("log", 0, 1, explore=explore)
    row = orders(stream, seeds=1, seed=seed, order=order, rounds=rounds)[0]
    met = jax.tree.map(lambda a: jnp.asarray(a)[row], sheet(stream, table, preference))
    shared = Shared(jnp.asarray(stream.price, jnp.float32), jnp.float32(stream.cost_scale))
    rng = np.random.default_rng([seed, 11])
    coin = jnp.asarray(rng.random(len(row)) < explore)
    other = jnp.asarray(rng.random((len(row), stream.n_arms)), jnp.float32)
    key = seed_keys(seed, 1)[0]
    own, arm, told = _play(policy, key, shared, met, coin, other, jnp.float32(explore))
    own, arm = np.asarray(own), np.asarray(arm)
    open_arms = stream.available[row]
    even = explore * open_arms / open_arms.sum(axis=1, keepdims=True)
    given = (1 - explore) * (own[:, None] == np.arange(stream.n_arms)) + even
    every = given if told is None else (1 - explore) * _sharp(np.asarray(told, np.float64), open_arms) + even
    at = np.arange(len(row)), arm
    return Drawn(row, arm, own, given[at], every, told is not None)


def _sharp(told: Floats, open_arms: NDArray[np.bool_]) -> Floats:
    """Return float32 chances as float64 that add up to 1."""
    kept = np.where(open_arms, told, 0.0)
    return np.asarray(kept / kept.sum(axis=1, keepdims=True))


@partial(jax.jit, static_argnums=0)
def _play(
    policy: Policy,
    key: jax.Array,
    shared: Shared,
    met: Chunk,
    coin: jax.Array,
    other: jax.Array,
    explore: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    total = len(coin)

    def step(state: State, xs: Any) -> Any:
        now, heads, ranks, number = xs
        to_act, to_learn = jax.random.split(jax.random.fold_in(key, number))
        seen = observe(shared, now, None, (total - number).astype(jnp.float32))
        own = policy.act(to_act, state, seen)
        arm = jnp.where(heads, jnp.argmax(jnp.where(seen.available, ranks, -1.0)), own).astype(jnp.int32)
        told = None if policy.chances is None else policy.chances(to_act, state, seen)
        even = seen.available[arm] / seen.available.sum()
        chance: Any = 1.0 if told is None else (1 - explore) * told[arm] + explore * even
        kept = None if policy.keep is None else policy.keep(state, seen)
        heard = feedback_of(now.outcome[arm], chance, kept)
        return policy.update(to_learn, state, seen, arm, heard), (own, arm, told)

    steps = (met, coin, other, jnp.arange(total))
    return jax.lax.scan(step, policy.init(key), steps)[1]  # type: ignore[no-any-return]


def write(drawn: Drawn, stream: Stream, table: Floats, path: str | Path, about: dict[str, Any]) -> None:
    """Write a log as Parquet, whole or not at all.

    Columns: `query_id`, `dataset`, `model`, `utility`, `reward`, `propensity`, `own_arm`, `candidates` (a list),
    `chance:MODEL` for each model, the context `x0`, `x1` ..., and `question` and `cost` where the table has them.

    Raises:
        ValueError: the name does not end in .parquet, the file is there and no log of this command, or the disk
            refuses.
    """
    import pyarrow as pa
    from pyarrow import parquet

    place = Path(path)
    check_place(place)
    names, at = np.array(stream.models, object), (drawn.row, drawn.arm)
    question = stream.outcomes.question.astype(object)
    masks, code = np.unique(stream.available[drawn.row], axis=0, return_inverse=True)
    lists = pa.array([names[mask].tolist() for mask in masks], pa.list_(pa.string()))
    columns: dict[str, Any] = {
        "query_id": pa.array(stream.query_id[drawn.row], pa.string()),
        "dataset": pa.array(stream.dataset[drawn.row], pa.string()),
        **({"question": pa.array(question[drawn.row], pa.string())} if question.any() else {}),
        "model": pa.array(names[drawn.arm], pa.string()),
        "utility": stream.utility[at],
        **({"cost": stream.cost[at]} if stream.outcomes.priced else {}),
        "reward": table[at],
        "propensity": drawn.propensity,
        "own_arm": pa.array(names[drawn.own], pa.string()),
        "candidates": lists.take(pa.array(code.ravel())),
        **{f"{CHANCE}{m}": drawn.every[:, k] for k, m in enumerate(stream.models)},
        **{f"x{i}": stream.context[drawn.row, i] for i in range(stream.dim - 1)},
    }
    said = about | {"models": stream.models, "marginal": drawn.marginal, "cost_scale": stream.cost_scale}
    outcomes = stream.outcomes
    unit: dict[str | bytes, bytes] = {
        KEY: json.dumps({"cost_unit": outcomes.cost_unit, "label": outcomes.label}).encode()
    }
    made = pa.table(columns).replace_schema_metadata(unit | {MARK: json.dumps(said).encode()})
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        parquet.write_table(made, part)
        os.replace(part, place)
    except OSError as error:
        raise ValueError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        part.unlink(missing_ok=True)


def check_place(place: Path) -> None:
    """Refuse a place where a log cannot go.

    Raises:
        ValueError: another ending, or something that this command has not written is there.
    """
    import pyarrow as pa
    from pyarrow import parquet

    if place.suffix.lower() != ".parquet":
        raise ValueError(f"--out needs a name that ends in .parquet, got {str(place)!r}")
    if not place.exists():
        return
    try:
        ours = MARK in (parquet.read_schema(place).metadata or {})
    except (pa.ArrowException, OSError):
        ours = False
    if not ours:
        raise ValueError(f"--out {place} is there already and is no log of this command; it stays as it is")

"""Several calls a query: a round has `M` slots, in each of which a policy calls a model or stops.

The reward of a slot is what the delivered answer gained by its call, so that the slots of a round add up to what the
round is worth. With one call a query the loop of `bandits.loop.replay` plays, and none of this is compiled.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.base import RESOURCES, Observation, Policy, State
from bandits.late import jax, jnp
from bandits.loop import replay as single
from bandits.loop.lanes import CHUNK, chunks, sheet
from bandits.loop.orders import orders
from bandits.loop.player import seed_keys
from bandits.loop.replay import Trace
from bandits.loop.rounds import Chunk, Shared, feedback_of, observe, start
from bandits.rewards import PREFERENCE, Outcome, Reward, reward_table
from envs.calls import STOP, Answers, Calls, Several, check, last, several_of

if TYPE_CHECKING:
    from envs.stream import Stream


class Met(NamedTuple):
    """What `S` seeds meet in `C` rounds: a chunk, and of `Several` scores, features and votes, `(S, C, K)` first."""

    chunk: Chunk
    scores: Any
    features: Any
    votes: Any


def replay(
    policy: Policy,
    stream: Stream,
    worth: Reward,
    *,
    preference: float = PREFERENCE,
    seeds: int = 20,
    seed: int = 0,
    order: str = "shuffle",
    rounds: int | None = None,
    **others: Any,
) -> Trace:
    """Return what `policy` called: arms `(S, T, M)`, `STOP` in slots without a call; `(S, T)` where `M` is 1.

    Args:
        policy: its `act` may return `STOP`. Its feedback's `reward` is what a call gained.
        stream: a `Stream` whose `several` says how many calls and how.
        worth: what a delivered answer is worth, from `bandits.rewards` or such a function that JAX can trace.
        preference: weight on cost.
        seeds, seed, order, rounds: as `bandits.replay` takes them.
        others: a budget, late feedback or a probe, which several calls do not have yet.

    Raises:
        ValueError: an option or a shape is wrong, or is not there for several calls.
    """
    several = stream.several or Several(Calls())
    check(several, stream.utility.shape, len(RESOURCES))
    given = {name: value for name, value in others.items() if value is not None}
    calls = several.calls
    if calls.most == 1 and calls.room is None and several.features is None:
        table = reward_table(worth, stream, preference)
        plain = {"seeds": seeds, "seed": seed, "order": order, "rounds": rounds, **given}
        return single.replay(policy, stream, table, preference=preference, **plain)
    if given:
        raise ValueError(f"several calls a query have no {', '.join(given)} yet")
    if stream.world is not None:
        raise ValueError("several calls a query need a stream that does not change; this one does")
    rows = orders(stream, seeds=seeds, seed=seed, order=order, rounds=rounds)
    arms = _played(policy, stream, several, worth, preference, rows, jnp.stack(seed_keys(seed, seeds)))
    return Trace(rows, arms[..., 0] if calls.most == 1 else arms)


def gained(
    trace: Trace, stream: Stream, worth: Reward, preference: float = PREFERENCE
) -> NDArray[np.float64]:
    """Return the `(S, T, M)` reward of each slot of a trace of several calls, 0 where none was made.

    They add up, over slots, to what the delivered answer is worth.
    """
    several, row = several_of(stream), trace.order
    answers = answers_of(stream)
    arms = trace.arms if trace.arms.ndim == 3 else trace.arms[..., None]
    turn = np.full((*row.shape, stream.n_arms), STOP)
    scores = np.full(stream.utility.shape, np.nan) if several.scores is None else several.scores
    combine, rewards, before = several.calls.combine or last, [], np.zeros(row.shape)
    for slot in range(arms.shape[2]):
        called = arms[..., slot] >= 0
        at = np.maximum(arms[..., slot], 0)[..., None]
        now = np.where(called[..., None], slot, np.take_along_axis(turn, at, axis=2))
        np.put_along_axis(turn, at, now, axis=2)
        heard = np.where(turn >= 0, scores[row], np.nan)
        votes = None if answers.votes is None else answers.votes[row]
        told = combine(turn, heard, Answers(answers.utility[row], answers.used[row], votes))
        value = np.asarray(_worth(worth, told, preference, stream.cost_scale))
        after = np.where(called, value, before)
        rewards.append(after - before)
        before = after
    return np.stack(rewards, axis=2)


def answers_of(stream: Stream) -> Answers:
    """Return the `(N, K)` utilities and `(N, K, R)` uses of a stream, 0 where there are none."""
    recorded = [getattr(stream, name) for name in RESOURCES]
    used = [np.zeros(stream.utility.shape) if x is None else np.nan_to_num(x) for x in recorded]
    return Answers(np.nan_to_num(stream.utility), np.stack(used, axis=-1), several_of(stream).votes)


def _worth(worth: Reward, told: Answers, preference: Any, scale: Any) -> Any:
    cost, latency, tokens = (told.used[..., r] for r in range(len(RESOURCES)))
    return worth(Outcome(told.utility, cost, latency, tokens, scale), preference)


def _played(
    policy: Policy, stream: Stream, several: Several, worth: Reward, preference: float,
    rows: NDArray[np.int32], keys: jax.Array,
) -> NDArray[np.int32]:  # fmt: skip
    """Return the `(S, T, M)` arms."""
    shared = Shared(jnp.asarray(stream.price, jnp.float32), jnp.float32(stream.cost_scale))
    # What a single call is worth is not used: the slots' rewards go by what is delivered.
    whole = sheet(stream, np.zeros(stream.utility.shape), preference)
    state, called = start(policy, keys), []
    for at, (clock, chunk) in enumerate(chunks([whole] * len(rows), rows, total=rows.shape[1])):
        begin = at * CHUNK
        own = np.pad(rows[:, begin : begin + CHUNK], ((0, 0), (0, max(0, begin + CHUNK - rows.shape[1]))))
        scores = None if several.scores is None else np.float32(several.scores[own])
        features = None if several.features is None else np.float32(several.features[own])
        votes = None if several.votes is None else np.int32(several.votes[own])
        met = Met(Chunk(*(None if a is None else np.array(a) for a in chunk)), scores, features, votes)
        state, arms = run_slots(policy, several.calls, worth, state, keys, shared, clock, met)
        called.append(np.asarray(arms))
    return np.concatenate(called, axis=1)[:, : rows.shape[1]]


@partial(jax.jit, static_argnums=(0, 1, 2))
def run_slots(
    policy: Policy, calls: Calls, worth: Reward, state: State, keys: jax.Array, shared: Shared, clock: Any, met: Met
) -> tuple[State, jax.Array]:  # fmt: skip
    """Return the states after a chunk and the `(S, C, M)` arms called in it."""

    def one(state: State, key: jax.Array, now: Met, number: jax.Array, left: jax.Array) -> Any:
        seen = observe(shared, now.chunk, None, left)._replace(features=now.features)
        return _round(policy, calls, worth, state, jax.random.fold_in(key, number), seen, now)

    def step(state: State, xs: Any) -> Any:
        now, number, left = xs
        return jax.vmap(one, in_axes=(0, 0, 0, None, None))(state, keys, now, number, left)

    by_round = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), met)
    state, arms = jax.lax.scan(step, state, (by_round, *clock))
    return state, jnp.swapaxes(arms, 0, 1)


def _round(
    policy: Policy, calls: Calls, worth: Reward, state: State, key: jax.Array, seen: Observation, now: Met
) -> tuple[State, jax.Array]:
    """Return the state after a round and the `(M,)` arms called in it."""
    outcome = jnp.nan_to_num(now.chunk.outcome)
    answers = Answers(outcome[:, 0], outcome[:, 2:], now.votes)
    unknown = jnp.full(len(outcome), jnp.nan)
    scores = unknown if now.scores is None else now.scores
    alike = calls.reveal == "each"

    def value(turn: jax.Array) -> jax.Array:
        told = (calls.combine or last)(turn, jnp.where(turn >= 0, scores, jnp.nan), answers)
        return jnp.where((turn >= 0).any(), _worth(worth, told, seen.preference, seen.cost_scale), 0.0)

    def before(turn: jax.Array, slot: Any, *, heard: bool) -> Observation:
        """Return what is seen before a slot: the calls of earlier ones."""
        asked = (turn >= 0) & (turn < slot)
        spent = jnp.where(asked[:, None], answers.used, 0.0).sum(axis=0)
        room = None if calls.room is None else jnp.asarray(calls.room, jnp.float32) - spent
        closed = asked if room is None else asked | (room <= 0).any()
        said = jnp.where(asked, scores, jnp.nan) if heard else unknown
        return seen._replace(available=seen.available & ~closed, asked=asked, heard=said, room=room)

    def learn(state: State, turn: jax.Array, slot: Any, arm: jax.Array) -> State:
        to_learn = jax.random.split(jax.random.fold_in(key, slot))[1]
        until = jnp.where(turn <= slot, turn, STOP)
        gain = value(until) - value(jnp.where(turn < slot, turn, STOP))
        told = feedback_of(now.chunk.outcome[jnp.maximum(arm, 0)].at[1].set(gain))
        told = told._replace(score=scores[jnp.maximum(arm, 0)])
        after = policy.update(to_learn, state, before(turn, slot, heard=alike), jnp.maximum(arm, 0), told)
        return jax.tree.map(lambda new, old: jnp.where(arm >= 0, new, old), after, state)

    def slot(number: jax.Array, carry: Any) -> Any:
        state, turn, arms, going = carry
        observation = before(turn, number, heard=alike)
        arm = policy.act(jax.random.split(jax.random.fold_in(key, number))[0], state, observation)
        going = going & (arm >= 0) & observation.available.any()
        arm = jnp.where(going, arm, STOP).astype(jnp.int32)
        turn = jnp.where((jnp.arange(len(turn)) == arm) & going, number, turn)
        return (learn(state, turn, number, arm) if alike else state), turn, arms.at[number].set(arm), going

    none = jnp.full(len(outcome), STOP, jnp.int32), jnp.full(calls.most, STOP, jnp.int32), jnp.array(True)
    state, turn, arms, _ = jax.lax.fori_loop(0, calls.most, slot, (state, *none))
    if not alike:  # a set is chosen blind: its outcomes are heard together, in the order of the calls
        state = jax.lax.fori_loop(0, calls.most, lambda m, s: learn(s, turn, m, arms[m]), state)
    return state, arms

"""The compiled half of several calls a query: a round has `M` slots, in each of which a policy calls a model or stops.

The reward of a slot is what the delivered answer gained by its call, so that the slots of a round add up to what the
round is worth. With one call a query `bandits.loop.rounds` plays, and none of this is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from bandits.base import RESOURCES, Observation, Policy, State
from bandits.late import jax, jnp
from bandits.loop.rounds import Carry, Chunk, Due, Ring, Shared, feedback_of, noted, observe
from bandits.rewards import Outcome, Reward
from envs.calls import STOP, Answers, Calls

if TYPE_CHECKING:
    from bandits.loop.rounds import Clock

OVER = 1e-6  # share of a budget that float32's rounding may overdraw


class Turns(NamedTuple):
    """How the queries of a run are answered: `calls`, and what a delivered answer is `worth`."""

    calls: Calls
    worth: Reward


class Query(NamedTuple):
    """A query of a lane: what is seen before its first call, and all that its calls would give.

    Attributes:
        key: of the round.
        seen: before the first call.
        outcome: `(K, 2 + R)` as `Chunk` has it, NaN where a model has none.
        scores: `(K,)` of the judge, NaN where there are none.
        votes: `(K,)` codes of the answers, or None.
        least: `(R,)` what may be left of a budget for a further call; None: there is no budget.
        revealed: `(K, e)` what each arm shows once it was called, or None.
    """

    key: jax.Array
    seen: Observation
    outcome: jax.Array
    scores: jax.Array
    votes: jax.Array | None
    least: jax.Array | None
    revealed: jax.Array | None

    def given(self, turn: jax.Array, turns: Turns) -> Answers:
        """Return what is delivered after the calls of a turn `(K,)`, and all that they use; at least one was made."""
        outcome = jnp.nan_to_num(self.outcome)
        answers = Answers(outcome[:, 0], outcome[:, 2:], self.votes)
        return turns.calls.delivered(turn, jnp.where(turn >= 0, self.scores, jnp.nan), answers)

    def value(self, turn: jax.Array, turns: Turns) -> jax.Array:
        """Return what is worth what is delivered after the calls of a turn; 0 where none was made."""
        told = self.given(turn, turns)
        gave = worth_of(turns.worth, told, self.seen.preference, self.seen.cost_scale)
        return jnp.where((turn >= 0).any(), gave, 0.0)

    def delivered(self, turn: jax.Array, turns: Turns) -> jax.Array:
        """Return the arm whose answer is delivered after the calls of a turn; no arm's number where it is a mixture."""
        named = self.outcome.at[:, 0].set(jnp.arange(len(self.outcome)) * 1.0)
        return jnp.asarray(self._replace(outcome=named).given(turn, turns).utility)

    def before(self, turn: jax.Array, slot: Any, calls: Calls, *, heard: bool) -> Observation:
        """Return what is seen before a slot: the calls of earlier ones, and what they cost where they are `heard`."""
        asked = (turn >= 0) & (turn < slot)
        spent = jnp.where(asked[:, None], jnp.nan_to_num(self.outcome[:, 2:]), 0.0).sum(axis=0)
        room = None if calls.room is None else jnp.asarray(calls.room, jnp.float32) - spent
        budget = self.seen.budget - spent if heard and self.least is not None else self.seen.budget
        closed = asked if room is None else asked | (room <= 0).any()
        closed = closed if self.least is None else closed | (budget < self.least).any()
        said = jnp.where(asked & heard, self.scores, jnp.nan)
        votes = None if self.votes is None else jnp.where(asked & heard, self.votes, STOP)
        first = jnp.asarray(calls.needs or (-1,) * len(asked))
        open_ = self.seen.available & ~closed & ((first < 0) | asked[jnp.maximum(first, 0)])
        shown = self.seen.features
        if self.revealed is not None:
            shown = jnp.where((asked & heard)[:, None], self.revealed, 0.0)
        known = {"asked": asked, "heard": said, "votes": votes, "spent": spent, "features": shown}
        return self.seen._replace(available=open_, room=room, budget=budget, **known)


def worth_of(worth: Reward, told: Answers, preference: Any, scale: Any) -> Any:
    """Return what delivered answers `(...)` are worth."""
    cost, latency, tokens = (told.used[..., r] for r in range(len(RESOURCES)))
    return worth(Outcome(told.utility, cost, latency, tokens, scale), preference)


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def run_turns(
    policy: Policy,
    probe: Callable[[State], jax.Array] | None,
    turns: Turns,
    carry: Carry,
    keys: jax.Array,
    shared: Shared,
    clock: Clock,
    chunk: Chunk,
    late: Due | None = None,
) -> tuple[Carry, jax.Array, jax.Array | None]:
    """Return what `rounds.run_chunk` returns, the arms `(S, C, M)`; its `full` is `turns` here."""
    alike = turns.calls.reveal == "each"
    at_once = alike and turns.calls.hear == "each"

    def query(key: jax.Array, now: Chunk, number: Any, left: Any, budget: Any, least: Any) -> Query:
        unknown = jnp.full(len(now.available), jnp.nan)
        scores = unknown if now.scores is None else now.scores
        seen = observe(shared, now, budget, left)._replace(features=now.features)
        return Query(
            jax.random.fold_in(key, number), seen, now.outcome, scores, now.votes, least, now.revealed
        )

    def one_round(carry: Carry, key: jax.Array, now: Chunk, number: jax.Array, left: jax.Array) -> Any:
        state, account, ring = carry
        budget = None if account is None else account.limits - account.spent
        asked = query(key, now, number, left, budget, None if account is None else -OVER * account.limits)
        read = None if probe is None else probe(state)
        state, turn, arms, kept = _answered(policy, turns, state, asked, learns=at_once and ring is None)
        if not at_once and ring is None:  # a set is chosen blind, or a user judges the answer: heard together
            state = _heard(policy, turns, state, asked, arms, alike=alike, kept=kept)
        if account is not None:
            used = jnp.where((turn >= 0).any(), asked.given(turn, turns).used, 0.0)
            account = account.pay(used)
        if ring is not None:
            ring = noted(ring, number, Ring(arms, asked.seen.budget, None, kept))
        return (state, account, ring), (arms, read)

    def hear(
        state: State, key: jax.Array, ring: Ring, now: Chunk, source: jax.Array, rounds: jax.Array
    ) -> State:
        number = jnp.maximum(source, 0)
        place = number % len(ring.arm)
        left = jnp.maximum(rounds - number, 1).astype(jnp.float32)
        budget = None if ring.budget is None else ring.budget[place]
        least = None if budget is None else jnp.full_like(budget, -jnp.inf)
        asked = query(key, now, number, left, budget, least)
        arms = jnp.where(source >= 0, ring.arm[place], STOP)
        kept = jax.tree.map(lambda a: a[place], ring.kept)
        return _heard(policy, turns, state, asked, arms, alike=alike, kept=kept)

    def step(carry: Carry, xs: Any) -> Any:
        now, number, left, *slots = xs
        after, called = jax.vmap(one_round, in_axes=(0, 0, 0, None, None))(carry, keys, now, number, left)
        if late is not None:
            state, account, ring = after

            def hear_all(slot: jax.Array, state: State) -> State:
                told = jax.tree.map(lambda a: a[:, slot], late.rows)
                one = late.source.shape[0] == 1  # one clock for all seeds keeps a policy's branch on it
                source = late.source[0, slot] if one else late.source[:, slot]
                axes = (0, 0, 0, 0, None if one else 0, None)
                return jax.vmap(hear, in_axes=axes)(state, keys, ring, told, source, late.rounds)

            after = jax.lax.fori_loop(slots[0], slots[1], hear_all, state), account, ring
        return after, called

    by_round = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), chunk)
    after, (arms, read) = jax.lax.scan(step, carry, (by_round, *clock))
    return after, jnp.swapaxes(arms, 0, 1), None if read is None else jnp.swapaxes(read, 0, 1)


def _answered(
    policy: Policy, turns: Turns, state: State, asked: Query, *, learns: bool
) -> tuple[State, jax.Array, jax.Array, Any]:
    """Return the state after a query, the slot `(K,)` of each model, the `(M,)` arms called and what `keep` kept.

    Args:
        policy: may answer `STOP`.
        turns: how.
        state: before it.
        asked: the query.
        learns: whether each outcome is heard before the next call.
    """
    calls = turns.calls
    alike = calls.reveal == "each"

    def slot(number: jax.Array, carry: Any) -> Any:
        state, turn, arms, kept, going = carry
        seen = asked.before(turn, number, calls, heard=alike)
        arm = policy.act(jax.random.split(jax.random.fold_in(asked.key, number))[0], state, seen)
        going = going & (arm >= 0) & seen.available.any()
        arm = jnp.where(going, arm, STOP).astype(jnp.int32)
        if kept is not None and policy.keep is not None:
            kept = jax.tree.map(lambda a, b: a.at[number].set(b), kept, policy.keep(state, seen))
        turn = jnp.where((jnp.arange(len(turn)) == arm) & going, number, turn)
        after = _learned(policy, turns, state, asked, turn, number, arm, alike=alike) if learns else state
        return after, turn, arms.at[number].set(arm), kept, going

    kept = None
    if policy.keep is not None and not learns:
        shapes = jax.eval_shape(policy.keep, state, asked.seen)
        kept = jax.tree.map(lambda a: jnp.zeros((calls.most, *a.shape), a.dtype), shapes)
    none = jnp.full(len(asked.outcome), STOP, jnp.int32), jnp.full(calls.most, STOP, jnp.int32)
    state, turn, arms, kept, _ = jax.lax.fori_loop(0, calls.most, slot, (state, *none, kept, jnp.array(True)))
    return state, turn, arms, kept


def _heard(
    policy: Policy,
    turns: Turns,
    state: State,
    asked: Query,
    arms: jax.Array,
    *,
    alike: bool,
    kept: Any = None,
) -> State:
    """Return the state after the outcomes of a query's `(M,)` calls are heard together, in the order of the calls."""
    slots = jnp.arange(len(arms))
    called = (jnp.arange(len(asked.outcome))[:, None] == arms) & (arms >= 0)
    turn = jnp.where(called.any(axis=1), (called * slots).sum(axis=1), STOP).astype(jnp.int32)

    def hear(slot: jax.Array, state: State) -> State:
        own = jax.tree.map(lambda a: a[slot], kept)
        return _learned(policy, turns, state, asked, turn, slot, arms[slot], alike=alike, kept=own)

    return jax.lax.fori_loop(0, len(arms), hear, state)


def _learned(
    policy: Policy, turns: Turns, state: State, asked: Query, turn: jax.Array, slot: Any, arm: jax.Array, *,
    alike: bool, kept: Any = None,
) -> State:  # fmt: skip
    """Return the state after the outcome of a slot is heard; the one before where no call was made in it."""
    to_learn = jax.random.split(jax.random.fold_in(asked.key, slot))[1]
    called = jnp.maximum(arm, 0)
    until = jnp.where(turn <= slot, turn, STOP)
    gain = asked.value(until, turns) - asked.value(jnp.where(turn < slot, turn, STOP), turns)
    told = feedback_of(asked.outcome[called].at[1].set(gain), 1.0, kept)._replace(score=asked.scores[called])
    if turns.calls.hear == "delivered":
        mine = asked.delivered(turn, turns) == arm
        utility, reward = (
            jnp.where(mine, told.utility, jnp.nan),
            jnp.where(mine, asked.value(turn, turns), jnp.nan),
        )
        told = told._replace(utility=utility, reward=reward)
    seen = asked.before(turn, slot, turns.calls, heard=alike)
    after = policy.update(to_learn, state, seen, called, told)
    return jax.tree.map(lambda new, old: jnp.where(arm >= 0, new, old), after, state)

"""Several calls a query, from a policy and a stream to traces whose arms are `(S, T, M)`; see `bandits.loop.turns`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.base import RESOURCES, Policy, State
from bandits.late import jax
from bandits.loop import feedback as feedbacks
from bandits.loop.feedback import Late
from bandits.loop.keys import seed_keys
from bandits.loop.lanes import lanes_of, play, sheets
from bandits.loop.orders import orders
from bandits.loop.replay import Case, Trace, checked, shared, traces_of
from bandits.loop.replay import replay as single
from bandits.loop.turns import OVER, Turns, worth_of
from bandits.rewards import PREFERENCE, Reward, reward_table
from envs.calls import STOP, Answers, Calls, Several, check, several_of

if TYPE_CHECKING:
    from bandits.rewards import Preference
    from envs.stream import Stream


def replay(
    policy: Policy,
    stream: Stream,
    worth: Reward,
    *,
    preference: Preference = PREFERENCE,
    budget: NDArray[np.float64] | None = None,
    **options: Any,
) -> Trace:
    """Return what `policy` called: arms `(S, T, M)`, `STOP` in slots without a call; `(S, T)` where `M` is 1.

    Args:
        policy: its `act` may return `STOP`. Its feedback's `reward` is what a call gained.
        stream: a `Stream` whose `several` says how many calls and how.
        worth: what a delivered answer is worth, from `bandits.rewards` or such a function that JAX can trace.
        preference, budget: as in `bandits.loop.replay.Case`.
        options: as `bandits.replay` takes them: seeds, seed, order, rounds, feedback, probe, progress.

    Raises:
        ValueError: an option or a shape is wrong, or the outcomes of all models are to be heard.
    """
    several = stream.several or Several(Calls())
    check(several, stream.utility.shape, len(RESOURCES))
    calls = several.calls
    plain = calls.most == 1 and calls.room is None and several.features is None
    if plain:
        table = reward_table(worth, stream, preference)
        return single(policy, stream, table, preference=preference, budget=budget, **options)
    # What a single call is worth is not used: the slots' rewards go by what is delivered.
    case = Case(np.zeros(stream.utility.shape), preference, budget)
    (trace,) = replays(policy, stream, [case], worth, **options)
    return trace._replace(arms=trace.arms[..., 0]) if calls.most == 1 else trace


def replays(
    policy: Policy,
    stream: Stream,
    cases: Sequence[Case],
    worth: Reward,
    *,
    seeds: int = 20,
    seed: int = 0,
    order: str = "shuffle",
    rounds: int | None = None,
    feedback: Late | None = None,
    probe: Callable[[State], jax.Array] | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[Trace]:
    """Return a trace for each case, arms `(S, T, M)`, all on the same seeds and orders; see `replay.replays`.

    What the calls of a query use is taken from the budget call by call where their outcomes are heard one after the
    other, else after the last; no call is made once something is overdrawn. Feedback that is late brings all calls of
    its query, in their order; what a judge says of an answer is seen before the next call of the query all the same.

    Raises:
        ValueError: as there, or the outcomes of all models are to be heard, or some are never.
    """
    several = several_of(stream)
    check(several, stream.utility.shape, len(RESOURCES))
    checked(stream, cases)
    if feedback is not None and feedback.full:
        raise ValueError("several calls a query hear the models that were called, not all of them")
    if stream.world is not None and stream.world.silent is not None:
        raise ValueError(
            "several calls a query hear every call: they go without outcomes that are never heard"
        )
    turns = Turns(several.calls, worth)
    rows = orders(stream, seeds=seeds, seed=seed, order=order, rounds=rounds)
    keys = seed_keys(seed, seeds)
    after = None if feedback is None else feedbacks.due(feedback, rows.shape, seed)
    said = {
        "scores": None if several.scores is None else several.scores.astype(np.float32),
        "features": None if several.features is None else several.features.astype(np.float32),
        "votes": None if several.votes is None else several.votes.astype(np.int32),
        "revealed": None if several.revealed is None else several.revealed.astype(np.float32),
    }
    met = [sheet._replace(**said) for sheet in sheets(stream, cases)]
    lanes = lanes_of(met, [case.budget for case in cases], rows, keys, after)
    played = play(policy, shared(stream), lanes, turns=turns, probe=probe, progress=progress)
    return traces_of(cases, rows, *played, stopped=partial(_stopped, stream))


def _stopped(
    stream: Stream, rows: NDArray[np.int32], arms: NDArray[np.int32], budget: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Return the arms with `STOP` after the query that overdrew the budget: the loop's own stop, in float64."""
    if not np.isfinite(budget).any():
        return arms
    kept = arms.copy()
    for s, row in enumerate(rows):
        *_, (told, _) = _delivered(stream, row, arms[s])
        used = np.where((arms[s] >= 0).any(axis=-1)[:, None], told.used, 0.0)
        over = np.any(np.cumsum(used, axis=0) > budget * (1 + OVER), axis=1)
        kept[s, 1:][over[:-1]] = STOP
    return kept


def gained(
    trace: Trace, stream: Stream, worth: Reward, preference: float = PREFERENCE
) -> NDArray[np.float64]:
    """Return the `(S, T, M)` reward of each slot of a trace of several calls, 0 where none was made.

    They add up, over slots, to what the delivered answer is worth.
    """
    arms = trace.arms if trace.arms.ndim == 3 else trace.arms[..., None]
    rewards, before = [], np.zeros(trace.order.shape)
    for told, called in _delivered(stream, trace.order, arms):
        value = np.asarray(worth_of(worth, told, preference, stream.cost_scale))
        after = np.where(called, value, before)
        rewards.append(after - before)
        before = after
    return np.stack(rewards, axis=-1)


def _delivered(
    stream: Stream, row: NDArray[np.int32], arms: NDArray[np.int32]
) -> Iterator[tuple[Answers, NDArray[np.bool_]]]:
    """Yield, for each slot of `arms (..., M)` at `row (...)`, what is delivered after it, and whether it has a call."""
    several, answers = several_of(stream), answers_of(stream)
    turn = np.full((*row.shape, stream.n_arms), STOP)
    scores = np.full(stream.utility.shape, np.nan) if several.scores is None else several.scores
    for slot in range(arms.shape[-1]):
        called = arms[..., slot] >= 0
        at = np.maximum(arms[..., slot], 0)[..., None]
        now = np.where(called[..., None], slot, np.take_along_axis(turn, at, axis=-1))
        np.put_along_axis(turn, at, now, axis=-1)
        heard = np.where(turn >= 0, scores[row], np.nan)
        votes = None if answers.votes is None else answers.votes[row]
        given = Answers(answers.utility[row], answers.used[row], votes)
        yield several.calls.delivered(turn, heard, given), called


def answers_of(stream: Stream) -> Answers:
    """Return the `(N, K)` utilities and `(N, K, R)` uses of a stream, 0 where there are none."""
    recorded = [getattr(stream, name) for name in RESOURCES]
    used = [np.zeros(stream.utility.shape) if x is None else np.nan_to_num(x) for x in recorded]
    return Answers(np.nan_to_num(stream.utility), np.stack(used, axis=-1), several_of(stream).votes)

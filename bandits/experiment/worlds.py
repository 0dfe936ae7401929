"""From specs to a world: the stream after its changes, what a policy hears of it, and the ready-made scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.loop import feedback
from bandits.loop.orders import orders
from bandits.rewards import Reward, reward_table
from envs.changes import duels
from envs.changes.changes import CHANGES, apply
from envs.changes.scenarios import SCENARIOS, Scenario
from envs.changes.world import unroll
from envs.nearest import near

if TYPE_CHECKING:
    from bandits.experiment.ask import Ask
    from bandits.rewards import Preference
    from envs.stream import Stream


def scenario(name: str) -> Scenario:
    """Return a ready-made scenario.

    Raises:
        ValueError: no such scenario.
    """
    if name not in SCENARIOS:
        raise ValueError(f"no scenario {name!r}; {near(name, list(SCENARIOS))}")
    return SCENARIOS[name]


def changed(
    stream: Stream,
    changes: Sequence[str],
    *,
    seeds: int,
    seed: int = 0,
    order: str = "shuffle",
    rounds: int | None = None,
) -> Any:
    """Return the stream after these changes, laid out for the seeds of a run; the same stream where there are none.

    Args:
        stream: a plain `Stream`.
        changes: specs `name,key=value` from `envs.changes.changes.CHANGES`, or a user's own `file.py:name`.
        seeds, seed, order, rounds: of the run, as `replay` takes them.

    Raises:
        ValueError: a spec is wrong, or does not fit the stream.
    """
    if not changes:
        return stream
    functions = [resolve.function(spec, CHANGES, "change") for spec in changes]
    rows = orders(stream, seeds=seeds, seed=seed, order=order, rounds=rounds)
    try:
        return apply(unroll(stream, rows, seed=seed), functions)
    except TypeError as error:
        raise ValueError(f"--change {' '.join(changes)!r}: {error}") from error


def told(
    stream: Stream, scenarios: Sequence[str], changes: Sequence[str], **replayed: Any
) -> tuple[str, tuple[str, ...]]:
    """Return the label and the notes of all these worlds together, before anything is played in them.

    Args:
        stream: a plain `Stream`.
        scenarios: ready-made ones; one that the stream cannot show is passed over.
        changes: specs, each of which has to fit.
        replayed: as `changed` takes them.

    Raises:
        ValueError: no such scenario, or a change that is wrong, does not fit the stream or is given twice.
    """
    if twice := [spec for i, spec in enumerate(changes) if spec in changes[:i]]:
        raise ValueError(f"--change needs a world of its own each time, got {twice[0]!r} twice")
    worlds = [changed(stream, (spec,), **replayed) for spec in changes]
    for ready in map(scenario, scenarios):
        with suppress(ValueError):
            worlds.append(changed(stream, ready.changes, **replayed))
    label = stream.outcomes.label
    own = [part for w in worlds for part in w.outcomes.label.removeprefix(label).split("; ") if part]
    notes = dict.fromkeys((*stream.notes, *(note for w in worlds for note in w.notes)))
    return "; ".join((label, *dict.fromkeys(own))), tuple(notes)


def late(ask: Ask) -> feedback.Late | None:
    """Return how feedback comes; None: at once."""
    ready = None if ask.scenario is None else scenario(ask.scenario)
    delay = ask.delay if ask.delay is not None else "0" if ready is None else ready.delay
    batch = ask.batch if ask.batch is not None else 1 if ready is None else ready.batch
    return feedback.parse(delay, batch=batch, feedback=ask.feedback)


def heard(
    stream: Stream,
    table: NDArray[Any],
    reward: Reward,
    preference: Preference,
    *,
    kind: str = "bandit",
    seed: int = 0,
) -> tuple[Any, NDArray[Any]]:
    """Return the stream and the table that policies are replayed on; regret is counted on those given.

    An outcome that a change keeps from the policy is NaN in the table, see `feedback.attentive`.

    Args:
        stream: a `Stream`; for duels that of `duels.pairs`.
        table: `(N, K)` the true rewards of it.
        reward, preference: what the table was made by.
        kind: one of `feedback.FEEDBACKS`.
        seed: of the coins that settle ties in a duel.
    """
    told = stream.heard
    worth = table if told is stream else reward_table(reward, told, preference)
    silent = None if stream.world is None else stream.world.silent
    if silent is not None and kind == feedback.FEEDBACKS[2]:
        raise ValueError(
            "--feedback dueling hears of every duel: it goes without outcomes that are not heard"
        )
    if silent is not None:
        worth = np.where(silent, np.nan, worth)
    if kind == feedback.FEEDBACKS[2]:
        return duels.preferred(told, worth, seed=seed)
    return told, worth

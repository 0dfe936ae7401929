"""Feedback that comes late, in batches, never, or of every model: when each round is heard, worked out ahead.

When a round is heard depends on no outcome, so the whole timetable is known before a run. The loop keeps what was
called in a ring and hears, after each round, what is due then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import require, resolve
from bandits.base import Policy
from bandits.late import jax, jnp

Ints = NDArray[np.int64]
FEEDBACKS = ("bandit", "full", "dueling")
NEVER = -1


class Late(NamedTuple):
    """How feedback comes.

    Attributes:
        delay: `(rng, (S, T)) -> (S, T)` rounds until each round is heard, `NEVER` where it is not.
        batch: updates are made together after every so many rounds, >= 1.
        full: whether the outcome of every available model is heard (the upper reference) or of the called one.
    """

    delay: Callable[[np.random.Generator, tuple[int, int]], Ints]
    batch: int = 1
    full: bool = False


def constant(
    rng: np.random.Generator, shape: tuple[int, int], *, rounds: int = 0, never: float = 0.0
) -> Ints:
    """Hear each outcome so many rounds late; a share never arrives.

    Args:
        rng: of what never arrives.
        shape: `(S, T)`.
        rounds: >= 0; 0 is heard before the next round.
        never: share that never arrives, in [0, 1].
    """
    require.whole("delay", 0, rounds=rounds)
    return _lost(rng, np.full(shape, rounds, np.int64), never)


def uniform(
    rng: np.random.Generator, shape: tuple[int, int], *, least: int = 0, most: int = 100, never: float = 0.0
) -> Ints:
    """Hear each outcome `least` to `most` rounds late, all equally likely; a share never arrives."""
    require.whole("delay uniform", 0, least=least, most=most)
    if least > most:
        raise ValueError(f"delay uniform needs least <= most, got least={least}, most={most}")
    return _lost(rng, rng.integers(least, most, shape, endpoint=True), never)


def geometric(
    rng: np.random.Generator, shape: tuple[int, int], *, mean: float = 50.0, never: float = 0.0
) -> Ints:
    """Hear each outcome late by a geometric number of rounds (0, 1, ...) of this mean; a share never arrives."""
    require.at_least("delay geometric", 0, mean=mean)
    return _lost(rng, rng.geometric(1 / (1 + mean), shape) - 1, never)


def _lost(rng: np.random.Generator, delay: Ints, never: float) -> Ints:
    require.within("delay", 0, 1, never=never)
    return np.where(rng.random(delay.shape) < never, NEVER, delay) if never else delay


DELAYS: dict[str, Callable[..., Ints]] = {"constant": constant, "uniform": uniform, "geometric": geometric}


def parse(delay: str = "0", *, batch: int = 1, feedback: str = "bandit") -> Late | None:
    """Return how feedback comes, or None where it comes at once and of the called model: the plain loop.

    Args:
        delay: rounds (`50`, or `50,never=0.1`), or a spec from `DELAYS` such as `uniform,least=10,most=100`.
        batch: rounds between updates.
        feedback: one of `FEEDBACKS`; for `dueling` see `envs.changes.duels`.

    Raises:
        ValueError: a spec is wrong or a number out of range.
    """
    require.one_of("--feedback", FEEDBACKS, feedback=feedback)
    require.whole("--batch", 1, batch=batch)
    number, *keys = delay.split(",")
    spec = ",".join([f"constant,rounds={number}", *keys]) if number.strip().isdigit() else delay
    function = resolve.function(spec, DELAYS, "delay")
    sample = function(np.random.default_rng(0), (1, 1))  # refuses numbers out of range now, not after loading
    given = getattr(function, "keywords", None)
    if given == {"rounds": 0} and sample[0, 0] == 0 and batch == 1 and feedback != "full":
        return None
    return Late(function, batch, feedback == "full")


def due(late: Late, shape: tuple[int, int], seed: int) -> Ints:
    """Return `(S, T)`, the round after which each round's feedback is heard; `NEVER`, or after the last round, lost.

    Each seed's draws are its own, whatever the number of seeds.
    """
    seeds, rounds = shape
    delay = np.concatenate(
        [late.delay(np.random.default_rng([seed, s, 11]), (1, rounds)) for s in range(seeds)]
    )
    after = np.arange(rounds) + np.minimum(delay, rounds)  # later than the last round is lost, however late
    together = (after // late.batch + 1) * late.batch - 1
    return np.asarray(np.where(delay == NEVER, NEVER, together), np.int64)


@lru_cache(64)
def attentive(policy: Policy) -> Policy:
    """Return a policy that learns nothing of an outcome whose reward is NaN: it was called, paid, and never heard of.

    Built once a policy, since programs are compiled by identity.
    """

    def update(key: Any, state: Any, observation: Any, arm: Any, feedback: Any) -> Any:
        after = policy.update(key, state, observation, arm, feedback)
        heard = ~jnp.isnan(feedback.reward)
        return jax.tree.map(lambda new, old: jnp.where(heard, new, old), after, state)

    return policy._replace(update=update)


def outstanding(after: Ints) -> Ints:
    """Return `(S, T)`, how many rounds up to and including each are not heard yet once it is over.

    Args:
        after: from `due`; what never arrives stays outstanding.
    """
    seeds, rounds = after.shape
    heard = np.zeros((seeds, rounds + 1), np.int64)
    inside = (after != NEVER) & (after < rounds)
    np.add.at(heard, (np.nonzero(inside)[0], after[inside]), 1)
    return np.asarray(np.arange(1, rounds + 1) - np.cumsum(heard[:, :rounds], axis=1))


class Timetable(NamedTuple):
    """What is heard when, in slots: after round `t` the slots `first[t]` to `first[t + 1]`.

    Attributes:
        source: `(S, slots)` the round that each slot brings, `NEVER` where a seed has fewer than another; `(1, slots)`
            where all seeds hear alike.
        first: `(T + 1,)`.
        ring: a power of two above the longest wait, so that nothing is overwritten before it is heard.
    """

    source: Ints
    first: Ints
    ring: int

    def chunk(self, begin: int, end: int) -> tuple[Ints, Ints]:
        """Return the slots of rounds `begin` to `end`, filled up to a power of two, and where each round's begin."""
        low, high = self.first[begin], self.first[end]
        part = self.source[:, low:high]
        width = max(64, 1 << int(max(high - low - 1, 0)).bit_length())
        padded = np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=NEVER)
        return padded, self.first[begin : end + 1] - low


def timetable(after: Ints) -> Timetable:
    """Return the timetable of `due`'s rounds; what is due together is heard in the order in which it was called."""
    rounds = after.shape[1]
    alike = bool((after == after[0]).all())
    after = after[:1] if alike else after
    inside = (after != NEVER) & (after < rounds)
    counts = np.stack([np.bincount(row[ok], minlength=rounds) for row, ok in zip(after, inside, strict=True)])
    first = np.concatenate([[0], np.cumsum(counts.max(axis=0))])
    source = np.full((len(after), int(first[-1])), NEVER, np.int64)
    longest = 0
    for s, (row, ok) in enumerate(zip(after, inside, strict=True)):
        called = np.flatnonzero(ok)
        called = called[np.argsort(row[called], kind="stable")]
        place = np.arange(len(called)) - (np.cumsum(counts[s]) - counts[s])[row[called]]
        source[s, first[row[called]] + place] = called
        longest = max(longest, int((row[called] - called).max(initial=0)))
    return Timetable(source, first, 1 << (longest + 1).bit_length())

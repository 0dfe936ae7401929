"""Feedback that comes late, in batches, never, or of every model: when each round is heard, worked out ahead.

When a round is heard depends on no outcome, so the whole timetable is known before a run. The loop keeps what was
called in a ring and hears, after each round, what is due then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import require, resolve
from bandits.base import Policy
from bandits.late import jax, jnp
from envs.windows import big

if TYPE_CHECKING:
    from bandits.base import Feedback, Observation, State

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


def due(late: Late, shape: tuple[int, int], seed: int, *, first: int = 0, last: int | None = None) -> Ints:
    """Return `(S, n)`, the round after which each round's feedback is heard; `NEVER`, or after the last round, lost.

    Each seed's draws are its own, whatever the number of seeds, and so are those of each window of rounds.

    Args:
        late: how feedback comes.
        shape: `(S, T)` of the run.
        seed: of the run.
        first, last: the rounds wanted, `first` a multiple of `big.WINDOW`; all when left out.
    """
    seeds, rounds = shape
    delay = [
        np.concatenate(
            [late.delay(_own(seed, s, w.start // big.WINDOW), (1, w.stop - w.start)) for s in range(seeds)]
        )
        for w in big.slices(rounds)
        if first <= w.start < (rounds if last is None else last)
    ]
    together = np.concatenate(delay, axis=1)
    called = np.arange(first, first + together.shape[1])
    after = called + np.minimum(together, rounds)  # later than the last round is lost, however late
    batched = (after // late.batch + 1) * late.batch - 1
    return np.asarray(np.where(together == NEVER, NEVER, batched), np.int64)


def _own(seed: int, s: int, window: int) -> np.random.Generator:
    return np.random.default_rng([seed, s, 11, *([window] if window else [])])


def longest(late: Late, shape: tuple[int, int], seed: int) -> int:
    """Return the most rounds that anything of a run is waited for, window by window."""
    waits = [0]
    for w in big.slices(shape[1]):
        after = due(late, shape, seed, first=w.start, last=w.stop)
        wait = np.where((after != NEVER) & (after < shape[1]), after - np.arange(w.start, w.stop), 0)
        waits.append(int(wait.max()))
    return max(waits)


def heard(after: Ints, first: int, rounds: int) -> Ints:
    """Return `(S, rounds)`, how many of the rounds in `after (S, n)` are heard after each round from `first` on."""
    inside = (after >= first) & (after < first + rounds)  # never is below any round
    return np.stack(
        [np.bincount(row[ok] - first, minlength=rounds) for row, ok in zip(after, inside, strict=True)]
    )


@lru_cache(64)
def attentive(policy: Policy) -> Policy:
    """Return a policy that learns nothing of an outcome whose reward is NaN: it was called, paid, and never heard of.

    Built once a policy, since programs are compiled by identity.
    """

    def update(
        key: jax.Array, state: State, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Any:
        after = policy.update(key, state, observation, arm, feedback)
        heard = ~jnp.isnan(feedback.reward)
        return jax.tree.map(lambda new, old: jnp.where(heard, new, old), after, state)

    return policy._replace(update=update)


def outstanding(after: Ints) -> Ints:
    """Return `(S, T)`, how many rounds up to and including each are not heard yet once it is over.

    Args:
        after: from `due`; what never arrives stays outstanding.
    """
    rounds = after.shape[1]
    return np.asarray(np.arange(1, rounds + 1) - np.cumsum(heard(after, 0, rounds), axis=1))


class Timetable(NamedTuple):
    """What is heard when, in slots: after round `begin + t` the slots `first[t]` to `first[t + 1]`.

    Attributes:
        source: `(S, slots)` the round that each slot brings, `NEVER` where a seed has fewer than another; `(1, slots)`
            where all seeds hear alike.
        first: `(m + 1,)`.
        ring: a power of two above the longest wait, so that nothing is overwritten before it is heard.
        begin: the first of the `m` rounds.
    """

    source: Ints
    first: Ints
    ring: int
    begin: int = 0

    def chunk(self, begin: int, end: int) -> tuple[Ints, Ints]:
        """Return the slots of rounds `begin` to `end`, filled up to a power of two, and where each round's begin."""
        edges = self.first[begin - self.begin : end - self.begin + 1]
        part = self.source[:, edges[0] : edges[-1]]
        width = max(64, 1 << int(max(edges[-1] - edges[0] - 1, 0)).bit_length())
        padded = np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=NEVER)
        return padded, edges - edges[0]


def timetable(after: Ints, *, low: int = 0, begin: int = 0) -> Timetable:
    """Return the timetable of `due`'s rounds; what is due together is heard in the order in which it was called.

    Args:
        after: `(S, n)` of the rounds `low` to `low + n`.
        low: none before it is heard any more.
        begin: the first round of the timetable; it ends with `low + n`.
    """
    rounds = low + after.shape[1] - begin
    alike = bool((after == after[0]).all())
    after = after[:1] if alike else after
    inside = (after >= begin) & (after < begin + rounds)
    counts = heard(after, begin, rounds)
    first = np.concatenate([[0], np.cumsum(counts.max(axis=0))])
    source = np.full((len(after), int(first[-1])), NEVER, np.int64)
    longest = 0
    for s, (row, ok) in enumerate(zip(after - begin, inside, strict=True)):
        called = np.flatnonzero(ok)
        called = called[np.argsort(row[called], kind="stable")]
        place = np.arange(len(called)) - (np.cumsum(counts[s]) - counts[s])[row[called]]
        source[s, first[row[called]] + place] = called + low
        longest = max(longest, int((row[called] + begin - called - low).max(initial=0)))
    return Timetable(source, first, ring_of(longest), begin)


def ring_of(longest: int) -> int:
    """Return the places of a ring in which a round is kept for so many rounds."""
    return 1 << (longest + 1).bit_length()

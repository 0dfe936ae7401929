"""The line-up that is good without settings, and the preferences and seeds that it is played at."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bandits.decision.choices import ACCURACY, COST, measured
from bandits.decision.worths import best_by_worth
from bandits.experiment import ask as asks
from bandits.experiment.lineup import ranged
from bandits.experiment.play import finish
from bandits.loop.replay import Trace

if TYPE_CHECKING:
    from envs.stream import Stream

# One that weighs how far to trust the context, one that trusts it at once, and one that does without.
LINEUP = ("auto", "linucb,alpha=0.3,prior=1", "ucb1,alpha=0.1")
SEEDS = 20
FEWEST = 5  # seeds, however large the table
_SWEPT = 3  # worths at which policies play, besides that of accuracy alone
_ROUNDS = 1.2e6  # of the dearest policy, all seeds and preferences: about a minute and a half of one core
_USUAL = 16_000  # models x features squared, up to which a round takes about as long
_DEAR = 5.0  # calls of the dearest model that a right answer is worth where no break point says more: preference 0.2


class Played(NamedTuple):
    """What was played.

    Attributes:
        ask: of all policies; its preferences are those of `runs`.
        runs: a finished `Run` for each preference, with the traces of all policies.
        worths: of a right answer at each preference, in the table's unit of cost.
    """

    ask: asks.Ask
    runs: tuple[asks.Run, ...]
    worths: dict[str, float]


def sweep(stream: Stream, worth: float | None) -> dict[str, float]:
    """Return the preferences to play at as texts, and the worth of a right answer at each.

    The reward `u - p c / scale` is `u - c / w` at the preference `p = scale / w`. Where the worth is not known,
    policies play where the best single model changes: elsewhere one is plainly the best and there is less to gain.
    """
    if not stream.cost[stream.available].any():
        return {"0": math.inf}
    if worth is not None:
        return {f"{stream.cost_scale / worth:g}": worth}
    mean = _models(stream)
    ends = [p.high for p in best_by_worth(mean[:, ACCURACY], mean[:, COST]) if math.isfinite(p.high)]
    ends = ends or [_DEAR * stream.cost_scale]
    places = np.unique(np.linspace(0, len(ends) - 1, min(_SWEPT, len(ends))).round().astype(int))
    texts = {f"{stream.cost_scale / ends[i]:.3g}": 0.0 for i in places}
    return {"0": math.inf} | {text: stream.cost_scale / float(text) for text in texts}


def _models(stream: Stream) -> Any:
    """Return `(K, M)` means of the single models."""
    order = np.arange(len(stream), dtype=np.int32)[None]
    any_call = stream.available.argmax(axis=1).astype(np.int32)[None]
    whole = measured(stream, [("0", {"any": Trace(order, any_call)})])
    return whole.mean[whole.of("model")]


def play(
    stream: Stream,
    worth: float | None,
    *,
    policies: Sequence[str] = LINEUP,
    seeds: int = SEEDS,
    seed: int = 0,
    rounds: int | None = None,
    progress: Callable[[str, int], object] | None = None,
) -> Played:
    """Return the line-up played at each preference, all on the same seeds and orders.

    Policies that clip rewards to a range play by themselves: their range goes by the preference, so that they cannot
    play several side by side.

    Args:
        stream: a `Stream`.
        worth: of a right answer in the table's unit of cost; None: unknown.
        policies: specs.
        seeds, seed, rounds: as `replay` takes them.
        progress: called with a spec and the rounds done.

    Raises:
        ValueError: a spec is wrong.
    """
    worths = sweep(stream, worth)
    ask = asks.Ask(tuple(policies), preference=",".join(worths), seeds=seeds, seed=seed, rounds=rounds)
    apart = [[p for p in policies if ranged(p) is own] for own in (False, True)]
    parts = [list(finish(stream, ask._replace(policies=tuple(own)), progress)) for own in apart if own]
    runs = []
    for same in zip(*parts, strict=True):
        traces = {spec: trace for run in same for spec, trace in run.traces.items()}
        runs.append(same[-1]._replace(traces={spec: traces[spec] for spec in policies}))
    return Played(ask, tuple(runs), worths)


def affordable_seeds(stream: Stream, preferences: int, rounds: int | None = None) -> int:
    """Return how many seeds fit into about a minute of two cores: `SEEDS`, fewer where the table is large.

    A round of the dearest policy takes about as long up to a usual number of models and features, then as these grow.
    """
    each = preferences * (rounds or len(stream)) * max(1.0, stream.n_arms * stream.dim**2 / _USUAL)
    return int(np.clip(_ROUNDS // each, FEWEST, SEEDS))

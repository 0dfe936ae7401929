"""What each choice got, by seed and by cluster of queries: all that a decision is made from.

Letters: `P` choices, `S` seeds, `G` clusters of queries. A choice is a policy at one preference, a single model (the
fixed choice of it, with the fall-back where it has no outcome) or a mixture of two choices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.loop.replay import Trace
from bandits.metrics.intervals import AMOUNT, SHARE, clustered, student
from bandits.metrics.regret import comparator, earned_by, played, rewards
from bandits.results.by_query import clusters

if TYPE_CHECKING:
    from envs.stream import Stream

Floats = NDArray[np.float64]
MEASURES = ("accuracy", "cost", "latency")  # `M`, in this order, on the last axis
ACCURACY, COST, LATENCY = range(3)


class Choices(NamedTuple):
    """What `P` choices got, all on the same queries in the same orders.

    Attributes:
        names: `P`, each once.
        kinds: `P`: policy, model or mixture.
        specs: `P`, a policy's spec, else "".
        preferences: `P`, the weight on cost that a policy played at, as the run's text; else "".
        by_seed: `(S, P, M)` means a query.
        by_cluster: `(G, P, M)` sums over all rounds and seeds.
        rounds: `(G,)` rounds of each cluster, over all seeds.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    specs: tuple[str, ...]
    preferences: tuple[str, ...]
    by_seed: Floats
    by_cluster: Floats
    rounds: NDArray[np.int64]

    @property
    def mean(self) -> Floats:
        """`(P, M)` means a query."""
        return np.asarray(self.by_cluster.sum(axis=0) / self.rounds.sum())

    def of(self, kind: str) -> list[int]:
        """Return the places of one kind."""
        return [i for i, found in enumerate(self.kinds) if found == kind]

    def interval(self) -> tuple[Floats, Floats]:
        """Return the ends `(P, M)` of the 95 % interval of each mean: over queries or over seeds, whichever is wider.

        Both are centred at the mean where every seed has as many rounds, so the wider one holds the other; neither
        passes what the measure can be.
        """
        within = tuple(np.array([SHARE, AMOUNT, AMOUNT]).T)  # of accuracy, cost and latency
        over = clustered(self.by_cluster, self.rounds).within(within)
        low, high = student(self.by_seed, within=within)
        return np.fmin(over.lo, low), np.fmax(over.hi, high)


def measured(stream: Stream, runs: Sequence[tuple[str, Mapping[str, Trace]]]) -> Choices:
    """Return what policies and single models got.

    Args:
        stream: a `Stream` of `N` rows.
        runs: each preference as text, and the traces of its policies by spec; all of the same orders.

    Raises:
        ValueError: traces of different orders, or one that does not fit the stream.
    """
    sheets = [stream.utility, stream.cost, _latency(stream)]
    order = next(iter(runs[0][1].values())).order
    code = np.unique(clusters(stream), return_inverse=True)[1]
    names, kinds, specs, texts, seeds, sums = [], [], [], [], [], []
    several = len(runs) > 1
    for text, traces in runs:
        for spec, trace in traces.items():
            if not np.array_equal(trace.order, order):
                raise ValueError(f"choices need the same seeds and orders; {spec} differs")
            names.append(f"{spec} at preference {text}" if several else spec)
            kinds.append("policy")
            specs.append(spec)
            texts.append(text)
            got = np.stack([rewards(sheet, trace) for sheet in sheets], axis=-1)  # (S, T, M)
            seeds.append(got.mean(axis=1))
            sums.append(_summed(got, code[order], code.max() + 1))
    often = played(order, len(stream))
    for k, model in enumerate(stream.models):
        arms = comparator(stream.utility, k)
        rows = np.stack([earned_by(sheet, arms) for sheet in sheets], axis=-1)  # (N, M)
        names.append(model)
        kinds.append("model")
        specs.append("")
        texts.append("")
        seeds.append(rows[order].mean(axis=1))
        sums.append(_summed(rows * often[:, None], code, code.max() + 1))
    counts = np.bincount(code, often, code.max() + 1).astype(np.int64)
    kept = counts > 0
    by_cluster = np.stack(sums, axis=1)[kept]
    return Choices(
        tuple(names),
        tuple(kinds),
        tuple(specs),
        tuple(texts),
        np.stack(seeds, axis=1),
        by_cluster,
        counts[kept],
    )


def added(choices: Choices, name: str, parts: Sequence[tuple[int, float]]) -> Choices:
    """Return the choices and a mixture of them: each of `parts` is a place and the share of queries that it answers."""

    def mixed(values: Floats) -> Floats:
        new = sum(share * values[:, place] for place, share in parts)
        return np.concatenate([values, np.asarray(new)[:, None]], axis=1)

    return Choices(
        (*choices.names, name), (*choices.kinds, "mixture"), (*choices.specs, ""), (*choices.preferences, ""),
        mixed(choices.by_seed), mixed(choices.by_cluster), choices.rounds,
    )  # fmt: skip


def _summed(got: Floats, code: NDArray[np.intp], groups: int) -> Floats:
    flat = code.ravel()
    return np.stack([np.bincount(flat, got[..., m].ravel(), groups) for m in range(len(MEASURES))], axis=-1)


def _latency(stream: Stream) -> Floats:
    """Return `(N, K)` seconds: where a call's is not recorded, the mean of its model's; 0 where none are."""
    if stream.latency is None:
        return np.where(stream.available, 0.0, np.nan)
    recorded = np.where(stream.available, stream.latency, np.nan)
    known = ~np.isnan(recorded)
    mean = np.nansum(recorded, axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(stream.available & ~known, mean, recorded)

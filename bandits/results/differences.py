"""Paired differences between players, by dataset and overall, from the rows of `by_dataset` alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.intervals import ANYTHING, SHARES_APART, Estimate, clustered, paired
from bandits.metrics.verdict import judge
from bandits.results.by_dataset import MEASURES, REGRETS
from bandits.rows import counted

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
OVERALL = "all datasets"


class Queries(NamedTuple):
    """What `P` players got with each of `N` queries, means over all rounds and seeds.

    Attributes:
        dataset, cluster, rounds: `(N,)`; near copies share a cluster; below 0 it is a batch of queries (`cells`).
        value: measure -> `(N, P)`.
        known: what `places` has found so far.
    """

    dataset: NDArray[np.object_]
    cluster: NDArray[np.int64]
    rounds: NDArray[np.int64]
    value: dict[str, Floats]
    known: dict[str, tuple[Ints, Ints]]

    def counted(self, clusters: int) -> str:
        """Return so many clusters in words, and that some are batches where there are any."""
        return counted(clusters, "query", "queries") + " and batches of queries" * bool(
            (self.cluster < 0).any()
        )

    def places(self, dataset: str) -> tuple[Ints, Ints]:
        """Return the rows of a data set, all for `OVERALL`, and the number of each one's cluster among them."""
        if dataset not in self.known:
            rows = np.flatnonzero((self.dataset == dataset) | (dataset == OVERALL))
            self.known[dataset] = rows, np.unique(self.cluster[rows], return_inverse=True)[1]
        return self.known[dataset]

    def between(
        self, measure: str, first: Sequence[int], second: Sequence[int], dataset: str
    ) -> tuple[Estimate, int]:
        """Return the differences of pairs of players `(pairs,)` in a data set, and its number of clusters."""
        own, code = self.places(dataset)
        value, rounds = self.value[measure], self.rounds[own]
        sums = np.empty((code.max(initial=-1) + 1, len(first)))
        for i, (a, b) in enumerate(zip(first, second, strict=True)):
            sums[:, i] = np.bincount(code, (value[own, a] - value[own, b]) * rounds)
        asked = np.bincount(code, rounds)
        return clustered(sums, asked), int((asked > 0).sum())


class Scores(NamedTuple):
    """What `P` players got in `D` datasets with each of `S` seeds.

    Attributes:
        players, kinds: `P` names and kinds (policy, reference, model).
        datasets: `D` names; where there are several, `OVERALL` comes first and is all of them together.
        value: measure -> `(S, P, D)`: `reward`, `accuracy` and `cost` a round, `regret_*` a run; NaN where a seed
            asked nothing of the data set.
        queries: the same players query by query, where that is known.
    """

    players: tuple[str, ...]
    kinds: tuple[str, ...]
    datasets: tuple[str, ...]
    value: dict[str, Floats]
    queries: Queries | None = None

    def of(self, measure: str, player: str) -> Floats:
        """Return `(S, D)` of one player."""
        return self.value[measure][:, self.players.index(player)]


def scores(frame: pd.DataFrame, queries: pd.DataFrame | None = None) -> Scores:
    """Return the rows of `by_dataset` as arrays, with the datasets together in front.

    Args:
        frame: from `by_dataset`.
        queries: from `by_query`, where there is one: without, no verdict is possible.

    Raises:
        ValueError: a column is lacking.
    """
    needed = ("policy", "kind", "dataset", "seed", "rounds", *MEASURES, *REGRETS)
    if missing := [name for name in needed if name not in frame.columns]:
        raise ValueError(
            f"by_dataset needs the column {missing[0]}, got {', '.join(map(str, frame.columns))}"
        )
    kinds = dict(zip(frame["policy"], frame["kind"], strict=True))
    datasets = sorted(set(frame["dataset"]))
    place = (
        frame["seed"].to_numpy(),
        frame["policy"].map({name: i for i, name in enumerate(kinds)}).to_numpy(),
        frame["dataset"].map({name: i for i, name in enumerate(datasets)}).to_numpy(),
    )
    shape = (int(place[0].max()) + 1, len(kinds), len(datasets))

    def spread(name: str) -> Floats:
        values = np.full(shape, np.nan)
        values[place] = frame[name]
        return values

    rounds, value = np.nan_to_num(spread("rounds")), {}
    for name in (*MEASURES, *REGRETS):
        each = spread(name)
        weighed = each * rounds if name in MEASURES else each
        whole = np.nansum(weighed, axis=2, keepdims=True)
        if name in MEASURES:
            whole /= np.maximum(rounds.sum(axis=2, keepdims=True), 1)
        whole[np.isnan(each).all(axis=2)] = np.nan
        value[name] = np.concatenate([whole, each], axis=2) if len(datasets) > 1 else each
    together = (OVERALL,) if len(datasets) > 1 else ()
    asked = None if queries is None else _by_query(queries, list(kinds))
    return Scores(tuple(kinds), tuple(kinds.values()), (*together, *datasets), value, asked)


def _by_query(frame: pd.DataFrame, players: list[str]) -> Queries:
    needed = [f"{measure}:{name}" for measure in MEASURES for name in players]
    if missing := [name for name in ("dataset", "cluster", "rounds", *needed) if name not in frame.columns]:
        raise ValueError(f"by_query needs the column {missing[0]}, got {', '.join(frame.columns[:9])}")
    value = {m: frame[[f"{m}:{name}" for name in players]].to_numpy(np.float64) for m in MEASURES}
    dataset, cluster, rounds = (frame[name].to_numpy() for name in ("dataset", "cluster", "rounds"))
    return Queries(dataset, cluster, rounds, value, {})


def against(got: Scores, baseline: str) -> list[tuple[str, str]]:
    """Return the pairs of each policy and one player.

    Raises:
        ValueError: no player of that name.
    """
    if baseline not in got.players:
        raise ValueError(f"no player {baseline!r} to compare with; there are {', '.join(got.players)}")
    policies = (name for name, kind in zip(got.players, got.kinds, strict=True) if kind == "policy")
    return [(name, baseline) for name in policies if name != baseline]


def paired_differences(
    got: Scores, pairs: Sequence[tuple[str, str]], *, measures: Sequence[str] = MEASURES
) -> pd.DataFrame:
    """Return how far the first player of each pair is from the second, paired over shared seeds.

    Args:
        got: from `scores`.
        pairs: names of players, for example from `against`.
        measures: which of `MEASURES`.

    Returns:
        A frame with the columns policy, against, dataset, measure, difference (policy minus `against`), its 95 %
        interval over seeds lo and hi, over queries queries_lo and queries_hi, `p`, the larger p-value of the paired
        t-tests over seeds and over queries, and `p_holm`, adjusted for all pairs and datasets of one measure (the
        datasets together are a family of their own); `queries`, the clusters of queries that it stands on, `shown`,
        whether it holds at 5 % by `metrics.verdict.judge`, and `why` it does not.
    """
    import pandas as pd

    first, second = ([got.players.index(name) for name in side] for side in zip(*pairs, strict=True))
    together = np.array([name == OVERALL for name in got.datasets])
    family = np.broadcast_to(~together, (len(pairs), len(together))).astype(np.int64)
    frames = []
    for measure in measures:
        mine, theirs = (got.value[measure][:, side] for side in (first, second))
        within = SHARES_APART if measure == "accuracy" else ANYTHING
        seeds = paired(mine, theirs).within(within)
        queries, clusters = _over_queries(got, measure, first, second)
        found = judge(seeds, queries, seeds=len(mine), queries=clusters, family=family)
        columns = {
            "difference": seeds.mean, "lo": seeds.lo, "hi": seeds.hi, "queries_lo": queries.lo,
            "queries_hi": queries.hi, "p": found.p, "p_holm": found.p_holm,
            "queries": np.broadcast_to(clusters, found.p.shape), "shown": found.shown, "why": found.why,
        }  # fmt: skip
        names = {
            "policy": np.repeat([name for name, _ in pairs], len(got.datasets)),
            "against": np.repeat([name for _, name in pairs], len(got.datasets)),
            "dataset": np.tile(got.datasets, len(pairs)),
            "measure": measure,
        }
        frames.append(pd.DataFrame(names | {k: v.ravel() for k, v in columns.items()}))
    return pd.concat(frames, ignore_index=True)


def _over_queries(
    got: Scores, measure: str, first: list[int], second: list[int]
) -> tuple[Estimate, NDArray[np.int64]]:
    """Return the differences over queries `(pairs, D)`, all NaN where they are not known, and the clusters `(D,)`."""
    shape = len(first), len(got.datasets)
    if got.queries is None:
        unknown = np.full(shape, np.nan)
        return Estimate(unknown, unknown, unknown, unknown), np.zeros(shape[1], np.int64)
    parts = [got.queries.between(measure, first, second, dataset) for dataset in got.datasets]
    stacked = Estimate(*(np.stack(column, axis=1) for column in zip(*(e for e, _ in parts), strict=True)))
    within = SHARES_APART if measure == "accuracy" else ANYTHING
    return stacked.within(within), np.array([clusters for _, clusters in parts])

"""Is there anything to gain? What routers that are told every model's outcome earn more than the best fixed model.

Nested cross-validation over clusters of near copies (Varma and Simon 2006, BMC Bioinformatics 7:91): outer folds
measure; in each, the learner is chosen on a third of the other rows, held out from what it learned there, the best
fixed model among the candidates; then it learns from all of them. So choosing adds nothing to what is measured, and
every row is measured once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.ceiling.learners import LEARNERS, QUICK, Floats, Learner, Seen, ridge, single_thread
from bandits.metrics.intervals import SHARES_APART, Estimate, clustered
from bandits.metrics.regret import comparator
from bandits.metrics.significance import holm
from bandits.metrics.verdict import ALPHA, FEWEST_QUERIES
from bandits.results.by_query import clusters
from bandits.rewards import linear, reward_table

if TYPE_CHECKING:
    from envs.stream import Stream

Ints = NDArray[np.int64]
WEIGHTS = (0.0, 0.05, 0.2, 0.5, 1.0)  # on cost, the preferences of reward `linear`
SAVING = (0.0, *(float(w) for w in np.geomspace(0.003, 10, 12)))  # among which the saving is looked for
OUTER, PARTS = 5, 3  # outer folds; of what one learns from, one part in three is held out for choosing
FIXED = "best fixed"


class Fold(NamedTuple):
    """One outer fold: `h` rows held out for choosing, `m` to measure on.

    Attributes:
        held, test: `(h,)` and `(m,)` row numbers.
        inside, outside: by learner, `(h, K)` and `(m, K)` predicted utility of both, the one learned from the rows that
            are neither, the other from all but `test`.
        dear, dearer: `(h, K)` and `(m, K)` predicted cost in units of the scale, likewise.
    """

    held: Ints
    test: Ints
    inside: dict[str, Floats]
    outside: dict[str, Floats]
    dear: Floats
    dearer: Floats


class Gain(NamedTuple):
    """What routing is worth on a table.

    Attributes:
        rows: a dictionary for each weight and learner: `weight`, `learner` (`chosen` on held-out rows, or one by
            itself), `fixed` (the best fixed model), `gain` in reward a query with `lo`, `hi`, `p` over clusters,
            `shown` (Holm's correction over all of them), `accuracy` and `cost` of the router.
        saving: the least cost that keeps the accuracy of the most accurate model, as held-out rows say: `model`,
            `saved` (share of its cost), and `accuracy`, what it gains, with `lo` and `hi`; None where nothing costs.
    """

    rows: tuple[dict[str, Any], ...]
    saving: dict[str, Any] | None

    @property
    def chosen(self) -> list[dict[str, Any]]:
        """The rows of what was chosen, by weight."""
        return [row for row in self.rows if row["learner"] == "chosen"]


def gain(
    stream: Stream,
    *,
    weights: Sequence[float] = WEIGHTS,
    boosted: bool = True,
    rows: int = 5000,
    seed: int = 0,
) -> Gain:
    """Return what full-information routers gain over the best fixed model, and what they save.

    Args:
        stream: a `Stream` without changes.
        weights: on cost; 0 alone is used where nothing costs.
        boosted: with gradient boosting among the learners, which takes most of the time.
        rows: at most so many are used, whole clusters drawn at random.
        seed: of the draw and of the folds.

    Raises:
        ValueError: fewer clusters of near copies than a verdict needs.
    """
    cluster, kept = _drawn(clusters(stream), rows, seed)
    groups = int(cluster.max()) + 1
    if groups < FEWEST_QUERIES:
        raise ValueError(
            f"--gain needs at least {FEWEST_QUERIES} queries that are not near copies, got {groups}"
        )
    utility = np.asarray(stream.utility[kept], np.float64)
    cost = np.asarray(stream.cost[kept], np.float64) / stream.cost_scale
    tables = {w: reward_table(linear, stream, w)[kept] for w in (weights if np.nansum(cost) else (0.0,))}
    names = np.unique(stream.dataset.astype(str)[kept], return_inverse=True)[1]
    seen = Seen(stream.context[kept, :-1].astype(np.float64), names.astype(np.int64))
    learners = {name: LEARNERS[name] for name in (LEARNERS if boosted else QUICK)}
    with single_thread(boosted=boosted):
        folds = _folds(seen, utility, cost, cluster, learners, seed)
    found = [
        _row(w, name, table, arms, utility, cost * stream.cost_scale, cluster, stream.models)
        for w, table in tables.items()
        for name, arms in _routed(w, table, folds).items()
    ]
    p = np.array([row["p"] for row in found])
    for row, adjusted in zip(found, holm(p), strict=True):
        row["shown"] = bool(adjusted < ALPHA)
    saved = _saved(utility, cost, folds, cluster, stream.models) if np.nansum(cost) else None
    return Gain(tuple(found), saved)


def _drawn(cluster: NDArray[np.intp], rows: int, seed: int) -> tuple[Ints, Ints]:
    """Return numbers of clusters from 0 and the rows that are kept."""
    order = np.random.default_rng([seed, 1]).permutation(cluster.max() + 1)
    size = np.bincount(cluster)[order].cumsum()
    taken = order[: max(int((size <= rows).sum()), 1)]
    kept = np.flatnonzero(np.isin(cluster, taken))
    return np.unique(cluster[kept], return_inverse=True)[1].astype(np.int64), kept.astype(np.int64)


def _folds(
    seen: Seen, utility: Floats, cost: Floats, cluster: Ints, learners: Mapping[str, Learner], seed: int
) -> list[Fold]:
    """Return the outer folds with every prediction that choosing and measuring needs."""
    drawn = [np.random.default_rng([seed, i]).permutation(int(cluster.max()) + 1)[cluster] for i in (2, 3)]
    found = []
    for f in range(OUTER):
        test, learn = np.flatnonzero(drawn[0] % OUTER == f), drawn[0] % OUTER != f
        held = np.flatnonzero(learn & (drawn[1] % PARTS == 0))
        said, dear = [], []
        for past, coming in ((learn & (drawn[1] % PARTS > 0), held), (learn, test)):
            rows = np.flatnonzero(past)
            said.append(
                {k: one(seen.at(rows), utility[rows], seen.at(coming)) for k, one in learners.items()}
            )
            dear.append(_cost(seen, cost, rows, coming))
        found.append(Fold(held, test, said[0], said[1], dear[0], dear[1]))
    return found


def _cost(seen: Seen, cost: Floats, past: Ints, coming: Ints) -> Floats:
    if not np.nansum(cost):
        return np.zeros((len(coming), cost.shape[1]))
    return ridge(seen.at(past), cost[past], seen.at(coming))


def _called(said: Floats, dear: Floats, weight: float, known: NDArray[np.bool_]) -> Ints:
    """Return the arms of the highest predicted reward among those that can be called."""
    return np.asarray(np.where(known, said - weight * dear, -np.inf).argmax(axis=1), np.int64)


def _routed(weight: float, table: Floats, folds: Sequence[Fold]) -> dict[str, Ints]:
    """Return the arms `(N,)` of each learner by itself, and of the one that held-out rows chose."""
    known = ~np.isnan(table)
    names = [*folds[0].inside, "chosen"]
    arms = {name: np.empty(len(table), np.int64) for name in names}
    for fold in folds:
        own, rows = table[fold.held], np.arange(len(fold.held))
        fixed = comparator(own, FIXED.replace(" ", "_"))
        level = {FIXED: own[rows, fixed].mean()}
        for name, said in fold.inside.items():
            level[name] = own[rows, _called(said, fold.dear, weight, known[fold.held])].mean()
            arms[name][fold.test] = _called(fold.outside[name], fold.dearer, weight, known[fold.test])
        best = max(level, key=lambda name: level[name])
        model = int(np.bincount(fixed).argmax())
        arms["chosen"][fold.test] = (
            comparator(table[fold.test], model) if best == FIXED else arms[best][fold.test]
        )
    return arms


def _row(
    weight: float, name: str, table: Floats, arms: Ints, utility: Floats, cost: Floats, cluster: Ints,
    models: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    rows, fixed = np.arange(len(table)), comparator(table, "best_fixed")
    found = _clustered(table[rows, arms] - table[rows, fixed], cluster)
    return {
        "weight": weight,
        "learner": name,
        "fixed": models[int(np.bincount(fixed).argmax())],
        "gain": float(found.mean),
        "lo": float(found.lo),
        "hi": float(found.hi),
        "p": float(found.p),
        "accuracy": float(utility[rows, arms].mean()),
        "cost": float(cost[rows, arms].mean()),
    }


def _clustered(difference: Floats, cluster: Ints) -> Estimate:
    return clustered(np.bincount(cluster, difference), np.bincount(cluster))


def _saved(
    utility: Floats, cost: Floats, folds: Sequence[Fold], cluster: Ints, models: Sequence[str]
) -> dict[str, Any]:
    """Return what the cheapest way costs that held-out rows say to be as accurate as the most accurate model."""
    rows, arms, known = np.arange(len(utility)), np.empty(len(utility), np.int64), ~np.isnan(utility)
    most = comparator(utility, "best_fixed")
    for fold in folds:
        sides = utility[fold.held], utility[fold.test]
        ways = [tuple(comparator(side, k).astype(np.int64) for side in sides) for k in range(len(models))]
        for name, said in fold.inside.items():
            for w in SAVING:
                inside = _called(said, fold.dear, w, known[fold.held])
                ways.append((inside, _called(fold.outside[name], fold.dearer, w, known[fold.test])))
        at = np.arange(len(fold.held))
        right = np.array([utility[fold.held][at, inside].mean() for inside, _ in ways])
        spent = np.array([cost[fold.held][at, inside].mean() for inside, _ in ways])
        enough = right >= right[: len(models)].max()
        arms[fold.test] = ways[int(np.where(enough, spent, np.inf).argmin())][1]
    found = _clustered(utility[rows, arms] - utility[rows, most], cluster).within(SHARES_APART)
    return {
        "model": models[int(np.bincount(most).argmax())],
        "saved": float(1 - cost[rows, arms].mean() / cost[rows, most].mean())
        if cost[rows, most].any()
        else 0.0,
        "accuracy": float(found.mean),
        "lo": float(found.lo),
        "hi": float(found.hi),
    }

"""MMR-Bench's protocol (arXiv 2601.17814): full-information routers, trained on a share, scored on the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics import curve
from bandits.metrics.curve import Path
from bandits.metrics.intervals import student
from bandits.mmrbench import contest, modes, resampling, scores, splits, trial
from envs.outcomes import Outcomes

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.floating[Any]]
Row = dict[str, Any]


class Protocol(NamedTuple):
    """How routers are trained and tested.

    Attributes:
        dataset: `all`, or datasets and scenarios joined by `+`.
        mode: two digits, what training and test see: 1 text, 2 both, 3 image.
        split: `in`, `out` or `cross`, see `splits.make`.
        train_share: of the queries (`in`) or datasets (`out`) that train, in (0, 1).
        routers: specs such as `knn,k=25` or `mine.py:router`, or `all`.
        random_state: of the split and of routers that draw; repetition `s` uses `random_state + s`.
        seeds: repetitions, >= 1; scores are their means.
        missing: outcomes not recorded are filled with the model's `mean` over the selected queries (published),
            or left out of training and of choice (`drop`).
        resamples: of the bootstrap over queries, >= 1; fewer than 1,000 are too few for an interval to rely on.
    """

    dataset: str = "all"
    mode: str = "22"
    split: str = "in"
    train_share: float = 0.2
    routers: Sequence[str] = ("all",)
    random_state: int = 42
    seeds: int = 1
    missing: str = "mean"
    resamples: int = 2000


class _Entry(NamedTuple):
    """A router with its paths, one a repetition."""

    maker: trial.Maker
    paths: list[Path]


class _Part(NamedTuple):
    """One split: its repetitions, the routers' paths, and which rows of the table are near copies."""

    cases: list[trial.Case]
    entries: list[_Entry]
    unit: NDArray[np.intp]


def evaluate(outcomes: Outcomes, **settings: Any) -> list[Row]:
    """Return one row for each split and router, in the order asked.

    Args:
        outcomes: the whole table, with embeddings, or with questions to embed (`modes.embedded`).
        settings: the fields of `Protocol`.

    Returns:
        Rows with `dataset, mode, split, router, n_train, n_test, nAUC, Ps, QNC, n_pareto, best_single`, the other
        scores of `scores.score`, and `behind`: how far Ps lies below that of the best learned router. `_lo` and
        `_hi` are 95 % BCa intervals over resampled queries, the same resamples for every router, so that
        differences are paired; `_seed_lo` and `_seed_hi` are over repetitions, NaN with fewer than two. Then the
        columns of `contest.columns`: which router is shown to beat the best single model, and at what.

    Raises:
        ValueError: with one line that names the setting, what it needs and what it got.
    """
    protocol = Protocol(**settings)
    return _finished(outcomes, list(_played(outcomes, protocol)), protocol)


def frontier_points(outcomes: Outcomes, **settings: Any) -> pd.DataFrame:
    """Return the frontier of each router as a tidy frame, to be drawn beside online policies.

    Args:
        outcomes: the whole table, with embeddings.
        settings: the fields of `Protocol`; the first repetition is drawn.

    Returns:
        Columns `dataset, router, kind` (`router` or `reference`), `threshold` (on predicted cost), `cost` and
        `utility` (means over the test queries), by ascending cost.
    """
    import pandas as pd

    played = _played(outcomes, Protocol(**{**settings, "seeds": 1}))
    return pd.concat([_drawn(part) for part in played], ignore_index=True)


def scores_and_points(outcomes: Outcomes, **settings: Any) -> tuple[list[Row], pd.DataFrame]:
    """Return what `evaluate` and `frontier_points` return, with every router trained once for both."""
    import pandas as pd

    protocol = Protocol(**settings)
    played = list(_played(outcomes, protocol))
    drawn = pd.concat([_drawn(part) for part in played], ignore_index=True)
    return _finished(outcomes, played, protocol), drawn


def sides(outcomes: Outcomes, **settings: Any) -> tuple[Outcomes, splits.Split]:
    """Return the selected queries, models in alphabetical order, and the first split of them: what `evaluate` uses."""
    protocol = Protocol(**settings)
    table, datasets = splits.select(outcomes, protocol.dataset)
    return table, _splits(table, datasets, protocol, 0)[0]


def held_out(outcomes: Outcomes, **settings: Any) -> list[str]:
    """Return the ids of the test queries of the first split, for an online run on the same stream."""
    table, split = sides(outcomes, **settings)
    return [str(name) for name in table.query_id[split.test]]


def printable(value: Any) -> Any:
    """Return a row, or any nest of lists and dicts, ready for JSON: inf and NaN become "inf" and "nan"."""
    if isinstance(value, dict):
        return {k: printable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _splits(
    table: Outcomes, datasets: tuple[str, ...], protocol: Protocol, repetition: int
) -> list[splits.Split]:
    seed = protocol.random_state + repetition
    return splits.make(table, protocol.dataset, datasets, protocol.split, protocol.train_share, seed)


def _played(outcomes: Outcomes, protocol: Protocol) -> Iterator[_Part]:
    """Yield each split."""
    modes.parse(protocol.mode)
    for name in ("seeds", "resamples"):
        if getattr(protocol, name) < 1:
            raise ValueError(f"{name} needs to be 1 or more, got {getattr(protocol, name)}")
    table, datasets = splits.select(outcomes, protocol.dataset)
    table = modes.embedded(table)
    makers = trial.makers(tuple(protocol.routers))
    repetitions = range(protocol.seeds)
    drawn = [_splits(table, datasets, protocol, s) for s in repetitions]
    for parts in zip(*drawn, strict=True):
        cases = [trial.case(table, part, protocol.missing) for part in parts]
        entries = []
        for maker in makers:
            seeds = (protocol.random_state + s for s in repetitions)
            paths = [trial.walk(maker, c, protocol.mode, seed) for c, seed in zip(cases, seeds, strict=True)]
            entries.append(_Entry(maker, paths))
        yield _Part(cases, entries, splits.units(table))


def _finished(outcomes: Outcomes, played: Sequence[_Part], protocol: Protocol) -> list[Row]:
    """Return the rows of all splits, judged together."""
    rivals = [_contest(part, protocol) for part in played]
    own, between = contest.columns(rivals), contest.pairs(rivals)
    common = {"seeds": protocol.seeds, "label": outcomes.label}
    rows = []
    for part, rival, found, differ in zip(played, rivals, own, between, strict=True):
        made, leader = _rows(part, protocol)
        for row in made:
            name = row["router"]
            judged = {"single": rival.single} | found.get(name, contest.REFERENCE)
            if leader is not None:
                judged["behind_p"] = differ.get((leader, name), math.nan)
            rows.append(row | judged | common)
    return rows


def _contest(part: _Part, protocol: Protocol) -> contest.Contest:
    learned = {e.maker.spec: e.paths for e in part.entries if e.maker.learns}
    return contest.contest(part.cases, learned, part.unit, protocol.random_state)


def _drawn(part: _Part) -> pd.DataFrame:
    """Return the frontiers of one split's routers in their first repetition."""
    import pandas as pd

    frames, cases = [], part.cases
    for maker, paths in part.entries:
        cost, utility = curve.points(paths[0], cases[0].true.utility, cases[0].true.cost)
        kept = curve.frontier(cost, utility)
        kind = "router" if maker.learns else "reference"
        about = {"dataset": cases[0].split.name, "router": maker.spec, "kind": kind}
        points = {"threshold": paths[0].threshold[kept], "cost": cost[kept], "utility": utility[kept]}
        frames.append(pd.DataFrame(about | points))
    return pd.concat(frames, ignore_index=True)


def _rows(part: _Part, protocol: Protocol) -> tuple[list[Row], str | None]:
    """Return the rows of one split, its intervals from resamples that all routers share, and the leader's spec."""
    cases, entries = part.cases, part.entries
    plan = resampling.scheme(part.unit, protocol.resamples, protocol.random_state)
    values = [[scores.score(p, c.true) for p, c in zip(e.paths, cases, strict=True)] for e in entries]
    means = [{name: _mean([v[name] for v in many]) for name in many[0]} for many in values]
    drawn = [
        resampling.resampled(e.paths, cases, np.array([mean[name] for name in scores.RESAMPLED]), plan)
        for e, mean in zip(entries, means, strict=True)
    ]
    learned = [i for i, e in enumerate(entries) if e.maker.learns]
    leader = max(learned, key=lambda i: means[i]["Ps"]) if learned else None
    rows = []
    for i, entry in enumerate(entries):
        row = _about(cases[0], entry.maker, protocol) | means[i] | _intervals(drawn[i], values[i])
        if leader is not None:
            low, high = drawn[leader].less(drawn[i]).interval("Ps")
            row |= {"behind": means[leader]["Ps"] - means[i]["Ps"], "behind_lo": low, "behind_hi": high}
        rows.append(row)
    return rows, None if leader is None else entries[leader].maker.spec


def _about(case: trial.Case, maker: trial.Maker, protocol: Protocol) -> Row:
    best = case.true.best
    single = {
        "model_id": best,
        "model_name": case.test.models[best],
        "accuracy": float(case.true.model_utility[best]),
        "avg_cost": float(case.true.model_cost[best]),
    }
    return {
        "dataset": case.split.name,
        "mode": protocol.mode,
        "split": protocol.split,
        "router": maker.spec,
        "kind": "router" if maker.learns else "reference",
        "n_train": len(case.split.train),
        "n_test": len(case.split.test),
        "best_single": single,
    }


def _mean(values: list[float]) -> float:
    """Return the mean over repetitions; a single value stays what it is, an integer included."""
    return values[0] if len(values) == 1 else float(np.mean(values))


def _intervals(drawn: resampling.Resampled, many: list[dict[str, float]]) -> Row:
    """Return the intervals over queries and over repetitions of the resampled scores."""
    row: Row = {}
    for name in scores.RESAMPLED:
        row[f"{name}_lo"], row[f"{name}_hi"] = drawn.interval(name)
        with np.errstate(invalid="ignore"):  # a cost to match that is never reached has no mean
            low, high = student([v[name] for v in many])
        row[f"{name}_seed_lo"], row[f"{name}_seed_hi"] = float(low), float(high)
    return row

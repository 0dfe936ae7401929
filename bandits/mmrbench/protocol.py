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
from bandits.mmrbench import modes, scores, splits, trial
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
        resamples: of the bootstrap over queries, >= 1.
    """

    dataset: str = "all"
    mode: str = "22"
    split: str = "in"
    train_share: float = 0.2
    routers: Sequence[str] = ("all",)
    random_state: int = 42
    seeds: int = 1
    missing: str = "mean"
    resamples: int = 200


class _Entry(NamedTuple):
    """A router with its paths, one a repetition."""

    maker: trial.Maker
    paths: list[Path]


def evaluate(outcomes: Outcomes, **settings: Any) -> list[Row]:
    """Return one row for each split and router, in the order asked.

    Args:
        outcomes: the whole table, with embeddings, or with questions to embed (`modes.embedded`).
        settings: the fields of `Protocol`.

    Returns:
        Rows with `dataset, mode, split, router, n_train, n_test, nAUC, Ps, QNC, n_pareto, best_single`, the other
        scores of `scores.score`, and `behind`: how far Ps lies below that of the best learned router. `_lo` and
        `_hi` are 95 % intervals over resampled queries, the same resamples for every router, so that
        differences are paired; `_seed_lo` and `_seed_hi` are over repetitions, NaN with fewer than two.

    Raises:
        ValueError: with one line that names the setting, what it needs and what it got.
    """
    protocol = Protocol(**settings)
    played = _played(outcomes, protocol)
    return [row for cases, entries, n in played for row in _scored(outcomes, cases, entries, n, protocol)]


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
    return pd.concat([_drawn(cases, entries) for cases, entries, _ in played], ignore_index=True)


def scores_and_points(outcomes: Outcomes, **settings: Any) -> tuple[list[Row], pd.DataFrame]:
    """Return what `evaluate` and `frontier_points` return, with every router trained once for both."""
    import pandas as pd

    protocol = Protocol(**settings)
    rows: list[Row] = []
    frames = []
    for cases, entries, n in _played(outcomes, protocol):
        rows += _scored(outcomes, cases, entries, n, protocol)
        frames.append(_drawn(cases, entries))
    return rows, pd.concat(frames, ignore_index=True)


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


def _played(outcomes: Outcomes, protocol: Protocol) -> Iterator[tuple[list[trial.Case], list[_Entry], int]]:
    """Yield, for each split, its repetitions, the routers' paths, and the number of queries they come from."""
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
        yield cases, entries, len(table)


def _scored(
    outcomes: Outcomes, cases: list[trial.Case], entries: list[_Entry], n: int, protocol: Protocol
) -> list[Row]:
    """Return the finished rows of one split, its intervals from resamples that all routers share."""
    weights = np.random.default_rng(protocol.random_state).multinomial(
        n, np.full(n, 1 / n), protocol.resamples
    )
    rows = _rows(cases, entries, weights, protocol)
    return [row | {"seeds": protocol.seeds, "label": outcomes.label} for row in rows]


def _drawn(cases: list[trial.Case], entries: list[_Entry]) -> pd.DataFrame:
    """Return the frontiers of one split's routers in their first repetition."""
    import pandas as pd

    frames = []
    for maker, paths in entries:
        cost, utility = curve.points(paths[0], cases[0].true.utility, cases[0].true.cost)
        kept = curve.frontier(cost, utility)
        kind = "router" if maker.learns else "reference"
        about = {"dataset": cases[0].split.name, "router": maker.spec, "kind": kind}
        points = {"threshold": paths[0].threshold[kept], "cost": cost[kept], "utility": utility[kept]}
        frames.append(pd.DataFrame(about | points))
    return pd.concat(frames, ignore_index=True)


def _rows(
    cases: list[trial.Case], entries: list[_Entry], weights: NDArray[np.integer[Any]], protocol: Protocol
) -> list[Row]:
    """Return the rows of one split."""
    draws = [
        np.mean(
            [
                scores.resample(p, c.true, weights[:, c.split.test])
                for p, c in zip(e.paths, cases, strict=True)
            ],
            axis=0,
        )
        for e in entries
    ]
    values = [[scores.score(p, c.true) for p, c in zip(e.paths, cases, strict=True)] for e in entries]
    peaks = [float(np.mean([v["Ps"] for v in many])) for many in values]
    learned = [i for i, e in enumerate(entries) if e.maker.learns]
    leader = max(learned, key=lambda i: peaks[i]) if learned else None
    rows = []
    for i, (entry, many) in enumerate(zip(entries, values, strict=True)):
        row = _about(cases[0], entry.maker, protocol)
        row |= {name: _mean([v[name] for v in many]) for name in many[0]}
        row |= _intervals(draws[i], many)
        if leader is not None:
            gap = draws[leader][:, 2] - draws[i][:, 2]
            low, high = scores.interval(gap)
            row |= {"behind": peaks[leader] - peaks[i], "behind_lo": low, "behind_hi": high}
        rows.append(row)
    return rows


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


def _intervals(draws: Floats, many: list[dict[str, float]]) -> Row:
    """Return the intervals over queries and over repetitions of the resampled scores."""
    row: Row = {}
    for column, name in enumerate(scores.RESAMPLED):
        row[f"{name}_lo"], row[f"{name}_hi"] = scores.interval(draws[:, column])
        low, high = student([v[name] for v in many])
        row[f"{name}_seed_lo"], row[f"{name}_seed_hi"] = float(low), float(high)
    return row

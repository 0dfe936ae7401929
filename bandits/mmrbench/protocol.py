"""MMR-Bench's protocol (arXiv 2601.17814): full-information routers, trained on a share, scored on the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics import curve
from bandits.mmrbench import modes, splits, standing, trial
from envs.outcomes import Outcomes

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.floating[Any]]
Row = dict[str, Any]
MOST_RESAMPLES = 100_000


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
        resamples: of the bootstrap over queries, from 1 to 100,000; below 1,000 an interval is rough.
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
    return standing.rows(outcomes.label, list(_played(outcomes, protocol)), protocol)


def evaluate_each(outcomes: Outcomes, figures: standing.Figures, **settings: Any) -> list[Row]:
    """Return the rows of `evaluate` for several datasets one by one, judged together.

    Args:
        outcomes: the whole table.
        figures: dataset, as for `Protocol` -> router -> score -> a figure to compare with; the same routers in all.
        settings: the fields of `Protocol` other than `dataset` and `routers`.

    Returns:
        Rows as from `evaluate`, with `<score>_p`, see `standing.rows`.
    """
    routers = tuple(next(iter(figures.values())))
    asked = [Protocol(**settings, dataset=dataset, routers=routers) for dataset in figures]
    played = [(part, figures[one.dataset]) for one in asked for part in _played(outcomes, one)]
    return standing.rows(outcomes.label, [p for p, _ in played], asked[0], [f for _, f in played])


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
    return standing.rows(outcomes.label, played, protocol), drawn


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


def _played(outcomes: Outcomes, protocol: Protocol) -> Iterator[trial.Part]:
    """Yield each split."""
    modes.parse(protocol.mode)
    for name in ("seeds", "resamples"):
        if getattr(protocol, name) < 1:
            raise ValueError(f"{name} needs to be 1 or more, got {getattr(protocol, name)}")
    if protocol.resamples > MOST_RESAMPLES:
        raise ValueError(f"resamples needs at most {MOST_RESAMPLES:,}, got {protocol.resamples:,}")
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
            entries.append(trial.Entry(maker, paths))
        yield trial.Part(cases, entries, splits.units(table))


def _drawn(part: trial.Part) -> pd.DataFrame:
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

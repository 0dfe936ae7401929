"""The tables of a run, made from what was added up while it went: the same columns as of a run kept whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.intervals import band
from bandits.metrics.regret import BASELINES, growth_rounds, slope
from bandits.results.books import REFERENCES
from bandits.results.by_dataset import CALLS, MEASURES, REGRETS, UNNAMED
from bandits.results.cells import Cells
from bandits.results.summary import COLUMNS, fell_back, frame_of, kept_rounds
from bandits.results.tally import QUANTITIES, Tally

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
_COUNT, _MEANS, _RIVALS = 0, slice(1, 4), slice(4, len(QUANTITIES))


def stops(rounds: int) -> NDArray[np.int64]:
    """Return the ascending rounds at which a run is looked at: points of curves, where windows begin, for exponents."""
    points = kept_rounds(rounds)
    begins = np.maximum(points - _window(rounds), 0)
    return np.unique(np.concatenate([points, begins[begins > 0], growth_rounds(rounds)]))


def tables(
    tally: Tally, cells: Cells, table: Any, policies: list[str], *, preference: str
) -> dict[str, pd.DataFrame]:
    """Return `summary`, `curves`, `by_dataset` and `by_query` of a finished run.

    Args:
        tally, cells: of all rounds.
        table: a `Big`.
        policies: specs.
        preference: as it was asked for.
    """
    kinds = ["policy"] * len(policies) + ["reference"] * len(REFERENCES) + ["model"] * table.n_arms
    names = [*policies, *REFERENCES, *table.models]
    # A policy called uniform stands for the reference of that name, as in a run kept whole.
    kept = [i for i, name in enumerate(names) if kinds[i] != "reference" or name not in policies]
    return {
        "summary": _summary(tally, table, names, kinds, kept).assign(preference=preference, budget=""),
        "curves": _curves(tally, table, names, kept),
        "by_dataset": _by_dataset(tally, table, names, kinds, kept),
        "by_query": _by_query(cells, table, names, kept),
    }


def _window(rounds: int) -> int:
    return max(1, rounds // 25)


def _summary(tally: Tally, table: Any, names: list[str], kinds: list[str], kept: list[int]) -> pd.DataFrame:
    sums = tally.totals().sum(axis=2)[kept]  # (players, S, 7)
    count = sums[..., [_COUNT]]
    measured = np.concatenate(
        [
            sums[..., _MEANS] / np.maximum(count, 1),
            sums[..., _RIVALS] - sums[..., [1]],
            1 - count / tally.done,
        ],
        axis=2,
    )
    called, kind = [names[i] for i in kept], [kinds[i] for i in kept]
    frame = frame_of(called, kind, np.swapaxes(measured, 0, 1), tally.done)
    earned, _, behind = tally.curves()
    oracle = earned[-len(REFERENCES)]
    rounds = growth_rounds(tally.done)
    at = np.searchsorted(tally.stops, rounds)
    grown = np.concatenate([oracle - earned, behind])[kept].mean(axis=1)[:, at]
    frame["stream"], frame["seeds"], frame["rounds"] = table.name, tally.shape[2], tally.done
    frame["exponent"] = [slope(rounds, line) for line in grown]
    lacking = 1 - tally.arrays["answered"] / (tally.done * tally.shape[2])
    frame["fell_back"] = fell_back(frame, dict(zip(table.models, lacking, strict=True)))
    if not table.priced:
        frame[["cost_mean", "cost_total", "cost_lo", "cost_hi"]] = np.nan
    return frame[list(COLUMNS)]


def _curves(tally: Tally, table: Any, names: list[str], kept: list[int]) -> pd.DataFrame:
    import pandas as pd

    earned, spent, _ = tally.curves()
    policies = tally.shape[0]
    points = kept_rounds(tally.done)
    before = np.maximum(points - _window(tally.done), 0)
    at, since = np.searchsorted(tally.stops, points), np.searchsorted(tally.stops, before)
    size = points - before

    def gained(values: Floats) -> Floats:
        """Return how much cumulative values `(..., stops)` rose in the window up to each point, a round."""
        return (values[..., at] - np.where(before > 0, values[..., since], 0.0)) / size

    best = earned[policies : policies + len(BASELINES)]
    frames = []
    for i in kept:
        if i >= len(earned):
            continue
        lines = {name: (rival - earned[i])[:, at] for name, rival in zip(REGRETS, best, strict=True)}
        lines["reward"] = gained(earned[i])
        if table.priced:
            lines["cost"] = spent[i][:, at]
        stacked = np.stack(list(lines.values()), axis=1)
        low, high = band(stacked)
        frames.append(_rows(names[i], points, list(lines), stacked.mean(axis=0), low, high))
        if i < policies:
            calls = np.moveaxis(tally.arrays["kept_calls"][i], 1, 2).astype(np.float64)  # (S, K, stops)
            share = gained(calls).mean(axis=0)
            none = np.full_like(share, np.nan)
            frames.append(_rows(names[i], points, [f"share:{m}" for m in table.models], share, none, none))
    return pd.concat(frames, ignore_index=True)


def _rows(
    name: str, points: NDArray[np.int64], quantities: list[str], mean: Floats, low: Floats, high: Floats
) -> pd.DataFrame:
    """Return rows of `curves`; means and intervals are `(quantities, points)`."""
    import pandas as pd

    return pd.DataFrame(
        {
            "policy": name,
            "round": np.tile(points, len(quantities)),
            "quantity": np.repeat(np.array(quantities, object), len(points)),
            "mean": mean.ravel(),
            "lo": low.ravel(),
            "hi": high.ravel(),
        }
    )


def _by_query(cells: Cells, table: Any, names: list[str], kept: list[int]) -> pd.DataFrame:
    frame = cells.table(names, kept, table.datasets)
    if not table.priced:
        frame[[column for column in map(str, frame) if column.startswith("cost:")]] = np.nan
    return frame


def _by_dataset(
    tally: Tally, table: Any, names: list[str], kinds: list[str], kept: list[int]
) -> pd.DataFrame:
    import pandas as pd

    totals, calls = tally.totals(), tally.arrays["calls"]
    labels = [name or UNNAMED for name in table.datasets]
    seeds, datasets = totals.shape[1:3]
    frames = []
    for i in kept:
        count = totals[i, ..., _COUNT].ravel()
        part: dict[str, Any] = {"policy": names[i], "kind": kinds[i], "dataset": np.tile(labels, seeds)}
        part |= {"seed": np.repeat(np.arange(seeds), datasets), "rounds": count.astype(int)}
        for q, name in enumerate(MEASURES, 1):
            part[name] = totals[i, ..., q].ravel() / np.maximum(count, 1)
        for q, name in enumerate(REGRETS, _RIVALS.start):
            part[name] = (totals[i, ..., q] - totals[i, ..., 1]).ravel()
        for k, model in enumerate(table.models):
            part[CALLS + model] = calls[i, ..., k].ravel() if i < len(calls) else np.nan
        frames.append(pd.DataFrame(part))
    frame = pd.concat(frames, ignore_index=True)
    if not table.priced:
        frame["cost"] = np.nan
    return frame[frame["rounds"] > 0].reset_index(drop=True)

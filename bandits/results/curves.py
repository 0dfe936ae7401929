"""What every player got over time: regret, reward, spend and calls at the rounds that a tally has kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.intervals import AMOUNT, ANYTHING, band
from bandits.metrics.regret import BASELINES
from bandits.results.by_dataset import REGRETS
from bandits.results.tally import kept_rounds, share_rounds, window

if TYPE_CHECKING:
    import pandas as pd

    from bandits.results.players import Players
    from bandits.results.tally import Tally

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WITHIN = "regret_best_within"  # against the best that the budget buys with hindsight
AT = "share@"  # then the dataset, a colon and the model
_SHOWN = 12  # datasets, those asked most; `by_dataset` has them all


class _Part(NamedTuple):
    """Some curves of a policy; means and ends are `(quantities, points)`, the latter None where there is none."""

    policy: str
    points: Ints
    quantities: list[str]
    mean: Floats
    low: Floats | None = None
    high: Floats | None = None


def curves(tally: Tally, of: Players, table: Any, *, planned: bool = False) -> pd.DataFrame:
    """Return the curves of a finished run; see `summary.Summary`.

    Args:
        tally: of all rounds.
        of: its players.
        table: `models`, `datasets` and `priced` of what was played.
        planned: whether there was a budget, and with it a plan.
    """
    earned, spent, _, plan = tally.curves()
    points = kept_rounds(tally.done)
    rivals = dict(zip(REGRETS, earned[of.policies : of.policies + len(BASELINES)], strict=True))
    if planned:
        rivals[WITHIN] = plan
    at, parts = tally.at(points), []
    for i in of.kept:
        if of.kinds[i] == "model":
            continue
        lines = {name: (rival - earned[i])[:, at] for name, rival in rivals.items()}
        lines["reward"] = _window_means(tally, points, earned[i])
        if table.priced:
            lines["cost"] = spent[i][:, at]
        stacked = np.stack(list(lines.values()), axis=1)
        ranges = [AMOUNT if name == "cost" else ANYTHING for name in lines]
        low, high = band(stacked, within=tuple(np.array(ranges).T[..., None]))
        parts.append(_Part(of.names[i], points, list(lines), stacked.mean(axis=0), low, high))
        if of.kinds[i] == "policy":
            calls = np.moveaxis(tally.arrays["kept_calls"][i], 0, 1) / tally.shape[2]  # (K, stops), of a seed
            share = _window_means(tally, points, calls)
            parts.append(_Part(of.names[i], points, [f"share:{m}" for m in table.models], share))
            if len(table.datasets) > 1:
                parts.append(_over_datasets(tally, i, of.names[i], table))
    return _frame(parts)


def _window_means(tally: Tally, points: Ints, values: Floats) -> Floats:
    """Return how much cumulative values `(..., stops)` rose in the window up to each point, a round."""
    before = np.maximum(points - window(tally.done), 0)
    risen = values[..., tally.at(points)] - np.where(before > 0, values[..., tally.at(before)], 0.0)
    return np.asarray(risen / (points - before))


def _over_datasets(tally: Tally, policy: int, name: str, table: Any) -> _Part:
    """Return each model's share of a dataset's rounds, in the last tenth of the run before them.

    A mean over the seeds together, NaN where none asked anything of the dataset in that window. Where there is one
    dataset only, `share:` has it.
    """
    points, rounds = share_rounds(tally.done), tally.arrays["rounds"].sum(axis=0)
    ends = [points, np.maximum(points - max(1, tally.done // 10), 0)]
    shown = np.sort(np.argsort(-rounds, kind="stable")[:_SHOWN])

    def between(kept: Ints) -> Ints:
        """Return `(datasets, ..., points)` of what is kept, `(stops, datasets, ...)`."""
        last, first = (
            np.where(end > 0, np.moveaxis(kept[np.searchsorted(tally.shares, end)][:, shown], 0, -1), 0)
            for end in ends
        )
        return np.asarray(last - first)

    with np.errstate(invalid="ignore"):
        share = between(tally.arrays["kept_parts"][policy]) / between(tally.arrays["kept_rounds"])[:, None]
    names = [f"{AT}{table.datasets[d]}:{model}" for d in shown for model in table.models]
    return _Part(name, points, names, share.reshape(len(names), -1))


def _frame(parts: Sequence[_Part]) -> pd.DataFrame:
    """Return the rows of `curves`: of each part its quantities, one after the other, each over its rounds."""
    import pandas as pd

    def lines(each: Sequence[Floats | None]) -> Floats:
        """Return what stands in a column; None is unknown."""
        known = [np.full_like(p.mean, np.nan) if x is None else x for x, p in zip(each, parts, strict=True)]
        return np.concatenate([x.ravel() for x in known])

    def named(names: Sequence[str], often: Sequence[int]) -> Any:
        """Return a column of text in which each name stands so often; made from the few that there are."""
        place = {name: i for i, name in enumerate(dict.fromkeys(names))}
        code: Ints = np.repeat(np.array([place[name] for name in names], np.int64), np.array(often))
        return pd.Categorical.from_codes(code, categories=pd.Index(list(place))).astype("str")

    quantities = [(name, len(part.points)) for part in parts for name in part.quantities]
    return pd.DataFrame(
        {
            "policy": named([part.policy for part in parts], [part.mean.size for part in parts]),
            "round": np.concatenate([np.tile(part.points, len(part.quantities)) for part in parts]),
            "quantity": named(*zip(*quantities, strict=True)),
            "mean": lines([part.mean for part in parts]),
            "lo": lines([part.low for part in parts]),
            "hi": lines([part.high for part in parts]),
        }
    )

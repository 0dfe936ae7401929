"""What each player got in each dataset, seed by seed: all that differences, intervals and heat maps are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.metrics.regret import BASELINES, earned_by
from bandits.results.players import Play, hindsight, plays, shared_order

if TYPE_CHECKING:
    import pandas as pd

    from bandits.loop.replay import Trace
    from envs.stream import Stream

Floats = NDArray[np.float64]
REGRETS = tuple(f"regret_{baseline}" for baseline in BASELINES)
MEASURES = ("reward", "accuracy", "cost")
CALLS = "calls:"  # and the model's name: how often it was called
UNNAMED = "(unnamed)"  # a query whose table does not say where it comes from


def by_dataset(stream: Stream, table: ArrayLike, traces: dict[str, Trace]) -> pd.DataFrame:
    """Return one row for each player, dataset and seed.

    Sums over these rows, weighted by `rounds`, give every number of the summary seed by seed, so that runs on the
    same orders can be compared by their files alone.

    Args:
        stream: a `Stream` of `N` rows and `K` models.
        table: `(N, K)` reward, from `reward_table`.
        traces: as for `summary.summarise`.

    Returns:
        A frame with the columns policy, kind, dataset, seed, rounds; `reward`, `accuracy` and
        `cost`, a round; `regret_*`, the sum over the dataset's rounds;
        `calls:<model>`, for policies and for references that call (NaN else). Costs are NaN where the table has none.

    Raises:
        ValueError: as `summary.summarise`.
    """
    import pandas as pd

    values, order = np.asarray(table, np.float64), shared_order(traces)
    labels = np.where(stream.dataset.astype(str) == "", UNNAMED, stream.dataset.astype(str))
    names, code = np.unique(labels, return_inverse=True)
    seeds = len(order)
    cell = code[order] + len(names) * np.arange(seeds)[:, None]  # (S, T): the row of seed and dataset
    references = hindsight(stream, values, order)
    best = np.stack([earned_by(values, arms)[order] for arms in references.values()])
    parts = [
        _of_one(play, best, cell, seeds * len(names), stream.models)
        | {"dataset": np.tile(names, seeds), "seed": np.repeat(np.arange(seeds), len(names))}
        for play in plays(stream, values, traces, references)
    ]
    columns = ["policy", "kind", "dataset", "seed", "rounds", *MEASURES, *REGRETS]
    frame = pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)
    frame = frame[frame["rounds"] > 0][[*columns, *(CALLS + model for model in stream.models)]]
    if not stream.outcomes.priced:
        frame["cost"] = np.nan
    return frame.reset_index(drop=True)


def _of_one(
    play: Play, best: Floats, cell: NDArray[np.intp], cells: int, models: tuple[str, ...]
) -> dict[str, Any]:
    """Return the columns of one player, `cells` rows; `best (B, S, T)` is the reward of each of `BASELINES`."""

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(cell.ravel(), values.ravel(), cells))

    rounds = total(np.ones_like(play.reward))
    means = {name: total(getattr(play, name)) / np.maximum(rounds, 1) for name in MEASURES}
    regrets = {name: total(reference - play.reward) for name, reference in zip(REGRETS, best, strict=True)}
    columns: dict[str, Any] = {"policy": play.name, "kind": play.kind, "rounds": rounds.astype(int)}
    return columns | means | regrets | _calls(play, cell, cells, models)


def _calls(play: Play, cell: NDArray[np.intp], cells: int, models: tuple[str, ...]) -> dict[str, Any]:
    if play.arms is None or play.kind == "model":
        return {CALLS + model: np.nan for model in models}
    called = play.arms >= 0
    both = cell[called] * len(models) + play.arms[called]
    counts = np.bincount(both, minlength=cells * len(models)).reshape(cells, len(models))
    return {CALLS + model: counts[:, k] for k, model in enumerate(models)}

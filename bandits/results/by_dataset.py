"""What each player got in each dataset, seed by seed: all that differences, intervals and heat maps are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.metrics.regret import BASELINES, earned_by, played
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


def by_query(stream: Stream, table: ArrayLike, traces: dict[str, Trace]) -> pd.DataFrame:
    """Return one row for each query that was asked, its numbers means over its rounds with all seeds.

    What an interval over queries is made of: seeds permute one table, and do not tell what other queries would give.

    Args:
        stream, table, traces: as for `by_dataset`.

    Returns:
        A frame with the columns `row` (of the stream), `cluster` (queries of one `group_id`, or of one id, share a
        number), dataset, rounds, and for each player `reward:<player>`, `accuracy:` and `cost:`, a round.

    Raises:
        ValueError: as `summary.summarise`.
    """
    import pandas as pd

    values, order = np.asarray(table, np.float64), shared_order(traces)
    flat, often = order.ravel(), played(order, len(values))
    asked = np.flatnonzero(often)
    columns: dict[str, Any] = {
        "row": asked,
        "cluster": clusters(stream)[asked],
        "dataset": np.where(stream.dataset.astype(str) == "", UNNAMED, stream.dataset.astype(str))[asked],
        "rounds": often[asked],
    }
    for play in plays(stream, values, traces, hindsight(stream, values, order)):
        for name in MEASURES:
            sums = np.bincount(flat, getattr(play, name).ravel(), len(values))[asked]
            known = stream.outcomes.priced or name != "cost"
            columns[f"{name}:{play.name}"] = sums / often[asked] if known else np.nan
    return pd.DataFrame(columns)


def clusters(stream: Stream) -> NDArray[np.intp]:
    """Return `(N,)` a number for each row, shared by near copies: rows of one `group_id`, else of one query.

    Of a stream that changes, rows are rounds of seeds, and each has an id of its own: there the queries of the stream
    before any change are told apart.
    """
    if stream.world is not None:
        return clusters(stream.world.base)[stream.world.row]
    group = stream.outcomes.group_id.astype(str)
    alike = np.where(group == "", np.char.add("id ", stream.outcomes.query_id.astype(str)), group)
    return np.asarray(np.unique(alike, return_inverse=True)[1])


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

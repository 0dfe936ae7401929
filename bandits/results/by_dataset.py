"""What each player got in each dataset, seed by seed: all that differences, intervals and heat maps are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.metrics.regret import BASELINES

if TYPE_CHECKING:
    import pandas as pd

    from bandits.results.players import Players
    from bandits.results.tally import Tally

REGRETS = tuple(f"regret_{baseline}" for baseline in BASELINES)
MEASURES = ("reward", "accuracy", "cost")
CALLS = "calls:"  # and the model's name: how often it was called
UNNAMED = "(unnamed)"  # a query whose table does not say where it comes from


def by_dataset(tally: Tally, of: Players, table: Any) -> pd.DataFrame:
    """Return one row for each player, dataset and seed.

    Sums over these rows, weighted by `rounds`, give every number of the summary seed by seed, so that runs on the
    same orders can be compared by their files alone.

    Args:
        tally: of all rounds.
        of: its players.
        table: `models`, `datasets` and `priced` of what was played.

    Returns:
        A frame with the columns policy, kind, dataset, seed, rounds; `reward`, `accuracy` and
        `cost`, a round; `regret_*`, the sum over the dataset's rounds;
        `calls:<model>`, for policies and for references that call (NaN else). Costs are NaN where the table has none.
    """
    import pandas as pd

    totals, rounds, calls = tally.totals(), tally.arrays["rounds"], tally.arrays["calls"]
    rivals = totals[of.policies : of.policies + len(BASELINES), ..., 0]
    labels = [name or UNNAMED for name in table.datasets]
    seeds, datasets = rounds.shape
    kept, each = list(of.kept), seeds * datasets
    columns: dict[str, Any] = {
        "policy": np.repeat(np.array([of.names[i] for i in kept], object), each),
        "kind": np.repeat(np.array([of.kinds[i] for i in kept], object), each),
        "dataset": np.tile(np.array(labels, object), seeds * len(kept)),
        "seed": np.tile(np.repeat(np.arange(seeds), datasets), len(kept)),
        "rounds": np.tile(rounds.ravel(), len(kept)),
    }
    for q, name in enumerate(MEASURES):
        columns[name] = (totals[kept][..., q] / np.maximum(rounds, 1)).ravel()
    for name, rival in zip(REGRETS, rivals, strict=True):
        columns[name] = (rival - totals[kept][..., 0]).ravel()
    called = np.full((len(kept), seeds, datasets, len(table.models)), np.nan)
    callers = [i for i in kept if i < calls.shape[1]]  # the first of those kept
    called[: len(callers)] = np.moveaxis(calls[:, callers], 1, 0)
    columns |= {CALLS + model: called[..., k].ravel() for k, model in enumerate(table.models)}
    asked = columns["rounds"] > 0
    frame = pd.DataFrame({name: column[asked] for name, column in columns.items()})
    if not table.priced:
        frame["cost"] = np.nan
    return frame

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
    frames = []
    for i in of.kept:
        part: dict[str, Any] = {
            "policy": of.names[i],
            "kind": of.kinds[i],
            "dataset": np.tile(labels, seeds),
            "seed": np.repeat(np.arange(seeds), datasets),
            "rounds": rounds.ravel(),
        }
        for q, name in enumerate(MEASURES):
            part[name] = (totals[i, ..., q] / np.maximum(rounds, 1)).ravel()
        for name, rival in zip(REGRETS, rivals, strict=True):
            part[name] = (rival - totals[i, ..., 0]).ravel()
        for k, model in enumerate(table.models):
            part[CALLS + model] = calls[:, i, :, k].ravel() if i < calls.shape[1] else np.nan
        frames.append(pd.DataFrame(part))
    frame = pd.concat(frames, ignore_index=True)
    if not table.priced:
        frame["cost"] = np.nan
    return frame[frame["rounds"] > 0].reset_index(drop=True)

"""Which did best: contenders ranked on the queries, rewards, preferences and budgets that they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.intervals import bootstrap, paired
from bandits.metrics.significance import holm, sign_flip
from bandits.sweeps.job import Job

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.05
QUESTION = ("stream", "reward_spec", "preference", "budget")  # what contenders share; they differ in `policy`
_MEANS = ("accuracy", "cost", "regret_best_fixed", "regret_oracle", "unanswered")


def ranking(finished: Iterable[tuple[Job, Sequence[dict[str, Any]]]], *, seed: int = 0) -> pd.DataFrame:
    """Return a row for each contender and question, the best first.

    Args:
        finished: jobs with their runs, from `results.read`.
        seed: of the bootstrap and of the permutations.

    Returns:
        A frame with the columns of `QUESTION`; `rank`, `policy`, `seeds`, `rounds`; `reward`, a round, with its 95 %
        interval `reward_lo`, `reward_hi` over seeds; means of accuracy and cost a round, of regret and unanswered
        queries a run; `behind`, the leader's reward minus this one's on the same seeds, with its interval
        `behind_lo`, `behind_hi`; `p_holm`, sign flips over seeds, adjusted for all contenders of the question (NaN
        for the leader); `verdict`: leader, worse (`p_holm` below 5 %) or `not told apart`.
    """
    import pandas as pd

    asked: dict[tuple[str, ...], list[tuple[str, dict[str, Any]]]] = {}
    for job, runs in finished:
        for run in runs:
            key = (
                job.known["data"],
                job.stream,
                job.known["ask"]["reward"],
                run["preference"],
                run["budget"],
            )
            asked.setdefault(key, []).append((job.policy, run))
    return pd.concat([_ranked(key[1:], rows, seed) for key, rows in asked.items()], ignore_index=True)


def _ranked(question: tuple[str, ...], rows: list[tuple[str, dict[str, Any]]], seed: int) -> pd.DataFrame:
    import pandas as pd

    rows = sorted(rows, key=lambda row: -float(np.mean(row[1]["reward"])))
    names, runs = [name for name, _ in rows], [run for _, run in rows]
    reward = np.array([run["reward"] for run in runs]).T  # (S, contenders)
    low, high = bootstrap(reward, seed=seed)
    behind, behind_low, behind_high = paired(np.broadcast_to(reward[:, :1], reward.shape), reward, seed=seed)
    p = _adjusted(reward, seed)
    return pd.DataFrame(
        {
            **dict(zip(QUESTION, question, strict=True)),
            "rank": np.arange(1, len(names) + 1),
            "policy": names,
            "seeds": len(reward),
            "rounds": [run["rounds"] for run in runs],
            "reward": reward.mean(axis=0),
            "reward_lo": low,
            "reward_hi": high,
            **{name: [float(np.mean(run[name])) for run in runs] for name in _MEANS},
            "behind": behind,
            "behind_lo": behind_low,
            "behind_hi": behind_high,
            "p_holm": p,
            "verdict": np.where(np.isnan(p), "leader", np.where(p < LEVEL, "worse", "not told apart")),
        }
    )


def _adjusted(reward: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return Holm's p-values of `(S, contenders)` against the first; enough flips that so many can tell anything."""
    flips = max(9999, 100 * reward.shape[1])
    p = np.full(reward.shape[1], np.nan)
    if reward.shape[1] > 1:
        p[1:] = holm(sign_flip(reward[:, :1] - reward[:, 1:], flips=flips, seed=seed))
    return p


def least_seeds(contenders: int) -> int:
    """Return how many seeds it takes before the best of so many contenders can be told from the others at all.

    The least p of a sign flip over `S` seeds is `2 / 2^S`; Holm multiplies it by the number of comparisons.
    """
    return int(np.floor(np.log2(2 * max(contenders - 1, 1) / LEVEL))) + 1

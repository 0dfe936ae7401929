"""Which did best: contenders ranked on the queries, rewards, preferences and budgets that they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.experiment.lineup import REFERENCES
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
        `behind_lo`, `behind_hi`; `p_holm`, sign flips over seeds, adjusted for all contenders of the question;
        `verdict`: leader, worse (`p_holm` below 5 %), `not told apart`, or reference. References know the outcomes:
        they have a row, but no rank, do not lead, and no p-value.
    """
    import pandas as pd

    asked: dict[tuple[str, ...], list[tuple[Job, dict[str, Any]]]] = {}
    for job, runs in finished:
        for run in runs:
            told = job.stream, job.known["ask"]["reward"], run["preference"], run["budget"]
            asked.setdefault((job.known["data"], *told), []).append((job, run))
    frames = [
        _ranked(rows, seed).assign(**dict(zip(QUESTION, key[1:], strict=True))) for key, rows in asked.items()
    ]
    frame = pd.concat(frames, ignore_index=True)
    return frame[[*QUESTION, *frame.columns.drop(list(QUESTION))]]


def _ranked(rows: list[tuple[Job, dict[str, Any]]], seed: int) -> pd.DataFrame:
    """Return the rows of one question."""
    import pandas as pd

    rows = sorted(rows, key=lambda row: -float(np.mean(row[1]["reward"])))
    runs = [run for _, run in rows]
    policy = np.array([job.known["ask"]["policies"][0] not in REFERENCES for job, _ in rows])
    reward = np.array([run["reward"] for run in runs]).T  # (S, rows)
    leader = int(policy.argmax())  # the first row where all are references
    led = np.broadcast_to(reward[:, [leader]], reward.shape)
    low, high = bootstrap(reward, seed=seed)
    behind, behind_low, behind_high = paired(led, reward, seed=seed)
    p = np.full(len(rows), np.nan)
    if (others := policy & (np.arange(len(rows)) != leader)).any():
        # Enough flips that the least p of many contenders is small enough after Holm, too.
        flips = max(9999, 100 * len(rows))
        p[others] = holm(sign_flip((led - reward)[:, others], flips=flips, seed=seed))
    verdict = np.where(policy, np.where(p < LEVEL, "worse", "not told apart"), "reference")
    verdict[leader] = "leader" if policy[leader] else "reference"
    return pd.DataFrame(
        {
            "rank": np.where(policy, np.cumsum(policy), np.nan),
            "policy": [job.policy for job, _ in rows],
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
            "verdict": verdict,
        }
    )


def least_seeds(contenders: int) -> int:
    """Return how many seeds it takes before the best of so many contenders can be told from the others at all.

    The least p of a sign flip over `S` seeds is `2 / 2^S`; Holm multiplies it by the number of comparisons.
    """
    return int(np.floor(np.log2(2 * max(contenders - 1, 1) / LEVEL))) + 1

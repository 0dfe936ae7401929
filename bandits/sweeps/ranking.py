"""Which did best: contenders ranked on the queries, rewards, preferences and budgets that they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.experiment.lineup import REFERENCES
from bandits.metrics.intervals import Estimate, paired, student
from bandits.metrics.verdict import judge
from bandits.sweeps.job import Job

if TYPE_CHECKING:
    import pandas as pd

QUESTION = ("stream", "reward_spec", "preference", "budget")  # what contenders share; they differ in `policy`
_MEANS = ("accuracy", "cost", "regret_best_fixed", "regret_oracle", "unanswered")


def ranking(finished: Iterable[tuple[Job, Sequence[dict[str, Any]]]]) -> pd.DataFrame:
    """Return a row for each contender and question, the best first.

    Args:
        finished: jobs with their runs, from `results.read`.

    Returns:
        A frame with the columns of `QUESTION`; `rank`, `policy`, `seeds`, `rounds`; `reward`, a round, with its 95 %
        interval `reward_lo`, `reward_hi` over seeds; means of accuracy and cost a round, of regret and unanswered
        queries a run; `behind`, the leader's reward minus this one's on the same seeds, with its interval
        `behind_lo`, `behind_hi` (no verdict: the leader was found by looking); `over`, the reward above the best fixed
        choice, with its intervals over seeds `over_lo`, `over_hi`, and over `queries` `over_queries_lo`,
        `over_queries_hi`; `p_holm` of both tests by `metrics.verdict.judge`, adjusted for all contenders of the
        question; `verdict`: beats best_fixed, below best_fixed, not shown, or reference. References know the
        outcomes: they have a row, but no rank, do not lead, and no p-value.
    """
    import pandas as pd

    asked: dict[tuple[str, ...], list[tuple[Job, dict[str, Any]]]] = {}
    for job, runs in finished:
        for run in runs:
            told = job.stream, job.known["ask"]["reward"], run["preference"], run["budget"]
            asked.setdefault((job.known["data"], *told), []).append((job, run))
    frames = [
        _ranked(rows).assign(**dict(zip(QUESTION, key[1:], strict=True))) for key, rows in asked.items()
    ]
    frame = pd.concat(frames, ignore_index=True)
    return frame[[*QUESTION, *frame.columns.drop(list(QUESTION))]]


def _ranked(rows: list[tuple[Job, dict[str, Any]]]) -> pd.DataFrame:
    """Return the rows of one question."""
    import pandas as pd

    rows = sorted(rows, key=lambda row: -float(np.mean(row[1]["reward"])))
    runs = [run for _, run in rows]
    policy = np.array([job.known["ask"]["policies"][0] not in REFERENCES for job, _ in rows])
    reward = np.array([run["reward"] for run in runs]).T  # (S, rows)
    leader = int(policy.argmax())  # the first row where all are references
    low, high = student(reward)
    behind = paired(np.broadcast_to(reward[:, [leader]], reward.shape), reward)
    fixed = reward + np.array([np.array(run["regret_best_fixed"]) / run["rounds"] for run in runs]).T
    over = paired(reward, fixed)
    queries = Estimate(
        over.mean, *(np.array([_number(run, name) for run in runs]) for name in ("lo", "hi", "p"))
    )
    own = Estimate(over.mean, over.lo, over.hi, np.where(policy, over.p, np.nan))
    count = np.array([run.get("over_fixed", {}).get("queries", 0) for run in runs])
    found = judge(own, queries, seeds=len(reward), queries=count)
    sides = np.where(over.mean > 0, "beats best_fixed", "below best_fixed")
    verdict = np.where(policy, np.where(found.shown, sides, "not shown"), "reference")
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
            "behind": behind.mean,
            "behind_lo": behind.lo,
            "behind_hi": behind.hi,
            "over": over.mean,
            "over_lo": over.lo,
            "over_hi": over.hi,
            "over_queries_lo": queries.lo,
            "over_queries_hi": queries.hi,
            "queries": count,
            "p_holm": found.p_holm,
            "verdict": verdict,
        }
    )


def _number(run: dict[str, Any], name: str) -> float:
    value = run.get("over_fixed", {}).get(name)
    return np.nan if value is None else float(value)

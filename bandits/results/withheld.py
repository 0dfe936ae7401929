"""Answers that are withheld where the judge scores them too low: coverage, selective risk, AURC (Geifman 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.experiment.ask import Run
from bandits.metrics.abstention import aurc, curve
from bandits.metrics.intervals import SHARE, student

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
_POINTS = 100  # coverages at which a curve is kept
_UNSCORED, _UNANSWERED = -1.0, -2.0  # below every score


def tables(run: Run, threshold: float | None) -> dict[str, pd.DataFrame]:
    """Return `abstain` and `risk_coverage` of a run's policies; nothing where nothing is withheld.

    `abstain` has, for each policy, the `threshold`; `coverage`, the share of all queries whose answer is delivered;
    `risk`, the mean loss (1 less the utility) of all queries, and `selective_risk`, of those delivered (NaN: none is);
    `aurc`, the mean selective risk over all coverages, and `aurc_best`, that of a judge that knows the losses; each a
    mean over seeds, `_lo` and `_hi` the 95 % interval, which ends where the number's own range, 0 to 1, does.
    `risk_coverage` has for each policy the mean selective risk over seeds at each hundredth of all queries, the highest
    scores first, and the `score` of the last of them.

    Answers without a score are withheld, and come last. So is a query that got no answer, after all others and with a
    loss of 1: `risk` is 1 less the accuracy of the run. What is withheld is paid for all the same, and rewards, regret
    and what policies hear do not change.

    Args:
        run: a finished one.
        threshold: of the score; None: nothing is withheld.
    """
    import pandas as pd

    if run.judged is None or threshold is None:
        return {}
    rows, lines = [], []
    for spec in run.traces:
        each = [_seed(run, spec, seed, threshold) for seed in range(len(run.traces[spec].order))]
        numbers = {name: np.array([one[0][name] for one in each]) for name in each[0][0]}
        row: dict[str, Any] = {"policy": spec, "threshold": threshold}
        for name, values in numbers.items():
            low, high = student(values, within=SHARE)
            row |= {name: float(values.mean()), f"{name}_lo": float(low), f"{name}_hi": float(high)}
        rows.append(row)
        means = np.mean([one[1] for one in each], axis=0)
        lines += [{"policy": spec, "coverage": c, "risk": r, "score": s} for c, r, s in means.tolist()]
    return {"abstain": pd.DataFrame(rows), "risk_coverage": pd.DataFrame(lines)}


def by_seed(run: Run, spec: str, threshold: float | None) -> dict[str, list[float]]:
    """Return what `abstain` has the means of, a number for each seed; nothing where nothing is withheld."""
    if run.judged is None or threshold is None:
        return {}
    each = [_seed(run, spec, seed, threshold)[0] for seed in range(len(run.traces[spec].order))]
    return {name: [one[name] for one in each] for name in each[0]}


def _seed(run: Run, spec: str, seed: int, threshold: float) -> tuple[dict[str, float], Floats]:
    """Return a seed's numbers, and `(100, 3)` coverage, selective risk and score along its curve."""
    assert run.judged is not None
    order, arms = run.traces[spec].order[seed], run.traces[spec].arms[seed]
    called, at = arms >= 0, (order, np.maximum(arms, 0))
    utility = np.where(called, run.stream.utility[at], 0.0)
    said = run.judged.confidence[at]
    score = np.where(called, np.where(np.isnan(said), _UNSCORED, said), _UNANSWERED)
    delivered = score >= threshold
    found = curve(score, utility)
    places = np.ceil(np.arange(1, _POINTS + 1) / _POINTS * len(score)).astype(int) - 1
    line = np.stack([found.coverage, found.risk, np.sort(score)[::-1]], axis=1)[places]
    numbers = {
        "coverage": float(delivered.sum() / len(arms)),
        "risk": float(1 - utility.mean()),
        "selective_risk": float(1 - utility[delivered].mean()) if delivered.any() else np.nan,
        "aurc": aurc(score, utility),
        "aurc_best": aurc(utility, utility),
    }
    return numbers, line

"""How good a judge is: whether it ranks right answers above wrong ones, and whether its probabilities hold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.abstention import aurc, risk_at

Floats = NDArray[np.float64]
BINS = 10


class Quality(NamedTuple):
    """Of one model's judge.

    Attributes:
        auroc: probability that a right answer has a higher score than a wrong one, ties count one half; NaN where all
            answers are alike.
        brier: mean squared gap between probability and outcome.
        calibration: expected calibration error over ten bins of equal numbers of answers.
        aurc: mean selective risk over all coverages, where the answers of the lowest scores are withheld first.
        risk_80: selective risk where 80 % of the answers are delivered.
    """

    auroc: float
    brier: float
    calibration: float
    aurc: float
    risk_80: float


def auroc(score: Floats, right: Floats) -> float:
    """Return the area under the ROC curve by ranks (Mann and Whitney 1947), NaN without both kinds of answers.

    Args:
        score: `(N,)`.
        right: `(N,)` utilities; answers of more than 1/2 count as right.
    """
    from scipy.stats import rankdata

    good = np.asarray(right) > 0.5
    hits, misses = int(good.sum()), int((~good).sum())
    if not hits or not misses:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[good].sum() - hits * (hits + 1) / 2) / (hits * misses))


def quality(probability: Floats, utility: Floats) -> Quality:
    """Return how good the judge of one model is.

    Args:
        probability: `(N,)` in [0, 1].
        utility: `(N,)` in [0, 1].
    """
    order = np.argsort(probability, kind="stable")
    bins = np.array_split(order, min(BINS, len(order)))
    gaps = [len(b) * abs(float(probability[b].mean() - utility[b].mean())) for b in bins]
    brier = float(((probability - utility) ** 2).mean())
    withheld = aurc(probability, utility), risk_at(probability, utility, 0.8)
    return Quality(auroc(probability, utility), brier, sum(gaps) / len(order), *withheld)

"""What a log can and cannot tell, in plain words: warnings of its propensities, and the verdict between targets."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bandits.metrics import off_policy as ope
from bandits.metrics.off_policy.design import designed
from bandits.metrics.off_policy.diagnostics import Diagnostics
from bandits.off_policy.rounds import Rounds
from bandits.off_policy.valued import design_of, recommended

Floats = NDArray[np.float64]
EXPLORE = 0.1  # the exploration that a longer log is imagined with


def diagnosed(rounds: Rounds, chances: Floats) -> Diagnostics | None:
    """Return the diagnostics of a target, or None without propensities."""
    if rounds.propensity is None:
        return None
    own = chances[np.arange(len(rounds)), rounds.arm]
    return ope.diagnose(own / rounds.propensity, rounds.propensity, rounds.arm, chances)


def warnings(rounds: Rounds, target: str, found: Diagnostics | None) -> list[str]:
    """Return one line for each reason not to trust an estimate."""
    if found is None:
        return []
    said = []
    if found.certain:
        return []
    if found.doubtful:
        side = "the propensities are wrong, or the log never calls what it may call"
        said.append(
            f"{target}: mean weight {found.mean_weight:.3f} is more than two standard errors"
            f" ({found.mean_error:.3f}) from 1: {side}"
        )
    if found.unsupported > 0:
        said.append(
            f"{target}: {100 * found.unsupported:.1f} % of its calls go to models that the log never called"
        )
    if found.effective < 100:
        said.append(f"{target}: the weights leave {found.effective:.0f} rounds of {found.rounds:,}")
    return said


def of_the_log(rounds: Rounds) -> list[str]:
    """Return one line for each thing that is wrong with the propensities themselves, whatever the target."""
    p = rounds.propensity
    if p is None:
        return [
            "no propensities: only a model of the rewards (DM) can be used, which is as good as the model;"
            " --estimate-propensities estimates them"
        ]
    if (p == 1).all():
        return [
            "every propensity is 1: nothing can be known but the logged policy's own value, and what a model of the"
            " rewards (DM) makes of it"
        ]
    said = []
    order = np.argsort(rounds.time, kind="stable")
    early, late = np.array_split(np.log(p[order]), 2)
    error = math.sqrt(early.var() / len(early) + late.var() / len(late))
    if error > 0 and abs(early.mean() - late.mean()) > 4 * error:
        said.append(
            f"propensities drift: geometric mean {math.exp(early.mean()):.3g} in the first half,"
            f" {math.exp(late.mean()):.3g} in the second; the logging policy was learning"
        )
    if rounds.even and not rounds.estimated:
        said += _uneven(rounds)
    return said


def _uneven(rounds: Rounds) -> list[str]:
    """Return a warning where calls recorded as uniform were not: the mean weight of some model is not 1."""
    expected = rounds.available / rounds.available.sum(axis=1, keepdims=True)
    called = np.bincount(rounds.arm, minlength=len(rounds.models))
    spread = np.sqrt((expected * (1 - expected)).sum(axis=0))
    far = np.divide(called - expected.sum(axis=0), spread, out=np.zeros(len(called)), where=spread > 0)
    worst = int(np.abs(far).argmax())
    # Two standard errors for one model; for the farthest of K that is Bonferroni's two-sided 5 %.
    from scipy.special import ndtri

    if abs(far[worst]) <= max(2.0, float(ndtri(1 - 0.025 / len(called)))):
        return []
    return [
        f"propensities say that models were called evenly, but {rounds.models[worst]} was called"
        f" {called[worst]:,} times where {expected[:, worst].sum():,.0f} were due:"
        " the recorded 1/n is not what the logging policy did"
    ]


def verdict(rounds: Rounds, chances: Mapping[str, Floats], model: Floats) -> list[str]:
    """Return what the log tells of the best target against each other one, by the recommended estimator.

    Args:
        rounds: the log, with propensities.
        chances: `(n, K)` of each target.
        model: `(n, K)` predictions of the reward.
    """
    if len(chances) < 2:
        return []
    values = {name: recommended(rounds, pi, "reward", model) for name, pi in chances.items()}
    best, *others = sorted(values, key=lambda name: -values[name].mean)
    # The best was found by looking at these rounds, so every pair counts as compared (Bonferroni).
    pairs, said, design = len(values) * (len(values) - 1) // 2, [], design_of(rounds, "reward", model)
    for other in others:
        gap, apart = values[best].mean - values[other].mean, chances[best] - chances[other]
        low, high = designed(gap, (apart * model).sum(axis=1), apart, design, alpha=0.05 / pairs)
        if low > 0:
            said.append(f"{best} beats {other}: {gap:.4g} reward a query more ({low:.4g} to {high:.4g})")
            continue
        line = f"this log cannot tell {best} from {other}: {gap:.4g} reward a query ({low:.4g} to {high:.4g})"
        said.append(line + needed(rounds, apart, gap, model))
    return said


def needed(rounds: Rounds, apart: Floats, gap: float, model: Floats) -> str:
    """Return how many more rounds, 10 % of them explored, would part two targets if the gap is what it looks like."""
    p, at = rounds.propensity, (np.arange(len(rounds)), rounds.arm)
    if p is None or not (apart.any() and gap):
        return "" if p is None else "; they are alike on every round"
    explored = (1 - EXPLORE) * p + EXPLORE / rounds.available.sum(axis=1)
    residual = rounds.values["reward"] - model[at]
    noise = float(((apart[at] / p) ** 2 * residual**2 * p / explored).mean())
    between = float((apart * model).sum(axis=1).var())
    total = (1.959964 / gap) ** 2 * (noise + between)
    if total > 1e8:
        return "; they are as good as alike: more than 100,000,000 rounds would be needed"
    figures = 10 ** max(0, math.floor(math.log10(max(total, 1))) - 1)
    about = math.ceil(max(total, 1) / figures) * figures
    return (
        f"; about {about:,} more rounds at {100 * EXPLORE:.0f} % exploration could, if that is the difference"
    )

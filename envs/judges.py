"""Simulated judges of a stated quality, for tables without one: what a verifier would have to be worth its call.

Of right-or-wrong answers the judge is binormal: it draws N(d, 1) for a right answer and N(0, 1) for a wrong one, with
`d = sqrt(2) Phi^-1(AUC)` (Green and Swets 1966), and says the probability that the answer is right given what it drew
and how often the model is right. Its probabilities hold, therefore; below an AUC of 1/2 it says them the wrong way
round. Of graded answers it says the utility plus noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.bare import special
from envs.outcomes import Floats

_LEAST = 0.05  # of d in what is said: a judge that knows nothing still says something, at random
_EDGE = 1e-3  # of a model that is always or never right


class Judge(NamedTuple):
    """A stated judge: areas under the ROC curve, one for each model or one for all, or the deviation of its noise."""

    auc: tuple[float, ...] = ()
    noise: float = 0.0


def parse(text: str) -> Judge:
    """Return the judge that `auc=0.8`, `auc=0.7/0.8/0.9` (one for each model) or `noise=0.2` states.

    Raises:
        ValueError: anything else, an AUC outside (0, 1), a noise that is not above 0.
    """
    kind, _, value = text.partition("=")
    try:
        numbers = tuple(float(part) for part in value.split("/"))
    except ValueError:
        numbers = ()
    if kind.strip() == "auc" and numbers and all(0 < a < 1 for a in numbers):
        return Judge(auc=numbers)
    if kind.strip() == "noise" and len(numbers) == 1 and 0 < numbers[0] < 1e6:
        return Judge(noise=numbers[0])
    raise ValueError(
        f"--judge needs auc=A or auc=A/B/... with numbers between 0 and 1, or noise=S with S > 0, got {text!r}"
    )


def simulated(
    judge: Judge,
    utility: Floats,
    models: Sequence[str],
    *,
    seed: int = 0,
    part: int = 0,
    of: tuple[Floats, NDArray[np.integer[Any]]] | None = None,
) -> Floats:
    """Return the `(T, K)` scores of a judge in [0, 1], NaN where a model has no answer.

    The draws of a seed do not depend on the stated quality: of two judges on the same table the better one is better
    on the same draws.

    Args:
        judge: from `parse`.
        utility: `(T, K)`, NaN where there is no answer.
        models: `K` names, for messages.
        seed: of what is drawn.
        part: 0, or another number for another table of the same run, whose draws are others.
        of: where answers have changed, the utility `(N, K)` before and the `(T,)` rows of it that are asked: what is
            drawn for a row stays with it, and the judge knows how often a model was right before.

    Raises:
        ValueError: graded utilities for a judge stated by AUC, or another number of AUCs than models.
    """
    expit = special().expit
    logit = special().logit
    ndtri = special().ndtri
    known, rows = (utility, np.arange(len(utility))) if of is None else of
    drawn = np.random.default_rng([seed, 0x6A75, *[part] * (part > 0)]).standard_normal(known.shape)[rows]
    if judge.noise:
        return np.where(np.isnan(utility), np.nan, np.clip(utility + judge.noise * drawn, 0.0, 1.0))
    graded = ~np.isnan(utility) & (utility != 0) & (utility != 1)
    if graded.any():
        row, k = np.argwhere(graded)[0]
        raise ValueError(
            f"--judge auc needs answers that are right or wrong, model {models[k]!r} has {utility[row, k]:g} in row"
            f" {row + 1}; noise=0.2 is for graded ones"
        )
    if len(judge.auc) not in (1, len(models)):
        raise ValueError(
            f"--judge auc needs 1 number or {len(models)}, one for each model, got {len(judge.auc)}"
        )
    d = np.sqrt(2) * ndtri(np.broadcast_to(np.array(judge.auc), len(models)))
    said = np.maximum(np.abs(d), _LEAST)
    higher = np.where(d >= 0, utility == 1, utility == 0)
    share = np.clip(np.nanmean(known, axis=0), _EDGE, 1 - _EDGE)
    score = expit(logit(share) + said * (np.abs(d) * higher + drawn) - said**2 / 2)
    return np.where(np.isnan(utility), np.nan, score)

"""What to expect of every model before and after some have been heard: logistic regressions for each set of heard ones.

One regression for each set of models heard and each model: `P(right | x, scores heard)`. A model that was heard is
judged by its own score among the rest, so its estimate is a recalibrated one.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.sequential.chains import Judged
from envs.bare import special

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_HELD = (1e-3, 1e-2, 1e-1, 1.0)  # inverse strengths of the ridge that are tried
_FOLDS = 3  # of rows, drawn, on which they are
_FAR = 8.0  # of a logit: a judge that is surer than 1 - 3e-4 is not believed


class Fitted(NamedTuple):
    """Training rows, from which the regressions of a set are fitted when that set is first asked for.

    Attributes:
        context: `(N, d)` what is known of a query before any call.
        judged: its table.
    """

    context: Floats
    judged: Judged


def logits(score: Floats) -> Floats:
    """Return scores in [0, 1] as logits, cut off far out."""
    edge = 1 / (1 + np.exp(_FAR))
    safe = np.clip(score, edge, 1 - edge)
    return np.asarray(np.log(safe / (1 - safe)))


class Estimator:
    """`estimate(ran, rows)` for `supermodels.play` on rows other than those that it was fitted on."""

    def __init__(self, fitted: Fitted, context: Floats, judged: Judged) -> None:
        self._context, self._judged = context, judged
        self._regressed = cache(self._regress)
        self.linear = cache(lambda ran: linear(fitted, np.array(ran)))  # of a tuple of K bools

    def __call__(self, ran: Flags, rows: NDArray[np.int64] | None = None) -> Floats:
        """Return the `(n, K)` estimates of these rows (None: all) after the models `ran` `(K,)` were heard."""
        found = self._regressed(tuple(bool(r) for r in ran))
        return found if rows is None else found[rows]

    def _regress(self, ran: tuple[bool, ...]) -> Floats:

        weight, offset = self.linear(ran)
        told = np.where(np.array(ran), logits(self._judged.score), 0.0)
        return np.asarray(special().expit(np.column_stack([self._context, told]) @ weight.T + offset))


def linear(train: Fitted, heard: Flags) -> tuple[Floats, Floats]:
    """Return weights `(K, d + K)` and offsets `(K,)` of the logits of P(right | x, scores heard), for each model.

    The inputs are the context and the logits of the scores, of which those not heard have weight 0.

    Args:
        train: the rows.
        heard: `(K,)` models heard.
    """
    x, utility = np.column_stack([train.context, logits(train.judged.score[:, heard])]), train.judged.utility
    mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    dim, count = train.context.shape[1], utility.shape[1]
    columns = np.concatenate([np.arange(dim), dim + np.flatnonzero(heard)])
    weight, offset = np.zeros((count, dim + count)), np.zeros(count)
    for k in range(count):
        own, constant = _regression((x - mean) / spread, utility[:, k])
        weight[k, columns] = own / spread
        offset[k] = constant - (mean / spread) @ own
    return weight, offset


def _regression(x: Floats, utility: Floats) -> tuple[Floats, float]:
    """Return weights and offset of a logistic regression, as strongly held back as does best on held-out rows.

    With few rows and many features a router without that is a straw man. Graded utilities are weights of both outcomes.
    Where there is nothing to tell apart it is the mean.
    """

    fold = np.random.default_rng(0).permutation(len(x)) % _FOLDS
    inside = [fold != one for one in range(_FOLDS)]
    if not x.shape[1] or any(utility[some].min() == utility[some].max() for some in inside):
        return np.zeros(x.shape[1]), float(special().logit(np.clip(utility.mean(), 1e-9, 1 - 1e-9)))
    losses = np.zeros(len(_HELD))
    for some in inside:
        for i, strength in enumerate(_HELD):
            weight, offset = _fit(x[some], utility[some], strength)
            told = np.clip(special().expit(x[~some] @ weight + offset), 1e-6, 1 - 1e-6)
            u = utility[~some]
            losses[i] -= float((u * np.log(told) + (1 - u) * np.log(1 - told)).sum())
    return _fit(x, utility, _HELD[int(losses.argmin())])


def _fit(x: Floats, utility: Floats, strength: float) -> tuple[Floats, float]:
    """Return weights and offset of one regression; `strength` is the inverse of its ridge."""
    from sklearn.linear_model import LogisticRegression

    twice, label = np.concatenate([x, x]), np.repeat([1, 0], len(x))
    weight = np.concatenate([utility, 1 - utility])
    kept = weight > 0
    model = LogisticRegression(C=strength, max_iter=500)
    model.fit(twice[kept], label[kept], sample_weight=weight[kept])
    return np.asarray(model.coef_[0]), float(model.intercept_[0])

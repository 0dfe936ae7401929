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
        self._train, self._context, self._judged = fitted, context, judged
        self._regressed = cache(self._regress)

    def __call__(self, ran: Flags, rows: NDArray[np.int64] | None = None) -> Floats:
        """Return the `(n, K)` estimates of these rows (None: all) after the models `ran` `(K,)` were heard."""
        found = self._regressed(tuple(bool(r) for r in ran))
        return found if rows is None else found[rows]

    def _regress(self, ran: tuple[bool, ...]) -> Floats:
        heard = np.array(ran)
        train, utility = _inputs(self._train.context, self._train.judged, heard), self._train.judged.utility
        ask = _inputs(self._context, self._judged, heard)
        mean, spread = train.mean(axis=0), np.maximum(train.std(axis=0), 1e-9)
        train, ask = (train - mean) / spread, (ask - mean) / spread
        return np.column_stack([_probability(train, utility[:, k], ask) for k in range(utility.shape[1])])


def _inputs(context: Floats, judged: Judged, heard: Flags) -> Floats:
    return np.column_stack([context, logits(judged.score[:, heard])])


def _probability(train: Floats, utility: Floats, ask: Floats) -> Floats:
    """Return the expected utility at `ask` by logistic regression, as strongly held back as does best on held-out rows.

    With few rows and many features a router without that is a straw man. Graded utilities are weights of both outcomes.
    """
    if utility.min() == utility.max() or not train.shape[1]:
        return np.full(len(ask), utility.mean())
    fold = np.random.default_rng(0).permutation(len(train)) % _FOLDS
    losses = np.zeros(len(_HELD))
    for one in range(_FOLDS):
        inside, outside = fold != one, fold == one
        if utility[inside].min() == utility[inside].max():
            return np.full(len(ask), utility.mean())
        for i, strength in enumerate(_HELD):
            told = np.clip(_fit(train[inside], utility[inside], strength, train[outside]), 1e-6, 1 - 1e-6)
            u = utility[outside]
            losses[i] -= float((u * np.log(told) + (1 - u) * np.log(1 - told)).sum())
    return _fit(train, utility, _HELD[int(losses.argmin())], ask)


def _fit(train: Floats, utility: Floats, strength: float, ask: Floats) -> Floats:
    """Return P(right) at `ask` of one regression; `strength` is the inverse of its ridge."""
    from sklearn.linear_model import LogisticRegression

    twice, label = np.concatenate([train, train]), np.repeat([1, 0], len(train))
    weight = np.concatenate([utility, 1 - utility])
    kept = weight > 0
    model = LogisticRegression(C=strength, max_iter=500)
    model.fit(twice[kept], label[kept], sample_weight=weight[kept])
    return np.asarray(model.predict_proba(ask)[:, 1])

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
    """Return the expected utility at `ask`: logistic regression with graded utilities as weights of both outcomes."""
    from sklearn.linear_model import LogisticRegression

    if utility.min() == utility.max() or not train.shape[1]:
        return np.full(len(ask), utility.mean())
    twice = np.concatenate([train, train])
    label = np.repeat([1, 0], len(train))
    weight = np.concatenate([utility, 1 - utility])
    kept = weight > 0
    model = LogisticRegression(C=1.0, max_iter=1000).fit(twice[kept], label[kept], sample_weight=weight[kept])
    return np.asarray(model.predict_proba(ask)[:, 1])

"""A log of all models' answers with what a judge said of each: what policies of several calls are fitted on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.sequential.chains import Judged
from envs.calls import Answers, Combine, last

Floats = NDArray[np.float64]


class Logged(NamedTuple):
    """Rows that are not evaluated: `N` queries, `K` models.

    Attributes:
        context: `(N, d)`.
        utility, cost: `(N, K)` in [0, 1] and in the table's unit, NaN where missing.
        score: `(N, K)` in [0, 1], what a judge says of each answer, NaN where there is none.
        judge_cost: `(N, K)` of judging, which is paid after every call; None: it is free.
        votes: `(N, K)` codes of the answers, see `envs.calls.Several`; None: not known.
        combine: which answer of several calls is delivered.
    """

    context: Any
    utility: Any
    cost: Any
    score: Any
    judge_cost: Any = None
    votes: Any = None
    combine: Combine = last

    @property
    def paid(self) -> Floats:
        """`(N, K)` cost of a call with its judge."""
        cost = np.asarray(self.cost, np.float64)
        return cost if self.judge_cost is None else cost + self.judge_cost

    def whole(self) -> Logged:
        """Return the rows with an outcome of every model."""
        rows = ~np.isnan(np.asarray(self.utility)).any(axis=1)
        return Logged._make(a[rows] if isinstance(a, np.ndarray) else a for a in self)

    def judged(self) -> Judged:
        """Return the table, with scores as the loop has them: rounded to float32, so that no threshold differs."""
        score = np.asarray(self.score, np.float32).astype(np.float64)
        return Judged(np.asarray(self.utility, np.float64), self.paid, score)

    def delivered(self, rows: NDArray[np.int64], turn: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return `(b,)` utility delivered and `(b,)` cost of all calls, `turn` `(b, K)` as in `envs.calls.Calls`."""
        heard = np.where(turn >= 0, self.score[rows], np.nan)
        used = np.nan_to_num(self.paid[rows])[..., None]
        votes = None if self.votes is None else self.votes[rows]
        told = self.combine(turn, heard, Answers(np.nan_to_num(self.utility[rows]), used, votes))
        return np.asarray(told.utility), np.asarray(told.used)[..., 0]


def needed(name: str, log: Logged | None, n_arms: int, dim: int) -> Logged:
    """Return the whole rows of a policy's log.

    Raises:
        ValueError: there is no log, it is of other models or features, has no judge, or too few whole rows.
    """
    if log is None:
        raise ValueError(f"{name} needs logged outcomes to be fitted on, got none; give --warm-start SHARE")
    if np.shape(log.utility)[1:] != (n_arms,) or np.shape(log.context)[1:] != (dim,):
        raise ValueError(
            f"{name} needs a log of {n_arms} models and {dim} features, got utility {np.shape(log.utility)} and"
            f" context {np.shape(log.context)}"
        )
    if getattr(log, "score", None) is None:
        raise ValueError(f"{name} needs a log with a judge's scores, got none")
    whole = log.whole()
    if len(whole.utility) < 10:
        raise ValueError(
            f"{name} needs 10 logged queries with an outcome of every model, got {len(whole.utility)}"
        )
    return whole

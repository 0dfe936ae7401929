"""A chain of models: call the next one until a judge's score of the latest answer reaches a threshold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Judged(NamedTuple):
    """A table of `N` queries and `K` models with a judge, all `(N, K)` and finite where a model can be called.

    Attributes:
        utility: what an answer is worth, in [0, 1].
        cost: of a call, what its judge costs included.
        score: what the judge says of the answer once it is there, the higher the better; any scale.
    """

    utility: Floats
    cost: Floats
    score: Floats

    def take(self, rows: NDArray[np.int64] | Flags) -> Judged:
        """Return the table of these rows."""
        return Judged(self.utility[rows], self.cost[rows], self.score[rows])


class Chain(NamedTuple):
    """Models in the order of their calls, and for each but the last the score at which its answer is delivered.

    Attributes:
        order: `L` models.
        thresholds: `L - 1`; an answer with a score >= its threshold is delivered, the last model's always.
    """

    order: tuple[int, ...]
    thresholds: tuple[float, ...] = ()


class Ran(NamedTuple):
    """Of each query, `(N,)`: place in the chain (from 0) at which it stopped, utility, cost of all calls."""

    stopped: NDArray[np.int64]
    utility: Floats
    cost: Floats

    @property
    def calls(self) -> NDArray[np.int64]:
        """`(N,)` calls made."""
        return self.stopped + 1


def play(judged: Judged, chain: Chain) -> Ran:
    """Return what a chain delivers and costs on every query of a table."""
    going = np.ones(len(judged.utility), bool)
    stopped = np.zeros(len(going), np.int64)
    utility, cost = np.zeros(len(going)), np.zeros(len(going))
    for place, model in enumerate(chain.order):
        cost += np.where(going, judged.cost[:, model], 0.0)
        last = place == len(chain.order) - 1
        done = going if last else going & (judged.score[:, model] >= chain.thresholds[place])
        utility[done] = judged.utility[done, model]
        stopped[done] = place
        going = going & ~done
    return Ran(stopped, utility, cost)


def at_random(judged: Judged, chain: Chain, shares: Floats) -> Ran:
    """Return what the same chain gives in expectation where it goes on by chance instead of by the judge.

    Args:
        judged, chain: the table and the order; thresholds are not used.
        shares: `(L - 1,)` probability of going on after each model but the last.
    """
    reach = np.concatenate([[1.0], np.cumprod(shares)])
    stop = reach * np.concatenate([1 - np.asarray(shares), [1.0]])
    models = list(chain.order)
    utility, cost = judged.utility[:, models] @ stop, judged.cost[:, models] @ reach
    return Ran(np.full(len(utility), -1, np.int64), utility, cost)


def going_on(ran: Ran, length: int) -> Floats:
    """Return `(L - 1,)`, of the queries that reach each model of a chain the share that goes on to the next one."""
    reached = np.array([(ran.stopped >= place).sum() for place in range(length)], np.float64)
    return np.asarray(reached[1:] / np.maximum(reached[:-1], 1))

"""Several calls a query: how many, when their outcomes are heard, and what is delivered of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.outcomes import Floats

if TYPE_CHECKING:
    from envs.stream import Stream

STOP = -1  # in place of an arm: no further call for this query
REVEALS = ("each", "end")
HEARS = ("each", "delivered")
LATENCY = 1  # place among the resources: cost, latency, tokens


class Answers(NamedTuple):
    """What the models give: `utility` `(..., K)` and `used` `(..., K, R)`; of a delivered one `(...)` and `(..., R)`.

    Both are finite: 0 where a model cannot be called or a resource is not recorded. `votes` `(..., K)` are codes of
    the answers, see `Several`; None where there are none.
    """

    utility: Any
    used: Any
    votes: Any = None


Combine = Callable[[Any, Any, Answers], Answers]  # (turn, heard, answers of K) -> what is delivered


class Calls(NamedTuple):
    """How a query of a stream may be answered; the same for all its queries.

    Attributes:
        most: `M`, calls a query at most, of different models.
        reveal: `each`: a policy hears of a call before it chooses the next (a cascade); `end`: after the last (a set).
        combine: `(turn, heard, answers) -> answers`, what is delivered. `turn` `(..., K)` is the slot, from 0, in which
            each model was called, -1 where it was not; `heard` `(..., K)` the judge's scores, NaN where there are none.
            NumPy and JAX call it alike, with at least one model called. See `last` and `best_heard`.
        hear: whose utility a policy hears: that of `each` call, at once where `reveal` is `each`; or of the `delivered`
            answer alone, after the round, as where users judge what they get. Costs and scores are heard of all.
        room: `(R,)` what one query may use of cost, latency and tokens: no call follows the one that reaches it.
        needs: of each arm the one that has to be called before it, -1 for none, as a model that reads what was bought
            needs the look that bought it; empty: none needs any. A look is an arm that answers nothing: utility 0.
        parallel: whether the latency of a query is that of its slowest call; else latencies add up.
    """

    most: int = 1
    reveal: str = "each"
    combine: Combine | None = None
    room: tuple[float, ...] | None = None
    hear: str = "each"
    parallel: bool = False
    needs: tuple[int, ...] = ()

    def delivered(self, turn: Any, heard: Any, answers: Answers) -> Answers:
        """Return what is delivered, and all that its calls use, as `combine` takes and gives them."""
        told = (self.combine or last)(turn, heard, answers)
        if not self.parallel:
            return told
        xp = turn.__array_namespace__()
        slowest = xp.where(turn >= 0, answers.used[..., LATENCY], 0.0).max(axis=-1)
        at = xp.arange(told.used.shape[-1]) == LATENCY
        return told._replace(used=xp.where(at, slowest[..., None], told.used))


class Several(NamedTuple):
    """What a stream of `T` rows and `K` models says beyond outcomes: `calls`, and what is seen of the arms.

    Attributes:
        calls: how many and how.
        scores: `(T, K)` what a judge says of each answer once it is there; None: nothing.
        features: `(T, K, e)` float32, what is known of each arm before it is called; of an item of a set the first one
            is its length in tokens; None: nothing.
        revealed: `(T, K, e)` float32, what each arm shows of the query once it was called, in place of `features`; 0
            until then; None: nothing.
        votes: `(T, K)` code of each answer, equal for equal answers of a query, -1 for one that has none; None: none.
        judge_cost: `(T, K)` of judging an answer, paid after every call by a policy that may call again; None: free.
        split: `(T,)` which rows the table calls `train` and `test`; None: it does not.
    """

    calls: Calls
    scores: Floats | None = None
    features: NDArray[np.float32] | None = None
    votes: NDArray[np.int64] | None = None
    judge_cost: Floats | None = None
    split: NDArray[np.object_] | None = None
    revealed: NDArray[np.float32] | None = None

    def take(self, rows: NDArray[np.integer[Any]]) -> Several:
        """Return what is said of some rows, in their order."""
        return Several(self.calls, *(None if each is None else each[rows] for each in self[1:]))


def several_of(stream: Stream) -> Several:
    """Return what a stream says of several calls a query.

    Raises:
        ValueError: it has one call a query.
    """
    found = stream.several
    if not isinstance(found, Several):
        raise ValueError(f"{stream.name} has one call a query; several need calls and a judge")
    return found


def last(turn: Any, heard: Any, answers: Answers) -> Answers:
    """Deliver the answer of the last call; all calls are paid for."""
    del heard
    return _of(turn.argmax(axis=-1), turn, answers)


def best_heard(turn: Any, heard: Any, answers: Answers) -> Answers:
    """Deliver the answer of the highest score, of equal ones that of the lowest arm; all calls are paid for."""
    xp = heard.__array_namespace__()
    score = xp.where(xp.isnan(heard), -1e30, heard)
    return _of(xp.where(turn >= 0, score, -xp.inf).argmax(axis=-1), turn, answers)


def vote(turn: Any, heard: Any, answers: Answers) -> Answers:
    """Deliver the answer that most of the called models give, of equally many the one called first; all are paid."""
    del heard
    xp = turn.__array_namespace__()
    called = turn >= 0
    known = called & (answers.votes >= 0)
    alike = (answers.votes[..., None, :] == answers.votes[..., :, None]) & known[..., None, :]
    count = xp.where(known, alike.sum(axis=-1), 0)
    return _of(xp.where(called, count * 1000 - turn, -1000).argmax(axis=-1), turn, answers)


def total(turn: Any, heard: Any, answers: Answers) -> Answers:
    """Deliver all that was called, worth the sum of utilities: a set of items that are each worth something."""
    del heard
    xp = turn.__array_namespace__()
    utility = xp.where(turn >= 0, answers.utility, 0.0).sum(axis=-1)
    return Answers(utility, xp.where(turn[..., None] >= 0, answers.used, 0.0).sum(axis=-2))


def _of(arm: Any, turn: Any, answers: Answers) -> Answers:
    xp = turn.__array_namespace__()
    utility = xp.take_along_axis(answers.utility, arm[..., None], axis=-1)[..., 0]
    return Answers(utility, xp.where(turn[..., None] >= 0, answers.used, 0.0).sum(axis=-2))


def check(several: Several, shape: tuple[int, int], resources: int) -> None:
    """Refuse what does not fit a stream of this `(T, K)` and `R` resources.

    Raises:
        ValueError: one line that names the field, what it needs and what it got.
    """
    calls = several.calls
    if not 1 <= calls.most <= shape[1]:
        raise ValueError(f"calls a query need to be from 1 to the {shape[1]} models, got {calls.most}")
    if calls.reveal not in REVEALS:
        raise ValueError(f"reveal needs to be one of {', '.join(REVEALS)}, got {calls.reveal!r}")
    if calls.hear not in HEARS:
        raise ValueError(f"hear needs to be one of {', '.join(HEARS)}, got {calls.hear!r}")
    if calls.room is not None and not (len(calls.room) == resources and min(calls.room) > 0):
        raise ValueError(f"room needs {resources} numbers > 0, got {calls.room}")
    if calls.needs and not (len(calls.needs) == shape[1] and all(-1 <= n < shape[1] for n in calls.needs)):
        raise ValueError(f"needs of calls need an arm or -1 for each of {shape[1]} models, got {calls.needs}")
    for name in ("scores", "features", "votes", "judge_cost", "revealed"):
        given = getattr(several, name)
        if given is not None and given.shape[:2] != shape:
            raise ValueError(f"{name} of calls need shape {shape} first, as the stream, got {given.shape}")

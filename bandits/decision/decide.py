"""The decision: which choice is best where, which policy is shown to beat every fixed choice, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.decision.choices import ACCURACY, COST, Choices
from bandits.decision.compare import POWER, Compared, Pair, compare, net, shown_between
from bandits.decision.limits import Limit, fulfil, with_mixtures
from bandits.decision.worths import Piece, best_by_worth
from envs.bare import special

Floats = NDArray[np.float64]
_SHUFFLES = 200  # random orders of the rounds, for what a shortfall is by chance
_TRIED = 400  # worths at which it is tried how far a policy's lead reaches


class Decision(NamedTuple):
    """What was decided of `P` choices; places are those in `choices`.

    Attributes:
        choices: all, mixtures included.
        parts: of each mixture, place and share.
        worths: `(P,)` the worth of a right answer at which a policy is compared; NaN for fixed choices.
        affordable: `(P,)` which keep the limits.
        pieces: the best choice by worth, of fixed choices and policies that are shown to be better; a single one where
            a worth is given or the table has no costs; none where nothing keeps the limits.
        fixed: the same of fixed choices alone.
        compared: policies with the best fixed choice at their worths, one family; None without either.
        place: of a policy's place in `compared`.
        behind: other single models with each best fixed choice, one family each, by the best one's place.
    """

    choices: Choices
    parts: dict[int, list[tuple[int, float]]]
    worths: Floats
    affordable: NDArray[np.bool_]
    pieces: list[Piece]
    fixed: list[Piece]
    compared: Compared | None
    place: dict[int, int]
    behind: dict[int, Compared]

    def shown(self, policy: int) -> bool:
        """Return whether a policy is shown to be better than the best fixed choice."""
        return self.compared is not None and policy in self.place and _won(self.compared, self.place[policy])


def decide(
    choices: Choices, worth: Mapping[str, float], *, given: float | None = None, limits: Sequence[Limit] = ()
) -> Decision:
    """Return the decision.

    Args:
        choices: from `measured`.
        worth: what a right answer is worth, in the table's unit of cost, at each preference that was played; inf where
            accuracy alone counts.
        given: the user's own worth; None: it is not known.
        limits: that the choice has to keep, in the table's unit of cost.
    """
    choices, parts = with_mixtures(choices, limits)
    affordable = fulfil(choices, limits)
    worths = np.array([worth.get(p, math.nan) if p else math.nan for p in choices.preferences])
    fixed = [i for kind in ("model", "mixture") for i in choices.of(kind) if affordable[i]]
    policies = [i for i in choices.of("policy") if affordable[i]]
    lines = _pieces(choices, fixed, given)
    compared, place = None, {}
    if fixed and policies:
        pairs = [Pair(i, _at(lines, worths[i]), float(worths[i])) for i in policies]
        compared, place = compare(choices, pairs, fixed), {i: n for n, i in enumerate(policies)}
    pieces = lines if compared is None else _with_policies(choices, compared, fixed, lines, given)
    behind = {p.choice: found for p in lines if (found := _behind(choices, p, fixed, given)) is not None}
    return Decision(choices, parts, worths, affordable, pieces, lines, compared, place, behind)


def _pieces(choices: Choices, fixed: list[int], given: float | None) -> list[Piece]:
    """Return the best fixed choices by worth; one alone where the worth is given, and where nothing costs."""
    if not fixed:
        return []
    mean = choices.mean[fixed]
    if given is not None or not mean[:, COST].any():
        worth = math.inf if given is None else given
        best = _best(mean, worth)
        return [Piece(fixed[best], 0.0, math.inf)]
    return [p._replace(choice=fixed[p.choice]) for p in best_by_worth(mean[:, ACCURACY], mean[:, COST])]


def _best(mean: Floats, worth: float) -> int:
    """Return the best of `(P, M)` means at a worth, among equals the cheapest, then the first."""
    return int(np.lexsort((mean[:, COST], -net(mean, worth)))[0])


def _at(pieces: Sequence[Piece], worth: float) -> int:
    return next(piece.choice for piece in pieces if worth <= piece.high)


def _won(compared: Compared, n: int) -> bool:
    return bool(compared.verdict.shown[n] and compared.queries.mean[n] > 0 and compared.seeds.mean[n] > 0)


def _with_policies(
    choices: Choices, compared: Compared, fixed: list[int], lines: list[Piece], given: float | None
) -> list[Piece]:
    """Return the best choices by worth where a policy stands for election only where it is shown to be better."""
    won = [pair for n, pair in enumerate(compared.pairs) if _won(compared, n)]
    if not won:
        return lines
    if given is not None or not choices.mean[fixed, COST].any():
        best = max(won, key=lambda pair: float(net(choices.mean[pair.choice], pair.worth)))
        return [Piece(best.choice, 0.0, math.inf)]
    tried = _tried(choices, [pair.worth for pair in won])
    spans = [shown_between(choices, pair, fixed, compared.passed, tried) for pair in won]
    places = [*fixed, *(pair.choice for pair in won)]
    stands = np.array([*[(0.0, math.inf)] * len(fixed), *spans])
    mean = choices.mean[places]
    found = best_by_worth(mean[:, ACCURACY], mean[:, COST], stands)
    return [piece._replace(choice=places[piece.choice]) for piece in found]


def _tried(choices: Choices, worths: Sequence[float]) -> Floats:
    """Return worths, ascending, from far below the least to far above the greatest at which choices change, and inf."""
    mean = choices.mean
    inner = [p.high for p in best_by_worth(mean[:, ACCURACY], mean[:, COST]) if math.isfinite(p.high)]
    ends = [w for w in (*inner, *worths) if math.isfinite(w) and w > 0] or [1.0]
    return np.append(np.geomspace(min(ends) / 100, max(ends) * 100, _TRIED), math.inf)


def _behind(choices: Choices, piece: Piece, fixed: list[int], given: float | None) -> Compared | None:
    """Return the other single models compared with the best fixed choice, at the worth or amid its piece."""
    others = [i for i in fixed if i != piece.choice and choices.kinds[i] == "model"]
    if not others:
        return None
    low, high = piece.low, piece.high
    worth = high if math.isinf(high) else math.sqrt(low * high) if low > 0 else high / 2
    worth = worth if given is None else given
    return compare(choices, [Pair(i, piece.choice, worth) for i in others], played=False)


def not_worse(behind: Compared) -> list[int]:
    """Return the choices that are not shown to be behind."""
    worse = behind.verdict.shown & (behind.queries.mean < 0)
    return [pair.choice for pair, shown in zip(behind.pairs, worse, strict=True) if not shown]


class Reach(NamedTuple):
    """What the evidence on one comparison can carry, in right answers a query.

    Attributes:
        detectable: the least difference that would be shown, its spread being what it is; NaN: none is known.
        queries, seeds: as many as would show the difference in four of five cases if it is what it looks like; None:
            the difference is none to be shown, or they are enough already.
    """

    detectable: float
    queries: int | None
    seeds: int | None


def reach(compared: Compared, n: int, *, queries: int, seeds: int) -> Reach:
    """Return what the evidence on a comparison can carry.

    The least difference that is shown is `t se` for both tests, at Holm's next step. The number needed follows from
    `d = (t + z) se sqrt(n / n')`, with the normal quantile `z` of the power (Cohen 1988, section 2.4).

    Args:
        compared: from `compare`.
        n: place in it.
        queries, seeds: that were there.
    """
    ndtri = special().ndtri
    stdtrit = special().stdtrit
    found, needed = [], []
    for estimate, count in ((compared.seeds, seeds), (compared.queries, queries)):
        half = float(estimate.hi[n] - estimate.mean[n])
        error = half / float(stdtrit(count - 1, 0.975)) if count > 1 else math.nan
        least = float(stdtrit(count - 1, 1 - compared.cutoff / 2)) if count > 1 else math.nan
        found.append(least * error)
        ahead = float(estimate.mean[n])
        ratio = (least + float(ndtri(POWER))) * error / ahead if ahead > 0 else math.nan
        more = math.ceil(count * ratio**2) if math.isfinite(ratio) else None
        needed.append(None if more is None or more <= count else more)
    return Reach(float(np.max(found)), needed[1], needed[0])


class Learning(NamedTuple):
    """What learning costs, in right answers, costs taken off at the worth.

    Attributes:
        rounds: until the policy earns what it earns in its last quarter.
        lost: less than at that rate, all of those rounds together.
        after: a query more than the fixed choice, in the last quarter.
    """

    rounds: int
    lost: float
    after: float


def learning(gap: Floats) -> Learning:
    """Return what learning costs, from `(S, T)` what each round earned more than the best fixed choice there.

    The shortfall against the rate of the last quarter adds up until the policy is as good as that; there the sum is
    highest. What the fixed choice earns in the same rounds is taken off first, so that hard queries do not count. Such
    a highest sum is never below 0 and has the noise of single rounds in it: no round is said to be of learning where
    the same rounds in random order reach as much in one of twenty.
    """
    curve = gap.mean(axis=0)
    last = max(len(curve) // 4, 1)
    after, short = _shortfall(curve, last)
    end = int(short.argmax())
    rng = np.random.default_rng(0)
    by_chance = [_shortfall(rng.permutation(curve), last)[1].max() for _ in range(_SHUFFLES)]
    if short[end] <= np.quantile(by_chance, 0.95):
        return Learning(0, 0.0, after)
    return Learning(end, float(short[end]), after)


def _shortfall(curve: Floats, last: int) -> tuple[float, Floats]:
    """Return the mean of the last rounds of `(T,)`, and `(T + 1,)` how much less than at it the first ones earned."""
    after = float(curve[-last:].mean())
    return after, np.concatenate([[0.0], np.cumsum(after - curve)])


def calls(arms: NDArray[np.int32], n_arms: int) -> Any:
    """Return `(K,)` the share of each model among the calls of the last quarter of `(S, T)` rounds."""
    last = arms[:, -max(arms.shape[1] // 4, 1) :]
    return np.bincount(last[last >= 0], minlength=n_arms) / max(last.size, 1)

"""Which routers are shown to beat the best single model, and at what, by the project's one rule (`metrics.verdict`).

A router's peak is the highest of many points, so on the queries that chose the point it is too high, and even a router
that equals the best model would be said to beat it. So a point is chosen on four fifths of the test queries and its
differences are taken on the last fifth, in turn (cross-fitting: Chernozhukov et al. 2018, definition 3.1). What is
compared has the same rows on both sides. The model is the best on these very rows, which favours the model.

Two claims are tested. `accuracy`: the point of the highest utility has more than the model. `cost`: the cheapest point
that reached the model's utility is less than .01 below it and costs less; both need to be shown (an intersection of
two tests, Berger 1982). All routers and both claims are one family of Holm's correction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics import curve
from bandits.metrics.curve import Path
from bandits.metrics.intervals import SHARES_APART, Estimate, clustered, paired
from bandits.metrics.verdict import FEWEST_QUERIES, Verdict, judge
from bandits.mmrbench import trial

Floats = NDArray[np.floating[Any]]
Row = dict[str, Any]
FOLDS = 5
MARGIN = 0.01  # utility that counts as reached, as in QNC_01
CLAIMS = ("accuracy", "cost")
# The columns of a reference: it knows the outcomes, or is one of the models, and contends for nothing.
REFERENCE: Row = dict.fromkeys(
    ("over_single", "over_single_lo", "over_single_hi", "over_single_seed_lo", "over_single_seed_hi",
     "over_single_p", "match_cost", "match_p"),
    math.nan,
) | {"beats": "", "below": False, "why": "a reference"}  # fmt: skip


class Contest(NamedTuple):
    """What `R` routers got beside the best single model, on queries that did not choose their points.

    Attributes:
        routers: their specs.
        single: name of the model.
        seeds: `(S, R, 5)` means a query of each repetition: utility at the peak; utility and cost at the match; the
            model's utility and cost.
        queries: `(U, R, 5)` sums over repetitions, for each unit of near copies.
        rounds: `(U,)` how often each unit was tested.
    """

    routers: tuple[str, ...]
    single: str
    seeds: Floats
    queries: Floats
    rounds: Floats


def contest(
    cases: Sequence[trial.Case],
    routers: dict[str, list[Path]],
    unit: NDArray[np.intp],
    seed: int,
) -> Contest:
    """Return the contest of one split.

    Args:
        cases: one a repetition.
        routers: spec -> its paths, one a repetition; references are none.
        unit: `(N,)` numbers that near copies share, of the table that the cases come from.
        seed: of the folds.
    """
    size = int(unit.max()) + 1
    fold = np.random.default_rng([seed, 1]).permutation(size) % FOLDS
    best = int(np.nanargmax(np.mean([case.true.model_utility for case in cases], axis=0)))
    seeds = np.full((len(cases), len(routers), 5), np.nan)
    queries, rounds = np.zeros((size, len(routers), 5)), np.zeros(size)
    for s, case in enumerate(cases):
        code = unit[case.split.test]
        known = ~np.isnan(case.true.utility[:, best])
        if len(np.unique(code[known])) < FEWEST_QUERIES:
            continue  # no verdict, and perhaps a fold without queries
        rounds += np.bincount(code[known], minlength=size)
        for r, paths in enumerate(routers.values()):
            got = _got(paths[s], case, best, fold[code], known)[known]
            seeds[s, r] = got.mean(axis=0)
            for column, values in enumerate(got.T):
                queries[:, r, column] += np.bincount(code[known], values, size)
    tested = rounds > 0
    return Contest(tuple(routers), cases[0].test.models[best], seeds, queries[tested], rounds[tested])


def _got(path: Path, case: trial.Case, best: int, fold: NDArray[np.intp], known: NDArray[np.bool_]) -> Floats:
    """Return `(n, 5)`, see `Contest.seeds`, each query's from the points that the other folds chose."""
    utility, cost = case.true.utility, case.true.cost
    rows = np.arange(len(fold))
    out = np.empty((len(fold), 5))
    for f in range(FOLDS):
        weight = ((fold != f) & known).astype(float)
        means = curve.points(path, utility, cost, weight)
        kept = curve.frontier(*means)
        goal = float(weight[known] @ utility[known, best]) / weight.sum()
        reached = kept[means[1][kept] >= goal - 1e-12]  # a rounding below it is a tie
        peak, match = int(kept[-1]), int(reached[0] if len(reached) else kept[-1])
        at = rows[fold == f]
        top, low = (curve.choice(path, point)[at] for point in (peak, match))
        out[at] = np.stack(
            [utility[at, top], utility[at, low], cost[at, low], utility[at, best], cost[at, best]], axis=1
        )
    return out


def columns(contests: Sequence[Contest]) -> list[dict[str, Row]]:
    """Return, for each contest, the columns of each router; the claims of all contests are judged as one family.

    Returns:
        spec -> `over_single`, utility at the peak less the model's, with its 95 % intervals over queries `_lo`, `_hi`
        and over repetitions `_seed_lo`, `_seed_hi`, and `over_single_p`, adjusted; `match_cost`, cost of the cheapest
        point that matched the model, by the model's, and `match_p`, adjusted; `beats`: those of `CLAIMS` that are
        shown, joined by +; `below`: whether the peak is shown to lie below the model; `why` neither is shown.
    """
    over = [_against_single(c) for c in contests]
    found = _judged(contests, [(one[0], one[1]) for one in over])
    out = []
    for c, (seeds, queries, share), said in zip(contests, over, found, strict=True):
        alike = np.sign(seeds.mean) == np.sign(queries.mean)
        better, worse = (said.shown & alike & (side * queries.mean > 0) for side in (1, -1))
        own = {}
        for r, name in enumerate(c.routers):
            ends = {"lo": queries.lo, "hi": queries.hi, "seed_lo": seeds.lo, "seed_hi": seeds.hi}
            beats = "+".join(claim for claim, yes in zip(CLAIMS, better[:, r], strict=True) if yes)
            own[name] = {
                "over_single": float(queries.mean[0, r]),
                **{f"over_single_{end}": float(values[0, r]) for end, values in ends.items()},
                "over_single_p": float(said.p_holm[0, r]),
                "match_cost": float(share[r]),
                "match_p": float(said.p_holm[1, r]),
                "beats": beats,
                "below": bool(worse[0, r]),
                "why": "" if beats or worse[0, r] else str(said.why[0, r]),
            }
        out.append(own)
    return out


def pairs(contests: Sequence[Contest]) -> list[dict[tuple[str, str], float]]:
    """Return, for each contest, (a router, another) -> p-value of their peaks' difference, adjusted for all pairs.

    As all pairs are corrected for, it holds for a leader that was found by looking.
    """
    both = []
    for c in contests:
        first, second = np.triu_indices(len(c.routers), 1)
        queries = clustered(c.queries[:, first, 0] - c.queries[:, second, 0], c.rounds)
        both.append((paired(c.seeds[:, first, 0], c.seeds[:, second, 0]), queries))
    out = []
    for c, said in zip(contests, _judged(contests, both), strict=True):
        named = zip(
            *([c.routers[i] for i in side] for side in np.triu_indices(len(c.routers), 1)), strict=True
        )
        found = dict(zip(named, said.p_holm.tolist(), strict=True))
        out.append(found | {(b, a): p for (a, b), p in found.items()})
    return out


def sentence(rows: Sequence[Row]) -> str:
    """Return which routers the rows of `protocol.evaluate` show to beat the best single model, or that none is.

    A line for each dataset where one is, then one for all where none is.
    """
    shown: dict[str, list[Row]] = {}
    for row in rows:
        shown.setdefault(row["dataset"], []).extend([row] if row["kind"] == "router" else [])
    if not any(shown.values()):
        return "No learned router was asked for, so nothing is compared with the best single model."
    said, none = [], []
    for dataset, own in shown.items():
        on = f" on {dataset}" if len(shown) > 1 else ""
        ahead = [_won(row) for row in own if "accuracy" in row["beats"]]
        cheaper = [f"{row['router']}, {_less(row)}" for row in own if row["beats"] == "cost"]
        if ahead:
            said.append(f"Shown to beat {own[0]['single']}, the best single model{on}: {'; '.join(ahead)}.")
        if cheaper:
            said.append(
                f"Shown to cost less than {own[0]['single']}, the best single model{on}: {'; '.join(cheaper)}."
            )
        if own and not ahead + cheaper:
            none.append(dataset)
    if none:
        name = f"{shown[none[0]][0]['single']}, the best single model" if len(shown) == 1 else ""
        where = name or f"the best single model of {', '.join(none)}"
        why = _reason([row for dataset in none for row in shown[dataset]])
        said.append(f"No router is shown to beat {where}, in accuracy or in cost: {why}.")
    return "\n".join(said)


def _won(row: Row) -> str:
    ends = f"{100 * row['over_single_lo']:.1f} to {100 * row['over_single_hi']:.1f}"
    gain = f"{row['router']}, {100 * row['over_single']:.1f} points more accurate at its peak ({ends})"
    return f"{gain} and {_less(row)}" if "cost" in row["beats"] else gain


def _less(row: Row) -> str:
    return f"less than 1 point below it at {100 * row['match_cost']:.0f} % of its cost"


def _reason(own: list[Row]) -> str:
    """Return why none is shown, in the words of most."""
    reasons = [row["why"] for row in own if row["why"]]
    return max(reasons, key=reasons.count) if reasons else "all are shown to lie below it"


def _judged(contests: Sequence[Contest], over: Sequence[tuple[Estimate, Estimate]]) -> list[Verdict]:
    """Return the verdict on differences over repetitions and over queries, in one family, for each contest."""
    flat = [Estimate(*(np.concatenate([x.ravel() for x in column]) for column in zip(*side, strict=True)))
            for side in zip(*over, strict=True)]  # fmt: skip
    stands = np.concatenate(
        [np.full(o[0].p.size, len(c.rounds)) for c, o in zip(contests, over, strict=True)]
    )
    found = judge(*flat, seeds=min(len(c.seeds) for c in contests), queries=stands)
    ends = np.cumsum([o[0].p.size for o in over])[:-1]
    parts = zip(*(np.split(column, ends) for column in found), strict=True)
    return [Verdict(*(x.reshape(o[0].p.shape) for x in part)) for part, o in zip(parts, over, strict=True)]


def _against_single(c: Contest) -> tuple[Estimate, Estimate, Floats]:
    """Return both claims `(2, R)` over repetitions and over queries, and the share of cost at the match `(R,)`."""
    margin = MARGIN * c.rounds[:, None]
    top, near, dear, single, price = np.moveaxis(c.seeds, 2, 0)
    seeds = [paired(top, single).within(SHARES_APART), paired(near + MARGIN, single), paired(price, dear)]
    top, near, dear, single, price = np.moveaxis(c.queries, 2, 0)
    gaps = top - single, near + margin - single, price - dear
    queries = [clustered(gap, c.rounds) for gap in gaps]
    queries[0] = queries[0].within(SHARES_APART)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = dear.sum(axis=0) / price.sum(axis=0)
    return _claims(seeds), _claims(queries), share


def _claims(found: Sequence[Estimate]) -> Estimate:
    """Return accuracy as it is, and of cost the less certain of its two parts; p is 1 where one is unfavourable."""
    accuracy, near, cheap = found
    won = (near.mean > 0) & (cheap.mean > 0)
    p = np.maximum(near.p, cheap.p)
    both = Estimate(np.where(won, near.mean, -1.0), near.lo, near.hi, np.where(np.isnan(p) | won, p, 1.0))
    return Estimate(*(np.stack(pair) for pair in zip(accuracy, both, strict=True)))

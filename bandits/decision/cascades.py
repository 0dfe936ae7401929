"""Cascades of two models, found on half of the queries and held against every single model on the other half."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.decision.choices import ACCURACY, COST
from bandits.decision.compare import net
from bandits.decision.figures import per_cent, points
from bandits.metrics.intervals import AMOUNT, SHARE, Estimate, clustered
from bandits.metrics.verdict import FEWEST_QUERIES, FEWEST_SEEDS, judge
from bandits.money import Money, money
from bandits.results.by_query import clusters
from bandits.sequential import pairs
from bandits.sequential.chains import Chain, Judged, play
from envs.tables.judged import heard

if TYPE_CHECKING:
    from envs.stream import Stream

Floats = NDArray[np.float64]
Scores = NDArray[np.floating[Any]]
Row = Mapping[str, Any]
KIND = "cascade"
_SHARED = (
    "accuracy", "accuracy_lo", "accuracy_hi", "cost_per_1000", "cost_per_1000_lo", "cost_per_1000_hi", "against",
    "worth", "difference", "difference_lo", "difference_hi", "p", "p_holm", "shown",
)  # fmt: skip
SEE = "simulate.py cascade FILE compares cascades with routers"


def of_table(
    stream: Stream, path: Any, worths: Sequence[float], *, limits: Sequence[object] = (), seed: int = 0
) -> dict[str, Any] | None:
    """Return the `rows` of `tried` on a table of one's own, or `why` there are none; None where it has no scores.

    Args:
        stream: read from the table.
        path: of the table, as `envs.load` takes it; None for the twin.
        worths, seed: as `tried` takes them.
        limits: that a choice has to keep; they are not put on cascades.
    """
    try:
        judged = heard(path, stream.outcomes)
    except ValueError as error:
        return {"rows": [], "why": str(error)}
    if judged is None or judged.score is None:
        return None
    if not stream.outcomes.priced:
        return {"rows": [], "why": "that needs costs, which --prices FILE gives"}
    if limits:
        return {"rows": [], "why": "limits are not put on them"}
    unit = money(stream.outcomes.cost_unit)
    try:
        return {"rows": tried(stream, judged.score, worths, unit, judging=judged.cost, seed=seed), "why": ""}
    except ValueError as error:
        return {"rows": [], "why": str(error)}


def tried(
    stream: Any,
    score: Scores,
    worths: Sequence[float],
    unit: Money,
    *,
    judging: Scores | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return the best cascade of two models at each worth of a right answer, and what it is shown to be.

    It is the exact best of every pair and threshold on one half of the queries, drawn at random by clusters of near
    copies. On the other half it is compared, paired, with every single model, and is better only than what it is
    shown to be ahead of each time (intersection-union test, as `compare`); the worths are one family for Holm's
    correction. A cascade draws nothing, so the queries alone speak.

    Args:
        stream: a `Stream` of `N` rows; those with an outcome and a score of every model count.
        score: `(N, K)` what is heard of each answer, the higher the better.
        worths: of a right answer in the table's unit of cost; inf where accuracy alone counts.
        unit: what the table's unit of cost stands for.
        judging: `(N, K)` cost of a score, in the same unit; a cascade pays it with every call.
        seed: of the draw.

    Returns:
        A row for each worth at which the first half has a cascade that is better than its single models.

    Raises:
        ValueError: a half has fewer clusters than a verdict needs.
    """
    whole = stream.available.all(axis=1) & ~np.isnan(score).any(axis=1)
    code = np.unique(clusters(stream)[whole], return_inverse=True)[1]
    count = int(code.max(initial=-1)) + 1
    if count // 2 < FEWEST_QUERIES:
        raise ValueError(
            f"a verdict needs at least {FEWEST_QUERIES} queries that are not near copies on each half"
        )
    learn = np.isin(code, np.random.default_rng(seed).permutation(count)[: count // 2])
    alone = np.stack([stream.utility[whole], stream.cost[whole]], axis=-1)  # (n, K, M) of single models
    paid = alone[..., COST] if judging is None else alone[..., COST] + judging[whole]
    judged = Judged(alone[..., ACCURACY], paid, np.asarray(score[whole], np.float64))
    found = [(worth, _best(judged.take(learn), worth)) for worth in worths]
    kept = [(worth, chain) for worth, chain in found if len(chain.order) > 1]
    told = [
        _row(judged.take(~learn), alone[~learn], code[~learn], chain, worth, unit, stream.models)
        for worth, chain in kept
    ]
    if not told:
        return []
    gaps = Estimate(*np.array([gap for _, gap in told]).T)
    verdict = judge(gaps, gaps, seeds=FEWEST_SEEDS, queries=len(np.unique(code[~learn])))
    common = {"learned": int(learn.sum()), "compared": int((~learn).sum())}
    return [
        {**row, **common, "p": verdict.p[n], "p_holm": verdict.p_holm[n],
         "shown": bool(verdict.shown[n] and row["difference"] > 0)}
        for n, (row, _) in enumerate(told)
    ]  # fmt: skip


def _best(judged: Judged, worth: float) -> Chain:
    return pairs.best(judged, weight=0.0 if math.isinf(worth) else 1 / worth)


def _row(
    judged: Judged,
    alone: Floats,
    code: NDArray[np.intp],
    chain: Chain,
    worth: float,
    unit: Money,
    models: Sequence[str],
) -> tuple[dict[str, Any], tuple[float, ...]]:
    """Return what a cascade gives on the rows of `judged` against single models, and mean, ends and p of its lead."""
    ran = play(judged, chain)
    mine = np.stack([ran.utility, ran.cost], axis=-1)
    gap = net(mine, worth)[:, None] - net(alone, worth)  # (n, K)
    label = np.unique(code, return_inverse=True)[1]
    sums = np.stack([np.bincount(label, gap[:, k]) for k in range(gap.shape[1])], axis=1)
    lead = clustered(sums, np.bincount(label))
    own = clustered(np.stack([np.bincount(label, one) for one in mine.T], axis=1), np.bincount(label))
    own = own.within(tuple(np.array([SHARE, AMOUNT]).T))  # of accuracy and cost
    best = int(lead.mean.argmin())
    p = np.where(lead.mean <= 0, 1.0, lead.p).max() if lead.mean[best] > 0 else lead.p[best]
    thousand = 1000 * unit.factor
    row = {
        "first": models[chain.order[0]], "second": models[chain.order[1]], "threshold": chain.thresholds[0],
        "worth": worth * unit.factor, "passed_on": float((ran.stopped == 1).mean()),
        "accuracy": float(mine[:, ACCURACY].mean()), "cost_per_1000": float(mine[:, COST].mean() * thousand),
        "accuracy_lo": float(own.lo[ACCURACY]), "accuracy_hi": float(own.hi[ACCURACY]),
        "cost_per_1000_lo": float(own.lo[COST] * thousand), "cost_per_1000_hi": float(own.hi[COST] * thousand),
        "against": models[best], "against_accuracy": float(alone[:, best, ACCURACY].mean()),
        "against_cost_per_1000": float(alone[:, best, COST].mean() * thousand),
        "difference": float(lead.mean[best]), "difference_lo": float(lead.lo[best]),
        "difference_hi": float(lead.hi[best]),
    }  # fmt: skip
    return row, (float(lead.mean[best]), float(lead.lo[best]), float(lead.hi[best]), float(p))


def choices(found: Mapping[str, Any] | None, month: float | None) -> list[dict[str, Any]]:
    """Return cascades as rows of the choices of a decision, on the queries that they were not found on.

    Args:
        found: `rows` from `tried`, and `why`; None: the table has no scores.
        month: queries a month; None: not known.
    """
    rows = found["rows"] if found else ()
    return [
        {
            "name": _named(row, several=len(rows) > 1), "kind": KIND,
            "policy": "", "preference": "", "affordable": True,
            **{key: row[key] for key in _SHARED},
            "cost_per_month": math.nan if month is None else row["cost_per_1000"] * month / 1000,
            "latency": math.nan, "latency_lo": math.nan, "latency_hi": math.nan,
            "why": "" if row["shown"] else "not ahead of each single model after Holm's correction",
            "calls": {row["first"]: 1.0, row["second"]: row["passed_on"]},
        }
        for row in rows
    ]  # fmt: skip


def legend(found: Mapping[str, Any] | None) -> list[str]:
    """Return what the rows of `choices` stand on; nothing where there are none."""
    if not found or not found["rows"]:
        return []
    return [
        f"Cascades (a, then b below a score): on the {found['rows'][0]['compared']:,} queries that they were not found"
        " on, every call and judge paid; the difference is to the single model that is best there."
    ]


def _named(row: Row, *, several: bool) -> str:
    worth = f" at {row['worth']:.3g}" if several and math.isfinite(row["worth"]) else ""
    return f"{row['first']}, then {row['second']} below {row['threshold']:.3g}{worth}"


def sentences(found: Mapping[str, Any] | None, currency: Money) -> list[str]:
    """Return what is known of cascades: nothing for a table without scores of answers.

    Args:
        found: `rows` from `tried`, and `why` where nothing was tried; None: the table has no scores.
        currency: of the record.
    """
    if found is None:
        return []
    if found["why"]:
        return [f"The table has scores of answers; cascades were not tried: {found['why']}. {SEE}."]
    rows: list[Row] = found["rows"]
    if not rows:
        return [
            f"Cascades of two models: none earns more than a single model on half of these queries. {SEE}."
        ]
    shown = [row for row in rows if row["shown"]]
    if shown:
        return [_shown(row, currency) for row in shown]
    near = max(rows, key=lambda row: row["difference"])
    side = "ahead of" if near["difference"] > 0 else "behind"
    size = f"{points(abs(near['difference']))} {side} always calling {near['against']}{_at(near, currency)}"
    why = ", which does not hold after Holm's correction" if near["difference_lo"] > 0 else ""
    return [
        f"No cascade of two models is shown to be better: {_called(near)}, is {size} ({_ends(near)}){why},"
        f" {_where(near)}. {SEE}."
    ]


def any_shown(found: Mapping[str, Any] | None) -> bool:
    """Return whether a cascade is shown to be better than every single model at some worth."""
    return found is not None and any(row["shown"] for row in found["rows"])


def _shown(row: Row, currency: Money) -> str:
    size = f"{points(row['difference'])} ({_ends(row)})"
    got = f"{per_cent(row['accuracy'])} at {currency.shown(row['cost_per_1000'])} per 1,000 queries"
    other = f"{per_cent(row['against_accuracy'])} at {currency.shown(row['against_cost_per_1000'])}"
    return (
        f"A cascade is shown to be better than each single model{_at(row, currency)}: {_called(row)}, is {size}"
        f" ahead of always calling {row['against']}, {got} against {other}, {_where(row)}. It was not compared with"
        f" policies; {SEE}."
    )


def _called(row: Row) -> str:
    passed = f"{row['threshold']:.3g}, {per_cent(row['passed_on'])} of queries"
    return f"{row['first']}, then {row['second']} where the first answer's score is below {passed}"


def _at(row: Row, currency: Money) -> str:
    return "" if math.isinf(row["worth"]) else f" with a right answer worth {currency.shown(row['worth'])}"


def _where(row: Row) -> str:
    return f"on {row['compared']:,} queries, found on {row['learned']:,} others"


def _ends(row: Row) -> str:
    return f"{100 * row['difference_lo']:.2g} to {100 * row['difference_hi']:.2g}"

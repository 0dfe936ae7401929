"""Router against cascade as rows and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bandits.contests.contest import Met, Sides, shown
from bandits.money import Money, plain
from bandits.rows import counted


def chain(met: Met, models: Sequence[str]) -> str:
    """Return a cascade as a policy's spec, or a single model's name."""
    order = ">".join(models[k] for k in met.chain.order)
    if len(met.chain.order) == 1:
        return order
    return f"cascade,order={order},thresholds=" + ">".join(f"{t:.9g}" for t in met.chain.thresholds)


def rows(met: Sequence[Met], sides: Sides, models: Sequence[str], unit: Money) -> list[dict[str, Any]]:
    """Return a row for each budget, costs in the currency per 1,000 queries, utilities as shares."""
    clusters = int(sides.cluster.max()) + 1
    p, sure = shown([m.against_router for m in met], clusters)
    p_random, sure_random = shown([m.against_random for m in met], clusters)
    thousand, told = 1000 * unit.factor, []
    for i, m in enumerate(met):
        paid = float(m.ran.cost.mean())
        told.append(
            {
                "budget": m.budget * thousand,
                "promised": m.promised * thousand,
                "paid": paid * thousand,
                "over_promise": paid / m.promised - 1,
                "calls": float(m.ran.calls.mean()),
                "cascade": float(m.ran.utility.mean()),
                "router": m.router,
                "difference": float(m.against_router.mean),
                "lo": float(m.against_router.lo),
                "hi": float(m.against_router.hi),
                "p_holm": float(p[i]),
                "better": ("cascade" if m.against_router.mean > 0 else "router") if sure[i] else "",
                "by_chance": m.random,
                "over_chance": float(m.against_random.mean),
                "over_chance_lo": float(m.against_random.lo),
                "over_chance_hi": float(m.against_random.hi),
                "p_chance_holm": float(p_random[i]),
                "worth_hearing": bool(sure_random[i] and m.against_random.mean > 0),
                **{f"stopped_{n + 1}": float((m.ran.stopped == n).mean()) for n in range(len(m.chain.order))},
                "chain": chain(m, models),
            }
        )
    return told


def table(told: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return headings and cells for a terminal: costs in the currency, accuracies and differences in per cent."""
    heads = ["budget", "paid", "cascade", "router", "difference", "better", "over chance"]
    lines = []
    for row in told:
        ends = "" if np.isnan(row["lo"]) else f" ({100 * row['lo']:.1f} to {100 * row['hi']:.1f})"
        lines.append(
            [
                plain(row["budget"]), plain(row["paid"]),
                f"{100 * row['cascade']:.1f}", f"{100 * row['router']:.1f}",
                f"{100 * row['difference']:+.1f}{ends}", row["better"], f"{100 * row['over_chance']:+.1f}",
            ]
        )  # fmt: skip
    return heads, lines


def verdict(told: Sequence[dict[str, Any]], queries: int, learned: int, unit: Money) -> list[str]:
    """Return the sentences: which wins where, whether the judge is worth hearing, what promises were worth."""
    lines = [f"At equal cost, on {queries:,} queries that neither was learned on:"]
    for side, other in (("cascade", "router"), ("router", "cascade")):
        won = [r for r in told if r["better"] == side]
        if won:
            gaps = [abs(r["difference"]) * 100 for r in won]
            chains = len({r["chain"] for r in won})
            same = f" ({chains} different cascades)" if chains < len(won) else ""
            lines.append(
                f"the {side} is better than the {other} at {_where(won, unit)}{same}, by {_range(gaps)} points of"
                " accuracy (shown after Holm's correction for all budgets)."
            )
    even = sum(not r["better"] for r in told)
    if even:
        lines.append(f"At {even} of {len(told)} budgets neither is shown to be better.")
    several = [r for r in told if r["calls"] > 1]
    heard = sum(r["worth_hearing"] for r in several)
    lines.append(
        f"The judge is shown to beat chance (the same cascade going on as often at random) at {heard} of the"
        f" {len(several)} budgets with a cascade."
    )
    worst = max(told, key=lambda r: r["over_promise"])
    if worst["over_promise"] > 0.02:
        lines.append(
            f"Promises are of {learned:,} queries: at a budget of {unit.shown(worst['budget'])} the cascade paid"
            f" {100 * worst['over_promise']:.0f} % more than it cost in training."
        )
    return lines


def _where(won: Sequence[dict[str, Any]], unit: Money) -> str:
    amounts = [r["budget"] for r in won]
    if len(amounts) == 1:
        return f"a budget of {unit.shown(amounts[0])} per 1,000 queries"
    return f"{len(amounts)} budgets from {unit.shown(min(amounts))} to {unit.shown(max(amounts))} per 1,000 queries"


def _range(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.1f}" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f}"


def break_even(quality: Sequence[float], told: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return a row for each budget: cascade less router at each judge's AUC, and where it crosses 0.

    Args:
        quality: AUCs, rising.
        told: for each of them the rows of the same budgets.
    """
    from bandits.contests.contest import break_even as crossing

    found = []
    for at in zip(*told, strict=True):
        gaps = [r["difference"] for r in at]
        row: dict[str, Any] = {"budget": at[0]["budget"]}
        row |= {f"auc_{q:g}": gap for q, gap in zip(quality, gaps, strict=True)}
        row["break_even"] = crossing(quality, gaps)
        row["leads"] = (
            "above" if np.isfinite(row["break_even"]) else "always" if row["break_even"] < 0 else "never"
        )
        row |= {f"shown_{q:g}": r["better"] for q, r in zip(quality, at, strict=True)}
        found.append(row)
    return found


def of_break_even(found: Sequence[dict[str, Any]]) -> str:
    """Return the sentence on the quality that a judge needs."""
    at = np.array([row["break_even"] for row in found])
    finite = at[np.isfinite(at)]
    if not len(finite):
        always = int((at == -np.inf).sum())
        return (
            f"No budget has a crossing: the cascade leads at every quality tried at {always} budgets, at none at"
            f" {len(at) - always}."
        )
    return (
        f"A cascade breaks even with the router at a judge's AUC of {np.median(finite):.2f} in the median budget"
        f" ({finite.min():.2f} to {finite.max():.2f} over {counted(len(finite), 'budget')}); at"
        f" {counted(int((at == -np.inf).sum()), 'budget')} it leads at every AUC tried, at"
        f" {int((at == np.inf).sum())} at none."
    )

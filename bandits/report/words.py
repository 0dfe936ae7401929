"""What a report says in words: the headline and the text alternative of each chart, made from the numbers."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bandits.money import Money
from bandits.rows import counted

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]  # one row of the summary
_LISTED = 12  # players in a caption
OTHERS = " other models"  # how the name of a column ends that several share
OTHER_DATASETS = " other datasets"  # and of a row


def number(value: float, decimals: int | None = None) -> str:
    """Return a number for people: fixed decimals where given, else four digits; "n/a" for NaN."""
    if value is None or math.isnan(value):
        return "n/a"
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def code(name: str) -> str:
    """Return a name as escaped HTML code."""
    return f"<code>{html.escape(name)}</code>"


def interval(row: Row, name: str, decimals: int) -> str:
    """Return "95 % interval over S seeds lo to hi" of a quantity of the summary, or that there is none."""
    low, high = row[f"{name}_lo"], row[f"{name}_hi"]
    return span(low, high, counted(row["seeds"], "seed"), decimals)


def span(low: float, high: float, over: str, decimals: int | None) -> str:
    """Return an interval in words, or that there is none."""
    if math.isnan(low):
        return f"no interval over {over}"
    return f"95 % interval over {over} {number(low, decimals)} to {number(high, decimals)}"


def per_cent(value: float) -> str:
    """Return a share for people: per cent, or how many times where it is more than twice."""
    if math.isnan(value):
        return "n/a"
    return f"{value:.3g} times" if value >= 2 else f"{100 * value:.3g} %"


def whole(share: float) -> str:
    """Return a share in whole per cent, as everywhere on a page: 37 %."""
    return "n/a" if math.isnan(share) else f"{100 * share:.0f} %"


def minus(text: str) -> str:
    """Return the text with a minus sign before each negative number; hyphens of names and ranges of dates stay."""
    return re.sub(r"(?<![^\s(>])-(?=\d)", "\u2212", text)


def heading(text: str) -> str:
    """Return a title as HTML that no line breaks inside a name, where the name fits on a line: joiners follow signs."""
    joined = re.sub(r"(?<=\S)([-/,=])(?=\S)", "\\1\u2060", text)
    return html.escape(joined.replace(" %", "\u00a0%"))


def first(listed: Sequence[str], where: str = "under All numbers") -> str:
    """Return the first dozen of a list joined, and where how many more are."""
    more = f"; and {len(listed) - _LISTED} more {where}" if len(listed) > _LISTED else ""
    return "; ".join(listed[:_LISTED]) + more


class Final(NamedTuple):
    """What a line of regret ends at: mean and 95 % interval, and the power of rounds that it grows with, or None."""

    name: str
    kind: str
    mean: float
    lo: float
    hi: float
    growth: float | None


def against(rows: Sequence[Row], quantity: str) -> str:
    """Return what a regret is counted against; the best fixed model by its name."""
    named = {
        "regret_oracle": "the per-query oracle",
        "regret_best_per_dataset": "the best model of each dataset",
        "regret_best_within": "the best that the budget buys in hindsight",
        "regret_best_of_phase": "the best model of each phase",
    }
    return named.get(quantity) or always(rows)


def always(rows: Sequence[Row]) -> str:
    """Return the best fixed choice in words: always calling its model, where one single model earns just that."""
    fixed = next((r["reward_mean"] for r in rows if r["policy"] == "best_fixed"), math.nan)
    same = [r["policy"] for r in rows if r["kind"] == "model" and math.isclose(r["reward_mean"], fixed)]
    return f"always calling {same[0]}" if len(same) == 1 else "the best fixed model"


def regret_title(told: str, finals: Sequence[Final]) -> str:
    """Return what a chart of regret shows, as plain text: the policy that ends with the least."""
    own = sorted((f for f in finals if f.kind == "policy"), key=lambda f: f.mean)
    if not own:
        return f"Regret against {told}"
    least, of = own[0], f", the least of {len(own)} policies" if len(own) > 1 else ""
    return minus(f"Against {told}, {least.name} ends with a regret of {number(least.mean, 1)} reward{of}")


def regret_caption(rows: Sequence[Row], told: str, finals: Sequence[Final]) -> str:
    """Return the final regret of each player, as plain text."""
    lines = []
    for final in sorted(finals, key=lambda f: f.mean):
        ends = "" if math.isnan(final.lo) else f" ({number(final.lo, 1)} to {number(final.hi, 1)})"
        grown = final.growth if told == against(rows, "regret_oracle") else None
        power = "" if grown is None else f", growing as rounds to the power {number(grown, 2)}"
        lines.append(f"{final.name} {number(final.mean, 1)}{ends}{power}")
    seeds = f"95 % intervals over {rows[0]['seeds']} seeds" if rows[0]["seeds"] > 1 else "one seed"
    run = f"after {counted(rows[0]['rounds'], 'round')}, {seeds}"
    below = " Below 0: more was earned." if any(final.mean < 0 for final in finals) else ""
    return minus(f"Cumulative regret against {told} {run}, in reward: {first(lines)}.{below}")


def plane_title(rows: Sequence[Row], frontier: Sequence[str], of: Money) -> str:
    """Return what the plane shows, as plain text: the most accurate single model beside the most accurate policy."""
    models = [r for r in rows if r["kind"] == "model"]
    policies = [r for r in rows if r["kind"] == "policy"]
    told = []
    for kind, what in ((policies, "policy"), (models, "single model")):
        if kind:
            best, rank = max(kind, key=lambda r: r["accuracy"]), "Most accurate " if len(kind) > 1 else "The "
            told.append(f"{rank}{what}: {best['policy']}, {_right(best, of if frontier else None)}")
    return "; ".join([told[0], *(t[0].lower() + t[1:] for t in told[1:])]) if told else "Cost and accuracy"


def _right(row: Row, of: Money | None) -> str:
    share = f"{100 * row['accuracy']:.1f} %"
    return (
        share
        if of is None
        else f"{share} at {of.shown(row['cost_mean'] * of.factor * 1000)} per 1,000 queries"
    )


def plane_caption(rows: Sequence[Row], frontier: Sequence[str], of: Money) -> str:
    """Return the policies and models on the frontier of cost and accuracy, as plain text."""
    at = {r["policy"]: r for r in rows}
    if not frontier:
        best = sorted((r for r in rows if r["kind"] != "reference"), key=lambda r: -r["accuracy"])[:5]
        listed = "; ".join(f"{r['policy']} {_right(r, None)}" for r in best)
        return f"The table has no costs. Highest accuracy of policies and single models: {listed}."
    listed = first([f"{name} {_right(at[name], of).removesuffix(' per 1,000 queries')}" for name in frontier])
    lacking = [f"{r['policy']} {whole(r['fell_back'])}" for r in rows if r.get("fell_back", 0) > 0]
    filled = (
        " All are over the same queries: where a model cannot be called, the fall-back answers in its place"
    )
    told = f"{filled} ({first(lacking)} of rounds)." if lacking else ""
    called = any(">" in row["policy"] for row in rows if row["kind"] == "model")
    circles = "single models and sequences of calls" if called else "single models"
    return (
        f"Circles: {circles}, the larger the more often policies call them; colours: policies; grey shapes:"
        f" references. Not dominated among policies and single models, accuracy at {of.per_1000}: {listed}.{told}"
    )


def shares_caption(policy: str, last: Mapping[str, float]) -> str:
    """Return the three models that a policy calls most at the end, as plain text."""
    most = sorted(last.items(), key=lambda item: -item[1])[:3]
    listed = ", ".join(f"{model} {whole(share)}" for model, share in most if share > 0)
    return f"{policy} in the last rounds: {listed or 'no calls'}."


def window(rows: Sequence[Row]) -> int:
    """Return the rounds that each point of a smoothed curve is the mean of, as `summary` has them."""
    return max(1, int(rows[0]["rounds"]) // 25)


def reward_title(rows: Sequence[Row], quantity: str, ends: Mapping[str, float], of: Money) -> str:
    """Return what a chart over rounds ends with, as plain text."""
    own = {r["policy"]: ends[r["policy"]] for r in rows if r["kind"] == "policy" and r["policy"] in ends}
    if not own:
        return "Over the rounds"
    if quantity == "reward":
        name = max(own, key=lambda policy: own[policy])
        most = f", the most of {len(own)} policies" if len(own) > 1 else ""
        return minus(f"In the last {_rounds(rows)} {name} earns {number(own[name], 4)} reward a query{most}")
    name = min(own, key=lambda policy: own[policy])
    least = f", the least of {len(own)} policies" if len(own) > 1 else ""
    if quantity == "cost":
        return f"{name} has spent {of.shown(own[name])} in the end{least}"
    return f"{name} has {number(own[name], 1)} rounds outstanding in the end{least}"


def reward_caption(rows: Sequence[Row], quantity: str, ends: Mapping[str, float], of: Money) -> str:
    """Return what each policy and reference came to, as plain text."""
    if quantity == "reward":
        earned = sorted((r for r in rows if r["kind"] != "model"), key=lambda r: -r["reward_mean"])
        listed = first([f"{r['policy']} {number(r['reward_mean'], 4)}" for r in earned])
        return minus(
            f"Reward a query, mean of the last {_rounds(rows)} at each point. Over the whole run: {listed}."
        )
    ordered = sorted(ends.items(), key=lambda item: item[1])
    if quantity == "cost":
        listed = first([f"{name} {of.shown(value)}" for name, value in ordered])
        return f"Money spent so far, mean over seeds, after {counted(rows[0]['rounds'], 'round')}: {listed}."
    listed = first([f"{name} {number(value, 1)}" for name, value in ordered])
    return f"Rounds called and not heard yet, mean over seeds, in the end: {listed}."


def _rounds(rows: Sequence[Row]) -> str:
    return "round" if window(rows) == 1 else f"{window(rows):,} rounds"


def budget_title(rows: Sequence[Row]) -> str:
    """Return which policy used most of its budget, as plain text."""
    known = [r for r in rows if r["kind"] == "policy" and not math.isnan(r.get("spent_most", math.nan))]
    if not known:
        return "What is left of the budget"
    most = max(known, key=lambda r: r["spent_most"])
    return f"{most['policy']} used at most {100 * most['spent_most']:.1f} % of its budget"


def budget_caption(rows: Sequence[Row]) -> str:
    """Return what each policy used of its budget, as plain text."""
    told = []
    for row in rows:
        most = row.get("spent_most", math.nan)
        if row["kind"] == "policy" and not math.isnan(most):
            silent = f", no call in {whole(row['unanswered'])} of rounds" if row["unanswered"] > 0 else ""
            told.append(f"{row['policy']} used at most {100 * most:.1f} %{silent}")
    return f"Share of the budget that is left, and its dual price where it is paced. {first(told)}."


def _single(share: pd.DataFrame) -> pd.DataFrame:
    """Return the shares of the models that have a column of their own."""
    return share[[c for c in share.columns if not str(c).endswith(OTHERS)]]


def heat_title(share: pd.DataFrame) -> str:
    """Return which model the first player calls most, in how many of the data sets, as plain text."""
    name = share.index.get_level_values("policy")[0]
    part = _single(share).xs(name, level="policy")
    alone = [str(dataset) for dataset in part.index if not str(dataset).endswith(OTHER_DATASETS)]
    most = [str(part.loc[dataset].idxmax()) for dataset in alone]
    model = max(most, key=most.count)
    which = (
        counted(len(most), "data set") if len(alone) == len(part) else f"the {len(most)} largest data sets"
    )
    return f"{name} calls {model} most in {most.count(model)} of {which}"


def heat_caption(share: pd.DataFrame) -> str:
    """Return where the first player sends each dataset most, as plain text."""
    name = share.index.get_level_values("policy")[0]
    part = _single(share).xs(name, level="policy")
    listed = "; ".join(f"{dataset} to {row.idxmax()} {whole(row.max())}" for dataset, row in part.iterrows())
    return f"Share of calls by data set and model, over the whole run. {name} sends most of {listed}."

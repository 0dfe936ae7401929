"""What a report says in words: the headline and the text alternative of each chart, made from the numbers."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]  # one row of the summary
_LISTED = 12  # players in a caption


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
    return span(low, high, f"{row['seeds']} seeds" if row["seeds"] > 1 else "one seed", decimals)


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


def first(listed: Sequence[str]) -> str:
    """Return the first dozen of a list joined, and how many more the table below has."""
    more = f"; and {len(listed) - _LISTED} more under All numbers" if len(listed) > _LISTED else ""
    return "; ".join(listed[:_LISTED]) + more


def regret_caption(rows: Sequence[Row]) -> str:
    """Return the final regret of each policy against the oracle, as plain text."""
    ran = [r for r in rows if r["kind"] == "policy" or r["policy"] == "uniform"]
    finals = []
    for row in sorted(ran, key=lambda r: r["regret_oracle"]):
        growth, low = number(row["exponent"], 2), row["regret_lo"]
        ends = "" if math.isnan(low) else f" ({number(low, 1)} to {number(row['regret_hi'], 1)})"
        power = "" if growth == "n/a" else f", growing as rounds to the power {growth}"
        finals.append(f"{row['policy']} {number(row['regret_oracle'], 1)}{ends}{power}")
    seeds = f"95 % intervals over {rows[0]['seeds']} seeds" if rows[0]["seeds"] > 1 else "one seed"
    run = f"after {rows[0]['rounds']:,} rounds, {seeds}"
    return f"Cumulative regret against the per-query oracle {run}: {first(finals)}."


def plane_caption(rows: Sequence[Row], frontier: Sequence[str], unit: str) -> str:
    """Return the policies and models on the frontier of cost and accuracy, as plain text."""
    at = {r["policy"]: r for r in rows}
    if not frontier:
        best = sorted((r for r in rows if r["kind"] != "reference"), key=lambda r: -r["accuracy"])[:5]
        listed = "; ".join(f"{r['policy']} {number(r['accuracy'], 3)}" for r in best)
        return f"The table has no costs. Highest accuracy of policies and single models: {listed}."
    listed = "; ".join(
        f"{name} {number(at[name]['accuracy'], 3)} at {number(at[name]['cost_mean'])}" for name in frontier
    )
    each = f" ({unit})" if unit else ""
    sized = "A single model's circle grows with its share of the policies' calls."
    lacking = [f"{r['policy']} {r['fell_back']:.0%}" for r in rows if r.get("fell_back", 0) > 0]
    filled = (
        " All are over the same queries: where a model cannot be called, the fall-back answers in its place"
    )
    told = f"{filled} ({first(lacking)} of rounds)." if lacking else ""
    return f"{sized} Not dominated among policies and single models, accuracy at mean cost{each}: {listed}.{told}"


def shares_caption(policy: str, last: Mapping[str, float]) -> str:
    """Return the three models that a policy calls most at the end, as plain text."""
    most = sorted(last.items(), key=lambda item: -item[1])[:3]
    listed = ", ".join(f"{model} {share:.0%}" for model, share in most if share > 0)
    return f"{policy} in the last rounds: {listed or 'no calls'}."


def window(rows: Sequence[Row]) -> int:
    """Return the rounds that each point of a smoothed curve is the mean of, as `summary` has them."""
    return max(1, int(rows[0]["rounds"]) // 25)


def reward_caption(rows: Sequence[Row]) -> str:
    """Return the mean reward of each policy and reference, as plain text."""
    ranked = sorted((r for r in rows if r["kind"] != "model"), key=lambda r: -r["reward_mean"])
    listed = first([f"{r['policy']} {number(r['reward_mean'], 4)}" for r in ranked])
    return f"Reward a query, mean of the last {window(rows):,} rounds at each point. Over the whole run: {listed}."


def budget_caption(rows: Sequence[Row]) -> str:
    """Return what each policy used of its budget, as plain text."""
    told = []
    for row in rows:
        most = row.get("spent_most", math.nan)
        if row["kind"] == "policy" and not math.isnan(most):
            silent = f", no call in {row['unanswered']:.0%} of rounds" if row["unanswered"] > 0 else ""
            told.append(f"{row['policy']} used at most {most:.1%}{silent}")
    return f"Share of the budget that is left, and its dual price where it is paced. {'; '.join(told)}."


def heat_caption(share: pd.DataFrame) -> str:
    """Return where the first player sends each dataset most, as plain text."""
    name = share.index.get_level_values("policy")[0]
    first = share.xs(name, level="policy")
    listed = "; ".join(f"{dataset} to {row.idxmax()} {row.max():.0%}" for dataset, row in first.iterrows())
    return f"Share of calls by dataset and model, over the whole run. {name} sends most of {listed}."


def bars_caption(dataset: str, share: pd.DataFrame) -> str:
    """Return the model that each player calls most in a dataset, as plain text."""
    part = share.xs(dataset, level="dataset")
    listed = "; ".join(f"{name} {row.idxmax()} {row.max():.0%}" for name, row in part.iterrows())
    return f"Called most in {dataset}: {listed}."

"""What a report says in words: the headline and the text alternative of each chart, made from the numbers."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]  # one row of the summary


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
    """Return "95 % interval lo to hi" of a quantity of the summary, or that one seed has none."""
    low, high = row[f"{name}_lo"], row[f"{name}_hi"]
    if math.isnan(low):
        return "one seed: no interval"
    return f"95 % interval {number(low, decimals)} to {number(high, decimals)}, {row['seeds']} seeds"


def headline(rows: Sequence[Row], label: str) -> str:
    """Return the first paragraph of a report, as HTML: which policy earns most, and what that is worth.

    Args:
        rows: the summary.
        label: what the numbers are, for example "recorded answers".
    """
    policies = sorted((r for r in rows if r["kind"] == "policy"), key=lambda r: -r["reward_mean"])
    if not policies:
        return f"No policy was run, only references. Data: {html.escape(label)}."
    leader, others = policies[0], {r["policy"]: r for r in rows}
    rank = f"earns the most of {len(policies)} policies:" if len(policies) > 1 else "earns"
    sentences = [
        f"<strong>{code(leader['policy'])} {rank} {number(leader['reward_mean'], 4)} reward a query</strong>"
        f" ({interval(leader, 'reward', 4)})."
    ]
    if len(policies) > 1:
        sentences.append(_against(policies[1], f"the next, {code(policies[1]['policy'])}"))
    fixed, uniform = others["best_fixed"], others["uniform"]
    sentences.append(_against(fixed, "the best fixed model, known only in hindsight"))
    if uniform is not leader:
        sentences.append(_against(uniform, "choosing at random"))
    sentences.append(_bargain(leader, fixed))
    return " ".join(s for s in sentences if s) + f" Data: {html.escape(label)}."


def _against(other: Row, what: str) -> str:
    """Return how the best policy stands to another player, by the paired interval of the difference."""
    lag, low, high = other["lag"], other["lag_lo"], other["lag_hi"]
    if math.isnan(low):
        more = "more" if lag > 0 else "less"
        return f"It earns {number(abs(lag), 4)} a query {more} than {what}."
    span = f"{number(lag, 4)} a query, paired interval {number(low, 4)} to {number(high, 4)}"
    if low > 0:
        return f"It beats {what} ({span})."
    if high < 0:
        return f"<strong>Nothing here beats {what}</strong> ({span})."
    return f"It is not told apart from {what} ({span})."


def _bargain(leader: Row, fixed: Row) -> str:
    """Return the leader's accuracy and cost as shares of the best fixed model's."""
    if not fixed["accuracy"] > 0:
        return ""
    share = f"Its accuracy is {leader['accuracy'] / fixed['accuracy']:.1%} of the best fixed model's"
    if not fixed["cost_mean"] > 0:
        return f"{share}."
    return f"{share}, at {leader['cost_mean'] / fixed['cost_mean']:.1%} of its cost."


def regret_caption(rows: Sequence[Row]) -> str:
    """Return the final regret of each policy against the oracle, as plain text."""
    ran = [r for r in rows if r["kind"] == "policy" or r["policy"] == "uniform"]
    finals = []
    for row in ran:
        growth, low = number(row["exponent"], 2), row["regret_lo"]
        span = "" if math.isnan(low) else f" ({number(low, 1)} to {number(row['regret_hi'], 1)})"
        power = "" if growth == "n/a" else f", growing as rounds to the power {growth}"
        finals.append(f"{row['policy']} {number(row['regret_oracle'], 1)}{span}{power}")
    seeds = f"95 % intervals over {rows[0]['seeds']} seeds" if rows[0]["seeds"] > 1 else "one seed"
    run = f"after {rows[0]['rounds']:,} rounds, {seeds}"
    return f"Cumulative regret against the per-query oracle {run}: {'; '.join(finals)}."


def plane_caption(rows: Sequence[Row], frontier: Sequence[str], unit: str) -> str:
    """Return who is on the frontier of cost and accuracy, as plain text."""
    at = {r["policy"]: r for r in rows}
    if not frontier:
        best = sorted((r for r in rows if r["kind"] != "reference"), key=lambda r: -r["accuracy"])[:5]
        listed = "; ".join(f"{r['policy']} {number(r['accuracy'], 3)}" for r in best)
        return f"The table has no costs. Highest accuracy of policies and single models: {listed}."
    listed = "; ".join(
        f"{name} {number(at[name]['accuracy'], 3)} at {number(at[name]['cost_mean'])}" for name in frontier
    )
    each = f" ({unit})" if unit else ""
    return f"Not dominated among policies and single models, accuracy at mean cost{each}: {listed}."


def shares_caption(policy: str, last: Mapping[str, float]) -> str:
    """Return the three models that a policy calls most at the end, as plain text."""
    most = sorted(last.items(), key=lambda item: -item[1])[:3]
    listed = ", ".join(f"{model} {share:.0%}" for model, share in most if share > 0)
    return f"{policy} in the last rounds: {listed or 'no calls'}."


def apart(rows: Sequence[Row], label: str) -> str:
    """Return the first paragraph of a report on runs whose rewards cannot be compared, as HTML: who is on the frontier.

    Args:
        rows: the summaries of all runs.
        label: what the numbers are.
    """
    policies = [r for r in rows if r["kind"] == "policy"]
    best = max(policies, key=lambda r: r["accuracy"])
    sentences = [
        "<strong>These runs count reward in different ways, so accuracy and cost are what can be compared.</strong>",
        f"{code(best['policy'])} is right most often of {len(policies)}: {number(best['accuracy'], 4)}"
        f" ({interval(best, 'accuracy', 4)}).",
    ]
    near = [r for r in policies if r["accuracy"] >= 0.99 * best["accuracy"] and r["cost_mean"] > 0]
    if near and best["cost_mean"] > 0:
        cheap = min(near, key=lambda r: r["cost_mean"])
        share = f", at {cheap['cost_mean'] / best['cost_mean']:.0%} of its cost" if cheap is not best else ""
        sentences.append(f"The cheapest within 1 % of that is {code(cheap['policy'])}{share}.")
    return " ".join(sentences) + f" Data: {html.escape(label)}."


def reward_caption(rows: Sequence[Row]) -> str:
    """Return the mean reward of each policy and reference, as plain text."""
    ranked = sorted((r for r in rows if r["kind"] != "model"), key=lambda r: -r["reward_mean"])
    listed = "; ".join(f"{r['policy']} {number(r['reward_mean'], 4)}" for r in ranked)
    window = max(1, rows[0]["rounds"] // 25)
    return f"Reward a query, mean of the last {window:,} rounds at each point. Over the whole run: {listed}."


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

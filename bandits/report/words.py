"""What a report says in words: the headline and the text alternative of each chart, made from the numbers."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bandits.metrics.intervals import bootstrap
from bandits.report.styles import own
from bandits.results.differences import Scores

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
    """Return "95 % interval lo to hi" of a quantity of the summary, or that one seed has none."""
    low, high = row[f"{name}_lo"], row[f"{name}_hi"]
    if math.isnan(low):
        return "one seed: no interval"
    return f"95 % interval {number(low, decimals)} to {number(high, decimals)}, {row['seeds']} seeds"


def headline(rows: Sequence[Row], got: Scores, label: str, *, preference: Any = None, seed: int = 0) -> str:
    """Return the first paragraph of a report, as HTML: what the best policy is worth, and what it costs.

    Args:
        rows: the summary.
        got: what each player got with each seed, for the intervals of shares.
        label: what the numbers are, for example "recorded answers".
        preference: of the run, as text.
        seed: of the bootstrap.
    """
    policies = sorted((r for r in rows if r["kind"] == "policy"), key=lambda r: -r["reward_mean"])
    if not policies:
        return f"No policy was run, only references. Data: {html.escape(label)}."
    leader, others = policies[0], {r["policy"]: r for r in rows}
    weighed = f" at preference {html.escape(str(preference))}" if preference not in (None, "") else ""
    rank = f" the most of {len(policies)} policies" if len(policies) > 1 else ""
    earned = number(leader["reward_mean"], 4)
    sentences = [
        _bargain(leader, rows, got, label, seed),
        f"It earns{rank}{weighed}: {earned} reward a query ({interval(leader, 'reward', 4)}).",
    ]
    if not math.isnan(used := leader.get("spent_most", math.nan)):
        sentences.append(f"It used at most {used:.1%} of its budget ({html.escape(str(leader['budget']))}).")
    if len(policies) > 1:
        sentences.append(_against(policies[1], f"the next, {code(policies[1]['policy'])}"))
    fixed, uniform = others["best_fixed"], own(rows, "uniform", leader)
    sentences.append(_against(fixed, _always(rows, fixed)))
    if uniform is not None and uniform is not leader:
        sentences.append(_against(uniform, "choosing at random"))
    return " ".join(s for s in sentences if s)


def _always(rows: Sequence[Row], fixed: Row) -> str:
    """Return the best fixed model by its name, where it is one model: whole tables have it so."""
    models = [r for r in rows if r["kind"] == "model"]
    best = max(models, key=lambda r: r["reward_mean"], default=fixed)
    if best is fixed or abs(best["reward_mean"] - fixed["reward_mean"]) > 1e-9:
        return "the best fixed model, known only in hindsight"
    return f"always calling {code(best['policy'])}, the best fixed model, which only hindsight knows"


def _against(other: Row, what: str) -> str:
    """Return how the best policy stands to another player, by the paired interval of the difference."""
    lag, low, high = other["lag"], other["lag_lo"], other["lag_hi"]
    if math.isnan(low):
        more = "more" if lag > 0 else "less"
        return f"It earns {number(abs(lag), 4)} a query {more} than {what}."
    if high < 0:
        span = f"{number(-lag, 4)} a query more, paired interval {number(-high, 4)} to {number(-low, 4)}"
        return f"<strong>Nothing here beats {what}</strong> ({span})."
    span = f"{number(lag, 4)} a query, paired interval {number(low, 4)} to {number(high, 4)}"
    if low > 0:
        return f"It beats {what} ({span})."
    return f"It is not told apart from {what} ({span})."


def _bargain(leader: Row, rows: Sequence[Row], got: Scores, label: str, seed: int) -> str:
    """Return the leader's accuracy and cost as shares of the most accurate single model's, with intervals."""
    models = [r for r in rows if r["kind"] == "model"]
    best = max(models, key=lambda r: r["accuracy"], default=None)
    if best is None or not best["accuracy"] > 0:
        return ""
    accuracy = share(got, "accuracy", leader["policy"], best["policy"], seed=seed)
    says = f"{code(leader['policy'])} reaches {per_cent(accuracy[0])} of the best single model's accuracy"
    spans = [_span(*accuracy[1:])]
    if best["cost_mean"] > 0:
        cost = share(got, "cost", leader["policy"], best["policy"], seed=seed)
        says += f" at {per_cent(cost[0])}{' of' if cost[0] < 2 else ''} its cost"
        spans.append(_span(*cost[1:]))
    spread = "one seed: no interval" if math.isnan(accuracy[1]) else f"95 % interval {' and '.join(spans)}"
    facts = f"{spread}; {leader['seeds']} seeds; {html.escape(label)}"
    return f"<strong>{says}</strong> ({code(best['policy'])}; {facts})."


def share(got: Scores, measure: str, player: str, other: str, *, seed: int = 0) -> tuple[float, float, float]:
    """Return what a player got as a share of what another did, paired over seeds, with its 95 % interval."""
    mine, theirs = (got.of(measure, name)[:, 0] for name in (player, other))
    each = mine / theirs
    low, high = bootstrap(each, seed=seed)
    return float(each.mean()), float(low), float(high)


def _span(low: float, high: float) -> str:
    least = per_cent(low).removesuffix(" %") if high < 2 else per_cent(low)
    return f"{least} to {per_cent(high)}"


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
        span = "" if math.isnan(low) else f" ({number(low, 1)} to {number(row['regret_hi'], 1)})"
        power = "" if growth == "n/a" else f", growing as rounds to the power {growth}"
        finals.append(f"{row['policy']} {number(row['regret_oracle'], 1)}{span}{power}")
    seeds = f"95 % intervals over {rows[0]['seeds']} seeds" if rows[0]["seeds"] > 1 else "one seed"
    run = f"after {rows[0]['rounds']:,} rounds, {seeds}"
    return f"Cumulative regret against the per-query oracle {run}: {first(finals)}."


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
    sized = "A single model's circle grows with its share of the policies' calls."
    return f"{sized} Not dominated among policies and single models, accuracy at mean cost{each}: {listed}."


def shares_caption(policy: str, last: Mapping[str, float]) -> str:
    """Return the three models that a policy calls most at the end, as plain text."""
    most = sorted(last.items(), key=lambda item: -item[1])[:3]
    listed = ", ".join(f"{model} {share:.0%}" for model, share in most if share > 0)
    return f"{policy} in the last rounds: {listed or 'no calls'}."


def apart(rows: Sequence[Row], got: Scores, label: str, *, seed: int = 0) -> str:
    """Return the first paragraph of a report on runs whose rewards cannot be compared, as HTML: accuracy for cost.

    Args:
        rows: the summaries of all runs.
        got: what each player got with each seed.
        label: what the numbers are.
        seed: of the bootstrap.
    """
    policies = [r for r in rows if r["kind"] == "policy"]
    best = max(policies, key=lambda r: r["accuracy"])
    sentences = [
        _bargain(best, rows, got, label, seed),
        f"It is right most often of {len(policies)}: {number(best['accuracy'], 4)}"
        f" ({interval(best, 'accuracy', 4)}).",
    ]
    for least in (0.99, 0.9):
        near = [r for r in policies if r["accuracy"] >= least * best["accuracy"] and r["cost_mean"] > 0]
        cheap = min(near, key=lambda r: r["cost_mean"], default=best)
        if cheap is not best and best["cost_mean"] > 0:
            share = per_cent(cheap["cost_mean"] / best["cost_mean"])
            sentences.append(
                f"The cheapest within {1 - least:.0%} of that is {code(cheap['policy'])}, at {share} of its cost."
            )
    sentences.append(
        "These runs count reward in different ways, so accuracy and cost are what can be compared."
    )
    return " ".join(s for s in sentences if s)


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

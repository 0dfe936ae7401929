"""What a run is opened with, on the page and on the terminal: a verdict by the one rule, and what it stands on."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bandits.metrics.intervals import AMOUNT, student
from bandits.report.parts import records
from bandits.report.styles import own
from bandits.report.words import code, interval, number, per_cent, span, whole
from bandits.results.differences import Scores, against, paired_differences, scores
from bandits.rows import counted

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]  # one row of the summary
LEAST_ANSWERED = 0.5  # share of the rounds that a model can be called in before it is named as a single model


def yardstick(rows: Sequence[Row]) -> Row:
    """Return what policies are measured by: the best fixed choice, by the name of its model where that answers mostly.

    A model that can be called in less than half of the rounds is not named: most of its numbers are the fall-back's.
    The reference `best_fixed` stands for it.
    """
    models = [r for r in rows if r["kind"] == "model"]
    best = max(models, key=lambda r: r["reward_mean"], default=None)
    if best is not None and _answered(best) >= LEAST_ANSWERED:
        return best
    return next(r for r in rows if r["policy"].partition(" [")[0] == "best_fixed")


def _answered(row: Row) -> float:
    lacking = row.get("fell_back", 0.0)
    return 1.0 if math.isnan(lacking) else 1.0 - float(lacking)


def opened(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the verdict that a run's page opens with, from the run's tables by name."""
    rows, got = records(tables["summary"]), scores(tables["by_dataset"], tables.get("by_query"))
    return " ".join(filter(None, (verdict(rows, got), unanswered(rows))))


def verdict(rows: Sequence[Row], got: Scores) -> str:
    """Return the verdict on a run as plain text: which policy is shown to beat the best single model, if any is.

    Args:
        rows: the summary.
        got: what each player got with each seed and for each query.
    """
    other = yardstick(rows)
    if not (pairs := against(got, other["policy"])):
        return "No policy was run, only references."
    what = "the best fixed choice" if other["kind"] == "reference" else f"always calling {other['policy']}"
    told = _compared(got, pairs)
    won = told[told["shown"] & (told["difference"] > 0)]
    best = (told if won.empty else won).sort_values("difference", ascending=False, kind="stable").iloc[0]
    seeds = counted(got.value["reward"].shape[0], "seed")
    if won.empty:
        spans = f"{_spans(best, seeds, got)}; {best['why'] or 'shown to be less'}"
        none, near = ("No policy", f"{best['policy']}, the nearest,")
        if len(told) == 1:
            none, near = best["policy"], "it"
        text = (
            f"{none} is {'not ' * (len(told) == 1)}shown to beat {what}: {near} earns {_gap(best)} ({spans})."
        )
    else:
        also = _also(len(won) - 1, len(told) - 1)
        by = number(best["difference"], 4)
        text = f"{best['policy']} beats {what} by {by} reward a query ({_spans(best, seeds, got)}).{also}"
    if other["kind"] == "model" and _answered(other) < 1:
        lacking = f"{whole(1 - _answered(other))} of rounds"
        text += f" {other['policy']} cannot be called in {lacking}; the fall-back answers there."
    return text


def _gap(row: pd.Series[Any]) -> str:
    """Return how much more or less a policy earns, in words."""
    gap = float(row["difference"])
    return f"{number(abs(gap), 4)} reward a query {'more' if gap > 0 else 'less'}" if gap else "just as much"


def _also(others: int, of: int) -> str:
    """Return that so many of the other policies beat it too, as a sentence; "" where none does."""
    if not others:
        return ""
    verb = "does" if others == 1 else "do"
    if others == of:
        return f" So {verb} {'the other policy' if of == 1 else f'all {of} other policies'}."
    return f" So {verb} {'one' if others == 1 else others} of the {of} other policies."


def _compared(got: Scores, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """Return the differences in reward of the pairs over all data sets together."""
    frame = paired_differences(got, pairs, measures=("reward",))
    return frame[frame["dataset"] == got.datasets[0]]


def _spans(row: pd.Series[Any], seeds: str, got: Scores) -> str:
    """Return both intervals of a difference, with what they are over."""
    queries = "queries" if got.queries is None else got.queries.counted(int(row["queries"]))
    over = span(row["queries_lo"], row["queries_hi"], queries, 4)
    return f"{span(row['lo'], row['hi'], seeds, 4)}, {over.removeprefix('95 % interval ')}"


def headline(rows: Sequence[Row], got: Scores, label: str, *, preference: str | None = None) -> str:
    """Return the first paragraph of a report, as HTML: the verdict, then what the best policy earns and costs.

    Args:
        rows: the summary.
        got: what each player got with each seed and for each query.
        label: what the numbers are, for example "recorded answers".
        preference: of the run, as text.
    """
    policies = sorted((r for r in rows if r["kind"] == "policy"), key=lambda r: -r["reward_mean"])
    data = f"Data: {html.escape(label)}."
    if not policies:
        return f"No policy was run, only references. {data}"
    leader = policies[0]
    weighed = f" at preference {html.escape(str(preference))}" if preference not in (None, "") else ""
    rank = f" the most of {len(policies)} policies" if len(policies) > 1 else ""
    earned = f"{number(leader['reward_mean'], 4)} reward a query ({interval(leader, 'reward', 4)})"
    sentences = [
        f"<strong>{html.escape(verdict(rows, got))}</strong>",
        f"{code(leader['policy'])} earns{rank}{weighed}: {earned}.",
        _bargain(leader, rows, got),
        _random(rows, leader, got),
    ]
    if not math.isnan(used := leader.get("spent_most", math.nan)):
        sentences.append(
            f"It used at most {100 * used:.1f} % of its budget ({html.escape(str(leader['budget']))})."
        )
    return " ".join(s for s in [*sentences, html.escape(unanswered(rows)), data] if s)


def unanswered(rows: Sequence[Row]) -> str:
    """Return which policies made no call in a share of the rounds, and what would be had for nothing; "": none did."""
    silent = [r for r in rows if r["kind"] == "policy" and r["unanswered"] >= 0.005]
    if not silent:
        return ""
    shares = ", ".join(f"{r['policy']} in {whole(r['unanswered'])}" for r in silent)
    free = next((r["policy"] for r in rows if r["kind"] == "model" and r["cost_mean"] == 0), None)
    more = (
        ""
        if free is None
        else f" {free} costs nothing: with --hard what is left of the budget still calls it."
    )
    return f"No call was made in a share of the rounds, for the sake of the budget or the cap: {shares} of them.{more}"


def _random(rows: Sequence[Row], leader: Row, got: Scores) -> str:
    """Return whether the leader is shown to beat choosing at random, by the same rule over all policies."""
    random = own(rows, "uniform", leader)
    if random is None or leader["policy"] == random["policy"] or random["policy"] not in got.players:
        return ""
    compared = _compared(got, against(got, random["policy"]))
    told: Any = compared[compared["policy"] == leader["policy"]].iloc[0]
    shown = "" if told["shown"] and told["difference"] > 0 else "not "
    return (
        f"It is {shown}shown to beat choosing at random: {number(float(told['difference']), 4)} reward a"
        f" query ({_spans(told, counted(leader['seeds'], 'seed'), got)})."
    )


def _bargain(leader: Row, rows: Sequence[Row], got: Scores) -> str:
    """Return a policy's accuracy and cost as shares of the most accurate single model's, with intervals."""
    models = [r for r in rows if r["kind"] == "model" and _answered(r) >= LEAST_ANSWERED]
    best = max(models, key=lambda r: r["accuracy"], default=None)
    if best is None or not best["accuracy"] > 0:
        return ""
    accuracy = share(got, "accuracy", leader["policy"], best["policy"])
    says = f"{code(leader['policy'])} reaches {per_cent(accuracy[0])} of the accuracy of"
    says += f" {code(best['policy'])}, the most accurate single model,"
    spans = [] if math.isnan(accuracy[1]) else [_span(*accuracy[1:])]
    if best["cost_mean"] > 0:
        cost = share(got, "cost", leader["policy"], best["policy"])
        says += f" at {per_cent(cost[0])}{' of' if cost[0] < 2 else ''} its cost"
        spans = (
            [f"{one} of the accuracy" for one in spans] if math.isnan(cost[1]) else [*spans, _span(*cost[1:])]
        )
    over = counted(leader["seeds"], "seed")
    told = f"95 % interval over {over} {' and '.join(spans)}" if spans else f"no interval over {over}"
    return f"{says} ({told})."


def share(got: Scores, measure: str, player: str, other: str) -> tuple[float, float, float]:
    """Return what a player got as a share of what another did, paired over seeds, with its 95 % interval."""
    mine, theirs = (got.of(measure, name)[:, 0] for name in (player, other))
    each = mine / theirs
    low, high = student(each, within=AMOUNT)
    return float(each.mean()), float(low), float(high)


def _span(low: float, high: float) -> str:
    least = per_cent(low).removesuffix(" %") if high < 2 else per_cent(low)
    return f"{least} to {per_cent(high)}"


def apart(rows: Sequence[Row], got: Scores, label: str) -> str:
    """Return the first paragraph of a report on runs whose rewards cannot be compared, as HTML: accuracy for cost.

    Args:
        rows: the summaries of all runs.
        got: what each player got with each seed.
        label: what the numbers are.
    """
    policies = [r for r in rows if r["kind"] == "policy"]
    best = max(policies, key=lambda r: r["accuracy"])
    most = f"most often of {len(policies)}" if len(policies) > 1 else "in this share of the rounds"
    sentences = [
        _bargain(best, rows, got),
        f"{code(best['policy'])} is right {most}: {100 * best['accuracy']:.1f} %"
        f" ({span(100 * best['accuracy_lo'], 100 * best['accuracy_hi'], counted(best['seeds'], 'seed'), 1)}).",
    ]
    for least in (0.99, 0.9):
        near = [r for r in policies if r["accuracy"] >= least * best["accuracy"] and r["cost_mean"] > 0]
        cheap = min(near, key=lambda r: r["cost_mean"], default=best)
        if cheap is not best and best["cost_mean"] > 0:
            share = per_cent(cheap["cost_mean"] / best["cost_mean"])
            sentences.append(
                f"The cheapest within {whole(1 - least)} of that is {code(cheap['policy'])}, at {share} of its cost."
            )
    sentences.append(
        "These runs count reward in different ways, so accuracy and cost are what can be compared, and there is no"
        f" verdict. Data: {html.escape(label)}."
    )
    return " ".join(s for s in sentences if s)

"""The other tables of a report as HTML: every number of the summary, and what was run."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bandits.money import Money, plain
from bandits.report import words
from bandits.report.axes import PER
from bandits.report.styles import MATTER, Row, comparable, ranked
from bandits.report.words import minus, whole
from bandits.rows import counted

_KINDS = {"policy": 0, "reference": 1, "model": 2}

_MODELS = 3  # single models that are shown at once, and the most accurate one
# What can be asked for, in the order of the command line; what was not asked for is not listed.
_ASKED = (
    "reward", "preference", "budget", "pacing", "hard", "cap", "warm_start", "n_eff", "fit", "scenario", "change",
    "delay", "batch", "feedback", "seeds", "seed", "order", "rounds",
)  # fmt: skip
_SEVERAL = (
    "calls", "deliver", "judge", "judge_column", "judge_cost", "within_query", "parallel", "abstain",
)  # fmt: skip


def title(rows: Sequence[Row]) -> str:
    """Return what the table shows first, as plain text: what the first policy and the best single model earn."""
    policies, models = ([r for r in rows if r["kind"] == kind] for kind in ("policy", "model"))
    if not comparable(rows) or not policies or not models:
        number = counted(len(policies), "policy", "policies")
        return f"All numbers of {number} and {counted(len(models), 'single model')}"
    told = [max(kind, key=lambda r: r["reward_mean"]) for kind in (policies, models)]
    first, other = (f"{r['policy']} {words.number(r['reward_mean'], 4)}" for r in told)
    return minus(f"Reward a query: {first}, the best single model {other}")


def note(rows: Sequence[Row]) -> str:
    """Return how to read the table, as plain text."""
    hidden = sum(r["kind"] != "reference" for r in rows) > MATTER + _MODELS
    more = " A box draws a policy in the charts; not all rows are shown at first." if hidden else ""
    regret = (
        " Regret is in reward, over a whole run. Growth: regret against the oracle grows as rounds to this power. Gap"
        " closed: share of the way from the best fixed model to the per-query oracle. Behind the best policy: less"
        " reward a query, paired over seeds (no verdict: the best was found by looking); below 0 it is ahead."
    )
    apart = " Rewards of runs that count them in different ways are in the report of each run."
    return (
        "Small print: 95 % t interval of the mean over seeds; none where all seeds are the same draw."
        f"{regret if comparable(rows) else apart}{more}"
    )


def summary(rows: Sequence[Row], of: Money) -> str:
    """Return the summary as an HTML table, a row for each policy, reference and single model; page.js sorts it.

    At first the policies that matter, the references and the best single models are shown. A policy's box says whether
    it is drawn in the charts.

    Args:
        rows: the summary.
        of: the money that costs are in.
    """
    names, alike = ranked(rows), comparable(rows)
    timed = any(not math.isnan(r.get("latency_p50", math.nan)) for r in rows)
    priced = not all(math.isnan(r["cost_mean"]) for r in rows)
    place = {name: i for i, name in enumerate(names)}
    ordered = sorted(rows, key=lambda r: (_KINDS[r["kind"]], place.get(r["policy"], 0), -r["reward_mean"]))
    models = [r for r in ordered if r["kind"] == "model"]
    first = {*names[:MATTER], *(r["policy"] for r in models[:_MODELS])}
    first |= {r["policy"] for r in models if r["accuracy"] == max(m["accuracy"] for m in models)}
    columns = _columns(of, priced=priced, timed=timed, alike=alike)
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in ("player", *columns))
    body = []
    for row in ordered:
        more = row["policy"] not in first and (row["kind"] != "reference" or not alike)
        cells = "".join(f"<td>{minus(tell(row))}</td>" for tell in columns.values())
        hidden = ' class="more" hidden' if more else ""
        body.append(f"<tr{hidden}>{_name(row, names)}{cells}</tr>")
    return f'<table id="summary-table"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


def _name(row: Row, names: Sequence[str]) -> str:
    """Return the heading of a row: its name, what it is, and what is to be known of it."""
    name = html.escape(row["policy"])
    if row["kind"] == "policy" and len(names) > 1:
        drawn = " checked" if row["policy"] in names[:MATTER] else ""
        name = f'<label><input type="checkbox" data-of="{name}"{drawn}> {name}</label>'
    kinds = {"model": "sequence of calls" if ">" in row["policy"] else "single model"}
    what = [kinds.get(row["kind"], str(row["kind"]))]
    if row["unanswered"] > 0:
        what.append(f"no call in {whole(row['unanswered'])} of rounds")
    if row.get("fell_back", 0) > 0:
        what.append(f"cannot be called in {whole(row['fell_back'])} of rounds: the fall-back answers")
    return f'<th scope="row">{name}<small>{"; ".join(what)}</small></th>'


def _columns(of: Money, *, priced: bool, timed: bool, alike: bool) -> dict[str, Callable[[Row], str]]:
    """Return what each column tells of a row, by its heading; intervals stand in small print under their means.

    Where runs do not count reward alike, no column is about it.
    """
    thousand = of.factor * PER

    def cost(row: Row) -> str:
        ends = [row[f"cost_{end}"] * thousand for end in ("lo", "hi")]
        return _spanned(plain(row["cost_mean"] * thousand), *(plain(end) for end in ends))

    costs: dict[str, Callable[[Row], str]] = {
        f"cost, {of.per_1000}": cost,
        f"total cost, {of.currency}": lambda row: plain(row["cost_total"] * of.factor),
    }
    told: dict[str, Callable[[Row], str]] = {
        "accuracy, %": lambda row: _cell(row, "accuracy", "accuracy", 1, 100),
        **(costs if priced else {}),
        **({f"seconds, {part}": _seconds(part) for part in ("p50", "p95")} if timed else {}),
    }
    if not alike:
        return told
    return {
        "reward a query": lambda row: _cell(row, "reward_mean", "reward", 4),
        "behind the best policy": lambda row: _cell(row, "lag", "lag", 4),
        **told,
        "regret, best fixed": lambda row: words.number(row["regret_best_fixed"], 1),
        "regret, oracle": lambda row: _cell(row, "regret_oracle", "regret", 1),
        "regret, best per dataset": lambda row: words.number(row["regret_best_per_dataset"], 1),
        "growth": lambda row: words.number(row["exponent"], 2),
        "gap closed": lambda row: whole(row["gap_closed"]),
    }


def _seconds(part: str) -> Callable[[Row], str]:
    return lambda row: plain(row.get(f"latency_{part}", math.nan))


def _cell(row: Row, column: str, name: str, decimals: int, scale: float = 1.0) -> str:
    """Return a mean with its interval."""
    ends = (row[f"{name}_{end}"] * scale for end in ("lo", "hi"))
    return _spanned(*(words.number(value, decimals) for value in (row[column] * scale, *ends)))


def _spanned(mean: str, low: str, high: str) -> str:
    return mean if low in (high, "n/a") else f"{mean}<small>{low} to {high}</small>"


def what_was_run(manifest: Mapping[str, Any]) -> str:
    """Return the manifest as a list of terms: everything needed to run it again."""
    data, context = manifest.get("data") or {}, manifest.get("context") or {}
    paced = bool(manifest.get("budget"))
    shown = {
        "command": manifest.get("command"),
        "data": data.get("name"),
        "sha256": data.get("sha256"),
        "source": data.get("source"),
        "licence": data.get("licence"),
        "these numbers are": manifest.get("label"),
        "stream": manifest.get("stream"),
        "queries see": ", ".join(f"{name} {value}" for name, value in context.items()),
        "policies": _joined(manifest.get("policies")),
        **{
            name.replace("_", " "): _joined(manifest.get(name))
            for name in (*_ASKED, *_SEVERAL * (manifest.get("calls", 1) != 1))
            if name != "pacing" or paced
        },
        "versions": ", ".join(f"{k} {v}" for k, v in (manifest.get("versions") or {}).items()),
        "seconds": manifest.get("seconds"),
        "time": manifest.get("time"),
    }
    return "".join(
        f"<dt>{html.escape(term)}</dt><dd>{html.escape(str(value))}</dd>"
        for term, value in shown.items()
        if value is not False and value not in (None, "")
    )


def _joined(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value

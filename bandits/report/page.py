"""The page of a report: every part made from the run's tables and manifest, put into page.html."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bandits.money import money
from bandits.report import calls, changes, datasets, opening, over_time, tables, turns, words
from bandits.report.parts import drawn, embedded, records
from bandits.report.plane import plane
from bandits.report.styles import MATTER, Figure, ranked
from bandits.report.words import heading, minus
from bandits.results.differences import Scores, scores

if TYPE_CHECKING:
    import pandas as pd

_NEEDED = {
    "summary": ("policy", "kind", "reward_mean", "accuracy", "cost_mean", "lag"),
    "curves": ("policy", "round", "quantity", "mean", "lo", "hi"),
    "by_dataset": ("policy", "kind", "dataset", "seed", "rounds", "accuracy", "cost", "reward"),
}


def render(
    summary: pd.DataFrame,
    curves: pd.DataFrame,
    by_dataset: pd.DataFrame,
    manifest: Mapping[str, Any],
    phases: pd.DataFrame | None = None,
    by_query: pd.DataFrame | None = None,
    more: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> str:
    """Return the report as one self-contained HTML page.

    Args:
        summary, curves, by_dataset: of `summary.summarise` and `by_dataset.by_dataset`, or read back from the files
            of a run, or of several by `compare.merge`.
        manifest: of the run; shown of it are `title`, `label`, `notes`, `command`, `cost_unit`, `data`,
            `stream`, `policies`, `reward`, `preference`, `budget`, `seeds`, `seed`, `rounds`, `versions`, `seconds`
            and `time`; `comparable` is False where several runs counted reward in different ways; `marks` are the
            rounds and labels of what changes.
        phases: of a world that changes, from `phases.phases`.
        by_query: from `by_query.by_query`; without it there is no interval over queries and no verdict.
        more: of several calls a query, see `turns.section`.

    Raises:
        ValueError: a table lacks a column.
    """
    for name, frame in (("summary", summary), ("curves", curves), ("by_dataset", by_dataset)):
        if missing := [column for column in _NEEDED[name] if column not in frame.columns]:
            raise ValueError(f"report needs {name} with column {missing[0]}, got {', '.join(frame.columns)}")
    rows, got = records(summary), scores(by_dataset, by_query)
    comparable = bool(manifest.get("comparable", True))
    of, first = money(str(manifest.get("cost_unit") or "")), ranked(rows)[:MATTER]
    charts, figures_ = _charts(summary, curves, by_dataset, str(manifest.get("cost_unit") or ""), more)
    name = str(manifest.get("title", "Routing policies"))
    told = datasets.differences(got, first, comparable=comparable)
    parts = charts | {
        "title": html.escape(name),
        "name": heading(name),
        "headline": minus(_headline(rows, got, manifest)),
        "notes": "".join(f"<li>{html.escape(str(note))}</li>" for note in manifest.get("notes", ())),
        "choices": datasets.choices(got, first, comparable=comparable),
        "datasets": datasets.table(got, first, of),
        "datasets_title": heading(datasets.title(told)),
        "datasets_note": html.escape(datasets.note(got)),
        "table_title": heading(tables.title(rows)),
        "table_note": html.escape(tables.note(rows)),
        "table": tables.summary(rows, of),
        "run": tables.what_was_run(manifest),
        "figures": embedded(changes.marked(figures_, manifest.get("marks", ()))),
        "changes": changes.section(phases),
        "turns": turns.section(more, of),
        "differences": embedded(told),
    }
    return drawn("page.html", parts, "page.js")


def figures(
    summary: pd.DataFrame,
    curves: pd.DataFrame,
    by_dataset: pd.DataFrame,
    unit: str = "",
    marks: Sequence[Sequence[Any]] = (),
    more: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> list[Figure]:
    """Return the charts of a report as plain dictionaries, with a manifest's `marks`, for `plots.write`."""
    return changes.marked(_charts(summary, curves, by_dataset, unit, more)[1], marks)


def _headline(rows: list[dict[str, Any]], got: Scores, manifest: Mapping[str, Any]) -> str:
    label = str(manifest.get("label", ""))
    if not manifest.get("comparable", True):
        return opening.apart(rows, got, label)
    return opening.headline(rows, got, label, preference=manifest.get("preference"))


def _charts(
    summary: pd.DataFrame,
    curves: pd.DataFrame,
    by_dataset: pd.DataFrame,
    unit: str,
    more: Mapping[str, pd.DataFrame],
) -> tuple[dict[str, str], list[Figure]]:
    """Return the places of all charts as HTML by name, and the figures that fill them."""
    rows, of = records(summary), money(unit)
    first = ranked(rows)[:MATTER]
    cloud, frontier = plane(rows, unit, calls.called(by_dataset))
    areas, _, last = calls.shares(rows, curves)
    routed = calls.routed(_leading(by_dataset, first))
    lines = curves[~over_time.of_models(curves)]
    regret, earned, left = (
        over_time.regret(rows, lines),
        over_time.reward(rows, lines, unit),
        over_time.budget(rows, lines),
    )
    parts = {
        "regret": _regret(regret),
        "plane_title": heading(words.plane_title(rows, frontier, of)),
        "plane": _chart("plane", words.plane_caption(rows, frontier, of)),
        "reward": _folded(
            "at-reward", _view(earned, "title"), _chart("reward", _view(earned, "caption")), "reward"
        ),
        "budget": "" if left is None else _budget(rows),
        "nav": "".join(
            f'<li><a href="#{place}">{text}</a></li>'
            for place, text in _contents(frontier, regret, left, more)
        ),
        "shares_title": heading(
            words.shares_caption(first[0], last[0]).rstrip(".") if first else "Models called"
        ),
        "of": _of(first, areas),
        "shares": "".join(
            f'<div data-of="{html.escape(name)}"{" hidden" if i else ""}>'
            f"{_chart(area['id'], words.shares_caption(name, shares))}</div>"
            for i, (name, area, shares) in enumerate(zip(first, areas, last, strict=True))
        ),
        "heat_title": heading(words.heat_title(routed)) if len(routed) else "Data sets and models",
        "heat_caption": html.escape(minus(words.heat_caption(routed))) if len(routed) else "",
    }
    risk = turns.figure(more, rows)
    return parts, over_time.drawable([regret, earned, cloud, left, risk, *areas, calls.heat(routed)])


def _leading(by_dataset: pd.DataFrame, first: Sequence[str]) -> pd.DataFrame:
    """Return the rows of the policies that matter, in their order, and of the references."""
    place = {name: i for i, name in enumerate(first)}
    kept = by_dataset[by_dataset["policy"].isin(first) | (by_dataset["kind"] == "reference")]
    return kept.sort_values("policy", key=lambda names: names.map(place).fillna(len(place)), kind="stable")


def _view(figure: Figure, part: str) -> str:
    """Return what is said of a figure's first view."""
    return str(figure["views"][0][part]) if figure["views"] else "Over the rounds"


def _contents(
    frontier: list[str], regret: Figure | None, left: Figure | None, more: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Return the anchors and names of the page's parts."""
    found = [
        ("at-regret", "Regret"), ("at-plane", "Cost and accuracy" if frontier else "Accuracy"),
        ("at-turns", "Several calls"), ("at-abstain", "Answers withheld"),
        ("at-numbers", "All numbers"), ("at-reward", "Reward" if regret else "Money spent"), ("at-budget", "Budget"),
        ("at-models", "Models called"), ("at-heat", "Data sets and models"), ("at-datasets", "By data set"),
        ("at-run", "What was run"),
    ]  # fmt: skip
    absent = {"at-regret": regret is None, "at-budget": left is None}
    absent |= {"at-turns": "calls" not in more, "at-abstain": "abstain" not in more}
    return [part for part in found if not absent.get(part[0])]


def _of(first: Sequence[str], areas: list[Figure]) -> str:
    """Return the choices of the policy and of the dataset that the chart of shares is about."""
    found = ""
    if len(first) > 1:
        options = "".join(f"<option>{html.escape(name)}</option>" for name in first)
        found = f'<label>Calls of <select id="shares-policy">{options}</select></label>'
    labels = [view["label"] for view in areas[0]["views"]] if areas else []
    if len(labels) > 1:
        options = "".join(f"<option>{label}</option>" for label in labels)
        found += f'<label>Queries of <select id="shares-of">{options}</select></label>'
    return found


def _regret(figure: Figure | None) -> str:
    if figure is None:
        return ""
    title = heading(_view(figure, "title"))
    return f'<h2 id="at-regret"><span id="regret-title">{title}</span></h2>' + _chart(
        "regret", _view(figure, "caption")
    )


def _budget(rows: list[dict[str, Any]]) -> str:
    return _folded(
        "at-budget", words.budget_title(rows), _chart("budget", words.budget_caption(rows)), "budget"
    )


def _folded(place: str, title: str, inside: str, figure: str = "") -> str:
    """Return a section that can be opened, its title that of a figure where it has one."""
    named = f' id="{figure}-title"' if figure and figure != "budget" else ""
    return f'<details><summary><h2 id="{place}"><span{named}>{heading(title)}</span></h2></summary>{inside}</details>'


def _chart(name: str, caption: str) -> str:
    """Return the place of a chart with its caption below it, which is its text alternative too."""
    text = html.escape(caption)
    return (
        f'<figure><div class="controls" id="{name}-controls"></div>'
        f'<div class="chart" id="{name}" role="img" aria-label="{text}"></div>'
        f'<figcaption id="{name}-caption">{text}</figcaption></figure>'
    )

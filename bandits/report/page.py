"""The page of a report: every part made from the run's tables and manifest, put into page.html."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bandits.report import calls, changes, datasets, opening, over_time, tables, words
from bandits.report.parts import embedded, own, plotly, records
from bandits.report.plane import plane
from bandits.report.styles import Figure
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

    Raises:
        ValueError: a table lacks a column.
    """
    for name, frame in (("summary", summary), ("curves", curves), ("by_dataset", by_dataset)):
        if missing := [column for column in _NEEDED[name] if column not in frame.columns]:
            raise ValueError(f"report needs {name} with column {missing[0]}, got {', '.join(frame.columns)}")
    rows, got = records(summary), scores(by_dataset, by_query)
    comparable = bool(manifest.get("comparable", True))
    charts, drawn = _charts(summary, curves, by_dataset, str(manifest.get("cost_unit") or ""))
    parts = charts | {
        "title": html.escape(str(manifest.get("title", "Routing policies"))),
        "headline": _headline(rows, got, manifest),
        "notes": "".join(f"<li>{html.escape(str(note))}</li>" for note in manifest.get("notes", ())),
        "choices": datasets.choices(got, comparable=comparable),
        "datasets": datasets.table(got),
        "datasets_note": html.escape(datasets.note(got)),
        "table": tables.summary(rows),
        "run": tables.what_was_run(manifest),
        "figures": embedded(changes.marked(drawn, manifest.get("marks", ()))),
        "changes": changes.section(phases),
        "differences": embedded(datasets.differences(got, comparable=comparable)),
        "plotly": plotly(),
        "style": own("page.css"),
        "script": own("page.js"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], own("page.html"))


def figures(
    summary: pd.DataFrame,
    curves: pd.DataFrame,
    by_dataset: pd.DataFrame,
    unit: str = "",
    marks: Sequence[Sequence[Any]] = (),
) -> list[Figure]:
    """Return the charts of a report as plain dictionaries, with a manifest's `marks`, for `plots.write`."""
    return changes.marked(_charts(summary, curves, by_dataset, unit)[1], marks)


def _headline(rows: list[dict[str, Any]], got: Scores, manifest: Mapping[str, Any]) -> str:
    label = str(manifest.get("label", ""))
    if not manifest.get("comparable", True):
        return opening.apart(rows, got, label)
    return opening.headline(rows, got, label, preference=manifest.get("preference"))


def _charts(
    summary: pd.DataFrame, curves: pd.DataFrame, by_dataset: pd.DataFrame, unit: str
) -> tuple[dict[str, str], list[Figure]]:
    """Return the places of all charts as HTML by name, and the figures that fill them."""
    rows = records(summary)
    names = [r["policy"] for r in rows if r["kind"] == "policy"]
    cloud, frontier = plane(rows, unit, calls.called(by_dataset))
    areas, colours, last = calls.shares(rows, curves)
    routed = calls.routed(by_dataset)
    bars, where = calls.by_dataset(routed, colours)
    earned, left = over_time.reward(rows, curves, unit), over_time.budget(rows, curves)
    parts = {
        "regret": _chart("regret", words.regret_caption(rows)),
        "reward": _chart("reward", words.reward_caption(rows)),
        "plane_heading": "Cost and accuracy" if frontier else "Accuracy",
        "plane": _chart("plane", words.plane_caption(rows, frontier, unit)),
        "budget": "" if left is None else _budget(rows),
        "nav": "".join(
            f'<li><a href="#{place}">{text}</a></li>' for place, text in _contents(frontier, left)
        ),
        "of": _of(areas),
        "legend": "".join(_key(model, colour) for model, colour in colours.items()),
        "shares": "".join(
            f"<div><h3>{words.code(name)}</h3>{_chart(area['id'], words.shares_caption(name, shares))}</div>"
            for name, area, shares in zip(names, areas, last, strict=True)
        ),
        "heat": _chart("heat", words.heat_caption(routed)),
        "bars": "".join(
            f"<div><h3>{html.escape(name)}</h3>{_place(bar['id'], words.bars_caption(name, routed))}</div>"
            for name, bar in zip(where, bars, strict=True)
        ),
    }
    drawn = [over_time.regret(rows, curves), earned, cloud, left, *areas, calls.heat(routed), *bars]
    return parts, [figure for figure in drawn if figure is not None]


def _contents(frontier: list[str], left: Figure | None) -> list[tuple[str, str]]:
    """Return the anchors and names of the page's parts."""
    found = [
        ("at-regret", "Regret"), ("at-plane", "Cost and accuracy" if frontier else "Accuracy"),
        ("at-reward", "Reward"), ("at-budget", "Budget"), ("at-models", "Models called"),
        ("at-heat", "Datasets and models"), ("at-datasets", "By dataset"), ("at-numbers", "All numbers"),
        ("at-run", "What was run"),
    ]  # fmt: skip
    return [part for part in found if left is not None or part[0] != "at-budget"]


def _of(areas: list[Figure]) -> str:
    """Return the choice of the dataset that the charts of shares are about; empty where there is one dataset."""
    labels = [view["label"] for view in areas[0]["views"]] if areas else []
    if len(labels) < 2:
        return ""
    options = "".join(f"<option>{label}</option>" for label in labels)
    return f'<label>Queries of <select id="shares-of">{options}</select></label>'


def _budget(rows: list[dict[str, Any]]) -> str:
    return '<h2 id="at-budget">What is left of the budget</h2>' + _chart("budget", words.budget_caption(rows))


def _chart(name: str, caption: str) -> str:
    """Return the place of a chart with its caption below it."""
    return _place(name, caption, f"<figcaption>{html.escape(caption)}</figcaption>")


def _place(name: str, alternative: str, caption: str = "") -> str:
    """Return the place of a chart, with its text alternative for screen readers."""
    return (
        f'<figure><div class="controls" id="{name}-controls"></div>'
        f'<div class="chart" id="{name}" role="img" aria-label="{html.escape(alternative)}"></div>'
        f"{caption}</figure>"
    )


def _key(model: str, colour: str) -> str:
    return f'<li><span class="swatch" style="background:{colour}"></span>{html.escape(model)}</li>'

"""The table by dataset: what each player got there, and how far each policy is from a baseline that can be chosen."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from bandits.metrics.intervals import student
from bandits.metrics.verdict import ALPHA, FEWEST_QUERIES, FEWEST_SEEDS
from bandits.report.styles import tidy
from bandits.report.words import number
from bandits.results.by_dataset import MEASURES
from bandits.results.differences import OVERALL, Scores, against, paired_differences

_ARRAYS = ("difference", "lo", "hi", "p_holm", "queries_lo", "queries_hi")
_HEADINGS = ("player", "accuracy", "mean cost", "regret, oracle")


def baselines(got: Scores) -> list[str]:
    """Return what can be compared with: policies and references, the best fixed model first where there is one."""
    names = [name for name, kind in zip(got.players, got.kinds, strict=True) if kind != "model"]
    return sorted(names, key=lambda name: name.partition(" [")[0] != "best_fixed")


def measures(got: Scores, *, comparable: bool) -> list[str]:
    """Return what can be compared: cost only where there is any, reward only where all runs count it alike."""
    return [
        name for name in MEASURES if not np.isnan(got.value[name]).all() and (comparable or name != "reward")
    ]


def differences(got: Scores, *, comparable: bool = True) -> dict[str, Any]:
    """Return every paired difference that the table can show, for page.js.

    `rows` lists policy and dataset; `values[measure][baseline]` has six arrays in that order: difference, lo and hi
    over seeds, the adjusted p-value, lo and hi over queries, None where a policy would be compared with itself. A
    baseline that leaves nothing to compare is left out.
    """
    policies = [name for name, kind in zip(got.players, got.kinds, strict=True) if kind == "policy"]
    rows = [(name, dataset) for dataset in got.datasets for name in policies]
    kept = measures(got, comparable=comparable)
    values: dict[str, dict[str, Any]] = {}
    for baseline in baselines(got):
        pairs = against(got, baseline)
        if not pairs:
            continue  # the one policy there is, with itself
        frame = paired_differences(got, pairs, measures=kept)
        for measure, part in frame.groupby("measure", sort=False):
            by_row = part.set_index(["policy", "dataset"]).reindex(rows)
            arrays = [tidy(by_row[c]) for c in _ARRAYS]
            values.setdefault(str(measure), {})[baseline] = arrays
    return {"rows": rows, "alpha": ALPHA, "measures": kept, "baselines": baselines(got), "values": values}


def table(got: Scores) -> str:
    """Return the table as HTML, a group of rows for each dataset; page.js fills the column of differences."""
    shown = [i for i, kind in enumerate(got.kinds) if kind != "model"]
    spans = {
        measure: (got.value[measure].mean(axis=0), *student(got.value[measure]))
        for measure in ("accuracy", "cost", "regret_oracle")
    }
    head = "".join(f'<th scope="col">{text}</th>' for text in (*_HEADINGS, "difference"))
    body, place = [], 0
    for d, dataset in enumerate(got.datasets):
        body.append(
            f'<tr><th class="group" scope="colgroup" colspan="{len(_HEADINGS) + 1}">{html.escape(dataset)}</th></tr>'
        )
        for i in shown:
            cells = [
                _cell([float(values[i, d]) for values in spans[measure]], decimals)
                for measure, decimals in (("accuracy", 4), ("cost", None), ("regret_oracle", 1))
            ]
            own = got.kinds[i] == "policy"
            cells.append(f'<td data-row="{place}"></td>' if own else "<td>–</td>")
            place += own
            body.append(f'<tr><th scope="row">{html.escape(got.players[i])}</th>{"".join(cells)}</tr>')
    return f'<table id="datasets-table"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


def _cell(span: list[float], decimals: int | None) -> str:
    """Return a mean with its interval in small print, where there is one."""
    mean, low, high = (number(value, decimals) for value in span)
    return f"<td>{mean}</td>" if low in (high, "n/a") else f"<td>{mean}<small>{low} to {high}</small></td>"


def choices(got: Scores, *, comparable: bool) -> str:
    """Return the two choices above the table as HTML: the baseline and the measure."""
    return _select("baseline", "Difference from", baselines(got)) + _select(
        "measure", "in", measures(got, comparable=comparable)
    )


def _select(name: str, label: str, options: list[str]) -> str:
    listed = "".join(f"<option>{html.escape(option)}</option>" for option in options)
    return f'<label>{label} <select id="{name}">{listed}</select></label>'


def note(got: Scores) -> str:
    """Return how to read the differences, as plain text."""
    seeds = got.value["reward"].shape[0]
    queries = 0 if got.queries is None else len(np.unique(got.queries.cluster))
    where = f" ({OVERALL}: over the policies alone)" if len(got.datasets) > 1 else ""
    known = (
        got.queries.counted(queries)
        if got.queries is not None
        else "queries whose own numbers are not known, so that nothing is starred"
    )
    return (
        f"Small print: 95 % t interval of the mean over {seeds} seeds; of a difference, a second one over the queries."
        f" A bold difference with a star holds at 5 % over both, by paired t-tests adjusted by Holm's method for all"
        f" policies and datasets shown{where}; it stands on {seeds} seeds and {known}, and needs at least"
        f" {FEWEST_SEEDS} seeds and {FEWEST_QUERIES} queries."
    )

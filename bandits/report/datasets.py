"""The table by dataset: what each player got there, and how far each policy is from a baseline that can be chosen."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bandits.metrics.intervals import AMOUNT, ANYTHING, SHARE, student
from bandits.metrics.verdict import ALPHA, FEWEST_QUERIES, FEWEST_SEEDS
from bandits.money import Money
from bandits.report.axes import PER
from bandits.report.styles import tidy
from bandits.report.words import minus, number
from bandits.results.by_dataset import MEASURES
from bandits.results.differences import OVERALL, Scores, against, paired_differences
from bandits.rows import counted

_ARRAYS = ("difference", "lo", "hi", "p_holm", "queries_lo", "queries_hi")

EVERY = "every data set"


def baselines(got: Scores, first: Sequence[str]) -> list[str]:
    """Return what can be compared with: the policies `first` and references, the best fixed model before all others."""
    known = [n for n, kind in zip(got.players, got.kinds, strict=True) if kind == "reference"]
    return sorted(
        [*(n for n in first if n in got.players), *known], key=lambda n: n.partition(" [")[0] != "best_fixed"
    )


def measures(got: Scores, *, comparable: bool) -> list[str]:
    """Return what can be compared: cost only where there is any, reward only where all runs count it alike."""
    return [
        name for name in MEASURES if not np.isnan(got.value[name]).all() and (comparable or name != "reward")
    ]


def differences(got: Scores, first: Sequence[str], *, comparable: bool = True) -> dict[str, Any]:
    """Return every paired difference that the table can show, for page.js: of the policies `first`.

    The tests are corrected for all policies of the run, those that are not shown too.

    `rows` lists policy and dataset; `values[measure][baseline]` has six arrays in that order: difference, lo and hi
    over seeds, the adjusted p-value, lo and hi over queries, None where a policy would be compared with itself. A
    baseline that leaves nothing to compare is left out.
    """
    rows = [(name, dataset) for dataset in got.datasets for name in first if name in got.players]
    kept = measures(got, comparable=comparable)
    values: dict[str, dict[str, Any]] = {}
    for baseline in baselines(got, first):
        pairs = against(got, baseline)
        if not pairs:
            continue  # the one policy there is, with itself
        frame = paired_differences(got, pairs, measures=kept)
        for measure, part in frame.groupby("measure", sort=False):
            by_row = part.set_index(["policy", "dataset"]).reindex(rows)
            arrays = [tidy(by_row[c]) for c in _ARRAYS]
            values.setdefault(str(measure), {})[baseline] = arrays
    return {
        "rows": rows,
        "alpha": ALPHA,
        "measures": kept,
        "baselines": baselines(got, first),
        "values": values,
    }


def table(got: Scores, first: Sequence[str], of: Money) -> str:
    """Return the table as HTML, a body for each dataset, the first one open; page.js fills the column of differences.

    Args:
        got: what each player got.
        first: the policies that have rows, in their order; references have too.
        of: the money that costs are in.
    """
    shown = [got.players.index(name) for name in first if name in got.players]
    shown += [i for i, kind in enumerate(got.kinds) if kind == "reference"]
    columns = {
        "accuracy, %": ("accuracy", 100.0, 1),
        f"cost, {of.per_1000}": ("cost", of.factor * PER, None),
        "regret, oracle": ("regret_oracle", 1.0, 1),
    }
    if np.isnan(got.value["cost"]).all():
        columns.pop(f"cost, {of.per_1000}")
    known = {"accuracy": SHARE, "cost": AMOUNT}
    spans = {
        measure: (
            got.value[measure].mean(axis=0),
            *student(got.value[measure], within=known.get(measure, ANYTHING)),
        )
        for measure, _, _ in columns.values()
    }
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in ("player", *columns, "difference"))
    body, place = [], 0
    for d, dataset in enumerate(got.datasets):
        name = html.escape(dataset)
        rows = [f'<tr><th class="group" scope="colgroup" colspan="{len(columns) + 2}">{name}</th></tr>']
        for i in shown:
            cells = [
                _cell([scale * float(values[i, d]) for values in spans[measure]], decimals)
                for measure, scale, decimals in columns.values()
            ]
            own = got.kinds[i] == "policy"
            cells.append(f'<td data-row="{place}"></td>' if own else "<td>\u2013</td>")
            place += own
            rows.append(f'<tr><th scope="row">{html.escape(got.players[i])}</th>{"".join(cells)}</tr>')
        body.append(f'<tbody data-dataset="{name}"{" hidden" if d else ""}>{"".join(rows)}</tbody>')
    return f'<table id="datasets-table"><thead><tr>{head}</tr></thead>{"".join(body)}</table>'


def _cell(span: list[float], decimals: int | None) -> str:
    """Return a mean with its interval in small print, where there is one."""
    mean, low, high = (minus(number(value, decimals)) for value in span)
    return f"<td>{mean}</td>" if low in (high, "n/a") else f"<td>{mean}<small>{low} to {high}</small></td>"


def choices(got: Scores, first: Sequence[str], *, comparable: bool) -> str:
    """Return the choices above the table as HTML: the dataset, the baseline and the measure."""
    places = _select("dataset", "Data set", [*got.datasets, EVERY]) if len(got.datasets) > 1 else ""
    against_, in_ = baselines(got, first), measures(got, comparable=comparable)
    return places + _select("baseline", "Difference from", against_) + _select("measure", "in", in_)


def title(told: Mapping[str, Any]) -> str:
    """Return in how many data sets the first policy is shown to differ from the best fixed model, as plain text.

    Args:
        told: of `differences`.
    """
    names = list(dict.fromkeys(dataset for _, dataset in told["rows"]))
    single, baseline = names[1:] or names, (told["baselines"] or [""])[0]
    arrays = told["values"].get("reward", {}).get(baseline)
    if arrays is None or baseline != "best_fixed":
        return "Data set by data set"
    name = told["rows"][0][0]
    mine = [i for i, (policy, dataset) in enumerate(told["rows"]) if policy == name and dataset in single]
    sure = [arrays[0][i] for i in mine if arrays[3][i] is not None and arrays[3][i] < told["alpha"]]
    more, less = (sum(gap is not None and gap * sign > 0 for gap in sure) for sign in (1, -1))
    shown = f"{name} is shown to earn more than best_fixed in {more}, and less in {less}"
    return f"Of {counted(len(single), 'data set')}, {shown}"


def _select(name: str, label: str, options: list[str]) -> str:
    listed = "".join(f"<option>{html.escape(option)}</option>" for option in options)
    return f'<label>{label} <select id="{name}">{listed}</select></label>'


def note(got: Scores) -> str:
    """Return how to read the differences, as plain text."""
    seeds = counted(got.value["reward"].shape[0], "seed")
    queries = 0 if got.queries is None else len(np.unique(got.queries.cluster))
    where = f" ({OVERALL}: over the policies alone)" if len(got.datasets) > 1 else ""
    known = (
        got.queries.counted(queries)
        if got.queries is not None
        else "queries whose own numbers are not known, so that nothing is starred"
    )
    return (
        f"Small print: 95 % t interval of the mean over {seeds}; of a difference, a second one over the queries."
        f" A bold difference with a star holds at 5 % over both, by paired t-tests adjusted by Holm's method for all"
        f" policies and datasets of the run{where}; it stands on {seeds} and {known}, and needs at least"
        f" {FEWEST_SEEDS} seeds and {FEWEST_QUERIES} queries."
    )

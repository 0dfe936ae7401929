"""The table by dataset: what each player got there, and how far each policy is from a baseline that can be chosen."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from bandits.metrics.intervals import student
from bandits.report.styles import tidy
from bandits.report.words import number
from bandits.results.by_dataset import MEASURES
from bandits.results.differences import OVERALL, Scores, against, paired_differences

ALPHA = 0.05  # what is called significant, after Holm's correction
_HEADINGS = ("player", "accuracy", "mean cost", "regret, oracle")


def baselines(got: Scores) -> list[str]:
    """Return who can be compared with: policies and references, the best fixed model first where it is there."""
    names = [name for name, kind in zip(got.players, got.kinds, strict=True) if kind != "model"]
    return sorted(names, key=lambda name: name.partition(" [")[0] != "best_fixed")


def measures(got: Scores, *, comparable: bool) -> list[str]:
    """Return what can be compared: cost only where there is any, reward only where all runs count it alike."""
    return [
        name for name in MEASURES if not np.isnan(got.value[name]).all() and (comparable or name != "reward")
    ]


def differences(got: Scores, *, comparable: bool = True) -> dict[str, Any]:
    """Return every paired difference that the table can show, for page.js.

    `rows` lists policy and dataset; `values[measure][baseline]` has four arrays in that order: difference, lo, hi
    and the adjusted p-value, None where a policy would be compared with itself. A baseline that leaves nobody to
    compare is left out.
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
            arrays = [tidy(by_row[c]) for c in ("difference", "lo", "hi", "p_holm")]
            values.setdefault(measure, {})[baseline] = arrays
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
    return f"<td>{mean}</td>" if low == high else f"<td>{mean}<small>{low} to {high}</small></td>"


def choices(got: Scores, *, comparable: bool) -> str:
    """Return the two choices above the table as HTML: with whom, and in what."""
    return _select("baseline", "Difference from", baselines(got)) + _select(
        "measure", "in", measures(got, comparable=comparable)
    )


def _select(name: str, label: str, options: list[str]) -> str:
    listed = "".join(f"<option>{html.escape(option)}</option>" for option in options)
    return f'<label>{label} <select id="{name}">{listed}</select></label>'


def note(got: Scores) -> str:
    """Return how to read the differences, as plain text."""
    seeds = got.value["reward"].shape[0]
    least = 2.0 / 2.0**seeds
    reach = f" With {seeds} seeds no p-value can be below {least:.3g}." if least > ALPHA / 2 else ""
    where = f" ({OVERALL}: over the policies alone)" if len(got.datasets) > 1 else ""
    return (
        "Small print: 95 % interval of the mean over seeds. Differences are paired over seeds; p is of a sign-flip"
        f" permutation test, adjusted by Holm's method for all policies and datasets shown{where}. A bold"
        f" difference with a star holds at 5 %.{reach}"
    )

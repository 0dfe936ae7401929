"""Table 2 of MMR-Bench (arXiv 2601.17814) beside what our routers score on a table."""

from __future__ import annotations

from typing import Any

from bandits.mmrbench import protocol, splits
from bandits.mmrbench.protocol import Row
from envs.outcomes import Outcomes
from envs.twin import published

# The paper's name of a method -> our spec.
METHODS = {
    "Random": "random",
    "LinearMF": "linearmf",
    "MLPMF": "mlpmf",
    "KNN": "knn",
    "KMeans": "kmeans",
    "Oracle": "oracle",
}
FULL = "ALL"


def side_by_side(outcomes: Outcomes, **settings: Any) -> list[Row]:
    """Return our nAUC and peak score beside the paper's, a row for each method and dataset of both.

    Every dataset is split by itself, and `ALL` is the whole table, as in the paper.

    Args:
        outcomes: the twin, or the released table.
        settings: fields of `mmrbench.Protocol` other than `dataset` and `routers`.

    Returns:
        Rows with `dataset, method`, and for `nAUC` and `Ps`: ours, `_lo` and `_hi` of its 95 % interval over
        resampled queries, `_paper`, `_difference` (ours less the paper's) and `_within` (whether the interval holds
        the paper's figure); NaN and None where the paper gives none.

    Raises:
        ValueError: the table has no dataset of the paper.
    """
    paper = published.table2()
    present = {splits.plain(str(d)) for d in outcomes.dataset}
    wanted = [d for d in dict.fromkeys(d for d, _ in paper) if d == FULL or splits.plain(d) in present]
    if wanted == [FULL] or not wanted:
        raise ValueError(
            f"table 2 needs datasets of MMR-Bench, the table has {', '.join(sorted(present)[:5])}"
        )
    rows = []
    for dataset in wanted:
        name = "all" if dataset == FULL else dataset
        scored = protocol.evaluate(
            outcomes, **{**settings, "dataset": name, "routers": tuple(METHODS.values())}
        )
        for method, row in zip(METHODS, scored, strict=True):
            rows.append({"dataset": dataset, "method": method} | _beside(row, paper[dataset, method]))
    return rows


def _beside(row: Row, paper: dict[str, float]) -> Row:
    out: Row = {"n_test": row["n_test"]}
    for name, figure in paper.items():
        low, high = row[f"{name}_lo"], row[f"{name}_hi"]
        known = figure == figure
        out |= {
            name: row[name],
            f"{name}_lo": low,
            f"{name}_hi": high,
            f"{name}_paper": figure,
            f"{name}_difference": row[name] - figure,
            f"{name}_within": bool(low <= figure <= high) if known else None,
        }
    return out | {"label": row["label"]}


def markdown(rows: list[Row]) -> str:
    """Return the rows of `side_by_side` as two Markdown tables, peak score and nAUC: ours, and the paper's in italics.

    A star marks a cell where the paper's figure lies outside our 95 % interval over resampled queries.
    """
    datasets, methods = (list(dict.fromkeys(str(row[key]) for row in rows)) for key in ("dataset", "method"))
    cells = {(row["dataset"], row["method"]): row for row in rows}
    parts = []
    for score, title in (("Ps", "Peak score"), ("nAUC", "nAUC")):
        named = [m for m in methods if any(cells[d, m][f"{score}_within"] is not None for d in datasets)]
        parts += [
            "| "
            + " | ".join([title, *("Full" if d == FULL else d.replace("_", " ") for d in datasets)])
            + " |",
            "|---" * (len(datasets) + 1) + "|",
            *("| " + " | ".join([m, *(_cell(cells[d, m], score) for d in datasets)]) + " |" for m in named),
            "",
        ]
    small = (
        f"Ours, then *the paper's*. \\* the paper's figure lies outside our 95 % interval over resampled queries;"
        f" – a router whose curve is a single point has no area. Numbers are from: {rows[0]['label']}."
    )
    return "\n".join([*parts, small])


def _cell(row: Row, score: str) -> str:
    star = "" if row[f"{score}_within"] is not False else " \\*"
    return f"{_digits(row[score])} *{_digits(row[f'{score}_paper'])}*{star}"


def _digits(value: float) -> str:
    return f"{value:.3f}".lstrip("0") if value == value else "–"

"""Table 2 of MMR-Bench (arXiv 2601.17814) beside what our routers score on a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.metrics.significance import holm
from bandits.metrics.verdict import ALPHA
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
SCORES = {"nAUC": "nAUC", "Ps": "Peak score"}  # in the paper's order


def side_by_side(outcomes: Outcomes, **settings: Any) -> list[Row]:
    """Return our nAUC and peak score beside the paper's, a row for each method and dataset of both.

    Every dataset is split by itself, and `ALL` is the whole table, as in the paper.

    Args:
        outcomes: the twin, or the released table.
        settings: fields of `mmrbench.Protocol` other than `dataset` and `routers`.

    Returns:
        Rows of `mmrbench.evaluate` with `method`, and for `nAUC` and `Ps`: `_paper`, `_difference` (ours less the
        paper's), `_p` of the difference over resampled queries, adjusted for all cells of both scores, and `_within`
        (whether it is not shown at 5 %); NaN and None where the paper or our score is none.

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
    figures = {
        "all" if d == FULL else d: {spec: paper[d, method] for method, spec in METHODS.items()}
        for d in wanted
    }
    scored = protocol.evaluate_each(outcomes, figures, **settings)
    adjusted = holm([[row[f"{score}_p"] for score in SCORES] for row in scored])
    named = [(d, method) for d in wanted for method in METHODS]
    return [
        {"dataset": d, "method": method} | _beside(row, paper[d, method], p)
        for (d, method), row, p in zip(named, scored, adjusted, strict=True)
    ]


def _beside(row: Row, paper: dict[str, float], adjusted: Any) -> Row:
    out = {k: v for k, v in row.items() if k != "dataset"}
    for score, p in zip(SCORES, adjusted, strict=True):
        out |= {
            f"{score}_paper": paper[score],
            f"{score}_difference": row[score] - paper[score],
            f"{score}_p": float(p),
            f"{score}_within": None if np.isnan(p) else bool(p >= ALPHA),
        }
    return out


def markdown(rows: list[Row]) -> str:
    """Return the rows of `side_by_side` as two Markdown tables, peak score and nAUC: ours, and the paper's in italics.

    A star marks a cell that is shown to differ from the paper's, bold one that is shown to beat the best single model.
    """
    datasets, methods, cells = _grid(rows)
    parts = []
    for score in reversed(SCORES):
        named = [m for m in methods if any(cells[d, m][f"{score}_within"] is not None for d in datasets)]
        heads = [SCORES[score], *map(_title, datasets)]
        parts += [
            "| " + " | ".join(heads) + " |",
            "|---" * len(heads) + "|",
            *("| " + " | ".join([m, *(_cell(cells[d, m], score) for d in datasets)]) + " |" for m in named),
            *["| " + " | ".join(["Best single", *(_single(cells[d, methods[0]]) for d in datasets)]) + " |"]
            * (score == "Ps"),
            "",
        ]
    return "\n".join([*parts, _small(rows)])


def latex(rows: list[Row]) -> str:
    """Return our figures in the layout of the paper's table, for LaTeX with booktabs: nAUC and Ps of each dataset."""
    datasets, methods, cells = _grid(rows)
    heads = " & ".join(f"\\multicolumn{{2}}{{c}}{{{_title(d)}}}" for d in datasets)
    lines = [
        f"\\begin{{tabular}}{{l{'rr' * len(datasets)}}}",
        "\\toprule",
        f" & {heads} \\\\",
        f"Method & {' & '.join(['nAUC & $P_s$'] * len(datasets))} \\\\",
        "\\midrule",
    ]
    for method in methods:
        row = [_tex(cells[d, method], score) for d in datasets for score in SCORES]
        lines.append(f"{method} & {' & '.join(row)} \\\\")
    single = [cell for d in datasets for cell in ("--", _single(cells[d, methods[0]]))]
    lines.append(f"Best single & {' & '.join(single)} \\\\")
    note = _small(rows).replace("\\*", "*").replace("%", "\\%").replace("*the paper's*", "the paper's")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", f"% {note}"])


def _grid(rows: list[Row]) -> tuple[list[str], list[str], dict[tuple[str, str], Row]]:
    datasets, methods = (list(dict.fromkeys(str(row[key]) for row in rows)) for key in ("dataset", "method"))
    return datasets, methods, {(row["dataset"], row["method"]): row for row in rows}


def _title(dataset: str) -> str:
    return "Full" if dataset == FULL else dataset.replace("_", " ")


def _small(rows: list[Row]) -> str:
    seeds = rows[0].get("seeds", 1)
    bold = (
        f"shown to beat the best single model in accuracy, over queries and {seeds} split{'s' * (seeds > 1)}."
    )
    first = " Best single is that of the first split." if seeds > 1 else ""
    won = any("accuracy" in row.get("beats", "") for row in rows)
    bold = f"Bold: {bold}" if won else f"Nothing is bold: no router is {bold}"
    return (
        f"Ours, then *the paper's*. \\* shown to differ from the paper's over other queries, at 5 % after Holm's"
        f" correction for all cells; – a router whose curve is a single point has no area.{first} {bold}"
        f" Numbers are from: {rows[0]['label']}."
    )


def _single(row: Row) -> str:
    """Return the accuracy of the test queries' best model: a single model is a point, which has no area."""
    single = row.get("best_single")
    return "–" if single is None else _digits(single["accuracy"])


def _cell(row: Row, score: str) -> str:
    own = _digits(row[score])
    own = f"**{own}**" if score == "Ps" and "accuracy" in row.get("beats", "") else own
    star = " \\*" if row[f"{score}_within"] is False else ""
    return f"{own} *{_digits(row[f'{score}_paper'])}*{star}"


def _tex(row: Row, score: str) -> str:
    own = "--" if not _known(row[score]) else _digits(row[score])
    own = f"\\textbf{{{own}}}" if score == "Ps" and "accuracy" in row.get("beats", "") else own
    return own + ("$^*$" if row[f"{score}_within"] is False else "")


def _known(value: float) -> bool:
    return value == value


def _digits(value: float) -> str:
    return f"{value:.3f}".lstrip("0") if _known(value) else "–"

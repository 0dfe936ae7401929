"""Rows as text: an aligned table, CSV or JSON, the same for every command."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envs import parts

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("table", "csv", "json", "markdown", "latex")
READ = ("table", "markdown", "latex")  # by people: what is chosen of the columns, and sentences beside them
# The columns of a summary that fit a terminal; the files hold them all.
SHORT = (
    "policy", "kind", "reward_mean", "reward_lo", "reward_hi", "accuracy", "cost_mean",
    "regret_oracle", "regret_lo", "regret_hi", "regret_best_fixed", "gap_closed", "exponent",
    "outstanding", "never_heard",
)  # fmt: skip
BUDGET_SHORT = (
    "policy", "kind", "reward_mean", "reward_lo", "reward_hi", "accuracy", "cost_mean", "spent_most", "out_at",
    "unanswered", "over_cap", "within", "over_mixture", "over_lo", "over_hi",
)  # fmt: skip
ROUTER_SHORT = (
    "dataset", "mode", "split", "router", "method", "n_test", "Ps", "Ps_lo", "Ps_hi", "Ps_paper", "Ps_difference",
    "over_single", "over_single_lo", "over_single_hi", "over_single_p", "beats", "behind", "behind_lo", "behind_hi",
    "behind_p", "nAUC", "nAUC_lo", "nAUC_hi", "nAUC_paper", "nAUC_difference", "nAUC_fair",
    "QNC", "QNC_99", "n_pareto", "best_single",
)  # fmt: skip


def render(rows: pd.DataFrame | Sequence[Mapping[str, Any]], form: str) -> str:
    """Return rows (a DataFrame or a list of dicts) in one of `FORMATS`, without a newline at the end."""
    import pandas as pd

    frame = pd.DataFrame(rows)
    if form == "json":
        return json.dumps(plain(frame.to_dict("records")), indent=2)
    if form == "csv":
        return str(frame.to_csv(index=False)).rstrip("\n")
    if form in ("markdown", "latex"):
        return _typeset(frame, form)
    return str(frame.to_string(index=False, float_format=number, na_rep="-"))


WIDTH = 80  # columns of a terminal as it opens
_LEAST = 12  # characters of a name, however wide the rest is


def narrow(headings: Sequence[str], lines: Sequence[Sequence[str]], width: int = WIDTH) -> str:
    """Return an aligned table of at most `width` columns.

    A first cell that is too long is cut in its middle, or, where it would then read like another, put on a line of its
    own above the others.

    Args:
        headings: one a column.
        lines: cells as text, the first one a name, the others as they are to be read.
        width: of the whole.
    """
    sizes = [max(map(len, column)) for column in zip(headings, *lines, strict=True)]
    size = max(min(sizes[0], width - sum(one + 2 for one in sizes[1:])), _LEAST)
    short = {name: cut(name, size) for name, *_ in lines}
    alike = {name for name, text in short.items() if list(short.values()).count(text) > 1}

    def aligned(first: str, rest: Sequence[str]) -> str:
        cells = (cell.rjust(one) for cell, one in zip(rest, sizes[1:], strict=True))
        return "  ".join([first.ljust(size), *cells]).rstrip()

    told = [aligned(headings[0], headings[1:])]
    for name, *rest in lines:
        told += [cut(name, width), aligned("", rest)] if name in alike else [aligned(short[name], rest)]
    return "\n".join(told)


def laid(headings: Sequence[str], lines: Sequence[Sequence[str]], form: str) -> str:
    """Return a table of cells as they are to be read in one of `READ`; numbers to the right."""
    if form == "table":
        return narrow(headings, lines)
    right = [False, *[True] * (len(headings) - 1)]
    return _ruled([list(headings), *map(list, lines)], right, form)


def remark(text: str, form: str) -> str:
    """Return a sentence that stands beside a table: a comment in LaTeX."""
    return "\n".join(f"% {line}" for line in text.splitlines()) if form == "latex" else text


def cut(name: str, size: int) -> str:
    """Return a name of at most so many characters, its middle left out."""
    if len(name) <= size:
        return name
    tail = (size - 2) // 2
    return f"{name[: size - 2 - tail]}..{name[len(name) - tail :]}"


def _typeset(frame: pd.DataFrame, form: str) -> str:
    """Return a table in Markdown, or in LaTeX with booktabs; numbers to the right."""
    right = [frame[c].dtype.kind in "if" for c in frame]
    cells = [["-" if v != v else number(v) for v in row] for row in frame.itertuples(index=False)]
    return _ruled([[*frame], *cells], right, form)


def _ruled(cells: list[list[Any]], right: list[bool], form: str) -> str:
    """Return rows of cells, the first one the head, in Markdown or LaTeX."""
    if form == "markdown":
        rule = [("---:" if r else "---") for r in right]
        texts = [[str(v).replace("|", "\\|") for v in row] for row in cells]
        lines = ["| " + " | ".join(row) + " |" for row in texts]
        return "\n".join([lines[0], "|" + "|".join(rule) + "|", *lines[1:]])
    body = [" & ".join(_escaped(v) for v in row) + r" \\" for row in cells]
    columns = "".join("r" if r else "l" for r in right)
    head = [f"\\begin{{tabular}}{{{columns}}}", r"\toprule", body[0], r"\midrule"]
    return "\n".join([*head, *body[1:], r"\bottomrule", r"\end{tabular}"])


def _escaped(text: Any) -> str:
    """Return a text that LaTeX prints as it is."""
    special = {c: f"\\{c}" for c in "&%$#_{}"}
    named = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join((special | named).get(c, c) for c in str(text))


def short(summary: pd.DataFrame) -> Any:
    """Return the columns of a summary that fit a terminal: of spending, where there was a budget."""
    kept = BUDGET_SHORT if "within" in summary else SHORT
    return summary[[c for c in kept if c in summary]]


def routers(rows: list[dict[str, Any]], form: str) -> list[dict[str, Any]]:
    """Return rows of MMR-Bench's protocol with the best single model by name; for reading, those that fit."""
    flat = [
        {**row, "best_single": row["best_single"]["model_name"]} if "best_single" in row else row
        for row in rows
    ]
    if form in ("csv", "json"):
        return flat
    return [{k: row[k] for k in ROUTER_SHORT if k in row} for row in flat]


def write(path: str, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        ValueError: it cannot be written.
    """
    place = Path(os.path.realpath(path))  # a link goes on to point where it did
    if place.exists() and not place.is_file():
        raise ValueError(f"{path} cannot be written: it is {'a folder' if place.is_dir() else 'no file'}")
    part = parts.of(place)
    try:
        part.write_text(text.removesuffix("\n") + "\n", encoding="utf-8")
        os.replace(part, place)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """Return JSON's own types: NumPy numbers unwrapped, numbers that JSON has no word for as null."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


def number(value: Any) -> str:
    """Return a float with five significant digits, anything else as it is."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def counted(number: int, thing: str, many: str = "") -> str:
    """Return so many things in words: "one seed", "2 seeds", "1,000 queries".

    Args:
        number: how many.
        thing: the name of one.
        many: of several, where it is not `thing` with an s.
    """
    return f"one {thing}" if number == 1 else f"{number:,} {many or thing + 's'}"

"""The answers of `simulate.py mmrbench`: rows of the protocol, Table 2 side by side, or online beside offline."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandits import rows as tables
from bandits.folders import place
from bandits.mmrbench import contest
from bandits.mmrbench.online import Sweep, meet
from bandits.mmrbench.protocol import Row, evaluate, printable
from bandits.mmrbench.table2 import latex as table2_as_latex
from bandits.mmrbench.table2 import markdown as table2_as_markdown
from bandits.mmrbench.table2 import side_by_side
from envs.outcomes import Outcomes

if TYPE_CHECKING:
    pass

_UNJUDGED = (
    "Nothing here is shown to beat anything: intervals of policies are over orders of the queries, those of routers"
    " over other queries, and no two are paired."
)


def answer(
    table: Outcomes,
    form: str,
    out: str | None,
    *,
    table2: bool,
    online: tuple[str, ...],
    dim: int,
    progress: Callable[[str, int], object] | None = None,
    **settings: Any,
) -> tuple[str, list[str]]:
    """Return what to print and the paths written.

    Args:
        table: the whole table.
        form: one of `tables.FORMATS`; all but csv and json begin with the verdict.
        out: a .csv or .json for the rows, with `online` a folder; None: nothing is written.
        table2: put the paper's figures beside ours.
        online: specs of policies that meet the routers on the same test queries.
        dim: principal components in the policies' context.
        progress: called with a policy and its rounds done.
        settings: the fields of `Protocol`.

    Raises:
        ValueError: the name of `out` does not fit, or as the functions that answer.
    """
    if online:
        return _meeting(table, form, out, online, dim, progress, settings)
    if out is not None and Path(out).suffix not in (".csv", ".json"):
        raise ValueError(f"--out needs a name that ends in .csv or .json, got {out!r}")
    if out is not None:
        place.check_file(out)
    if table2:
        kept = {k: v for k, v in settings.items() if k not in ("dataset", "routers")}
        rows = side_by_side(table, **kept)
    else:
        rows = evaluate(table, **settings)
    as_json = json.dumps(printable(rows), indent=2)
    if out is not None:
        tables.write(
            out, as_json if out.endswith(".json") else tables.render(tables.routers(rows, "csv"), "csv")
        )
    if form in ("csv", "json"):
        text = as_json if form == "json" else tables.render(tables.routers(rows, form), form)
    else:
        text = _told(contest.sentence(rows), _shown(rows, form, table2), form)
    return text, [] if out is None else [out]


def _shown(rows: list[Row], form: str, paper: bool) -> str:
    """Return the rows in a form for reading; Table 2 as in the paper."""
    if paper:
        return table2_as_latex(rows) if form == "latex" else table2_as_markdown(rows)
    return tables.render(tables.routers(rows, form), form)


def _told(verdict: str, text: str, form: str) -> str:
    """Return the verdict above a table, as a comment in LaTeX."""
    return f"{tables.remark(verdict, form)}\n\n{text}"


def _meeting(
    table: Outcomes,
    form: str,
    out: str | None,
    online: tuple[str, ...],
    dim: int,
    progress: Callable[[str, int], object] | None,
    settings: dict[str, Any],
) -> tuple[str, list[str]]:
    from bandits.mmrbench import frontiers

    folder = None if out is None else place.check_names(out, frontiers.FILES)
    routers = settings.pop("routers")
    sweep = Sweep(policies=online, seeds=max(settings.pop("seeds"), 5))
    met = meet(table, sweep, routers, dim=dim, progress=progress, **settings)
    text = tables.render(met.table, form)
    if form not in ("csv", "json"):
        text = _told(_UNJUDGED, text, form)
    if folder is None:
        return text, []
    frontiers.publish(folder, met)
    return text, [str(Path(str(out)) / "frontiers.html")]

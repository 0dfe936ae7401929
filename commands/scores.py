"""The command scores: what other papers would say of a table's models or of finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.command_line import refuse
from commands.help import Topical, option
from commands.numbers import FINITE
from commands.options import SETTINGS, voice, world
from commands.prepare import load
from commands.terminal import say, show, told

if TYPE_CHECKING:
    from bandits.money import Money


@click.command("scores", cls=Topical, context_settings=SETTINGS)
@click.argument("paths", nargs=-1, metavar="TABLE | RUN...")
@world
@option(
    "--alpha",
    type=FINITE,
    default=0.5,
    show_default=True,
    help="Weight on quality in the efficiency score, in [0, 1].",
)
@voice
@click.pass_context
def score(ctx: click.Context, /, paths: tuple[str, ...], alpha: float, form: str, **options: Any) -> None:
    """Print the scores that other papers rank by: of a table's models, or of policies from folders of finished runs.

    Several RUN folders are settings of the same routers, as those of --preference 0,0.2,1. docs/scores.md says
    what each score is. None of them decides anything: `decide` does.
    """
    import numpy as np

    from bandits import money
    from bandits.results import scored

    if not 0 <= alpha <= 1:
        raise ValueError(f"--alpha needs a number in [0, 1], got {alpha:g}")
    found = [_runs(Path(path)) for path in paths]
    folders = [place for places in found for place in places]
    if not folders:
        if len(paths) > 1:
            raise ValueError(f"scores needs one table or folders of runs, got {len(paths)} tables")
        stream = load({"stream": paths[0] if paths else "all", **options})
        say(*stream.notes)
        if stream.latency is None:
            say("no latency is recorded: the efficiency score counts quality alone")
        if len(lacking := np.flatnonzero(~stream.available.all(axis=0))):
            names = ", ".join(stream.models[k] for k in lacking)
            say(f"where a model has no outcome the fall-back, another model, answers: {names}")
        table = money.money(stream.outcomes.cost_unit)
        if table.currency == money.UNNAMED:
            say("no unit of cost is named: RouterArena's score takes it as US dollars a query")
        _tell(scored.rows(scored.of_table(stream, alpha=alpha), table), table, form)
        return
    if not all(found):
        raise ValueError("scores needs one table or folders of finished runs, not both")
    refuse(
        ctx, ("alpha", *options), "is for a table, not for finished runs: those keep what they were run with"
    )
    points, unit = _finished(folders)
    _tell(scored.rows(points, money.money(unit)), money.money(unit), form)
    if form == "table":
        click.echo()
        show(scored.over_settings(points), form)


def _tell(rows: list[dict[str, Any]], unit: Money, form: str) -> None:
    """Print the rows: on a terminal what fits it, with what it means."""
    from bandits import rows as tables
    from bandits.results import scored

    if form != "table":
        show(rows, form)
        return
    headings, lines, said = scored.table(rows, unit)
    click.echo(tables.laid(headings, lines, form))
    told(said)


def _runs(path: Path) -> list[Path]:
    """Return the folders of finished runs that a path stands for: itself, or those in it; [] for a table."""
    if not path.is_dir():
        return []
    if (path / "summary.csv").exists():
        return [path]
    if not (inside := sorted(p for p in path.iterdir() if (p / "summary.csv").exists())):
        raise ValueError(f"{path}: scores needs a table or a folder with a summary.csv, found neither in it")
    return inside


def _finished(folders: list[Path]) -> tuple[list[Any], str]:
    """Return the points of finished runs, the pool's models once, and their unit of cost."""
    from bandits.folders import read
    from bandits.results import scored

    runs = [read.read(folder) for folder in folders]
    first = runs[0]
    for run in runs[1:]:
        if run.manifest["given_sha256"] != first.manifest["given_sha256"]:
            raise ValueError(f"{folders[0]} and {run.name}: scores needs runs on the same data")
    found = [
        p for run in runs for p in scored.of_run(run.summary, Path(run.name).name if len(runs) > 1 else "")
    ]
    once = {(p.name, p.setting): p for p in reversed(found)}
    return list(reversed(once.values())), str(first.manifest["cost_unit"])

"""What a run says on stdout: its verdict, then a table of 80 columns, or all of its summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from commands.terminal import remark, show

if TYPE_CHECKING:
    from bandits.report.narrow import Told


def tell(runs: list[Any], summaries: list[Any], *, unit: str, wide: bool, form: str = "table") -> None:
    """Print the verdict of each run, then one table of all of them; wide, the summaries as they were."""
    from bandits import rows as tables
    from bandits.report import narrow

    for run in runs:
        remark(f"{run.name}: {opened(run)}" if run.name else opened(run), form)
    if wide:
        for run, summary in zip(runs, summaries, strict=True):
            click.echo(f"\n{run.name}" if run.name else "")
            show(tables.short(summary), form)
        return
    click.echo()
    click.echo(tables.laid(*narrow.table(runs, unit), form))
    click.echo("\n" * (form == "markdown"), nl=False)
    remark(narrow.legend(runs, unit), form)


def opened(run: Told) -> str:
    """Return the verdict that a run's page opens with; `run` is a `narrow.Told`."""
    from bandits.report.opening import unanswered, verdict

    return " ".join(filter(None, (verdict(run.rows, run.got), unanswered(run.rows))))

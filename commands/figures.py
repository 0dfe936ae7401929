"""The figures of a run as files: whether they can be drawn here, where they go, how wide they are."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click

from commands.command_line import given
from commands.terminal import say


class Drawn(NamedTuple):
    """What is drawn of each run beside its page: file formats, and widths in inches."""

    plots: tuple[str, ...]
    inches: tuple[float, ...]


def asked(ctx: click.Context, wanted: str | None, width: str) -> Drawn:
    """Return what is to be drawn, after a look whether it can be drawn here.

    Raises:
        click.UsageError: a width for figures that are not asked for.
        ValueError: a format or a width that there is not.
    """
    if wanted is None and given(ctx, "plot_width"):
        raise click.UsageError("--plot-width needs --plots: it is the width of figures beside the page")
    if wanted is None:
        return Drawn((), ())
    from bandits.report import plots

    return Drawn(plots.check(tuple(part.strip() for part in wanted.split(","))), plots.widths(width))


def check(place: Path, drawn: Drawn) -> None:
    """Refuse figures that could not be written into a run's folder."""
    if drawn.plots:
        from bandits.folders.place import check_names

        folder = place.expanduser() / "plots"
        there = folder.iterdir() if folder.is_dir() else iter(())
        check_names(folder, [p.name for p in there if p.suffix[1:] in drawn.plots], "--plots")


def plotted(place: Path, drawn: Drawn) -> None:
    """Write a finished run's figures into its folder `plots`."""
    if drawn.plots:
        from bandits.folders import read as compare
        from bandits.report import names, page, plots

        run = compare.read(place)
        unit, marks = str(run.manifest.get("cost_unit") or ""), run.manifest.get("marks", ())
        tables = {"summary": run.summary, "curves": run.curves, "by_dataset": run.by_dataset, **run.turns}
        named = names.labelled(tables, run.manifest.get("labels", {}))
        figures = page.figures(
            named["summary"],
            named["curves"],
            named["by_dataset"],
            unit,
            marks,
            {k: named[k] for k in run.turns},
        )
        say(f"{len(plots.write(figures, place / 'plots', *drawn))} figures in {place / 'plots'}")

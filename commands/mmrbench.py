"""The command mmrbench: routers by the benchmark's own protocol."""

from __future__ import annotations

from typing import Any

import click

from commands.options import FORMATS, SETTINGS
from commands.prepare import prepare_jax
from commands.terminal import progress, say


@click.command(context_settings=SETTINGS)
@click.option("--data", metavar="FILE", help="A table of outcomes instead of the calibrated twin.")
@click.option("--models", metavar="A,B,...", help="Keep these models only.")
@click.option(
    "--dataset", default="all", show_default=True, help="Datasets and scenarios joined by +, or all."
)
@click.option("--mode", default="22", show_default=True, help="Train and test see: 1 text, 2 both, 3 image.")
@click.option("--split", default="in", show_default=True, help="in (random), out (other datasets) or cross.")
@click.option(
    "--train-share", default=0.2, show_default=True, help="Of the queries, or of the datasets (out)."
)
@click.option(
    "--router", "routers", multiple=True, default=("all",), metavar="SPEC", help="Repeatable, or all."
)
@click.option("--random-state", default=42, show_default=True, help="Of the split and of routers that draw.")
@click.option("--seeds", default=1, show_default=True, help="Repetitions, each with a split of its own.")
@click.option("--missing", default="mean", show_default=True, help="Outcomes not recorded: mean or drop.")
@click.option("--table2", is_flag=True, help="Put nAUC and peak score beside the paper's Table 2.")
@click.option(
    "--online",
    multiple=True,
    metavar="SPEC",
    help="Policies on the same test queries, swept over preferences.",
)
@click.option(
    "--dim", default=32, show_default=True, help="Principal components in the online policies' context."
)
@click.option("--out", metavar="PATH", help="Also write: rows to a .csv or .json; with --online, a folder.")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def mmrbench(data: str | None, models: str | None, out: str | None, form: str, **settings: Any) -> None:
    """Train and score full-information routers by MMR-Bench's protocol (arXiv 2601.17814)."""
    prepare_jax()
    from bandits.mmrbench import command
    from envs import formats, twin

    table = twin.twin() if data is None else formats.read(data)
    table = table.select([m.strip() for m in models.split(",")]) if models else table
    with progress(0) as told:
        text, written = command.answer(table, form, out, progress=told, **settings)
    click.echo(text)
    say(*(f"wrote {path}" for path in written), f"numbers are from: {table.label}")

"""The command mmrbench: routers by the benchmark's own protocol."""

from __future__ import annotations

from typing import Any

import click

from commands.command_line import given
from commands.help import Topical, option
from commands.memory import available
from commands.numbers import FINITE, SEED, WHOLE
from commands.options import SCORED, SETTINGS, data, scored, voice
from commands.prepare import prepare_jax
from commands.terminal import progress, say


@click.command(cls=Topical, context_settings=SETTINGS)
@data
@option("--models", metavar="A,B,...", help="Keep these models only.")
@scored
@option("--dataset", default="all", show_default=True, help="Datasets and scenarios joined by +, or all.")
@option(
    "--mode",
    default="22",
    show_default=True,
    help="Train and test see: 1 text, 2 both, 3 image; 11 of a table without image embeddings.",
)
@option("--split", default="in", show_default=True, help="in (random), out (other datasets) or cross.")
@option(
    "--train-share",
    type=FINITE,
    default=0.2,
    show_default=True,
    help="Of the queries, or of the datasets (out).",
)
@option("--router", "routers", multiple=True, default=("all",), metavar="SPEC", help="Repeatable, or all.")
@option(
    "--random-state",
    type=SEED,
    default=42,
    show_default=True,
    help="Of the split and of routers that draw.",
)
@option(
    "--seeds", type=WHOLE, default=1, show_default=True, help="Repetitions, each with a split of its own."
)
@option(
    "--resamples",
    type=WHOLE,
    default=2000,
    show_default=True,
    help="Of the queries, for intervals over them.",
)
@option("--missing", default="mean", show_default=True, help="Outcomes not recorded: mean or drop.")
@option("--table2", is_flag=True, help="Put nAUC and peak score beside the paper's Table 2.")
@option(
    "--online",
    multiple=True,
    metavar="SPEC",
    help="Policies on the same test queries, swept over preferences.",
)
@option(
    "--dim",
    type=WHOLE,
    default=32,
    show_default=True,
    help="Principal components in the policies' context.",
)
@option("--out", metavar="PATH", help="Also write: rows to a .csv or .json; with --online, a folder.")
@voice
@click.pass_context
def mmrbench(
    ctx: click.Context, /, data: Any, models: str | None, out: str | None, form: str, **settings: Any
) -> None:
    """Train and score full-information routers by MMR-Bench's protocol (arXiv 2601.17814)."""
    prepare_jax()
    from bandits.mmrbench import command, size, trial
    from bandits.mmrbench.online import PREFERENCES
    from envs.tables import formats
    from envs.tables.copies import grouped
    from envs.twin import twin

    said = {k: settings.pop(k) for k in SCORED}
    keep = said.pop("keep_copies")
    table = twin.twin() if data is None else formats.read(data, **said)
    table = table if data is None or keep else grouped(table)
    table = table.select([m.strip() for m in models.split(",")]) if models else table
    if table.image is None and not given(ctx, "mode"):
        settings["mode"] = "11"
        say("the table has no image embeddings: --mode 11, text only")
    playing = len(settings["online"])
    size.check(
        table,
        available(),
        routers=len(trial.makers(settings["routers"])),
        seeds=max(settings["seeds"], 5) if playing else settings["seeds"],
        resamples=settings["resamples"],
        policies=playing,
        preferences=len(PREFERENCES),
    )
    with progress(0) as told:
        text, written = command.answer(table, form, out, progress=told, **settings)
    click.echo(text)
    notes = () if data is None else table.notes
    say(*notes, *(f"wrote {path}" for path in written), f"numbers are from: {table.label}")

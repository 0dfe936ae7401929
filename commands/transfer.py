"""The command transfer: trained on some data sets or models, used on others (MMR-Bench's tables 4 and 5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from commands.command_line import spoken
from commands.help import Topical, option
from commands.numbers import FINITE, SEED, WHOLE
from commands.options import SCORED, SETTINGS, data, scored, voice
from commands.prepare import prepare_jax
from commands.terminal import progress, remark, say, show, wrote


@click.command(cls=Topical, context_settings=SETTINGS)
@click.argument("file", metavar="[FILE]", required=False)
@data
@option("--models", metavar="A,B,...", help="Keep these models only.")
@scored
@option(
    "--router",
    "routers",
    multiple=True,
    default=("knn", "kmeans", "linearmf"),
    show_default=True,
    metavar="SPEC",
    help="Learned from every outcome; repeatable.",
)
@option(
    "--policy",
    "policies",
    multiple=True,
    metavar="SPEC",
    help="Learned from one call a query in one pass, then frozen; repeatable.",
)
@option(
    "--train-share",
    type=FINITE,
    default=0.8,
    show_default=True,
    help="Of what trains, drawn anew a repetition.",
)
@option("--seeds", type=WHOLE, default=5, show_default=True, help="Repetitions.")
@option("--random-state", type=SEED, default=42, show_default=True)
@option(
    "--resamples",
    type=WHOLE,
    default=1000,
    show_default=True,
    help="Of the queries, for intervals over them.",
)
@option(
    "--dim", type=WHOLE, default=32, show_default=True, help="Principal components in the policies' context."
)
@option("--out", metavar="DIR", help="Write transfer.html and transfer.csv.")
@voice
@click.pass_context
def transfer(
    ctx: click.Context,
    /,
    file: str | None,
    data: Any,
    models: str | None,
    out: str | None,
    form: str,
    **asked: Any,
) -> None:
    """Train on one data set and test on another of its scenario, and train on text and image and test on text alone.

    Routers know their queries by embeddings, so they can be asked about data sets that they have never seen. The last
    columns are the paper's figures, of the recorded answers.
    """
    from bandits.folders.place import check_names

    if file is not None and data is not None:
        raise click.UsageError("transfer needs FILE or --data, not both")
    for name, least in (("seeds", 1), ("resamples", 1), ("dim", 1)):
        if asked[name] < least:
            raise click.UsageError(f"--{name} needs at least {least}, got {asked[name]}")
    prepare_jax()
    from bandits.mmrbench import transfer_page
    from bandits.mmrbench.transfer import Asked, scenario_means, verdict
    from bandits.mmrbench.transfer import transfer as played
    from envs.tables import formats
    from envs.tables.copies import grouped
    from envs.twin import twin

    folder = None if out is None else check_names(out, transfer_page.FILES)
    said = {k: asked.pop(k) for k in SCORED}
    keep, path = said.pop("keep_copies"), data or file
    table = twin.twin() if path is None else formats.read(path, **said)
    table = table if path is None or keep else grouped(table)
    table = table.select([m.strip() for m in models.split(",")]) if models else table
    with progress(0) as counted:
        found = played(table, Asked(share=asked.pop("train_share"), **asked), counted)
    verdicts = [verdict(rows) for rows in found.values() if rows]
    if form in ("csv", "json"):
        show(transfer_page.flat(found), form)
    else:
        for rows, sentence in zip((r for r in found.values() if r), verdicts, strict=True):
            show(scenario_means(rows), form)
            remark(sentence[:1].upper() + sentence[1:], form)
    say(*(() if path is None else table.notes), f"numbers are from: {table.label}")
    if folder is not None:
        known = {
            "title": "Zero-shot transfer: trained on some data sets, used on others",
            "verdict": " ".join(s[:1].upper() + s[1:] for s in verdicts),
            "label": table.label,
            "notes": table.notes,
            "command": spoken(ctx),
        }
        transfer_page.publish(folder, found, known)
        wrote({"page": str(Path(str(out)) / transfer_page.FILES[0])}, form)

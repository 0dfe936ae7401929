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
@option(
    "--new-models",
    is_flag=True,
    help="Models never seen too, by identity vectors from a quiz: trains LLM Bandit.",
)
@option("--quiz", type=WHOLE, default=32, show_default=True, help="Queries put to each new model.")
@option("--rollouts", type=WHOLE, default=150, show_default=True, help="Of LLM Bandit's training.")
@option("--out", metavar="DIR", help="Write transfer.html and the tables.")
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
    for name in ("seeds", "resamples", "dim", "quiz", "rollouts"):
        if asked[name] < 1:
            raise click.UsageError(f"--{name} needs at least 1, got {asked[name]}")
    prepare_jax()
    from bandits.metrics.verdict import impossible
    from bandits.mmrbench import transfer_page
    from bandits.mmrbench.transfer import Asked, verdict
    from bandits.mmrbench.transfer import transfer as played

    folder = None if out is None else check_names(out, transfer_page.FILES)
    table = _table(data or file, models, {k: asked.pop(k) for k in SCORED})
    more = {k: asked.pop(k) for k in ("new_models", "quiz", "rollouts")}
    with progress(0) as counted:
        found = played(table, Asked(share=asked.pop("train_share"), **asked), counted)
        new = _new(table, more, asked, counted) if more["new_models"] else []
    few = impossible(asked["seeds"])
    verdicts = [few or verdict(rows) for rows in found.values() if rows]
    if new:
        from bandits.mmrbench import new_models

        verdicts.append(few or new_models.verdict(new))
    verdicts = [text[:1].upper() + text[1:] for text in verdicts]
    _tell(found, new, verdicts, form)
    say(*(() if data is None and file is None else table.notes), f"numbers are from: {table.label}")
    if folder is not None:
        known = {
            "title": "Zero-shot transfer: trained on some, used on others",
            "verdict": " ".join(verdicts), "label": table.label, "notes": table.notes, "command": spoken(ctx),
        }  # fmt: skip
        transfer_page.publish(folder, found, new, known)
        wrote({"page": str(Path(str(out)) / transfer_page.FILES[0])}, form)


def _table(path: Any, models: str | None, said: dict[str, Any]) -> Any:
    """Return the table that is asked for; None: the twin."""
    from envs.tables import formats
    from envs.tables.copies import grouped
    from envs.twin import twin

    keep = said.pop("keep_copies")
    table = twin.twin() if path is None else formats.read(path, **said)
    table = table if path is None or keep else grouped(table)
    return table.select([m.strip() for m in models.split(",")]) if models else table


def _new(table: Any, more: dict[str, Any], asked: dict[str, Any], counted: Any) -> list[dict[str, Any]]:
    """Return the rows of models that were never seen."""
    from bandits.mmrbench.new_models import new_models
    from bandits.policies.llmbandit.tasks import Schedule

    kept = {k: asked[k] for k in ("seeds", "random_state", "dim")}
    schedule = Schedule(rollouts=more["rollouts"])
    return new_models(table, quiz=more["quiz"], schedule=schedule, progress=counted, **kept)


def _tell(found: dict[str, Any], new: list[dict[str, Any]], verdicts: list[str], form: str) -> None:
    """Print the tables: for programs one list of all rows, for people each with its sentence."""
    from bandits.mmrbench import transfer_page
    from bandits.mmrbench.transfer import scenario_means

    if form in ("csv", "json"):
        show([*transfer_page.flat(found), *({"table": "models", **row} for row in new)], form)
        return
    tables = [scenario_means(rows) for rows in found.values() if rows] + [new] * bool(new)
    for rows, sentence in zip(tables, verdicts, strict=True):
        show(rows, form)
        remark(sentence, form)

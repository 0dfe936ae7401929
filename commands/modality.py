"""The command modality: does a policy use text and image, and how much of a benchmark needs no image?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.command_line import spoken
from commands.help import Topical, option
from commands.memory import fits
from commands.numbers import FINITE, SEED, WHOLE
from commands.options import SETTINGS, voice, world
from commands.prepare import load, prepare_jax
from commands.terminal import progress, remark, say, show, wrote

if TYPE_CHECKING:
    from envs.stream import Stream


@click.command(cls=Topical, context_settings=SETTINGS)
@click.argument("file", metavar="[FILE]", required=False)
@option("--policy", "policies", multiple=True, metavar="SPEC", help="Whose decisions; repeatable.")
@option("--blind", metavar="A,B,...", help="Models of the table that answer without the image.")
@option("--stream", default="all", show_default=True, help="all, ocr, vqa, math, a dataset of the table.")
@world
@option("--reward", default="linear", show_default=True, metavar="SPEC")
@option("--preference", type=FINITE, default=0.2, show_default=True)
@option(
    "--train-share", type=FINITE, default=0.5, show_default=True, help="Of the queries that are learned from."
)
@option("--seeds", type=WHOLE, default=10, show_default=True)
@option("--seed", type=SEED, default=0, show_default=True)
@option("--out", metavar="DIR", help="Write modality.html and the tables.")
@option("--wide", is_flag=True, help="Every figure instead of 80 columns.")
@voice
@click.pass_context
def modality(
    ctx: click.Context,
    /,
    file: str | None,
    policies: tuple[str, ...],
    blind: str | None,
    form: str,
    out: str | None,
    wide: bool,
    **options: Any,
) -> None:
    """Diagnose modality bias: a policy with text, image and both, and what models that see no image get right.

    A policy learns on a part of the queries and decides the others, with both modalities, with one of them masked,
    and having learned on one alone. --blind names models that never see the image; it needs no policy.
    """
    from bandits.folders.place import check_names
    from bandits.publish.modality import FILES, publish

    if file is not None and options["data"] is not None:
        raise click.UsageError("modality needs FILE or --data, not both")
    if not policies and blind is None:
        raise click.UsageError("modality needs a --policy to diagnose, or models named by --blind")
    if not 0 < options["train_share"] < 1:
        raise click.UsageError(
            f"--train-share needs a number between 0 and 1, got {options['train_share']:g}"
        )
    folder = None if out is None else check_names(out, FILES)
    stream = load({**options, "data": options["data"] or file})
    prepare_jax()
    rows = _diagnosed(stream, policies, options) if policies else []
    named = [] if blind is None else [name.strip() for name in blind.split(",")]
    said, found = [], []
    if blind is not None:
        from bandits.sweeps import blind as blinds

        found = blinds.shortcut(stream, named)
        said.append(blinds.verdict(found))
    if rows:
        from bandits.metrics.verdict import impossible
        from bandits.sweeps.modality import verdict

        said.insert(0, impossible(options["seeds"]) or verdict(rows))
    _tell(rows, found, said, form, wide)
    say(*stream.notes, f"numbers are from: {stream.outcomes.label}")
    if folder is not None:
        publish(folder, rows, found, _known(ctx, stream, policies, said))
        wrote({"page": str(Path(str(out)) / FILES[0])}, form)


def _known(ctx: click.Context, stream: Stream, policies: tuple[str, ...], said: list[str]) -> dict[str, Any]:
    """Return what the page says of itself."""
    what = ", ".join(policies) or "blind models"
    return {
        "title": f"{what}: text, image and both, on {stream.name}",
        "verdict": " ".join(said),
        "label": stream.outcomes.label,
        "notes": stream.notes,
        "command": spoken(ctx),
    }


def _diagnosed(stream: Stream, policies: tuple[str, ...], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the policies; a table without text or image is refused."""
    from bandits import resolve, rewards
    from bandits.experiment.ask import Ask
    from bandits.sweeps.modality import Run, diagnose

    if stream.outcomes.image is None or (stream.outcomes.text is None and not any(stream.outcomes.question)):
        lacking = "image" if stream.outcomes.image is None else "text"
        raise ValueError(
            f"modality needs text and image embeddings, the table has no {lacking}; --blind A,B without --policy asks"
            " its outcomes alone"
        )
    if options["modality"] != "both" or options["context"] != "embeddings":
        raise ValueError(
            "modality shows text, image and both itself: it goes without --modality and --context"
        )
    run = Run(
        options["seeds"],
        options["seed"],
        max(round(options["train_share"] * len(stream)), 1),
        options["preference"],
    )
    fits(stream, Ask(policies, reward=options["reward"], seeds=run.seeds, rounds=run.rounds))
    worth = resolve.function(options["reward"], rewards.REWARDS, "reward")
    context = {name: options[name] for name in ("fusion", "dim", "whiten")}
    with progress(3 * len(policies) * run.seeds * run.rounds) as counted:
        return diagnose(stream, policies, worth, run, context=context, progress=counted)


def _tell(rows: list[Any], blind: list[Any], said: list[str], form: str, wide: bool) -> None:
    """Print both tables: for programs every figure, for people what fits, with a sentence."""
    from bandits import rows as tables
    from bandits.report import brief

    if form in ("csv", "json"):
        both = [{"table": "decisions", **row} for row in rows] + [{"table": "blind", **row} for row in blind]
        show(both, form)
        return
    whole = [row for row in blind if row["dataset"] == "all"]
    for part, cells, legend in ((rows, brief.modality, brief.MASKED), (whole, brief.blind, brief.BLIND)):
        if part and wide:
            show(part, form)
        elif part:
            click.echo(tables.laid(*cells(part), form))
            click.echo("\n" * (form == "markdown"), nl=False)
            remark(legend, form)
    click.echo()
    for sentence in said:
        remark(sentence, form)

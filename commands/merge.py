"""The command merge: what a merged model would add to the pool, at each weight on cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from commands.command_line import refuse, spoken
from commands.help import Topical, option
from commands.numbers import FINITE, SEED, WHOLE
from commands.options import SETTINGS, voice, world
from commands.prepare import load, prepare_jax
from commands.terminal import remark, say, show, wrote

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("merge.html", "merge.csv")


@click.command(cls=Topical, context_settings=SETTINGS)
@click.argument("file", metavar="[FILE]", required=False)
@option(
    "--parents",
    default="@best+@second",
    show_default=True,
    metavar="A+B",
    help="Models or roles that are merged; the merged one is synthetic.",
)
@option(
    "--between",
    default="0.5,0.8,1",
    show_default=True,
    metavar="Q,..",
    help="Its quality: 0 the mean of the other parents, 1 the best parent in each data set.",
)
@option("--price-factor", type=FINITE, default=1.0, show_default=True, help="Of its parents' mean cost.")
@option("--model", metavar="NAME", help="A recorded model of the table instead: what it adds to the others.")
@option("--stream", default="all", show_default=True, help="all, ocr, vqa, math, a dataset of the table.")
@world
@option(
    "--draws", type=WHOLE, default=10, show_default=True, help="Of the synthetic answers and of the folds."
)
@option("--seed", type=SEED, default=0, show_default=True)
@option("--out", metavar="DIR", help="Write merge.html and merge.csv.")
@option("--wide", is_flag=True, help="Every figure instead of 80 columns.")
@voice
@click.pass_context
def merge(
    ctx: click.Context,
    /,
    file: str | None,
    form: str,
    out: str | None,
    model: str | None,
    wide: bool,
    **options: Any,
) -> None:
    """Say what one more model adds to the pool: reward a query with it, less without, decided on other queries.

    Decided by the best single model and by a router, at five weights on cost. A merged model's answers are synthetic,
    of the quality that is stated; no weights are merged.
    """
    from bandits.folders.place import check_names

    if file is not None and options["data"] is not None:
        raise click.UsageError("merge needs FILE or --data, not both")
    if options["draws"] < 1:
        raise click.UsageError(f"--draws needs at least 1, got {options['draws']}")
    if model is not None:
        own = ("parents", "between", "price_factor", "draws")
        refuse(ctx, own, "is for a synthetic merge, not for --model, whose answers are recorded")
    folder = None if out is None else check_names(out, FILES)
    stream = load({**options, "data": options["data"] or file})
    prepare_jax()
    from bandits.metrics.verdict import impossible
    from bandits.sweeps import merged

    drawn, seed = options["draws"], options["seed"]
    if model is not None:
        pools, label = merged.recorded(stream, model), stream.outcomes.label
    else:
        pools = merged.merges(
            stream, options["parents"], between=_qualities(options["between"]), factor=options["price_factor"],
            draws=drawn, seed=seed,
        )  # fmt: skip
        label = f"{stream.outcomes.label}; the merged model is synthetic"
    rows = merged.worth(stream, pools, seed=seed)
    said = ("" if model is not None else impossible(drawn, "draws")) or merged.verdict(rows)
    _tell(rows, said, form, wide)
    say(*stream.notes, f"numbers are from: {label}")
    if folder is not None:
        known = {
            "title": f"One more model beside {stream.n_arms - (model is not None)}, on {stream.name}",
            "verdict": said, "label": label, "notes": stream.notes, "command": spoken(ctx),
        }  # fmt: skip
        _write(folder, rows, known)
        wrote({"page": f"{out}/{FILES[0]}"}, form)


def _tell(rows: list[dict[str, Any]], said: str, form: str, wide: bool) -> None:
    """Print the table: for programs every figure, for people what fits, with a sentence."""
    from bandits import rows as tables
    from bandits.report import brief

    if wide or form in ("csv", "json"):
        show(rows, form)
    else:
        click.echo(tables.laid(*brief.merged(rows), form))
        click.echo("\n" * (form == "markdown"), nl=False)
        remark(brief.ADDED, form)
    if form not in ("csv", "json"):
        click.echo()
        remark(said, form)


def _qualities(text: str) -> list[float]:
    """Return the qualities of a list such as 0.5,0.8,1."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 <= q <= 1 for q in found) or len(set(found)) < len(found):
        raise click.UsageError(f"--between needs different numbers in [0, 1] such as 0.5,0.8,1, got {text!r}")
    return found


def _write(folder: Path, rows: list[dict[str, Any]], known: dict[str, Any]) -> None:
    """Write the page and the table, each whole or not at all."""
    from bandits import rows as tables
    from bandits.report import merged

    folder.mkdir(parents=True, exist_ok=True)
    tables.write(str(folder / FILES[0]), merged.render(rows, known).rstrip("\n"))
    tables.write(str(folder / FILES[1]), tables.render(rows, "csv"))

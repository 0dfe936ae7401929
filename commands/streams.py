"""Tables larger than memory: make one, and replay one with checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from commands import memory
from commands.command_line import given, spoken
from commands.help import Topical, option
from commands.numbers import SEED, WHOLE
from commands.options import SETTINGS
from commands.prepare import prepare_jax, reading
from commands.stopping import stopping
from commands.summary import tell
from commands.terminal import Stopped, progress, say, show


@click.command("make-stream", cls=Topical, context_settings=SETTINGS)
@option("--rounds", type=WHOLE, required=True, help="Queries to draw.")
@option("--out", metavar="FILE", required=True, help="A Parquet file; its format: docs/streams.md.")
@option(
    "--dim", type=WHOLE, default=32, show_default=True, help="Length of the contexts, the constant included."
)
@option("--seed", type=SEED, default=0, show_default=True, help="Fixes everything that is drawn.")
def make_stream(rounds: int, out: str, dim: int, seed: int) -> None:
    """Write a stream of any length from the twin's own model: new queries, a row group at a time."""
    from bandits.folders.place import check_file
    from envs.twin import generate, twin

    place = check_file(out)
    with progress(rounds) as told:
        written = 0

        def count(more: int) -> None:
            nonlocal written
            written += more
            if told is not None:
                told("queries", written)

        generate.make(place, rounds, dim=dim, seed=seed, progress=count)
    click.echo(f"stream: {out}")
    say(f"{rounds:,} queries; numbers are from: {twin.LABEL}")


def wanted(options: dict[str, Any]) -> str | None:
    """Return the path of the table if it is to be streamed, else None.

    A file from `make-stream` is always streamed, and any Parquet table with --checkpoint or --resume; a large one too,
    unless something is asked for that needs it in memory.
    """
    from envs.windows import big

    given = options["data"] or options["stream"]
    path = ", ".join(given) if isinstance(given, list) else str(given)
    asked = options["checkpoint"] is not None or options["resume"]
    kind = big.kind(path)
    if asked and not kind:
        raise ValueError(f"--checkpoint and --resume need a Parquet table, got {path!r}")
    if kind == "ready" or asked or (kind == "large" and not _needs_memory(options)):
        return path
    return None


def _needs_memory(options: dict[str, Any]) -> str:
    """Return the first option given that needs the table in memory, or ""."""
    prepare_jax()
    from bandits.experiment import ask as runs
    from bandits.publish import asked

    for name in ("prices", "models", "embed", "dry_run"):
        if options[name]:
            return f"--{name.replace('_', '-')}"
    if options["context"] != "embeddings":
        return "--context"
    if told := list(reading(options)):
        return "--prices-per" if told[0] == "per" else f"--{told[0].replace('_', '-')}"
    if options["data"] and options["stream"] != "all":
        return f"--stream {options['stream']}"
    return asked.needs_memory(runs.Ask(**{k: options[k] for k in runs.Ask._fields}))


def run(ctx: click.Context, path: str, *, out: str | None, form: str, **options: Any) -> Path:
    """Replay a table too large to hold: survey it, play, save as it goes, print; the run's folder comes back."""
    if needed := _needs_memory(options):
        raise ValueError(f"{needed} needs a table held in memory; {path} is read as it is needed")
    from bandits.experiment import ask as runs
    from bandits.folders.staged import Staged
    from bandits.publish import asked, streamed
    from bandits.report import narrow
    from bandits.report.parts import records
    from bandits.results.differences import scores
    from envs.windows import big, survey

    ask = runs.Ask(**{k: options[k] for k in runs.Ask._fields})
    context = {k: options[k] for k in ("modality", "fusion", "dim", "whiten")}
    changed = [f"--{name}" for name in context if given(ctx, name)]
    if big.kind(path) == "ready" and changed:
        raise ValueError(f"{path} has its contexts ready; {', '.join(changed)} cannot change them")
    table = survey.opened(path, **context)
    asked.refuse(table, ask, 1)
    what = f"--seeds {ask.seeds} x {len(ask.policies)} --policy on {table.dim} features"
    memory.check(memory.streamed(table, ask), what)
    folder = Path(out or Path("runs") / table.path.stem)
    known: dict[str, Any] = {
        "command": spoken(ctx),
        "context": context,
        "load": {"name": path, "data": None, "prices": None, "models": None},
    }
    if options["resume"] and not Staged(folder).checkpoint.is_file():
        say(f"--resume: no checkpoint of a run into {folder}; it begins with the first round")
    every = streamed.EVERY if options["checkpoint"] is None else options["checkpoint"]
    total, done = (ask.rounds or len(table)) * ask.seeds * len(ask.policies), 0
    with stopping() as stop, progress(total) as told:

        def count(rounds: int) -> None:
            nonlocal done
            done += rounds * ask.seeds * len(ask.policies)
            if told is not None:
                told(", ".join(ask.policies), done)

        try:
            tabled = streamed.run(
                table, ask, folder, known, every=every, resume=options["resume"], stop=stop, progress=count
            )
        except streamed.Interrupted as stopped:
            again = known["command"] + " --resume" * (not options["resume"])
            raise Stopped(f"{stopped}; go on with: {again}") from None
    if form == "table":
        got = scores(tabled["by_dataset"], tabled.get("by_query"))
        one = narrow.Told("", records(tabled["summary"]), got)
        tell([one], [tabled["summary"]], unit=table.cost_unit, wide=options["wide"])
        click.echo(f"\nreport: {folder / 'report.html'}")
    else:
        show(tabled["summary"], form)
    say(*asked.notes(table, ask), f"numbers are from: {table.label}")
    return folder

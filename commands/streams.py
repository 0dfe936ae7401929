"""Tables larger than memory: make one, and replay one with checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands import memory
from commands.command_line import given, spoken
from commands.help import Topical, option
from commands.numbers import SEED, WHOLE
from commands.options import SETTINGS
from commands.prepare import CONTEXT, prepare_jax, reading
from commands.stopping import stopping
from commands.terminal import Stopped, progress, say

if TYPE_CHECKING:
    from bandits.experiment.ask import Ask
    from envs.windows.big import Big


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


def _needs_memory(options: dict[str, Any]) -> tuple[str, str] | None:
    """Return the first option given that needs the table in memory, and why; None where none does."""
    prepare_jax()
    from bandits.experiment import ask as runs
    from bandits.publish import asked

    given = {name: options[name] for name in ("prices", "embed", "dry_run")} | reading(options)
    given["prices_per"] = given.pop("per", None)
    if found := asked.needs_memory(runs.Ask(**{k: options[k] for k in runs.Ask._fields}), given):
        return found
    if options["data"] and options["stream"] != "all":
        return f"--stream {options['stream']}", "its rows are chosen from all of them"
    return None


def run(
    ctx: click.Context, path: str, folder: Path, *, options: dict[str, Any]
) -> tuple[Any, dict[str, str], dict[str, Path], list[dict[str, Any]]]:
    """Replay a table too large to hold, once for each preference and budget: survey it, play, save as it goes.

    Returns the table, with its notes, the policies' labels, the folder of each run by its name and the tables of each.
    """
    from bandits.experiment import ask as runs
    from bandits.publish import asked
    from bandits.report import names
    from bandits.results.book import REFERENCES
    from envs.tables.how import How
    from envs.windows import big, survey

    if needed := _needs_memory(options):
        raise ValueError(asked.refusal(needed, path))
    ask = runs.Ask(**{k: options[k] for k in runs.Ask._fields})
    context = {k: options[k] for k in CONTEXT}
    models = None if options["models"] is None else [m.strip() for m in options["models"].split(",")]
    changed = [f"--{name}" for name in context if given(ctx, name)]
    changed += [f"--{name}" for name in ({"models": 1} if models else {}) | reading(options)]
    if big.kind(path) == "ready" and changed:
        raise ValueError(
            f"{path} has its outcomes and contexts ready; {', '.join(changed)} cannot change them"
        )
    table = survey.opened(path, How(models=models, **reading(options)), **context)
    asks, labels = (
        runs.single(ask),
        names.parse(options["labels"], ask.policies, (*REFERENCES, *table.models)),
    )
    for one in asks.values():
        asked.refuse(table, one, 1)
    what = f"--seeds {ask.seeds} x {len(ask.policies)} --policy on {table.dim} features"
    memory.check(memory.streamed(table, ask), what)
    known: dict[str, Any] = {
        "command": spoken(ctx),
        "context": context,
        "labels": labels,
        "load": {"name": path, "data": None, "prices": None, "models": options["models"], **reading(options)},
    }
    places = {name: folder / name for name in asks}
    total = (ask.rounds or len(table)) * ask.seeds * len(ask.policies)
    with stopping() as stop, progress(total * len(places)) as told:
        count = _counted(told, ask)
        made = [_one(table, asks[name], place, known, options, stop, count) for name, place in places.items()]
    return replace(table, notes=tuple(asked.notes(table, ask))), labels, places, made


def _counted(told: Callable[[str, int], None] | None, ask: Ask) -> Callable[[int], None]:
    """Return what counts the rounds of one policy and seed as those of all."""
    done = 0

    def count(rounds: int) -> None:
        nonlocal done
        done += rounds * ask.seeds * len(ask.policies)
        if told is not None:
            told(", ".join(ask.policies), done)

    return count


def _one(
    table: Big,
    ask: Ask,
    place: Path,
    known: dict[str, Any],
    options: dict[str, Any],
    stop: Callable[[], bool],
    count: Callable[[int], None],
) -> dict[str, Any]:
    """Play one preference and budget into its folder."""
    from bandits.folders.unfinished import Staged
    from bandits.publish import streamed

    if options["resume"] and not Staged(place).checkpoint.is_file():
        say(f"--resume: no checkpoint of a run into {place}; it begins with the first round")
    every = streamed.EVERY if options["checkpoint"] is None else options["checkpoint"]
    try:
        return streamed.run(
            table, ask, place, known, every=every, resume=options["resume"], stop=stop, progress=count
        )
    except streamed.Interrupted as stopped:
        again = known["command"] + " --resume" * (not options["resume"])
        raise Stopped(f"{stopped}; go on with: {again}") from None

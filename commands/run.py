"""Replay policies, summarise, save, print: what `simulate.py --policy ...` does."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from commands.prepare import load, prepare_jax
from commands.terminal import progress, say, show


def run(*, stream: str, out: str | None, form: str, **options: Any) -> None:
    """Replay, summarise, save, print; once for each preference and budget."""
    if not options["policies"]:
        raise click.UsageError(
            "--policy is needed, for example --policy linucb; `simulate.py list` names them all"
        )
    loaded = load({"stream": stream, **options})
    prepare_jax()
    from bandits.runs import artefacts, tables
    from bandits.runs import ask as runs

    ask = runs.Ask(**{k: options[k] for k in runs.Ask._fields})
    folder = Path(out or Path("runs") / safe(loaded.name))
    places = {name: folder / name for name in runs.names(ask)}
    for place in places.values():
        artefacts.check_folder(place)
    known = {
        "command": " ".join(["simulate.py", *sys.argv[1:]]),
        "context": {k: options[k] for k in ("modality", "fusion", "dim", "whiten")},
        "data": options["data"] or loaded.name,
        "load": {"name": stream, **{k: options[k] for k in ("data", "prices", "models")}},
    }
    summaries: list[Any] = []
    started = time.perf_counter()
    with progress(len(places) * len(ask.policies) * ask.seeds * (ask.rounds or len(loaded))) as told:
        for done in runs.finish(loaded, ask, told):
            seconds = {"seconds": round(time.perf_counter() - started, 3)}
            summaries.append(artefacts.publish(places[done.name], done, ask, known | seconds))
    for summary, place in zip(summaries, places.values(), strict=True):
        if form == "table":
            show(tables.short(summary), form)
            click.echo(f"\nreport: {place / 'report.html'}")
    if form != "table":
        show([row for summary in summaries for row in summary.to_dict("records")], form)
    say(*loaded.notes, f"numbers are from: {loaded.outcomes.label}")


def safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name)

"""`--dry-run`: what would run, how big it is, and about how long it takes, by a short measurement of each policy."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.terminal import progress, say, show

if TYPE_CHECKING:
    from bandits.experiment.ask import Ask
    from envs.stream import Stream

_MEASURED = (
    2048  # rounds: two chunks of the loop, the first with the compilation in it, the second at full speed
)


def rehearse(loaded: Stream, ask: Ask, places: Mapping[str, Path], form: str, memory: int) -> None:
    """Print the size of a run, its `memory` in bytes and an estimate of its time; nothing is written."""
    from bandits.experiment.lineup import REFERENCES

    rounds = ask.rounds or len(loaded)
    timed = _measure(loaded, ask, min(rounds, _MEASURED))
    rows: list[dict[str, Any]] = []
    for spec in ask.policies:
        total = len(places) * ask.seeds * rounds
        known = {"policy": spec, "runs": len(places), "seeds": ask.seeds, "rounds": rounds, "in_all": total}
        if spec in REFERENCES:
            rows.append({**known, "rounds_per_s": None, "seconds": 0.0})
            continue
        begin, rate = timed[spec]
        rows.append({**known, "rounds_per_s": round(rate), "seconds": round(begin + total / rate, 2)})
    if form != "table":
        show(rows, form)
        return
    sizes = f"{len(ask.policies)} policies x {len(places)} runs x {ask.seeds} seeds x {rounds:,} rounds"
    said = {
        "would run": sizes,
        "table": f"{loaded.name}: {len(loaded):,} queries x {loaded.n_arms} models, {loaded.dim} features",
        "memory": f"about {memory / 2**20:,.0f} MiB besides the libraries' own",
        "time": f"about {_told(sum(row['seconds'] for row in rows))}, and a few seconds for tables and report",
        "into": ", ".join(str(place) for place in places.values()),
    }
    click.echo("\n".join(f"{name:10} {text}" for name, text in said.items()) + "\n")
    show(rows, form)
    say(
        f"time: measured just now on the first {min(rounds, _MEASURED):,} rounds of each policy, compilation"
        " included; nothing was written"
    )


def _measure(loaded: Stream, ask: Ask, rounds: int) -> dict[str, tuple[float, float]]:
    """Return, for each policy, the seconds before its speed is steady and the rounds a second after."""
    from bandits.experiment import ask as runs
    from bandits.experiment.play import finish

    first = runs.names(ask)[0]
    short = ask._replace(rounds=rounds, preference=_first(first, "preference", ask.preference))
    seen: dict[str, list[tuple[float, int]]] = {}
    before = time.perf_counter()
    starts: dict[str, float] = {}
    with progress(len(ask.policies) * ask.seeds * rounds) as told:

        def noted(spec: str, done: int) -> None:
            nonlocal before
            starts.setdefault(spec, before)
            before = time.perf_counter()
            seen.setdefault(spec, []).append((before, done))
            if told is not None:
                told(spec, done)

        next(finish(loaded, short, noted))
    return {spec: _speed(starts[spec], events) for spec, events in seen.items()}


def _speed(begun: float, events: list[tuple[float, int]]) -> tuple[float, float]:
    if len(events) == 1:
        return 0.0, events[0][1] / max(events[0][0] - begun, 1e-9)
    (early, few), (late, many) = events[-2:]
    rate = (many - few) / max(late - early, 1e-9)
    return max(0.0, events[0][0] - begun - events[0][1] / rate), rate


def _first(name: str, key: str, default: str) -> str:
    """Return the first of a list of preferences, as the name of its run has it."""
    found = dict(part.split("=", 1) for part in name.split(",") if "=" in part)
    return found.get(key, default)


def _told(seconds: float) -> str:
    return (
        f"{seconds:.1f} s"
        if seconds < 90
        else f"{seconds / 60:.1f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )

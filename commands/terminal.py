"""What a command says, and where: results on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click


@contextmanager
def progress(total: int) -> Iterator[Callable[[str, int], None] | None]:
    """Show rounds done on stderr, only where somebody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    done: dict[str, int] = {}
    with click.progressbar(length=total, label="rounds", file=sys.stderr, show_pos=True) as bar:

        def told(policy: str, rounds: int) -> None:
            bar.label = policy
            bar.update(rounds - done.get(policy, 0))
            done[policy] = rounds

        yield told


def say(*lines: str) -> None:
    """Print lines on stderr."""
    for line in lines:
        click.echo(line, err=True)


def show(rows: Any, form: str) -> None:
    """Print rows on stdout in the form asked for."""
    from bandits.runs import tables

    click.echo(tables.render(rows, form))


def wrote(path: dict[str, str], form: str) -> None:
    """Say where something was written: a line for people, rows for programs."""
    if form == "table":
        click.echo("".join(f"{what}: {where}" for what, where in path.items()))
    else:
        show([path], form)

"""What a command says, and where: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from typing import TextIO

    import pandas as pd

_WORD, _LINE = 200, 1200  # characters of a name and of a line that are echoed


class Stopped(Exception):
    """Ctrl-C during a run; the text says what was kept and how to go on."""


def tell(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Note that `--quiet` or `--verbose` was given."""
    if value:
        ctx.meta[f"routebandit.{parameter.name}"] = True


def _asked(name: str) -> bool:
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(f"routebandit.{name}"))


def coloured(stream: TextIO | None) -> bool:
    """Return whether colours are welcome: on a terminal, unless NO_COLOR is set (no-color.org) or TERM is dumb."""
    return (
        stream is not None
        and bool(stream.isatty())
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


@contextmanager
def progress(total: int) -> Iterator[Callable[[str, int], None] | None]:
    """Show rounds done, rounds a second and time left on stderr, only on a terminal and without --quiet."""
    if sys.stderr is None or not sys.stderr.isatty() or _asked("quiet"):
        yield None
        return
    done: dict[str, int] = {}
    bar: Any
    begun = time.perf_counter()
    with click.progressbar(
        length=max(total, 1),
        label="rounds",
        file=sys.stderr,
        show_eta=True,
        show_percent=True,
        item_show_func=lambda rate: "" if rate is None else f"{rate:,.0f} rounds/s",
        color=coloured(sys.stderr),
    ) as bar:

        def told(policy: str, rounds: int) -> None:
            before = done.get(policy, 0)
            bar.label, done[policy] = policy, rounds
            # The same policy begins again with the next preference or budget.
            more = rounds - before if rounds >= before else rounds
            bar.update(more, (bar.pos + more) / (time.perf_counter() - begun))

        yield told


def doing(what: str) -> None:
    """Say on a terminal what is under way, over what was said before; "" ends it. Silent where `progress` is."""
    if sys.stderr is not None and sys.stderr.isatty() and not _asked("quiet"):
        sys.stderr.write(f"\r\x1b[K{what}")
        sys.stderr.flush()


def one_line(message: str) -> str:
    """Return a message as one line that a terminal shows as it is: long names shortened, control characters escaped."""
    shown = "".join(c if c.isprintable() else " " if c.isspace() else repr(c)[1:-1] for c in message)
    words = (w if len(w) <= _WORD else f"{w[: _WORD // 2]}...{w[-_WORD // 4 :]}" for w in shown.split())
    line = " ".join(words)
    return line if len(line) <= _LINE else f"{line[: _LINE * 3 // 4]} ... {line[-_LINE // 8 :]}"


def say(*lines: str) -> None:
    """Print lines on stderr, unless quiet."""
    if not _asked("quiet"):
        for line in lines:
            click.echo(line, err=True)


def detail(*lines: str) -> None:
    """Print lines on stderr where asked for by `--verbose`."""
    if _asked("verbose"):
        say(*lines)


def told(text: str, *, indent: str = "") -> None:
    """Print a sentence on stdout, wrapped to the columns of a plain terminal; only longer names are broken."""
    from bandits.rows import WIDTH

    kept = text.replace(" %", "\0%")  # a number and its per cent stay on one line
    lines = textwrap.wrap(kept, WIDTH, break_on_hyphens=False, subsequent_indent=indent)
    click.echo("\n".join(lines).replace("\0", " "))


def remark(text: str, form: str, *, indent: str = "") -> None:
    """Print a sentence beside a table: wrapped for a terminal, a comment in LaTeX, a paragraph in Markdown."""
    from bandits import rows as tables

    if form == "table":
        told(text, indent=indent)
    else:
        click.echo(tables.remark(text, form) + "\n" * (form == "markdown"))


def show(rows: pd.DataFrame | Sequence[Mapping[str, Any]], form: str) -> None:
    """Print rows on stdout in the form asked for."""
    from bandits import rows as tables

    text = tables.render(rows, form)
    if form == "table" and coloured(sys.stdout):
        heading, _, rest = text.partition("\n")
        text = f"{click.style(heading, bold=True)}\n{rest}"
    click.echo(text)


def fitted(rows: Sequence[Mapping[str, Any]], form: str) -> None:
    """Print rows; a table too wide for a plain terminal has fewer digits, and names with their middle left out."""
    from bandits import rows as tables
    from bandits.report import brief

    if form == "table" and max(map(len, tables.render(rows, form).splitlines())) > tables.WIDTH:
        click.echo(tables.laid(*brief.figures(rows), form))
    else:
        show(rows, form)


def wrote(path: dict[str, str], form: str) -> None:
    """Say where something was written: a line for people, rows for programs; beside a paper's table, on stderr."""
    if form in ("markdown", "latex"):
        say(*(f"{what}: {where}" for what, where in path.items()))
    elif form == "table":
        for what, where in path.items():
            shown = click.style(where, fg="green") if coloured(sys.stdout) else where
            click.echo(f"{what}: {shown}")
    else:
        show([path], form)

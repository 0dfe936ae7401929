"""The command that repeats a run: every option that is not at its default, wherever it was set, quoted for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

import click
from click.core import ParameterSource

_ASIDE = ("dry_run", "wide")  # change nothing that a run leaves


def spoken(ctx: click.Context) -> str:
    """Return the command line of a context, options from a `--config` file written out."""
    words = ["simulate.py", *([ctx.info_name] if ctx.parent is not None and ctx.info_name else [])]
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name in _ASIDE or name not in ctx.params or not given(ctx, name):
            continue
        words += _words(_long(parameter), ctx.params[name], isinstance(parameter, click.Option))
    return shlex.join(words)


def _long(parameter: click.Parameter) -> str:
    return next((name for name in parameter.opts if name.startswith("--")), parameter.opts[0])


def given(ctx: click.Context, name: str) -> bool:
    """Return whether somebody set an option: on the command line, in a file or in the environment."""
    return ctx.get_parameter_source(name) not in (None, ParameterSource.DEFAULT)


def refuse(ctx: click.Context, names: Iterable[str], why: str) -> None:
    """Raise click.UsageError for the first of these options that is set and that would change nothing here."""
    for parameter in ctx.command.params:
        if parameter.name in set(names) and given(ctx, parameter.name):
            raise click.UsageError(f"{_long(parameter)} {why}")


def _words(option: str, value: Any, named: bool) -> list[str]:
    if value is None or value is False:
        return []
    if isinstance(value, (list, tuple)):
        return [word for each in value for word in _words(option, each, named)]
    if value is True:
        return [option]
    return [option, str(value)] if named else [str(value)]

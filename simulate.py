#!/usr/bin/env python3
"""The command line: replay an outcome matrix through routing policies."""

# Heavy imports stand inside the commands: `-h` answers in a tenth of a second without jax, pandas, plotly, numba.
from __future__ import annotations

import os
import signal
import sys
from typing import Any

import click

from commands.command_line import given
from commands.finished import diff, export, report
from commands.help import Group
from commands.mmrbench import mmrbench
from commands.options import SETTINGS, replayed, voice, world
from commands.run import Stopped, run
from commands.scenarios import scenarios
from commands.streams import make_stream
from commands.sweep import best, sweep
from commands.tables import get, inspect_table, list_names
from commands.terminal import coloured

EXAMPLES = """\b
Examples:
  simulate.py --policy linucb --stream vqa
  simulate.py --policy linucb,alpha=1 --policy thompson --policy uniform --data my_outcomes.csv
  simulate.py --policy mine.py:my_policy --reward mine.py:my_reward --stream ocr
  simulate.py --policy preference --preference 0,0.2,1 --budget 30% --pacing lp --plots svg
  simulate.py --config run.toml --seeds 5 --dry-run

\b
Completion of commands and options, for bash (zsh and fish likewise, with their names):
  eval "$(_SIMULATE_COMPLETE=bash_source simulate)"
"""


@click.group(cls=Group, invoke_without_command=True, context_settings=SETTINGS, epilog=EXAMPLES)
@replayed
@world
@voice
@click.version_option(package_name="routebandit", prog_name="simulate")
@click.pass_context
def cli(ctx: click.Context, /, **options: Any) -> None:
    """Replay a table of multimodal-LLM outcomes (query x model: utility, cost) through routing policies.

    A policy sees a query, calls one model, and hears only that model's outcome. The run ends in a summary on
    stdout and DIR/{summary.csv, curves.csv, trace.parquet, manifest.json, report.html}.
    """
    if ctx.invoked_subcommand is None:
        run(ctx, **options)
        return
    stray = [p for p in ctx.command.params if p.name in options and given(ctx, p.name)]
    if stray:
        raise click.UsageError(
            f"{stray[0].opts[0]} belongs to a run; options of {ctx.invoked_subcommand} come after its name"
        )


_COMMANDS = (
    inspect_table, mmrbench, get, list_names, report, diff, export, scenarios, sweep, best, make_stream,
)  # fmt: skip
for _command in _COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Run the command; a user's mistake ends in one line on stderr and exit code 2, never in a traceback."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = cli.main(
            prog_name=None if sys.argv[0].endswith(".py") else "simulate",
            complete_var="_SIMULATE_COMPLETE",
            standalone_mode=False,
        )
    except (click.ClickException, ValueError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        _fail(" ".join(message.split()), 2)
    except Stopped as stopped:
        _fail(str(stopped), 130)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped; nothing was written", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "), 2)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _terminated(number: int, frame: Any) -> None:
    """Take SIGTERM as Ctrl-C: what had finished is kept."""
    raise KeyboardInterrupt


def _fail(message: str, code: int) -> None:
    name = click.style("simulate:", fg="red", bold=True) if coloured(sys.stderr) else "simulate:"
    click.echo(f"{name} {message}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()

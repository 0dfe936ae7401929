#!/usr/bin/env python3
"""The command line: replay an outcome matrix through routing policies."""

# Heavy imports stand inside the commands: `-h` answers in a tenth of a second without jax, pandas, plotly, numba.
from __future__ import annotations

import _thread
import atexit
import gc
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

import click

from commands.cascade import cascade
from commands.command_line import given
from commands.decide import decide
from commands.documents import make_documents
from commands.finished import diff, export, report
from commands.graphs import graphs
from commands.help import Group
from commands.look import look
from commands.merge import merge
from commands.mmrbench import mmrbench
from commands.modality import modality
from commands.off_policy import evaluate, make_log, try_estimators
from commands.options import SETTINGS, replayed, voice, world
from commands.run import run
from commands.scenarios import scenarios
from commands.scores import score
from commands.sets import sets
from commands.streams import make_stream
from commands.sweep import best, sweep
from commands.tables import get, inspect_table, list_names
from commands.terminal import Stopped, coloured, one_line
from commands.transfer import transfer

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
    decide, inspect_table, mmrbench, get, list_names, report, diff, export, scenarios, sweep, best, make_stream,
    make_documents, make_log, evaluate, try_estimators, score, cascade, look, sets, graphs, merge, modality, transfer,
)  # fmt: skip
for _command in _COMMANDS:
    cli.add_command(_command)


def answer(arguments: Sequence[str] | None = None) -> tuple[int, str]:
    """Run a command; return its exit code and what went wrong in one line, or "".

    Args:
        arguments: what follows the program's name; None: those of this process.
    """
    try:
        code = cli.main(
            None if arguments is None else list(arguments),
            prog_name=None if sys.argv[0].endswith(".py") else "simulate",
            complete_var="_SIMULATE_COMPLETE",
            standalone_mode=False,
        )
        if sys.stdout is not None:
            sys.stdout.flush()  # what cannot be written is found out here, not after the exit code is settled
    except click.ClickException as error:
        return 2, one_line(error.format_message())
    except Stopped as stopped:
        return 130, one_line(str(stopped))
    except (click.Abort, KeyboardInterrupt):
        return 130, "stopped; nothing was written"
    except SystemExit as error:  # click's, when the reader of stdout went away; else from a user's own file
        if type(sys.stdout).__name__.endswith("PacifyFlushWrapper"):  # what click leaves behind then
            return 1, ""
        if "_SIMULATE_COMPLETE" in os.environ:  # a shell asks for completions, which click ends so
            return (error.code if isinstance(error.code, int) else 1), ""
        return 2, one_line(
            f"a file that an option names called sys.exit({error.code!r}) instead of returning"
        )
    except BrokenPipeError:
        return 1, ""
    except OSError as error:
        return 2, one_line(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))
    except (ValueError, MemoryError, RecursionError, RuntimeError) as error:
        return 2, one_line(_why(error))
    return (code if isinstance(code, int) else 0), ""


def _why(error: Exception) -> str:
    """Return a failed command's message.

    Raises:
        Exception: the error itself, where it is a fault of ours: its traceback is needed.
    """
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return f"what the options ask for needs more memory than is free: {error or type(error).__name__}"
    if isinstance(error, RecursionError):
        return "a spec or a file that an option names is nested too deep"
    raise error


def main() -> None:
    """Run the command; a user's mistake ends in one line on stderr and exit code 2, never in a traceback."""
    signal.signal(signal.SIGTERM, _terminated)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nohup's is left
        signal.signal(signal.SIGINT, _terminated)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:
        _fail("stdout needs to be open, got a closed one; >/dev/null throws results away", 2)
    with warnings.catch_warnings(record=True) as warned:
        code, message = answer()
    if code == 1 and not message:
        _swallowed()
    if message:
        _fail(message, code)
    for one in {str(one.message): one for one in warned}.values():
        click.echo(f"warning: {one_line(str(one.message))}", err=True)
    sys.exit(code)


def _swallowed() -> None:
    """Send what is still to be written nowhere, where the reader has gone away."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _terminated(number: int, frame: Any) -> None:
    """Take SIGTERM as Ctrl-C: what had finished is kept. `commands.stopping` knows both by this line."""
    raise KeyboardInterrupt


def _raised_again(lost: sys.UnraisableHookArgs) -> None:
    """Raise Ctrl-C again, a little later, where Python could not pass it on: in a callback of the collector, say."""
    if lost.exc_type is KeyboardInterrupt:
        threading.Timer(0.01, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(lost)


def _fail(message: str, code: int) -> None:
    name = click.style("simulate:", fg="red", bold=True) if coloured(sys.stderr) else "simulate:"
    click.echo(f"{name} {message}", err=True)
    try:
        sys.stdout.flush()
    except (OSError, AttributeError):  # a full disk behind stdout, or none: the line above has said so
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)


def script() -> NoReturn:
    """Run `main` as a process of its own, without the half second in which Python looks for garbage and clears up."""
    sys.unraisablehook = _raised_again
    gc.set_threshold(200_000, 30, 30)  # imports alone make a hundred thousand objects, none of them garbage
    code: Any = 0
    try:
        main()
    except SystemExit as done:
        code = done.code
    if sys.gettrace() or sys.getprofile():  # whose report comes after this
        sys.exit(code)
    # What Python does first at its end; then all that is left is memory, which the system takes back faster.
    getattr(threading, "_shutdown", lambda: None)()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    script()

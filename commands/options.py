"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

FORMATS = click.Choice(["table", "csv", "json"])
F = TypeVar("F", bound=Callable[..., Any])
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def world(function: F) -> F:
    """Add the options that say which table is replayed and what a policy sees of it."""
    for option in reversed(
        [
            click.option(
                "--data", metavar="FILE", help="A table of outcomes instead of the calibrated twin."
            ),
            click.option("--prices", metavar="FILE", help="Prices that turn tokens or calls into cost."),
            click.option("--models", metavar="A,B,...", help="Keep these models only."),
            click.option("--modality", default="both", show_default=True, help="text, image or both."),
            click.option("--fusion", default="concat", show_default=True, help="concat, mean or adaptive."),
            click.option("--dim", default=32, show_default=True, help="Principal components in the context."),
            click.option(
                "--embed", metavar="MODEL", help="Embed questions and images by this encoder first."
            ),
            click.option("--whiten", is_flag=True, help="Give every component the same variance."),
        ]
    ):
        function = option(function)
    return function


def replayed(function: F) -> F:
    """Add the options of a run: who plays, on which stream, for what reward, within which limits, in which world."""
    for option in reversed(
        [
            click.option(
                "--policy",
                "policies",
                multiple=True,
                metavar="SPEC",
                help="name,key=value or file.py:name; repeatable.",
            ),
            click.option(
                "--stream",
                default="all",
                show_default=True,
                help="all, ocr, vqa, math, a dataset, or a path.",
            ),
            click.option(
                "--reward",
                default="linear",
                show_default=True,
                metavar="SPEC",
                help="name,key=value or file.py:name.",
            ),
            click.option(
                "--preference",
                default="0.2",
                show_default=True,
                help="Weight on cost: number, list, uniform(0,2).",
            ),
            click.option(
                "--budget",
                multiple=True,
                metavar="B",
                help="12.5, 30%, 0.0005/query, cost=..,latency=..; repeatable.",
            ),
            click.option(
                "--pacing",
                default="stop",
                show_default=True,
                metavar="SPEC",
                help="How a budget is spent; see list.",
            ),
            click.option("--hard", is_flag=True, help="Never exceed the budget: mask what could."),
            click.option("--cap", type=float, help="No call that costs more, by posted or predicted cost."),
            click.option(
                "--warm-start",
                "--train-share",
                "warm_start",
                metavar="B",
                help="Rows set aside as a log: 10% or 500.",
            ),
            click.option("--n-eff", type=float, help="Observations of each arm that the log counts for."),
            click.option("--scenario", metavar="NAME", help="A ready-made world that changes; see list."),
            click.option(
                "--change",
                multiple=True,
                metavar="SPEC",
                help="What changes while the run goes on; see list; repeatable.",
            ),
            click.option(
                "--delay",
                metavar="SPEC",
                help="Rounds until an outcome is heard, or a law of delays; see list.",
            ),
            click.option("--batch", type=int, help="Rounds between updates."),
            click.option("--feedback", default="bandit", show_default=True, help="bandit, full or dueling."),
            click.option(
                "--seeds", default=20, show_default=True, help="Runs, each with its own order of the queries."
            ),
            click.option(
                "--seed", default=0, show_default=True, help="Fixes the orders and the policies' randomness."
            ),
            click.option("--order", default="shuffle", show_default=True, help="shuffle, given or dataset."),
            click.option("--rounds", type=int, help="Repeat or cut the stream to this many rounds."),
            click.option("--out", metavar="DIR", help="Where the files go.  [default: runs/<stream>]"),
            click.option(
                "--format",
                "form",
                type=FORMATS,
                default="table",
                show_default=True,
                help="Of the summary on stdout.",
            ),
        ]
    ):
        function = option(function)
    return function

"""Options that several commands share, by topic."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, TypeVar

import click

from commands.config import read_config
from commands.help import OTHER, option
from commands.numbers import FINITE, SEED, WHOLE
from commands.terminal import tell

FORMATS = click.Choice(["table", "csv", "json", "markdown", "latex"])
F = TypeVar("F", bound=Callable[..., Any])
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

TABLE = "Which table, and what a policy sees of it"
WHAT = "Policies, stream, reward"
LIMITS = "Budgets and a log to start from"
CHANGES = "A world that changes"
SEVERAL = "Several calls a query"
SIZE = "How much is run"
RESULT = "What comes out"


def _all(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Return one decorator that adds all options, the first one first in the help."""

    def add(function: F) -> F:
        return reduce(lambda found, one: one(found), reversed(options), function)

    return add


def _several(ctx: click.Context, _: click.Parameter, given: tuple[str, ...]) -> str | list[str] | None:
    """Return the one table that is given, a list where there are several, None where there is none."""
    return (list(given) if len(given) > 1 else given[0]) if given else None


data = option(
    "--data", topic=TABLE, metavar="FILE", multiple=True, callback=_several,
    help="A table of outcomes instead of the calibrated twin: a file or folder; repeatable, joined by query.",
)  # fmt: skip
_scores = (
    option("--scale", topic=TABLE, metavar="LOW,HIGH", help="The range of scores, mapped to 0 to 1: 1,10."),
    option("--clip", topic=TABLE, is_flag=True, help="Cut off scores outside the range."),
    option("--metric", topic=TABLE, metavar="NAME", help="Which score, where a file has several: acc."),
    option("--drop-empty", topic=TABLE, is_flag=True, help="Leave out queries without any outcome."),
    option("--keep-copies", topic=TABLE, is_flag=True, help="Copies of a question may straddle a split."),
)
SCORED = ("scale", "clip", "metric", "drop_empty", "keep_copies")  # what `scored` gives
scored = _all(*_scores)

world = _all(
    data,
    option("--prices", topic=TABLE, metavar="FILE", help="Prices that turn tokens or calls into cost."),
    option("--prices-per", "per", topic=TABLE, metavar="token|1k|1M", help="What a price is for, where its column"
           " does not say."),
    option("--unit", topic=TABLE, metavar="USD", help="Currency of costs, where their columns name none."),
    *_scores,
    option("--missing", topic=TABLE, default="unavailable", show_default=True,
           help="An empty outcome: unavailable, or wrong (0, at its cost)."),
    option("--models", topic=TABLE, metavar="A,B,...", help="Keep these models only."),
    option("--modality", topic=TABLE, default="both", show_default=True, help="text, image or both."),
    option("--fusion", topic=TABLE, default="concat", show_default=True, help="concat, mean or adaptive."),
    option(
        "--dim",
        topic=TABLE,
        type=WHOLE,
        default=32,
        show_default=True,
        help="Principal components in the context.",
    ),
    option("--context", topic=TABLE, default="embeddings", show_default=True,
           help="embeddings, +dataset (an indicator of each data set beside them) or dataset."),
    option("--embed", topic=TABLE, metavar="MODEL", help="Embed questions and images by this encoder."),
    option("--whiten", topic=TABLE, is_flag=True, help="Give every component the same variance."),
)  # fmt: skip

_format: dict[str, Any] = {
    "topic": OTHER, "default": "table", "show_default": True, "help": "Of what is on stdout.",
}  # fmt: skip
_speaking = (
    option("-q", "--quiet", topic=OTHER, is_flag=True, expose_value=False, callback=tell,
           help="Print errors only on stderr."),
    option("-v", "--verbose", topic=OTHER, is_flag=True, expose_value=False, callback=tell,
           help="Print more on stderr: sizes, seconds, rounds a second."),
    option("--config", topic=OTHER, metavar="FILE", is_eager=True, expose_value=False, callback=read_config,
           help="TOML with these options by name; what is typed wins."),
)  # fmt: skip
voice = _all(option("--format", "form", type=FORMATS, **_format), *_speaking)

replayed = _all(
    option("--policy", "policies", topic=WHAT, multiple=True, metavar="SPEC",
           help="name,key=value or file.py:name; repeatable; see list."),
    option("--stream", topic=WHAT, default="all", show_default=True, help="all, ocr, vqa, math, a dataset, a path."),
    option("--reward", topic=WHAT, default="linear", show_default=True, metavar="SPEC",
           help="name,key=value or file.py:name."),
    option("--preference", topic=WHAT, default="0.2", show_default=True,
           help="Weight on cost: number, list, uniform(0,2)."),
    option("--budget", topic=LIMITS, multiple=True, metavar="B",
           help="12.5, 30%, 0.0005/query, cost=..,latency=..; repeatable."),
    option("--pacing", topic=LIMITS, default="stop", show_default=True, metavar="SPEC",
           help="How a budget is spent; see list."),
    option("--hard", topic=LIMITS, is_flag=True, help="Never exceed the budget: mask what could."),
    option("--cap", topic=LIMITS, type=FINITE, help="No call that costs more, by posted or predicted cost."),
    option("--warm-start", "--train-share", "warm_start", topic=LIMITS, metavar="B",
           help="A log: 10% or 500 rows set aside, a table, or a log of calls."),
    option("--n-eff", topic=LIMITS, type=FINITE, help="Observations of each arm that the log counts for."),
    option("--fit", topic=LIMITS, default="all", show_default=True,
           help="Context and scales by all rows, or by the log alone: warm."),
    option("--scenario", topic=CHANGES, metavar="NAME", help="A ready-made world that changes; see list."),
    option("--change", topic=CHANGES, multiple=True, metavar="SPEC",
           help="What changes while the run goes on; see list; repeatable."),
    option("--delay", topic=CHANGES, metavar="SPEC", help="Rounds until an outcome is heard, or a law; see list."),
    option("--batch", topic=CHANGES, type=WHOLE, help="Rounds between updates."),
    option("--feedback", topic=CHANGES, default="bandit", show_default=True, help="bandit, full or dueling."),
    option("--calls", topic=SEVERAL, type=WHOLE, default=1, show_default=True,
           help="Calls a query at most; see docs/cascades.md."),
    option("--deliver", topic=SEVERAL, default="last", show_default=True, metavar="SPEC",
           help="Which answer: last, best_heard, vote or file.py:name."),
    option("--judge", topic=SEVERAL, metavar="SPEC", help="A simulated judge: auc=0.8, auc=A/B/.. a model, noise=0.2."),
    option("--judge-column", topic=SEVERAL, metavar="NAME", help="<model>_NAME is what is heard.  [default: conf]"),
    option("--judge-cost", topic=SEVERAL, type=FINITE, help="Of judging an answer, in the table's unit."),
    option("--within-query", topic=SEVERAL, metavar="R", help="What one query may use: cost=..,tokens=..,latency=.."),
    option("--parallel", topic=SEVERAL, is_flag=True,
           help="Make the calls of a query together, unheard: its latency is the slowest's."),
    option("--abstain", topic=SEVERAL, type=FINITE, metavar="SCORE",
           help="Withhold answers that the judge scores lower: risk and coverage."),
    option("--seeds", topic=SIZE, type=WHOLE, default=20, show_default=True,
           help="Runs, each with its own order of the queries."),
    option("--seed", topic=SIZE, type=SEED, default=0, show_default=True,
           help="Fixes the orders and the policies' randomness."),
    option("--order", topic=SIZE, default="shuffle", show_default=True, help="shuffle, given or dataset."),
    option("--rounds", topic=SIZE, type=WHOLE, help="Repeat or cut the stream to this many rounds."),
    option("--checkpoint", topic=SIZE, type=WHOLE, metavar="N",
           help="Stream the table; save every N chunks of rounds."),
    option("--resume", topic=SIZE, is_flag=True, help="Go on where a streamed run was stopped."),
    option("--dry-run", topic=SIZE, is_flag=True, help="What would run, its size, about how long; write nothing."),
    option("--out", topic=RESULT, metavar="DIR", help="Where the files go.  [default: runs/<stream>]"),
    option("--wide", topic=RESULT, is_flag=True, help="On stdout, every figure of the summary instead of 80 columns."),
    option("--plots", topic=RESULT, metavar="pdf,svg", help="Figures for a paper too, in DIR/plots: png, svg, pdf."),
    option("--plot-width", topic=RESULT, default="7", show_default=True, metavar="IN,...",
           help="Their widths in inches: 3.35 for one column, 7 for two, or both."),
    option("--track", topic=RESULT, type=click.Choice(["mlflow"]),
           help="Hand each policy's summary and the files to MLflow, where it is installed."),
    option("--label", "labels", topic=RESULT, multiple=True, metavar="SPEC=NAME",
           help="What a policy is called in tables and figures; repeatable."),
)  # fmt: skip

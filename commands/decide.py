"""The command decide: from a table to what to call, at what accuracy and cost."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands import compiling
from commands.command_line import spoken
from commands.help import Topical, option
from commands.memory import fits
from commands.numbers import FINITE, SEED, WHOLE
from commands.options import SETTINGS, voice, world
from commands.prepare import CONTEXT, load, prepare_jax, reading, soon
from commands.terminal import progress, remark, say, show, wrote

if TYPE_CHECKING:
    from bandits.decision.record import Asked
    from bandits.money import Money
    from envs.stream import Stream

MISSED = 3  # exit code: what was required is not met
_ASKED, _SIZE = "What is asked", "How much is run"


@click.command(cls=Topical, context_settings=SETTINGS)
@click.argument("file", metavar="[FILE]", required=False)
@option("--stream", default="all", show_default=True, help="all, ocr, vqa, math, a dataset of the table.")
@world
@option(
    "--worth",
    topic=_ASKED,
    type=FINITE,
    metavar="W",
    help="What a right answer is worth, in the table's money: worth x accuracy - cost is what counts.",
)
@option("--queries-per-month", "month", topic=_ASKED, type=FINITE, metavar="N", help="For the cost a month.")
@option(
    "--min-accuracy", topic=_ASKED, type=FINITE, metavar="A", help="Only choices with at least this accuracy."
)
@option(
    "--max-cost", topic=_ASKED, type=FINITE, metavar="C", help="Only choices that cost at most this a query."
)
@option(
    "--max-latency",
    topic=_ASKED,
    type=FINITE,
    metavar="S",
    help="Only choices that take at most this on average.",
)
@option(
    "--require",
    topic=_ASKED,
    metavar="LIMITS",
    help='Exit code 3 where an interval misses: "accuracy>=0.9, cost<=0.002".',
)
@option(
    "--seeds", topic=_SIZE, type=WHOLE, help="Orders of the queries.  [default: 20, fewer on large tables]"
)
@option(
    "--seed", topic=_SIZE, type=SEED, default=0, show_default=True, help="Fixes everything that is drawn."
)
@option("--rounds", topic=_SIZE, type=WHOLE, help="So many queries of the table, each seed draws its own.")
@option("--out", metavar="DIR", help="Write decision.html, decision.json and the run that can be exported.")
@option("--wide", is_flag=True, help="Every choice and figure.")
@voice
@click.pass_context
def decide(ctx: click.Context, /, file: str | None, stream: str, form: str, **options: Any) -> int:
    """Say what to call: one model always, or a policy that is shown to be better, and what it costs.

    FILE is a table of outcomes; without it, the calibrated twin. Policies that are good without settings are played
    beside every single model; see docs/decide.md.
    """
    begun, asked = time.perf_counter(), _asked(options)
    if file is not None and options["data"] is not None:
        raise click.UsageError("decide needs FILE or --data, not both")
    data = options["data"] or file
    table = load({**options, "data": data, "stream": stream})
    prepare_jax()
    from bandits.decision import cascades, choices, gate, record, words
    from bandits.decision.decide import decide as decided
    from bandits.decision.play import LINEUP, affordable_seeds, play, sweep
    from bandits.experiment.ask import Ask
    from bandits.folders.place import check_folder
    from bandits.money import money

    unit = money(table.outcomes.cost_unit)
    asked = _in_table(asked, unit, table)
    folder = None if options["out"] is None else check_folder(options["out"])
    worths = sweep(table, asked.worth)
    seeds, rounds = options["seeds"], options["rounds"]
    seeds = affordable_seeds(table, len(worths), rounds) if seeds is None else seeds
    sizes = {"seeds": seeds, "seed": options["seed"], "rounds": rounds}
    fits(table, Ask(LINEUP, preference=",".join(worths), seeds=seeds, rounds=rounds))
    soon("sklearn.linear_model", "sklearn.neighbors")
    with compiling.told(), progress(len(worths) * seeds * (rounds or len(table)) * len(LINEUP)) as counted:
        made = play(table, asked.worth, progress=counted, **sizes)
    got = choices.measured(table, [(run.preference, run.traces) for run in made.runs])
    best = decided(got, made.worths, given=asked.worth, limits=asked.limits)
    found = record.record(table, made, best, asked, unit)
    worth_of = list(made.worths.values())
    found["cascades"] = cascades.of_table(table, data, worth_of, limits=asked.limits, seed=options["seed"])
    _print(found, words.Words(found), form, options["wide"])
    if folder is not None:
        known = {
            "command": spoken(ctx),
            "title": f"What to call on {table.name}",
            **_loaded(data, table, options),
        }
        known["load"] = {"name": stream, "data": data, **known["load"]}
        known["seconds"] = round(time.perf_counter() - begun, 3)
        _write(folder, options["out"], found, made, known, form)
    say(*table.notes, f"numbers are from: {table.outcomes.label}")
    return MISSED if found["gate"] and not gate.passed(found) else 0


def _loaded(data: Any, table: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return how the table was read, as a run's manifest has it."""
    return {
        "context": {k: options[k] for k in CONTEXT},
        "data": ", ".join(data) if isinstance(data, list) else data or table.name,
        "load": {
            "prices": options["prices"],
            "models": options["models"],
            "embed": options["embed"],
            **reading(options),
        },
    }


def _write(folder: Path, out: str, found: Any, made: Any, known: dict[str, Any], form: str) -> None:
    """Write the folder of a decision; say where it is and how the policy is exported."""
    from bandits import rows as tables
    from bandits.publish import decided

    exported = decided.publish(folder, found, made, known)
    if form in ("csv", "json"):
        return
    click.echo()
    wrote({"page": f"{out}/{decided.PAGE}", "figures": f"{out}/{decided.RECORD}"}, form)
    if exported["why"]:
        remark(exported["why"], form)
    if exported["export"]:
        click.echo(tables.remark(f"for bandits.load: {exported['export']}", form))


def _print(found: dict[str, Any], speech: Any, form: str, wide: bool) -> None:
    """Print the verdict and the choices; in other forms than a table, the record itself."""
    from bandits import rows as tables

    if form == "json":
        click.echo(json.dumps(tables.plain(found), indent=2))
        return
    flat = [{k: v for k, v in row.items() if k != "calls"} for row in (*found["choices"], *speech.cascades)]
    if form == "csv":
        show(flat, form)
        return
    remark(speech.verdict(), form)
    for line in speech.by_worth():
        remark(f"  {line}", form, indent="    ")
    click.echo()
    if wide:
        show(flat, form)
    else:
        headings, lines = speech.table()
        click.echo(tables.laid(headings, lines, form))
        click.echo("\n" * (form == "markdown"), nl=False)
        for line in speech.legend():
            remark(line, form)
    click.echo()
    for line in (*speech.carried(), *speech.gate()):
        remark(f"- {line}", form, indent="  ")


def _asked(options: dict[str, Any]) -> Any:
    """Return what was asked for, checked, amounts still in the currency."""
    from bandits.decision.limits import limit, parse
    from bandits.decision.record import Asked

    for name, text in (("worth", "--worth"), ("month", "--queries-per-month")):
        if options[name] is not None and not options[name] > 0:
            raise click.UsageError(f"{text} needs a number > 0, got {options[name]:g}")
    limits = [
        limit(measure, options[name], f"--{name.replace('_', '-')}")
        for name, measure in (("min_accuracy", "accuracy"), ("max_cost", "cost"), ("max_latency", "latency"))
        if options[name] is not None
    ]
    required = () if options["require"] is None else parse(options["require"])
    return Asked(options["worth"], options["month"], tuple(limits), required)


def _in_table(asked: Asked, unit: Money, table: Stream) -> Asked:
    """Return what was asked for in the table's unit of cost, refused where the table does not record it."""
    for one in (*asked.limits, *asked.required):
        if one.measure == "latency" and table.latency is None:
            raise click.UsageError(f"{one.text} needs a table that records latency, {table.name} does not")
        if one.measure == "cost" and not table.outcomes.priced:
            raise click.UsageError(f"{one.text} needs a table with costs, {table.name} has none")

    def scaled(limits: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            one._replace(value=one.value / unit.factor) if one.measure == "cost" else one for one in limits
        )

    worth = None if asked.worth is None else asked.worth / unit.factor
    if worth is not None and not math.isfinite(worth):
        raise click.UsageError(f"--worth needs a finite number, got {asked.worth:g}")
    return asked._replace(worth=worth, limits=scaled(asked.limits), required=scaled(asked.required))

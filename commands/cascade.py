"""The command cascade: is a verifier worth its call, or would a router at the same cost do better?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from commands.help import Topical, option
from commands.numbers import FINITE, SEED, WHOLE
from commands.options import SETTINGS, voice, world
from commands.prepare import load, prepare_jax
from commands.terminal import say, show, told

if TYPE_CHECKING:
    from pathlib import Path


_FEWEST, _MOST = 1.2, 0.9  # budgets lie between so many times the cheapest and the dearest model's mean cost
_LENGTH = 3  # models of a cascade at most, where nothing is said
_CHAINS = 3_000_000  # combinations of orders and thresholds that are searched without being asked twice


@click.command(cls=Topical, context_settings=SETTINGS)
@click.argument("file", metavar="[FILE]", required=False)
@option("--stream", default="all", show_default=True, help="all, ocr, vqa, math, a dataset of the table.")
@world
@option("--judge", metavar="SPEC", help="A simulated judge: auc=0.8, auc=A/B/.. a model, noise=0.2.")
@option("--judge-column", metavar="NAME", help="<model>_NAME is what is heard.  [default: conf]")
@option("--judge-cost", type=FINITE, help="Of judging an answer, in the table's unit.")
@option(
    "--train", metavar="SHARE", help="Rows to learn on: 30% or 500.  [default: the column split, else 30%]"
)
@option(
    "--budgets", type=WHOLE, default=10, show_default=True, help="How many, evenly on a logarithmic axis."
)
@option("--length", type=WHOLE, metavar="N", help="Models of a cascade at most.  [default: 3, or all of 2]")
@option("--break-even", metavar="A,B,..", help="AUCs of simulated judges: the one that a verifier needs.")
@option("--draw", metavar="FILE", help="With --break-even: a drawing, FILE.svg.")
@option(
    "--search",
    type=click.Choice(["grid", "frugal"]),
    default="grid",
    show_default=True,
    help="How chains are found: every quantile, or FrugalGPT's search (exactly --length models).",
)
@option("--seed", type=SEED, default=0, show_default=True, help="Of the rows and of what is simulated.")
@option(
    "--wide", is_flag=True, help="Every figure, and each cascade as a policy's spec, instead of 80 columns."
)
@voice
def cascade(file: str | None, stream: str, form: str, wide: bool, **options: Any) -> None:
    """Compare the best cascade with a router at equal cost, budget by budget.

    FILE is a wide table with <model>_conf, what a judge says of each answer; without it, or with --judge, the judge is
    simulated. Both are learned on one part of the queries and compared on the others; see docs/cascades.md.
    """
    if file is not None and options["data"] is not None:
        raise click.UsageError("cascade needs FILE or --data, not both")
    data = options["data"] or file
    for name in ("budgets", "length"):
        if options[name] is not None and options[name] < 1:
            raise click.UsageError(f"--{name} needs at least 1, got {options[name]}")
    place = _place(options["draw"], options["break_even"])
    table = load({**options, "data": data, "stream": stream})
    prepare_jax()
    judges = _judges(options)
    found = [_met(table, data, options, judge) for judge in judges]
    if options["break_even"] is None:
        _tell(found[0], form, wide)
    else:
        quality = [float(j.removeprefix("auc=")) for j in judges]
        rows = _tell_break_even(quality, found, form, wide)
        if place is not None:
            _draw(place, quality, rows, found[0]["unit"].per_1000, table.outcomes.label)
    said = found[0]["notes"] if options["break_even"] is None else found[0]["notes"][:-1]
    say(*said, *table.notes, f"numbers are from: {table.outcomes.label}")


def _judges(options: dict[str, Any]) -> list[Any]:
    """Return the simulated judges to try, [None] where the table's own is heard."""
    if options["break_even"] is None:
        return [options["judge"]]
    if options["judge"] is not None or options["judge_column"] is not None:
        raise click.UsageError(
            "--break-even simulates its judges; it goes without --judge and --judge-column"
        )
    from envs.judges import parse

    tried = sorted({part.strip() for part in options["break_even"].split(",")})
    for part in tried:
        if len(parse(f"auc={part}").auc) != 1:
            raise click.UsageError(f"--break-even needs AUCs such as 0.5,0.7,0.9, got {part!r}")
    return [f"auc={part}" for part in sorted(tried, key=float)]


def _met(table: Any, data: Any, options: dict[str, Any], judge: str | None) -> dict[str, Any]:
    """Return rows, judges' quality and notes of one judge on a table."""
    from bandits.contests import contest, words
    from bandits.contests.sides import sides
    from bandits.experiment import several
    from bandits.experiment.ask import Ask
    from bandits.experiment.sequences import paid
    from bandits.money import money
    from bandits.sequential import frugal
    from envs.tables.judged import read

    kept = {k: options[k] for k in ("judge_column", "judge_cost", "seed")}
    stream = several.judged(table, Ask((), calls=2, judge=judge, **kept), data)
    split = None if data is None else read(data, table.outcomes, column=options["judge_column"]).split
    if not table.outcomes.priced:
        raise ValueError("equal cost needs costs: the table has none; --prices FILE gives them")
    both, notes = sides(
        paid(stream),
        stream.several.scores,
        split,
        bare=stream.cost,
        share=options["train"],
        seed=options["seed"],
    )
    length = _length(options["length"], table.n_arms)
    cost = both.train.cost.mean(axis=0)
    _check_size(table.n_arms, length)
    budgets = _budgets(cost, options["budgets"])
    chains = None if options["search"] == "grid" else frugal.searches(both.train, budgets, length=length)
    met = contest.meet(both, budgets, length=length, chains=chains)
    unit = money(table.outcomes.cost_unit)
    return {
        "rows": words.rows(met, both, table.models, unit),
        "quality": several.quality(stream),
        "notes": [*notes, stream.notes[-1]],
        "queries": len(both.test.utility),
        "learned": len(both.train.utility),
        "unit": unit,
    }


def _budgets(cost: Any, count: int) -> list[float]:
    """Return the budgets, from the models' mean costs `(K,)`; a free model is left out of where they begin."""
    import numpy as np

    if not (cost > 0).any():
        raise ValueError("equal cost needs costs above 0: every model of the table is free")
    return [float(b) for b in np.geomspace(cost[cost > 0].min() * _FEWEST, cost.max() * _MOST, count)]


def _length(asked: int | None, models: int) -> int:
    """Return how many models a cascade may have, of a table of so many."""
    if asked is None:
        return min(_LENGTH, models)
    if asked > models:
        raise ValueError(f"--length needs 1 to {models}, as many as there are models, got {asked}")
    return asked


def _check_size(count: int, length: int) -> None:
    """Refuse a search that takes hours."""
    from math import perm

    if (size := perm(count, length) * 21 ** (length - 1)) > _CHAINS:
        raise ValueError(
            f"chains of {length} of {count} models are {size:,} to search, at most {_CHAINS:,} are; --length or"
            " --models makes them fewer"
        )


def _tell(found: dict[str, Any], form: str, wide: bool) -> None:
    from bandits import rows as tables
    from bandits.contests import words
    from bandits.report import brief

    rows = found["rows"]
    if form != "table":
        show(rows, form)
        return
    for line in words.verdict(rows, found["queries"], found["learned"], found["unit"]):
        told(line)
    click.echo()
    if wide:
        show(rows, form)
        click.echo("\njudges")
        show(found["quality"], form)
        return
    told(
        f"costs in {found['unit'].per_1000}; cascade and router: accuracy in %; difference: cascade less router at"
        " equal cost in points, 95 % interval; over chance: cascade less the same one going on at random, in points"
    )
    click.echo(tables.laid(*words.table(rows), form))
    click.echo()
    told(
        "the cascade of each budget, and the share of queries that stops at each of its models; as a spec: --wide"
    )
    for line in brief.chains(rows):
        told(f"  {line}", indent="    ")
    click.echo()
    told("judges: how well a score tells right answers from wrong ones (auroc; 0.5: not at all)")
    click.echo(tables.laid(*brief.figures(found["quality"]), form))


def _place(draw: str | None, break_even: str | None) -> Any:
    """Return where a drawing goes, None where none is wanted."""
    if draw is None:
        return None
    if break_even is None or not draw.endswith(".svg"):
        raise click.UsageError(f"--draw needs --break-even and a name that ends in .svg, got {draw!r}")
    from bandits.folders.place import check_file

    return check_file(draw, "--draw")


def _draw(place: Path, quality: list[float], rows: list[dict[str, Any]], unit: str, label: str) -> None:
    from bandits.report.break_even import drawing

    place.write_text(drawing(quality, rows, unit=unit, note=f"numbers are from: {label}"), encoding="utf-8")
    say(f"drawing: {place}")


def _tell_break_even(
    quality: list[float], found: list[dict[str, Any]], form: str, wide: bool
) -> list[dict[str, Any]]:
    from bandits import rows as tables
    from bandits.contests import words
    from bandits.report import brief

    rows = words.break_even(quality, [one["rows"] for one in found])
    if form != "table":
        show(rows, form)
        return rows
    told(words.of_break_even(rows))
    click.echo()
    told(
        f"costs in {found[0]['unit'].per_1000}; accuracy of the cascade less the router's at equal cost, in points, at"
        " each AUC of the judge, and the AUC from which on the cascade leads"
    )
    if wide:
        show(rows, form)
    else:
        click.echo(tables.laid(*brief.break_even(rows, quality), form))
    return rows

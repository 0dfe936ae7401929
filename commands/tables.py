"""Commands about tables and names: inspect, get, list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.help import Topical, option
from commands.options import SETTINGS, voice, world
from commands.prepare import load, prepare_jax
from commands.terminal import fitted, say, show, told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from envs.stream import Stream


@click.command("inspect", cls=Topical, context_settings=SETTINGS)
@click.argument("name", default="all")
@world
@option("--write", metavar="FILE", help="Write the table as wide Parquet or CSV.")
@option("--gain", is_flag=True, help="What any policy could gain on it, by learners told every outcome.")
@option("--fidelity", is_flag=True, help="Compare the twin with the published figures.")
@voice
def inspect_table(
    name: str, write: str | None, gain: bool, fidelity: bool, form: str, **options: Any
) -> None:
    """Describe a table: NAME is `twin`, a stream or a path."""
    from bandits.folders.place import check_file

    name = "all" if name == "twin" else name
    place = check_file(write, "--write") if write else None
    stream = load({"stream": name, **options})
    if place is not None:
        from envs.tables import formats

        formats.write(stream.outcomes, place)
        say(f"wrote {write}")
    if fidelity:
        if options["data"] is not None or stream.name != "all":
            raise ValueError(f"--fidelity compares the whole twin with the paper, got {stream.name!r}")
        prepare_jax()
        from bandits.mmrbench.fidelity import fidelity as compare

        show(compare(stream.outcomes), form)
        return
    if gain:
        _gain(stream, form)
        return
    from bandits import rows as tables
    from envs.tables import describe

    whole = describe.overview(stream.outcomes)
    parts = {"models": describe.by_model(stream.outcomes), "datasets": describe.by_dataset(stream.outcomes)}
    if form == "json":
        click.echo(json.dumps(tables.plain({**whole, "notes": list(stream.notes), "by": parts}), indent=2))
    elif form == "csv":
        show(parts["models"], form)
    else:
        lines = [[k.replace("_", " "), tables.number(v)] for k, v in whole.items()]
        if form == "table":
            for name, value in lines:
                told(f"{name:28} {value}", indent=" " * 29)
        else:
            click.echo(tables.laid(["", "value"], lines, form))
        for title, rows in parts.items():
            click.echo(f"\n{tables.remark(title, form)}{chr(10) * (form == 'markdown')}")
            fitted(rows, form)
        say(*stream.notes)


def _gains(rows: Sequence[Mapping[str, Any]], stream: Stream) -> tuple[list[str], list[list[str]]]:
    """Return headings and cells of what is gained at each weight on cost."""
    from bandits.money import money, plain

    unit, priced = money(stream.outcomes.cost_unit), stream.outcomes.priced
    heads = ["best single", "weight", "gain", "accuracy %", *[f"{unit.currency} per 1,000"] * priced]
    lines = []
    for row in rows:
        ends = "" if row["lo"] != row["lo"] else f" ({100 * row['lo']:.2f} to {100 * row['hi']:.2f})"
        gain = f"{100 * row['gain']:+.2f}{ends}{' shown' if row['shown'] else ''}"
        cost = [plain(1000 * unit.factor * row["cost"])] * priced
        lines.append([row["fixed"], f"{row['weight']:g}", gain, f"{100 * row['accuracy']:.1f}", *cost])
    return heads, lines


def _gain(stream: Stream, form: str) -> None:
    """Print what any policy could gain: a sentence, a row for each weight on cost; JSON has those of each learner."""
    prepare_jax()
    from bandits import rows as tables
    from bandits.ceiling.gain import gain
    from bandits.decision.routing import sentence

    found = gain(stream)
    if form == "json":
        click.echo(json.dumps(tables.plain({"gain": list(found.rows), "saving": found.saving}), indent=2))
        return
    if form == "table":
        told(sentence({"chosen": found.chosen[0], "saving": found.saving})[0])
        click.echo()
        click.echo(tables.laid(*_gains(found.chosen, stream), form))
        told(
            "Gain over always calling the best single model, in points of reward (accuracy less weight x cost /"
            " mean cost of the dearest model), with its 95 % interval; shown after Holm's correction for all rows"
            " and learners."
        )
    else:
        show(list(found.rows), form)
    say(*stream.notes, f"numbers are from: {stream.outcomes.label}")


@click.command(cls=Topical, context_settings=SETTINGS)
@click.argument("what", type=click.Choice(["mmr-bench"]))
@option("--dest", metavar="DIR", required=True, help="The folder it goes to.")
@option("--images", is_flag=True, help="The images too (large).")
@voice
def get(what: str, dest: str, images: bool, form: str) -> None:
    """Download a released table: mmr-bench, from the Hugging Face hub (needs routebandit[hub])."""
    from bandits.folders.place import check_names
    from envs.tables import hub

    check_names(dest, hub.TABLES, "--dest")
    check_names(Path(dest) / ".part", (), "--dest")
    found = hub.get_mmr_bench(dest, images=images)
    say(*found.notes)
    told = {"path": str(found.path), "queries": found.queries, "models": ", ".join(found.models)}
    show([{"table": what, **told}], form)


@click.command("list", cls=Topical, context_settings=SETTINGS)
@voice
def list_names(form: str) -> None:
    """Name every policy, reward and stream, with hyperparameters."""
    from bandits.experiment.catalogue import catalogue

    rows = catalogue()
    if form != "table":
        show(rows, form)
        return
    for row in rows:
        click.echo(f"{row['kind']:10} {row['name']:22} {row['what']}")
        if row["hyperparameters"]:
            click.echo(f"{'':33} {row['hyperparameters']}")

"""The command look: is context that is bought, such as OCR of an image, worth its price, and for which queries?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from commands.help import Topical, option
from commands.numbers import FINITE, SEED, WHOLE
from commands.options import SETTINGS, voice, world
from commands.prepare import load, prepare_jax
from commands.terminal import say, show, told

if TYPE_CHECKING:
    from envs.outcomes import Outcomes


@click.command(cls=Topical, context_settings=SETTINGS)
@click.argument("file", metavar="[FILE]", required=False)
@option("--stream", default="all", show_default=True, help="all, ocr, vqa, math, a dataset of the table.")
@world
@option("--pair", required=True, metavar="A>B", help="One model without and with what is bought.")
@option(
    "--worth",
    type=FINITE,
    metavar="W",
    help="What a right answer is worth, in the table's money.  [cost ignored]",
)
@option(
    "--reveals",
    metavar="COLUMN",
    help="A column of numbers that the look shows, for rules that learn online.",
)
@option(
    "--seeds",
    type=WHOLE,
    default=10,
    show_default=True,
    help="Orders of the queries for those rules; 0: none.",
)
@option("--seed", type=SEED, default=0, show_default=True, help="Of the folds that the gate is learned on.")
@voice
def look(
    file: str | None, stream: str, pair: str, worth: float | None, reveals: str | None, seeds: int, seed: int,
    form: str, **options: Any,
) -> None:  # fmt: skip
    """Compare buying context never, always, by a learned gate, by rules that learn online, and with hindsight.

    FILE is a table in which one model has two columns, without and with what is bought (OCR, a caption, a longer
    thought), its price in their costs. The gate sees what a policy sees of a query before the look.
    """
    if file is not None and options["data"] is not None:
        raise click.UsageError("look needs FILE or --data, not both")
    names = _names(pair)
    if worth is not None and not worth > 0:
        raise click.UsageError(f"--worth needs a number > 0, got {worth:g}")
    path = options["data"] or file
    table = load({**options, "data": path, "stream": stream, "models": names})
    prepare_jax()
    from bandits.contests import looking, looks

    if worth is not None and not table.outcomes.priced:
        raise ValueError("--worth needs costs: the table has none; --prices FILE gives them")
    told_of = None if reveals is None else _shown(path, table.outcomes, reveals)
    found, learned = _compared(table, told_of, worth=worth, seeds=seeds, seed=seed)
    rows = [
        {"rule": r.name, "accuracy": r.utility, "worth": r.worth, "bought": r.bought,
         "over_always": float(r.over_always.mean), "lo": float(r.over_always.lo), "hi": float(r.over_always.hi)}
        for r in (*found, *learned)
    ]  # fmt: skip
    show(rows, form)
    if form == "table":
        for line in (looks.verdict(found), *looking.verdict(learned)):
            told(line)
    say(*table.notes, f"numbers are from: {table.outcomes.label}")


def _names(pair: str) -> list[str]:
    """Return the two models of `--pair`."""
    names = [part.strip() for part in pair.split(">")]
    if len(names) != 2 or not all(names):
        raise click.UsageError(f"--pair needs WITHOUT>WITH, two models of the table, got {pair!r}")
    if names[0] == names[1]:
        raise click.UsageError(f"--pair needs two models, got {names[0]!r} twice")
    return names


def _compared(table: Any, shown: Any, *, worth: float | None, seeds: int, seed: int) -> tuple[Any, Any]:
    """Return the rules learned from other queries and those learned online, on the rows with both outcomes."""
    from dataclasses import replace

    import numpy as np

    from bandits.contests import looking, looks

    whole = table.available.all(axis=1)
    utility, cost = table.utility[whole], table.cost[whole]
    price = np.zeros(len(utility)) if worth is None else (cost[:, 1] - cost[:, 0]) / worth
    group = np.asarray(table.outcomes.group_id, str)[whole]
    own = np.where(group == "", [f"\0{row}" for row in range(len(group))], group)
    cluster = np.unique(own, return_inverse=True)[1]
    look = looks.Look(utility[:, 0], utility[:, 1], price)
    found = looks.rules(look, np.asarray(table.context[whole], float), cluster, seed=seed)
    if not seeds:
        return found, []
    part = replace(table, outcomes=table.outcomes.take(np.flatnonzero(whole)), context=table.context[whole])
    seen = None if shown is None else shown[whole]
    return found, looking.online(part, cluster, revealed=seen, worth=worth, seeds=seeds, seed=seed)


def _shown(path: Any, outcomes: Outcomes, column: str) -> Any:
    """Return what a look shows, `(T, 1)`, scaled to mean 0 and deviation 1, and 0 where the cell is empty."""
    import numpy as np

    from envs.tables.judged import extra

    if path is None:
        raise ValueError("--reveals needs a table of your own: the twin has no such column")
    told = extra(path, outcomes, column)
    spread = float(np.nanstd(told)) or 1.0
    return np.nan_to_num((told - np.nanmean(told)) / spread).astype(np.float32)[:, None]

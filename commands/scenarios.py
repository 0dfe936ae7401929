"""The command scenarios: policies through every changing world."""

from __future__ import annotations

from typing import Any

import click

from commands.command_line import spoken
from commands.help import Topical, option
from commands.memory import fits
from commands.numbers import FINITE, SEED, WHOLE
from commands.options import SETTINGS, voice, world
from commands.prepare import load, prepare_jax
from commands.terminal import say, show, wrote

_LONG = ("why",)  # said once below a table for a terminal, and not in each of its rows


@click.command(cls=Topical, context_settings=SETTINGS)
@option(
    "--policy", "policies", multiple=True, required=True, metavar="SPEC", help="The first is compared with."
)
@option("--stream", default="all", show_default=True, help="all, ocr, vqa, math, a dataset, or a path.")
@world
@option("--scenario", "chosen", multiple=True, metavar="NAME", help="Only these.  [default: all]")
@option(
    "--change",
    "changes",
    multiple=True,
    metavar="SPEC",
    help="A world of its own beside `stationary`, as judge,file=OTHER.csv; repeatable.",
)
@option("--reward", default="linear", show_default=True, metavar="SPEC")
@option("--preference", type=FINITE, default=0.2, show_default=True)
@option("--seeds", type=WHOLE, default=10, show_default=True)
@option("--seed", type=SEED, default=0, show_default=True)
@option("--order", default="shuffle", show_default=True, help="shuffle, given or dataset.")
@option("--rounds", type=WHOLE, help="Repeat or cut the stream to this many rounds.")
@option("--out", metavar="DIR", help="Write scenarios.html and scenarios.csv.")
@voice
@click.pass_context
def scenarios(
    ctx: click.Context,
    /,
    policies: tuple[str, ...],
    chosen: tuple[str, ...],
    changes: tuple[str, ...],
    reward: str,
    form: str,
    out: str | None,
    **options: Any,
) -> None:
    """Run policies through every scenario on paired seeds and print one table."""
    from bandits.folders.place import check_names
    from bandits.publish.scenarios import FILES, publish

    folder = None if out is None else check_names(out, FILES)
    stream = load(options)
    prepare_jax()
    from bandits import resolve, rewards
    from bandits.experiment import worlds
    from bandits.experiment.ask import Ask
    from bandits.sweeps.scenarios import compare, survivors, verdict
    from envs.changes.scenarios import SCENARIOS

    kept = {k: options[k] for k in ("preference", "seeds", "seed", "order", "rounds")}
    fits(stream, Ask(policies, reward=reward, change=("",), **{k: kept[k] for k in ("seeds", "rounds")}))
    worth = resolve.function(reward, rewards.REWARDS, "reward")
    names = chosen or (("stationary",) if changes else tuple(SCENARIOS))
    replayed = {k: kept[k] for k in ("seeds", "seed", "order", "rounds")}
    label, notes = worlds.told(stream, names, changes, **replayed)
    rows = compare(stream, policies, worth, scenarios=names, changes=changes, **kept)
    show([{k: v for k, v in row.items() if form in ("csv", "json") or k not in _LONG} for row in rows], form)
    said = " ".join(filter(None, (verdict(rows, policies[0]), survivors(rows))))
    say(
        *filter(None, [said]),
        *notes,
        f"numbers are from: {label}",
    )
    if folder is not None:
        known = {
            "title": f"{', '.join(policies)} while the world changes, on {stream.name}",
            "verdict": said,
            "label": label,
            "notes": notes,
            "command": spoken(ctx),
            "cost_unit": stream.outcomes.cost_unit,
        }
        publish(folder, rows, known)
        wrote({"page": f"{out}/{FILES[0]}"}, form)

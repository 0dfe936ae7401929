"""The command scenarios: policies through every changing world."""

from __future__ import annotations

from typing import Any

import click

from commands.help import Topical, option
from commands.memory import fits
from commands.numbers import FINITE, SEED, WHOLE
from commands.options import SETTINGS, voice, world
from commands.prepare import load, prepare_jax
from commands.terminal import say, show

_LONG = ("why",)  # said once below a table for a terminal, and not in each of its rows


@click.command(cls=Topical, context_settings=SETTINGS)
@option(
    "--policy", "policies", multiple=True, required=True, metavar="SPEC", help="The first is compared with."
)
@option("--stream", default="all", show_default=True, help="all, ocr, vqa, math, a dataset, or a path.")
@world
@option("--scenario", "chosen", multiple=True, metavar="NAME", help="Only these.  [default: all]")
@option("--reward", default="linear", show_default=True, metavar="SPEC")
@option("--preference", type=FINITE, default=0.2, show_default=True)
@option("--seeds", type=WHOLE, default=10, show_default=True)
@option("--seed", type=SEED, default=0, show_default=True)
@option("--order", default="shuffle", show_default=True, help="shuffle, given or dataset.")
@option("--rounds", type=WHOLE, help="Repeat or cut the stream to this many rounds.")
@voice
def scenarios(
    policies: tuple[str, ...], chosen: tuple[str, ...], reward: str, form: str, **options: Any
) -> None:
    """Run policies through every scenario on paired seeds and print one table."""
    stream = load(options)
    prepare_jax()
    from bandits import resolve, rewards
    from bandits.experiment.ask import Ask
    from bandits.sweeps.scenarios import compare, verdict
    from envs.changes.scenarios import SCENARIOS

    kept = {k: options[k] for k in ("preference", "seeds", "seed", "order", "rounds")}
    fits(stream, Ask(policies, reward=reward, change=("",), **{k: kept[k] for k in ("seeds", "rounds")}))
    worth = resolve.function(reward, rewards.REWARDS, "reward")
    rows = compare(stream, policies, worth, scenarios=chosen or tuple(SCENARIOS), **kept)
    show([{k: v for k, v in row.items() if form in ("csv", "json") or k not in _LONG} for row in rows], form)
    say(
        *filter(None, [verdict(rows, policies[0])]),
        *stream.notes,
        f"numbers are from: {stream.outcomes.label}",
    )

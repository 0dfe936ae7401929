"""The commands about logs with one call a query: ope."""

from __future__ import annotations

import click

from commands.help import Topical, option
from commands.numbers import FINITE, SEED
from commands.options import SETTINGS, voice
from commands.prepare import prepare_jax
from commands.terminal import say, show


@click.command("ope", cls=Topical, context_settings=SETTINGS)
@click.argument("log", metavar="LOG")
@option(
    "--policy",
    "policies",
    multiple=True,
    required=True,
    metavar="SPEC",
    help="What is valued: uniform, always,model=NAME, any policy, learned,objective=dm|ips|dr|mtr, a router file.",
)
@option("--estimate-propensities", is_flag=True, help="Estimate them where the log has none.")
@option("--boosted", is_flag=True, help="Reward models of gradient boosting instead of ridge.")
@option("--wide", is_flag=True, help="Every estimator, a row each.")
@option(
    "--reward", default="linear", show_default=True, metavar="SPEC", help="name,key=value or file.py:name."
)
@option("--preference", type=FINITE, help="Weight on cost.  [default: the log's column reward, else 0.2]")
@option(
    "--seed", type=SEED, default=0, show_default=True, help="Of the halves, the folds and policies' draws."
)
@voice
def evaluate(
    log: str, policies: tuple[str, ...], estimate_propensities: bool, boosted: bool, wide: bool, reward: str,
    preference: float | None, form: str, seed: int,
) -> None:  # fmt: skip
    """Value policies on a LOG of one call a query: what they would have earned, and whether the log can tell."""
    prepare_jax()
    from bandits import resolve, rewards
    from bandits.off_policy import ask, rounds
    from envs.tables.log import read_log

    worth = resolve.function(reward, rewards.REWARDS, "reward")
    given = rounds.ready(read_log(log), worth, preference=preference)
    if given.propensity is None and estimate_propensities:
        given = rounds.estimated(given)
    wanted = {spec: ask.chances(given, spec, worth, seed=seed) for spec in policies}
    found = ask.answer(given, wanted, wide=wide, boosted=boosted, seed=seed)
    show(found.rows, form)
    if form == "table":
        for rows in (found.diagnostics,):
            if rows:
                click.echo()
                show(rows, form)
        click.echo()
    for line in (*found.warnings, *found.verdict):
        click.echo(line, err=form != "table")
    say(*given.notes)

"""The command sets: choosing passages under a limit of tokens, learned against fixed rules and hindsight."""

from __future__ import annotations

import click

from commands.help import Topical, option
from commands.numbers import FINITE, SEED, WHOLE
from commands.options import SETTINGS, voice
from commands.prepare import prepare_jax
from commands.terminal import say, show, told


@click.command(cls=Topical, context_settings=SETTINGS)
@option("--queries", type=WHOLE, default=2000, show_default=True, help="Queries of the synthetic stream.")
@option("--items", type=WHOLE, default=30, show_default=True, help="Passages that each query brings.")
@option("--limit", type=WHOLE, default=256, show_default=True, help="Tokens of a set at most.")
@option("--seeds", type=WHOLE, default=5, show_default=True, help="Orders of the queries.")
@option("--seed", type=SEED, default=0, show_default=True, help="Of the stream and of the orders.")
@option("--alpha", type=FINITE, default=0.1, show_default=True, help="Width of the learner's bound.")
@voice
def sets(queries: int, items: int, limit: int, seeds: int, seed: int, alpha: float, form: str) -> None:
    """Compare rules that choose passages under a limit of tokens, on a synthetic stream.

    Each query brings passages of known length, of which two to four are needed. A set is chosen before anything is
    heard; then the worth of each chosen passage is (C2UCB). See docs/cascades.md.
    """
    from envs import passages

    if seeds < 1:
        raise click.UsageError(f"--seeds needs at least 1, got {seeds}")
    stream = passages.passages(queries, items=items, limit=limit, seed=seed)
    prepare_jax()
    from bandits.contests import sets as contest

    found, order = contest.rules(stream, passages.FEATURES, seeds=seeds, seed=seed, alpha=alpha)
    if form == "table":
        for line in contest.verdict(found, order):
            told(line)
        click.echo()
    show(contest.rows(found, order), form)
    say(f"numbers are from: {stream.outcomes.label}")

"""What is said of several calls a query: how good the judges are, how often a query is called for again."""

from __future__ import annotations

from typing import Any

import click

from commands.terminal import show

_FILE_ONLY = ("paid_at_random", "over_lo", "over_hi", "threshold")


def about_calls(quality: list[dict[str, Any]], made: list[dict[str, Any]]) -> None:
    """Print the judges' quality, then each run's calls."""
    click.echo("\njudges: how well a score tells right answers from wrong ones (0.5: not at all)")
    show(quality, "table")
    for tables in made:
        if "calls" in tables:
            click.echo("\ncalls a query, the share that stops after each, accuracy that each adds, cost paid")
            shown = tables["calls"]
            shown = shown[[c for c in shown if c not in _FILE_ONLY and not str(c).startswith("added:")]]
            own = shown["kind"] == "policy"
            show(
                shown[own].drop(columns=["kind", "chain"], errors="ignore").dropna(axis=1, how="all"), "table"
            )
            click.echo("\nwith hindsight, on the same queries")
            told = ["policy", "chain", "calls", "accuracy", "reward", "paid"]
            show(shown[~own][[c for c in told if c in shown]], "table")
        if "abstain" in tables:
            click.echo("\nanswers that the judge scores lower than the threshold are withheld")
            kept = [c for c in tables["abstain"] if not str(c).endswith(("_lo", "_hi"))]
            show(tables["abstain"][kept], "table")

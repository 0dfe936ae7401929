"""What is said of several calls a query: how good the judges are, how often a query is called for again."""

from __future__ import annotations

from typing import Any

import click

from commands.terminal import show


def about_calls(quality: list[dict[str, Any]], made: list[dict[str, Any]]) -> None:
    """Print the judges' quality, then each run's calls."""
    click.echo("\njudges: how well a score tells right answers from wrong ones (0.5: not at all)")
    show(quality, "table")
    for tables in made:
        if "calls" in tables:
            click.echo("\ncalls a query, the share that stops after each, accuracy that each adds, cost paid")
            show(tables["calls"], "table")

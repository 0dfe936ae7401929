"""What is said of several calls a query: how good the judges are, how often a query is called for again."""

from __future__ import annotations

from typing import Any

import click

from commands.terminal import show, told

_HINDSIGHT = ("policy", "chain", "calls", "accuracy", "reward", "paid")
_FILE_ONLY = ("paid_at_random", "over_lo", "over_hi", "threshold")


def about_calls(quality: list[dict[str, Any]], made: list[dict[str, Any]], *, wide: bool) -> None:
    """Print the judges' quality, then each run's calls; all figures where `wide`, else in 80 columns."""
    from bandits import rows as tables_of
    from bandits.report import brief

    click.echo("\njudges: how well a score tells right answers from wrong ones (0.5: not at all)")
    if wide:
        show(quality, "table")
    else:
        _narrow(quality)
    for tables in made:
        if "calls" in tables:
            click.echo("\ncalls a query, what stops after each, accuracy that each adds, cost paid")
            shown = tables["calls"]
            shown = shown[[c for c in shown if c not in _FILE_ONLY and not str(c).startswith("added:")]]
            own = shown["kind"] == "policy"
            mine = shown[own].drop(columns=["kind", "chain"], errors="ignore").dropna(axis=1, how="all")
            best = shown[~own][[c for c in _HINDSIGHT if c in shown]]
            if wide:
                show(mine, "table")
            else:
                click.echo(tables_of.laid(*brief.calls(mine.to_dict("records")), "table"))
                told(brief.CALLED)
            click.echo("\nwith hindsight, on the same queries")
            if wide:
                show(best, "table")
            else:
                _narrow(_chained(best.to_dict("records")))
        if "abstain" in tables:
            click.echo("\nanswers that the judge scores lower than the threshold are withheld")
            kept = [c for c in tables["abstain"] if not str(c).endswith(("_lo", "_hi"))]
            if wide:
                show(tables["abstain"][kept], "table")
            else:
                _narrow(tables["abstain"][kept].to_dict("records"))


def _narrow(rows: list[dict[str, Any]]) -> None:
    """Print rows in 80 columns, the first column a name."""
    from bandits import rows as tables
    from bandits.report import brief

    click.echo(tables.laid(*brief.figures(rows), "table"))


def _chained(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with the models of a sequence beside its name, which leaves room for the figures."""
    for row in rows:
        chain = row.pop("chain", None)
        row["policy"] += f": {chain}" if isinstance(chain, str) and chain else ""
    return rows

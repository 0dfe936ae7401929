"""The command make-documents: a synthetic table of how many documents to give a model, arms named model@documents."""

from __future__ import annotations

import click

from commands.help import Topical, option
from commands.numbers import SEED, WHOLE
from commands.options import SETTINGS
from commands.terminal import say

_MOST = 1_000_000


@click.command("make-documents", cls=Topical, context_settings=SETTINGS)
@option("--queries", type=WHOLE, default=3000, show_default=True, help="How many to draw.")
@option("--out", metavar="FILE", required=True, help="A Parquet file; it runs as --data FILE.")
@option("--seed", type=SEED, default=0, show_default=True, help="Fixes everything that is drawn.")
def make_documents(queries: int, out: str, seed: int) -> None:
    """Write a table of 4 models with 0, 1, 3 or 5 documents: synthetic utilities, recorded changes and lengths.

    M2RAG (arXiv 2502.17297) recorded how often answers change with the number of documents and how long they are, not
    which are right; see docs/pairs.md.
    """
    from bandits.folders.place import check_file
    from envs import write
    from envs.twin import documents

    if not 1 <= queries <= _MOST:
        raise click.UsageError(f"--queries needs 1 to {_MOST:,}, got {queries}")
    place = check_file(out)
    if place.suffix != ".parquet":  # the label goes along in it
        raise click.UsageError(f"--out needs a name that ends in .parquet, got {out!r}")
    write(documents.make(queries, seed=seed), place)
    click.echo(f"table: {out}")
    say(f"{queries:,} queries; numbers are from: {documents.LABEL}")

"""Commands on finished runs: report, diff, export."""

from __future__ import annotations

import click

from commands.help import Topical, option
from commands.numbers import SEED
from commands.options import SETTINGS, voice
from commands.terminal import show, wrote


@click.command(cls=Topical, context_settings=SETTINGS)
@click.argument("folders", metavar="DIR...", nargs=-1, required=True)
@option("--out", metavar="FILE", default="comparison.html", show_default=True, help="Where it goes.")
@voice
def report(folders: tuple[str, ...], out: str, form: str) -> None:
    """Rebuild one report from finished runs on the same queries; nothing is run."""
    from bandits import rows as tables
    from bandits.folders import read as compare

    tables.write(out, compare.page(folders))
    wrote({"report": out}, form)


@click.command(cls=Topical, context_settings=SETTINGS)
@click.argument("first", metavar="DIR")
@click.argument("second", metavar="DIR")
@option("--datasets", is_flag=True, help="Each dataset too, not only all together.")
@voice
def diff(first: str, second: str, datasets: bool, form: str) -> None:
    """Print how far the second run's policies are from the first's, paired over seeds."""
    from bandits.folders import read as compare

    runs = compare.read(first), compare.read(second)
    with compare.fitting(runs):
        found = compare.difference(*runs, datasets=datasets)
    show(found, form)


@click.command(cls=Topical, context_settings=SETTINGS)
@click.argument("folder", metavar="DIR")
@option("--policy", required=True, metavar="SPEC", help="As it was given to the run.")
@option("--out", metavar="FILE", default="policy.npz", show_default=True, help="Where it goes.")
@option("--seed", type=SEED, default=0, show_default=True, help="Which of the run's seeds, from 0.")
@option(
    "--reward",
    metavar="SPEC",
    help="Of the run, where it is a file of your own: no run's is executed unasked.",
)
@voice
def export(folder: str, policy: str, out: str, seed: int, reward: str | None, form: str) -> None:
    """Save what a policy of a finished run has learned, for bandits.load(FILE) in a serving stack."""
    from bandits.folders import export as exports

    exports.export(folder, policy, seed=seed, reward=reward).save(out)
    wrote({"policy": out}, form)

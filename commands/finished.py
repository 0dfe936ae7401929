"""Commands on finished runs: report, diff, export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from commands.command_line import given
from commands.help import Topical, option
from commands.numbers import SEED
from commands.options import SETTINGS, voice
from commands.prepare import prepare_jax
from commands.terminal import remark, show, wrote


@click.command(cls=Topical, context_settings=SETTINGS)
@click.argument("folders", metavar="DIR...", nargs=-1, required=True)
@option("--out", metavar="FILE", default="comparison.html", show_default=True, help="Where it goes.")
@voice
@click.pass_context
def report(ctx: click.Context, /, folders: tuple[str, ...], out: str, form: str) -> None:
    """Rebuild one report from finished runs on the same queries; nothing is run.

    A run that was stopped before its tables were made gets them.
    """
    prepare_jax()
    from bandits import rows as tables
    from bandits.folders import read as compare
    from bandits.folders.place import check_file, is_page
    from bandits.folders.rebuild import rebuild

    check_file(out)
    _check_unasked(ctx, out, is_page)
    for folder in folders:
        rebuild(folder)
    tables.write(out, compare.page(folders))
    wrote({"report": out}, form)


@click.command(cls=Topical, context_settings=SETTINGS)
@click.argument("first", metavar="DIR")
@click.argument("second", metavar="DIR")
@option("--datasets", is_flag=True, help="Each dataset too, not only all together.")
@option("--wide", is_flag=True, help="Every figure instead of 80 columns.")
@voice
def diff(first: str, second: str, datasets: bool, wide: bool, form: str) -> None:
    """Print how far the second run's policies are from the first's, paired over seeds."""
    from bandits import rows as tables
    from bandits.folders import read as compare
    from bandits.report import brief
    from bandits.report.parts import records

    runs = compare.read(first), compare.read(second)
    with compare.fitting(runs):
        found = compare.difference(*runs, datasets=datasets)
    if wide or form in ("csv", "json"):
        show(found, form)
        return
    click.echo(tables.laid(*brief.differences(records(found)), form))
    click.echo("\n" * (form == "markdown"), nl=False)
    remark(brief.APART, form)


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
@click.pass_context
def export(
    ctx: click.Context, /, folder: str, policy: str, out: str, seed: int, reward: str | None, form: str
) -> None:
    """Save what a policy of a finished run has learned, for bandits.load(FILE) in a serving stack."""
    from bandits.folders import export as exports
    from bandits.folders.place import check_file
    from bandits.serving import file

    check_file(out)
    _check_unasked(ctx, out, file.is_ours)
    exports.export(folder, policy, seed=seed, reward=reward).save(out)
    wrote({"policy": out}, form)


def _check_unasked(ctx: click.Context, out: str, ours: Callable[[Path], bool]) -> None:
    """Refuse to replace a file that is not ours where its name was not given but is the default.

    Raises:
        click.UsageError: there is one.
    """
    if not given(ctx, "out") and Path(out).exists() and not ours(Path(out)):
        raise click.UsageError(f"{out} is here and was not written by this program; --out FILE names another")

"""The command graphs: which models for the steps of a program? Online, and by M3's network trained on labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from commands.help import Topical, option
from commands.numbers import SEED, WHOLE
from commands.options import SETTINGS, voice
from commands.prepare import prepare_jax
from commands.terminal import progress, say, show, told, wrote

FILES = ("online.csv", "missing.csv", "graphs.svg")
_MOST_MISSING = 0.95
_CURVES = b"missing,method,ser,"  # how a table of curves of ours begins


@click.command("graphs", cls=Topical, context_settings=SETTINGS)
@click.argument("folder", metavar="[FOLDER]", required=False)
@option(
    "--policy", "policies", multiple=True, metavar="SPEC", default=("linucb,alpha=0.3,prior=1", "paired,own=0"),
    show_default=True,
    help="Plays online: over all assignments, and one of it for each kind of step; repeatable.",
)  # fmt: skip
@option(
    "--missing", default="0,.2,.4,.6,.8", show_default=True, metavar="A,B,..",
    help="Shares of the training labels that are missing: a point of the curves each; none: no training.",
)  # fmt: skip
@option("--programs", type=WHOLE, help="Queries, drawn at random.  [default: all]")
@option(
    "--labelled", type=WHOLE, default=2000, show_default=True,
    help="Of them, those that the curves are made with: M3 is trained, validated and tested on them.",
)  # fmt: skip
@option("--epochs", type=WHOLE, default=10, show_default=True, help="Passes of M3 over the training split.")
@option("--seeds", type=WHOLE, default=10, show_default=True, help="Orders of the queries, online.")
@option("--trainings", type=WHOLE, default=3, show_default=True, help="Seeds of each point of the curves.")
@option("--seed", type=SEED, default=0, show_default=True, help="Fixes everything that is drawn.")
@option("--out", metavar="DIR", help="online.csv, missing.csv and graphs.svg go there.")
@voice
def graphs(
    folder: str | None, policies: tuple[str, ...], missing: str, programs: int | None, labelled: int, epochs: int,
    seeds: int, trainings: int, seed: int, out: str | None, form: str,
) -> None:  # fmt: skip
    """Compare ways to choose a model for each kind of step of a program (M3, arXiv 2310.08446).

    Without FOLDER, outcomes are synthetic on the true mix of MS-GQA's task graphs; with it they are those of M3's
    release. A query succeeds if all its steps do; SER is the share that does. See docs/graphs.md.
    """
    for name, value in (("programs", programs), ("labelled", labelled), ("epochs", epochs), ("seeds", seeds),
                        ("trainings", trainings)):  # fmt: skip
        if value is not None and value < 1:
            raise click.UsageError(f"--{name} needs at least 1, got {value}")
    ratios, place = _ratios(missing), _place(out)
    prepare_jax()
    from bandits.graphs import play, robust
    from envs.graphs.tasks import solvable

    tasks, notes = _read(folder, programs, seed)
    kept = solvable(tasks)
    some = kept.some(labelled, seed)
    if ratios:
        robust.check(some)
    play.check(kept, policies)
    played = play.play(kept, policies, seeds=seeds, seed=seed)
    online = play.rows(kept, played)
    curves: list[dict[str, Any]] = []
    if ratios:
        with progress(len(ratios) * trainings) as said:
            curves = robust.curves(some, ratios, seeds=trainings, seed=seed, epochs=epochs, progress=said)
    _tell(online, curves, form)
    if place is not None:
        _write(place, online, curves, kept.label, form)
    left = len(tasks) - len(kept)
    say(*notes, f"{len(kept):,} programs; {left:,} that no assignment solves are left out",
        f"numbers are from: {kept.label}")  # fmt: skip


def _tell(online: list[dict[str, Any]], curves: list[dict[str, Any]], form: str) -> None:
    from bandits.graphs import robust, words

    if form != "table":
        show([*online, *curves], form)
        return
    for line in words.verdict(online, curves):
        told(line)
    click.echo("\nonline: SER in %, difference from one bandit for all assignments in points, 95 % intervals")
    show(words.online(online), form)
    if curves:
        click.echo(
            f"\ntrained on labels: SER in % on the test split, difference from {robust.BASE} in points"
        )
        show(words.curves(curves), form)


def _ratios(text: str) -> list[float]:
    if text.strip().lower() == "none":
        return []
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise click.UsageError(f"--missing needs shares such as 0,.2,.8, or none, got {text!r}") from None
    if not all(0 <= ratio <= _MOST_MISSING for ratio in found):
        raise click.UsageError(f"--missing needs shares from 0 to {_MOST_MISSING:g}, got {text!r}")
    return sorted(set(found))


def _place(out: str | None) -> Path | None:
    if out is None:
        return None
    from bandits.folders.place import check_names

    return check_names(out, FILES)


def _read(folder: str | None, programs: int | None, seed: int) -> tuple[Any, list[str]]:
    if folder is None:
        from envs.graphs import made

        return made.make(programs, seed=seed), []
    from envs.graphs import released

    found: tuple[Any, list[str]] = released.read(Path(folder), queries=programs, seed=seed)
    return found


def _write(
    place: Path, online: list[dict[str, Any]], curves: list[dict[str, Any]], label: str, form: str
) -> None:
    from bandits import rows as tables
    from bandits.report.graphs import drawing

    place.mkdir(parents=True, exist_ok=True)
    texts = {"online.csv": tables.render(online, "csv") + "\n"}
    if curves:
        texts["missing.csv"] = tables.render(curves, "csv") + "\n"
    texts["graphs.svg"] = drawing(curves, online, note=f"numbers are from: {label}")
    for name, text in texts.items():
        tables.write(str(place / name), text.rstrip("\n"))
    old = place / FILES[1]
    if not curves and old.is_file() and old.read_bytes().startswith(_CURVES):
        old.unlink()  # an earlier command's, beside which these would be read as one result
    wrote({name: str(place / name) for name in texts}, form)

"""Replay policies, summarise, save, print: what `simulate.py --policy ...` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands import compiling, figures, streams, tracking
from commands.calls import about_calls
from commands.command_line import spoken
from commands.memory import fits
from commands.prepare import CONTEXT, load, log, prepare_jax, reading, soon
from commands.stopping import files_own, stopping
from commands.summary import tell
from commands.terminal import Stopped, detail, doing, progress, remark, say, show, wrote

if TYPE_CHECKING:
    from bandits.experiment.ask import Ask
    from envs.stream import Stream


def run(ctx: click.Context, *, stream: str, out: str | None, form: str, **options: Any) -> None:
    """Replay, summarise, save, print; once for each preference and budget."""
    if not options["policies"]:
        raise click.UsageError(
            "--policy is needed, for example --policy linucb; `simulate.py list` names them all"
        )
    drawn = figures.asked(ctx, options["plots"], options["plot_width"])
    tracking.check(options["track"])
    large = streams.wanted({"stream": stream, **options})
    if large is not None:
        folder = Path(out or Path("runs") / Path(large).stem)
        figures.check(folder, drawn)
        table, labels, places, made = streams.run(ctx, large, folder, options={"stream": stream, **options})
        _say(made, labels, places, folder, drawn, form, options["wide"], table, table.notes)
        for place, tabled in zip(places.values(), made, strict=True):
            tracking.track(options["track"], place, tabled)
        return
    logged, loaded = log(load({"stream": stream, **options}), options)
    prepare_jax()
    judging = _judges(options)
    from bandits.experiment import ask as runs
    from bandits.experiment import logs, several
    from bandits.folders.place import check_folder
    from bandits.publish import asked as asked_for
    from bandits.publish import overview
    from bandits.report import names
    from bandits.results.book import REFERENCES

    if logged is not None:
        logged, loaded = logs.weighed(logged, loaded)
    ask = runs.Ask(**{k: options[k] for k in runs.Ask._fields})
    if judging:
        if refused := asked_for.one_call(ask):
            raise ValueError(refused)
        loaded = several.judged(loaded, ask, _file(stream, options["data"]))
        logged = None if logged is None else several.logged(logged, ask, options["warm_start"])
    labels = names.parse(options["labels"], ask.policies, (*REFERENCES, *loaded.models))
    folder = Path(out or Path("runs") / safe(loaded.name)).expanduser()
    places = {name: folder / name for name in runs.names(ask)}
    check_folder(folder)
    for place in places.values():
        check_folder(place)
        figures.check(place, drawn)
    memory = fits(loaded, ask)
    if options["dry_run"]:
        from commands.dry_run import rehearse

        rehearse(loaded, ask, places, form, memory)
        return
    known = {
        "command": spoken(ctx),
        "context": {k: options[k] for k in CONTEXT},
        "data": _named(options["data"]) or loaded.name,
        "labels": labels,
        "load": {
            "name": stream,
            **{k: options[k] for k in ("data", "prices", "models", "embed")},
            **reading(options),
        },
    }
    made, points, played = _finished(loaded, logged, ask, places, known)
    notes = tuple(dict.fromkeys((*loaded.notes, *played.notes)))  # a change has its own
    if len(places) > 1:
        say(
            f"by budget and preference: {overview.publish(folder, points, known | _about(played, ask, places))}"
        )
    _say(made, labels, places, folder, drawn, form, options["wide"], played.outcomes, notes)
    if judging and form == "table":
        told = [names.labelled(one, labels) for one in made]
        about_calls(several.quality(loaded), told, wide=options["wide"])
    for place, tabled in zip(places.values(), made, strict=True):
        tracking.track(options["track"], place, tabled)


def _say(
    made: list[dict[str, Any]], labels: dict[str, str], places: dict[str, Path], folder: Path, drawn: figures.Drawn,
    form: str, wide: bool, table: Any, notes: Sequence[str],
) -> None:  # fmt: skip
    """Draw the figures and print what came of all runs; `table` has their cost unit and label."""
    from bandits.report.names import labelled
    from bandits.rows import READ

    for place in places.values():
        figures.plotted(place, drawn)
    if form in READ:
        told = [labelled(one, labels) for one in made]
        _tell(told, places, folder, unit=table.cost_unit, wide=wide, form=form)
    else:
        show([row for tabled in made for row in tabled["summary"].to_dict("records")], form)
    say(*notes, f"numbers are from: {table.label}")


def _judges(options: dict[str, Any]) -> bool:
    """Return whether a query may have several calls.

    Raises:
        click.UsageError: an option that is for several calls only, with one.
    """
    from bandits.experiment.ask import Ask

    if options["calls"] != 1:
        return True
    for name in ("judge", "judge_column", "judge_cost", "within_query", "deliver", "parallel", "abstain"):
        if options[name] != Ask._field_defaults[name]:
            raise click.UsageError(f"--{name.replace('_', '-')} needs --calls 2 or more")
    return False


def _file(stream: str, data: str | list[str] | None) -> Any:
    """Return the table's file or files, None for the twin."""
    from envs.selection import is_path

    return data if data is not None else stream if is_path(stream) else None


def _named(data: str | list[str] | None) -> str:
    return ", ".join(data) if isinstance(data, list) else data or ""


def _about(loaded: Stream, ask: Ask, places: dict[str, Path]) -> dict[str, Any]:
    outcomes, title = loaded.outcomes, f"{', '.join(ask.policies)} on {loaded.name}: {len(places)} runs"
    return {"title": title, "label": outcomes.label, "cost_unit": outcomes.cost_unit, "notes": loaded.notes}


def _finished(
    loaded: Stream, logged: Stream | None, ask: Ask, places: dict[str, Path], known: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[Any], Stream]:
    """Run, and save each run as it is done; what a stopped command of the same words left is taken up.

    Returns the tables of each run, the points that `overview` draws, and the stream as it was played, changed.
    """
    from bandits.experiment import several
    from bandits.folders import write as artefacts
    from bandits.folders.unfinished import taken_up
    from bandits.results.points import points as points_of

    known |= {"versions": artefacts.versions(), "given_sha256": artefacts.fingerprint(loaded.outcomes)}
    known["judged_sha256"] = several.fingerprint(loaded)
    known["log_sha256"] = None if logged is None else artefacts.fingerprint(logged.outcomes)
    same = ("context", "load", "versions", "given_sha256", "log_sha256", "judged_sha256")
    shared = {k: known[k] for k in same}
    found = taken_up(places, ask, shared)
    for name, traces in found.items():
        if traces:
            say(f"{', '.join(traces)}: taken up from {places[name]}, finished before the stop")
    kept, stopped = _kept(loaded, logged, ask, places, known, found)
    made: list[dict[str, Any]] = []
    points: list[Any] = []
    try:
        for done, known_then in kept:
            made.append(artefacts.publish(places[done.name], done, ask, known_then, kept=True, doing=doing))
            doing("")
            points.append(points_of(done))
    except KeyboardInterrupt as error:
        _ours(error)
        stopped = True
    if stopped:
        raise _left(places, kept)
    return made, points, kept[-1][0].stream


def _kept(
    loaded: Stream,
    logged: Stream | None,
    ask: Ask,
    places: dict[str, Path],
    known: dict[str, Any],
    found: dict[str, Any],
) -> tuple[list[tuple[Any, dict[str, Any]]], bool]:
    """Play what has to be, keep the calls of each run, and return the runs with what is known of each.

    The second of the two: whether Ctrl-C came while policies played. One that comes while calls are written waits until
    those of every run are.
    """
    from bandits.experiment.play import finish
    from bandits.folders import write as artefacts

    count = sum(spec not in found.get(name, {}) for name in places for spec in ask.policies)
    kept: list[tuple[Any, dict[str, Any]]] = []
    compiling.beside()
    soon("pandas", "pyarrow.parquet")
    started, stopped = time.perf_counter(), False
    whole = loaded.outcomes if ask.warm_start is not None and logged is None else None
    with ExitStack() as waiting:
        waiting.enter_context(compiling.told())
        asked: Callable[[], bool] | None = None
        try:
            with progress(count * ask.seeds * (ask.rounds or len(loaded))) as counted:
                for done in finish(loaded, ask, counted, known=found, log=logged, context=known["context"]):
                    if asked is None:
                        asked = waiting.enter_context(stopping())
                    known_now = known | {"seconds": round(time.perf_counter() - started, 3)}
                    artefacts.keep(places[done.name], done, ask, known_now, whole=whole)
                    kept.append((done, known_now))
                    finished = len(done.traces) * next(iter(done.traces.values())).arms.size
                    seconds = known_now["seconds"]
                    detail(f"{places[done.name]}: {finished:,} rounds, {seconds:.1f} s since the start")
        except KeyboardInterrupt as error:
            _ours(error)
            stopped = True
        if asked is not None and asked():
            raise _left(places, kept)
    return kept, stopped


def _ours(error: KeyboardInterrupt) -> None:
    """Do nothing where it was Ctrl-C.

    Raises:
        ValueError: a user's file raised it.
    """
    if told := files_own(error):
        raise ValueError(told) from error


def _left(places: dict[str, Path], kept: list[tuple[Any, dict[str, Any]]]) -> Stopped:
    """Return what a stop has left, policy by policy, and how to go on."""
    if not kept:
        return Stopped("stopped; no policy had finished, nothing was written")
    where = "; ".join(f"{places[done.name]} ({', '.join(done.traces)})" for done, _ in kept)
    return Stopped(f"stopped; what had finished is in {where}; the same command goes on from there")


def _tell(
    made: list[dict[str, Any]], places: dict[str, Path], folder: Path, *, unit: str, wide: bool, form: str
) -> None:
    from bandits import rows as tables
    from bandits.folders import read as compare
    from bandits.report.narrow import Told, changes
    from bandits.report.parts import records
    from bandits.results.differences import scores

    runs = [
        Told(name, records(one["summary"]), scores(one["by_dataset"], one.get("by_query")))
        for name, one in zip(places, made, strict=True)
    ]
    tell(runs, [one["summary"] for one in made], unit=unit, wide=wide, form=form)
    for name, one in zip(places, made, strict=True):
        if "changes" in one:
            click.echo()
            remark(name or "what changed", form)
            if wide:
                show(one["changes"], form)
            else:
                click.echo(tables.laid(*changes(records(one["changes"])), form))
    click.echo()
    for place in places.values():
        wrote({"report": str(place / "report.html")}, form)
    if len(places) > 1:
        tables.write(str(folder / "report.html"), compare.page(list(places.values())))
        wrote({"all runs in one report": str(folder / "report.html")}, form)


def safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name)

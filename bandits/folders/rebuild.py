"""Tables and page of a run that was stopped once its calls were kept, from its trace and data; nothing is played."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from bandits.experiment import several
from bandits.experiment.ask import Ask
from bandits.experiment.play import finish
from bandits.folders import manifest as manifests
from bandits.folders import unfinished
from bandits.folders import write as artefacts
from bandits.folders.export import loaded_again
from envs import logged, selection

if TYPE_CHECKING:
    from envs.stream import Stream

_Asked = msgspec.defstruct(
    "_Asked", [(name, hint, Ask._field_defaults.get(name, ())) for name, hint in get_type_hints(Ask).items()]
)
_KNOWN = (
    "command",
    "context",
    "load",
    "given_sha256",
    "log_sha256",
    "judged_sha256",
    "versions",
    "seconds",
    "labels",
)


def rebuild(folder: Path | str) -> None:
    """Add the tables and the page to a run's folder where a stop came before them; else do nothing.

    Raises:
        ValueError: no run's folder; the data changed since; the trace is damaged; or the tables need code of the
            user's, which is never executed unasked. One line, with the command that goes on.
    """
    place = Path(folder)
    manifest = manifests.read(place)
    if manifest.get("tables", True):
        return
    try:
        _rebuild(place, manifest)
    except (ValueError, LookupError, TypeError, ArithmeticError, AttributeError, MemoryError) as error:
        why = " ".join(str(error).split())[:500]
        raise ValueError(
            f"{str(place)[:300]} was stopped before its tables were made ({why}); go on with:"
            f" {manifest['command'][:300]}"
        ) from error


def _rebuild(place: Path, manifest: Mapping[str, Any]) -> None:
    ask = Ask(**msgspec.structs.asdict(msgspec.convert(manifest.get("asked", {}), _Asked)))
    for spec in (ask.reward, ask.pacing, *ask.change):
        if ".py:" in spec:
            raise ValueError(f"they need {spec[:200]!r}, code that report does not execute unasked")
    traces = unfinished.read(place, manifest)
    if not traces or any(ask.rounds not in (None, t.order.shape[1]) for t in traces.values()):
        raise ValueError("trace.parquet is damaged")
    if not manifest.get("load"):
        raise ValueError("its manifest does not say how its data was loaded")
    table, log = _judged(*_tables(manifest, ask), manifest, ask)
    amount = manifest["budget"]
    one = ask._replace(
        policies=tuple(manifest["policies"]),
        preference=manifest["preference"],
        budget=(amount,) if amount else (),
    )
    (run,) = finish(
        table, one, known={"": traces}, log=log, play=False, context=manifest.get("context") or {}
    )
    known = {name: manifest[name] for name in _KNOWN if name in manifest} | {
        "data": manifest["data"].get("name")
    }
    artefacts.publish(place, run, ask, known, kept=True)


def _judged(table: Stream, log: Stream | None, manifest: Mapping[str, Any], ask: Ask) -> tuple[Any, Any]:
    """Return both with what the judge of several calls a query said, found the same as in the run."""
    if ask.calls == 1:
        return table, log
    if ".py:" in ask.deliver:
        raise ValueError(f"they need {ask.deliver[:200]!r}, code that report does not execute unasked")
    load = manifest["load"]
    path = load.get("data") or (load["name"] if selection.is_path(load["name"]) else None)
    table = several.judged(table, ask, path)
    if several.fingerprint(table) != manifest.get("judged_sha256"):
        raise ValueError("they need what the judge said in the run; it has changed since")
    return table, None if log is None else several.logged(log, ask, ask.warm_start)


def _tables(manifest: Mapping[str, Any], ask: Ask) -> tuple[Any, Any]:
    """Return the stream of a run and its log (None where it has none of its own), loaded again and found the same."""
    table, log = loaded_again(manifest), None
    if ask.warm_start is not None and selection.is_path(ask.warm_start):
        load = manifest["load"]
        log, table = logged.beside(
            table,
            ask.warm_start,
            prices=load.get("prices"),
            select=bool(load.get("models")),
            **manifest["context"],
        )
        if artefacts.fingerprint(log.outcomes) != manifest.get("log_sha256"):
            raise ValueError("they need the log that it was run on; it has changed since")
    if artefacts.fingerprint(table.outcomes) != manifest.get("given_sha256"):
        raise ValueError("they need the data that it was run on; it has changed since")
    return table, log

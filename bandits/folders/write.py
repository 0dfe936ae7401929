"""The files of a finished run: its calls first, then what is made of them, each whole or not at all."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.experiment.ask import Ask, Run
from bandits.experiment.lineup import REFERENCES
from bandits.folders import sheets, trace
from bandits.folders.place import FORMAT, replace
from bandits.results import phases, turns, withheld
from envs import heap

if TYPE_CHECKING:
    import pandas as pd

    from envs.outcomes import Outcomes
    from envs.stream import Stream
    from envs.windows.big import Big

_NAMED = 6  # policies that a title names
_LIBRARIES = ("routebandit", "numpy", "scipy", "jax", "optax", "numba", "pandas", "plotly")


@cache
def _versions() -> Mapping[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def versions() -> dict[str, str]:
    """Return the versions of everything that can change a digit."""
    return dict(_versions())


def fingerprint(outcomes: Outcomes) -> str:
    """Return the sha256 of what was replayed (names, ids, utilities, costs, embeddings), whatever file it was in."""
    digest = hashlib.sha256(repr(outcomes.models).encode())
    digest.update("\n".join(outcomes.query_id.astype(str)).encode())
    for array in (outcomes.utility, outcomes.cost, outcomes.text, outcomes.image):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def keep(
    folder: Path,
    run: Run,
    ask: Ask,
    known: Mapping[str, Any],
    *,
    whole: Outcomes | None = None,
    more: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Write what cannot be made again of a finished run: its calls and the manifest, before any table is made.

    An earlier run's files make room for it. Until `publish` has gone after it, the manifest says `"tables": false`
    and the same command goes on from the traces.

    Args:
        folder: where to.
        run: what came of it.
        ask: what was asked for.
        known: what only the caller knows: command, context, data, seconds.
        whole: the table before a warm start set a part of it aside; None: nothing was.
        more: other files of `place.FILES`, written with them.
    """
    heap.give_back()
    files = {**more, trace.FILE: trace.written(run.traces, run.stream)}
    if whole is not None:
        files["split.csv"] = _split(whole, run.stream).to_csv(index=False).encode()
    if probes := trace.probed(run.traces):
        files[trace.PROBED] = probes
    files["manifest.json"] = _json({**_manifest(run, ask, known), "tables": False})
    replace(folder, files)


def publish(
    folder: Path,
    run: Run,
    ask: Ask,
    known: Mapping[str, Any],
    *,
    kept: bool = False,
    doing: Callable[[str], object] = str,
) -> dict[str, pd.DataFrame]:
    """Summarise a finished run, add its tables and page to its folder, and return the tables by name.

    Args:
        folder, run, ask, known: as `keep`.
        kept: `keep` has been called already.
        doing: called with what is under way, for whoever waits.
    """
    if not kept:
        keep(folder, run, ask, known)

    heap.give_back()
    doing(f"{folder}: adding up the tables")
    tables, manifest = tables_of(run, ask), _manifest(run, ask, known)
    doing(f"{folder}: drawing the page and writing {len(tables)} tables")
    heap.give_back()
    stay = (trace.FILE, "split.csv", *[trace.PROBED] * bool(manifest["unfinished"]))
    replace(folder, filed(tables, manifest), stay=stay)
    return tables


def filed(tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files of a finished run but for its calls: tables, page and manifest."""
    from bandits import report
    from bandits.report.names import labelled

    files = {sheets.file(name): sheets.written(name, frame) for name, frame in tables.items()}
    heap.give_back()
    named = labelled(tables, manifest.get("labels", {}))
    page = report.render(
        named["summary"],
        named["curves"],
        named["by_dataset"],
        manifest,
        named.get("changes"),
        named["by_query"],
        {name: named[name] for name in sheets.TURNS if name in named},
    )
    return files | {"report.html": page.encode(), "manifest.json": _json(manifest)}


def _manifest(run: Run, ask: Ask, known: Mapping[str, Any]) -> dict[str, Any]:
    stream, outcomes = run.stream, run.stream.outcomes
    unfinished = [spec for spec in ask.policies if spec not in run.traces]
    own = {
        "title": title(list(run.traces), run.stream.name, ask, run.budget),
        "notes": [*stream.notes, *_stopped(unfinished)],
        "fitted_on": "the rows of the log alone"
        if ask.fit == "warm"
        else "all rows, evaluated ones included",
        "reward_range": run.bounds,
        "marks": phases.marks(stream),
        "policies": list(run.traces),
        "unfinished": unfinished,
        "asked": ask._asdict(),
        "preference": run.preference,
        "budget": run.budget,
        **known,
        "rounds": next(iter(run.traces.values())).arms.shape[1],
    }
    if run.judged is not None:  # which calls a column of the trace stands for, and whose trace is of such
        own |= {"sequences": stream.sequences, "again": [row["policy"] for row in run.calls]}
    table = {"name": known["data"], "sha256": fingerprint(outcomes)}
    return described(outcomes, ask, own, stream=stream.name, data=table)


def described(
    table: Outcomes | Big, ask: Ask, known: Mapping[str, Any], *, stream: str, data: Mapping[str, str]
) -> dict[str, Any]:
    """Return what is to be known of a run, under the names of a manifest.

    Args:
        table: `label`, `cost_unit`, `models`, `source` and `licence` of what was played.
        ask: what was asked for.
        known: what else there is, which goes before what was asked for.
        stream: its name.
        data: `name` and `sha256` of the table.
    """
    return {
        "format": FORMAT,
        "stream": stream,
        "label": table.label,
        "cost_unit": table.cost_unit,
        "models": list(table.models),
        **ask._asdict(),
        "versions": versions(),
        **known,
        "data": {**data, "source": table.source, "licence": table.licence},
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _json(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=2) + "\n").encode()


def title(policies: Sequence[str], stream: str, ask: Ask, budget: str) -> str:
    """Return what a page says of a run above all else."""
    names = ", ".join(policies) if len(policies) <= _NAMED else f"{len(policies)} policies"
    parts = [f"{names} on {stream}"]
    if budget:
        parts.append(f"budget {budget}, pacing {ask.pacing}")
    if ask.scenario or ask.change:
        parts.append("while the world changes: " + "; ".join([*filter(None, [ask.scenario]), *ask.change]))
    return ", ".join(parts)


def _stopped(unfinished: Sequence[str]) -> list[str]:
    return [f"stopped before {', '.join(unfinished)} had finished"] if unfinished else []


def tables_of(run: Run, ask: Ask) -> dict[str, pd.DataFrame]:
    """Return the tables of a run by name: summary, curves, by_dataset; changes and budget where there were any."""
    import pandas as pd

    from bandits.results.latency import latency
    from bandits.results.spending import best, spending
    from bandits.results.summary import summarise

    stream, limits = run.stream, run.limits
    summary, curves, parts, each = summarise(stream, run.table, run.traces, limits=limits)
    summary["preference"], summary["budget"] = run.preference, run.budget
    if (took := latency(stream, run.table, run.traces)) is not None:
        summary = summary.merge(took, on="policy", how="left")
    own = {name: one for name, one in run.traces.items() if name not in REFERENCES}
    for columns, more in phases.added(stream, run.table, own, run.late, seed=ask.seed):
        summary, curves = (
            summary.merge(columns, on="policy", how="left"),
            pd.concat([curves, more], ignore_index=True),
        )
    tables = {"summary": summary, "curves": curves, "by_dataset": parts, "by_query": each}
    if rows := turns.turns(run):
        tables["calls"] = pd.DataFrame(rows)
    tables |= withheld.tables(run, ask.abstain)
    if phases.marks(stream) and own:
        tables["changes"] = phases.phases(stream, run.table, own, seed=ask.seed)
    if limits is None or not own or not np.isfinite(limits).any():
        return tables
    spent = spending(stream, run.table, own, limits, cap=ask.cap)
    return spent.joined(tables, best(stream, run.table, own, limits))


def _split(whole: Outcomes, evaluated: Stream) -> pd.DataFrame:
    """Return every row that a warm start has shared out: `file_row`, `query_id`, `part` (logged or evaluated)."""
    import pandas as pd

    base = evaluated if evaluated.world is None else evaluated.world.base
    played = np.isin(whole.origin, base.outcomes.origin)
    parts = np.where(played, "evaluated", "logged")
    return pd.DataFrame({"file_row": whole.origin, "query_id": whole.query_id, "part": parts})

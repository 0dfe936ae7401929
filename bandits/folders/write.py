"""The files of a finished run: its calls first, then what is made of them, each whole or not at all."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.experiment.ask import Ask, Run
from bandits.experiment.lineup import REFERENCES
from bandits.folders import sheets
from bandits.folders.place import CALLS, FORMAT, replace
from bandits.folders.unfinished import PROBED, probed
from bandits.loop.replay import Trace
from bandits.results import phases

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 6  # policies that a title names
_LIBRARIES = ("routebandit", "numpy", "scipy", "jax", "optax", "numba", "pandas", "plotly")


def versions() -> dict[str, str]:
    """Return the versions of everything that can change a digit."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def fingerprint(outcomes: Any) -> str:
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
    whole: Any = None,
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
    files = {**more, "trace.parquet": _trace(run.traces, run.stream)}
    if whole is not None:
        files["split.csv"] = _split(whole, run.stream).to_csv(index=False).encode()
    if probes := probed(run.traces):
        files[PROBED] = probes
    files["manifest.json"] = _json({**_manifest(run, ask, known), "tables": False})
    replace(folder, files)


def publish(
    folder: Path, run: Run, ask: Ask, known: Mapping[str, Any], *, kept: bool = False
) -> dict[str, pd.DataFrame]:
    """Summarise a finished run, add its tables and page to its folder, and return the tables by name.

    Args:
        folder, run, ask, known: as `keep`.
        kept: `keep` has been called already.
    """
    from bandits import report

    if not kept:
        keep(folder, run, ask, known)

    tables, manifest = _tables(run, ask), _manifest(run, ask, known)
    files = {sheets.file(name): sheets.written(name, frame) for name, frame in tables.items()}
    page = report.render(
        tables["summary"],
        tables["curves"],
        tables["by_dataset"],
        manifest,
        tables.get("changes"),
        tables["by_query"],
    )
    files["report.html"] = page.encode()
    stay = ("trace.parquet", "split.csv", *[PROBED] * bool(manifest["unfinished"]))
    replace(folder, files | {"manifest.json": _json(manifest)}, stay=stay)
    return tables


def _manifest(run: Run, ask: Ask, known: Mapping[str, Any]) -> dict[str, Any]:
    stream, outcomes = run.stream, run.stream.outcomes
    unfinished = [spec for spec in ask.policies if spec not in run.traces]
    return {
        "format": FORMAT,
        "title": _title(run, ask),
        "stream": stream.name,
        "label": outcomes.label,
        "notes": [*stream.notes, *_stopped(unfinished)],
        "fitted_on": "the rows of the log alone"
        if ask.fit == "warm"
        else "all rows, evaluated ones included",
        "reward_range": run.bounds,
        "cost_unit": outcomes.cost_unit,
        "models": list(stream.models),
        "marks": phases.marks(stream),
        **ask._asdict(),
        "policies": list(run.traces),
        "unfinished": unfinished,
        "asked": ask._asdict(),
        "preference": run.preference,
        "budget": run.budget,
        "versions": versions(),
        **known,
        "rounds": next(iter(run.traces.values())).arms.shape[1],
        "data": {
            "name": known["data"],
            "sha256": fingerprint(outcomes),
            "source": outcomes.source,
            "licence": outcomes.licence,
        },
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _json(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=2) + "\n").encode()


def _title(run: Run, ask: Ask) -> str:
    names = ", ".join(run.traces) if len(run.traces) <= _NAMED else f"{len(run.traces)} policies"
    parts = [f"{names} on {run.stream.name}"]
    if run.budget:
        parts.append(f"budget {run.budget}, pacing {ask.pacing}")
    if ask.scenario or ask.change:
        parts.append("while the world changes: " + "; ".join([*filter(None, [ask.scenario]), *ask.change]))
    return ", ".join(parts)


def _stopped(unfinished: Sequence[str]) -> list[str]:
    return [f"stopped before {', '.join(unfinished)} had finished"] if unfinished else []


def _tables(run: Run, ask: Ask) -> dict[str, pd.DataFrame]:
    """Return the tables of a run by name: summary, curves, by_dataset; changes and budget where there were any."""
    import pandas as pd

    from bandits.results.by_dataset import by_dataset
    from bandits.results.by_query import by_query
    from bandits.results.latency import latency
    from bandits.results.spending import account, burn_down
    from bandits.results.summary import summarise

    stream, limits = run.stream, run.limits
    summary, curves = summarise(stream, run.table, run.traces, limits=limits)
    summary["preference"], summary["budget"] = run.preference, run.budget
    if (took := latency(stream, run.table, run.traces)) is not None:
        summary = summary.merge(took, on="policy", how="left")
    parts = by_dataset(stream, run.table, run.traces)
    own = {name: trace for name, trace in run.traces.items() if name not in REFERENCES}
    for columns, more in phases.added(stream, run.table, own, run.late, seed=ask.seed):
        summary, curves = (
            summary.merge(columns, on="policy", how="left"),
            pd.concat([curves, more], ignore_index=True),
        )
    each = by_query(stream, run.table, run.traces)
    tables = {"summary": summary, "curves": curves, "by_dataset": parts, "by_query": each}
    if phases.marks(stream) and own:
        tables["changes"] = phases.phases(stream, run.table, own, seed=ask.seed)
    if limits is None or not np.isfinite(limits).any():
        return tables
    spent = account(stream, run.table, own, limits, cap=ask.cap)
    curves = pd.concat([curves, burn_down(stream, own, limits)], ignore_index=True)
    summary = summary.merge(
        spent.drop(columns=["reward", "gap_closed", "unanswered"]), on="policy", how="left"
    )
    return {**tables, "summary": summary, "curves": curves, "budget": spent}


def trace_schema() -> Any:
    """Return the columns of `trace.parquet`, described in docs/command.md."""
    import pyarrow as pa

    spec = pa.dictionary(pa.int32(), pa.string())
    kinds = (spec, pa.int32(), pa.int32(), pa.int32(), pa.int32(), pa.string(), pa.int64())
    return pa.schema(list(zip(CALLS, kinds, strict=True)))


def _trace(traces: Mapping[str, Trace], stream: Any) -> bytes:
    """Return one row a call: policy, seed, round (from 0), row of the stream, arm (-1 where none was called), and
    what the row is in the table as it was read: `query_id` and `file_row` (from 0)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    own, row = (stream, None) if stream.world is None else (stream.world.base, stream.world.row)
    origin, ids = (x if row is None else x[row] for x in (own.outcomes.origin, own.outcomes.query_id))
    schema, sink = trace_schema(), pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema, write_page_checksum=True) as writer:
        for name, trace in traces.items():
            seeds, rounds = trace.order.shape
            order = trace.order.ravel()
            columns = [
                pa.DictionaryArray.from_arrays(np.zeros(seeds * rounds, np.int32), [name]),
                np.repeat(np.arange(seeds, dtype=np.int32), rounds),
                np.tile(np.arange(rounds, dtype=np.int32), seeds),
                order,
                trace.arms.ravel(),
                pa.array(ids.astype(str).tolist(), pa.string()).take(pa.array(order)),
                origin[order],
            ]
            writer.write_table(pa.Table.from_arrays([pa.array(c) for c in columns], schema=schema))
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _split(whole: Any, evaluated: Any) -> pd.DataFrame:
    """Return every row that a warm start has shared out: `file_row`, `query_id`, `part` (logged or evaluated)."""
    import pandas as pd

    base = evaluated if evaluated.world is None else evaluated.world.base
    played = np.isin(whole.origin, base.outcomes.origin)
    parts = np.where(played, "evaluated", "logged")
    return pd.DataFrame({"file_row": whole.origin, "query_id": whole.query_id, "part": parts})

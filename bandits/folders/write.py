"""The files of a finished run: written whole or not at all."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.experiment.ask import Ask, Run
from bandits.experiment.lineup import REFERENCES
from bandits.folders.unfinished import keep_probes
from bandits.loop.replay import Trace
from bandits.results import phases

if TYPE_CHECKING:
    import pandas as pd

ABOVE = ("overview.html", "reward_by_budget.csv", "report.html")  # what several runs have above their folders
FILES = (
    "summary.csv", "curves.csv", "by_dataset.csv", "trace.parquet", "manifest.json", "report.html", "budget.csv",
    "changes.csv", "by_query.csv",
)  # fmt: skip
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


def check_folder(folder: Path) -> Path:
    """Return the folder if a run, or several below it, may be written there: absent, empty, or of earlier runs.

    Raises:
        ValueError: it cannot be written, or holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out needs a folder, {folder} is a file")
    earlier = (folder / "manifest.json").is_file() or (
        folder.is_dir() and all(p.name in ABOVE or (p / "manifest.json").is_file() for p in folder.iterdir())
    )
    if folder.exists() and not earlier:
        raise ValueError(
            f"--out {folder} holds other files and no earlier run; name an empty or a new folder"
        )
    try:
        standing = next(p for p in folder.absolute().parents if p.exists())
        with tempfile.TemporaryDirectory(dir=standing):
            pass
    except OSError as error:
        raise ValueError(f"--out {folder} cannot be written: {error.strerror or error}") from error
    return folder


def publish(folder: Path, run: Run, ask: Ask, known: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Summarise a finished run, write its folder, and return its tables by name.

    Args:
        folder: where to.
        run: what came of it.
        ask: what was asked for.
        known: what only the caller knows: command, context, data, seconds.
    """
    from bandits import report

    stream, tables = run.stream, _tables(run, ask)
    outcomes = stream.outcomes
    unfinished = [spec for spec in ask.policies if spec not in run.traces]
    manifest = {
        "title": _title(run, ask),
        "stream": stream.name,
        "label": outcomes.label,
        "notes": [*stream.notes, *_stopped(unfinished)],
        "cost_unit": outcomes.cost_unit,
        "models": list(stream.models),
        "marks": phases.marks(stream),
        **ask._asdict(),
        "policies": list(run.traces),
        "unfinished": unfinished,
        "asked": ask._asdict(),
        "preference": run.preference,
        "budget": run.budget,
        **known,
        "rounds": next(iter(run.traces.values())).arms.shape[1],
        "data": {
            "name": known["data"],
            "sha256": fingerprint(outcomes),
            "source": outcomes.source,
            "licence": outcomes.licence,
        },
        "versions": versions(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    files = {f"{name}.csv": frame.to_csv(index=False) for name, frame in tables.items()}
    files["report.html"] = report.render(
        tables["summary"],
        tables["curves"],
        tables["by_dataset"],
        manifest,
        tables.get("changes"),
        tables["by_query"],
    )
    save(folder, files=files, traces=run.traces, manifest=manifest)
    return tables


def _title(run: Run, ask: Ask) -> str:
    who = ", ".join(run.traces) if len(run.traces) <= _NAMED else f"{len(run.traces)} policies"
    parts = [f"{who} on {run.stream.name}"]
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

    from bandits.results.by_dataset import by_dataset, by_query
    from bandits.results.spending import account, burn_down
    from bandits.results.summary import summarise

    stream, limits = run.stream, run.limits
    summary, curves = summarise(stream, run.table, run.traces, limits=limits)
    summary["preference"], summary["budget"] = run.preference, run.budget
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


def save(
    folder: Path, *, files: Mapping[str, str], traces: Mapping[str, Trace], manifest: Mapping[str, Any]
) -> None:
    """Write `files` (name to text), `trace.parquet` and `manifest.json` as one folder that appears whole.

    An earlier run there is replaced; anything else is refused by `check_folder`, which goes first.
    """
    check_folder(folder).parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        for name, text in files.items():
            (staged / name).write_text(text, encoding="utf-8")
        (staged / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        _write_trace(staged / "trace.parquet", traces)
        if manifest.get("unfinished"):
            keep_probes(staged, traces)
        staged.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        staged.rename(folder)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def trace_schema() -> Any:
    """Return the columns of `trace.parquet`."""
    import pyarrow as pa

    return pa.schema(
        [
            ("policy", pa.dictionary(pa.int32(), pa.string())),
            ("seed", pa.int32()),
            ("round", pa.int32()),
            ("row", pa.int32()),
            ("arm", pa.int32()),
        ]
    )


def _write_trace(path: Path, traces: Mapping[str, Trace]) -> None:
    """Write one row a call: policy, seed, round (from 0), row of the stream, arm (-1 where none was called)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = trace_schema()
    with pq.ParquetWriter(path, schema) as writer:
        for name, trace in traces.items():
            seeds, rounds = trace.order.shape
            columns = [
                pa.DictionaryArray.from_arrays(np.zeros(seeds * rounds, np.int32), [name]),
                np.repeat(np.arange(seeds, dtype=np.int32), rounds),
                np.tile(np.arange(rounds, dtype=np.int32), seeds),
                trace.order.ravel(),
                trace.arms.ravel(),
            ]
            writer.write_table(pa.Table.from_arrays([pa.array(c) for c in columns], schema=schema))

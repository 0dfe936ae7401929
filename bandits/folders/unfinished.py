"""What a stopped run left: the traces of the policies that had finished, taken up by the same command run again."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bandits.experiment.ask import Ask
from bandits.folders.place import FORMAT
from bandits.loop.replay import Trace

PROBED = "probed.npz"  # what a stopped run under a budget keeps of its dual prices; no finished run needs it


def taken_up(places: Mapping[str, Path], ask: Ask, known: Mapping[str, Any]) -> dict[str, dict[str, Trace]]:
    """Return the traces that need not be made again, by the run's name and the policy's spec.

    There are some only where the same ask was stopped before its end: a finished one is run anew. Policies from a
    user's own file are always run anew, since the file may have changed; so is everything under a reward of the
    user's own.

    Args:
        places: the folder of each run of the ask.
        ask: what is asked for now; only its policies may be others than before.
        known: what else needs to be the same in the manifest: context, load, versions, sha256 of the data given.
    """
    wanted = json.loads(json.dumps({**known, "asked": ask._replace(policies=())._asdict()}))
    manifests = {name: _manifest(place) for name, place in places.items()}
    same = {name: m for name, m in manifests.items() if m is not None and _same(m, wanted)}
    stopped = len(same) < len(places) or any(
        m.get("unfinished") or not m.get("tables", True) for m in same.values()
    )
    if not stopped or ".py:" in ask.reward:
        return {}
    found = {
        name: _traces(places[name], bool(ask.budget) and ask.pacing.partition(",")[0] != "stop")
        for name in same
    }
    return {
        name: {spec: t for spec, t in traces.items() if spec in ask.policies and ".py:" not in spec}
        for name, traces in found.items()
    }


def probed(traces: Mapping[str, Trace]) -> bytes:
    """Return, as a file, what was read in the policies' states, which a trace file does not hold; empty: nothing."""
    found = {name: trace.probed for name, trace in traces.items() if trace.probed is not None}
    if not found:
        return b""
    sink = io.BytesIO()
    np.savez_compressed(sink, allow_pickle=False, **found)
    return sink.getvalue()


def _manifest(place: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((place / "manifest.json").read_bytes())
        return found if isinstance(found, dict) and found.get("format") == FORMAT else None
    except (OSError, ValueError, RecursionError):
        return None


def _same(manifest: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    told = manifest.get("asked")
    asked = {**(told if isinstance(told, dict) else {}), "policies": []}
    return all({**manifest, "asked": asked}.get(key) == value for key, value in wanted.items())


def _traces(place: Path, priced: bool) -> dict[str, Trace]:
    import pyarrow.parquet as pq

    found: dict[str, Trace] = {}
    try:
        calls = pq.read_table(place / "trace.parquet")
        stored = np.load(place / PROBED, allow_pickle=False) if (place / PROBED).exists() else {}
        probed, names = dict(stored), calls["policy"].to_numpy()
        for name in dict.fromkeys(names.tolist()):
            if priced and name not in probed:
                continue
            own = calls.filter(names == name)
            seeds = int(own["seed"].to_numpy().max()) + 1
            order, arms = (own[column].to_numpy().reshape(seeds, -1) for column in ("row", "arm"))
            found[name] = Trace(order, arms, probed.get(name))
    except (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile):
        return {}  # damaged: played anew
    return found

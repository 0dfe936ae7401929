"""What a stopped run left: the traces of the policies that had finished, taken up by the same command run again."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bandits.experiment.ask import Ask
from bandits.folders import manifest as manifests
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
    found = {name: kept(places[name], ask) for name in same}
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
        found = manifests.read(place)
    except ValueError:
        return None
    return found if found.get("format") == FORMAT else None


def _same(manifest: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    asked = {**manifest.get("asked", {}), "policies": []}
    return all({**manifest, "asked": asked}.get(key) == value for key, value in wanted.items())


def kept(place: Path, ask: Ask) -> dict[str, Trace]:
    """Return the traces that a run's folder holds, by the policy's spec; none where a file of theirs is damaged.

    That they are of the queries that the run asks, `bandits.experiment.ask.finish` sees to.
    """
    import pyarrow.parquet as pq

    found: dict[str, Trace] = {}
    try:
        calls = pq.read_table(
            place / "trace.parquet", columns=["policy", "row", "arm"], page_checksum_verification=True
        )
        probed, names = {}, calls["policy"].to_numpy()
        if (place / PROBED).exists():
            with open(place / PROBED, "rb") as file, np.load(file, allow_pickle=False) as stored:
                probed = dict(stored)
        for name in dict.fromkeys(names.tolist()):
            own = calls.filter(names == name)
            order, arms = (own[c].to_numpy().astype(np.int32).reshape(ask.seeds, -1) for c in ("row", "arm"))
            found[name] = Trace(order, arms, probed.get(name))
    except Exception:  # Parquet, zip files and NumPy's header fail in a dozen ways on damaged bytes
        return {}
    return found

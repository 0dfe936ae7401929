"""What a stopped run left: the traces of the policies that had finished, taken up by the same command run again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bandits.experiment.ask import Ask
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
    stopped = len(same) < len(places) or any(m.get("unfinished") for m in same.values())
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


def keep_probes(folder: Path, traces: Mapping[str, Trace]) -> None:
    """Write what was read in the policies' states, which a trace file does not hold."""
    probed = {name: trace.probed for name, trace in traces.items() if trace.probed is not None}
    if probed:
        np.savez_compressed(folder / PROBED, allow_pickle=False, **probed)


def _manifest(place: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads((place / "manifest.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _same(manifest: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    asked = {**manifest.get("asked", {}), "policies": []}
    return all({**manifest, "asked": asked}.get(key) == value for key, value in wanted.items())


def _traces(place: Path, priced: bool) -> dict[str, Trace]:
    import pyarrow.parquet as pq

    try:
        calls = pq.read_table(place / "trace.parquet")
        probed = dict(np.load(place / PROBED, allow_pickle=False)) if (place / PROBED).exists() else {}
    except (OSError, ValueError):
        return {}
    names, found = calls["policy"].to_numpy(), {}
    for name in dict.fromkeys(names.tolist()):
        if priced and name not in probed:
            continue
        own = calls.filter(names == name)
        seeds = int(own["seed"].to_numpy().max()) + 1
        order, arms = (own[column].to_numpy().reshape(seeds, -1) for column in ("row", "arm"))
        found[name] = Trace(order, arms, probed.get(name))
    return found

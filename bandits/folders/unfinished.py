"""Runs that are not finished, and what the same command takes up of them.

Of a table in memory: the calls of the policies that had finished, in the run's own folder. Of a larger one: a folder
beside the one to come, with a checkpoint and the calls of each window; it becomes the run's folder at the end.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bandits.experiment.ask import Ask
from bandits.experiment.sequences import called_again
from bandits.folders import manifest as manifests
from bandits.folders import place, trace
from bandits.loop.replay import Trace
from envs.windows import big


class Staged:
    """Where a run into `folder` keeps its checkpoint and, window by window, its calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = folder.parent / f".{folder.name}.unfinished"
        self.checkpoint, self.calls = self.place / "checkpoint.npz", self.place / "trace"
        ours = {*place.FILES, self.calls.name, self.checkpoint.name, f"{self.checkpoint.name}.part"}
        there = os.path.lexists(self.place)
        plain = self.place.is_dir() and not self.place.is_symlink()
        if there and not (plain and {p.name for p in self.place.iterdir()} <= ours):
            raise ValueError(f"{self.place} needs to hold only what a stopped run left; move it away")

    def begin(self) -> None:
        """Make the folder, empty."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.calls.mkdir(parents=True)

    def publish(self, files: Mapping[str, bytes], rounds: int) -> None:
        """Let the run's folder appear: all its calls, its files, the manifest after all others."""
        whole = self.place / trace.FILE
        trace.joined(self.calls, -(-rounds // big.WINDOW), whole)
        self.folder.mkdir(parents=True, exist_ok=True)
        os.replace(whole, self.folder / trace.FILE)
        place.replace(self.folder, files, stay=(trace.FILE,))
        shutil.rmtree(self.place)  # the last: until then, --resume makes all of it again


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
    found = {name: _manifest(folder) for name, folder in places.items()}
    same = {name: m for name, m in found.items() if m is not None and _same(m, wanted)}
    stopped = len(same) < len(places) or any(
        m.get("unfinished") or not m.get("tables", True) for m in same.values()
    )
    if not stopped or ".py:" in ask.reward:
        return {}
    held = {name: read(places[name], m) for name, m in same.items()}
    return {
        name: {spec: t for spec, t in traces.items() if spec in ask.policies and ".py:" not in spec}
        for name, traces in held.items()
    }


def read(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Trace]:
    """Return the traces of a run's folder as they were played, of several calls a query each call by itself.

    None where a file of theirs is damaged, see `trace.read`.
    """
    found = trace.read(folder, manifest["seeds"])
    if manifest.get("calls", 1) == 1:
        return found
    try:
        sequences = manifest["sequences"]
        models = len(manifest["models"]) - len(sequences)
        return called_again(found, sequences, manifest["again"], models, manifest["calls"])
    except (LookupError, TypeError, ValueError):
        return {}


def _manifest(folder: Path) -> dict[str, Any] | None:
    try:
        found = manifests.read(folder)
    except ValueError:
        return None
    return found if found.get("format") == place.FORMAT else None


def _same(manifest: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    asked = {**manifest.get("asked", {}), "policies": []}
    return all({**manifest, "asked": asked}.get(key) == value for key, value in wanted.items())

"""What players are called where several runs stand together: by what sets their runs apart."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bandits.folders.read import Finished

SETTINGS = (
    "reward", "preference", "budget", "pacing", "hard", "cap", "warm_start", "n_eff", "fit", "context",
)  # fmt: skip


def spelled(manifest: Mapping[str, Any], keys: Sequence[str]) -> str:
    return json.dumps([manifest.get(key) for key in keys], sort_keys=True)


def policies_of(run: Finished) -> list[str]:
    return list(run.summary.loc[run.summary["kind"] == "policy", "policy"])


def labels_of(runs: Sequence[Finished]) -> list[str]:
    """Return what sets each run apart: the settings that differ, else its folder, else its number too."""
    flat = [
        {key: run.manifest.get(key) for key in SETTINGS if key != "context"} | dict(run.manifest["context"])
        for run in runs
    ]
    differ = [key for key in flat[0] if len({spelled(each, [key]) for each in flat}) > 1]
    labels = [",".join(f"{key}={each.get(key)}" for key in differ) for each in flat]
    if len(set(labels)) == len(runs):
        return labels
    labels = [run.name for run in runs]
    return labels if len(set(labels)) == len(runs) else [f"{name} #{i}" for i, name in enumerate(labels, 1)]


def one_table(runs: Sequence[Finished]) -> bool:
    """Return whether references mean the same in all runs: no run has sequences of calls that another has not."""
    return len({run.manifest["data"]["sha256"] for run in runs}) == 1


def names_of(runs: Sequence[Finished], shared: bool) -> list[dict[str, str]]:
    """Return each run's players and what they are called in the merged one; what is left out is the same elsewhere.

    References are called by their run, unless they are `shared` and no run played them as policies.

    A reference that is a policy in another run (uniform) stays where that run had other settings: what is chosen at
    random within one budget says nothing of another.
    """
    count = Counter(name for run in runs for name in policies_of(run))
    played = {(name, spelled(run.manifest, SETTINGS)) for run in runs for name in policies_of(run)}
    found = []
    for i, (run, label) in enumerate(zip(runs, labels_of(runs), strict=True)):
        names = {}
        for name, kind in zip(run.summary["policy"], run.summary["kind"], strict=True):
            if kind == "policy":
                names[name] = f"{name} [{label}]" if count[name] > 1 else name
            elif kind == "reference" and (name, spelled(run.manifest, SETTINGS)) in played:
                continue
            elif kind == "reference" and (count[name] or not shared):
                names[name] = f"{name} [{label}]"
            elif i == 0 and not count[name]:
                names[name] = name
        found.append(names)
    return found

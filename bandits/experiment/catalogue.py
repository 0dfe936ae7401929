"""All that can be named: what `simulate.py list` prints."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from bandits import resolve
from bandits.experiment.lineup import REFERENCES, WRAPPERS
from bandits.loop.feedback import DELAYS
from bandits.policies import POLICIES
from bandits.policies.dueling import DUELLISTS
from bandits.policies.sequential import SEQUENTIAL
from bandits.rewards import REWARDS
from bandits.wrappers.budget import PACINGS
from envs.changes.changes import CHANGES
from envs.changes.scenarios import SCENARIOS
from envs.selection import names, select
from envs.twin.twin import twin


def catalogue() -> list[dict[str, str]]:
    """Return a row for all that can be named, streams of the twin included: kind, name, what, hyperparameters."""
    registries: tuple[tuple[str, Mapping[str, Callable[..., Any]]], ...] = (
        ("policy", POLICIES),
        ("duellist", DUELLISTS),
        ("sequential", SEQUENTIAL),
        ("wrapper", WRAPPERS),
        ("reward", REWARDS),
        ("pacing", PACINGS),
        ("change", CHANGES),
        ("delay", DELAYS),
    )
    rows = [
        {
            "kind": kind,
            "name": name,
            "what": (function.__doc__ or "").splitlines()[0],
            "hyperparameters": ", ".join(
                f"{k}={_default(v)}" for k, v in resolve.hyperparameters(function).items()
            ),
        }
        for kind, registry in registries
        for name, function in registry.items()
    ]
    table = twin()
    streams = {
        n: f"{int(select(table, n, 'the twin').sum())} queries of the {table.label}" for n in names(table)
    }
    worlds = {name: scenario.what for name, scenario in SCENARIOS.items()}
    for kind, told in (("reference", REFERENCES), ("scenario", worlds), ("stream", streams)):
        rows += [{"kind": kind, "name": n, "what": what, "hyperparameters": ""} for n, what in told.items()]
    return rows


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "NAME"
    return str(getattr(value, "__name__", value))

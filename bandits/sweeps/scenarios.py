"""All ready-made scenarios with the same policies on paired seeds: one table of regret, recovery and cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.base import Policy
from bandits.experiment import worlds
from bandits.experiment.lineup import Posed, bounds_of, lineup, ranged, run
from bandits.loop import feedback
from bandits.loop.replay import Trace
from bandits.metrics.intervals import paired, student
from bandits.metrics.regret import cumulative_regret, rewards
from bandits.metrics.significance import holm
from bandits.metrics.verdict import ALPHA
from bandits.results.phases import outcome
from bandits.rewards import PREFERENCE, Reward, reward_table
from envs.changes.scenarios import SCENARIOS


def compare(
    stream: Any,
    policies: Sequence[str],
    reward: Reward,
    *,
    preference: float = PREFERENCE,
    scenarios: Sequence[str] = tuple(SCENARIOS),
    progress: Callable[[str, int], object] | None = None,
    **replayed: Any,
) -> list[dict[str, Any]]:
    """Return a row for each scenario and policy; differences are from the first policy, seed by seed.

    Args:
        stream: a plain `Stream`.
        policies: specs; the first is the one to compare with.
        reward: see `reward_table`.
        preference: the weight on cost.
        scenarios: names from `envs.changes.scenarios.SCENARIOS`.
        progress: called with "scenario: spec" and the number of rounds done.
        replayed: seeds, seed, order, rounds, as `replay` takes them.

    Returns:
        Rows with the columns scenario, policy, `regret` against the oracle of the moment (`regret_lo`, `regret_hi`),
        all of `phases.outcome` (regret against the best model of each phase, recovery, take-up of an arriving model),
        `reward` and `cost` a round, `difference` in final regret from the first policy with its paired interval, `p`,
        Holm's over the whole table, and whether it is `significant` at 5 %. A scenario that the table cannot show has
        one row with `note`.

    Raises:
        ValueError: an unknown scenario, or as `lineup`.
    """
    rows: list[dict[str, Any]] = []
    known: dict[
        tuple[int, int], dict[str, Policy | None]
    ] = {}  # policies compile by identity: build once a shape
    for name in scenarios:
        asked = worlds.scenario(name)
        try:
            world = worlds.changed(stream, asked.changes, **replayed)
        except ValueError as error:
            rows.append({"scenario": name, "policy": "-", "note": str(error)})
            continue
        shape = world.n_arms, world.dim
        if shape not in known:
            known[shape] = lineup(world, policies, reward)
        table = reward_table(reward, world, preference)
        told = None if progress is None else _told(progress, name)
        posed = Posed(table, worlds.heard(world, table, reward, preference), preference)
        bounds = bounds_of(posed.heard[1])
        fitted = lineup(world, [spec for spec in policies if ranged(spec)], reward, bounds=bounds)
        late = feedback.parse(asked.delay, batch=asked.batch)
        traces = run(
            world, {**known[shape], **fitted}, {name: posed}, progress=told, feedback=late, **replayed
        )[name]
        rows += _rows(name, world, table, traces, replayed.get("seed", 0))
    return _corrected(rows)


def _told(progress: Callable[[str, int], object], name: str) -> Callable[[str, int], object]:
    return lambda spec, rounds: progress(f"{name}: {spec}", rounds)


def _rows(
    name: str, world: Any, table: NDArray[np.float64], traces: Mapping[str, Trace], seed: int
) -> list[dict[str, Any]]:
    final = {spec: cumulative_regret(table, trace)[:, -1] for spec, trace in traces.items()}
    first = next(iter(final.values()))
    found = []
    for spec, trace in traces.items():
        regret = final[spec]
        low, high = student(regret)
        row: dict[str, Any] = {"scenario": name, "policy": spec, "regret": float(regret.mean())}
        row |= {"regret_lo": float(low), "regret_hi": float(high)}
        row |= outcome(world, table, trace, seed=seed)
        row["reward"] = float(rewards(table, trace).mean())
        row["cost"] = float(rewards(world.cost, trace).mean()) if world.outcomes.priced else np.nan
        if regret is not first:
            gap = paired(regret, first)
            row |= {"difference": float(gap.mean), "difference_lo": float(gap.lo)}
            row |= {"difference_hi": float(gap.hi), "p": float(gap.p)}
        found.append(row)
    return found


def _corrected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with p-values corrected for all that the table compares."""
    adjusted = holm([row.get("p", np.nan) for row in rows]) if rows else np.empty(0)
    return [
        {**row, "p": float(p), "significant": bool(p < ALPHA)} if "p" in row else row
        for row, p in zip(rows, adjusted, strict=True)
    ]

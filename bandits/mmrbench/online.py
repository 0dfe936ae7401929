"""Online meets offline: bandits and routers on the same test queries of MMR-Bench's protocol (arXiv 2601.17814).

A router learns from every model's answer to each training query and is then asked about the test queries. A bandit
meets the test queries one by one and hears one answer each; it may begin where the training queries end
(`bandits.warm`). A bandit's frontier is its sweep over preferences, a router's is its published curve.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.base import Policy
from bandits.experiment import lineup as experiment
from bandits.metrics.intervals import AMOUNT, SHARE, student
from bandits.mmrbench import modes, protocol, scores, trial
from bandits.mmrbench.protocol import Protocol, Row
from bandits.policies.llmbandit.tasks import Log
from bandits.rewards import REWARDS, reward_table
from bandits.wrappers import warm
from envs.contexts import features
from envs.outcomes import Floats, Outcomes
from envs.stream import Stream

if TYPE_CHECKING:
    import pandas as pd

PREFERENCES = (0.0, 0.03, 0.1, 0.2, 0.5, 1.0, 3.0, 10.0)
WARM = ", warm"  # what is added to a spec's name where it begins with the training queries
_SPANNED = ("Ps", "nAUC_fair")  # scores with an interval
_KEPT = (*_SPANNED, "QNC", "QNC_01", "hypervolume", "n_pareto")
_SEEN = {modes.TEXT: "text", modes.BOTH: "both", modes.IMAGE: "image"}


class Meeting(NamedTuple):
    """What came of it.

    Attributes:
        table: a row for each router, reference and policy: `dataset, name, kind, n_train, n_test, outcomes` (how
            many it learned from), `Ps, nAUC_fair, QNC, QNC_01, hypervolume, n_pareto` of its frontier, `_lo` and
            `_hi` of the first two, and `interval`: over resampled `queries` for what was trained once, over `seeds`
            for policies.
        points: `dataset, name, kind` (router, reference, policy or model), `preference` (policies), `cost`, `utility`
            and, for policies, the 95 % intervals over seeds `cost_lo, cost_hi, utility_lo, utility_hi`.
        about: `dataset, mode, n_train, n_test, seeds, reward, cost_unit, label`.
    """

    table: list[Row]
    points: pd.DataFrame
    about: Row


class Sweep(NamedTuple):
    """What is run online.

    Attributes:
        policies: specs, each once; each is replayed over the test queries for every preference and seed.
        preferences: weights on cost, one point of a policy's frontier each.
        reward: spec of what the policies hear.
        seeds: `S`, orders of the test queries.
        seed: fixes the orders and the policies' randomness.
        warm_start: run each policy that has `prime` a second time, with the training queries as its prior.
    """

    policies: Sequence[str]
    preferences: Sequence[float] = PREFERENCES
    reward: str = "linear"
    seeds: int = 5
    seed: int = 0
    warm_start: bool = True


class _Sides(NamedTuple):
    """Training queries and test queries as streams with contexts of one kind, and the single models' means."""

    logged: Stream
    online: Stream
    true: scores.Truth


def meet(
    outcomes: Outcomes,
    sweep: Sweep,
    routers: Sequence[str],
    *,
    dim: int = 32,
    progress: Callable[[str, int], object] | None = None,
    **settings: Any,
) -> Meeting:
    """Return how policies and routers do on the same test queries.

    Args:
        outcomes: the whole table.
        sweep: the policies.
        routers: specs as for `Protocol`; the oracle is added.
        dim: principal components in the policies' context, see `features.context`.
        progress: called with a policy's name and the rounds it has done in its present run.
        settings: fields of `Protocol` other than `routers` and `seeds`; of split `cross`, the first pair is used.

    Raises:
        ValueError: one line that names the setting, what it needs and what it got.
    """
    import pandas as pd

    if not sweep.policies or not sweep.preferences:
        raise ValueError("online meets offline needs a policy and a preference, got none")
    asked = Protocol(
        **{**settings, "routers": ("oracle", *(r for r in routers if r != "oracle")), "seeds": 1}
    )
    sides = _sides(outcomes, asked, dim)
    rows, drawn = protocol.scores_and_points(outcomes, **asked._asdict())
    first = rows[0]
    dataset, size = first["dataset"], {k: first[k] for k in ("n_train", "n_test")}
    table = [_router_row(row, sides.online.n_arms) for row in rows if row["dataset"] == dataset]
    routed = drawn[drawn["dataset"] == dataset].rename(columns={"router": "name"}).drop(columns="threshold")
    points = [routed, _singles(sides)]
    for name, (cost, utility) in _played(sides, sweep, progress).items():
        told = size["n_train"] * sides.online.n_arms if name.endswith(WARM) else 0
        table.append(_policy_row(name, told + size["n_test"], cost, utility, sides.true))
        points.append(_policy_points(name, sweep.preferences, cost, utility))
    about = {"dataset": dataset, "mode": first["mode"], **size, "seeds": sweep.seeds, "reward": sweep.reward}
    about |= {"cost_unit": outcomes.cost_unit, "label": outcomes.label}
    frame = pd.concat(points, ignore_index=True).assign(dataset=dataset)
    return Meeting([{"dataset": dataset, **size, **row} for row in table], frame, about)


def _sides(outcomes: Outcomes, asked: Protocol, dim: int) -> _Sides:
    """Return both sides of the split as streams; the context's projection sees all queries, and no outcome."""
    settings = {k: v for k, v in asked._asdict().items() if k != "routers"}
    table, split = protocol.sides(outcomes, **settings)
    utility, cost = trial.recorded(table, asked.missing)
    table = replace(modes.embedded(table), utility=utility, cost=cost)
    digit = modes.parse(asked.mode)[1]
    context, _ = features.context(table, modality=_SEEN[digit], dim=dim)
    logged, online = (
        Stream(split.name, table.take(rows), context[rows]) for rows in (split.train, split.test)
    )
    return _Sides(logged, online, scores.truth(utility[split.test], cost[split.test]))


def _played(
    sides: _Sides, sweep: Sweep, progress: Callable[[str, int], object] | None
) -> dict[str, tuple[Floats, Floats]]:
    """Return each policy's mean cost and mean utility a query, both `(S, P)`, by its name."""
    worth = resolve.function(sweep.reward, REWARDS, "reward")
    log = Log(sides.logged.context, sides.logged.utility, sides.logged.cost)
    cold = experiment.lineup(sides.online, sweep.policies, worth, log=log, runs=(sweep.seed, sweep.seeds))
    posed = {}
    for preference in sweep.preferences:
        table = reward_table(worth, sides.online, preference)
        posed[f"{preference}"] = experiment.Posed(table, (sides.online, table), preference)
    options: dict[str, Any] = {"seeds": sweep.seeds, "seed": sweep.seed, "progress": progress}
    ranged = [spec for spec in sweep.policies if experiment.ranged(spec)]
    done: dict[str, Any] = {}
    for group in [[name] for name in posed] if ranged else [list(posed)]:
        bounds = experiment.bounds_of(posed[group[0]].table)
        fitted = experiment.lineup(sides.online, ranged, worth, bounds=bounds)
        asked = {name: posed[name] for name in group}
        experiment.run(sides.online, {**cold, **fitted}, asked, into=done, **options)
    for name, one in posed.items() if sweep.warm_start else ():
        told = reward_table(worth, sides.logged, one.preference)
        experiment.run(sides.online, _warmed(cold, sides.logged, told), {name: one}, into=done, **options)
    got: dict[str, list[Floats]] = {}
    for traces in done.values():
        for name, trace in traces.items():
            each = [
                sheet[trace.order, trace.arms].mean(axis=1)
                for sheet in (sides.online.cost, sides.online.utility)
            ]
            got.setdefault(name, []).append(np.stack(each))
    means = {name: np.stack(points, axis=-1) for name, points in got.items()}
    return {name: (both[0], both[1]) for name, both in means.items()}


def _warmed(
    cold: dict[str, Policy | None], logged: Stream, table: NDArray[np.float64]
) -> dict[str, Policy | None]:
    """Return the policies that a router's knowledge can start: its training queries as their prior."""
    prior = warm.fit(logged, table)
    return {
        spec + WARM: warm.start(policy, prior)
        for spec, policy in cold.items()
        if policy is not None and policy.prime is not None
    }


def _policy_row(name: str, learned: int, cost: Floats, utility: Floats, true: scores.Truth) -> Row:
    """Return a policy's scores: means over seeds, each seed with a frontier of its own, with intervals."""
    each = [scores.of_frontier(c, u, true) for c, u in zip(cost, utility, strict=True)]
    row: Row = {"name": name, "kind": "policy", "outcomes": learned}
    row |= {score: float(np.mean([one[score] for one in each])) for score in _KEPT}
    for score in _SPANNED:
        low, high = student([one[score] for one in each], within=SHARE)
        row |= {f"{score}_lo": float(low), f"{score}_hi": float(high)}
    return row | {"interval": "seeds"}


def _router_row(row: Row, n_arms: int) -> Row:
    learned = row["n_train"] * n_arms if row["kind"] == "router" else math.nan
    kept = {score: row[score] for score in _KEPT}
    kept |= {f"{score}_{end}": row[f"{score}_{end}"] for score in _SPANNED for end in ("lo", "hi")}
    return {"name": row["router"], "kind": row["kind"], "outcomes": learned, **kept, "interval": "queries"}


def _policy_points(name: str, preferences: Sequence[float], cost: Floats, utility: Floats) -> pd.DataFrame:
    """Return a policy's point for each preference, by ascending cost."""
    import pandas as pd

    columns: dict[str, Any] = {"name": name, "kind": "policy", "preference": preferences}
    for what, values, within in (("cost", cost, AMOUNT), ("utility", utility, SHARE)):
        low, high = student(values, within=within)
        columns |= {what: values.mean(axis=0), f"{what}_lo": low, f"{what}_hi": high}
    return pd.DataFrame(columns).sort_values("cost", kind="stable")


def _singles(sides: _Sides) -> pd.DataFrame:
    import pandas as pd

    means = {"cost": sides.true.model_cost, "utility": sides.true.model_utility}
    return pd.DataFrame({"name": sides.online.models, "kind": "model", **means})

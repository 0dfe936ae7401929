"""Task graphs played online: one bandit for all assignments, one for their parts, and one for each kind of step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.base import Policy
from bandits.experiment.lineup import build, trained
from bandits.loop import replay, slots
from bandits.metrics.intervals import SHARE, SHARES_APART, clustered, paired, student
from bandits.metrics.verdict import judge
from bandits.policies.sequential.factored import factored
from bandits.rewards import accuracy, reward_table
from envs.graphs.tasks import GROUPS, NO_VQA, Tasks, by_step, flat

Floats = NDArray[np.float64]
FLAT, PARTS, STEPS, FIXED = "flat", "parts", "steps", "best fixed"
HEARS = {FLAT: "the end", PARTS: "the end", STEPS: "each step", FIXED: "all (hindsight)"}


class Played(NamedTuple):
    """What one learner did.

    Attributes:
        name: as it is shown.
        way: one of `HEARS`.
        order: `(S, T)` rows asked.
        success: `(S, T)` whether the program succeeded.
        heard: `(S, T)` outcomes that the estimate behind the VQA choice (the LOC choice where there is none) had
            heard before this call: what the choice rests on.
    """

    name: str
    way: str
    order: NDArray[np.int32]
    success: Floats
    heard: Floats


def check(tasks: Tasks, specs: Sequence[str]) -> None:
    """Build every policy before any plays; those that pass are not built again.

    Args:
        tasks, specs: as `play` takes them.

    Raises:
        ValueError: a spec is wrong, given twice or needs a log, or there is none to compare with.
    """
    if twice := [spec for i, spec in enumerate(specs) if spec in specs[:i]]:
        raise ValueError(f"--policy {twice[0]!r} is given twice")
    for spec in filter(trained, specs):
        raise ValueError(f"--policy {spec!r} is trained on a log before it plays; graphs has none")
    if all(_way(spec) != FLAT for spec in specs):
        raise ValueError(
            f"graphs compares with one policy over all assignments: give --policy linucb beside {specs[0]!r}"
        )
    whole = flat(tasks)
    for spec in specs:
        build(spec, whole, accuracy)
        if tasks.step is not None and _way(spec) == FLAT:
            _bases(spec, tasks, by_step(tasks))


def _way(spec: str) -> str:
    return PARTS if spec.partition(",")[0] == "paired" else FLAT  # it takes the names of assignments apart


def play(
    tasks: Tasks, specs: Sequence[str], *, seeds: int = 5, seed: int = 0, rounds: int | None = None
) -> list[Played]:
    """Return each policy flat, and as one bandit a kind of step where steps are recorded; and what shares parts.

    Args:
        tasks: from `solvable`; all assignments tried.
        specs: policies, as in a run.
        seeds, seed, rounds: as `bandits.replay` takes them.

    Raises:
        ValueError: a spec is wrong.
    """
    whole = flat(tasks)
    table = reward_table(accuracy, whole, 0.0)
    kept: dict[str, Any] = {"seeds": seeds, "seed": seed, "rounds": rounds}
    found = []
    for spec in specs:
        trace = replay.replay(build(spec, whole, accuracy), whole, table, preference=0.0, **kept)
        way = _way(spec)
        found.append(_played(spec, way, tasks, trace.order, _assigned(tasks, trace.arms)))
        if tasks.step is not None and way == FLAT:
            found.append(_stepwise(spec, tasks, kept))
    fixed = int(np.nanmean(table, axis=0).argmax())
    order = found[0].order
    called = _assigned(tasks, np.full(order.shape, fixed))
    return [*found, _played("best fixed assignment", FIXED, tasks, order, called)]


def _stepwise(spec: str, tasks: Tasks, kept: dict[str, Any]) -> Played:
    stream = by_step(tasks)
    sizes = (len(tasks.vqa), len(tasks.loc))
    bases = _bases(spec, tasks, stream)
    trace = slots.replay(factored(bases, sizes), stream, accuracy, preference=0.0, **kept)
    called = np.full((*trace.order.shape, 2), -1)
    for slot in range(trace.arms.shape[2]):
        arm = trace.arms[..., slot]
        called[..., 0] = np.where((arm >= 0) & (arm < sizes[0]), arm, called[..., 0])
        called[..., 1] = np.where(arm >= sizes[0], arm - sizes[0], called[..., 1])
    return _played(spec, STEPS, tasks, trace.order, called)


def _bases(spec: str, tasks: Tasks, stream: Any) -> list[Policy]:
    """Return the policy for each kind of step, `stream` being `by_step(tasks)`."""
    sizes = (len(tasks.vqa), len(tasks.loc))
    spans = (slice(0, sizes[0]), slice(sizes[0], None))
    kinds = [
        _Kind(stream.models[at], n, stream.dim, stream.answered[at])
        for at, n in zip(spans, sizes, strict=True)
    ]
    return [build(spec, kind, accuracy) for kind in kinds]


class _Kind(NamedTuple):
    """The models of one kind of step, as far as a policy's factory asks: an `envs.shapes.Pool`."""

    models: tuple[str, ...]
    n_arms: int
    dim: int
    answered: NDArray[np.int64]


def _assigned(tasks: Tasks, arms: NDArray[Any]) -> NDArray[np.int64]:
    """Return `(S, T, 2)` VQA and LOC model of assignments."""
    return np.stack(np.divmod(arms.astype(np.int64), len(tasks.loc)), axis=-1)


def _played(name: str, way: str, tasks: Tasks, order: NDArray[np.int32], called: NDArray[np.int64]) -> Played:
    """Return what was played: `called` `(S, T, 2)`, -1 where a kind was not called."""
    at = np.maximum(called, 0)
    success = np.asarray(tasks.success[order, at[..., 0], at[..., 1]], np.float64)
    if way == FLAT:
        key = called[..., 0] * len(tasks.loc) + called[..., 1]
    else:
        key = np.where((tasks.kinds == NO_VQA)[order], len(tasks.vqa) + called[..., 1], called[..., 0])
    return Played(name, way, order, success, _before(key))


def _before(key: NDArray[np.int64]) -> Floats:
    """Return `(S, T)` how often a seed's key has come before each round."""
    found = np.zeros(key.shape)
    for s, row in enumerate(key):
        count: dict[int, int] = {}
        for t, k in enumerate(row.tolist()):
            found[s, t] = count.get(k, 0)
            count[k] = count.get(k, 0) + 1
    return found


def rows(tasks: Tasks, played: Sequence[Played]) -> list[dict[str, Any]]:
    """Return for each learner and group of programs its SER with interval over seeds, and what it leads the flat by.

    `base` names the flat policy that it is compared with: a factored one with the same policy flat, what shares parts
    (a LinUCB) with the first flat LinUCB, or the first flat policy where none was played. Differences are paired over
    seeds and over queries (in clusters of near copies), and Holm's correction runs over all of them.

    Raises:
        ValueError: no flat policy was played.
    """
    found, told = [], []
    cluster = tasks.cluster
    flats = {one.name: one for one in played if one.way == FLAT}
    if not flats:
        raise ValueError("rows need a policy over all assignments to compare with, none was played")
    linear = [one for name, one in flats.items() if name.startswith("linucb")]
    first = next(iter([*linear, *flats.values()]))
    for one in played:
        base = flats[one.name] if one.way in (FLAT, STEPS) else first
        for group in ("all", *GROUPS):
            inside = np.ones(len(tasks), bool) if group == "all" else tasks.kinds == group
            if not inside.any():
                continue
            asked = inside[one.order]
            row, tests = _row(one, base, group, asked, cluster)
            found.append(row)
            told.append(tests)
    at = [i for i, tests in enumerate(told) if tests is not None]
    if at:
        seeds, queries, counts = (np.array([told[i][part] for i in at]) for part in range(3))
        said = judge(
            _estimates(seeds), _estimates(queries), seeds=len(played[0].order), queries=counts.astype(int)
        )
        for place, i in enumerate(at):
            found[i] |= {"shown": bool(said.shown[place]), "why": str(said.why[place])}
    return found


def _row(
    one: Played, base: Played, group: str, asked: NDArray[np.bool_], cluster: NDArray[Any]
) -> tuple[dict[str, Any], Any]:
    count = asked.sum(axis=1)
    mean = np.where(asked, one.success, 0.0).sum(axis=1) / np.maximum(count, 1)
    lo, hi = student(mean, within=SHARE)
    heard = float(np.where(asked, one.heard, 0.0).sum() / max(count.sum(), 1))
    row: dict[str, Any] = {
        "policy": one.name, "way": one.way, "hears": HEARS[one.way], "programs": group,
        "rounds": int(count.mean()), "ser": float(mean.mean()), "ser_lo": float(lo), "ser_hi": float(hi),
        "heard_before": heard if one.way != FIXED else float("nan"),
        "base": "" if one is base else base.name,
        "over_flat": float("nan"), "lo": float("nan"), "hi": float("nan"), "shown": False, "why": "",
    }  # fmt: skip
    if one is base or not count.all():
        return row, None
    gap = np.where(asked, one.success - base.success, 0.0)
    over_seeds = paired(gap.sum(axis=1) / count, np.zeros(len(count))).within(SHARES_APART)
    groups = int(cluster.max()) + 1
    of_query = cluster[one.order].ravel()
    over_queries = clustered(
        np.bincount(of_query, gap.ravel(), groups), np.bincount(of_query, asked.ravel(), groups)
    ).within(SHARES_APART)
    lo_, hi_ = (min(over_seeds.lo, over_queries.lo), max(over_seeds.hi, over_queries.hi))
    row |= {"over_flat": float(over_seeds.mean), "lo": float(lo_), "hi": float(hi_)}
    if one.way == FIXED:  # a yardstick, no contender: nothing plays it without hindsight
        return row, None
    stands = len(np.unique(of_query[asked.ravel()]))
    return row, (np.array(over_seeds), np.array(over_queries), stands)


def _estimates(values: NDArray[np.float64]) -> Any:
    from bandits.metrics.intervals import Estimate

    return Estimate(*(np.asarray(values, float)[:, i] for i in range(4)))

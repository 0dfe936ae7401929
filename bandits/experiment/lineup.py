"""From specs to traces: build every policy once, check it, and replay all of them on the same seeds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.base import Policy, check
from bandits.experiment.filled import arm_named, filled
from bandits.loop import slots
from bandits.loop.keys import seed_keys
from bandits.loop.orders import orders
from bandits.loop.replay import Case, Trace, replays
from bandits.metrics.regret import comparator, played
from bandits.policies import POLICIES
from bandits.policies.dueling import DUELLISTS
from bandits.policies.llmbandit.by_run import by_run
from bandits.policies.selection.bases import named
from bandits.policies.sequential import SEQUENTIAL
from bandits.rewards import Reward
from bandits.wrappers.conservative import conservative
from bandits.wrappers.newcomers import explore_new, pooled
from bandits.wrappers.own_length import own_length
from bandits.wrappers.restart import restart
from envs import heap

if TYPE_CHECKING:
    from bandits.policies.llmbandit.tasks import Log
    from envs.shapes import Pool
    from envs.stream import Stream

# Not policies: they know the outcomes. Computed from the reward table, in the same order of queries.
REFERENCES = {
    "oracle": "Call the model of the highest reward for each query, the cheapest among equals (needs hindsight).",
    "best_fixed": "Call the one model of the highest mean reward over the stream (needs hindsight).",
    "best_per_dataset": "Call the model of the highest mean reward in the query's dataset (needs hindsight).",
}

OFFERED = {**POLICIES, **DUELLISTS, **SEQUENTIAL, **dict.fromkeys(REFERENCES, POLICIES["uniform"])}

# Around another policy's spec, as in "restart(linucb,alpha=1),threshold=8".
WRAPPERS: dict[str, Callable[..., Policy]] = {
    "restart": restart,
    "explore_new": explore_new,
    "pooled": pooled,
    "conservative": conservative,
    "own_length": own_length,
}


def build(
    spec: str,
    stream: Pool,
    reward: Reward,
    log: Log | None = None,
    *,
    checked: bool = True,
    bounds: tuple[float, float] | None = None,
    runs: tuple[int, int] | None = None,
    again: bool = False,
) -> Policy:
    """Return the checked policy that a spec names, sized for the stream.

    `wrapper(spec),key=value` puts one of `WRAPPERS` around another. A hyperparameter `model` is given as the
    model's name; a factory that asks for `reward` gets the run's reward, one that asks for `log` the rows set aside
    to train on, and one that clips rewards from `low` to `high` gets `bounds`, where neither is in the spec. With
    `runs`, seed and number of seeds, what trains on a log does so once for each of them. Without `checked`, what it
    does is not looked at, which takes a compiler, only what it was given. With `again` it may call again for a query.

    Raises:
        ValueError: the spec is wrong, a hyperparameter is out of range, it may call again where nothing can, or a
            user's own policy raised or broke the contract; the line names the file and line where there is one.
    """
    policy = _named(spec, stream, reward, log, checked=checked, bounds=bounds, runs=runs)
    if policy.again and not again:
        raise ValueError(
            f"policy {spec!r} may call again for a query: it needs a run with --calls 2 or more, and no wrapper"
        )
    return policy


def _named(
    spec: str,
    stream: Pool,
    reward: Reward,
    log: Log | None,
    *,
    checked: bool,
    bounds: tuple[float, float] | None,
    runs: tuple[int, int] | None,
) -> Policy:
    """Return the policy of `build`, whether or not it may call again."""
    around = _around(spec)
    if around:
        wrapper = resolve.function(around[1] + around[3], WRAPPERS, "wrapper")
        inside = build(around[2], stream, reward, log, checked=checked, bounds=bounds, runs=runs)
        named_arm = resolve.hyperparameters(wrapper).get("model")
        told = {"model": arm_named(named_arm, stream.models)} if isinstance(named_arm, str) else {}
        outside = wrapper(inside, stream.n_arms, stream.dim, **told)
        return check(outside, stream.n_arms, stream.dim, spec) if checked else outside
    if spec.count("(") != spec.count(")"):
        raise ValueError(f"policy {spec!r} needs a ) for every (, as in restart(linucb,alpha=1),threshold=8")
    factory = resolve.function(spec, OFFERED, "policy")
    keys = resolve.hyperparameters(factory)
    given = filled(spec, keys, stream, reward, log)
    if "of" in keys:
        given["bases"] = tuple(
            build(base, stream, reward, log, checked=checked, bounds=bounds, runs=runs)
            for base in _bases(keys["of"])
        )
    if bounds is not None and ranged(spec):
        given["low"], given["high"] = bounds
    try:
        if ".py:" in spec or "log" in given:  # may be another by the next time
            if ".py:" not in spec and runs is not None and "seed" in keys:
                factory = partial(by_run, factory, seed_keys(*runs), seed=keys["seed"], run=runs[0])
            return _made(factory, stream.n_arms, stream.dim, spec, given, checked)
        return _kept(spec, stream.n_arms, stream.dim, tuple(given.items()), checked)
    except (Exception, SystemExit) as error:
        if isinstance(error, ValueError) and ".py:" not in spec:
            raise
        place = resolve.where(factory, error)
        raise ValueError(
            f"policy {spec!r}{place} raised {type(error).__name__}: {_first_line(error)}"
        ) from error


def _around(spec: str) -> re.Match[str] | None:
    """Return the wrapper, the spec inside and the wrapper's hyperparameters, where there is a wrapper."""
    return re.fullmatch(r"\s*(\w+)\((.*)\)((?:,[^()]*)?)", spec)


def _bases(of: str) -> list[str]:
    """Return the specs of the bases that a policy chooses among; no reference is one, it knows the outcomes."""
    specs = named(of)
    if known := [spec for spec in specs if spec in REFERENCES]:
        raise ValueError(f"policy {known[0]!r} knows the outcomes; of needs policies")
    return specs


def parts(spec: str) -> list[str]:
    """Return the specs of the policies that a spec's policy wraps or chooses among; none of one by itself."""
    around = _around(spec)
    if around:
        return [around[2]]
    keys = resolve.hyperparameters(resolve.function(spec, OFFERED, "policy"))
    return _bases(keys["of"]) if "of" in keys else []


def ranged(spec: str) -> bool:
    """Return whether a spec's policy clips rewards to a range that the spec does not give."""
    return {"low", "high"} <= _open(spec)


def trained(spec: str) -> bool:
    """Return whether a spec's policy is trained on a log before the run, which takes minutes."""
    return "log" in _open(spec)


def _open(spec: str) -> set[str]:
    """Return the hyperparameters of a spec's policy, the innermost one, that the spec does not give."""
    inner = re.sub(r"^(\s*\w+\()+|\).*", "", spec)
    name, *pairs = (part.strip() for part in inner.split(","))
    mine = {pair.partition("=")[0] for pair in pairs}
    factory = OFFERED.get(name)
    return set() if factory is None else set(resolve.hyperparameters(factory)) - mine


def bounds_of(table: NDArray[np.float64]) -> tuple[float, float]:
    """Return the least and the highest reward of a table, a little apart where they are one."""
    low, high = float(np.nanmin(table)), float(np.nanmax(table))
    return (low, high) if low < high else (low, low + 1.0)


@lru_cache(8)
def _kept(spec: str, n_arms: int, dim: int, given: tuple[tuple[str, Any], ...], checked: bool) -> Policy:
    """Return the policy of a spec, the same one when it is asked for again: its programs are compiled already."""
    factory = resolve.function(spec, OFFERED, "policy")
    return _made(factory, n_arms, dim, spec, dict(given), checked)


def _made(
    factory: Callable[..., Policy], n_arms: int, dim: int, spec: str, given: Mapping[str, Any], checked: bool
) -> Policy:
    policy = factory(n_arms, dim, **given)
    return check(policy, n_arms, dim, spec) if checked else policy


def lineup(
    stream: Pool,
    specs: Sequence[str],
    reward: Reward,
    log: Log | None = None,
    *,
    bounds: tuple[float, float] | None = None,
    runs: tuple[int, int] | None = None,
    again: bool = False,
) -> dict[str, Policy | None]:
    """Return each spec's policy, built once, a user's own checked; None for a reference. The rest as in `build`.

    With `again`, policies may call again for a query.

    Raises:
        ValueError: a spec is given twice, or as `build`.
    """
    repeated = [s for i, s in enumerate(specs) if s in specs[:i]]
    if repeated:
        raise ValueError(f"policy {repeated[0]!r} is given twice; name each once")
    # What is ours is checked by the conformance suite; to do it again takes a second of each run.
    return {
        spec: None
        if spec in REFERENCES
        else build(spec, stream, reward, log, checked=".py:" in spec, bounds=bounds, runs=runs, again=again)
        for spec in specs
    }


class Again(NamedTuple):
    """The `stream` of several calls a query, each paid with its judge, and what a delivered answer is `worth`."""

    stream: Any
    worth: Reward


class Posed(NamedTuple):
    """A run to make.

    Attributes:
        table: `(N, K)` from `reward_table`: the truth, which references and regret go by.
        heard: the stream and the table that policies hear, from `worlds.heard`.
        preference, budget: as in `Case`.
        again: what policies hear that may call again for a query, see `Again`; None: none does.
    """

    table: NDArray[np.float64]
    heard: tuple[Any, NDArray[np.float64]]
    preference: Any
    budget: NDArray[np.float64] | None = None
    again: Again | None = None


def run(
    stream: Stream,
    policies: Mapping[str, Policy | None],
    posed: Mapping[str, Posed],
    *,
    into: dict[str, dict[str, Trace]] | None = None,
    progress: Callable[[str, int], object] | None = None,
    **options: Any,
) -> dict[str, dict[str, Trace]]:
    """Return a trace for each run and policy, all on the same seeds and orders; a policy plays its runs side by side.

    Args:
        stream: a `Stream`.
        policies: from `lineup`; the same ones serve every preference, seed and order without compiling anew.
        posed: the runs by name; all hear the same stream.
        into: filled as policies finish, so that a stop loses none; what it holds is not run again.
        progress: called with the spec and the number of rounds done, all runs together.
        options: as `replays` takes them (seeds, seed, order, rounds, feedback).
    """
    traces: dict[str, dict[str, Trace]] = {} if into is None else into
    for spec, policy in policies.items():
        to_do = {name: one for name, one in posed.items() if spec not in traces.setdefault(name, {})}
        if policy is None:
            done = [hindsight(stream, one.table, spec, options) for one in to_do.values()]
        elif to_do:
            told = None if progress is None else partial(progress, spec)
            cases = [Case(one.heard[1], one.preference, one.budget) for one in to_do.values()]
            one = next(iter(to_do.values()))
            more = {"progress": told, "probe": policy.price, **options}
            if policy.again and one.again is not None:
                done = slots.replays(policy, one.again.stream, cases, one.again.worth, **more)
            else:
                done = replays(policy, one.heard[0], cases, **more)
            heap.give_back()  # the next policy works with other sizes
        else:
            done = []
        for name, trace in zip(to_do, done, strict=True):
            traces[name][spec] = trace
    return traces


def hindsight(stream: Stream, table: NDArray[np.float64], name: str, options: Mapping[str, Any]) -> Trace:
    """Return the trace of a reference: what hindsight would have called, query by query."""
    kept = {k: v for k, v in options.items() if k in ("seeds", "seed", "order", "rounds")}
    rows = orders(stream, **kept)
    arms = comparator(table, name, cost=stream.cost, dataset=stream.dataset, times=played(rows, len(table)))
    return Trace(rows, arms[rows].astype(np.int32))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]

"""From what was asked for to finished runs: what is evaluated, what policies hear, which traces are known already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.base import RESOURCES, Policy
from bandits.experiment import lineup as experiment
from bandits.experiment import logs, several, worlds
from bandits.experiment.ask import Ask, Judged, Run, name_of
from bandits.experiment.sequences import as_sequences, paid
from bandits.loop import feedback
from bandits.loop.orders import orders
from bandits.loop.replay import Trace
from bandits.rewards import REWARDS, Reward, preferences, reward_table
from bandits.wrappers import budget, warm
from envs import heap
from envs.changes import duels
from envs.logged import refit

if TYPE_CHECKING:
    from bandits.rewards import Preference
    from envs.shapes import Table
    from envs.stream import Stream

FITS = ("all", "warm")
Traces = dict[str, dict[str, Trace]]  # by the run's name and the policy's spec
Progress = Callable[[str, int], object]


class _Posed(NamedTuple):
    """The runs to make, before anything is played.

    Attributes:
        stream: what is evaluated.
        worth: the reward.
        late: how feedback comes.
        logged: the log that policies start from, or None.
        preferences: each by its text: a number, or one for each query.
        limits: each budget by its text.
        runs: by the preference's text and the run's name.
    """

    stream: Stream
    worth: Reward
    late: feedback.Late | None
    logged: Any
    preferences: dict[str, Any]
    limits: dict[str, NDArray[np.float64] | None]
    runs: dict[str, dict[str, experiment.Posed]]


def finish(
    stream: Stream,
    ask: Ask,
    progress: Progress | None = None,
    *,
    known: Mapping[str, Mapping[str, Trace]] = MappingProxyType({}),
    log: Stream | None = None,
    play: bool = True,
    context: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Run]:
    """Yield a finished run for each preference and budget; every policy is built once and serves them all.

    Args:
        stream: the whole `Stream`; with a warm start, the rest of it is evaluated.
        ask: what to do.
        progress: called with a policy's spec and the rounds it has done in its present run.
        known: traces that need not be made again, by the run's name and the policy's spec; those that do not fit
            the queries of a run are.
        log: a `Stream` of logged rows from a table of their own (`envs.logged.beside`), where
            `ask.warm_start` names one; nothing is then set aside.
        play: False where every policy needs to be known: no policy is built, and no code of the user's is for it.
        context: modality, fusion, dim and whiten that the stream was loaded with, where they are not the defaults.

    Raises:
        KeyboardInterrupt: on Ctrl-C, after a `Run` of the policies that had finished, where there are any, for each.
        ValueError: one line that names the option, what it needs and what it got.
    """
    check(ask)
    if (ask.calls > 1) != (stream.several is not None):
        raise ValueError(
            "a run with several calls a query needs a stream from several.judged, others another"
        )
    posed = _posed(stream, ask, log, context)
    traces = _known(posed, ask, known)
    needed = [spec for spec in ask.policies if any(spec not in done for done in traces.values())]
    if not play and (lacking := [spec for spec in needed if spec not in experiment.REFERENCES]):
        raise ValueError(f"the trace of {lacking[0]!r} is damaged or of other queries")
    given: dict[str, tuple[float, float]] = {}
    stopped = None
    heap.give_back()
    try:
        _play(posed, ask, needed, traces, given, progress)
    except KeyboardInterrupt as error:
        stopped = error
    for text, runs in posed.runs.items():
        for (name, one), (amount, limit) in zip(runs.items(), posed.limits.items(), strict=True):
            if traces[name]:
                done = {spec: traces[name][spec] for spec in ask.policies if spec in traces[name]}
                run = Run(
                    name, text, amount, posed.stream, one.table, limit, done, posed.late, given.get(text)
                )
                yield run if stream.several is None else _sequences(run, posed.worth, one.preference)
    if stopped is not None:
        raise stopped


def _sequences(run: Run, worth: Reward, preference: Preference) -> Run:
    """Return a run with several calls a query as one of a stream whose columns are sequences of calls."""
    got = as_sequences(run.stream, run.traces, worth, preference)
    judged = Judged(paid(run.stream), worth, preference, got.confidence)
    return run._replace(stream=got.stream, table=got.table, traces=got.traces, calls=got.calls, judged=judged)


def check(ask: Ask) -> None:
    """Raise where options do not go together."""
    if not ask.budget and (ask.hard or ask.pacing != "stop"):
        raise ValueError("--pacing and --hard need a --budget to hold to")
    if ask.n_eff is not None and ask.warm_start is None:
        raise ValueError("--n-eff needs a --warm-start whose rows it counts")
    if ask.fit not in FITS:
        raise ValueError(f"--fit needs one of {', '.join(FITS)}, got {ask.fit!r}")
    if ask.fit == "warm" and ask.warm_start is None:
        raise ValueError("--fit warm needs a --warm-start whose rows it fits the context on")


def _posed(stream: Stream, ask: Ask, log: Any, context: Mapping[str, Any]) -> _Posed:
    """Return the runs to make: the log set aside, the world as it changes, each preference's and budget's tables."""
    worth: Reward = resolve.function(ask.reward, REWARDS, "reward")
    logged = log
    if log is None and ask.warm_start is not None:
        logged, stream = logs.set_aside(stream, str(ask.warm_start), seed=ask.seed)
    elif log is not None:
        logged, stream = logs.weighed(log, stream)
    if ask.fit == "warm":
        logged, stream = refit(logged, stream, **context)
    stream, waiting = world(stream, ask), worlds.late(ask)
    rounds = ask.rounds or (len(stream) if stream.world is None else stream.world.rounds)
    budgets = budget.forms(ask.budget) or [""]
    amounts = {text: limits(stream, ask._replace(budget=(text,) if text else ()), rounds) for text in budgets}
    asked = preferences(ask.preference, len(stream), ask.seed)
    runs: dict[str, dict[str, experiment.Posed]] = {text: {} for text in asked}
    for text, value in asked.items():
        table = reward_table(worth, stream, value)
        heard = worlds.heard(stream, table, worth, value, kind=ask.feedback, seed=ask.seed)
        again = None
        if stream.several is not None:
            again = experiment.Again(paid(heard[0]), worth)
            heard = replace(heard[0], several=None), heard[1]
        for amount in budgets:
            one = experiment.Posed(table, heard, value, amounts[amount], again)
            runs[text][name_of(text, amount, list(asked), budgets)] = one
    return _Posed(stream, worth, waiting, logged, asked, amounts, runs)


def _known(posed: _Posed, ask: Ask, known: Mapping[str, Mapping[str, Trace]]) -> Traces:
    """Return, for each run, the traces that need not be made again."""
    priced = bool(ask.budget) and budget.priced(ask.pacing)
    order = orders(posed.stream, **_replayed(ask)) if known else np.zeros((0, 0), np.int32)
    return {
        name: _fitting(known.get(name, {}), order, one.table, probed=priced)
        for runs in posed.runs.values()
        for name, one in runs.items()
    }


def _play(
    posed: _Posed,
    ask: Ask,
    needed: list[str],
    into: Traces,
    given: dict[str, tuple[float, float]],
    progress: Progress | None,
) -> None:
    """Play the policies that are needed, each built once, and fill `into`; `given` gets the ranges of rewards told.

    Preferences are played side by side, unless what a policy starts from or hears of a query goes by them.
    """
    stream, worth, logged = posed.stream, posed.worth, posed.logged
    past = None if logged is None else logs.past(logged, stream)
    again = stream.several is not None
    lineup = experiment.lineup(stream, needed, worth, log=past, runs=(ask.seed, ask.seeds), again=again)
    cold = _all_held(lineup, stream, ask)
    # Of these the range of rewards, which they are told, goes by the preference.
    ranged = [spec for spec in needed if experiment.ranged(spec)]
    alone = logged is not None or ask.feedback == "dueling" or bool(ranged)
    for texts in [[text] for text in posed.preferences] if alone else [list(posed.preferences)]:
        begun, first = cold, posed.runs[texts[0]]
        if ranged:
            bounds = experiment.bounds_of(next(iter(first.values())).heard[1])
            given |= dict.fromkeys(texts, bounds)
            fitted = experiment.lineup(stream, ranged, worth, log=past, bounds=bounds, again=again)
            lineup = {**lineup, **fitted}
            begun = {**cold, **_all_held(fitted, stream, ask)}
        if logged is not None:  # a log has no preferences of its own: the mean one stands for them
            mean = float(np.mean(posed.preferences[texts[0]]))
            known = _logged(logged, worth, mean), _logged(paid(logged), worth, mean)
            begun = _warmed(lineup, stream, ask, *known)
        runs = {name: one for text in texts for name, one in posed.runs[text].items()}
        options = {**_replayed(ask), "feedback": posed.late}
        experiment.run(stream, begun, runs, into=into, progress=progress, **options)


def _fitting(
    known: Mapping[str, Trace], order: NDArray[np.int32], table: NDArray[np.float64], *, probed: bool
) -> dict[str, Trace]:
    """Return the traces that meet the queries in this `(S, T)` order and call only what `table` has an outcome of.

    Where prices were set, `probed`, a trace without them is not whole.
    """

    def fits(trace: Trace) -> bool:
        arms = trace.arms
        if probed and (trace.probed is None or trace.probed.shape[:2] != order.shape):
            return False
        if arms.shape[:2] != order.shape or not np.array_equal(trace.order, order):
            return False
        if arms.min() < -1 or arms.max() >= table.shape[1]:
            return False
        asked = order if arms.ndim == 2 else order[..., None]
        return not np.isnan(table[asked, arms])[arms >= 0].any()

    return {spec: trace for spec, trace in known.items() if fits(trace)}


def _replayed(ask: Ask) -> dict[str, Any]:
    return {"seeds": ask.seeds, "seed": ask.seed, "order": ask.order, "rounds": ask.rounds}


def world(stream: Stream, ask: Ask) -> Any:
    """Return the stream that is played: with what changes in it, and pairs of models where they duel."""
    ready = () if ask.scenario is None else worlds.scenario(ask.scenario).changes
    stream = several.changed(worlds.changed(stream, (*ready, *ask.change), **_replayed(ask)), ask)
    return duels.pairs(stream) if ask.feedback == "dueling" else stream


class _Logged(NamedTuple):
    """A log as its reward sees it: the `Stream`, its reward table and the preference that went into it."""

    stream: Stream
    table: NDArray[np.float64]
    preference: float


def _logged(logged: Stream, worth: Reward, preference: float) -> _Logged:
    return _Logged(logged, reward_table(worth, logged, preference), preference)


def _warmed(
    lineup: Mapping[str, Policy | None], stream: Stream, ask: Ask, log: _Logged, judged: _Logged
) -> dict[str, Policy | None]:
    """Return the lineup that knows the log: ridge policies through a prior, every other one by hearing it.

    A policy that may call again hears it as it is with each call `judged` and paid so.
    """
    prior = warm.fit(log.stream, log.table, n_eff=ask.n_eff)
    warmed: dict[str, Policy | None] = {}
    for spec, policy in lineup.items():
        if policy is None:
            warmed[spec] = None
        elif policy.prime is None:
            told = judged if policy.again else log
            warmed[spec] = _held(warm.hear(policy, told.stream, told.table, told.preference), stream, ask)
        else:
            warmed[spec] = warm.start(_held(policy, stream, ask), prior)
    return warmed


def _held(policy: Policy, stream: Stream, ask: Ask) -> Policy:
    """Return the policy in the wrappers that a budget or a cap asks for."""
    if not ask.budget and ask.cap is None:
        return policy
    on = paid(stream) if policy.again else stream
    return budget.held(policy, on, pacing=ask.pacing, hard=ask.hard, cap=ask.cap)


def _all_held(lineup: Mapping[str, Policy | None], stream: Stream, ask: Ask) -> dict[str, Policy | None]:
    return {spec: policy and _held(policy, stream, ask) for spec, policy in lineup.items()}


def limits(table: Table, ask: Ask, rounds: int) -> NDArray[np.float64] | None:
    """Return the `(R,)` limits of an ask of one budget at most; None where every round has a call.

    A capped policy needs to be allowed no call: without a budget it has limits that limit nothing.
    """
    if ask.budget:
        return budget.parse(ask.budget[0], table, rounds)
    return None if ask.cap is None else np.full(len(RESOURCES), np.inf)

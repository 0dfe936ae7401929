"""From a sweep's file to its jobs: streams loaded, every spec tried before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandits import resolve
from bandits.experiment import lineup as experiment
from bandits.experiment.ask import Ask
from bandits.experiment.play import finish, world
from bandits.publish.asked import one_call
from bandits.rewards import REWARDS
from bandits.sweeps import grid
from bandits.sweeps.job import CONTEXT, Job, job, loaded, sha256
from bandits.wrappers import budget

if TYPE_CHECKING:
    from envs.stream import Stream


def jobs(
    path: Path | str,
    *,
    tried: bool = True,
    fits: Callable[[Any, Ask], object] = lambda stream, ask: None,
    streams: dict[str, Stream] | None = None,
) -> list[Job]:
    """Return the jobs of a sweep's file, those of one stream together.

    Args:
        path: of the TOML file.
        tried: build every policy and price every outcome first, so that nothing is refused later; False for jobs
            whose results are only looked up.
        fits: called with a stream and an ask before it is tried; it raises where they do not fit the machine.
        streams: filled with the stream of each job, by the job's `home`; None: they are not kept.

    Raises:
        ValueError: the file is wrong (`grid.read`), or a table, a spec or an option is; one line.
    """
    asked = grid.read(path)
    found: dict[str, Job] = {}
    for load in asked.streams:
        asks = list(_asks(asked))
        if refused := one_call(asks[0]) if asks[0].calls > 1 else "":
            raise ValueError(f"{path}: {refused}")
        stream = loaded(asks[0], load)
        data = sha256(stream)
        label = world(stream, asks[0]._replace(seeds=1)).outcomes.label  # changes are the same for all jobs
        if tried:
            for ask in asks:
                fits(stream, ask)
            _try(stream, asks, {k: load[k] for k in CONTEXT if k in load})
        for ask in asks:
            made = job(ask, load, stream, data, label)
            found.setdefault(made.digest, made)
        if streams is not None:
            streams[made.home] = stream
    return list(found.values())


def _asks(asked: grid.Grid) -> Iterator[Ask]:
    """Yield an ask for each policy, reward, way of spending and kind of preference."""
    numbers = [p for p in asked.preferences if "(" not in p]
    kinds = [",".join(numbers)] * bool(numbers) + [p for p in asked.preferences if "(" in p]
    amounts = tuple(b for b in asked.budgets if b != grid.NONE)
    if not amounts and (asked.pacings != ("stop",) or asked.options.get("hard")):
        raise ValueError("pacings and hard need budgets to hold to, got none")
    ways: list[dict[str, Any]] = [{"budget": amounts, "pacing": p} for p in asked.pacings if amounts]
    if len(amounts) < len(asked.budgets):
        ways.insert(0, {"hard": False})
    for policy in asked.policies:
        for reward in asked.rewards:
            for preference in kinds:
                for way in ways:
                    yield Ask((policy,), reward=reward, preference=preference, **{**asked.options, **way})


def _try(stream: Stream, asks: list[Ask], context: dict[str, Any]) -> None:
    """Raise ValueError where one of the asks could not be run on the stream.

    A run of the oracle compiles nothing and meets every mistake in an ask but those in its policy and its pacing,
    which are built, not run.
    """
    for ask in dict.fromkeys(ask._replace(policies=("oracle",), seeds=min(ask.seeds, 1)) for ask in asks):
        *_, run = finish(stream, ask, context=context)
    played = run.stream if run.judged is None else run.judged.stream
    worth = resolve.function(asks[0].reward, REWARDS, "reward")
    for ask in {(ask.policies, ask.pacing): ask for ask in asks}.values():
        (spec,) = ask.policies
        if spec in experiment.REFERENCES or (experiment.trained(spec) and ask.warm_start is not None):
            continue
        policy = experiment.build(spec, played, worth, checked=".py:" in spec, again=ask.calls > 1)
        if ask.budget:
            budget.held(policy, played, pacing=ask.pacing, hard=ask.hard, cap=ask.cap)

"""What a run takes of memory, estimated before anything is played; one that does not fit is refused."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bandits.experiment.ask import Ask
    from envs.stream import Stream
    from envs.windows.big import Big

_KEY = 1024  # bytes of a seed's key, about: an array of its own


def estimate(loaded: Stream, ask: Ask) -> int:
    """Return bytes besides the libraries' own: traces, orders, tables, and the states of the largest policy.

    Policies play one after the other, each with all seeds, preferences and budgets side by side; a state is there
    twice, before and after a round. A policy that is trained on a log is not counted: to build it takes minutes.

    Raises:
        ValueError: a spec is wrong.
    """
    from bandits import resolve
    from bandits.experiment.ask import names
    from bandits.experiment.lineup import REFERENCES, build, trained
    from bandits.rewards import REWARDS
    from envs.changes import duels

    laid = 0
    if (
        ask.change or ask.scenario
    ):  # a world's rows are the rounds of its seeds, each with outcomes of its own
        laid = laid_out(loaded, ask.seeds, ask.rounds)
    if ask.feedback == "dueling":  # its arms are pairs, of which there are more
        loaded = duels.pairs(loaded)
    runs, rounds = len(names(ask)), ask.rounds or len(loaded)
    played = runs * ask.seeds * rounds
    worth = resolve.function(ask.reward, REWARDS, "reward")
    own = (
        _state(build(spec, loaded, worth, checked=".py:" in spec, again=True))
        for spec in ask.policies
        if spec not in REFERENCES and not trained(spec)
    )
    states = 2 * runs * ask.seeds * max(own, default=0)
    traces = 2 * 4 * played * len(ask.policies) * ask.calls
    cells = len(loaded) * loaded.n_arms
    keys = _KEY * ask.seeds
    # Reward, utility and cost are there once more while tables are made.
    return int(laid + keys + states + traces + cells * (7 * 8 + 5 * 4) + loaded.context.nbytes)


def _state(policy: Any) -> int:
    """Return the bytes of a policy's state for one seed; nothing is computed."""
    from bandits.late import jax, mapped
    from bandits.loop.player import keyless

    if keyless(policy):  # its state can be looked at without JAX
        sizes: list[int] = []
        mapped(lambda part: sizes.append(part.nbytes), policy.init(None))
        return sum(sizes)
    leaves = jax.tree.leaves(jax.eval_shape(policy.init, jax.random.key(0)))
    return sum(math.prod(leaf.shape) * getattr(leaf.dtype, "itemsize", 8) for leaf in leaves)


def available() -> int | None:
    """Return the bytes that this process may still take; None where the system does not say."""
    found = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit.isdigit():
            found.append(int(limit) - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError):
        pass
    if not found and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)


def laid_out(loaded: Stream, seeds: int, rounds: int | None) -> int:
    """Return the bytes of a world that changes: utility and cost before and after, reward, these three once more while
    tables are made, texts, contexts."""
    matrices, texts = 8 * 8 * loaded.n_arms, 10 * 8 + 80  # names by reference, an id of its own a row
    return int(seeds * (rounds or len(loaded)) * (matrices + texts + 2 * 4 * loaded.dim))


def streamed(table: Big, ask: Ask) -> int:
    """Return the bytes of a run on a table too large to hold: a few windows, all states at once, sums and curves.

    Raises:
        ValueError: a spec is wrong.
    """
    from bandits import resolve
    from bandits.experiment.lineup import build
    from bandits.results import cells, tally
    from bandits.results.book import REFERENCES
    from bandits.rewards import REWARDS
    from envs.windows.big import WINDOW

    worth = resolve.function(ask.reward, REWARDS, "reward")
    rows, policies = min(WINDOW, len(table)), len(ask.policies)
    players = policies + len(REFERENCES) + table.n_arms
    states = 2 * ask.seeds * sum(_state(build(spec, table, worth, checked=False)) for spec in ask.policies)
    window = rows * (table.n_arms * 8 * 12 + table.dim * 4 * 2 + players * 3 * 8)
    played = ask.seeds * rows * (8 + 2 * 4 * policies)  # orders and arms; none is kept beyond its window
    lines = 2 * (policies + len(REFERENCES)) + table.n_arms
    kept = ask.seeds * len(tally.stops(ask.rounds or len(table))) * (8 * lines + 8 * policies * table.n_arms)
    queries = 2 * min(cells.MOST, len(table)) * players * 3 * 8
    sums = ask.seeds * len(table.datasets) * players * (2 * 7 * 8 + table.n_arms * 8)
    return int(states + 3 * window + played + kept + queries + sums)


def fits(loaded: Stream, ask: Ask, *, at_once: int = 1) -> int:
    """Return the estimate in bytes.

    Args:
        loaded: a `Stream`.
        ask: an `Ask`.
        at_once: how many of it are played side by side, in processes of their own.

    Raises:
        ValueError: it is more than this machine has free; the line has both figures and what to make smaller.
    """
    what = (
        f"--seeds {ask.seeds} x --rounds {ask.rounds or len(loaded)} x {len(ask.policies)} --policy on"
        f" {loaded.dim} features"
    )
    return check(at_once * estimate(loaded, ask), what + f" in {at_once} processes" * (at_once > 1))


def check(needed: int, what: str) -> int:
    """Return the bytes needed.

    Raises:
        ValueError: they are more than this machine has free.
    """
    free = available()
    if free is not None and needed > free:
        raise ValueError(
            f"{what} needs about {needed / 2**30:,.1f} GiB of memory, {free / 2**30:,.1f} GiB are free here; make the"
            " largest of them smaller"
        )
    return needed

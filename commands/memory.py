"""What a run takes of memory, estimated before anything is played; one that does not fit is refused."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any


def estimate(loaded: Any, ask: Any) -> int:
    """Return bytes besides the libraries' own: traces, orders, tables, and the states of the largest policy.

    Policies play one after the other, each with all seeds, preferences and budgets side by side; a state is there
    twice, before and after a round. A policy that is trained on a log is not counted: to build it takes minutes.

    Raises:
        ValueError: a spec is wrong.
    """
    from bandits import resolve
    from bandits.experiment.ask import names
    from bandits.experiment.lineup import REFERENCES, build
    from bandits.rewards import REWARDS
    from envs.changes import duels

    if ask.feedback == "dueling":  # its arms are pairs, of which there are more
        loaded = duels.pairs(loaded)
    runs, rounds = len(names(ask)), ask.rounds or len(loaded)
    played = runs * ask.seeds * rounds
    worth = resolve.function(ask.reward, REWARDS, "reward")
    own = (
        _state(build(spec, loaded, worth, checked=".py:" in spec))
        for spec in ask.policies
        if spec not in REFERENCES and "llmbandit" not in spec
    )
    states = 2 * runs * ask.seeds * max(own, default=0)
    traces = 2 * 4 * played * len(ask.policies)
    plays = 3 * 8 * ask.seeds * rounds  # reward, accuracy and cost of one player while tables are made
    cells = len(loaded) * loaded.n_arms
    return int(states + traces + plays + cells * (4 * 8 + 5 * 4) + loaded.context.nbytes)


def _state(policy: Any) -> int:
    """Return the bytes of a policy's state for one seed; nothing is computed."""
    import jax

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


def fits(loaded: Any, ask: Any) -> int:
    """Return the estimate in bytes.

    Raises:
        ValueError: it is more than this machine has free; the line has both figures and what to make smaller.
    """
    needed, free = estimate(loaded, ask), available()
    if free is not None and needed > free:
        raise ValueError(
            f"--seeds {ask.seeds} x --rounds {ask.rounds or len(loaded)} x {len(ask.policies)} --policy on"
            f" {loaded.dim} features needs about {needed / 2**30:,.1f} GiB of memory, {free / 2**30:,.1f} GiB are"
            " free here; make the largest of them smaller"
        )
    return needed

"""What can be asked of a run on a table too large to hold, and what is said of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.experiment import lineup as experiment
from bandits.experiment.ask import Ask
from bandits.loop import streamed as windows
from bandits.rewards import preferences
from envs.windows import big

PLAIN = ("policies", "reward", "preference", "seeds", "seed", "order", "rounds")  # what may be asked for


def refuse(table: big.Big, ask: Ask, every: int) -> None:
    """Raise where something is asked for that a streamed run cannot give."""
    if option := needs_memory(ask):
        raise ValueError(f"{option} needs a table held in memory; {table.path.name} is read as it is needed")
    known = [spec for spec in ask.policies if spec in experiment.REFERENCES]
    if known:
        raise ValueError(f"--policy {known[0]} is in every table of a streamed run already; leave it out")
    if ask.seeds < 1 or every < 1:
        raise ValueError(f"a run needs --seeds >= 1 and --checkpoint >= 1, got {ask.seeds} and {every}")
    if ask.rounds is not None and not 1 <= ask.rounds <= len(table):
        raise ValueError(
            f"--rounds of a streamed run needs 1 to {len(table):,}, the rows of {table.path.name}, got {ask.rounds}"
        )


def needs_memory(ask: Ask) -> str:
    """Return the first option of an ask that needs the whole table in memory, or ""."""
    plain = Ask(ask.policies)
    given = [name for name in Ask._fields if name not in PLAIN and getattr(ask, name) != getattr(plain, name)]
    if given:
        return f"--{given[0].replace('_', '-')}"
    if ask.order not in windows.ORDERS:
        return f"--order {ask.order}"
    return (
        f"--preference {ask.preference} (more than one)" if len(preferences(ask.preference, 1, 0)) > 1 else ""
    )


def preference(ask: Ask, first: int, n: int) -> Any:
    """Return the preference of `n` rows from `first` on: a number, or `(n,)` of what `preferences` draws for all."""
    ((text, value),) = preferences(ask.preference, 1, ask.seed).items()
    if isinstance(value, float):
        return value
    low, high = (float(end) for end in text.removeprefix("uniform(").rstrip(") ").split(","))
    # Each row takes one draw of the generator, so those of the rows before are stepped over.
    bits = np.random.PCG64([ask.seed, 7]).advance(first)
    return np.random.Generator(bits).uniform(low, high, n)


def notes(table: big.Big, ask: Ask) -> list[str]:
    """Return what a reader has to know, a line each."""
    shuffled = ask.order == "shuffle" and len(table) > big.WINDOW
    how = f"the file was read as needed: queries were shuffled within windows of {big.WINDOW:,} rows"
    return [*table.notes, *([how] if shuffled else [])]

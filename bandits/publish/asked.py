"""What can be asked of a run on a table too large to hold, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bandits.experiment import play
from bandits.experiment.ask import Ask, single
from bandits.loop.orders import ORDERS
from bandits.rewards import preferences
from envs.windows import big

# Settings that need the whole table in memory, by the name of their option, and why. Every other one is for all tables.
WHOLE = {
    "warm_start": "rows are set aside from all of them, or a log's context is fitted together with the table's",
    "n_eff": "it weighs the rows of a --warm-start, which are set aside from all of them",
    "fit": "it fits the context on the rows of a --warm-start, which are set aside from all of them",
    "scenario": "a change may look at any round, and how fast policies recover is read from all of them",
    "change": "a change may look at any round, and how fast policies recover is read from all of them",
    "calls": "what a judge says of each answer is laid out for all rows",
    "deliver": "it is about several --calls, whose judges are laid out for all rows",
    "judge": "what a judge says of each answer is laid out for all rows",
    "judge_column": "what a judge says of each answer is laid out for all rows",
    "judge_cost": "what a judge says of each answer is laid out for all rows",
    "within_query": "it limits several --calls, whose judges are laid out for all rows",
    "parallel": "it is about several --calls, whose judges are laid out for all rows",
    "abstain": "it goes by what a judge says of each answer, which is laid out for all rows",
    "prices": "posted prices are means over all rows",
    "prices_per": "it reads a --prices, and posted prices are means over all rows",
    "metric": "it chooses among the scores of a file of another kind than one row a query",
    "drop_empty": "rows would be numbered otherwise than in the file",
    "keep_copies": "copies are grouped for a --warm-start, which is set aside from all rows",
    "embed": "embeddings are made for all rows and kept beside the table",
    "dry_run": "speed is measured on a part of the table in memory",
}
UNSORTED = (
    "what the budget buys at best in hindsight is left out: it is found by sorting every call of the table, and the"
    " file was read as needed"
)
# What several calls a query cannot be combined with, by the name of its option and what is given, and why.
ONE_CALL = {
    ("feedback", "full"): "the calls of a query are chosen by what was heard of it, and then all of it is",
    (
        "feedback",
        "dueling",
    ): "a duel compares two answers of one round; what a further call gained it does not tell",
}
TOGETHER = "calls that are made together use what they use: none is known before the next"
FIELDS = tuple(name for name in Ask._fields if name not in WHOLE)  # what may be asked for


def one_call(ask: Ask) -> str:
    """Return why what is asked for cannot be had with several calls a query, in one line; "" where it can."""
    for (name, value), why in ONE_CALL.items():
        if getattr(ask, name) == value:
            return f"--{name} {value} cannot be combined with --calls {ask.calls}: {why}"
    if ask.parallel and ask.within_query is not None:
        return f"--within-query cannot be combined with --parallel: {TOGETHER}"
    return ""


def refuse(table: big.Big, ask: Ask, every: int) -> None:
    """Raise where something is asked for that a streamed run cannot give."""
    if option := needs_memory(ask):
        raise ValueError(refusal(option, table.path.name))
    play.check(ask)
    if len(single(ask)) > 1:
        raise ValueError(
            f"a streamed run has one preference and budget, got {ask.preference} and {', '.join(ask.budget)}"
        )
    if ask.seeds < 1 or every < 1:
        raise ValueError(f"a run needs --seeds >= 1 and --checkpoint >= 1, got {ask.seeds} and {every}")
    if ask.rounds is not None and not 1 <= ask.rounds <= len(table):
        raise ValueError(
            f"--rounds of a streamed run needs 1 to {len(table):,}, the rows of {table.path.name}, got {ask.rounds}"
        )


def refusal(option: tuple[str, str], path: str) -> str:
    """Return what is said of an option that needs the table in memory."""
    return f"{option[0]} needs a table held in memory ({option[1]}); {path} is read as it is needed"


def needs_memory(ask: Ask, more: Mapping[str, Any] | None = None) -> tuple[str, str] | None:
    """Return the first option that needs the whole table in memory, as it is typed, and why; None where none does.

    Args:
        ask: what is asked for.
        more: other options by name, those that were not given false, None or at their default.
    """
    plain = Ask(ask.policies)
    given = [name for name in Ask._fields if getattr(ask, name) != getattr(plain, name)]
    given += [name for name, value in (more or {}).items() if value]
    for name in given:
        if name in WHOLE:
            return f"--{name.replace('_', '-')}", WHOLE[name]
    if ask.order not in ORDERS[:2]:
        return f"--order {ask.order}", "the rows of a data set stand anywhere in it"
    if ask.feedback == "dueling":
        return "--feedback dueling", "which answer wins a duel is drawn for all rows at once"
    return None


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
    return [*table.notes, *([how] if shuffled else []), *([UNSORTED] if ask.budget else [])]

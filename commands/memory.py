"""What a run takes of memory, estimated before anything is played; one that does not fit is refused."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from commands.playing import playing, state

if TYPE_CHECKING:
    from bandits.experiment.ask import Ask
    from envs.stream import Stream
    from envs.windows.big import Big

_COLUMNS = 11  # of `by_dataset`, beside the calls of each model
_PROBE = 1024  # texts of a column that are looked at


def estimate(loaded: Stream, ask: Ask) -> int:
    """Return bytes at the peak of a run besides the libraries and programs themselves: what is held throughout, and
    the most that one stage takes beside it.

    Policies play one after the other, each with all seeds, preferences and budgets side by side, in groups. A policy
    that is trained on a log is not counted: to build it takes minutes. What reading takes for a moment is not either:
    it is over when this is asked.

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
    worth = resolve.function(ask.reward, REWARDS, "reward")
    played = max(
        (
            playing(build(spec, loaded, worth, checked=".py:" in spec, again=True), loaded, ask, runs)
            for spec in ask.policies
            if spec not in REFERENCES and not trained(spec)
        ),
        default=0,
    )
    traces = 2 * 4 * runs * ask.seeds * rounds * len(ask.policies) * ask.calls
    return int(laid + held(loaded, runs) + traces + max(played, _tabling(loaded, ask, runs)))


def held(loaded: Stream, runs: int = 1) -> int:
    """Return the bytes of a stream and the reward tables of its runs."""
    o = loaded.outcomes
    arrays = (o.utility, o.cost, o.latency, o.tokens, o.text, o.image, loaded.context)
    return sum(a.nbytes for a in arrays if a is not None) + _texts(loaded) + 8 * runs * loaded.utility.size


def _texts(loaded: Stream) -> int:
    """Return the bytes of a table's texts, from a sample of each column: a reference a row, and the text it is of."""
    o, size = loaded.outcomes, 0
    for column in (o.query_id, o.dataset, o.scenario, o.group_id, o.question, o.image_path):
        probe = column[:: max(1, len(column) // _PROBE)]
        apart = {id(text): sys.getsizeof(text) for text in probe}
        own = len(column) / len(probe) if 2 * len(apart) > len(probe) else 1
        size += column.nbytes + int(own * sum(apart.values()))
    return size


def _tabling(loaded: Stream, ask: Ask, runs: int) -> int:
    """Return the bytes that tables and page take: sums of every player with every query, and frames made of them."""
    from bandits.results.book import REFERENCES

    arms, queries = loaded.n_arms, len(loaded)
    players = len(ask.policies) + len(REFERENCES) + arms
    book = 3 * 8 * loaded.utility.size
    each = 3 * 8 * queries * players
    parts = 8 * players * ask.seeds * len(set(loaded.dataset.tolist())) * (arms + _COLUMNS)
    made = (runs - 1) * (each + parts)  # of the runs before
    adding = each + max(book, 2 * each)  # sums; then a frame's columns, and the frame
    breaking = each + each + 4 * parts
    # Frames, the files of them, as arrays, and a measure on its way there.
    page = each + parts + each + each + each // 3
    # Its file is as large where numbers are: where Arrow writes it, whose room doubles as it grows, and as bytes.
    filing = each + parts + 2 * each + each
    return int(made + max(adding, breaking, filing, page))


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
    states = 2 * ask.seeds * sum(state(build(spec, table, worth, checked=False)) for spec in ask.policies)
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

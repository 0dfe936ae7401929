"""A run on a table too large to hold: survey, play window by window, save as it goes, go on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.experiment.ask import Ask
from bandits.folders import place
from bandits.folders import write as artefacts
from bandits.folders.unfinished import Staged
from bandits.loop.lanes import CHUNK
from bandits.loop.orders import window_order
from bandits.metrics.regret import fall_back, fixed_sums, played, stand_in
from bandits.publish import asked
from bandits.publish.going import Going, Interrupted
from bandits.results import summary
from bandits.results.book import Best
from envs.ahead import ahead
from envs.windows import big

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EVERY", "Interrupted", "run"]
Ints = NDArray[np.integer[Any]]
EVERY = 1024  # chunks between checkpoints by default: about a million rounds


def run(
    table: big.Big,
    ask: Ask,
    folder: Path,
    known: Mapping[str, Any],
    *,
    every: int = EVERY,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], object] = lambda rounds: None,
) -> dict[str, pd.DataFrame]:
    """Play policies through a table, write the run's folder, and return its tables by name.

    Args:
        table: from `envs.windows.survey.opened`.
        ask: what to do; what a streamed run cannot give is refused.
        folder: where to.
        known: what only the caller knows: command, context, load.
        every: chunks of `CHUNK` rounds between checkpoints.
        resume: go on with what a stopped run left, where it left something.
        stop: asked after every chunk; True stops the run with a checkpoint.
        progress: called after each chunk with its rounds, of one policy and seed.

    Raises:
        ValueError: something cannot be had of a streamed run, or an option is wrong; one line.
        Interrupted: `stop` said so.
    """
    asked.refuse(table, ask, every)
    folder = place.check_folder(folder)
    started, staged = time.perf_counter(), Staged(folder)
    left = staged.checkpoint.is_file()
    if left and not resume:
        raise ValueError(
            f"{staged.place} holds a run that was stopped; --resume goes on with it, or remove it to begin anew"
        )
    about: dict[str, Any] = {
        "asked": {k: v for k, v in ask._asdict().items() if k in asked.FIELDS},
        "context": known["context"],
        "chunk, window": [CHUNK, big.WINDOW],
        "versions": artefacts.versions(),
    }
    going = Going(table, ask, staged, about)
    with ThreadPoolExecutor(1) as beside:
        digest = beside.submit(big.sha256, table.path)
        ranked = fall_back(table.answered)
        means = Best(fixed_sums(_rewards(going, ranked), len(table.datasets)), ranked)
    about["sha256"] = digest.result()
    if left:
        going.load()
    else:
        staged.begin()
    progress(going.done)
    with going.adder:
        for window in ahead(going.windows(means)):
            going.play(window, every, stop, progress)
        going.adding.result()
    return _published(going, {**known, "seconds": round(time.perf_counter() - started, 3)})


def _rewards(
    going: Going, ranked: NDArray[np.int32]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int32], Ints, Ints]]:
    """Yield what `fixed_sums` takes of every window that is played."""
    ask = going.ask
    for number, piece in enumerate(ahead(going.table.pieces(context=False))):
        rest = going.total - piece.first
        if rest <= 0:
            return
        often = np.full(len(piece), ask.seeds)
        if rest < len(piece):
            rows = window_order(len(piece), number, seeds=ask.seeds, seed=ask.seed, order=ask.order)
            often = played(rows[:, :rest], len(piece))
        reward, _ = going.valued(piece)
        yield reward, stand_in(~np.isnan(reward), ranked), piece.code, often


def _published(going: Going, known: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Write the folder of a finished run, and return its tables."""
    import pandas as pd

    table, ask = going.table, going.ask
    made = summary.tables(going.tally, table, ask.policies)
    amount = "".join(ask.budget)
    made.summary["preference"], made.summary["budget"] = ask.preference, amount
    tables = made._asdict()
    if going.backlog is not None and going.own:
        waits, lines = going.backlog.waits.tables(going.own)
        tables["summary"] = tables["summary"].merge(waits, on="policy", how="left")
        tables["curves"] = pd.concat([tables["curves"], lines], ignore_index=True)
    tables = tables if going.spending is None else going.spending.joined(tables)
    own = {
        "title": artefacts.title(ask.policies, table.name, ask, amount),
        "notes": asked.notes(table, ask),
        "asked": ask._asdict(),
        "budget": amount,
        "reward_range": going.bounds,
        "rounds": going.total,
        "streamed": True,
        **known,
    }
    data = {"name": str(table.path), "sha256": going.about["sha256"]}
    manifest = artefacts.described(table, ask, own, stream=table.name, data=data)
    going.staged.publish(artefacts.filed(tables, manifest), going.total)
    return tables

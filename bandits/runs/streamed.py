"""A run on a table too large to hold: survey, play window by window, save as it goes, go on where it stopped.

What is unfinished stands in a folder beside the one to come, `.<name>.unfinished`: a checkpoint, and the trace of each
finished window. It becomes the run's folder whole, at the end.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.loop import checkpoint, streamed
from bandits.loop.replay import CHUNK
from bandits.metrics.accumulate import Best, Book, Tally, best, book
from bandits.rewards import REWARDS, Reward, preferences, reward_table
from bandits.runs import accumulated, artefacts, experiment
from bandits.runs.ask import Ask
from envs import big
from envs.ahead import ahead

if TYPE_CHECKING:
    import pandas as pd

Ints = NDArray[np.integer[Any]]
EVERY = 1024  # chunks between checkpoints when nobody says otherwise: about a million rounds
_PLAIN = ("policies", "reward", "preference", "seeds", "seed", "order", "rounds")  # what may be asked for
_STATE = "checkpoint.npz"


class Stopped(Exception):
    """The run was told to stop, and left a checkpoint; the text says after how many rounds."""


class _Window(NamedTuple):
    """What is made of a window before it is played: its number, the compiled rounds' view of it, and its book."""

    number: int
    sheet: Any
    book: Book


class _Run:
    """A run on its way: everything that a checkpoint holds, and where it goes."""

    def __init__(self, table: big.Big, ask: Ask, place: Path, about: Mapping[str, Any]) -> None:
        self.table, self.ask, self.place, self.about = table, ask, place, about
        self.worth: Reward = resolve.function(ask.reward, REWARDS, "reward")
        lineup = experiment.lineup(table, ask.policies, self.worth)
        self.total = ask.rounds or len(table)
        built = tuple(policy for policy in lineup.values() if policy is not None)
        self.playing = streamed.players(built, table, seeds=ask.seeds, seed=ask.seed, rounds=self.total)
        self.preference = float(next(iter(preferences(ask.preference, 1, 0).values())))
        self.carries = streamed.begin(self.playing)
        self.tally = Tally(
            len(built), table.n_arms, ask.seeds, len(table.datasets), accumulated.stops(self.total)
        )
        self.called: list[list[Any]] = []  # of the present window: chunk by chunk, policy by policy

    @property
    def done(self) -> int:
        """Rounds played, those of the present window included."""
        return self.tally.done + sum(called[0].shape[1] for called in self.called)

    def save(self) -> None:
        """Write the checkpoint."""
        arrays = {f"tally.{name}": array for name, array in self.tally.arrays.items()}
        for p, carry in enumerate(self.carries):
            arrays |= checkpoint.packed(carry, f"carry{p}")
        arrays["called"] = self._arms()
        checkpoint.save(self.place / _STATE, arrays, {**self.about, "done": self.tally.done})

    def load(self) -> None:
        """Take up the checkpoint.

        Raises:
            ValueError: it is of another run, another table or other versions.
        """
        arrays, about = checkpoint.load(self.place / _STATE)
        self.tally.done = about.pop("done")
        for key, mine in json.loads(json.dumps(dict(self.about))).items():
            if about.get(key) != mine:
                raise ValueError(
                    f"--resume needs the run that was stopped; its {key} was {about.get(key)}, now it is {mine}"
                )
        self.tally.arrays = {name: arrays[f"tally.{name}"] for name in self.tally.arrays}
        self.carries = [
            checkpoint.unpacked(arrays, f"carry{p}", carry) for p, carry in enumerate(self.carries)
        ]
        called = arrays["called"]
        self.called = [list(called)] if called.shape[2] else []

    def play(
        self, window: _Window, every: int, stop: Callable[[], bool], told: Callable[[int], object]
    ) -> None:
        """Play the rest of a window and add it up; save where a checkpoint is due.

        Raises:
            Stopped: `stop` said so; the checkpoint is written.
        """
        ask, first = self.ask, self.tally.done
        rows = len(window.book.code)
        order = streamed.order(
            rows,
            min(rows, self.total - first),
            window.number,
            seeds=ask.seeds,
            seed=ask.seed,
            kind=ask.order,
        )
        for size, called in streamed.play(
            self.playing, self.carries, window.sheet, order, first, self.done - first
        ):
            self.called.append(called)
            told(size)
            if stop():
                self.save()
                raise Stopped(f"stopped after {self.done:,} of {self.total:,} rounds")
            if self.done % (every * CHUNK) == 0:
                self.save()
        arms = self._arms()
        self.tally.add(window.book, order, arms)
        _write(
            self._trace(window.number), list(ask.policies), first, order + window.number * big.WINDOW, arms
        )
        self.called = []

    def _arms(self) -> Ints:
        """Return the arms `(P, S, m)` of the present window so far."""
        policies, seeds = len(self.playing.policies), self.ask.seeds
        if not self.called:
            return np.zeros((policies, seeds, 0), np.int32)
        columns = [np.concatenate([np.asarray(c[p]) for c in self.called], axis=1) for p in range(policies)]
        return np.stack(columns).astype(np.int32)

    def _trace(self, window: int) -> Path:
        return self.place / "trace" / f"{window:09d}.parquet"


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
) -> pd.DataFrame:
    """Play policies through a table, write the run's folder, and return the summary.

    Args:
        table: from `envs.big.opened`.
        ask: what to do; of a streamed run `_PLAIN` can be asked for.
        folder: where to.
        known: what only the caller knows: command, context, load.
        every: chunks of `CHUNK` rounds between checkpoints.
        resume: go on with what a stopped run left, where it left something.
        stop: asked after every chunk; True stops the run with a checkpoint.
        progress: called after each chunk with its rounds, of one policy and seed.

    Raises:
        ValueError: something cannot be had of a streamed run, or an option is wrong; one line.
        Stopped: `stop` said so.
    """
    refuse(table, ask, every)
    artefacts.check_folder(folder)
    started, place = time.perf_counter(), unfinished(folder)
    if (place / _STATE).is_file() and not resume:
        raise ValueError(
            f"{place} holds a run that was stopped; --resume goes on with it, or remove that folder to begin anew"
        )
    sha256 = big.sha256(table.path)
    about = {"asked": {k: v for k, v in ask._asdict().items() if k in _PLAIN}, "sha256": sha256}
    about |= {
        "context": known["context"],
        "chunk": CHUNK,
        "window": big.WINDOW,
        "versions": artefacts.versions(),
    }
    going = _Run(table, ask, place, about)
    if resume and (place / _STATE).is_file():
        going.load()
    else:
        shutil.rmtree(place, ignore_errors=True)
    (place / "trace").mkdir(parents=True, exist_ok=True)
    means = best(
        (
            (reward_table(going.worth, p, going.preference), p.code)
            for p in ahead(table.pieces(context=False))
        ),
        len(table.datasets),
    )
    progress(going.done)
    if going.tally.done < going.total:
        for window in ahead(_windows(going, means)):
            going.play(window, every, stop, progress)
            if going.tally.done >= going.total:
                break
    return _finish(going, folder, {**known, "sha256": sha256, "started": started})


def refuse(table: big.Big, ask: Ask, every: int) -> None:
    """Raise where something is asked for that a streamed run cannot give."""
    plain = Ask(ask.policies)
    for name in Ask._fields:
        if name not in _PLAIN and getattr(ask, name) != getattr(plain, name):
            option = name.replace("_", "-")
            raise ValueError(f"--{option} needs a table held in memory; {table.name} is read as it is needed")
    if ask.order not in streamed.ORDERS:
        raise ValueError(
            f"--order of a streamed run needs to be one of {', '.join(streamed.ORDERS)}, got {ask.order!r}"
        )
    if len(preferences(ask.preference, 1, 0)) > 1 or "(" in ask.preference:
        raise ValueError(f"--preference of a streamed run needs one number, got {ask.preference!r}")
    known = [spec for spec in ask.policies if spec in experiment.REFERENCES]
    if known:
        raise ValueError(f"--policy {known[0]} is in every table of a streamed run already; leave it out")
    if ask.seeds < 1 or every < 1:
        raise ValueError(f"a run needs --seeds >= 1 and --checkpoint >= 1, got {ask.seeds} and {every}")
    if ask.rounds is not None and not 1 <= ask.rounds <= len(table):
        raise ValueError(
            f"--rounds of a streamed run needs 1 to {len(table):,}, the rows of {table.name}, got {ask.rounds}"
        )


def unfinished(folder: Path) -> Path:
    """Return where a run into this folder keeps what is unfinished."""
    return folder.parent / f".{folder.name}.unfinished"


def _windows(going: _Run, means: Best) -> Iterator[_Window]:
    """Yield the windows that are still to be played."""
    first = going.tally.done // big.WINDOW
    for number, piece in enumerate(going.table.pieces(first), first):
        reward = reward_table(going.worth, piece, going.preference)
        sheet = streamed.sheet(piece, reward, going.preference)
        yield _Window(number, sheet, book(reward, piece.utility, piece.cost, piece.code, means))


def _write(path: Path, policies: list[str], first: int, rows: Ints, arms: Ints) -> None:
    """Write the trace of a window: as `trace.parquet`, rounds `first` onwards."""
    import pyarrow as pa
    from pyarrow import parquet

    seeds, m = rows.shape
    names = np.repeat(np.arange(len(policies), dtype=np.int32), seeds * m)
    columns = [
        pa.DictionaryArray.from_arrays(pa.array(names), policies),
        np.tile(np.repeat(np.arange(seeds), m), len(policies)),
        np.tile(np.arange(first, first + m), seeds * len(policies)),
        np.tile(rows.ravel(), len(policies)),
        arms.ravel(),
    ]
    schema = artefacts.trace_schema()
    arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
    parquet.write_table(pa.Table.from_arrays(arrays, schema=schema), path)


def _finish(going: _Run, folder: Path, known: dict[str, Any]) -> pd.DataFrame:
    """Write the tables, the report and the whole trace, and let the folder appear."""
    from pyarrow import parquet

    from bandits import report

    table, ask, place = going.table, going.ask, going.place
    made = accumulated.tables(
        going.tally, table, list(ask.policies), seed=ask.seed, preference=ask.preference
    )
    sha256, started = known.pop("sha256"), known.pop("started")
    manifest = {
        "title": f"{', '.join(ask.policies)} on {table.name}",
        "stream": table.name,
        "label": table.label,
        "notes": notes(table, ask),
        "cost_unit": table.cost_unit,
        "models": list(table.models),
        **ask._asdict(),
        "budget": "",
        **known,
        "rounds": going.total,
        "data": {"name": str(table.path), "sha256": sha256, "source": table.source, "licence": table.licence},
        "versions": artefacts.versions(),
        "seconds": round(time.perf_counter() - started, 3),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    for name, frame in made.items():
        frame.to_csv(place / f"{name}.csv", index=False)
    page = report.render(made["summary"], made["curves"], made["by_dataset"], manifest)
    (place / "report.html").write_text(page, encoding="utf-8")
    (place / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    with parquet.ParquetWriter(place / "trace.parquet", artefacts.trace_schema()) as whole:
        for part in sorted((place / "trace").iterdir()):
            whole.write_table(parquet.read_table(part))
    shutil.rmtree(place / "trace")
    (place / _STATE).unlink(missing_ok=True)
    place.chmod(0o755)
    if folder.exists():
        shutil.rmtree(folder)
    place.rename(folder)
    return made["summary"]


def notes(table: big.Big, ask: Ask) -> list[str]:
    """Return what a reader has to know, a line each."""
    how = f"queries were shuffled within windows of {big.WINDOW:,} rows" if ask.order == "shuffle" else ""
    return [*table.notes, *([how] if how and len(table) > big.WINDOW else [])]

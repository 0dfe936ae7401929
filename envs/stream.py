"""Stream: outcomes with the contexts that a policy sees, by name or by path."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs import heap, selection
from envs.calls import Several
from envs.contexts import features
from envs.outcomes import Floats, Outcomes, Texts
from envs.tables import formats
from envs.tables.copies import grouped
from envs.twin import twin
from envs.windows import big, survey

# Changes apply in this order whatever the order given: which query comes, what models answer, what is heard, which
# models are there. Inside a stage the order given holds. So what a model would answer never depends on whether it was
# there.
ASKED, ANSWERED, HEARD, THERE = range(4)


class World(NamedTuple):
    """The side of a changed stream of `S` seeds, `T` rounds and `K` models that is not in its outcomes.

    Attributes:
        base: the stream before any change.
        row: `(S T,)` row of `base` that stands in each row.
        seeds: `S`.
        seed: of everything that a change draws.
        stage: the latest of the four stages that a change has been applied in.
        done: kind and model of the changes so far, in order.
        marks: round (from 0) and label of every moment at which something begins or ends.
        posted: `(S T, K)` posted price of each round; None: the table's own throughout.
        judged: `(S T, K)` utility as the policy hears it, NaN where unavailable; None: the truth.
        silent: `(S T, K)` bool, outcomes that it never hears of; None: it hears all.
    """

    base: Stream
    row: NDArray[np.int64]
    seeds: int
    seed: int
    stage: int = ASKED
    done: tuple[str, ...] = ()
    marks: tuple[tuple[int, str], ...] = ()
    posted: Floats | None = None
    judged: Floats | None = None
    silent: NDArray[np.bool_] | None = None

    @property
    def rounds(self) -> int:
        """`T`."""
        return len(self.row) // self.seeds

    def by_round(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return `(S T,)`, for each row the value of its round in `values (T,)`."""
        return np.tile(values, self.seeds)


_PIECE = ("utility", "cost", "latency", "tokens", "available", "dataset")  # of a window, in its order


@dataclass(frozen=True, eq=False)
class Stream:
    """Queries in file order with their contexts; the loop gives each seed an order of its own.

    Attributes:
        name: what was asked for, for titles.
        outcomes: the table, `T` queries by `K` models.
        context: `(T, d)` float32; the last column is the constant 1.
        notes: one line each, to be shown to the user.
        world: None, or of a stream that changes: its rows are those of each seed, round by round.
        unit: in which rewards count cost, of a stream made from another; 0: see `cost_scale`.
        several: how a query may be answered by several calls; None: by one.
        sequences: of a finished run with several calls, the models that each of the last columns stands for, in the
            order of their calls; (): every column is a model.
        chance: `(T,)` of a log with one call a query, the probability with which its model was called, NaN where it is
            not recorded; None: no such log.
    """

    name: str
    outcomes: Outcomes
    context: Floats
    notes: tuple[str, ...] = ()
    world: World | None = None
    unit: float = 0.0
    several: Several | None = None
    sequences: tuple[tuple[int, ...], ...] = ()
    chance: Floats | None = None

    def __post_init__(self) -> None:
        if self.context.ndim != 2 or len(self.context) != len(self.outcomes):
            raise ValueError(f"context needs shape ({len(self.outcomes)}, d), got {self.context.shape}")
        if not np.isfinite(self.context).all():
            raise ValueError("context needs finite numbers")

    def __len__(self) -> int:
        return len(self.outcomes)

    def __repr__(self) -> str:
        changing = "" if self.world is None else ", changing"
        return (
            f"Stream({self.name}: {len(self):,} queries x {self.n_arms} models, {self.dim} features{changing};"
            f" {self.outcomes.label})"
        )

    def _repr_html_(self) -> str:
        """Return the one line, escaped, the notes and a table of the models."""
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        table = self.outcomes._repr_html_().partition("</p>")[2]
        return f"<p>{html.escape(repr(self))}</p><ul>{notes}</ul>{table}"

    @property
    def models(self) -> tuple[str, ...]:
        """The `K` model names."""
        return self.outcomes.models

    @property
    def n_arms(self) -> int:
        """`K`."""
        return len(self.outcomes.models)

    def single(self, values: Floats) -> Floats:
        """Return `(T, K)` values with NaN in the columns of sequences: what references with hindsight choose from."""
        alone = self.n_arms - len(self.sequences)
        return values if not self.sequences else np.where(np.arange(self.n_arms) < alone, values, np.nan)

    @property
    def dim(self) -> int:
        """`d`, the constant column included."""
        return int(self.context.shape[1])

    @property
    def indicators(self) -> int:
        """How many columns right before the constant are indicators: of data sets, of a modality that is lost."""
        binary = ((self.context == 0) | (self.context == 1)).all(axis=0)[-2::-1]
        return int(np.argmin(np.append(binary, False)))

    @property
    def available(self) -> NDArray[np.bool_]:
        """`(T, K)` True where the model can be called."""
        return self.outcomes.available

    @property
    def answered(self) -> NDArray[np.int64]:
        """`(K,)` rows in which each model can be called."""
        return np.asarray(self.available.sum(axis=0), np.int64)

    @property
    def utility(self) -> Floats:
        """`(T, K)` in [0, 1], NaN where unavailable."""
        return self.outcomes.utility

    @property
    def cost(self) -> Floats:
        """`(T, K)` in the table's cost unit, NaN where unavailable; 0 throughout when the table has no cost."""
        if self.outcomes.priced:
            return self.outcomes.cost
        return np.where(self.available, 0.0, np.nan)

    @property
    def latency(self) -> Floats | None:
        """`(T, K)` seconds, or None."""
        return self.outcomes.latency

    @property
    def tokens(self) -> Floats | None:
        """`(T, K)` output tokens, or None."""
        return self.outcomes.tokens

    @property
    def price(self) -> Floats:
        """`(K,)` posted cost of a call, NaN where none is posted."""
        return self.outcomes.price

    @property
    def dataset(self) -> Texts:
        """`(T,)` dataset names."""
        return self.outcomes.dataset

    @property
    def query_id(self) -> Texts:
        """`(T,)` query ids."""
        return self.outcomes.query_id

    @property
    def cost_scale(self) -> float:
        """The unit in which rewards count cost: mean cost of the dearest model; 1 where nothing costs.

        A stream made from another keeps the other's: a price that changes does not move the unit.
        """
        if self.unit:
            return self.unit
        cost, there = self.cost, self.available
        return survey.dearest((cost[w], there[w]) for w in big.slices(len(self)))

    @property
    def priced(self) -> bool:
        """Whether the table records costs."""
        return self.outcomes.priced

    def pieces(self, window: int = 0, *, context: bool = True) -> Iterator[big.Piece]:
        """Yield the rows from this window on, as a table on disk does."""
        shared, code = self.cost_scale, np.unique(self.dataset.astype(str), return_inverse=True)[1]
        own = [getattr(self, name) for name in _PIECE]
        for w in big.slices(len(self))[window:]:
            columns = (*own, code, self.context if context else None)
            cut: list[Any] = [None if column is None else column[w] for column in columns]
            yield big.Piece(w.start, self.models, *[*cut, shared, self.query_id[w]])

    @property
    def heard(self) -> Stream:
        """The stream as a policy hears it: with utilities as judged. What it is replayed on; regret is not."""
        if self.world is None or self.world.judged is None:
            return self
        outcomes = replace(self.outcomes, utility=self.world.judged)
        return replace(self, outcomes=outcomes, world=self.world._replace(judged=None))


def load(
    name: str = "all",
    *,
    data: str | Path | Sequence[str | Path] | None = None,
    prices: str | Path | None = None,
    per: str | None = None,
    unit: str | None = None,
    scale: str | Sequence[float] | None = None,
    clip: bool = False,
    missing: str = "unavailable",
    drop_empty: bool = False,
    metric: str | None = None,
    duels: bool = False,
    keep_copies: bool = False,
    embed: str | None = None,
    models: Sequence[str] | None = None,
    modality: str = "both",
    fusion: str = "concat",
    dim: int = 32,
    whiten: bool = False,
    context: str = features.EMBEDDINGS,
) -> Stream:
    """Return the stream of this name, or of the table at this path.

    Args:
        name: `all`, a scenario (`ocr`, `vqa`, `math`, `text`), a dataset of the table, or a path to a table.
        data: a table to use instead of the calibrated twin: a file, a folder, or several.
        prices: price file that turns tokens or calls into cost, see `formats.apply_prices`.
        per, unit, scale, clip, missing, drop_empty, metric, duels: what its columns cannot tell, see `How`.
        keep_copies: copies of a question are not grouped, so that a split may part them.
        embed: encoder that embeds questions and images first, see `embed.embed`.
        models: keep these models only.
        modality, fusion, dim, whiten, context: see `features.context`.

    Raises:
        ValueError: with one line that names the file or option, what it needs and what it got.
    """
    if data is None and selection.is_path(name):
        data, name = name, "all"
    if data is not None:
        outcomes = formats.read(
            data, models=models, prices=prices, per=per, unit=unit, scale=scale, clip=clip, missing=missing,
            drop_empty=drop_empty, metric=metric, duels=duels,
        )  # fmt: skip
        outcomes = outcomes if keep_copies else grouped(outcomes)
    else:
        outcomes = (
            twin.twin() if prices is None else formats.apply_prices(twin.twin(), prices, per=per, unit=unit)
        )
    if embed is not None:
        from envs.contexts.embed import embed as encoded

        outcomes = encoded(outcomes, embed, folder=None if data is None else _paths(data)[0].parent)
    outcomes = selection.narrowed(
        outcomes, name, "the twin" if data is None else ", ".join(map(str, _paths(data))), models
    )
    seen, note = features.context(
        outcomes, modality=modality, fusion=fusion, dim=dim, whiten=whiten, context=context
    )
    heap.give_back()
    notes = (*outcomes.notes, *([note] if note else []))
    if not outcomes.priced:
        notes = (*notes, "the table has no costs: every call counts as free (give --prices FILE to price it)")
    title = name if data is None else f"{_called(data)}:{name}"
    return Stream(title, replace(outcomes, notes=()), seen, notes)


def _paths(data: str | Path | Sequence[str | Path]) -> list[Path]:
    return [Path(data)] if isinstance(data, (str, Path)) else [Path(each) for each in data]


def _called(data: str | Path | Sequence[str | Path]) -> str:
    """Return what a table is called after its files."""
    first, *more = _paths(data)
    return first.name + (f" and {len(more)} more" if more else "")

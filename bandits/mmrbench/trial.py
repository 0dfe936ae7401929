"""One offline router on one split: what it sees, what it learns, and where its predictions lead."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.metrics.curve import Path, path
from bandits.mmrbench import modes, scores
from bandits.mmrbench.routers import REFERENCES, ROUTERS
from bandits.mmrbench.splits import Split
from envs.outcomes import Outcomes

Floats = NDArray[np.floating[Any]]
MISSING = ("mean", "drop")

# What these routers see of a query; every other one, a user's own included, sees `modes.mean`.
_FUSION: dict[str, modes.Fusion] = {"kmeansnew": modes.adaptive, "cmr": modes.tokens}


class Case(NamedTuple):
    """Both sides of a split.

    Attributes:
        split: names and row numbers.
        train, test: the queries with their embeddings.
        utility, cost: `(n, K)` outcomes of the training queries.
        true: outcomes of the test queries.
    """

    split: Split
    train: Outcomes
    test: Outcomes
    utility: Floats
    cost: Floats
    true: scores.Truth


class Maker(NamedTuple):
    """A router or reference by its spec; `make(seed=...)` where it draws."""

    spec: str
    make: Callable[..., Any]
    learns: bool


class Entry(NamedTuple):
    """A router with its paths, one a repetition."""

    maker: Maker
    paths: list[Path]


class Part(NamedTuple):
    """One split that was played.

    Attributes:
        cases: one a repetition.
        entries: the routers.
        unit: `(N,)`, see `splits.units`, of the table that the cases come from.
    """

    cases: list[Case]
    entries: list[Entry]
    unit: NDArray[np.intp]


def makers(specs: tuple[str, ...]) -> list[Maker]:
    """Return what the specs name; `all` stands for every reference and router.

    Raises:
        ValueError: a name, key or value is unknown, or a spec comes twice.
    """
    named = [name for spec in specs for name in ((*REFERENCES, *ROUTERS) if spec == "all" else (spec,))]
    twice = [spec for i, spec in enumerate(named) if spec in named[:i]]
    if not named or twice:
        raise ValueError(f"router needs specs that differ, got {f'{twice[0]!r} twice' if twice else 'none'}")
    found = []
    for spec in named:
        function = resolve.function(spec, {**REFERENCES, **ROUTERS}, "router")
        function()
        found.append(Maker(spec, function, spec.split(",")[0] not in REFERENCES))
    return found


def recorded(table: Outcomes, missing: str) -> tuple[Floats, Floats]:
    """Return `(n, K)` utility and cost, with what was not recorded filled or left NaN, see `case`.

    Raises:
        ValueError: `missing` is neither `mean` nor `drop`.
    """
    if missing not in MISSING:
        raise ValueError(f"missing needs to be one of {', '.join(MISSING)}, got {missing!r}")
    utility = table.utility
    cost = table.cost if table.priced else np.where(table.available, 0.0, np.nan)
    if missing == "mean":  # a cost recorded beside a missing utility stays, as published
        utility, cost = (np.where(np.isnan(v), np.nanmean(v, axis=0), v) for v in (utility, cost))
    else:
        cost = np.where(table.available, cost, np.nan)
    return utility, cost


def case(table: Outcomes, split: Split, missing: str) -> Case:
    """Return both sides of a split, outcomes that were not recorded filled or left out.

    Args:
        table: the selected queries.
        split: row numbers of `table`.
        missing: `mean` fills them with the model's mean over `table`, as published; with `drop` they are NaN.

    Raises:
        ValueError: `missing` is neither.
    """
    utility, cost = recorded(table, missing)
    train, test = split.train, split.test
    true = scores.truth(utility[test], cost[test])
    return Case(split, table.take(train), table.take(test), utility[train], cost[train], true)


def walk(maker: Maker, case: Case, mode: str, seed: int) -> Path:
    """Return the path of a router, trained on one side of a case and asked about the other.

    A router that takes a `seed` gets this one unless its spec says otherwise. A model without a recorded outcome
    for a query is never chosen there; where no model is affordable, the first one that has one is (published).

    Raises:
        ValueError: the mode needs embeddings that the table lacks, or a router raised or returned another shape.
    """
    true = case.true
    drawn = "seed" in resolve.hyperparameters(maker.make) and "seed" not in getattr(
        maker.make, "keywords", {}
    )
    make = partial(maker.make, seed=seed) if drawn else maker.make
    if not maker.learns:
        made: Path = make()(true.utility, true.cost, case.test.dataset)
        return made
    fusion = _FUSION.get(maker.spec.split(",")[0], modes.mean)
    seen, asked = modes.contexts(fusion, mode, case.train, case.test)
    try:
        predicted = make()(seen, case.utility, case.cost)(asked)
        utility, cost = (np.asarray(p, np.float64) for p in predicted)
    except Exception as error:
        raise ValueError(
            f"router {maker.spec!r} raised {type(error).__name__}: {error}{resolve.where(maker.make, error)}"
        ) from error
    if utility.shape != true.utility.shape or cost.shape != true.utility.shape:
        raise ValueError(
            f"router {maker.spec!r}{resolve.where(maker.make)} needs to predict utility and cost of shape"
            f" {true.utility.shape}, got {utility.shape} and {cost.shape}"
        )
    recorded = ~np.isnan(true.utility)
    return path(np.where(recorded, utility, np.nan), cost, start=recorded.argmax(axis=1))

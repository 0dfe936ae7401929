"""Which queries train a router and which test it: MMR-Bench's splits (arXiv 2601.17814), by name of dataset."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.nearest import near
from envs.outcomes import Outcomes

Rows = NDArray[np.intp]
SPLITS = ("in", "out", "cross")
_ALIASES = {"seed": "seedbench2plus", "seedv2": "seedbench2plus", "seedbenchv2plus": "seedbench2plus"}


class Split(NamedTuple):
    """A training side and a test side, as row numbers of one table.

    Attributes:
        name: what is evaluated: the datasets asked for, or "A->B".
        train, test: row numbers, in the order in which the routers see them.
    """

    name: str
    train: Rows
    test: Rows


def select(outcomes: Outcomes, dataset: str) -> tuple[Outcomes, tuple[str, ...]]:
    """Return the rows of the named datasets, in file order, and the datasets in the order named.

    Models come in alphabetical order, as in the published loader: its ties go to the lowest index.

    Args:
        outcomes: the whole table.
        dataset: `all`, or names joined by `+`: datasets (`seedbench` for SEEDBench2_Plus) or scenarios.

    Raises:
        ValueError: no dataset has such a name, or several begin with it.
    """
    present = list(dict.fromkeys(str(d) for d in outcomes.dataset))
    named: list[str] = []
    for part in dataset.split("+"):
        named += [d for d in _matching(outcomes, part.strip(), present) if d not in named]
    rows = np.flatnonzero(np.isin(outcomes.dataset.astype(str), named))
    chosen = outcomes if len(rows) == len(outcomes) else outcomes.take(rows)
    return chosen.select(sorted(outcomes.models)), tuple(named)


def make(
    outcomes: Outcomes, dataset: str, datasets: tuple[str, ...], kind: str, share: float, seed: int
) -> list[Split]:
    """Return the splits of a selected table: one for `in` and `out`, one for each pair for `cross`.

    `in` draws rows at random, the same ones as scikit-learn's `train_test_split(train_size=share, random_state=seed)`;
    where the table has group ids (near copies) it draws whole groups. `out` trains on the first share of the
    datasets, in the order named. `cross` trains on all of dataset A and tests on all of B, both of one scenario.

    Raises:
        ValueError: an unknown kind, a share outside (0, 1), or a side without queries.
    """
    if kind not in SPLITS:
        raise ValueError(f"split needs to be one of {', '.join(SPLITS)}, got {kind!r}")
    if not 0 < share < 1:
        raise ValueError(f"train-share needs a number between 0 and 1, got {share}")
    if kind == "cross":
        return _cross(outcomes, datasets)
    train, test = _within(outcomes, share, seed) if kind == "in" else _out(outcomes, datasets, share)
    if not len(train) or not len(test):
        raise ValueError(
            f"split {kind!r} of {dataset!r} needs queries on both sides, got {len(train)} and {len(test)}"
        )
    return [Split(dataset, train, test)]


def units(outcomes: Outcomes) -> Rows:
    """Return `(N,)`, a number for each row that near copies (one group id) share: what is drawn, and resampled."""
    group = outcomes.group_id.astype(str)
    if not (group != "").any():
        return np.arange(len(outcomes))
    alone = [f"\0{row}" for row in range(len(outcomes))]  # a row without a group is one of its own
    return np.unique(np.where(group == "", alone, group), return_inverse=True)[1]


def _within(outcomes: Outcomes, share: float, seed: int) -> tuple[Rows, Rows]:
    unit = units(outcomes)
    size = int(unit.max()) + 1
    order = np.random.RandomState(seed).permutation(size)  # the generator behind the published split
    n_test = size - int(share * size)
    if np.array_equal(unit, np.arange(size)):
        return order[n_test:], order[:n_test]
    tested = np.isin(unit, order[:n_test])
    return np.flatnonzero(~tested), np.flatnonzero(tested)


def _out(outcomes: Outcomes, datasets: tuple[str, ...], share: float) -> tuple[Rows, Rows]:
    first = datasets[: max(1, int(share * len(datasets)))]
    train = np.isin(outcomes.dataset.astype(str), first)
    return np.flatnonzero(train), np.flatnonzero(~train)


def _cross(outcomes: Outcomes, datasets: tuple[str, ...]) -> list[Split]:
    rows = {d: np.flatnonzero(outcomes.dataset == d) for d in datasets}
    scenario = {d: str(outcomes.scenario[rows[d][0]]) for d in datasets}
    pairs = [
        (a, b) for a in datasets for b in datasets if a != b and scenario[a] and scenario[a] == scenario[b]
    ]
    if not pairs:
        raise ValueError(
            f"split 'cross' needs two datasets of one scenario, got {', '.join(datasets) or 'none'}"
        )
    return [Split(f"{a}->{b}", rows[a], rows[b]) for a, b in pairs]


def _matching(outcomes: Outcomes, name: str, present: list[str]) -> list[str]:
    """Return the datasets that a name stands for."""
    wanted = plain(name)
    wanted = _ALIASES.get(wanted, wanted)
    if wanted == "all":
        return present
    exact = [d for d in present if plain(d) == wanted]
    in_scenario = list(dict.fromkeys(str(d) for d in outcomes.dataset[outcomes.scenario == wanted]))
    begins = [d for d in present if wanted and plain(d).startswith(wanted)]
    found = exact or in_scenario or begins
    if not found:
        raise ValueError(f"no dataset {name!r} in the table; {near(name, ['all', *present])}")
    if found is begins and len(begins) > 1:
        raise ValueError(f"dataset {name!r} could be {' or '.join(begins)}; name one of them")
    return found


def plain(name: str) -> str:
    """Return a dataset's name in lower case, letters and digits only: how names are compared."""
    return "".join(c for c in name.lower() if c.isalnum())

"""A run added up window by window gives the tables of a run kept whole: every cell, with gaps and a stop at an edge."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bandits.loop.replay import Trace
from bandits.metrics.regret import fall_back, played
from bandits.results import accumulated, books
from bandits.results.by_dataset import by_dataset
from bandits.results.cells import Cells
from bandits.results.summary import summarise
from bandits.results.tally import Tally
from envs.outcomes import Outcomes
from envs.stream import Stream

ROWS, ROUNDS, SEEDS, EDGES = 300, 280, 3, (0, 100, 260, 300)


@pytest.fixture(scope="module", params=[True, False], ids=["gaps", "complete"])
def both(request: pytest.FixtureRequest) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """The tables of the sums, and those of the trace."""
    rng = np.random.default_rng(0)
    utility, cost = rng.choice([0.0, 0.5, 1.0], (ROWS, 4)), rng.lognormal(size=(ROWS, 4))
    if request.param:
        gone = rng.random((ROWS, 4)) < 0.3
        gone[np.arange(ROWS), rng.integers(0, 4, ROWS)] = False
        utility[gone], cost[gone] = np.nan, np.nan
    # One data set is found in the last window only, and there model 3 is right more often than elsewhere.
    code = np.where(np.arange(ROWS) >= 260, 2, rng.integers(0, 2, ROWS))
    utility[260:, 3] = np.where(np.isnan(utility[260:, 3]), np.nan, 1.0)
    names = ("a", "b", "c")
    outcomes = Outcomes(
        models=tuple("wxyz"), utility=utility, cost=cost, query_id=np.arange(ROWS).astype(str).astype(object),
        dataset=np.array(names, object)[code], cost_unit="USD",
    )  # fmt: skip
    stream = Stream("made", outcomes, np.ones((ROWS, 1), np.float32))
    reward = utility - (
        0.2 * cost if request.param else 0.0
    )  # the latter with ties, of which the cheapest counts
    windows = list(pairwise(EDGES))
    order = np.concatenate(
        [np.stack([low + rng.permutation(high - low) for _ in range(SEEDS)]) for low, high in windows], axis=1
    )[:, :ROUNDS].astype(np.int32)  # of the last window each seed asks another part
    draws = rng.random((2, ROWS, 4)) * ~np.isnan(reward)
    arms = np.stack([d.argmax(axis=1)[order] for d in draws]).astype(np.int32)
    traces = {f"p{i}": Trace(order, called) for i, called in enumerate(arms)}

    stops = np.unique([*accumulated.stops(ROUNDS), *EDGES[1:3]])  # one at each edge
    tally = Tally(2, 4, SEEDS, 3, stops)
    ranked = fall_back((~np.isnan(reward)).sum(axis=0))
    parts = [slice(low, high) for low, high in windows]
    often = played(order, ROWS)
    means = books.best(((reward[p], code[p], often[p]) for p in parts), 3, ranked)
    for (low, high), p in zip(windows, parts, strict=True):
        alike = np.arange(low, high, dtype=np.uint64)
        piece = SimpleNamespace(utility=utility[p], cost=cost[p], code=code[p], alike=alike)
        book = books.book(reward[p], piece, means)
        asked = slice(low, min(high, ROUNDS))
        tally.add(book, order[:, asked] - low, arms[:, :, asked])
    table = SimpleNamespace(n_arms=4, models=tuple("wxyz"), datasets=names, name="made", priced=True)
    unused = Cells(2 + len(books.REFERENCES) + 4, 3, ROWS)  # held by test_cells
    summed = accumulated.tables(tally, unused, table, ["p0", "p1"], preference="0.2")
    made = summarise(stream, reward, traces)
    whole = {"summary": made.summary, "curves": made.curves, "by_dataset": by_dataset(stream, reward, traces)}
    return summed, whole


def test_the_summary(both: tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]) -> None:
    left, right = (tables["summary"].set_index("policy") for tables in both)
    assert left.index.tolist() == right.index.tolist()
    for column in right.columns:
        if not pd.api.types.is_numeric_dtype(right[column]):
            assert left[column].tolist() == right[column].tolist(), column
        else:
            np.testing.assert_allclose(left[column], right[column], rtol=1e-9, atol=1e-12, err_msg=column)


def test_the_curves(both: tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]) -> None:
    left, right = (tables["curves"] for tables in both)
    right = right[~right["quantity"].str.startswith("share@")]
    key = ["policy", "quantity", "round"]
    left, right = (frame.set_index(key).sort_index() for frame in (left, right))
    assert left.index.equals(right.index)
    for column in ("mean", "lo", "hi"):
        np.testing.assert_allclose(
            left[column].astype(float), right[column].astype(float), rtol=1e-9, atol=1e-9, err_msg=column
        )


def test_the_rows_by_dataset(both: tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]) -> None:
    key = ["policy", "dataset", "seed"]
    left, right = (tables["by_dataset"].set_index(key).sort_index() for tables in both)
    assert left.index.equals(right.index) and set(left.columns) == set(right.columns)
    for column in right.columns:
        if column == "kind":
            assert left[column].tolist() == right[column].tolist()
        else:
            np.testing.assert_allclose(
                left[column].astype(float), right[column].astype(float), rtol=1e-9, atol=1e-9, err_msg=column
            )

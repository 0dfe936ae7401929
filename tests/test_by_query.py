"""The rows by query and their file: every query of the table once, every digit kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bandits.experiment import worlds
from bandits.folders import sheets
from bandits.loop.orders import orders
from bandits.loop.replay import Trace
from bandits.results.summary import summarise
from bandits.rewards import linear, reward_table
from tests.conftest import make_stream
from tests.test_by_dataset import make_traces


def test_a_changed_world_has_a_row_for_each_query_of_the_table(known) -> None:
    """Seeds and rounds lay the same queries out again and again; copies are one. Means against a plain loop."""
    group = np.array([f"pair {row // 2}" if row < 100 else "" for row in range(len(known))], object)
    stream = replace(known, outcomes=replace(known.outcomes, group_id=group))
    world = worlds.changed(stream, ("price,model=@best,at=.5,factor=.1",), seeds=3, rounds=900, seed=1)
    table = reward_table(linear, world)
    order = orders(world, seeds=3, rounds=900, seed=1)
    arms = np.random.default_rng(0).integers(0, world.n_arms, order.shape).astype(np.int32)
    frame = summarise(world, table, {"p": Trace(order, arms)}).by_query
    want: dict[tuple[str, str], list[float]] = {}
    for at, arm in zip(order.ravel(), arms.ravel(), strict=True):
        row = world.world.row[at]
        want.setdefault((group[row] or str(row), stream.dataset[row]), []).append(table[at, arm])
    names = [group[row] or str(row) for row in frame["row"]]
    got = dict(zip(zip(names, frame["dataset"], strict=True), frame["reward:p"], strict=True))
    assert len(frame) == len(want) <= len(stream) and got.keys() == want.keys()
    assert all(got[key] == pytest.approx(np.mean(values)) for key, values in want.items())
    assert frame["rounds"].sum() == order.size and frame["row"].is_monotonic_increasing
    assert frame["cluster"].nunique() == len({key for key, _ in want})


def test_the_file_of_queries_keeps_every_digit_and_is_refused_damaged(tmp_path) -> None:
    stream = make_stream()
    table, traces = reward_table(linear, stream), make_traces(stream)
    frame = summarise(stream, table, traces).by_query
    whole = sheets.written("by_query", frame)
    (tmp_path / sheets.file("by_query")).write_bytes(whole)
    pd.testing.assert_frame_equal(sheets.read(tmp_path, "by_query"), frame, check_exact=True)
    assert len(whole) < len(frame.to_csv(index=False)) / 2
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 4
    for wrong in (flipped, whole[:-9], b"PAR1", b""):
        (tmp_path / sheets.file("by_query")).write_bytes(wrong)
        with pytest.raises(ValueError, match=r"by_query\.parquet: ") as error:
            sheets.read(tmp_path, "by_query")
        assert "\n" not in str(error.value)

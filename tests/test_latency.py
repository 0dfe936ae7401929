"""Latency in the summary: percentiles over the calls, against a plain loop; nothing where none is recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bandits.loop.replay import Trace
from bandits.results.latency import latency
from envs.stream import Stream


def called(stream: Stream) -> Trace:
    """Three seeds of 50 rounds that call at random, no model in every tenth round."""
    rng = np.random.default_rng(1)
    order = np.stack([rng.permutation(len(stream))[:50] for _ in range(3)]).astype(np.int32)
    arms = rng.integers(0, stream.n_arms, order.shape).astype(np.int32)
    arms[:, ::10] = -1
    return Trace(order, arms)


def test_percentiles_are_over_the_calls_that_were_made_and_recorded(known: Stream) -> None:
    seconds = np.random.default_rng(2).lognormal(size=known.utility.shape)
    seconds[::7, 1] = np.nan
    stream = replace(known, outcomes=replace(known.outcomes, latency=seconds))
    trace = called(stream)
    found = latency(stream, stream.utility, {"p": trace})
    assert found is not None
    at = found.set_index("policy")
    heard = [
        seconds[row, arm]
        for row, arm in zip(trace.order.ravel(), trace.arms.ravel(), strict=True)
        if arm >= 0 and not np.isnan(seconds[row, arm])
    ]
    assert 100 < len(heard) < 135
    assert at.loc["p"].tolist() == pytest.approx(np.percentile(heard, [50, 95]).tolist())
    first = seconds[trace.order.ravel(), 0]  # a single model, over the same rounds
    assert at.loc["model-0"].tolist() == pytest.approx(np.percentile(first, [50, 95]).tolist())
    assert "uniform" not in at.index  # an expected value calls nothing


def test_there_are_none_where_no_latency_is_recorded(known: Stream) -> None:
    assert latency(known, known.utility, {"p": called(known)}) is None

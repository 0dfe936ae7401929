"""Streams with a known answer, shared by the suites."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")  # before jax is imported

import jax
import numpy as np
import pytest

from bandits.loop import scan
from envs.outcomes import Outcomes
from envs.stream import Stream

SHARED = Path(__file__).resolve().parents[2] / "shared"


def make_stream(
    rows: int = 600, arms: int = 4, features: int = 5, seed: int = 0, missing: float = 0.0
) -> Stream:
    """Return a stream on which arm `k` is right for the queries of topic `k` with 0.9, for the others with 0.2.

    The topic is one of `arms - 1` and stands one-hot in the context; the last arm is right with 0.5 everywhere.
    Costs rise with the arm's number. `missing` is the share of outcomes not recorded.
    """
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, arms - 1, rows)
    chance = np.full((rows, arms), 0.2)
    chance[np.arange(rows), topic] = 0.9
    chance[:, -1] = 0.5
    utility = (rng.random((rows, arms)) < chance).astype(float)
    hidden = rng.random((rows, arms)) < missing
    hidden[np.arange(rows), rng.integers(0, arms, rows)] = False
    utility[hidden] = np.nan
    cost = np.where(hidden, np.nan, rng.lognormal(0.0, 0.3, (rows, arms)) * (1 + np.arange(arms)))
    context = np.zeros((rows, features + 1), np.float32)
    context[np.arange(rows), topic % features] = 1.0
    context[:, -1] = 1.0
    outcomes = Outcomes(
        models=tuple(f"model-{k}" for k in range(arms)),
        utility=utility,
        cost=cost,
        query_id=np.array([f"q{i}" for i in range(rows)], object),
        dataset=np.array([f"topic{t}" for t in topic], object),
        price=1.0 + np.arange(arms),
        cost_unit="USD/query",
    )
    return Stream("known", outcomes, context)


@pytest.fixture(autouse=True)
def _one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scan on one of JAX's devices, since each compiles for itself; what is about several asks for them."""
    monkeypatch.setattr(scan, "devices", lambda: jax.local_devices()[:1])


@pytest.fixture(scope="session")
def known() -> Stream:
    """A complete stream with a known answer."""
    return make_stream()


@pytest.fixture(scope="session")
def patchy() -> Stream:
    """The same with 40 % of the outcomes missing: models that cannot be called, at random."""
    return make_stream(missing=0.4, seed=1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real tables beside the checkout; tests that need it skip without it."""
    if not SHARED.is_dir():
        pytest.skip("no real tables: the folder ../shared is absent")
    return SHARED

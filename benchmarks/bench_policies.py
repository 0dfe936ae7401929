"""Rounds a second of every policy at K=10, d=64, T=11,000: one seed, and 32 seeds in one program."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bandits import POLICIES, replay, reward_table, rewards
from envs.outcomes import Outcomes
from envs.stream import Stream

ARMS, DIM, ROUNDS = 10, 64, 11_000
# At a million weights a round, these take minutes with 32 seeds; one seed says what there is to say.
NEURAL = ("neuralucb", "neuralts", "neurallinear", "dropout")


@pytest.fixture(scope="module")
def stream() -> Stream:
    """Random unit-norm contexts with a constant, utilities linear in them, 10 models."""
    rng = np.random.default_rng(0)
    context = rng.normal(size=(ROUNDS, DIM)).astype(np.float32)
    context /= np.linalg.norm(context[:, :-1], axis=1, keepdims=True)
    context[:, -1] = 1.0
    chance = 0.5 + context[:, :-1] @ rng.normal(size=(DIM - 1, ARMS)) * 0.25
    outcomes = Outcomes(
        models=tuple(f"m{k}" for k in range(ARMS)),
        utility=(rng.random((ROUNDS, ARMS)) < chance).astype(float),
        cost=rng.lognormal(size=(ROUNDS, ARMS)),
        query_id=np.arange(ROUNDS).astype(str).astype(object),
        cost_unit="made up",
    )
    return Stream("benchmark", outcomes, context)


@pytest.mark.parametrize("seeds", [1, 32])
@pytest.mark.parametrize("name", [n for n in POLICIES if n != "always"])
def test_policy(benchmark: Any, stream: Stream, name: str, seeds: int) -> None:
    """Replay once to compile, then time whole replays; the median of 3 counts."""
    if seeds > 1 and name in NEURAL:
        pytest.skip(f"{name} runs with one seed here")
    policy = POLICIES[name](ARMS, DIM)
    table = reward_table(rewards.linear, stream)
    benchmark.pedantic(lambda: replay(policy, stream, table, seeds=seeds), rounds=3, warmup_rounds=1)
    benchmark.extra_info["rounds_per_second"] = seeds * ROUNDS / benchmark.stats.stats.median

"""Is `dlinucb` the paper's D-LinUCB, by the scan and by the kernel, for ten thousand rounds?"""

from __future__ import annotations

import jax
import numpy as np
import pytest

import bandits
import envs
from bandits.loop import lanes, scan
from bandits.loop.compiled import compiled
from bandits.loop.replay import replay, shared
from bandits.rewards import linear, reward_table
from bandits.wrappers import warm
from tests.conftest import make_stream


def indices(x, arms: np.ndarray, told: np.ndarray, n_arms: int, gamma: float, *, every: int = 1):
    """Yield a round and its `(K,)` indices by arXiv 1909.09146, Algorithm 1, an arm, in float64 with both ridges."""
    d = x.shape[1]
    v, squared, b = np.stack([np.eye(d)] * n_arms), np.stack([np.eye(d)] * n_arms), np.zeros((n_arms, d))
    for t, (now, k) in enumerate(zip(x.astype(float), arms, strict=True)):
        if t % every == 0:
            u = np.linalg.solve(v, np.broadcast_to(now, (n_arms, d))[..., None])[..., 0]
            yield t, (b * u).sum(1) + np.sqrt(np.einsum("ki,kij,kj->k", u, squared, u))
        v = gamma * v + (1 - gamma) * np.eye(d)
        squared = gamma**2 * squared + (1 - gamma**2) * np.eye(d)
        b *= gamma
        v[k] += np.outer(now, now)
        squared[k] += np.outer(now, now)
        b[k] += told[t] * now


@pytest.mark.parametrize("gamma", [0.9, 0.997, 0.9995])
def test_ten_thousand_rounds_call_the_papers_choice(gamma: float) -> None:
    stream = envs.load("all")
    policy = bandits.dlinucb(stream.n_arms, stream.dim, gamma=gamma)
    assert compiled(policy, shared(stream))
    table = reward_table(linear, stream)
    trace = replay(policy, stream, table, seeds=1, rounds=10_000)
    rows, arms = trace.order[0], trace.arms[0]
    told = table[rows, arms]
    for t, index in indices(stream.context[rows], arms, told, stream.n_arms, gamma, every=7):
        assert index.max() - index[arms[t]] < 1e-3, t


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("gamma", [0.8, 1.0])
def test_the_scan_and_the_kernel_call_the_papers_choice(gamma: float, missing: float, monkeypatch) -> None:
    stream = make_stream(rows=900, missing=missing, seed=4)
    policy, table = bandits.dlinucb(stream.n_arms, stream.dim, gamma=gamma), reward_table(linear, stream)
    fast = replay(policy, stream, table, seeds=2)
    monkeypatch.setattr(lanes, "player", scan.Scan)
    plain = replay(policy, stream, table, seeds=2)
    for trace in (fast, plain):
        for rows, arms in zip(trace.order, trace.arms, strict=True):
            told, there = table[rows, arms], stream.available[rows]
            for t, index in indices(stream.context[rows], arms, told, stream.n_arms, gamma):
                assert there[t, arms[t]]
                assert index[there[t]].max() - index[arms[t]] < 1e-3, t


def test_dlinucb_begins_with_the_evidence_of_the_log_without_the_ridge(known) -> None:
    table = known.utility.astype(float)
    for strength in (1.0, 4.0):
        prior = warm.fit(known, table, ridge=strength)
        policy = warm.start(bandits.dlinucb(4, 6, ridge=strength), prior)
        state = policy.init(jax.random.key(0))
        x = known.context.astype(float)
        np.testing.assert_allclose(state.evidence[1], x.T @ x, atol=0.01 * len(known))
        weight = np.linalg.solve(np.asarray(state.evidence[1]) + strength * np.eye(6), state.moment[1])
        np.testing.assert_allclose(weight, prior.weight["reward"][1], atol=2e-3)

"""Policies that choose among policies: against plain loops and SciPy, their promises on six streams, their names."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

import bandits
from bandits import replay
from bandits.experiment.lineup import build, ranged
from bandits.policies.selection.balanced import promised
from bandits.policies.selection.bases import named
from bandits.policies.selection.corral import descended
from bandits.rewards import accuracy, reward_table
from envs.outcomes import Outcomes
from envs.stream import Stream
from tests.conftest import make_stream

T, DELTA, BOUND, WIDTH = 3000, 0.05, 0.02, 1.0
MEANS = [(0.95, 0.05), (0.05, 0.95), (0.9, 0.0), (0.98, 0.02), (0.0, 0.9), (0.1, 1.0)]


def coins(means: tuple[float, float], seed: int) -> Stream:
    """Return a stream of two models that are right with these chances, whatever the query."""
    rng = np.random.default_rng(seed)
    utility = (rng.random((T, 2)) < means).astype(float)
    ids = np.array([f"q{i}" for i in range(T)], object)
    outcomes = Outcomes(("a", "b"), utility, np.ones((T, 2)), ids)
    return Stream("coins", outcomes, np.ones((T, 2), np.float32))


@pytest.fixture(scope="module")
def always() -> tuple[bandits.Policy, bandits.Policy]:
    """Two bases that know nothing: each calls one model."""
    return bandits.always(2, 2, model=0), bandits.always(2, 2, model=1)


def by_hand(rewards: np.ndarray) -> np.ndarray:
    """Return the bases that Algorithm 1 plays, in float64: `rewards (T, 2)` of each round."""
    calls, total, active, played = [0, 0], [0.0, 0.0], [True, True], []

    def sure(n: int) -> float:
        return WIDTH * math.sqrt(math.log(2 * max(math.log(n), 1.0) / DELTA) / n)

    for row in rewards:
        i = min((k for k in (0, 1) if active[k]), key=lambda k: (BOUND * math.sqrt(calls[k]), k))
        played.append(i)
        calls[i] += 1
        total[i] += row[i]
        tried = [k for k in (0, 1) if calls[k]]
        best = max(total[k] / calls[k] - sure(calls[k]) for k in tried)
        for k in tried:
            reach = total[k] / calls[k] + BOUND / math.sqrt(calls[k]) + sure(calls[k])
            active[k] = active[k] and reach >= best
    return np.array(played)


def test_balanced_is_algorithm_1_and_keeps_its_promise_on_six_streams(always) -> None:
    """The best base has no regret, so any bound holds for it. A master that went on balancing would lose about
    `gap T / 2`, 1,350 and more; the promise is 749 in units of the range."""
    policy = bandits.balanced(
        2, 2, bases=always, bound=BOUND, width=WIDTH, delta=DELTA, shared=False, low=0.0, high=1.0
    )
    most = promised(T, 2, bound=BOUND, width=WIDTH, delta=DELTA)
    assert most < 750 < 0.45 * T
    for seed, means in enumerate(MEANS):
        stream = coins(means, seed)
        table = reward_table(accuracy, stream)
        trace = replay(policy, stream, table, seeds=1, seed=seed)
        for order, arms in zip(trace.order, trace.arms, strict=True):
            np.testing.assert_array_equal(arms, by_hand(table[order]))
            assert (max(means) - table[order, arms]).sum() <= most
            assert (arms == np.argmax(means)).mean() > 0.9  # the other was dropped, and early


def test_corral_keeps_the_bound_of_mirror_descent_on_six_streams(always) -> None:
    """For bases that do not learn: `M ln T / eta + eta T` and the mixing's 1; even calls lose
    1,350 and more."""
    eta = 0.05
    policy = bandits.corral(2, 2, bases=always, eta=eta, low=0.0, high=1.0)
    most = 2 * math.log(T) / eta + eta * T + 1
    assert most < 480
    for seed, means in enumerate(MEANS):
        stream = coins(means, seed)
        table = reward_table(accuracy, stream)
        trace = replay(policy, stream, table, seeds=1, seed=seed)
        lost = max(means) - table[trace.order, trace.arms]
        assert (lost.sum(axis=1) <= most).all()


def test_a_step_of_mirror_descent_is_the_root_that_scipy_finds() -> None:

    def over(x: float, chance: np.ndarray, rate: np.ndarray, loss: np.ndarray) -> float:
        return float((1 / (1 / chance + rate * (loss - x))).sum() - 1)

    rng = np.random.default_rng(0)
    for _ in range(10):
        chance, rate = rng.dirichlet(np.ones(3)), rng.uniform(0.02, 0.5, 3)
        loss = np.where(rng.random(3) < 0.5, rng.random(3) / chance, 0.0)
        if np.ptp(loss) == 0:
            continue
        poles = (1 / chance + rate * loss) / rate
        high = min(loss.max(), poles.min() * (1 - 1e-12))
        found = brentq(over, loss.min(), high, args=(chance, rate, loss), xtol=1e-13)
        want = 1 / (1 / chance + rate * (loss - found))
        got = descended(*(jnp.asarray(v, jnp.float32) for v in (chance, loss, rate)))
        np.testing.assert_allclose(got, want, rtol=2e-4)


def test_bases_are_named_with_their_hyperparameters_and_hear_as_they_would_alone() -> None:
    assert named("linucb:alpha=0.3:prior=1+mine.py:own:x=2") == [
        "linucb,alpha=0.3,prior=1",
        "mine.py:own,x=2",
    ]
    stream = make_stream(300)
    table = reward_table(accuracy, stream)
    spec = "balanced,of=ucb1:alpha=0.1+always:model=model-1,shared=false,width=1000"
    assert ranged(spec)
    trace = replay(build(spec, stream, accuracy, bounds=(0.0, 1.0)), stream, table, seeds=1, seed=0)
    alone = build("ucb1,alpha=0.1", stream, accuracy, bounds=(0.0, 1.0))
    # Never sure of anything, it plays both in turn; the first hears the even rounds alone.
    assert (trace.arms[0, 1::2] == 1).all()
    calls, total, want = np.zeros(4), np.zeros(4), []
    for row in trace.order[0, ::2]:
        width = 0.1 * np.sqrt(2 * np.log(max(calls.sum(), 1)) / np.maximum(calls, 1))
        want.append(np.argmax(np.where(calls > 0, total / np.maximum(calls, 1) + width, 1e6)))
        calls[want[-1]] += 1
        total[want[-1]] += table[row, want[-1]]
    assert (
        alone.index is not None and (trace.arms[0, ::2] == want).mean() > 0.97
    )  # near ties may round otherwise


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("balanced,of=linucb", "of needs two or more different policies"),
        ("corral,of=linucb+linucb", "of needs two or more different policies"),
        ("balanced,of=linucb+oracle", "policy 'oracle' knows the outcomes"),
        ("balanced,of=linucb+klucbb", "no policy 'klucbb'"),
        ("balanced,of=linucb+ucb1,delta=2", "balanced needs 0 <= delta <= 1"),
        ("corral,eta=0", "corral needs eta > 0"),
    ],
)
def test_bad_bases_end_in_one_line(spec: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build(spec, make_stream(50), accuracy, checked=False)

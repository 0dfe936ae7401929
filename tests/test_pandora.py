"""Pandora's rule: its index by numerical integration, its optimality by dynamic programming, and what it learns."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from bandits.base import check, example
from bandits.loop import slots
from bandits.policies.sequential.pandora import _judge, _posterior, pandora
from bandits.rewards import linear
from bandits.sequential import boxes
from bandits.sequential.reservation import reservation
from envs.calls import STOP, Calls, Several, best_heard
from tests.conftest import make_stream


def instance(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    count, size = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    return rng.random((count, size)), rng.dirichlet(np.ones(size), count), rng.uniform(0.001, 0.4, count)


@pytest.mark.parametrize("block", range(4))
def test_the_rule_is_worth_what_dynamic_programming_is(block: int) -> None:
    """200 random instances of two to four boxes with two to four values each."""
    for seed in range(50 * block, 50 * block + 50):
        values, chances, cost = instance(seed)
        rule, best = boxes.weitzman(values, chances, cost), boxes.dynamic_programming(values, chances, cost)
        assert rule == pytest.approx(best, abs=1e-6)


def test_opening_every_box_is_worth_less() -> None:
    """The check can tell: the best value of all less all costs falls short of the rule on most instances."""
    short = 0
    for seed in range(50):
        values, chances, cost = instance(seed)
        grid = product(*(zip(v, p, strict=True) for v, p in zip(values, chances, strict=True)))
        every = sum(np.prod([p for _, p in one]) * max(v for v, _ in one) for one in grid) - cost.sum()
        best = boxes.dynamic_programming(values, chances, cost)
        assert every <= best + 1e-12
        short += every < best - 1e-3
    assert short > 40


@pytest.mark.parametrize("seed", range(20))
def test_the_reservation_value_solves_its_equation(seed: int) -> None:
    values, chances, cost = instance(seed)

    def short(sigma: float, k: int) -> float:
        return float((chances[k] * np.maximum(values[k] - sigma, 0)).sum() - cost[k])

    wanted = [brentq(short, -5, values[k].max(), args=(k,), xtol=1e-13) for k in range(len(cost))]
    np.testing.assert_allclose(reservation(values, chances, cost), wanted, atol=1e-10)
    if seed > 1:  # JAX compiles each shape anew
        return
    told = reservation(*(jnp.asarray(a, jnp.float32) for a in (values, chances, cost)))
    np.testing.assert_allclose(told, wanted, atol=2e-4)


def test_posteriors_are_bayes_rule() -> None:
    chance, low, high, spread = 0.3, -0.4, 1.1, 0.8
    z = np.linspace(-2, 2, 9)
    right, wrong = chance * norm.pdf(z, high, spread), (1 - chance) * norm.pdf(z, low, spread)
    got = _posterior(
        jnp.array([chance]), jnp.asarray(z)[None], jnp.array([low]), jnp.array([high]), jnp.array([spread])
    )
    np.testing.assert_allclose(got[0], right / (right + wrong), atol=1e-5)


def test_contract() -> None:
    for joint in (True, False):
        check(pandora(3, 4, joint=joint), 3, 4, "pandora")


def judged(quality: float, seed: int = 0):
    """The known stream with a judge of this separation on the logit scale."""
    stream = make_stream(rows=1500, seed=seed)
    noise = np.random.default_rng(seed).normal(size=stream.utility.shape)
    score = 1 / (1 + np.exp(-(quality * (2 * stream.utility - 1) + noise)))
    return replace(stream, several=Several(Calls(3, combine=best_heard), score))


@pytest.fixture(scope="module")
def policy():
    return pandora(4, 6)


def test_it_learns_the_judge_and_calls_again_only_where_that_pays(policy) -> None:
    """A judge that knows nothing is not paid for twice; one that knows is, and the reward rises."""
    earned, calls = [], []
    for quality in (0.0, 3.0):
        stream = judged(quality)
        trace = slots.replay(policy, stream, linear, seeds=2, rounds=1500, preference=0.1)
        earned.append(slots.gained(trace, stream, linear, 0.1).sum(axis=2)[:, 750:].mean())
        calls.append((trace.arms[:, 750:] >= 0).sum(axis=2).mean())
        assert (trace.arms[:, :, 0] >= 0).all()
    assert calls[0] < 1.05 < 1.1 < calls[1] and earned[1] > earned[0] + 0.02


def test_what_it_believes_of_the_judge_is_what_it_heard(policy) -> None:
    """Means and deviation of the logits of right and wrong answers, from a scripted sequence."""
    seen, told = example(4, 6)
    seen = seen._replace(asked=jnp.zeros(4, bool), heard=jnp.full(4, jnp.nan))
    state, rng = policy.init(jax.random.key(0)), np.random.default_rng(0)
    logits, right = rng.normal(1.0, 0.7, 300), (rng.random(300) < 0.5) * 1.0
    logits = logits + 1.5 * right
    step = jax.jit(policy.update)
    for z, r in zip(logits, right, strict=True):
        feedback = told._replace(utility=jnp.float32(r), score=jax.nn.sigmoid(jnp.float32(z)))
        state = step(jax.random.key(1), state, seen, jnp.int32(2), feedback)
    low, high, spread = _judge(state)
    assert low[2] == pytest.approx(logits[right == 0].mean(), abs=0.1)
    assert high[2] == pytest.approx(logits[right == 1].mean(), abs=0.1)
    assert spread[2] == pytest.approx(0.7, abs=0.1)
    assert float(state.right.weight[2, 0, -6:] @ seen.context) == pytest.approx(right.mean(), abs=0.05)


def test_it_stops_when_the_best_answer_is_worth_more_than_the_next(policy) -> None:
    """With its own numbers in NumPy: reservation values by quadrature, and the answer that is held."""
    stream = judged(2.0)
    trace = slots.replay(policy, stream, linear, seeds=1, rounds=300, preference=0.3)
    again = slots.replay(policy, stream, linear, seeds=1, rounds=300, preference=0.3)
    np.testing.assert_array_equal(trace.arms, again.arms)
    made = trace.arms[0] >= 0
    assert not (made[:, 1:] & ~made[:, :-1]).any()  # nothing is called after a stop
    assert all(len({a for a in row if a != STOP}) == (row != STOP).sum() for row in trace.arms[0])

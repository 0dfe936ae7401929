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
from bandits.policies.sequential.pandora import _newton, _posterior, _spread, pandora
from bandits.rewards import linear
from bandits.sequential.reservation import reservation
from envs.calls import STOP, Calls, Several, best_heard
from tests import boxes
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


def test_the_logistic_step_is_that_of_a_plain_loop() -> None:
    """Precision and mean after 200 answers, in float64; they come near the weights that the answers were drawn with."""
    rng, truth = np.random.default_rng(0), np.array([1.5, -0.5, 0.3])
    inverse, weight = jnp.eye(3), jnp.array([1.0, 0.0, 0.0])
    precision, mean = np.eye(3), np.array([1.0, 0.0, 0.0])
    step = jax.jit(_newton)
    for _ in range(200):
        x = np.append(rng.normal(size=2), 1.0)
        right = float(rng.random() < 1 / (1 + np.exp(-truth @ x)))
        inverse, weight = step(inverse, weight, jnp.asarray(x, jnp.float32), jnp.float32(right))
        p = 1 / (1 + np.exp(-mean @ x))
        precision += max(p * (1 - p), 0.02) * np.outer(x, x)
        mean = mean + np.linalg.solve(precision, x) * (right - p)
    np.testing.assert_allclose(weight, mean, atol=1e-3)
    np.testing.assert_allclose(inverse, np.linalg.inv(precision), atol=1e-3)
    assert np.abs(mean - truth).max() < 3 * np.sqrt(np.diag(np.linalg.inv(precision))).max()
    same = step(inverse, weight, jnp.ones(3), jnp.float32(jnp.nan))
    np.testing.assert_array_equal(same[1], weight)


def test_contract() -> None:
    for joint in (True, False):
        check(pandora(3, 4, joint=joint), 3, 4, "pandora")


def judged(quality: float, seed: int = 0):
    """The known stream with a judge of this separation on the logit scale; delivered answers alone are told of."""
    stream = make_stream(rows=1500, seed=seed)
    noise = np.random.default_rng(seed).normal(size=stream.utility.shape)
    score = 1 / (1 + np.exp(-(quality * (2 * stream.utility - 1) + noise)))
    return replace(stream, several=Several(Calls(3, combine=best_heard, hear="delivered"), score))


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


def test_it_hears_scores_of_all_and_utility_of_the_delivered_alone(policy) -> None:
    """With utilities of answers that were not delivered turned round, it calls as before; those delivered matter."""
    stream = judged(1.0)
    first = slots.replay(policy, stream, linear, seeds=1, rounds=400, preference=0.05)
    called, row = first.arms[0] >= 0, first.order[0]
    assert called.sum(axis=1).max() > 1
    arm = np.where(called, first.arms[0], 0)
    score = np.where(called, stream.several.scores[row[:, None], arm], -1.0)
    delivered = arm[np.arange(len(row)), score.argmax(axis=1)]
    turned = 1 - stream.utility
    turned[row, delivered] = stream.utility[row, delivered]
    other = replace(stream, outcomes=replace(stream.outcomes, utility=turned))
    again = slots.replay(policy, other, linear, seeds=1, rounds=400, preference=0.05)
    np.testing.assert_array_equal(first.arms, again.arms)
    all_turned = replace(stream, outcomes=replace(stream.outcomes, utility=1 - stream.utility))
    assert (
        slots.replay(policy, all_turned, linear, seeds=1, rounds=400, preference=0.05).arms != first.arms
    ).any()


def test_what_it_believes_of_the_judge_is_what_it_heard(policy) -> None:
    """Mean and deviation of the judge's logit, and P(right | logit), from a scripted sequence."""
    seen, told = example(4, 6)
    seen = seen._replace(asked=jnp.zeros(4, bool), heard=jnp.full(4, jnp.nan))
    state, rng = policy.init(jax.random.key(0)), np.random.default_rng(0)
    right = (rng.random(600) < 0.5) * 1.0
    logits = rng.normal(0.2, 0.7, 600) + 1.5 * right
    step = jax.jit(policy.update)
    for z, r in zip(logits, right, strict=True):
        feedback = told._replace(utility=jnp.float32(r), score=jax.nn.sigmoid(jnp.float32(z)))
        state = step(jax.random.key(1), state, seen, jnp.int32(2), feedback)
    assert float(state.before.weight[2, 0, -6:] @ seen.context) == pytest.approx(logits.mean(), abs=0.1)
    assert float(_spread(state)[2]) == pytest.approx(logits.std(), abs=0.1)
    z = np.linspace(-1, 3, 9)
    good, bad = norm.pdf(z, 1.7, 0.7), norm.pdf(z, 0.2, 0.7)
    got = _posterior(state, seen.context, jnp.broadcast_to(jnp.asarray(z, jnp.float32), (4, 9)))[0][2]
    np.testing.assert_allclose(jax.nn.sigmoid(got), good / (good + bad), atol=0.1)


def test_it_stops_when_the_best_answer_is_worth_more_than_the_next(policy) -> None:
    """With its own numbers in NumPy: reservation values by quadrature, and the answer that is held."""
    stream = judged(2.0)
    trace = slots.replay(policy, stream, linear, seeds=1, rounds=300, preference=0.3)
    again = slots.replay(policy, stream, linear, seeds=1, rounds=300, preference=0.3)
    np.testing.assert_array_equal(trace.arms, again.arms)
    made = trace.arms[0] >= 0
    assert not (made[:, 1:] & ~made[:, :-1]).any()  # nothing is called after a stop
    assert all(len({a for a in row if a != STOP}) == (row != STOP).sum() for row in trace.arms[0])

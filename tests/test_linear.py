"""The linear family against float64 normal equations solved by SciPy."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import bandits
from bandits import POLICIES
from bandits.base import Feedback, Policy
from bandits.loop.replay import replay
from bandits.policies.linear.affine import gap_weights
from bandits.policies.linear.hybrid import moments, shared_features
from bandits.policies.linear.ridge import estimate, fresh, learn
from bandits.rewards import linear, reward_table


def history(rounds: int = 400, arms: int = 3, dim: int = 6, seed: int = 0):
    """Return contexts, arms and rewards of a made-up past; the last context column is constant."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rounds, dim)) / np.sqrt(dim)
    x[:, -1] = 1.0
    return x, rng.integers(0, arms, rounds), rng.normal(size=rounds)


def solve(x, y, at, ridge: float, weights=None):
    """Return mean and width at `at` from the normal equations, by Cholesky in float64."""
    w = np.ones(len(x)) if weights is None else weights
    a = ridge * np.eye(x.shape[1]) + (x * w[:, None]).T @ x
    factor = scipy.linalg.cho_factor(a)
    return at @ scipy.linalg.cho_solve(factor, x.T @ (w * y)), np.sqrt(
        at @ scipy.linalg.cho_solve(factor, at)
    )


def feed(policy: Policy, x, a, r, price=None, arms: int = 3, cost=None):
    """Return the state after a policy heard this past, whoever chose the arms."""
    state = policy.init(jax.random.key(0))
    step = jax.jit(policy.update)
    for t in range(len(x)):
        seen = observe(x[t], arms, price, len(x) - t)
        paid = jnp.float32(0.3 if cost is None else cost[t])
        heard = Feedback(jnp.float32(r[t]), paid, jnp.float32(r[t]), jnp.float32(1), jnp.float32(1))
        state = step(jax.random.key(t), state, seen, jnp.int32(a[t]), heard)
    return state


def observe(x, arms: int = 3, price=None, left: int = 1):
    from bandits.base import example

    posted = jnp.ones(arms) if price is None else jnp.asarray(price, jnp.float32)
    return example(arms, len(x))[0]._replace(
        context=jnp.asarray(x, jnp.float32), price=posted, rounds_left=jnp.float32(left)
    )


@pytest.mark.parametrize("ridge", [0.1, 1.0, 7.0])
def test_ridge_moments_equal_the_normal_equations(ridge: float) -> None:
    x, a, r = history()
    state = fresh(3, 6, ridge)
    for t in range(len(x)):
        state = learn(state, jnp.asarray(x[t], jnp.float32), jnp.int32(a[t]), jnp.float32(r[t]))
    at = history(seed=9)[0][0]
    now = estimate(state, jnp.asarray(at, jnp.float32))
    for k in range(3):
        mean, width = solve(x[a == k], r[a == k], at, ridge)
        np.testing.assert_allclose([now.mean[k], now.width[k]], [mean, width], atol=2e-5)
    assert state.pulls.tolist() == np.bincount(a).tolist()
    # An arm that was never called has the prior's width |x| / sqrt(ridge), whatever the ridge.
    untouched = estimate(fresh(3, 6, ridge), jnp.asarray(at, jnp.float32))
    np.testing.assert_allclose(untouched.width, np.linalg.norm(at) / np.sqrt(ridge), rtol=1e-6)


def test_importance_is_a_weight_of_weighted_least_squares() -> None:
    x, _, r = history(60)
    weights = np.random.default_rng(3).uniform(0, 3, 60)
    state = fresh(1, 6, 1.0)
    for t in range(60):
        state = learn(state, jnp.asarray(x[t], jnp.float32), jnp.int32(0), jnp.float32(r[t]), weights[t])
    mean, width = solve(x, r, x[0], 1.0, weights)
    now = estimate(state, jnp.asarray(x[0], jnp.float32))
    np.testing.assert_allclose([now.mean[0], now.width[0]], [mean, width], atol=2e-5)


def test_linucb_choices_equal_a_float64_recomputation(patchy) -> None:
    """Along the recorded history, the arm called has the highest float64 index to 1e-3, in every round."""
    table = reward_table(linear, patchy)
    alpha = 0.7
    trace = replay(bandits.linucb(4, 6, alpha=alpha), patchy, table, seeds=1, rounds=1500)
    inverse = np.broadcast_to(np.eye(6), (4, 6, 6)).copy()
    b = np.zeros((4, 6))
    worst = 0.0
    for row, arm in zip(trace.order[0], trace.arms[0], strict=True):
        x = patchy.context[row].astype(np.float64)
        index = np.array([x @ inverse[k] @ b[k] + alpha * np.sqrt(x @ inverse[k] @ x) for k in range(4)])
        index[~patchy.available[row]] = -np.inf
        worst = max(worst, index.max() - index[arm])
        u = inverse[arm] @ x
        inverse[arm] -= np.outer(u, u) / (1 + x @ u)
        b[arm] += table[row, arm] * x
    assert worst < 1e-3


def test_thompson_draws_have_the_posterior_moments() -> None:
    """Over many keys the arm frequencies are those of independent normals with SciPy's mean and width."""
    x, a, r = history(80)
    policy = bandits.thompson(3, 6, v=0.5)
    state = feed(policy, x, a, r)
    at = x[3]
    keys = jax.random.split(jax.random.key(1), 20_000)
    arms = jax.vmap(policy.act, in_axes=(0, None, None))(keys, state, observe(at))
    solved = [solve(x[a == k], r[a == k], at, 1.0) for k in range(3)]
    draws = (
        np.random.default_rng(0)
        .normal([m for m, _ in solved], [0.5 * w for _, w in solved], (200_000, 3))
        .argmax(axis=1)
    )
    share, expected = (np.bincount(np.asarray(c), minlength=3) / len(c) for c in (arms, draws))
    # Four standard errors of a share over 20,000 draws: 4 * .5 / sqrt(20000) = .014.
    np.testing.assert_allclose(share, expected, atol=0.014)


def test_hybrid_moments_equal_the_joint_normal_equations() -> None:
    """One ridge regression on [shared features; own features of the arm] gives the same mean and variance."""
    x, a, r = history(150, seed=4)
    price = np.array([1.0, 2.0, 4.0])
    policy = bandits.hybrid(3, 6)
    state = feed(policy, x, a, r, price)
    z = np.asarray(shared_features(observe(x[0], price=price)))
    np.testing.assert_allclose(z[1], np.concatenate([x[0], 2.0 * x[0]]), rtol=1e-6)

    def joint(row, k):
        own = np.zeros((3, 6))
        own[k] = row
        return np.concatenate([row, price[k] * row, own.ravel()])

    design = np.array([joint(row, k) for row, k in zip(x, a, strict=True)])
    mean, variance = moments(state, jnp.asarray(x[0], jnp.float32), jnp.asarray(z))
    for k in range(3):
        m, w = solve(design, r, joint(x[0], k), 1.0)
        np.testing.assert_allclose([mean[k], np.sqrt(variance[k])], [m, w], atol=5e-5)


def test_preference_equals_linucb_at_a_fixed_preference(known) -> None:
    table = reward_table(linear, known, 0.4)
    options = {"seeds": 4, "rounds": 600, "preference": 0.4}
    one = replay(bandits.linucb(4, 6), known, table, **options)
    two = replay(bandits.preference(4, 6, reward=linear), known, table, **options)
    # Two float32 weights and a sum round differently from one: only near ties may differ.
    assert (one.arms == two.arms).mean() > 0.98


@pytest.mark.parametrize(("name", "hyper"), [("dlinucb", {"gamma": 1.0}), ("swlinucb", {"window": 600})])
def test_forgetting_nothing_is_plain_linucb(name: str, hyper: dict, known) -> None:
    table = reward_table(linear, known)
    plain = replay(bandits.linucb(4, 6), known, table, seeds=3, rounds=600)
    other = replay(POLICIES[name](4, 6, **hyper), known, table, seeds=3, rounds=600)
    assert np.array_equal(plain.arms, other.arms)


def test_windowed_moments_equal_a_regression_on_the_window() -> None:
    x, a, r = history(130)
    state = feed(bandits.swlinucb(3, 6, window=50), x, a, r)
    now = estimate(state.arms, jnp.asarray(x[5], jnp.float32))
    for k in range(3):
        mine = np.flatnonzero((a == k) & (np.arange(130) >= 80))
        mean, width = solve(x[mine], r[mine], x[5], 1.0)
        np.testing.assert_allclose([now.mean[k], now.width[k]], [mean, width], rtol=2e-4, atol=2e-4)


def test_glm_follows_a_float64_newton_recursion() -> None:
    x, a, r = history(200)
    u = (r > 0).astype(float)
    state = feed(bandits.glm(3, 6), x, a, u)
    for k in range(3):
        precision, theta = np.eye(6), np.zeros(6)
        for row, y in zip(x[a == k], u[a == k], strict=True):
            p = 1 / (1 + np.exp(-row @ theta))
            precision += p * (1 - p) * np.outer(row, row)
            theta = theta + scipy.linalg.solve(precision, row * (y - p), assume_a="pos")
        np.testing.assert_allclose(state.weight[k, 0], theta, atol=2e-4)
        np.testing.assert_allclose(state.inverse[k], scipy.linalg.inv(precision), atol=2e-4)


def test_bootstrap_heads_are_weighted_regressions() -> None:
    """Each head is the weighted ridge solution for the Poisson weights that its keys drew, from its own prior."""
    x, a, r = history(60)
    policy = bandits.bootstrap(3, 6, heads=4)
    state = feed(policy, x, a, r)
    start = policy.init(jax.random.key(0)).weight
    drawn = np.array([jax.random.poisson(jax.random.key(t), 1.0, (4,)) for t in range(60)], float)
    assert 0.8 < drawn.mean() < 1.2
    for head in range(4):
        for k in range(3):
            w, xs = drawn[a == k, head], x[a == k]
            precision = np.eye(6) + (xs * w[:, None]).T @ xs
            theta = scipy.linalg.solve(precision, np.asarray(start[head, k], float) + xs.T @ (w * r[a == k]))
            np.testing.assert_allclose(state.weight[head, k], theta, atol=2e-4)


def test_bootstrap_heads_begin_with_the_variance_of_the_prior() -> None:
    """Each weight is drawn from `N(0, 1 / ridge)`: 48,000 draws, whose variance has a deviation of sqrt(2/48000)/4."""
    start = bandits.bootstrap(20, 6, heads=400, ridge=4.0).init(jax.random.key(0)).weight
    assert abs(float(jnp.var(start)) - 0.25) < 4 * math.sqrt(2 / 48_000) * 0.25


def test_inverse_gap_weights_equal_the_formula() -> None:
    mean, available, gamma = np.array([0.3, 0.9, 0.5, 0.8]), np.array([True, True, False, True]), 12.0
    p = np.zeros(4)
    for k in (0, 3):
        p[k] = 1 / (3 + gamma * (0.9 - mean[k]))
    p[1] = 1 - p.sum()
    np.testing.assert_allclose(gap_weights(jnp.asarray(mean), jnp.asarray(available), gamma), p, rtol=1e-6)


def test_softmax_draws_the_boltzmann_distribution() -> None:
    x, a, r = history(80)
    policy = bandits.softmax(3, 6, temperature=0.7, decay=0.0)
    state = feed(policy, x, a, r)
    keys = jax.random.split(jax.random.key(2), 20_000)
    arms = jax.vmap(policy.act, in_axes=(0, None, None))(keys, state, observe(x[1]))
    mean = np.array([solve(x[a == k], r[a == k], x[1], 1.0)[0] for k in range(3)])
    expected = np.exp(mean / 0.7) / np.exp(mean / 0.7).sum()
    # Four standard errors: 4 * .5 / sqrt(20000) = .014.
    np.testing.assert_allclose(np.bincount(np.asarray(arms), minlength=3) / 20_000, expected, atol=0.014)


def test_regcb_optimistic_radius_is_the_loss_ball() -> None:
    """The upper value is the maximum of x'theta over regressors within the allowed squared loss (Lagrange, SciPy)."""
    from scipy.optimize import minimize

    x, _, r = history(50, arms=1)
    state = fresh(1, 6, 1.0)
    for t in range(50):
        state = learn(state, jnp.asarray(x[t], jnp.float32), jnp.int32(0), jnp.float32(r[t]))
    now = estimate(state, jnp.asarray(x[7], jnp.float32))
    radius = 0.1 * np.log1p(51.0)

    def loss(theta):
        return ((x @ theta - r) ** 2).sum() + theta @ theta

    best = scipy.linalg.solve(np.eye(6) + x.T @ x, x.T @ r)
    found = minimize(
        lambda th: -x[7] @ th,
        best,
        constraints={"type": "ineq", "fun": lambda th: loss(best) + radius - loss(th)},
        method="SLSQP",
        options={"ftol": 1e-12},
    )
    np.testing.assert_allclose(-found.fun, now.mean[0] + np.sqrt(radius) * now.width[0], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "hyper", "message"),
    [
        ("linucb", {"alpha": -1}, "linucb needs alpha >= 0, got alpha=-1"),
        ("linucb", {"ridge": 0}, "linucb needs ridge > 0, got ridge=0"),
        ("thompson", {"v": float("nan")}, "thompson needs v >= 0, got v=nan"),
        ("epsilon", {"epsilon": 2}, "epsilon needs 0 <= epsilon <= 1, got epsilon=2"),
        ("squarecb", {"exponent": 3}, "squarecb needs 0 <= exponent <= 1, got exponent=3"),
        ("regcb", {"mode": "eager"}, "regcb needs mode to be one of optimistic, elimination, got mode=eager"),
        ("swlinucb", {"window": 2.5}, "swlinucb needs a whole number window >= 1, got window=2.5"),
        ("bootstrap", {"heads": 0}, "bootstrap needs a whole number heads >= 1, got heads=0"),
        ("dlinucb", {"gamma": 1.5}, "got gamma=1.5"),
        ("hybrid", {"alpha": "x"}, "hybrid needs alpha >= 0, got alpha=x"),
    ],
)
def test_hyperparameters_out_of_range_are_named(name: str, hyper: dict, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        POLICIES[name](3, 4, **hyper)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_prior_is_the_mean_of_an_arm_never_called() -> None:
    """Ridge towards `prior` on the constant: shifting the rewards by it and back is the same regression."""
    x, a, r = history(90)
    state = feed(bandits.linucb(3, 6, prior=0.8), x, a, r)
    now = estimate(state, jnp.asarray(x[4], jnp.float32))
    for k in range(3):
        mean, width = solve(x[a == k], r[a == k] - 0.8, x[4], 1.0)
        np.testing.assert_allclose([now.mean[k], now.width[k]], [mean + 0.8, width], atol=2e-5)
    before = estimate(bandits.preference(3, 6, prior=0.8).init(jax.random.key(0)), jnp.ones(6))
    np.testing.assert_allclose(before.mean, [[0.8, 0.0]] * 3, rtol=1e-6)

"""Does `averaged` weigh its models by their exact marginal likelihood, and use context only where it pays?"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import bandits
from bandits.base import Feedback, example
from bandits.policies.linear.averaged import mixture
from bandits.rewards import linear, reward_table
from tests.conftest import make_stream

K, D, NOISE, TRUST, RIDGE, PRIOR = 3, 4, 0.4, (1.0, 10.0, 1e6), 2.0, 0.8


def history(rounds: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return contexts, arms, utilities and costs of a made-up run."""
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(size=(rounds, D - 1)), np.ones((rounds, 1))], axis=1)
    arms = rng.integers(0, K, rounds)
    return x, arms, (rng.random(rounds) < 0.3 + 0.2 * arms).astype(float), rng.random(rounds)


def after(x: np.ndarray, arms: np.ndarray, utility: np.ndarray, cost: np.ndarray, indicators: int = 0):
    """Return the policy and its state after a history."""
    policy = bandits.averaged(K, D, alpha=0.7, noise=NOISE, ridge=RIDGE, prior=PRIOR, indicators=indicators)
    seen = example(K, D)[0]
    step = jax.jit(policy.update)
    state = policy.init(jax.random.key(0))
    for row, arm, u, c in zip(x, arms, utility, cost, strict=True):
        now = seen._replace(context=jnp.asarray(row, jnp.float32))
        none = jnp.float32(jnp.nan)
        told = Feedback(jnp.float32(u), jnp.float32(c), jnp.float32(u - 0.2 * c), none, none)
        state = step(jax.random.key(0), state, now, jnp.int32(arm), told)
    return policy, state


ALIKE = tuple([trust] * (D - 1) for trust in TRUST)  # precision of the features in each model
BESIDE = (*ALIKE, [TRUST[2]] * (D - 3) + [TRUST[0]] * 2)  # and where the last two are indicators


def exact(
    x: np.ndarray, arms: np.ndarray, utility: np.ndarray, models: tuple[list[float], ...] = ALIKE
) -> np.ndarray:
    """Return `(M,)` log marginal likelihoods in float64: `y_k ~ N(prior, noise^2 (I + X Lambda^-1 X'))` an arm."""
    found = np.zeros(len(models))
    for m, trust in enumerate(models):
        covariance = np.diag([1 / one for one in trust] + [1 / RIDGE])
        for k in range(K):
            own = x[arms == k]
            spread = NOISE**2 * (np.eye(len(own)) + own @ covariance @ own.T)
            found[m] += multivariate_normal(np.full(len(own), PRIOR), spread).logpdf(utility[arms == k])
    return found


def test_weights_are_those_of_the_exact_marginal_likelihoods() -> None:
    """Summed a round at a time in float32 against SciPy's joint density: within 2e-4 of 40 terms of order 1."""
    x, arms, utility, cost = history()
    _, state = after(x, arms, utility, cost)
    want = exact(x, arms, utility)
    got = np.asarray(state.evidence, np.float64)
    np.testing.assert_allclose(got - got.max(), want - want.max(), atol=2e-4)


def test_where_features_are_indicators_a_fourth_model_sees_them_alone() -> None:
    x, arms, utility, cost = history()
    _, state = after(x, arms, utility, cost, indicators=2)
    want = exact(x, arms, utility, BESIDE)
    got = np.asarray(state.evidence, np.float64)
    np.testing.assert_allclose(got - got.max(), want - want.max(), atol=2e-4)


def test_the_index_is_the_mixtures_mean_reward_and_deviation() -> None:
    """Against posteriors solved in float64 with NumPy, at posted prices and where none are posted."""
    x, arms, utility, cost = history()
    policy, state = after(x, arms, utility, cost)
    new = np.array([0.3, -1.1, 0.7, 1.0])
    log = exact(x, arms, utility)
    weight = np.exp(log - logsumexp(log))
    mean, second = np.zeros(K), np.zeros(K)
    for m, trust in enumerate(TRUST):
        for k in range(K):
            own, y = x[arms == k], utility[arms == k]
            precision = np.diag([trust] * (D - 1) + [RIDGE])
            inverse = np.linalg.inv(precision + own.T @ own)
            mu = new @ inverse @ (own.T @ y + precision @ np.array([0] * (D - 1) + [PRIOR]))
            mean[k] += weight[m] * mu
            second[k] += weight[m] * (NOISE**2 * new @ inverse @ new + mu**2)
    spread = np.sqrt(second - mean**2)
    got = mixture(state, jnp.asarray(new, jnp.float32), NOISE)
    np.testing.assert_allclose(got[0], mean, atol=2e-4)
    np.testing.assert_allclose(got[1], spread, atol=2e-4)
    seen = example(K, D)[0]._replace(context=jnp.asarray(new, jnp.float32))
    paid = np.array([cost[arms == k].mean() for k in range(K)])
    for price, known in ((seen.price, np.asarray(seen.price)), (jnp.full(K, jnp.nan), paid)):
        index = policy.index(None, state, seen._replace(price=price))  # type: ignore[misc]
        np.testing.assert_allclose(index, mean - 0.2 * known + 0.7 * spread, atol=3e-4)


@pytest.mark.parametrize("useful", [True, False])
def test_context_is_trusted_where_it_pays_only(useful: bool) -> None:
    """After 600 rounds the model that sees the features has all the weight, or the one that does not."""
    stream = make_stream(600)
    if not useful:
        rng = np.random.default_rng(0)
        noise = rng.normal(size=stream.context[:, :-1].shape).astype(np.float32)
        context = np.concatenate([noise, stream.context[:, -1:]], axis=1)
        stream = type(stream)("noise", stream.outcomes, context)
    policy = bandits.averaged(stream.n_arms, stream.dim)
    table = reward_table(linear, stream, preference=0.0)
    trace = bandits.replay(policy, stream, table, seeds=1, seed=0)
    state = policy.init(jax.random.key(0))
    step = jax.jit(policy.update)
    seen = example(stream.n_arms, stream.dim)[0]
    for row, arm in zip(trace.order[0], trace.arms[0], strict=True):
        now = seen._replace(context=jnp.asarray(stream.context[row]))
        told = Feedback(*(jnp.float32(v) for v in (stream.utility[row, arm], 1.0, 0.0, jnp.nan, jnp.nan)))
        state = step(jax.random.key(0), state, now, jnp.int32(arm), told)
    weight = np.asarray(jax.nn.softmax(state.evidence))
    assert weight[0 if useful else 2] > 0.9 and int(weight.argmax()) == (0 if useful else 2)

"""`ids`, `feelgood`, `ebucb`, `conservative` against float64 loops; the last one's promise where it might break."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bandits
from bandits import replay
from bandits.base import example
from bandits.experiment.lineup import build
from bandits.policies.linear.ids import Worth, directed, worth
from bandits.policies.tabular.ebucb import Told, believed
from bandits.rewards import accuracy, linear, reward_table
from bandits.wrappers.conservative import conservative
from tests.conftest import make_stream

KEY = jax.random.key(0)


def test_what_a_call_tells_is_the_variance_over_which_arm_is_best() -> None:
    drawn = np.random.default_rng(0).normal([0.5, 0.6, 0.2, 0.9], [0.3, 0.2, 0.4, 0.1], size=(400, 4))
    there = np.array([True, True, True, False])
    got = worth(jnp.asarray(drawn, jnp.float32), jnp.asarray(there))
    best = [max((k for k in range(3)), key=lambda k: row[k]) for row in drawn]
    top = np.mean([max(row[:3]) for row in drawn])
    for a in range(3):
        told = 0.0
        for b in range(3):
            own = [row[a] for row, first in zip(drawn, best, strict=True) if first == b]
            told += len(own) / 400 * (np.mean(own) - drawn[:, a].mean()) ** 2
        assert float(got.told[a]) == pytest.approx(told, rel=1e-4)
        assert float(got.regret[a]) == pytest.approx(top - drawn[:, a].mean(), rel=1e-4)


def test_directed_has_the_lowest_ratio_of_all_mixtures() -> None:
    """Against a grid over every pair of arms, in float64; the ratio, not the place, is compared."""
    rng = np.random.default_rng(1)
    shares = np.linspace(0, 1, 2001)
    for _ in range(30):
        regret, told = rng.exponential(0.1, 5), rng.exponential(0.01, 5)
        there = rng.random(5) < 0.8
        there[:2] = True
        chance = np.asarray(
            directed(Worth(jnp.asarray(regret), jnp.asarray(told)), jnp.asarray(there)), float
        )
        assert chance.sum() == pytest.approx(1) and (chance[~there] == 0).all() and (chance > 0).sum() <= 2
        pairs = itertools.combinations(np.flatnonzero(there), 2)
        least = min(
            (
                (shares * regret[i] + (1 - shares) * regret[j]) ** 2
                / (shares * told[i] + (1 - shares) * told[j])
            ).min()
            for i, j in pairs
        )
        assert (chance @ regret) ** 2 / (chance @ told) <= least * (1 + 1e-4)


def test_feelgood_draws_from_the_posterior_of_the_paper() -> None:
    """Two arms and the constant alone: how often each is called, against the posterior summed on a grid, in float64.

    4,000 keys: a standard error of .008 at most; resampling from 600 draws is biased by far less.
    """
    policy = bandits.feelgood(2, 1, v=0.5, optimism=0.6, most=2.0, draws=600, memory=8)
    seen, told = example(2, 1)
    state, step = policy.init(KEY), jax.jit(policy.update)
    for arm, reward in ((0, 0.6), (0, 0.4), (1, 0.3), (0, 0.5), (0, 0.6)):
        state = step(KEY, state, seen, jnp.int32(arm), told._replace(reward=jnp.float32(reward)))
    grid = np.linspace(-3, 4, 1401)
    log = [-0.5 * (grid - s / (1 + n)) ** 2 * (1 + n) / 0.5**2 for n, s in ((4, 2.1), (1, 0.3))]
    best = np.maximum(grid[:, None], grid)
    posterior = np.exp(log[0][:, None] + log[1] + 5 * 0.6 * np.minimum(best, 2.0))
    posterior /= posterior.sum()
    plain = np.exp(log[0][:, None] + log[1])
    want = posterior[grid[:, None] >= grid].sum()
    arms = jax.jit(jax.vmap(lambda key: policy.act(key, state, seen)))(jax.random.split(KEY, 4000))
    got = float((arms == 0).mean())
    assert abs(got - want) < 0.022
    assert abs(want - plain[grid[:, None] >= grid].sum() / plain.sum()) > 0.045  # the term matters here


def test_ebucb_shrinks_as_the_formulas_say() -> None:
    """A plain loop over arms with the moments of DerSimonian and Laird, an untried arm among them."""
    rng = np.random.default_rng(2)
    heard = [rng.random(n) < p for n, p in ((40, 0.8), (3, 0.5), (12, 0.3), (0, 0.5))]
    policy = bandits.ebucb(4, 2, alpha=0.7, noise=0.4, spread=0.2, prior=0.6)
    seen, told = example(4, 2)
    state, step = policy.init(KEY), jax.jit(policy.update)
    for arm, outcomes in enumerate(heard):
        for y in outcomes:
            state = step(KEY, state, seen, jnp.int32(arm), told._replace(utility=jnp.float32(y)))
    n = [len(y) for y in heard]
    mean = [float(np.mean(y)) if len(y) else 0.0 for y in heard]
    squares = sum(((y - m) ** 2).sum() for y, m in zip(heard, mean, strict=True) if len(y))
    within = (squares + 2 * 0.4**2) / (sum(n) - 3 + 2)
    w = [k / within for k in n[:3]]
    centre = sum(a * m for a, m in zip(w, mean, strict=False)) / sum(w)
    q = sum(a * (m - centre) ** 2 for a, m in zip(w, mean, strict=False))
    tau2 = max((q - 2) / (sum(w) - sum(a * a for a in w) / sum(w)), 0.0)
    tau2 = (2 * 0.2**2 + 2 * tau2) / 4
    level = [1 / (within / k + tau2) for k in n[:3]]
    sure = sum(level) + 1 / tau2
    middle = (sum(a * m for a, m in zip(level, mean, strict=False)) + 0.6 / tau2) / sure
    index = policy.index(None, state, seen)  # type: ignore[misc]
    now = believed(Told(*state), 0.4, 0.2, 0.6)
    for arm in range(4):
        shrunk = 1.0 if n[arm] == 0 else (within / n[arm]) / (within / n[arm] + tau2)
        want = (1 - shrunk) * mean[arm] + shrunk * middle
        deviation = np.sqrt(tau2 * shrunk + shrunk**2 / sure)
        assert float(now.mean[arm]) == pytest.approx(want, rel=1e-4)
        assert float(now.deviation[arm]) == pytest.approx(deviation, rel=1e-4)
        assert float(index[arm]) == pytest.approx(
            want - 0.2 * float(seen.price[arm]) + 0.7 * deviation, rel=1e-4
        )


def test_conservative_keeps_its_promise_at_all_times_where_the_policy_alone_would_not() -> None:
    """By expected rewards, in every round of every seed; uniform calls alone fall below 0.9 of the best model's."""
    stream = make_stream(600)
    chance = np.where(stream.context[:, :3] > 0, 0.9, 0.2)
    chance = np.hstack([chance, np.full((600, 1), 0.5)])  # of a right answer; model-3 is the baseline
    table = reward_table(accuracy, stream)
    inner = bandits.uniform(4, 6)
    guarded = conservative(inner, 4, 6, model=3, a=0.1, size=1.2)
    broken = {}
    for name, policy in (("alone", inner), ("guarded", guarded)):
        trace = replay(policy, stream, table, seeds=4, seed=0, rounds=3000)
        got = chance[trace.order, trace.arms].cumsum(axis=1)
        base = chance[trace.order, 3].cumsum(axis=1)
        broken[name] = (got < 0.9 * base - 1e-9).any(axis=1)
        if name == "guarded":
            assert (trace.arms != 3).mean() > 0.01  # it does explore, once it can afford to
    assert broken["alone"].all() and not broken["guarded"].any()


def test_conservative_calls_the_baseline_by_the_bound_of_a_plain_loop() -> None:
    """CLUCB2's test in float64, with the whole matrix inverted anew in each round."""
    stream, a, low = make_stream(200), 0.2, -0.3
    table = reward_table(linear, stream)
    policy = build(f"conservative(linucb,prior=1),model=model-1,a={a},radius=0.8,low={low}", stream, linear)
    alone = bandits.linucb(4, 6, prior=1.0)
    state, step, act = alone.init(KEY), jax.jit(alone.update), jax.jit(alone.act)
    trace = replay(policy, stream, table, seeds=1, seed=0)
    x = stream.context.astype(float)
    gram, moment, ahead = np.tile(np.eye(6), (4, 1, 1)), np.zeros((4, 6)), np.zeros((4, 6))
    seen, told = example(4, 6)
    same = 0
    for row, arm in zip(trace.order[0], trace.arms[0], strict=True):
        now = seen._replace(context=jnp.asarray(stream.context[row]))
        wish = int(act(KEY, state, now))
        z = ahead.copy()
        z[wish] += x[row]
        z[1] -= (1 - a) * x[row]
        inverse = np.linalg.inv(gram)
        theta = np.einsum("kij,kj->ki", inverse, moment)
        kept = (theta * z).sum() - 0.8 * np.sqrt(np.einsum("ki,kij,kj->", z, inverse, z)) >= 0
        same += int(arm) == (wish if kept or wish == 1 else 1)
        reward = table[row, arm]
        ahead[arm] += x[row]
        ahead[1] -= (1 - a) * x[row]
        gram[arm] += np.outer(x[row], x[row])
        moment[arm] += (reward - low) * x[row]
        state = step(KEY, state, now, jnp.int32(arm), told._replace(reward=jnp.float32(reward)))
    assert same >= 198  # a near tie may round otherwise
    assert 0.02 < (trace.arms != 1).mean() < 0.98  # neither always nor never


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("conservative(linucb),model=gpt", "no model 'gpt'"),
        ("conservative(linucb),a=1.5", "conservative needs 0 <= a <= 1"),
        ("ids,v=0", "ids needs v > 0"),
        ("ebucb,spread=0", "ebucb needs spread > 0"),
    ],
)
def test_bad_settings_end_in_one_line(spec: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build(spec, make_stream(50), accuracy, checked=False)


def test_hierarchical_is_the_exact_posterior_of_its_mixed_model() -> None:
    """All outcomes at once in float64: `y ~ N(H mu, H S H' + noise^2 I)`, a column a query; two heard of each.

    Then a query's second outcome counts less than its first, and prices tell of the arm that was never called.
    """
    given = {"noise": 0.3, "spread": 0.25, "level": 0.4, "slope": 0.2, "difficulty": 0.35, "prior": 0.7}
    policy = bandits.hierarchical(4, 2, alpha=0.6, **given)
    price = np.array([0.5, 4.0, 0.1, 2.0])
    seen, told = example(4, 2)
    rng, queries = np.random.default_rng(4), 30
    state, step = policy.init(KEY), jax.jit(policy.update)
    rows, heard = [], []
    z = (np.log(price) - np.log(price).mean()) / np.log(price).std()
    for query in range(queries):
        for arm in rng.choice(3, 2, replace=False):  # the last arm is never called
            utility = float(rng.random())
            now = seen._replace(price=jnp.asarray(price), rounds_left=jnp.float32(queries - query))
            state = step(KEY, state, now, jnp.int32(arm), told._replace(utility=jnp.float32(utility)))
            row = np.zeros(6 + queries)
            row[[arm, 4, 5, 6 + query]] = 1.0, 1.0, z[arm], 1.0
            rows.append(row)
            heard.append(utility)
    h, y = np.stack(rows), np.array(heard)
    start = np.zeros(6 + queries)
    start[4] = 0.7
    before = np.diag([0.25**2] * 4 + [0.4**2, 0.2**2] + [0.35**2] * queries)
    gain = before @ h.T @ np.linalg.inv(h @ before @ h.T + 0.3**2 * np.eye(len(y)))
    mean, covariance = start + gain @ (y - h @ start), before - gain @ h @ before
    own = np.hstack([np.eye(4), np.ones((4, 1)), z[:, None]])
    deviation = np.sqrt(np.einsum("ki,ij,kj->k", own, covariance[:6, :6], own))
    np.testing.assert_allclose(state.mean[:6], mean[:6], atol=2e-5)
    np.testing.assert_allclose(state.covariance[:6, :6], covariance[:6, :6], atol=2e-6)
    now = seen._replace(price=jnp.asarray(price))
    index = policy.index(None, state, now)  # type: ignore[misc]
    np.testing.assert_allclose(index, own @ mean[:6] - 0.2 * price + 0.6 * deviation, atol=1e-4)

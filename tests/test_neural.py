"""The neural policies against plain float64 loops, normal equations, and streams that only a network can learn."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray

from bandits.base import Feedback, Observation, Policy, example
from bandits.policies.linear.ridge import fresh
from bandits.policies.neural import gradients, heads
from bandits.policies.neural.dropout import dropout
from bandits.policies.neural.gradients import Shape
from bandits.policies.neural.learner import Heard, remember, sample, training
from bandits.policies.neural.neurallinear import Bayes, Prior, by_arm, draw, inverted, neurallinear, posterior
from bandits.policies.neural.neurallinear import learn as learn_bayes
from bandits.policies.neural.neuralucb import neuralts, neuralucb

ALL = (neuralucb, neuralts, neurallinear, dropout)
SMALL = Shape(n_arms=3, dim=4, width=6, depth=3)


def heard(reward: Any) -> Feedback:
    """Return a feedback of this reward."""
    return example(2, 1)[1]._replace(reward=jnp.float32(reward))


def seen(n_arms: int, context: Any, rounds_left: float = 1.0) -> Observation:
    """Return an observation of this context."""
    context = jnp.asarray(context, jnp.float32)
    return example(n_arms, len(context))[0]._replace(context=context, rounds_left=jnp.float32(rounds_left))


def play(policy: Policy, contexts: NDArray[Any], rewards: NDArray[Any], seeds: int) -> NDArray[np.float32]:
    """Return the `(S, T)` rewards earned; `rounds_left` is shared by the seeds, as in the loop."""
    contexts, rewards = jnp.asarray(contexts, jnp.float32), jnp.asarray(rewards, jnp.float32)
    rounds, n_arms = rewards.shape
    base = seen(n_arms, contexts[0])

    def one_round(state: Any, key: jax.Array, left: jax.Array, context: jax.Array, row: jax.Array) -> Any:
        to_act, to_learn = jax.random.split(key)
        now = base._replace(context=context, rounds_left=left)
        arm = policy.act(to_act, state, now)
        return policy.update(to_learn, state, now, arm, heard(0.0)._replace(reward=row[arm])), row[arm]

    def step(state: Any, xs: Any) -> Any:
        return jax.vmap(one_round, in_axes=(0, 0, None, None, None))(state, *xs)

    keys = jax.random.split(jax.random.key(0), seeds)
    by_round = jax.vmap(lambda k: jax.random.split(k, rounds), out_axes=1)(keys)
    left = jnp.arange(rounds, 0, -1, dtype=jnp.float32)
    run = jax.jit(lambda state: jax.lax.scan(step, state, (by_round, left, contexts, rewards))[1])
    return np.asarray(run(jax.vmap(policy.init)(keys))).T


@pytest.mark.parametrize("factory", ALL)
def test_learns_what_no_linear_model_can(factory: Any) -> None:
    """Two arms, reward 1 for the one that `sign(x_1 x_2)` names: every fixed arm, every linear rule and uniform
    earn .5 a round on average (the sign is independent of each half-plane through 0), a network that has learned
    it earns 1. Over the last 500 of 1500 rounds and 4 seeds the uniform mean has a deviation of
    .5 / sqrt(2000) = .011: .6 is nine of them above.
    """
    rng = np.random.default_rng(8)
    contexts = np.c_[rng.choice([-1.0, 1.0], (1500, 2)), np.ones(1500)]
    right = contexts[:, 0] * contexts[:, 1] > 0
    rewards = np.stack([right, ~right], axis=1).astype(float)
    assert play(factory(2, 3), contexts, rewards, 4)[:, -500:].mean() > 0.6


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: neuralucb(2, 3, lr=-1), "neuralucb needs lr > 0, got lr=-1"),
        (lambda: neuralucb(2, 3, width=5), "neuralucb needs width to be even, got width=5"),
        (
            lambda: neuralucb(2, 3, train_every=0),
            "neuralucb needs a whole number train_every >= 1, got train_every=0",
        ),
        (lambda: neuralts(2, 3, nu=-0.1), "neuralts needs nu >= 0, got nu=-0.1"),
        (lambda: neuralts(2, 3, ridge=0), "neuralts needs ridge > 0, got ridge=0"),
        (lambda: neurallinear(2, 3, noise=0), "neurallinear needs noise > 0, got noise=0"),
        (lambda: dropout(2, 3, rate=1.0), "dropout needs 0 <= rate <= 0.9, got rate=1.0"),
    ],
)
def test_refuses_what_is_out_of_range(build: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:
        build()
    assert str(error.value) == message


def test_a_full_matrix_too_large_to_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 2048 weights for a full confidence matrix, got 10592"):
        neuralucb(10, 33, diagonal=False)


def plain_score(weights: Any, block_context: Any, width: int) -> Any:
    """Return the paper's `f(x)` from the whole block-coded context and `W_1` `(K d, m)`, written out plainly."""
    hidden = block_context
    for matrix in weights[:-1]:
        hidden = jnp.maximum(hidden @ matrix, 0.0)
    return math.sqrt(width) * (hidden @ weights[-1])


def plain_gradient(weights: Any, arm: int, context: NDArray[Any]) -> NDArray[np.float64]:
    """Return `g(x_arm) / sqrt(m)` flattened, `(p,)`, by `jax.grad` in float64 on the block-coded context."""
    n_arms, dim, width = weights[0].shape
    block = np.zeros(n_arms * dim)
    block[arm * dim : (arm + 1) * dim] = context
    whole = (
        jnp.asarray(weights[0], jnp.float64).reshape(n_arms * dim, width),
        *(jnp.asarray(w, jnp.float64) for w in weights[1:]),
    )
    by_weight = jax.grad(lambda w: plain_score(w, jnp.asarray(block), width))(whole)
    return np.concatenate([np.asarray(g).ravel() for g in by_weight]) / math.sqrt(width)


@pytest.mark.parametrize("diagonal", [True, False])
def test_neuralucb_gradients_and_confidence_are_those_of_a_plain_float64_loop(diagonal: bool) -> None:
    rng = np.random.default_rng(9)
    n_arms, dim, width, depth = SMALL
    options = {
        "ridge": 0.3,
        "width": width,
        "depth": depth,
        "diagonal": diagonal,
        "lr": 0.01,
        "train_every": 3,
    }
    policy = neuralucb(n_arms, dim, alpha=0.7, memory=64, batch=8, **options)
    act, update = jax.jit(policy.act), jax.jit(policy.update)
    state = policy.init(jax.random.key(1))
    plain_z = 0.3 * np.eye(sum(w.size for w in state.learner.weight))
    for t in range(12):
        context = rng.normal(size=dim)
        now = seen(n_arms, context, rounds_left=12 - t)
        weights = [np.asarray(w, np.float64) for w in state.learner.weight]
        with jax.enable_x64(True):
            rows = np.array(
                [plain_gradient(weights, a, np.float32(context).astype(float)) for a in range(n_arms)]
            )
        score, gradient = gradients.scores(state.learner.weight, now.context)
        np.testing.assert_allclose(gradients.dense(gradient), rows, atol=2e-5)
        # Every score is linear in the last weights: f = sqrt(m) times their gradient times themselves.
        last = weights[-1]
        np.testing.assert_allclose(score, math.sqrt(width) * rows[:, -len(last) :] @ last, atol=2e-5)
        held = np.diag(np.diag(plain_z)) if diagonal else plain_z
        expected = np.asarray(score) + 0.7 * np.sqrt(
            np.einsum("ai,ij,aj->a", rows, np.linalg.inv(held), rows)
        )
        arm = act(jax.random.key(t), state, now)
        assert expected[int(arm)] > expected.max() - 1e-4
        plain_z += np.outer(rows[int(arm)], rows[int(arm)])
        state = update(jax.random.key(t), state, now, arm, heard(rng.random()))
    if diagonal:
        np.testing.assert_allclose(
            np.concatenate([z.ravel() for z in state.spread]), np.diag(plain_z), rtol=1e-4
        )
    else:
        np.testing.assert_allclose(state.spread, np.linalg.inv(plain_z), atol=1e-3)


def test_neuralucb_starts_with_every_score_at_zero() -> None:
    weight = gradients.first_weights(jax.random.key(2), SMALL)
    score, _ = gradients.scores(weight, jnp.array([0.3, -2.0, 1.0, 1.0]))
    np.testing.assert_allclose(score, 0.0, atol=1e-5)


@pytest.mark.parametrize("heard", [5, 5000])
def test_neuralucb_loss_is_algorithm_2_over_the_buffer(heard: int) -> None:
    """`sum (f - r)^2 / 2 + m ridge ||theta - theta_0||^2 / 2` over the buffer itself, in float64."""
    rng = np.random.default_rng(10)
    start = gradients.first_weights(jax.random.key(3), SMALL)
    weight = jax.tree.map(lambda w: w + 0.1, start)
    rows, arms, rewards = rng.normal(size=(5, 4)), np.array([0, 2, 1, 1, 0]), rng.random(5)
    batch = Heard(
        jnp.asarray(rows, jnp.float32), jnp.asarray(arms), jnp.asarray(rewards, jnp.float32), jnp.int32(heard)
    )
    plain = [np.asarray(w, np.float64) for w in weight]
    total = 0.0
    for row, arm, reward in zip(rows, arms, rewards, strict=True):
        hidden = np.maximum(np.maximum(row @ plain[0][arm], 0) @ plain[1], 0)
        total += 0.5 * (math.sqrt(6) * hidden @ plain[2] - reward) ** 2
    total += 0.5 * 6 * 0.2 * sum(w.size for w in plain) * 0.1**2
    got = gradients.loss(0.2, 5, weight, start, jax.random.key(0), batch)
    np.testing.assert_allclose(got, total / 5, rtol=1e-5)


def test_neuralts_draws_have_the_deviation_of_the_paper() -> None:
    """At `Z = ridge I` the deviation is `nu ||g_a / sqrt(m)||`, so two arms whose scores differ by D win and lose
    with chance `Phi(D / hypot(s_0, s_1))`. 20,000 draws: deviation .0035, four allowed.
    """
    policy = neuralts(2, 3, nu=0.6, ridge=0.5, width=6, memory=8, batch=4)
    state = policy.init(jax.random.key(4))
    moved = (state.learner.weight[0] * jnp.array([1.0, 0.7])[:, None, None], state.learner.weight[1] + 0.1)
    state = state._replace(learner=state.learner._replace(weight=moved))
    now = seen(2, [0.5, -0.4, 1.0])
    score, gradient = gradients.scores(moved, now.context)
    deviation = 0.6 * np.sqrt(np.square(np.asarray(gradients.dense(gradient), np.float64)).sum(axis=1))
    distance = float(score[0] - score[1]) / math.hypot(*deviation)
    expected = 0.5 * (1 + math.erf(distance / math.sqrt(2)))
    assert 0.05 < abs(expected - 0.5) < 0.45  # else the draws would not tell the scale
    arms = jax.jit(jax.vmap(lambda k: policy.act(k, state, now)))(jax.random.split(jax.random.key(5), 20_000))
    assert abs(float((arms == 0).mean()) - expected) < 0.014


def normal_equations(z: NDArray[Any], y: NDArray[Any], prior: Prior) -> tuple[Any, Any, float, float]:
    """Return `A^-1`, `theta`, `a` and `b` of Bayesian regression in float64 (Riquelme et al., equation 1)."""
    precision = z.T @ z + prior.ridge * np.eye(z.shape[1])
    theta = np.linalg.solve(precision, z.T @ y)
    scale = prior.scale + 0.5 * (y @ y - theta @ precision @ theta)
    return np.linalg.inv(precision), theta, prior.shape + 0.5 * len(y), scale


def test_neurallinear_posterior_is_that_of_the_normal_equations() -> None:
    rng, prior, n_arms = np.random.default_rng(11), Prior(0.7, 2.0, 0.3), 3
    z, arms, y = rng.normal(size=(60, 5)), rng.integers(0, n_arms, 60), rng.random(60)
    ones = jnp.ones(n_arms)
    stepwise = Bayes(fresh(n_arms, 5, 0.7), prior.shape * ones, prior.scale * ones)
    learn = jax.jit(learn_bayes)
    for row, arm, reward in zip(z, arms, y, strict=True):
        stepwise = learn(stepwise, jnp.asarray(row, jnp.float32), jnp.int32(arm), jnp.float32(reward))
    # Four places of the buffer are not filled yet and hold what must not count.
    held = Heard(
        jnp.zeros((64, 1)), jnp.pad(jnp.asarray(arms), (0, 4)), jnp.pad(jnp.asarray(y), (0, 4)), jnp.int32(60)
    )
    features = jnp.pad(jnp.asarray(z, jnp.float32), ((0, 4), (0, 0)), constant_values=9.0)
    at_once = posterior(prior, features, held, n_arms)
    for arm in range(n_arms):
        inverse, theta, shape, scale = normal_equations(z[arms == arm], y[arms == arm], prior)
        for bayes in (stepwise, at_once):
            np.testing.assert_allclose(bayes.ridge.inverse[arm], inverse, atol=1e-4)
            np.testing.assert_allclose(bayes.ridge.weight[arm], theta, atol=1e-4)
            np.testing.assert_allclose(bayes.shape[arm], shape, rtol=1e-6)
            np.testing.assert_allclose(bayes.scale[arm], scale, rtol=1e-4)


@pytest.mark.parametrize(("places", "rounds"), [(300, 300), (300, 263), (300, 1000), (7, 3), (64, 0)])
def test_sums_by_arm_are_those_of_a_loop(places: int, rounds: int) -> None:
    """Arms without a row, with one, with one block, with more; places that are not filled do not count."""
    rng = np.random.default_rng(5)
    arms = np.repeat([0, 1, 2, 4, 5], [1, 64, 65, 129, 41])[rng.permutation(300)][:places]
    rows = rng.normal(size=(places, 3))
    rows[min(rounds, places) :] = np.nan
    buffer = Heard(jnp.zeros((places, 1)), jnp.asarray(arms), jnp.zeros(places), jnp.int32(rounds))
    products, pulls = by_arm(jnp.asarray(rows, jnp.float32), buffer, 6)
    want, calls = np.zeros((6, 3, 3)), np.zeros(6, int)
    for row, arm in zip(rows[:rounds], arms[:rounds], strict=True):
        want[arm] += np.outer(row, row)
        calls[arm] += 1
    np.testing.assert_allclose(products, want, atol=1e-4)
    np.testing.assert_array_equal(pulls, calls)


@pytest.mark.parametrize("size", [1, 2, 33, 64, 65])
def test_inverses_are_those_of_float64(size: int) -> None:
    """Up to 64 by Gauss and Jordan, above by LAPACK; conditioned as after thousands of calls of one arm."""
    rows = np.random.default_rng(size).normal(size=(3, 4000, size)) * np.geomspace(0.05, 1.0, size)
    precision = np.einsum("kri,krj->kij", rows, rows) + np.eye(size)
    got, want = np.asarray(inverted(jnp.asarray(precision, jnp.float32))), np.linalg.inv(precision)
    assert np.abs(got - want).max() < 2e-5 * np.abs(want).max()


def test_neurallinear_refuses_a_buffer_whose_places_cannot_be_numbered() -> None:
    with pytest.raises(ValueError, match="neurallinear needs memory < 195225786, got memory=200000000"):
        neurallinear(10, 4, memory=200_000_000)


def test_neurallinear_draws_have_the_moments_of_the_posterior() -> None:
    """`x' theta` is Student: mean `x' theta`, variance `b / (a - 1) x' A^-1 x`. 50,000 draws, a = 8.

    The mean's deviation is s / sqrt(50000) and the variance's about .8 % (kurtosis of 16 degrees of freedom is 3.5).
    """
    rng = np.random.default_rng(12)
    ridge = fresh(2, 3, 0.5)._replace(weight=jnp.asarray(rng.normal(size=(2, 3)), jnp.float32))
    bayes = Bayes(ridge, jnp.full(2, 8.0), jnp.array([0.5, 2.0]))
    x = jnp.array([0.3, -1.0, 1.0])
    draws = np.asarray(
        jax.jit(jax.vmap(lambda k: draw(k, bayes, x)))(jax.random.split(jax.random.key(6), 50_000))
    )
    variance = np.array([0.5, 2.0]) / 7 * float(x @ x) / 0.5
    np.testing.assert_allclose(
        draws.mean(0), np.asarray(ridge.weight) @ np.asarray(x), atol=5 * math.sqrt(variance.max() / 50_000)
    )
    np.testing.assert_allclose(draws.var(0), variance, rtol=0.04)


def test_neurallinear_recomputes_the_posterior_when_it_trains() -> None:
    policy = neurallinear(2, 3, width=4, memory=16, batch=4, train_every=5, noise=0.1)
    state, rng, update = policy.init(jax.random.key(7)), np.random.default_rng(13), jax.jit(policy.update)
    for t in range(10):
        now = seen(2, rng.normal(size=3), rounds_left=10 - t)
        state = update(jax.random.key(t), state, now, jnp.int32(t % 2), heard(rng.random()))
        if now.rounds_left == 5:
            z = np.asarray(heads.features(state.learner.weight, state.learner.heard.context), np.float64)[:6]
            y = np.asarray(state.learner.heard.reward, np.float64)[:6]
            _, theta, shape, scale = normal_equations(z[0::2], y[0::2], Prior(1.0, 6.0, 0.6))
            np.testing.assert_allclose(state.bayes.ridge.weight[0], theta, atol=1e-4)
            np.testing.assert_allclose(
                (state.bayes.shape[0], state.bayes.scale[0]), (shape, scale), rtol=1e-4
            )


def test_dropout_keeps_the_mean_and_drops_its_share() -> None:
    """Dropped at .25: a quarter of the units is 0, and the expectation of each is what it was. 20,000 draws."""
    weight = heads.first_weights(jax.random.key(8), 2, 3, 16, 2)
    x = jnp.array([0.5, -1.0, 1.0])
    plain = np.asarray(heads.features(weight, x))
    drawn = np.asarray(
        jax.jit(jax.vmap(lambda k: heads.features(weight, x, k, 0.25)))(
            jax.random.split(jax.random.key(9), 20_000)
        )
    )
    alive = plain > 0
    # Deviation of a mean: value sqrt(.25 / .75) / sqrt(20000) = .4 % of the value; of a share: .3 %. Five allowed.
    np.testing.assert_allclose(drawn[:, alive].mean(0), plain[alive], rtol=0.0205)
    units = alive[:-1].nonzero()[0]
    np.testing.assert_allclose((drawn[:, units] == 0).mean(0), 0.25, atol=0.0155)
    assert (drawn[:, -1] == 1).all()


def test_dropout_calls_every_arm_first_and_only_what_is_available() -> None:
    policy = dropout(3, 2, initial=2, memory=16, batch=4)
    act, update = jax.jit(policy.act), jax.jit(policy.update)
    state, calls = policy.init(jax.random.key(0)), []
    for t in range(6):
        now = seen(3, [0.1, 1.0])._replace(available=jnp.array([True, t != 1, True]))
        calls.append(int(act(jax.random.key(t), state, now)))
        state = update(jax.random.key(t), state, now, jnp.int32(calls[-1]), heard(0.5))
    assert calls == [0, 2, 1, 0, 1, 2]


def test_buffer_is_a_ring_and_batches_hold_only_what_was_heard() -> None:
    held = Heard(jnp.zeros((3, 1)), jnp.zeros(3, jnp.int32), jnp.full(3, -1.0), jnp.int32(0))
    for t in range(2):
        held = remember(held, jnp.array([float(t)]), jnp.int32(t), jnp.float32(t))
    assert set(np.asarray(sample(jax.random.key(0), held, 50).reward).tolist()) == {0.0, 1.0}
    for t in range(2, 5):
        held = remember(held, jnp.array([float(t)]), jnp.int32(t), jnp.float32(t))
    assert held.reward.tolist() == [3.0, 4.0, 2.0]
    assert int(held.rounds) == 5


def test_training_happens_when_rounds_left_says_so_and_lowers_the_loss() -> None:
    rng = np.random.default_rng(14)
    weight = heads.first_weights(jax.random.key(10), 2, 3, 8, 2)
    loss = lambda w, s, k, b: heads.loss(0.0, w, s, k, b)  # noqa: E731
    trainer = training("mine", loss, lr=0.05, train_every=4, train_steps=30, batch=8, memory=16)
    learner, learn = trainer.begin(weight, 3), jax.jit(trainer.learn)
    for left in (8, 7, 6, 5, 4, 3):
        before = learner
        now = seen(2, rng.normal(size=3), rounds_left=left)
        learner = learn(jax.random.key(left), learner, now, jnp.int32(left % 2), heard(0.8))
        moved = any(bool((a != b).any()) for a, b in zip(before.weight, learner.weight, strict=True))
        assert moved == (left % 4 == 0)
    held = jax.tree.map(lambda a: a[:6] if a.ndim else a, learner.heard)
    assert loss(learner.weight, weight, jax.random.key(0), held) < loss(
        weight, weight, jax.random.key(0), held
    )


def test_training_stays_a_branch_under_the_vmap_over_seeds() -> None:
    """What makes a run fast: with `rounds_left` unbatched the compiled round holds a real conditional."""
    policy = neuralucb(2, 3, memory=8, batch=4, width=4)
    states = jax.vmap(policy.init)(jax.random.split(jax.random.key(0), 5))
    contexts = jnp.ones((5, 3))

    def update(state: Any, context: jax.Array, left: jax.Array) -> Any:
        return policy.update(
            jax.random.key(0),
            state,
            seen(2, jnp.ones(3))._replace(context=context, rounds_left=left),
            jnp.int32(0),
            heard(0.5),
        )

    jaxpr = str(jax.make_jaxpr(jax.vmap(update, in_axes=(0, 0, None)))(states, contexts, jnp.float32(3)))
    assert "cond[" in jaxpr

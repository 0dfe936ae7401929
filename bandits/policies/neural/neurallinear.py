"""NeuralLinear: Bayesian regression on a network's last layer (Riquelme et al. 2018, arXiv 1802.09127, section 3)."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, ranked
from bandits.branches import rarely
from bandits.late import jax, jnp
from bandits.policies.linear.ridge import Ridge, estimate, fresh
from bandits.policies.linear.ridge import learn as learn_ridge
from bandits.policies.neural import heads
from bandits.policies.neural.learner import Heard, Learner, training

BLOCK = 64  # rows of one arm that go into a product
SMALL = 64  # numbers in a row of a matrix that is inverted without LAPACK, at most


class Bayes(NamedTuple):
    """Each arm's posterior given the representation: weights normal, noise variance inverse gamma.

    Attributes:
        ridge: over the last layer and the constant, `(K, m + 1)` weights.
        shape: `(K,)`, `a` of the noise variance.
        scale: `(K,)`, `b` of the noise variance.
    """

    ridge: Ridge
    shape: jax.Array
    scale: jax.Array


class State(NamedTuple):
    """Attributes: `learner`, the network and the buffer; `bayes`, the posterior on its last layer."""

    learner: Learner
    bayes: Bayes


class Prior(NamedTuple):
    """Attributes: `ridge`, precision of the weights; `shape` `a_0` and `scale` `b_0` of the noise variance."""

    ridge: float
    shape: float
    scale: float


def neurallinear(
    n_arms: int,
    dim: int,
    *,
    ridge: float = 1.0,
    shape: float = 6.0,
    noise: float = 0.02,
    width: int = 32,
    depth: int = 2,
    lr: float = 0.001,
    train_every: int = 50,
    train_steps: int = 50,
    batch: int = 64,
    memory: int = 4096,
) -> Policy:
    """Call the arm whose reward is highest under a Bayesian draw on learned features (NeuralLinear).

    Riquelme, Tucker and Snoek 2018 (arXiv 1802.09127, section 3 and appendix A): after each training the posterior
    is computed anew from the buffer, in between it takes in each round.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        ridge: prior precision of the last layer's weights, > 0.
        shape: `a_0` of the noise variance, > 0: twice as many rounds of prior belief in `noise`.
        noise: prior guess `b_0 / a_0` of the noise variance, > 0.
        width: units of a hidden layer, >= 1.
        depth: matrices in the network, >= 2.
        lr: step size of Adam, > 0.
        train_every: rounds between trainings, >= 1.
        train_steps: steps a training, >= 1.
        batch: rounds a step, >= 1.
        memory: rounds remembered, >= 1; what is older leaves the posterior too.
    """
    require.above("neurallinear", 0, ridge=ridge, shape=shape, noise=noise)
    require.whole("neurallinear", 1, width=width)
    require.whole("neurallinear", 2, depth=depth)
    options = dict(train_every=train_every, train_steps=train_steps, batch=batch, memory=memory)
    trainer = training("neurallinear", partial(heads.loss, 0.0), lr=lr, **options)
    if memory * (n_arms + 1) >= 2**31:  # arm and place are one number, see `by_arm`
        raise ValueError(f"neurallinear needs memory < {2**31 // (n_arms + 1)}, got memory={memory}")
    prior = Prior(ridge, shape, shape * noise)

    def init(key: jax.Array) -> State:
        weight = heads.first_weights(key, n_arms, dim, width, depth)
        full = jnp.full(n_arms, 1.0, jnp.float32)
        nothing = Bayes(fresh(n_arms, width + 1, ridge), prior.shape * full, prior.scale * full)
        return State(trainer.begin(weight, dim), nothing)

    def index(key: jax.Array | None, state: State, observation: Observation) -> jax.Array:
        features = heads.features(state.learner.weight, observation.context)
        return draw(key, state.bayes, features)

    def update(
        key: jax.Array, state: State, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> State:
        learner = trainer.learn(key, state.learner, observation, arm, feedback)
        features = heads.features(state.learner.weight, observation.context)
        bayes = rarely(
            trainer.due(observation), anew, on, learner, state.bayes, features, arm, feedback.reward
        )
        return State(learner, bayes)

    def anew(learner: Learner, *rest: Any) -> Bayes:
        del rest
        seen = heads.features(learner.weight, learner.heard.context)
        return posterior(prior, seen, learner.heard, n_arms)

    def on(learner: Learner, *heard: Any) -> Bayes:
        del learner
        return learn(*heard)

    return ranked(init, index, update)


def draw(key: jax.Array | None, bayes: Bayes, features: jax.Array) -> jax.Array:
    """Return each arm's mean reward `(K,)` under a draw of its noise variance and weights; without a key, undrawn."""
    believed = estimate(bayes.ridge, features)
    if key is None:
        return believed.mean
    to_noise, to_weight = jax.random.split(key)
    variance = bayes.scale / jax.random.gamma(to_noise, bayes.shape)
    # Weights ~ N(theta, variance A^-1) enter by their product with the features only, which is one normal.
    return believed.mean + jnp.sqrt(variance) * believed.width * jax.random.normal(
        to_weight, believed.mean.shape
    )


def learn(bayes: Bayes, features: jax.Array, arm: jax.Array, reward: jax.Array) -> Bayes:
    """Return the posterior after one more round with the same representation.

    `b` grows by half the squared error over `1 + x' A^-1 x`: the same as `(y'y - theta' A theta) / 2` over all.
    """
    before = estimate(bayes.ridge, features)
    error = reward - before.mean[arm]
    surprise = 0.5 * jnp.square(error) / (1.0 + jnp.square(before.width[arm]))
    return Bayes(
        learn_ridge(bayes.ridge, features, arm, reward),
        bayes.shape.at[arm].add(0.5),
        bayes.scale.at[arm].add(surprise),
    )


def posterior(prior: Prior, features: jax.Array, heard: Heard, n_arms: int) -> Bayes:
    """Return the posterior of all rounds in the buffer, `features` `(M, m + 1)` their representation now."""
    size = features.shape[1]
    products, pulls = by_arm(jnp.append(features, heard.reward[:, None], axis=1), heard, n_arms)
    precision = products[:, :size, :size] + prior.ridge * jnp.eye(size)
    moment, squares = products[:, :size, size], products[:, size, size]
    inverse = inverted(precision)
    weight = jnp.einsum("kij,kj->ki", inverse, moment)
    residual = squares - jnp.sum(weight * moment, axis=1)
    scale = prior.scale + 0.5 * jnp.maximum(residual, 0.0)
    return Bayes(Ridge(inverse, weight, pulls.astype(jnp.int32)), prior.shape + 0.5 * pulls, scale)


def by_arm(rows: jax.Array, heard: Heard, n_arms: int) -> tuple[jax.Array, jax.Array]:
    """Return each arm's sum of `x x'` over its rows `x` of the buffer, `(K, n, n)`, and how many they are, `(K,)`.

    Rows are laid out arm by arm in blocks that are filled up with zeros: one product a block. A product of all rows,
    coded by their arm, would be with zeros in `K - 1` of `K` places.

    Args:
        rows: `(M, n)`.
        heard: the buffer, whose first `min(rounds, M)` places count.
        n_arms: `K`.
    """
    places = rows.shape[0]
    blocks = -(-places // BLOCK) + n_arms  # at most one of each arm's is not full
    arm = jnp.where(jnp.arange(places) < heard.rounds, heard.arm, n_arms)
    pulls = jnp.bincount(arm, length=n_arms + 1)[:n_arms]
    held = -(-pulls // BLOCK)  # blocks of each arm
    owner = jnp.searchsorted(jnp.cumsum(held), jnp.arange(blocks), side="right")  # K: no arm's
    own = jnp.minimum(owner, n_arms - 1)
    within = (jnp.arange(blocks) - (jnp.cumsum(held) - held)[own])[:, None] * BLOCK + jnp.arange(BLOCK)
    filled = (within < pulls[own][:, None]) & (owner < n_arms)[:, None]
    place = jnp.where(filled, (jnp.cumsum(pulls) - pulls)[own][:, None] + within, 0)
    # Arm and place in one number: XLA sorts numbers several times faster than pairs.
    sorted_by_arm = jnp.sort(arm * places + jnp.arange(places)) % places
    block = jnp.where(filled[:, :, None], rows[sorted_by_arm[place]], 0.0)
    products = jnp.einsum("bri,brj->bij", block, block)
    return jax.ops.segment_sum(products, owner, num_segments=n_arms + 1)[:n_arms], pulls


def inverted(matrices: jax.Array) -> jax.Array:
    """Return the inverses of symmetric positive definite matrices `(K, n, n)`.

    Small ones by Gauss and Jordan in place, all side by side: LAPACK's Cholesky takes one after the other, and a
    program that calls LAPACK has one core for all seeds (see `bandits.loop.scan`).
    """
    size = matrices.shape[-1]
    if size > SMALL:
        factor = jnp.linalg.cholesky(matrices)
        return jax.scipy.linalg.cho_solve((factor, True), jnp.broadcast_to(jnp.eye(size), matrices.shape))
    here = jnp.arange(size)

    def swept(k: int, left: jax.Array) -> jax.Array:
        row, column = left[:, k, :] / left[:, k, k, None], left[:, :, k]
        rest = left - column[:, :, None] * row[:, None, :]
        pivot = 1.0 / left[:, k, k, None]
        rest = jnp.where(here == k, (-column * pivot)[:, :, None], rest)
        own = jnp.where(here == k, pivot, row)
        return jnp.where((here == k)[:, None], own[:, None, :], rest)

    inverses: jax.Array = jax.lax.fori_loop(0, size, swept, matrices)
    return inverses

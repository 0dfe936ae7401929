"""Policies that hear preferences only: FGTS.CDB (arXiv 2510.00841) and optimistic champion and challenger.

Their arms are the pairs of `envs.changes.duels`, and the reward that they hear is 1 where the first of a pair is
preferred, else 0. Model `k` is worth `theta_k' x`; the preference between two is a function of the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, choose
from bandits.late import jax, jnp
from envs.changes.duels import models_of, sides


class Duels(NamedTuple):
    """The latest `W` duels, in a ring, and how many there were.

    Attributes:
        context: `(W, d)`.
        first, second: `(W,)` int32 models.
        swapped: `(W,)` bool, whether the first one was the second chain's: a pair has no order of its own.
        sign: `(W,)` 1 where the first was preferred, else -1.
        total: `()` int32.
    """

    context: jax.Array
    first: jax.Array
    second: jax.Array
    swapped: jax.Array
    sign: jax.Array
    total: jax.Array


class Chains(NamedTuple):
    """`theta` `(2, K, d)`, a draw from the posterior for each side of a duel, and the `past`."""

    theta: jax.Array
    past: Duels


def fgts(
    n_arms: int,
    dim: int,
    *,
    eta: float = 1.0,
    mu: float = 0.1,
    ridge: float = 1.0,
    lr: float = 0.003,
    steps: int = 5,
    batch: int = 32,
    memory: int = 2048,
) -> Policy:
    """Call the best models of two posterior draws, each with a feel-good term against the other side (FGTS.CDB).

    arXiv 2510.00841: `theta^j` is drawn from `exp(-sum L^j - ridge |theta|^2 / 2)` with
    `L^j = eta log(1 + exp(-y <theta, phi(x, a1) - phi(x, a2)>)) - mu max_a <theta, phi(x, a) - phi(x, a^(3-j))>`
    and `phi(x, a)` the context in the place of `a`. The draw is the state of a stochastic-gradient Langevin chain
    that goes on from round to round, on batches of the past (their sum scaled up to the whole). Which chain stands for
    which model of a called pair, and so whose opponent `a^(3-j)` is, goes by the draws when its outcome is heard.

    Args:
        n_arms: `P`, pairs of models.
        dim: `d`, the constant column included.
        eta: weight of the likelihood, > 0.
        mu: weight of the feel-good term, >= 0.
        ridge: prior precision, > 0.
        lr: step size of the chain, divided by the duels so far beyond the first hundred, > 0.
        steps: of the chain a round, >= 1.
        batch: duels a step, >= 1.
        memory: duels remembered, >= 1.
    """
    require.above("fgts", 0, eta=eta, ridge=ridge, lr=lr)
    require.at_least("fgts", 0, mu=mu)
    require.whole("fgts", 1, steps=steps, batch=batch, memory=memory)
    models = models_of(n_arms)
    first, second = (jnp.asarray(side, jnp.int32) for side in sides(models))

    def init(key: jax.Array) -> Chains:
        theta = jax.random.normal(key, (2, models, dim)) / jnp.sqrt(ridge)
        empty = jnp.zeros(memory, jnp.int32)
        none = jnp.zeros(memory)
        past = Duels(jnp.zeros((memory, dim)), empty, empty, empty > 0, none, jnp.zeros((), jnp.int32))
        return Chains(theta, past)

    def act(key: jax.Array, state: Chains, observation: Observation) -> jax.Array:
        del key
        return choose(jnp.maximum(*orders(state.theta, observation.context)), observation.available)

    def orders(theta: jax.Array, context: jax.Array) -> tuple[jax.Array, jax.Array]:
        # What each pair is worth with the first model for the first chain, and the other way round.
        one, two = theta @ context
        return one[first] + two[second], two[first] + one[second]

    def loss(theta: jax.Array, past: Duels, rows: jax.Array, side: int) -> jax.Array:
        value = past.context[rows] @ theta.T  # (batch, K)
        left, right = (
            jnp.take_along_axis(value, x[rows][:, None], 1)[:, 0] for x in (past.first, past.second)
        )
        other = jnp.where(past.swapped[rows] == (side == 0), left, right)
        told = eta * jax.nn.softplus(-past.sign[rows] * (left - right))
        informative = past.first[rows] != past.second[rows]
        each = jnp.where(informative, told, 0.0) - mu * (value.max(axis=1) - other)
        seen = jnp.minimum(past.total, memory)
        return each.mean() * seen + ridge * jnp.sum(theta**2) / 2

    def update(
        key: jax.Array, state: Chains, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Chains:
        straight, crossed = orders(state.theta, observation.context)
        pair = first[arm], second[arm], crossed[arm] > straight[arm]
        past = _appended(state.past, observation.context, pair, feedback.reward)
        seen = jnp.minimum(past.total, memory)
        step = lr / jnp.maximum(seen / 100.0, 1.0)

        def one(i: jax.Array, theta: jax.Array) -> jax.Array:
            to_pick, to_move = jax.random.split(jax.random.fold_in(key, i))
            rows = jax.random.randint(to_pick, (batch,), 0, seen)
            gradient = jnp.stack([jax.grad(loss)(theta[side], past, rows, side) for side in (0, 1)])
            return theta - step * gradient + jnp.sqrt(2 * step) * jax.random.normal(to_move, theta.shape)

        return Chains(jax.lax.fori_loop(0, steps, one, state.theta), past)

    return Policy(init, act, update)


def _appended(past: Duels, context: jax.Array, pair: tuple[jax.Array, ...], told: jax.Array) -> Duels:
    first, second, swapped = pair
    place = past.total % len(past.sign)
    return Duels(
        past.context.at[place].set(context),
        past.first.at[place].set(first),
        past.second.at[place].set(second),
        past.swapped.at[place].set(swapped),
        past.sign.at[place].set(2 * told - 1),
        past.total + 1,
    )


class Joint(NamedTuple):
    """A ridge posterior of all models together: `inverse` `(K, d, K, d)`, `weight` `(K, d)`."""

    inverse: jax.Array
    weight: jax.Array


def duel_ucb(n_arms: int, dim: int, *, alpha: float = 0.5, ridge: float = 1.0) -> Policy:
    """Call the model believed best and the one of the highest optimistic lead over it (linear utilities).

    The champion has the highest mean; the challenger `b` the highest `x'(theta_b - theta_a) + alpha
    |phi(x, b) - phi(x, a)|` in the norm of `A^-1`, as in variance-unaware VACDB and CoLSTIM (Di et al. 2023,
    arXiv 2310.00968; Bengs et al. 2022). The preference, from -1/2 to 1/2, is regressed on `phi(x, a) - phi(x, b)`.

    Args:
        n_arms: `P`, pairs of models.
        dim: `d`, the constant column included.
        alpha: width of the confidence bound, >= 0.
        ridge: prior precision of every weight, > 0.
    """
    require.at_least("duel_ucb", 0, alpha=alpha)
    require.above("duel_ucb", 0, ridge=ridge)
    models = models_of(n_arms)
    first, second = (jnp.asarray(side, jnp.int32) for side in sides(models))

    def init(key: jax.Array) -> Joint:
        del key
        size = models * dim
        return Joint(
            (jnp.eye(size) / ridge).reshape(models, dim, models, dim), jnp.zeros((models, dim), jnp.float32)
        )

    def act(key: jax.Array, state: Joint, observation: Observation) -> jax.Array:
        del key
        x, mean = observation.context, state.weight @ observation.context
        inner = jnp.einsum("i,kilj,j->kl", x, state.inverse, x)
        spread = inner[first, first] + inner[second, second] - 2 * inner[first, second]
        width = jnp.sqrt(jnp.maximum(spread, 0.0))
        open_pairs = observation.available
        there = jnp.zeros(models, bool).at[first].max(open_pairs).at[second].max(open_pairs)
        champion = choose(mean, there)
        other = jnp.where(first == champion, second, first)
        lead = mean[other] - mean[champion] + alpha * width
        held = open_pairs & ((first == champion) | (second == champion))
        return choose(lead, held)

    def update(
        key: jax.Array, state: Joint, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Joint:
        del key
        i, j, x = first[arm], second[arm], observation.context
        direction = (
            state.inverse[:, :, i] @ x - state.inverse[:, :, j] @ x
        )  # A^-1 z, (K, d); 0 for a single call
        power = (direction[i] - direction[j]) @ x
        gain = direction / (1.0 + power)
        error = feedback.reward - 0.5 - (state.weight[i] - state.weight[j]) @ x
        inverse = state.inverse - gain[:, :, None, None] * direction
        return Joint(inverse, state.weight + error * gain)

    return Policy(init, act, update)


# Name on the command line -> factory; offered with `--feedback dueling`, where arms are pairs.
DUELLISTS: dict[str, Callable[..., Policy]] = {"fgts": fgts, "duel_ucb": duel_ucb}

"""What LLM Bandit trains on: queries of a log put to random sets of models under random preferences and prices."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from bandits.late import jax, jnp
from bandits.policies.llmbandit.identity import Response, Settings, logit
from bandits.policies.llmbandit.networks import Actor, Models, Pool, scores

_PREFERENCE = 2.0  # omega = [1, w], w ~ U(0, 2) (arXiv 2502.02743, appendix B.3.3)


class Log(NamedTuple):
    """Outcomes of every model, logged before the run; never rows of the evaluated stream.

    Attributes:
        context: `(n, d)`.
        utility: `(n, K)` in [0, 1], NaN where missing.
        cost: `(n, K)` in the table's unit, NaN where missing.
    """

    context: Any
    utility: Any
    cost: Any


class Schedule(NamedTuple):
    """Of the training.

    Attributes:
        irt: of the identities' fit.
        match: see `llmbandit.scores`.
        width: hidden units of the networks.
        pretrain_steps, pretrain_batch, pretrain_lr: the supervised stage; the paper has 500, 1024 and 1e-3.
        rollouts, rollout_batch: times that the policy is run on the log, and queries each time.
        passes, ppo_lr: gradient steps on each rollout, and their rate.
        price_spread: standard deviation of the log of the factor that a model's cost gets in a task, see `draw`.
    """

    irt: Settings = Settings()
    match: str = "token"
    width: int = 32
    pretrain_steps: int = 500
    pretrain_batch: int = 256
    pretrain_lr: float = 5e-3
    rollouts: int = 150
    rollout_batch: int = 512
    passes: int = 3
    ppo_lr: float = 3e-4
    price_spread: float = 1.5


class Known(NamedTuple):
    """The log and what is frozen before the policy is trained.

    Attributes:
        log: with zeros where an outcome is missing.
        seen: `(n, K)` bool, where there is one.
        response, calibration, pool: see `llmbandit.Trained`.
    """

    log: Log
    seen: jax.Array
    response: Response
    calibration: jax.Array
    pool: Pool


class Task(NamedTuple):
    """Queries put to sets of models under preferences, `b` of them.

    Attributes:
        context: `(b, d)`.
        vector: `(b, K, m)` identities.
        available: `(b, K)` the action set.
        preference: `(b,)`.
        cost: `(b, K)` mean cost of a call at the task's prices, in units of the set's dearest model.
        unit: `(b, K)` what a logged cost is divided by to be a cost at these prices in that unit.
    """

    context: jax.Array
    vector: jax.Array
    available: jax.Array
    preference: jax.Array
    cost: jax.Array
    unit: jax.Array


def draw(key: jax.Array, known: Known, schedule: Schedule, batch: int) -> tuple[Task, jax.Array]:
    """Return tasks on different queries of the log and the rows `(b,)`; `b` is `batch`, or `n` where that is less.

    Sets have 2 to `K` models, each size as often as another. Every model's cost is multiplied by a log-normal factor
    of its own, which is not in the paper: with few models to train on, a policy otherwise learns by heart which of
    them is dear, and does not read the costs of models that it has never seen.
    """
    of_rows, of_size, of_set, of_preference, of_price = jax.random.split(key, 5)
    n, n_models = known.seen.shape
    rows = jnp.argsort(jax.random.uniform(of_rows, (n,)))[:batch]
    shape = (len(rows), n_models)
    size = jax.random.randint(of_size, (len(rows), 1), 2, n_models + 1)
    order = jnp.where(known.seen[rows], jax.random.uniform(of_set, shape), 2.0)
    rank = jnp.sum(order[:, None, :] < order[:, :, None], axis=2)
    available = known.seen[rows] & (rank < size)
    preference = jax.random.uniform(of_preference, (len(rows),), maxval=_PREFERENCE)
    factor = jnp.exp(schedule.price_spread * jax.random.normal(of_price, shape))
    cost = factor * known.pool.cost
    dearest = jnp.max(jnp.where(available, cost, 0.0), axis=1, keepdims=True)
    unit = jnp.where(dearest > 0, dearest, 1.0)
    vector = jnp.broadcast_to(known.pool.vector, (*shape, known.pool.vector.shape[1]))
    return Task(known.log.context[rows], vector, available, preference, cost / unit, unit / factor), rows


def imagine(key: jax.Array, task: Task) -> Task:
    """Return the tasks with about half of the models replaced by imagined ones, for the supervised stage.

    Its targets need a model's identity and cost, not its outcomes, so that sets of models that do not exist can be
    had for nothing: identities are drawn from a normal as wide as the known ones. This is not in the paper; without
    it a policy trained on few models has met few identities, and a new one means nothing to it.
    """
    of_which, of_vector = jax.random.split(key)
    width = jnp.sqrt(jnp.mean(jnp.square(task.vector)))
    imagined = width * jax.random.normal(of_vector, task.vector.shape)
    which = jax.random.bernoulli(of_which, 0.5, (*task.available.shape, 1))
    return task._replace(vector=jnp.where(which, imagined, task.vector))


def targets(known: Known, task: Task) -> jax.Array:
    """Return `argmax_k omega'[pbar_k / max pbar, -cbar_k]` over each set, `(b,)` (Algorithm 1, appendix E.4).

    `pbar` is the predicted chance after Platt scaling.
    """
    slope, offset = known.calibration
    score = slope * jax.vmap(partial(logit, known.response))(task.context, task.vector) + offset
    chance = jnp.where(task.available, jax.nn.sigmoid(score), 0.0)
    worth = chance / chance.max(axis=1, keepdims=True) - task.preference[:, None] * task.cost
    return jnp.argmax(jnp.where(task.available, worth, -jnp.inf), axis=1)


def log_chances(actor: Actor, known: Known, task: Task) -> jax.Array:
    """Return `log pi(k | x, C, omega)`, `(b, K)`, -inf for models outside the set."""
    score = by_task(partial(scores, actor), known, task, task.preference)
    return jax.nn.log_softmax(jnp.where(task.available, score, -jnp.inf))


def by_task(network: Callable[..., jax.Array], known: Known, task: Task, *more: jax.Array) -> jax.Array:
    """Return `network(models, context, *more)` of every task; it sees chances that are not calibrated."""

    def one(task: Task, *more: jax.Array) -> jax.Array:
        chance = jax.nn.sigmoid(logit(known.response, task.context, task.vector))
        return network(Models(task.vector, task.cost, chance, task.available), task.context, *more)

    return jax.vmap(one)(task, *more)

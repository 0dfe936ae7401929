"""Training of LLM Bandit on logged outcomes of every model: supervised, then PPO (arXiv 2502.02743, Algorithm 1)."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bandits.identity import Irt, Settings, binarise, fit, logit, place, platt
from bandits.llmbandit import Actor, Critic, Pool, Trained, first_actor, first_critic, scores, values

_CLIP = 0.2  # of PPO's probability ratio
_MIX = 0.2  # both parameters of mixup's Beta (appendix B.3.2)
_PREFERENCE = 2.0  # omega = [1, w], w ~ U(0, 2) (appendix B.3.3)
_HELD_OUT = 5  # one query in so many is kept from the identities' fit, for the calibration


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
        width: hidden units of the networks.
        pretrain_steps, pretrain_batch, pretrain_lr: the supervised stage; the paper has 500, 1024 and 1e-3.
        rollouts, rollout_batch: times that the policy is run on the log, and queries each time.
        passes, ppo_lr: gradient steps on each rollout, and their rate.
    """

    irt: Settings = Settings()
    width: int = 32
    pretrain_steps: int = 500
    pretrain_batch: int = 256
    pretrain_lr: float = 5e-3
    rollouts: int = 150
    rollout_batch: int = 512
    passes: int = 3
    ppo_lr: float = 3e-4
    price_spread: float = 1.5


class Task(NamedTuple):
    """Queries put to sets of models under preferences, `b` of them.

    Attributes:
        context: `(b, d)`.
        available: `(b, K)` the action set.
        preference: `(b,)`.
        cost: `(b, K)` mean cost of a call in units of the set's dearest model, after the change of prices.
        unit: `(b, K)` what that change and the unit divide a logged cost by.
    """

    context: jax.Array
    available: jax.Array
    preference: jax.Array
    cost: jax.Array
    unit: jax.Array


class Rollout(NamedTuple):
    """What a policy did: tasks, `arm` `(b,)`, its `log_chance` `(b,)`, `advantage` and `target` `(b, 2)`."""

    task: Task
    arm: jax.Array
    log_chance: jax.Array
    advantage: jax.Array
    target: jax.Array


class _Data(NamedTuple):
    log: Log
    seen: jax.Array
    irt: Irt
    calibration: jax.Array
    pool: Pool


def train(log: Log, *, seed: int = 0, schedule: Schedule = Schedule()) -> Trained:
    """Return the policy network, the critic and the identities, trained on a log and on nothing else.

    Args:
        log: `n` queries, `K` models.
        seed: of every draw.
        schedule: of the training.

    Raises:
        ValueError: the log is too small, or a model has no outcome in it.
    """
    _require(log)
    of_irt, of_actor, of_critic, of_pretrain, of_ppo = jax.random.split(jax.random.key(seed), 5)
    right = binarise(log.utility)
    kept = np.arange(len(right)) % _HELD_OUT > 0
    context = jnp.asarray(log.context, jnp.float32)
    irt = fit(of_irt, context[kept], right[kept], schedule.irt)
    held_out = logit(irt.response, context[~kept], irt.posterior.mean)
    calibration = platt(held_out.ravel(), jnp.asarray(right[~kept], jnp.float32).ravel())
    seen = ~np.isnan(right)
    cost = np.where(seen, log.cost, 0.0)
    pool = Pool(irt.posterior.mean, jnp.asarray(cost.sum(axis=0) / seen.sum(axis=0), jnp.float32))
    known = Log(context, *(jnp.asarray(np.where(seen, a, 0.0), jnp.float32) for a in (log.utility, cost)))
    data = _Data(known, jnp.asarray(seen), irt, calibration, pool)
    sizes = context.shape[1], schedule.irt.size, schedule.width
    actor = _pretrain(schedule, of_pretrain, first_actor(of_actor, *sizes), data)
    actor, critic = _ppo(schedule, of_ppo, actor, first_critic(of_critic, *sizes), data)
    return Trained(irt.response, calibration, actor, critic, pool)


def take_in(trained: Trained, quiz: Log) -> Pool:
    """Return the pool of models whose answers to a quiz are known; nothing of what was trained changes.

    Args:
        trained: from `train`.
        quiz: 20 to 50 queries, put to each of the new models.
    """
    right = binarise(quiz.utility)
    vector = place(trained.response, jnp.asarray(quiz.context, jnp.float32), jnp.asarray(right, jnp.float32))
    return Pool(
        vector, jnp.asarray(np.nanmean(np.where(np.isnan(right), np.nan, quiz.cost), axis=0), jnp.float32)
    )


def targets(data: Any, task: Task, rows: jax.Array) -> jax.Array:
    """Return `argmax_k omega'[pbar_k / max pbar, -c_k / max c]` over each set, `(b,)` (appendix E.4)."""
    slope, offset = data.calibration
    score = logit(data.irt.response, data.log.context[rows], data.pool.vector)
    chance = jnp.where(task.available, jax.nn.sigmoid(slope * score + offset), 0.0)
    worth = chance / chance.max(axis=1, keepdims=True) - task.preference[:, None] * task.cost
    return jnp.argmax(jnp.where(task.available, worth, -jnp.inf), axis=1)


def draw(key: jax.Array, data: _Data, batch: int, spread: float) -> tuple[Task, jax.Array]:
    """Return tasks on different queries of the log, with random sets and preferences, and the rows `(b,)`."""
    of_rows, of_size, of_set, of_preference, of_price = jax.random.split(key, 5)
    n, n_models = data.seen.shape
    rows = jax.random.permutation(of_rows, n)[:batch]
    size = jax.random.randint(of_size, (len(rows), 1), 2, n_models + 1)
    order = jnp.where(data.seen[rows], jax.random.uniform(of_set, (len(rows), n_models)), 2.0)
    available = data.seen[rows] & (jnp.argsort(jnp.argsort(order, axis=1), axis=1) < size)
    preference = jax.random.uniform(of_preference, (len(rows),), maxval=_PREFERENCE)
    factor = jnp.exp(spread * jax.random.normal(of_price, available.shape))
    cost = factor * data.pool.cost
    dearest = jnp.max(jnp.where(available, cost, 0.0), axis=1, keepdims=True)
    unit = jnp.where(dearest > 0, dearest, 1.0)
    return Task(data.log.context[rows], available, preference, cost / unit, unit / factor), rows


def log_chances(actor: Actor, data: _Data, task: Task) -> jax.Array:
    """Return `log pi(k | x, C, omega)`, `(b, K)`, -inf for models outside the set."""
    return jax.nn.log_softmax(jnp.where(task.available, _by_task(scores, actor, data, task), -jnp.inf))


def _by_task(network: Any, weights: Any, data: _Data, task: Task) -> jax.Array:
    """Return `network` of every task; identities stay frozen, and the network sees chances that are not calibrated."""
    chance = jax.nn.sigmoid(logit(data.irt.response, task.context, data.pool.vector))
    told = (task.cost, chance, task.available, task.context)
    told = (*told, task.preference) if network is scores else told
    return jax.vmap(partial(network, weights, data.pool.vector))(*told)


@partial(jax.jit, static_argnums=0)
def _pretrain(schedule: Schedule, key: jax.Array, actor: Actor, data: _Data) -> Actor:
    """Return the actor after cross-entropy steps towards `targets` (Algorithm 1, first half)."""
    import optax  # here, since it takes 0.6 s and most runs have no neural policy

    adam = optax.adam(schedule.pretrain_lr)

    def step(carry: tuple[Actor, Any], key: jax.Array) -> tuple[tuple[Actor, Any], None]:
        actor, moments = carry
        task, rows = draw(key, data, schedule.pretrain_batch, schedule.price_spread)
        best = targets(data, task, rows)[:, None]

        def missed(actor: Actor) -> jax.Array:
            return -jnp.mean(jnp.take_along_axis(log_chances(actor, data, task), best, axis=1))

        change, moments = adam.update(jax.grad(missed)(actor), moments)
        return (optax.apply_updates(actor, change), moments), None

    keys = jax.random.split(key, schedule.pretrain_steps)
    return jax.lax.scan(step, (actor, adam.init(actor)), keys)[0][0]


def roll_out(key: jax.Array, actor: Actor, critic: Critic, data: _Data, schedule: Schedule) -> Rollout:
    """Return what the policy does on tasks drawn from the log, and what that gave (Eq. 2: `r = [utility, -cost]`).

    One decision ends an episode, so the advantage is `r - V` and the critic's target is `r`. Cost is the logged one
    of the call, where the paper has one number a model.
    """
    of_task, of_arm = jax.random.split(key)
    task, rows = draw(of_task, data, schedule.rollout_batch, schedule.price_spread)
    chances = log_chances(actor, data, task)
    arm = jax.random.categorical(of_arm, chances)
    pair = jnp.arange(len(rows))
    reward = jnp.stack(
        [data.log.utility[rows, arm], -data.log.cost[rows, arm] / task.unit[pair, arm]], axis=1
    )
    advantage = reward - _by_task(values, critic, data, task)
    return Rollout(task, arm, chances[pair, arm], advantage, reward)


def mixup(rollout: Rollout, share: jax.Array) -> Rollout:
    """Return each decision mixed with that on the nearest query of the rollout (appendix B.3.2).

    Context, old log-probability, advantage and target are mixed; what cannot be (arm, preference and set) comes from
    the dominant one of the two.

    Args:
        rollout: `b` decisions.
        share: `(b,)` in [0, 1], of each decision itself.
    """
    context = rollout.task.context
    square = jnp.sum(jnp.square(context), axis=1)
    distance = square[:, None] + square - 2 * context @ context.T
    near = jnp.argmin(distance + jnp.where(jnp.eye(len(context), dtype=bool), jnp.inf, 0.0), axis=1)
    other = jax.tree.map(lambda a: a[near], rollout)

    def mixed(own: jax.Array, its: jax.Array) -> jax.Array:
        part = share.reshape(-1, *(1,) * (own.ndim - 1))
        return part * own + (1 - part) * its

    def dominant(own: jax.Array, its: jax.Array) -> jax.Array:
        return jnp.where((share >= 0.5).reshape(-1, *(1,) * (own.ndim - 1)), own, its)

    task = jax.tree.map(dominant, rollout.task, other.task)
    return Rollout(
        task._replace(context=mixed(context, other.task.context)),
        dominant(rollout.arm, other.arm),
        mixed(rollout.log_chance, other.log_chance),
        mixed(rollout.advantage, other.advantage),
        mixed(rollout.target, other.target),
    )


def clipped(log_ratio: jax.Array, advantage: jax.Array) -> jax.Array:
    """Return PPO's loss `-mean min(rho A, clip(rho, 1 - eps, 1 + eps) A)` (arXiv 1707.06347, Eq. 7).

    Args:
        log_ratio: `(b,)` log of new over old probability.
        advantage: `(b,)` scalarised, `omega'A`.
    """
    ratio = jnp.exp(log_ratio)
    return -jnp.mean(jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - _CLIP, 1 + _CLIP) * advantage))


def ppo_loss(networks: tuple[Actor, Critic], data: _Data, done: Rollout) -> jax.Array:
    """Return the clipped loss on `omega'A` plus the critic's squared error (section 2.4, appendix E.5)."""
    actor, critic = networks
    chances = jnp.take_along_axis(log_chances(actor, data, done.task), done.arm[:, None], axis=1)[:, 0]
    advantage = done.advantage[:, 0] + done.task.preference * done.advantage[:, 1]
    error = _by_task(values, critic, data, done.task) - done.target
    return clipped(chances - done.log_chance, advantage) + jnp.mean(jnp.sum(jnp.square(error), axis=1))


@partial(jax.jit, static_argnums=0)
def _ppo(
    schedule: Schedule, key: jax.Array, actor: Actor, critic: Critic, data: _Data
) -> tuple[Actor, Critic]:
    """Return both networks after `rollouts` rounds of multi-objective PPO (Algorithm 1, second half)."""
    import optax

    adam = optax.adam(schedule.ppo_lr)

    def step(carry: Any, key: jax.Array) -> tuple[Any, None]:
        of_rollout, of_mix = jax.random.split(key)
        done = roll_out(of_rollout, *carry[0], data, schedule)

        def once(carry: Any, key: jax.Array) -> tuple[Any, None]:
            networks, moments = carry
            share = jax.random.beta(key, _MIX, _MIX, (len(done.arm),))
            change, moments = adam.update(
                jax.grad(ppo_loss)(networks, data, mixup(done, share)), moments
            )
            return (optax.apply_updates(networks, change), moments), None

        return jax.lax.scan(once, carry, jax.random.split(of_mix, schedule.passes))[0], None

    first = (actor, critic), adam.init((actor, critic))
    return jax.lax.scan(step, first, jax.random.split(key, schedule.rollouts))[0][0]


def _require(log: Log) -> None:
    """Raise unless there is something to learn from."""
    seen = ~np.isnan(np.asarray(log.utility))
    if len(seen) < 2 * _HELD_OUT or seen.shape[1] < 2:
        raise ValueError(
            f"llmbandit needs a log of at least {2 * _HELD_OUT} queries and 2 models, got {seen.shape}"
        )
    if not seen.any(axis=0).all():
        raise ValueError(
            f"llmbandit needs an outcome of every model in the log, got none of model {int((~seen.any(axis=0)).argmax())}"
        )

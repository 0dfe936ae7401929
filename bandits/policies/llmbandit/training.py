"""From a log to LLM Bandit's policy, and new models into its pool by a quiz (arXiv 2502.02743, Algorithm 1)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits import threefry
from bandits.late import jax, jnp, optax
from bandits.policies.llmbandit import identity
from bandits.policies.llmbandit.networks import Actor, Pool, Trained, first_actor, first_critic
from bandits.policies.llmbandit.ppo import improve, mixing
from bandits.policies.llmbandit.tasks import Known, Log, Schedule, draw, imagine, log_chances, targets

_HELD_OUT = 5  # one query in so many is kept from the identities' fit, for the calibration
_DEFAULT = Schedule()


def train(log: Log, *, seed: int = 0, schedule: Schedule = _DEFAULT) -> Trained:
    """Return identities, calibration, policy network and critic, trained on a log and on nothing else.

    Args:
        log: `n` queries, `K` models.
        seed: of every draw.
        schedule: of the training.

    Raises:
        ValueError: the log is too small, or a model has no outcome in it.
    """
    log = _answered(log)
    of_pretrain, of_ppo = jax.random.split(threefry.key(seed))
    rng = np.random.default_rng(seed)
    known = identify(seed, log, schedule)
    sizes = known.log.context.shape[1], schedule.irt.size, schedule.width
    actor, critic = first_actor(rng, *sizes, schedule.match), first_critic(rng, *sizes)
    actor = pretrain(schedule, of_pretrain, actor, known)
    shares = mixing(rng, schedule, len(known.seen))
    actor, critic = improve(schedule, of_ppo, actor, critic, known, shares)
    return Trained(known.response, known.calibration, actor, critic, known.pool)


def part(log: Log, rows: Any = slice(None), columns: Any = slice(None)) -> Log:
    """Return the log of these queries and these models."""
    return Log(log.context[rows], log.utility[rows][:, columns], log.cost[rows][:, columns])


def half(n_models: int, seed: int) -> NDArray[np.intp]:
    """Return the columns of half of the models, at least 2, drawn by the seed, in rising order."""
    return np.sort(np.random.default_rng(seed).permutation(n_models)[: max(2, n_models // 2)])


def quiz_rows(
    trained: Trained, log: Log, known: NDArray[np.intp], *, size: int, pick: str, seed: int = 0
) -> NDArray[np.intp]:
    """Return the `(size,)` rows of the log whose queries are put to the models that were not trained on.

    Args:
        trained: on the columns `known` of the log.
        log: of all `K` models.
        known: columns.
        size: queries.
        pick: `discrimination` (see `identity.quiz`) or `random`.
        seed: of the random ones.

    Raises:
        ValueError: the new models did not all answer so many queries.
    """
    new = np.delete(np.asarray(log.utility), known, axis=1)
    answered = np.flatnonzero(~np.isnan(new).any(axis=1))
    if not 1 <= size <= len(answered):
        raise ValueError(
            f"llmbandit needs quiz in [1, {len(answered)}], the logged queries that every new model answered,"
            f" got quiz={size}"
        )
    if pick == "random":
        return np.asarray(np.random.default_rng(seed).permutation(answered)[:size])
    context = jnp.asarray(log.context[answered], jnp.float32)
    chosen = identity.quiz(trained.response, context, trained.pool.vector, size)
    return np.asarray(answered[np.asarray(chosen)])


def take_in(trained: Trained, quiz: Log, dearness: NDArray[np.floating[Any]] | float = 1.0) -> Pool:
    """Return the pool of models known by a quiz alone; their identities are fitted and nothing else changes.

    Args:
        trained: from `train`.
        quiz: the answers of each of them to 20 to 50 queries.
        dearness: what each query costs against the mean query, `(q,)`; a quiz is no fair sample of costs.
    """
    context, right = jnp.asarray(quiz.context, jnp.float32), identity.binarise(quiz.utility)
    vector = identity.place(trained.response, context, jnp.asarray(right, jnp.float32))
    share = np.where(np.isnan(right), np.nan, np.broadcast_to(dearness, (len(right),))[:, None])
    # The ratio estimator of survey sampling: what the quiz cost, over what it would cost a model of mean cost 1.
    cost = np.nansum(np.where(np.isnan(share), np.nan, quiz.cost), axis=0) / np.nansum(share, axis=0)
    return Pool(vector, jnp.asarray(cost, jnp.float32))


def dearness(log: Log, rows: NDArray[np.intp]) -> NDArray[np.floating[Any]]:
    """Return what these queries cost the models of a log against their mean query, `(q,)`; 1 where nothing costs."""
    mean = np.nanmean(log.cost, axis=0)
    relative = np.asarray(log.cost)[rows][:, mean > 0] / mean[mean > 0]
    told = ~np.isnan(relative)
    return np.where(
        told.any(axis=1), np.where(told, relative, 0.0).sum(axis=1) / np.maximum(told.sum(axis=1), 1), 1.0
    )


def enrol(trained: Trained, log: Log, known: NDArray[np.intp], rows: NDArray[np.intp]) -> Pool:
    """Return the pool of all `K` models in the log's order: those trained on, and the others by their quiz.

    Args:
        trained: on the columns `known` of the log.
        log: of all `K` models; of the others, only `rows` are read.
        known: columns.
        rows: of the quiz.
    """
    new = np.delete(np.arange(np.shape(log.utility)[1]), known)
    joined = take_in(trained, part(log, rows, new), dearness(part(log, columns=known), rows))
    order = np.argsort(np.concatenate([known, new]))
    return Pool(*(jnp.concatenate([a, b])[order] for a, b in zip(trained.pool, joined, strict=True)))


@partial(jax.jit, static_argnums=0)
def pretrain(schedule: Schedule, key: jax.Array, actor: Actor, known: Known) -> Actor:
    """Return the actor after cross-entropy steps towards `targets` (Algorithm 1, first half; appendix E.4)."""

    adam = optax.adam(schedule.pretrain_lr)

    def step(carry: tuple[Actor, Any], key: jax.Array) -> tuple[tuple[Actor, Any], None]:
        actor, moments = carry
        of_task, of_models = jax.random.split(key)
        task, _ = draw(of_task, known, schedule, schedule.pretrain_batch)
        task = imagine(of_models, task)
        best = targets(known, task)[:, None]

        def missed(actor: Actor) -> jax.Array:
            return -jnp.mean(jnp.take_along_axis(log_chances(actor, known, task), best, axis=1))

        change, moments = adam.update(jax.grad(missed)(actor), moments)
        return (optax.apply_updates(actor, change), moments), None

    keys = jax.random.split(key, schedule.pretrain_steps)
    trained: Actor = jax.lax.scan(step, (actor, adam.init(actor)), keys)[0][0]
    return trained


def identify(seed: int, log: Log, schedule: Schedule) -> Known:
    """Return the log with identities fitted on most of its queries and calibrated on the others."""
    right = identity.binarise(log.utility)
    seen = ~np.isnan(right)
    fitted = np.arange(len(right)) % _HELD_OUT > 0
    irt = identity.fit(seed, log.context[fitted], right[fitted], schedule.irt)
    vector = irt.posterior.mean  # sampled while it is fitted, its mean from here on
    context = jnp.asarray(log.context, jnp.float32)
    score = identity.logit(irt.response, context[~fitted], vector)
    calibration = identity.platt(score.ravel(), jnp.asarray(right[~fitted], jnp.float32).ravel())
    utility, cost = (jnp.asarray(np.where(seen, a, 0.0), jnp.float32) for a in (log.utility, log.cost))
    mean_cost = cost.sum(axis=0) / seen.sum(axis=0)
    pool = Pool(vector, mean_cost)
    return Known(Log(context, utility, cost), jnp.asarray(seen), irt.response, calibration, pool)


def _answered(log: Log) -> Log:
    """Return the log of the queries that any of its models answered.

    Raises:
        ValueError: there are too few, or a model answered none.
    """
    seen = ~np.isnan(np.asarray(log.utility))
    rows = seen.any(axis=1)
    if rows.sum() < 2 * _HELD_OUT or seen.shape[1] < 2:
        raise ValueError(
            f"llmbandit needs a log of at least {2 * _HELD_OUT} queries and 2 models, got {int(rows.sum())} and"
            f" {seen.shape[1]}"
        )
    if not seen.any(axis=0).all():
        silent = int(np.flatnonzero(~seen.any(axis=0))[0])
        raise ValueError(f"llmbandit needs an outcome of every model in the log, got none of model {silent}")
    return part(log, rows)

"""Multi-objective PPO with a vector critic and mixup (LLM Bandit, arXiv 2502.02743, section 2.4, B.3.2, E.5)."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bandits.late import jax, jnp, optax
from bandits.policies.llmbandit.networks import Actor, Critic, values
from bandits.policies.llmbandit.tasks import Known, Schedule, Task, by_task, draw, log_chances

_CLIP = 0.2  # of the probability ratio
_MIX = 0.2  # both parameters of mixup's Beta


class Rollout(NamedTuple):
    """What a policy did: tasks, `arm` `(b,)`, its `log_chance` `(b,)`, `advantage` and `target` `(b, 2)`."""

    task: Task
    arm: jax.Array
    log_chance: jax.Array
    advantage: jax.Array
    target: jax.Array


def mixing(rng: np.random.Generator, schedule: Schedule, n: int) -> jax.Array:
    """Return mixup's shares, `(rollouts, passes, b)`, Beta(0.2, 0.2) (B.3.2); drawn here, since compiling it is slow.

    Args:
        rng: source of the draws.
        schedule: of the training.
        n: queries in the log.
    """
    shape = schedule.rollouts, schedule.passes, min(schedule.rollout_batch, n)
    return jnp.asarray(rng.beta(_MIX, _MIX, shape), jnp.float32)


@partial(jax.jit, static_argnums=0)
def improve(
    schedule: Schedule, key: jax.Array, actor: Actor, critic: Critic, known: Known, shares: jax.Array
) -> tuple[Actor, Critic]:
    """Return both networks after `rollouts` rounds of PPO (Algorithm 1, second half).

    The paper's replay buffer is the last rollout, used for `passes` steps, each on a mixture of its own.

    Args:
        schedule: of the training.
        key: of tasks and calls.
        actor, critic: as they are before.
        known: the log and what is frozen.
        shares: from `mixing`.
    """

    adam = optax.adam(schedule.ppo_lr)

    def step(carry: Any, drawn: tuple[jax.Array, jax.Array]) -> tuple[Any, None]:
        key, shares = drawn
        (actor, critic), _ = carry
        done = roll_out(key, actor, critic, known, schedule)

        def once(carry: Any, share: jax.Array) -> tuple[Any, None]:
            networks, moments = carry
            change, moments = adam.update(jax.grad(loss)(networks, known, mixup(done, share)), moments)
            return (optax.apply_updates(networks, change), moments), None

        return jax.lax.scan(once, carry, shares)[0], None

    first = (actor, critic), adam.init((actor, critic))
    drawn = jax.random.split(key, schedule.rollouts), shares
    networks: tuple[Actor, Critic] = jax.lax.scan(step, first, drawn)[0][0]
    return networks


def roll_out(key: jax.Array, actor: Actor, critic: Critic, known: Known, schedule: Schedule) -> Rollout:
    """Return what the policy does on tasks drawn from the log, and what that gives: `r = [utility, -cost]`.

    One decision ends an episode, so the advantage is `r - V` and the critic's target is `r`. Cost is the logged one
    of the call, where the paper has one number a model.
    """
    of_task, of_arm = jax.random.split(key)
    task, rows = draw(of_task, known, schedule, schedule.rollout_batch)
    chances = log_chances(actor, known, task)
    arm = jax.random.categorical(of_arm, chances)
    pair = jnp.arange(len(rows))
    cost = known.log.cost[rows, arm] / task.unit[pair, arm]
    reward = jnp.stack([known.log.utility[rows, arm], -cost], axis=1)
    advantage = reward - by_task(partial(values, critic), known, task)
    return Rollout(task, arm, chances[pair, arm], advantage, reward)


def mixup(rollout: Rollout, share: jax.Array) -> Rollout:
    """Return each decision mixed with that on the nearest query of the rollout (B.3.2).

    Context, old log-probability, advantage and target are mixed; what cannot be (arm, preference, set and prices)
    comes from the dominant one of the two.

    Args:
        rollout: `b` decisions.
        share: `(b,)` in [0, 1], of each decision itself.
    """
    context = rollout.task.context
    square = jnp.sum(jnp.square(context), axis=1)
    distance = square[:, None] + square - 2 * context @ context.T
    near = jnp.argmin(distance + jnp.where(jnp.eye(len(context), dtype=bool), jnp.inf, 0.0), axis=1)
    other = jax.tree.map(lambda a: a[near], rollout)

    def along(own: jax.Array) -> jax.Array:
        return share.reshape(-1, *(1,) * (own.ndim - 1))

    def mixed(own: jax.Array, its: jax.Array) -> jax.Array:
        return along(own) * own + (1 - along(own)) * its

    def dominant(own: jax.Array, its: jax.Array) -> jax.Array:
        return jnp.where(along(own) >= 0.5, own, its)

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


def loss(networks: tuple[Actor, Critic], known: Known, done: Rollout) -> jax.Array:
    """Return the clipped loss on `omega'A`, `omega = [1, w]`, plus the critic's squared error (E.5)."""
    actor, critic = networks
    chances = jnp.take_along_axis(log_chances(actor, known, done.task), done.arm[:, None], axis=1)[:, 0]
    advantage = done.advantage[:, 0] + done.task.preference * done.advantage[:, 1]
    error = by_task(partial(values, critic), known, done.task) - done.target
    return clipped(chances - done.log_chance, advantage) + jnp.mean(jnp.sum(jnp.square(error), axis=1))

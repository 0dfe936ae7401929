"""Router-R1's training on a log: episodes of several calls, its reward with the window of costs, PPO."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import threefry
from bandits.late import jax, jnp, optax
from bandits.policies.llmbandit import training
from bandits.policies.llmbandit.ppo import clipped
from bandits.policies.llmbandit.tasks import Log
from bandits.policies.llmbandit.tasks import Schedule as Identities
from bandits.policies.sequential.r1_networks import (
    Frozen,
    Networks,
    Situation,
    first_networks,
    log_chances,
    value,
)
from bandits.sequential import router_r1
from bandits.sequential.logged import Logged

_CRITIC = 0.5  # weight of the critic's squared error
_EXPLORE = 0.01  # weight of the entropy, in place of the paper's KL to the language model that it starts from

Floats = NDArray[np.float64]


class Schedule(NamedTuple):
    """Of the training; the paper has at most 4 turns, 225 steps of 64 episodes.

    Attributes:
        turns: calls of a query at most.
        alpha: weight of cost.
        rollouts, batch: times that the policy is run on the log, and episodes each time.
        passes, lr: gradient steps on each rollout, and their rate.
        width: hidden units.
        decay: GAE's lambda.
    """

    turns: int = 4
    alpha: float = 0.6
    rollouts: int = 150
    batch: int = 512
    passes: int = 3
    lr: float = 1e-3
    width: int = 32
    decay: float = 1.0


class Known(NamedTuple):
    """The log as arrays, `(n, ...)`: contexts, whether a model answered, scores, costs with their judge."""

    context: jax.Array
    seen: jax.Array
    score: jax.Array
    cost: jax.Array


class Episodes(NamedTuple):
    """What a policy did, `b` episodes of `T` turns.

    Attributes:
        now: situations, `(b, T, ...)`.
        action: `(b, T)`, K stops.
        log_chance: `(b, T)` of the action when it was taken.
        value: `(b, T)` the critic's then.
        live: `(b, T)` bool, turns before the episode ended.
    """

    now: Situation
    action: jax.Array
    log_chance: jax.Array
    value: jax.Array
    live: jax.Array


def train(log: Logged, *, seed: int, schedule: Schedule) -> tuple[Networks, Frozen]:
    """Return the networks trained on a log and on nothing else, and what was fitted before.

    Args:
        log: `n` queries, `K` models.
        seed: of every draw.
        schedule: of the training.
    """

    base = training.identify(seed, Log(log.context, log.utility, log.cost), Identities())
    unit = float(np.nanmean(log.paid, axis=0).max()) or 1.0
    frozen = Frozen(base.response, base.pool, jnp.float32(unit))
    score, cost = (jnp.asarray(a, jnp.float32) for a in (log.score, log.paid))
    known = Known(jnp.asarray(log.context, jnp.float32), base.seen, score, cost)
    rng, key = np.random.default_rng(seed), threefry.key(seed)
    networks = first_networks(rng, log.context.shape[1], frozen.pool.vector.shape[1], schedule.width)
    moments, window = optax.adam(schedule.lr).init(networks), router_r1.Window()
    steps = schedule._replace(alpha=0.0)  # the reward alone knows alpha: one program serves all
    for step in range(schedule.rollouts):
        rows = rng.permutation(len(log.utility))[: schedule.batch]
        done = roll_out(steps, jax.random.fold_in(key, step), networks, frozen, known, jnp.asarray(rows))
        window, reward = rewarded(log, rows, turns_of(done, log.utility.shape[1]), window, schedule.alpha)
        gain = jnp.asarray(reward, jnp.float32)
        networks, moments = improve(steps, networks, moments, frozen, done, gain)
    return networks, frozen


@partial(jax.jit, static_argnums=0)
def roll_out(
    schedule: Schedule, key: jax.Array, networks: Networks, frozen: Frozen, known: Known, rows: jax.Array
) -> Episodes:
    """Return an episode on each of `rows` `(b,)` of the log, with actions drawn from the policy."""

    def one(key: jax.Array, row: jax.Array) -> Episodes:
        n_arms = known.seen.shape[1]

        def turn(carry: Any, key: jax.Array) -> Any:
            asked, spent, live = carry
            now = Situation(
                known.context[row],
                known.seen[row] & ~asked,
                asked,
                jnp.where(asked, known.score[row], jnp.nan),
                spent,
            )
            chances = log_chances(networks.actor, frozen, now, schedule.turns)
            action = jax.random.categorical(key, chances)
            told = (
                now,
                action,
                chances[action],
                value(networks.critic, frozen, now, schedule.turns),
                live,
            )
            live = live & (action < n_arms)
            called = (jnp.arange(n_arms) == action) & live
            spent = spent + jnp.where(called, known.cost[row], 0.0).sum() / frozen.unit
            return (asked | called, spent, live), told

        begin = jnp.zeros(n_arms, bool), jnp.float32(0), jnp.array(True)
        # A turn more than there are calls: the last one can only stop, and has nothing to be learned from.
        return Episodes(*jax.lax.scan(turn, begin, jax.random.split(key, schedule.turns))[1])

    return jax.vmap(one)(jax.random.split(key, len(rows)), rows)


def turns_of(done: Episodes, n_arms: int) -> NDArray[np.int64]:
    """Return `(b, K)` the turn in which each model was called, -1 where it was not."""
    action, live = np.asarray(done.action), np.asarray(done.live)
    turn = np.full((len(action), n_arms), -1)
    for t in range(action.shape[1]):
        called = live[:, t] & (action[:, t] < n_arms)
        turn[np.flatnonzero(called), action[called, t]] = t
    return turn


def rewarded(
    log: Logged,
    rows: NDArray[np.int64],
    turn: NDArray[np.int64],
    window: router_r1.Window,
    alpha: float,
) -> tuple[router_r1.Window, Floats]:
    """Return the window after the episodes, in order, and the `(b,)` reward of each (`router_r1.reward`)."""
    utility, cost = log.delivered(rows, turn)
    window, earned = router_r1.after(window, cost)
    told = [
        router_r1.reward(valid=True, answered=True, score=float(u), for_cost=float(r), alpha=alpha)
        for u, r in zip(utility, earned, strict=True)
    ]
    return window, np.array(told)


def advantages(done: Episodes, reward: jax.Array, decay: float) -> tuple[jax.Array, jax.Array]:
    """Return GAE's advantages and the critic's targets, `(b, T)`, 0 after an episode's end.

    `delta_t = r_t + V(s_{t+1}) - V(s_t)`, `A_t = delta_t + decay A_{t+1}` (arXiv 1506.02438, Eq. 16, gamma 1); the
    reward comes with the last action.

    Args:
        done: the episodes.
        reward: `(b,)`.
        decay: lambda; 1 is `reward - V(s_t)`.
    """
    live = done.live * 1.0
    then = jnp.pad(live[:, 1:], ((0, 0), (0, 1)))
    after = jnp.pad(done.value[:, 1:], ((0, 0), (0, 1))) * then
    delta = (reward[:, None] * (1 - then) + after - done.value) * live
    found, ahead = [], jnp.zeros(len(reward))
    for t in range(live.shape[1] - 1, -1, -1):
        ahead = delta[:, t] + decay * ahead * then[:, t]
        found.append(ahead)
    advantage = jnp.stack(found[::-1], axis=1)
    return advantage, (advantage + done.value) * live


def loss(
    networks: Networks,
    schedule: Schedule,
    frozen: Frozen,
    done: Episodes,
    advantage: jax.Array,
    target: jax.Array,
) -> jax.Array:
    """Return PPO's clipped loss, the critic's squared error and minus the entropy, means over live turns.

    Args:
        networks: as they are now.
        schedule: with the turns.
        frozen: what does not change.
        done: the episodes.
        advantage: `(b, T)`, scaled; 0 where not live.
        target: `(b, T)` of the critic.
    """

    def both(now: Situation) -> tuple[jax.Array, jax.Array]:
        told = log_chances(networks.actor, frozen, now, schedule.turns)
        return told, value(networks.critic, frozen, now, schedule.turns)

    chances, values = jax.vmap(jax.vmap(both))(done.now)
    mine = jnp.take_along_axis(chances, done.action[..., None], axis=2)[..., 0]
    ratio = jnp.where(done.live, mine - done.log_chance, 0.0)
    share = done.live.mean()
    finite = jnp.where(jnp.isfinite(chances), chances, 0.0)
    entropy = -(jnp.exp(chances) * finite).sum(axis=2)
    error = jnp.where(done.live, jnp.square(values - target), 0.0)
    policy = clipped(ratio.ravel(), advantage.ravel())
    return (policy + _CRITIC * error.mean() - _EXPLORE * jnp.where(done.live, entropy, 0.0).mean()) / share


@partial(jax.jit, static_argnums=0)
def improve(
    schedule: Schedule, networks: Networks, moments: Any, frozen: Frozen, done: Episodes, reward: jax.Array
) -> tuple[Networks, Any]:
    """Return the networks and Adam's moments after the steps on one rollout."""

    adam = optax.adam(schedule.lr)
    advantage, target = advantages(done, reward, schedule.decay)
    weight = done.live / done.live.sum()
    mean = (advantage * weight).sum()
    spread = jnp.sqrt((jnp.square(advantage - mean) * weight).sum())
    scaled = jnp.where(done.live, (advantage - mean) / (spread + 1e-6), 0.0)

    def once(carry: Any, _: None) -> Any:
        networks, moments = carry
        change, moments = adam.update(
            jax.grad(loss)(networks, schedule, frozen, done, scaled, target), moments
        )
        return (optax.apply_updates(networks, change), moments), None

    return jax.lax.scan(once, (networks, moments), None, length=schedule.passes)[0]

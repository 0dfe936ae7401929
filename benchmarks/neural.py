"""Part of `benchmarks/speed.py`: where a round of the policies on a network goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from reference import least, stream

from bandits import POLICIES, replay, reward_table, rewards, threefry
from bandits.base import Observation, example
from bandits.policies.llmbandit.tasks import Log
from bandits.policies.neural import barp, gradients, heads, neurallinear
from bandits.policies.neural.learner import Heard, sample
from bandits.policies.sequential.router_r1 import router_r1
from bandits.sequential.logged import Logged

ARMS, DIM, BATCH, MEMORY, EVERY = 10, 64, 64, 4096, 20  # a policy's own defaults, but for arms and features
LANES = 8  # of a group, as the replay has them
STEPS = 40  # of a part in one program, so that its start is not counted
SEEDS, ROUNDS = 20, 1_000
ROLLOUTS = 1  # of PPO, where a user's run has hundreds: its time grows with them


class Part(NamedTuple):
    """Attributes: `step`, `(carry, key) -> carry`; `carry`; `shares`, how often a round has it."""

    step: Callable[[Any, jax.Array], Any]
    carry: Any
    shares: float = 1.0


def cost(part: Part) -> tuple[float, float]:
    """Return processor time, in microseconds, and floating-point operations as XLA counts them, of a lane's step."""

    def steps(carry: Any, keys: jax.Array) -> Any:
        return jax.lax.scan(lambda carry, key: (part.step(carry, key), None), carry, keys)[0]

    many = jax.tree.map(lambda a: jnp.stack([jnp.asarray(a)] * LANES), part.carry)
    keys = jax.vmap(lambda key: jax.random.split(key, STEPS))(jax.random.split(threefry.key(0), LANES))
    program = jax.jit(jax.vmap(steps))
    taken = least(lambda: jax.block_until_ready(program(many, keys)))
    counted: Any = jax.jit(part.step).lower(part.carry, keys[0, 0]).compile().cost_analysis()
    counted = counted[0] if isinstance(counted, list) else counted  # of older versions of JAX
    return 1e6 * taken / STEPS / LANES, float(counted["flops"])


def chosen(policy: Any) -> Part:
    """Return a choice; what a policy knows stays as it is."""
    seen: Observation = example(ARMS, DIM)[0]
    contexts = jnp.asarray(stream(64, DIM, ARMS).context, jnp.float32)

    def step(carry: Any, key: jax.Array) -> Any:
        state, calls = carry
        context = contexts[jax.random.randint(key, (), 0, len(contexts))]
        return state, calls.at[policy.act(key, state, seen._replace(context=context))].add(1)

    return Part(step, (policy.init(threefry.key(0)), jnp.zeros(ARMS, jnp.int32)))


def gradient(loss: Callable[..., jax.Array], weight: Any, batch: Any) -> Part:
    """Return the gradient of a training step, with a small step along it, without which it would be made once."""

    def step(weight: Any, key: jax.Array) -> Any:
        return jax.tree.map(lambda w, g: w - 1e-6 * g, weight, jax.grad(loss)(weight, key, batch))

    return Part(step, weight)


def adam(weight: Any) -> Part:
    """Return what Adam makes of a gradient."""
    rule = optax.adam(1e-3)

    def step(carry: Any, key: jax.Array) -> Any:
        del key
        weight, moments = carry
        change, moments = rule.update(jax.tree.map(lambda w: 0.1 * w, weight), moments)
        return optax.apply_updates(weight, change), moments

    return Part(step, (weight, rule.init(weight)))


def parts(policies: dict[str, Any]) -> Iterator[tuple[str, str, Part]]:
    """Return policy, part, and how it is done."""
    rng, key, full = np.random.default_rng(0), threefry.key(0), jnp.int32(MEMORY)
    buffer = Heard(
        jnp.asarray(rng.normal(size=(MEMORY, DIM)), jnp.float32),
        jnp.asarray(rng.integers(0, ARMS, MEMORY), jnp.int32),
        jnp.asarray(rng.random(MEMORY), jnp.float32),
        full,
    )
    batch = sample(key, buffer, BATCH)

    def draw(total: jax.Array, key: jax.Array) -> jax.Array:
        drawn = sample(key, buffer, BATCH)
        return total + drawn.context.sum(axis=0) + drawn.reward.sum() + drawn.arm.sum()

    start = gradients.first_weights(key, gradients.Shape(ARMS, DIM, 32, 2))
    own = heads.first_weights(key, ARMS, DIM, 32, 2)
    wide = heads.first_weights(key, ARMS, DIM, 64, 2)
    nets: dict[str, tuple[Any, Callable[..., jax.Array]]] = {
        "neuralucb": (start, lambda w, key, batch: gradients.loss(0.1, MEMORY, w, start, key, batch)),
        "neurallinear": (own, lambda w, key, batch: heads.loss(0.0, w, own, key, batch)),
        "dropout": (wide, lambda w, key, batch: heads.loss(0.2, w, wide, key, batch)),
    }
    prior = neurallinear.Prior(1.0, 3.0, 0.5)

    def refit(weight: Any, key: jax.Array) -> Any:
        del key
        bayes = neurallinear.posterior(prior, heads.features(weight, buffer.context), buffer, ARMS)
        return weight[0] + 1e-6 * bayes.scale.mean(), *weight[1:]

    for name, policy in policies.items():
        yield name, "choice", chosen(policy)
        if name in nets:
            weight, loss = nets[name]
            yield name, "draw of a batch", Part(draw, jnp.zeros(DIM))
            yield name, "gradient", gradient(loss, weight, batch)
            yield name, "Adam", adam(weight)
        if name == "neurallinear":
            yield name, "posterior anew", Part(refit, own, 1 / EVERY)
        if name == "barp":
            router, heard = barp.first_router(key, ARMS, DIM, 64), _heard(batch)
            step = gradient(lambda w, key, heard: barp.loss(w, heard, 0.01), router, heard)
            yield name, "gradient", step._replace(shares=1 / 32)
            yield name, "Adam", adam(router)._replace(shares=1 / 32)


def _heard(batch: Heard) -> barp.Batch:
    """Return a batch of 32 rounds as BaRP has them."""
    flat = jnp.ones(32)
    return barp.Batch(
        batch.context[:32], flat, jnp.ones((32, ARMS), bool), batch.arm[:32], batch.reward[:32], jnp.int32(32)
    )


@cache
def built() -> tuple[dict[str, Any], dict[str, float]]:
    """Return the policies, and the processor seconds of those that are trained on a log before they play."""
    rng = np.random.default_rng(0)
    utility, price = rng.random((500, ARMS)), rng.lognormal(size=(500, ARMS))
    context = stream(500, DIM, ARMS).context
    made = {
        name: POLICIES[name](ARMS, DIM)
        for name in ("neuralucb", "neuralts", "neurallinear", "dropout", "barp")
    }
    makers = {
        "llmbandit": partial(
            POLICIES["llmbandit"], ARMS, DIM, log=Log(context, utility, price), rollouts=ROLLOUTS
        ),
        "router_r1": partial(
            router_r1, ARMS, DIM, log=Logged(context, utility, price, utility), rollouts=ROLLOUTS
        ),
    }
    trained = {}
    for name, maker in makers.items():
        begun = time.process_time()
        made[name] = maker()
        trained[name] = time.process_time() - begun
    return made, trained


def rates() -> Iterator[dict[str, Any]]:
    """Policies on a network, K=10, d=64, 20 seeds and 1,000 rounds: rounds a second, all seeds together, on all cores.

    Processor time of a round of a seed is in microseconds. What is trained on a log (of 500 queries, one rollout of
    PPO) before it plays says how long that takes, compilation included. Router-R1 plays runs with several calls a query
    only.
    """
    policies, trained = built()
    where = stream(ROUNDS, DIM, ARMS)
    table = reward_table(rewards.linear, where)
    for name, policy in policies.items():
        wall = processor = float("nan")
        if name != "router_r1":
            replay(policy, where, table, seeds=SEEDS)
            begun, used = time.perf_counter(), time.process_time()
            replay(policy, where, table, seeds=SEEDS)
            wall, processor = time.perf_counter() - begun, time.process_time() - used
        yield {
            "policy": name,
            "rounds a second": SEEDS * ROUNDS / wall,
            "a round, CPU": 1e6 * processor / SEEDS / ROUNDS,
            "trained before, CPU s": trained.get(name, float("nan")),
        }


def neural() -> Iterator[dict[str, Any]]:
    """Where a round of them goes (eight seeds side by side on one core): microseconds of processor time of a seed.

    Arithmetic is what XLA counts of a part, at the machine's peak of matrix products: less is not possible as it is
    written. `times a round` is how often a round has it. `neuralts` is trained as `neuralucb` is.
    """
    square = np.ones((2048, 2048), np.float32)
    peak = 2 * 2048**3 / least(lambda: square @ square)
    for name, part, how in parts(built()[0]):
        taken, operations = cost(how)
        at_peak = 1e6 * operations / peak
        yield {
            "policy": name,
            "part": part,
            "share of peak": at_peak / taken,
            "times a round": how.shares,
            "CPU": taken,
            "arithmetic at peak": at_peak,
            "of a round, CPU": taken * how.shares,
        }

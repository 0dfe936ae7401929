"""Rounds a second on whatever accelerator JAX finds, beside the CPU's: `python benchmarks/gpu.py [--seeds 64]`.

Scanned policies as the loop plays them there, and LinUCB in blocks of rounds written in JAX, whose arms are compared
with those of the loop. Each platform has a process of its own. Where JAX finds no accelerator, that is said, and the
CPU's rates stand alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from reference import seconds, stream

from bandits import POLICIES, replay, reward_table, rewards
from bandits.base import choose
from bandits.loop.orders import orders

ROUNDS, ARMS, DIM, BLOCK = 2048, 10, 64, 64
SCANNED = ("thompson", "hybrid", "ucb1", "barp", "neuralucb")
Learned = tuple[jax.Array, jax.Array]  # inverse (K, d, d) and weight (K, d)


def one_block(learned: Learned, given: tuple[jax.Array, jax.Array]) -> tuple[Learned, jax.Array]:
    """Return what LinUCB knows after `B` rounds, and the arms that it called `(B,)`.

    As `bandits.loop.kernels_blocks` does it: all inverses times all contexts first, then the rounds one by one in the
    small space of what the block's pulls change, then the pulls taken off the inverses.

    Args:
        learned: before.
        given: contexts `(B, d)` and rewards `(B, K)`.
    """
    inverse, weight = learned
    x, reward = given
    size, arms = reward.shape
    product = jnp.einsum("kde,be->kbd", inverse, x)
    spread, mean = jnp.einsum("kbd,bd->kb", product, x), weight @ x.T
    pulled, called = jnp.zeros_like(x), jnp.full(size, -1)

    def one_round(i: Any, carry: Any) -> Any:
        spread, mean, weight, pulled, called = carry
        k = choose(mean[:, i] + jnp.sqrt(jnp.maximum(spread[:, i], 0.0)), jnp.ones(arms, bool))
        before = jnp.where(called == k, pulled @ x[i], 0.0)
        u = (product[k, i] - before @ pulled) / jnp.sqrt(1.0 + spread[k, i])
        step = (reward[i, k] - mean[k, i]) / jnp.sqrt(1.0 + spread[k, i])
        along = x @ u
        return (
            spread.at[k].add(-(along**2)), mean.at[k].add(step * along), weight.at[k].add(step * u),
            pulled.at[i].set(u), called.at[i].set(k),
        )  # fmt: skip

    begin = spread, mean, weight, pulled, called
    _, _, weight, pulled, called = jax.lax.fori_loop(0, size, one_round, begin)
    own = (called[:, None] == jnp.arange(arms)).astype(x.dtype)
    taken = jnp.einsum("bk,bd,be->kde", own, pulled, pulled, optimize=[(0, 1), (0, 1)])
    return (inverse - taken, weight), called


@partial(jax.jit, static_argnums=2)
def in_blocks(context: jax.Array, reward: jax.Array, size: int) -> jax.Array:
    """Return the `(S, T)` arms of LinUCB on contexts `(S, T, d)` and rewards `(S, T, K)`, `T` in whole blocks."""

    def one(context: jax.Array, reward: jax.Array) -> jax.Array:
        (rounds, dim), arms = context.shape, reward.shape[1]
        begin = jnp.broadcast_to(jnp.eye(dim), (arms, dim, dim)), jnp.zeros((arms, dim))
        given = context.reshape(-1, size, dim), reward.reshape(-1, size, arms)
        return jax.lax.scan(one_block, begin, given)[1].reshape(rounds)

    return jax.vmap(one)(context, reward)


def measured(seeds: int) -> dict[str, Any]:
    """Return the platform, the rates of all, and the share of rounds in which the blocks call what the loop calls."""
    where = stream(ROUNDS, DIM, ARMS)
    table, rates = reward_table(rewards.linear, where), {}
    linucb = POLICIES["linucb"](ARMS, DIM)
    rows = orders(where, seeds=seeds, seed=0, order="shuffle", rounds=None)
    context, reward = (jnp.asarray(a[rows], jnp.float32) for a in (where.context, table))

    def blocks() -> jax.Array:
        return jax.block_until_ready(in_blocks(context, reward, BLOCK))

    alike = float((np.asarray(blocks()) == replay(linucb, where, table, seeds=seeds).arms).mean())
    rates["linucb, blocks in JAX"] = seeds * ROUNDS / seconds(blocks)
    for name in ("linucb", *SCANNED):
        few = min(seeds, 8) if name == "neuralucb" else seeds
        policy = POLICIES[name](ARMS, DIM)
        rates[name] = few * ROUNDS / seconds(partial(replay, policy, where, table, seeds=few))
    found = jax.devices()[0]
    return {"platform": found.platform, "device": found.device_kind, "alike": alike, "rates": rates}


def elsewhere(seeds: int, **setting: str) -> dict[str, Any]:
    """Return what a process with these settings of its environment measures."""
    asked = [sys.executable, __file__, "--here", "--seeds", str(seeds)]
    done = subprocess.run(asked, env=os.environ | setting, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print the rates of both platforms, or of the CPU alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=64)
    parser.add_argument("--here", action="store_true", help="Print what is measured in this process as JSON.")
    given = parser.parse_args()
    if given.here:
        print(json.dumps(measured(given.seeds)))
        return
    cpu, found = elsewhere(given.seeds, JAX_PLATFORMS="cpu"), None
    if jax.default_backend() == "cpu":
        print("JAX finds no accelerator here: the CPU's rates alone.")
    else:
        found = elsewhere(given.seeds)
        print(f"{found['device']} beside the CPU.")
    print(
        f"\n{given.seeds} seeds of {ROUNDS:,} rounds, K={ARMS}, d={DIM}; the blocks in JAX call what the loop calls in"
        f" {cpu['alike']:.2%} of rounds.\n\n| policy | accelerator / CPU | accelerator | CPU |\n|---|---|---|---|"
    )
    for name, rate in cpu["rates"].items():
        other = None if found is None else found["rates"][name]
        shown = ("–", "–") if other is None else (f"{other / rate:.3g}", f"{other:,.0f}")
        print(f"| {name} | {shown[0]} | {shown[1]} | {rate:,.0f} |")


if __name__ == "__main__":
    main()

"""Parts of `benchmarks/speed.py`: larger shapes with their memory, what symmetry could bring, what training costs."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from reference import peak_memory, stream

# policy, what grows, and the smaller and the larger (K, d, rounds)
LARGE = (
    ("linucb", "K", (10, 64, 4096), (100, 64, 4096)),
    ("linucb", "d", (10, 384, 1024), (10, 1536, 1024)),
    ("ucb1", "K", (50, 2, 8192), (500, 2, 8192)),
    ("linucb", "T", (10, 64, 100_000), (10, 64, 1_000_000)),
)


def least(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the least processor time of some work, which other programs disturb less than the clock."""
    work()
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


def alone(name: str, arms: int, dim: int, rounds: int) -> dict[str, float]:
    """Return rounds a second, and peak memory in MB with that before the stream was made; for a process of its own."""
    from bandits import POLICIES, replay, reward_table, rewards

    policy = POLICIES[name](arms, dim)
    small = stream(64, dim, arms)
    replay(policy, small, reward_table(rewards.linear, small), seeds=1)  # compiles; its state is as large
    where = stream(rounds, dim, arms)
    table = reward_table(rewards.linear, where)
    begun = time.perf_counter()
    replay(policy, where, table, seeds=1)
    rate = rounds / (time.perf_counter() - begun)
    return {"rate": rate, "peak": peak_memory()}


def shapes() -> Iterator[dict[str, Any]]:
    """Larger shapes, one seed: how time and memory grow from a smaller one, the rate, and the peak memory of a process.

    The exponents are those of time a round (of all rounds, where T grows) and of peak memory above a bare import.
    """
    bare = _child("bare", 0, 0, 0)["peak"]
    for name, grows, small, large in LARGE:
        before, after = (_child(name, *shape) for shape in (small, large))
        ratio = np.log(max(b / a for a, b in zip(small, large, strict=True)))
        slower = before["rate"] / after["rate"] * (large[2] / small[2])
        more = max(after["peak"] - bare, 1.0) / max(before["peak"] - bare, 1.0)
        yield {
            "policy": name,
            "grows": grows,
            "exponent of time": float(np.log(slower) / ratio),
            "of memory": float(np.log(more) / ratio),
            "K": large[0],
            "d": large[1],
            "T": large[2],
            "rounds a second": after["rate"],
            "peak memory, MB": after["peak"],
            "of the inverses": large[0] * large[1] ** 2 * 4 / 2**20 if name == "linucb" else 0.0,
        }


def _child(name: str, *shape: int) -> dict[str, float]:
    """Return what a process of its own measures."""
    asked = [sys.executable, __file__, name, *map(str, shape)]
    done = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[1])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def symmetry() -> Iterator[dict[str, Any]]:
    """What the symmetry of an inverse could bring a block of LinUCB's (K=10): microseconds of processor time a round.

    A width needs half of the products, an inverse by quarters three of four or ten of sixteen; but the arm that is
    called then lacks its own product, which has to be made in that round.
    """
    rng = np.random.default_rng(0)
    for dim, block in ((128, 96), (384, 256), (768, 256)):
        inverse, x = rng.random((10, dim, dim), np.float32), rng.random((dim, block), np.float32)
        flat, q = inverse.reshape(-1, dim), dim // 4

        def full(flat: Any = flat, x: Any = x) -> None:
            flat @ x

        def part(inverse: Any = inverse, x: Any = x, q: int = q) -> None:
            for own in inverse:
                for at in range(0, len(x), q):
                    own[at : at + q, : at + q] @ x[: at + q]

        def called(inverse: Any = inverse, x: Any = x, block: int = block) -> None:
            for i in range(block):
                inverse[i % 10] @ x[:, i]

        whole, half, single = (1e6 * least(work) / block for work in (full, part, called))
        pulled = rng.random((block, dim), np.float32)
        taken = 1e6 * least(partial(np.dot, pulled.T, pulled)) / block
        yield {
            "d": dim,
            "full / half and called": whole / (half + single),
            "full / half": whole / half,
            "all products": whole,
            "ten of sixteen": half,
            "the called arm's": single,
            "pulls taken off, of all": taken / (whole + taken),
        }


def neural() -> Iterator[dict[str, Any]]:
    """Where a round of the neural policies goes (K=10, d=64, five seeds): microseconds of processor time a seed.

    Arithmetic is that of a training step's matrix products at the machine's peak: what could not be less.
    """
    import jax
    import jax.numpy as jnp
    import optax

    from bandits.policies.neural import gradients, heads
    from bandits.policies.neural.learner import Heard, sample

    seeds, arms, dim, batch, key = 5, 10, 64, 64, jax.random.key(0)
    square, adam = np.ones((2048, 2048), np.float32), optax.adam(1e-3)
    peak = 2 * 2048**3 / least(lambda: square @ square)

    def many(tree: Any) -> Any:
        return jax.tree.map(lambda a: jnp.stack([jnp.asarray(a)] * seeds), tree)

    def cost(function: Any, *given: Any) -> float:
        compiled = jax.jit(jax.vmap(function))
        return 1e6 * least(lambda: [jax.block_until_ready(compiled(*given)) for _ in range(20)]) / 20 / seeds

    def stepped(gradient: Any, moments: Any, weight: Any) -> Any:
        change, moments = adam.update(gradient, moments)
        return optax.apply_updates(weight, change), moments

    rng = np.random.default_rng(0)
    buffer = Heard(
        jnp.asarray(rng.normal(size=(4096, dim)), jnp.float32), jnp.asarray(rng.integers(0, arms, 4096), jnp.int32),
        jnp.ones(4096), jnp.int32(4096),
    )  # fmt: skip
    drawn, keys = many(sample(key, buffer, batch)), jax.random.split(key, seeds)
    to_draw = cost(lambda key, heard: sample(key, heard, batch), keys, many(buffer))
    ours = gradients.first_weights(key, gradients.Shape(arms, dim, 32, 2))
    nets = {
        "neuralucb": (ours, partial(gradients.loss, 0.1, 4096), 4 * batch * arms * dim * 32),
        "neurallinear": (
            heads.first_weights(key, arms, dim, 32, 2),
            partial(heads.loss, 0.0),
            2 * batch * 32 * (2 * dim + 3 * arms),
        ),
        "dropout": (
            heads.first_weights(key, arms, dim, 64, 2),
            partial(heads.loss, 0.2),
            2 * batch * 64 * (2 * dim + 3 * arms),
        ),
    }
    for name, (weight, loss, work) in nets.items():
        weights = many(weight)
        gradient: Any = jax.vmap(lambda w, k, h, loss=loss: jax.grad(loss)(w, w, k, h))
        costs = cost(lambda w, k, h, loss=loss: jax.grad(loss)(w, w, k, h), weights, keys, drawn)
        moved = cost(stepped, gradient(weights, keys, drawn), many(adam.init(weight)), weights)
        arithmetic = 1e6 * work / peak
        yield {
            "policy": name,
            "share of peak in a training step": arithmetic / (costs + moved + to_draw),
            "of it in the gradient": arithmetic / costs,
            "arithmetic at peak": arithmetic,
            "gradient": costs,
            "Adam": moved,
            "drawing a batch": to_draw,
        }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    parser = argparse.ArgumentParser(description="One shape in a process of its own, for `make bench`.")
    parser.add_argument("policy", help="a policy, or bare: the libraries alone")
    parser.add_argument("numbers", nargs="*", type=int, metavar="N", help="arms, features, rounds")
    asked = parser.parse_args()
    if asked.policy == "bare":
        import bandits  # noqa: F401

        print(json.dumps({"rate": 0.0, "peak": peak_memory()}))
    else:
        print(json.dumps(alone(asked.policy, *asked.numbers)))

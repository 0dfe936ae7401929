"""Parts of `benchmarks/speed.py`: larger shapes with their memory, what symmetry could bring."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from reference import least, peak_memory, stream

# policy, what grows, and the smaller and the larger (K, d, rounds)
LARGE = (
    ("linucb", "K", (10, 64, 4096), (100, 64, 4096)),
    ("linucb", "d", (10, 384, 1024), (10, 1536, 1024)),
    ("ucb1", "K", (50, 2, 8192), (500, 2, 8192)),
    ("linucb", "T", (10, 64, 100_000), (10, 64, 1_000_000)),
)


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

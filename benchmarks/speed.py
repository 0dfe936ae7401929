"""Every figure about speed, as Markdown: `make bench`, or `python benchmarks/speed.py [PART ...]`.

All of a part is measured in one run, since a shared machine drifts: read the ratios. Medians of 3, one BLAS thread.
"""

from __future__ import annotations

import argparse
import inspect
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any
from unittest import mock

from envs.cores import cores

os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(cores()))  # as simulate.py does

import jax
import numpy as np
from neural import neural, rates
from reference import numpy_linucb, seconds, sgemm_peak, stream
from shapes import shapes, symmetry
from threadpoolctl import threadpool_info, threadpool_limits

from bandits import POLICIES, replay, reward_table, rewards
from bandits.loop import blocks, lanes, player, scan
from bandits.loop.keys import seed_keys
from bandits.loop.replay import shared
from bandits.metrics.curve import curve
from bandits.metrics.knapsack import best_within

ROUNDS = 11_000
FEW, SLOW = 2_048, 50_000  # rounds of policies that make fewer than so many a second


def rate(policy: Any, where: Any, *, seeds: int = 1, alone: bool = False, repeats: int = 3) -> float:
    """Return rounds a second, all seeds together; `alone`: on one core."""
    table = reward_table(rewards.linear, where)

    def work() -> None:
        replay(policy, where, table, seeds=seeds)

    with one_core() if alone else nullcontext():
        return seeds * len(where) / seconds(work, repeats=repeats)


@contextmanager
def one_core() -> Iterator[None]:
    """Keep every thread to one core, those too that JAX and the loop have begun already."""
    usable = os.sched_getaffinity(0)

    def keep(cores: set[int]) -> None:
        for thread in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setaffinity(int(thread), cores)

    with mock.patch.object(blocks, "cores", lambda: 1):
        keep({min(usable)})
        try:
            yield
        finally:
            keep(usable)


def linear() -> Iterator[dict[str, Any]]:
    """LinUCB against NumPy: dimensions, arms, seeds, and the share of the machine's matrix-product peak."""
    shapes = [(d, 10) for d in (32, 64, 128, 384, 512, 768)] + [(64, 3), (64, 30)]
    for dim, arms in shapes:
        length = ROUNDS if dim <= 128 else 2048
        where = stream(length, dim, arms)
        table = reward_table(rewards.linear, where)
        policy, few = POLICIES["linucb"](arms, dim), min(length, max(512, 300_000 // dim))
        ours = rate(policy, where, alone=True)
        reference = few / seconds(numpy_linucb, where.context[:few], table[:few])
        double = few / seconds(numpy_linucb, where.context[:few], table[:few], 1.0, np.float64)
        peak = sgemm_peak()
        many = 32 if dim <= 128 else 4
        together, apart = rate(policy, where, seeds=many), rate(policy, where, seeds=many, alone=True)
        with mock.patch.object(lanes, "player", scan.Scan):
            plain = rate(policy, stream(min(length, 65_536 // dim * 8), dim, arms))
        yield {
            "d": dim,
            "K": arms,
            "NumPy float32": reference,
            "NumPy float64": double,
            "scan": plain,
            "blocks": ours,
            "blocks / NumPy": ours / reference,
            "blocks / NumPy float64": ours / double,
            "share of SGEMM peak": ours * 2 * arms * dim**2 / peak,
            "seeds": many,
            "all seeds, two cores": together,
            "/ NumPy": together / reference,
            "/ NumPy float64": together / double,
            "two cores / one": together / apart,
        }


def policies() -> Iterator[dict[str, Any]]:
    """Every policy at K=10, d=64: rounds a second against LinUCB; those with kernels on one core and on all."""
    where, few, base = stream(ROUNDS, 64, 10), stream(FEW, 64, 10), 0.0
    for name in (
        n for n in POLICIES if n not in ("always", "llmbandit")
    ):  # the one needs a model, the other a log
        policy = POLICIES[name](10, 64)
        how = type(player.player(policy, seed_keys(0, 1), shared(where))).__name__.lower()
        one, long = rate(policy, few), few
        if one > SLOW:  # else the first chunks say it
            one, long = rate(policy, where), where
        many = apart = math.nan
        if how != "scan":
            many, apart = (rate(policy, long, seeds=32, alone=alone, repeats=1) for alone in (False, True))
        base = base or one
        yield {
            "policy": name,
            "of linucb's": one / base,
            "two cores / one": many / apart,
            "by": how,
            "one seed": one,
            "32 seeds": many,
        }


def length() -> Iterator[dict[str, Any]]:
    """The rate of LinUCB at K=10, d=64 as the stream grows."""
    base = 0.0
    for many in (11_000, 100_000, 1_000_000):
        reached = rate(POLICIES["linucb"](10, 64), stream(many, 64, 10))
        base = base or reached
        yield {"rounds": many, "rounds a second": reached, "of the first": reached / base}


def kernels() -> Iterator[dict[str, Any]]:
    """Router curves and the exact knapsack as tables grow: milliseconds, and the exponent fitted to the sizes."""
    rng, sizes = np.random.default_rng(0), (1_000, 10_370, 100_000, 1_000_000)
    for name in ("router curve", "best_within"):
        taken = []
        for n in sizes:
            value, cost = (rng.random((n, 10)) < 0.6).astype(float), rng.lognormal(size=(n, 10))
            guess = rng.random((2, n, 10))
            total = np.array([0.3 * cost.mean(axis=1).sum()])
            if name == "router curve":
                taken.append(seconds(curve, *guess, value, cost))
            else:
                taken.append(seconds(best_within, value, cost, total))
        slope = np.polyfit(np.log(sizes[1:]), np.log(taken[1:]), 1)[0]
        yield {"kernel": name, **{f"{n:,} x 10, ms": 1e3 * s for n, s in zip(sizes, taken, strict=True)},
               "exponent": slope}  # fmt: skip


PARTS = {
    "linear": linear,
    "policies": policies,
    "length": length,
    "kernels": kernels,
    "shapes": shapes,
    "symmetry": symmetry,
    "rates": rates,
    "neural": neural,
}


def shown(value: Any) -> str:
    """Return a number as it is read: thousands parted, three digits of a ratio."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return str(value)


def main() -> None:
    """Print the parts asked for, each as a table that grows while it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"Of {', '.join(PARTS)}; all by default.")
    asked = parser.parse_args().parts or list(PARTS)
    kernels = {f"{lib['internal_api']} {lib.get('architecture', '')}" for lib in threadpool_info()}
    print(
        f"{cores()} cores, {len(jax.local_devices())} JAX devices, BLAS kernels for {', '.join(sorted(kernels))}"
    )
    with threadpool_limits(1, user_api="blas"):
        for part in asked:
            head, begun = True, time.perf_counter()
            print(f"\n{inspect.getdoc(PARTS[part])}\n")
            for row in PARTS[part]():
                if head:
                    print(f"| {' | '.join(row)} |\n|{'---|' * len(row)}")
                    head = False
                print(f"| {' | '.join(map(shown, row.values()))} |", flush=True)
            print(f"\n({part}: {time.perf_counter() - begun:.0f} s)", flush=True)


if __name__ == "__main__":
    main()

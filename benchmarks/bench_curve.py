"""How the router curve's time grows, to a million queries by 10 models: `python benchmarks/bench_curve.py`."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

from bandits.metrics import curve

MODELS = 10
SIZES = (1_000, 8_296, 50_000, 200_000, 1_000_000)


def case(n: int) -> tuple[Any, ...]:
    """Return predictions and outcomes of `n` queries."""
    rng = np.random.default_rng(0)
    return (
        *rng.random((2, n, MODELS)),
        (rng.random((n, MODELS)) < 0.6).astype(float),
        rng.lognormal(size=(n, MODELS)),
    )


@pytest.mark.parametrize("n", SIZES[:3])
def test_curve(benchmark: Any, n: int) -> None:
    given = case(n)
    curve.curve(*given)  # compiles
    benchmark(curve.curve, *given)


def seconds(n: int, repeats: int = 3) -> float:
    """Return the best time of a curve of `n` queries."""
    given, times = case(n), []
    for _ in range(repeats):
        start = time.perf_counter()
        curve.curve(*given)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print time against size, and the time by `n K log2(n K)` relative to the smallest size."""
    seconds(10)
    base = 0.0
    print(f"{'queries':>9} {'ms':>9} {'ns / (nK log2 nK)':>18} {'relative':>9}")
    for n in SIZES:
        taken, work = seconds(n), n * MODELS * math.log2(n * MODELS)
        base = base or taken / work
        print(f"{n:9,d} {1e3 * taken:9.1f} {1e9 * taken / work:18.2f} {taken / work / base:9.2f}")


if __name__ == "__main__":
    main()

"""Time of `best_within` on a table of the size of MMR-Bench, 10,370 x 10, for one budget and for a hundred."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bandits.metrics.knapsack import best_within


@pytest.mark.parametrize("kind", ["graded", "right or wrong"])
@pytest.mark.parametrize("budgets", [1, 100])
def test_best_within(benchmark: Any, kind: str, budgets: int) -> None:
    """Milliseconds for the whole answer; the first call, which compiles, is not counted."""
    rng = np.random.default_rng(0)
    value, cost = rng.random((10_370, 10)), rng.lognormal(0, 1.5, (10_370, 10))
    if kind != "graded":
        value = (value < 0.6).astype(float)
    totals = np.linspace(0.01, 1, budgets) * cost.sum()
    benchmark.pedantic(lambda: best_within(value, cost, totals), rounds=20, warmup_rounds=1)
    benchmark.extra_info["milliseconds"] = 1000 * benchmark.stats.stats.median

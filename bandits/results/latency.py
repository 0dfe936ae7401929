"""How long calls took: the median and the 95th percentile of each player, where a table records latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.metrics.regret import BASELINES, comparator, played
from bandits.results.players import shared_order

if TYPE_CHECKING:
    import pandas as pd

    from bandits.loop.replay import Trace
    from envs.stream import Stream

PARTS = {"latency_p50": 50, "latency_p95": 95}


def latency(stream: Stream, table: ArrayLike, traces: dict[str, Trace]) -> pd.DataFrame | None:
    """Return `policy`, `latency_p50` and `latency_p95`, in seconds, over all calls of all seeds; None without latency.

    Rounds without a call, and calls whose latency is not recorded, do not count; a player that is an expected value
    stands in no row, and one of which nothing is recorded has NaN. A single model is the fixed choice of it, its
    fall-back included.

    Args:
        stream: a `Stream` of `N` rows and `K` models.
        table: `(N, K)` reward, from `reward_table`.
        traces: as for `summary.summarise`.
    """
    import pandas as pd

    if stream.latency is None or np.isnan(stream.latency).all():
        return None
    recorded = np.asarray(stream.latency, np.float64)
    values, order = np.asarray(table, np.float64), shared_order(traces)
    often = played(order, len(stream))
    fixed: dict[str, str | int] = {b: b for b in BASELINES if b not in traces}
    fixed |= {model: arm for arm, model in enumerate(stream.models)}
    rows = [{"policy": name, **_parts(recorded, order, trace.arms)} for name, trace in traces.items()]
    for name, what in fixed.items():
        among = values if isinstance(what, int) else stream.single(values)
        arms = comparator(among, what, cost=stream.cost, dataset=stream.dataset, times=often)
        rows.append({"policy": name, **_parts(recorded, order, arms[order])})
    return pd.DataFrame(rows)


def _parts(
    recorded: NDArray[np.float64], order: NDArray[np.int32], arms: NDArray[np.int32]
) -> dict[str, float]:
    called = arms >= 0
    seconds = recorded[order[called], arms[called]]
    seconds = seconds[~np.isnan(seconds)]
    if not len(seconds):
        return dict.fromkeys(PARTS, float("nan"))
    return dict(zip(PARTS, np.percentile(seconds, list(PARTS.values())).tolist(), strict=True))

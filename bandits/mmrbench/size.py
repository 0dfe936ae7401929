"""What an evaluation takes of memory, estimated before anything is trained."""

from __future__ import annotations

from typing import Any

from bandits.metrics.kernels_lanes import LANES
from envs.cores import cores
from envs.outcomes import Outcomes


def estimate(
    table: Outcomes, routers: int, *, seeds: int, resamples: int, policies: int, preferences: int
) -> int:
    """Return bytes besides the libraries' own: both sides of each split, routers' paths, resamples and traces.

    Args:
        table: all queries.
        routers: how many are trained on each split.
        seeds: repetitions, each with a split of its own.
        resamples: of the bootstrap over queries.
        policies: that meet the routers, 0 without `--online`; each cold and warm.
        preferences: that each of them is swept over.
    """
    cells = len(table) * len(table.models)
    embedded = sum(x.nbytes for x in (table.text, table.image) if x is not None)
    split = embedded + cells * 2 * 8 + len(table) * 8
    path = cells * (3 * 4 + 8)  # at most every model once a query: row, model, point, threshold
    changes = cells * (2 * 8 + 1)  # by how much cost and utility change, and whether that tells
    # How often each query counts: all of them, those tested twice more, and once as floats.
    lanes = cores() * LANES * len(table) * (3 * 2 + 8)
    traces = 2 * policies * preferences * seeds * len(table) * (2 * 4 + 2 * 8)
    repetitions = 1 if policies else seeds
    scored = resamples * routers * seeds * 6 * 8
    return int(repetitions * (split + routers * path) + routers * changes + lanes + scored + traces)


def check(table: Outcomes, free: int | None, **asked: Any) -> int:
    """Return the estimate in bytes.

    Args:
        table: all queries.
        free: bytes that are free; None: not known.
        asked: as for `estimate`.

    Raises:
        ValueError: it is more than is free; the line has both figures and what to make smaller.
    """
    needed = estimate(table, **asked)
    if free is not None and needed > free:
        raise ValueError(
            f"--seeds {asked['seeds']} x {asked['routers']} --router and --resamples {asked['resamples']} on"
            f" {len(table)} queries needs about {needed / 2**30:,.1f} GiB of memory, {free / 2**30:,.1f} GiB are free"
            " here; make the largest of them smaller"
        )
    return needed

"""Which models a policy calls over time for the queries of each dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bandits.metrics import kernels

if TYPE_CHECKING:
    import pandas as pd

    from envs.stream import Stream

Arms = NDArray[np.int32]
AT = "share@"  # then the dataset, a colon and the model
_POINTS = 40
_SHOWN = 12  # datasets, those asked most; `by_dataset` has them all


def over_datasets(policy: str, arms: Arms, order: Arms, stream: Stream) -> pd.DataFrame:
    """Return rows of `curves` with each model's share of a dataset's rounds, in the last tenth of the run before them.

    A mean over the seeds together, NaN where none asked anything of the dataset in that window. Empty where there is
    one dataset only: `share:` has it.

    Args:
        policy: its name.
        arms: `(S, T)` models called, -1 where none was.
        order: `(S, T)` rows asked.
        stream: a `Stream` with the datasets of its rows.
    """
    import pandas as pd

    columns = ["policy", "round", "quantity", "mean", "lo", "hi"]
    names, code, count = np.unique(stream.dataset.astype(str), return_inverse=True, return_counts=True)
    if len(names) < 2:
        # With types: joined to the other curves, an untyped frame would make objects of their numbers.
        return pd.DataFrame(columns=columns).astype({"round": int, "mean": float, "lo": float, "hi": float})
    rounds = arms.shape[1]
    points = np.unique(np.linspace(1, rounds, _POINTS).round()).astype(np.int32)
    starts = np.maximum(points - max(1, rounds // 10), 0).astype(np.int32)
    asked = code[order].astype(np.int32)
    frames = []
    for d in np.sort(np.argsort(-count, kind="stable")[:_SHOWN]):
        called = np.where(asked == d, arms, -1).astype(np.int32)
        calls = _between(called, starts, points, stream.n_arms)
        heard = _between(np.where(asked == d, 0, -1).astype(np.int32), starts, points, 1)
        with np.errstate(invalid="ignore"):
            share = calls / heard
        frames += [
            pd.DataFrame(
                {
                    "policy": policy,
                    "round": points,
                    "quantity": f"{AT}{names[d]}:{model}",
                    "mean": share[:, k],
                    "lo": np.nan,
                    "hi": np.nan,
                }
            )
            for k, model in enumerate(stream.models)
        ]
    return pd.concat(frames, ignore_index=True)[columns]


def _between(arms: Arms, starts: Arms, stops: Arms, n_arms: int) -> NDArray[np.float64]:
    """Return `(P, K)` calls of each model in the rounds from `starts` to `stops`, all seeds together."""
    counts = [kernels.calls_before(arms, edge, n_arms).sum(axis=0) for edge in (stops, starts)]
    return np.asarray(counts[0] - counts[1], np.float64)

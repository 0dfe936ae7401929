"""Paired differences between players, by dataset and overall, from the rows of `by_dataset` alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.intervals import paired
from bandits.metrics.significance import holm, sign_flip
from bandits.results.by_dataset import MEASURES, REGRETS

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
OVERALL = "all datasets"


class Scores(NamedTuple):
    """What `P` players got in `D` datasets with each of `S` seeds.

    Attributes:
        players, kinds: `P` names and kinds (policy, reference, model).
        datasets: `D` names; where there are several, `OVERALL` comes first and is all of them together.
        value: measure -> `(S, P, D)`: `reward`, `accuracy` and `cost` a round, `regret_*` a run; NaN where a seed
            asked nothing that the player can answer.
    """

    players: tuple[str, ...]
    kinds: tuple[str, ...]
    datasets: tuple[str, ...]
    value: dict[str, Floats]

    def of(self, measure: str, player: str) -> Floats:
        """Return `(S, D)` of one player."""
        return self.value[measure][:, self.players.index(player)]


def scores(frame: pd.DataFrame) -> Scores:
    """Return the rows of `by_dataset` as arrays, with the datasets together in front.

    Raises:
        ValueError: a column is lacking.
    """
    needed = ("policy", "kind", "dataset", "seed", "rounds", *MEASURES, *REGRETS)
    if missing := [name for name in needed if name not in frame.columns]:
        raise ValueError(
            f"by_dataset needs the column {missing[0]}, got {', '.join(map(str, frame.columns))}"
        )
    kinds = dict(zip(frame["policy"], frame["kind"], strict=True))
    datasets = sorted(set(frame["dataset"]))
    place = (
        frame["seed"].to_numpy(),
        frame["policy"].map({name: i for i, name in enumerate(kinds)}).to_numpy(),
        frame["dataset"].map({name: i for i, name in enumerate(datasets)}).to_numpy(),
    )
    shape = (int(place[0].max()) + 1, len(kinds), len(datasets))

    def spread(name: str) -> Floats:
        values = np.full(shape, np.nan)
        values[place] = frame[name]
        return values

    rounds, value = np.nan_to_num(spread("rounds")), {}
    for name in (*MEASURES, *REGRETS):
        each = spread(name)
        weighed = each * rounds if name in MEASURES else each
        whole = np.nansum(weighed, axis=2, keepdims=True)
        if name in MEASURES:
            whole /= np.maximum(rounds.sum(axis=2, keepdims=True), 1)
        whole[np.isnan(each).all(axis=2)] = np.nan
        value[name] = np.concatenate([whole, each], axis=2) if len(datasets) > 1 else each
    together = (OVERALL,) if len(datasets) > 1 else ()
    return Scores(tuple(kinds), tuple(kinds.values()), (*together, *datasets), value)


def against(got: Scores, baseline: str) -> list[tuple[str, str]]:
    """Return the pairs of each policy and one player.

    Raises:
        ValueError: no player of that name.
    """
    if baseline not in got.players:
        raise ValueError(f"no player {baseline!r} to compare with; there are {', '.join(got.players)}")
    policies = (name for name, kind in zip(got.players, got.kinds, strict=True) if kind == "policy")
    return [(name, baseline) for name in policies if name != baseline]


def paired_differences(
    got: Scores, pairs: Sequence[tuple[str, str]], *, measures: Sequence[str] = MEASURES, seed: int = 0
) -> pd.DataFrame:
    """Return how far the first player of each pair is from the second, paired over shared seeds.

    Args:
        got: from `scores`.
        pairs: names of players, for example from `against`.
        measures: which of `MEASURES`.
        seed: of the bootstrap and of the permutations.

    Returns:
        A frame with the columns policy, against, dataset, measure, difference (policy minus `against`), its 95 %
        interval lo and hi, `p` (sign flips over seeds), and `p_holm`, adjusted for all pairs and datasets of one
        measure (the datasets together are a family of their own).
    """
    import pandas as pd

    first, second = ([got.players.index(name) for name in side] for side in zip(*pairs, strict=True))
    together = np.array([name == OVERALL for name in got.datasets])
    frames = []
    for measure in measures:
        mine, theirs = (got.value[measure][:, side] for side in (first, second))
        mean, low, high = paired(mine, theirs, seed=seed)
        p = sign_flip(mine - theirs, seed=seed)
        adjusted = np.empty_like(p)
        for part in (together, ~together):
            adjusted[:, part] = holm(p[:, part])
        columns = {"difference": mean, "lo": low, "hi": high, "p": p, "p_holm": adjusted}
        names = {
            "policy": np.repeat([name for name, _ in pairs], len(got.datasets)),
            "against": np.repeat([name for _, name in pairs], len(got.datasets)),
            "dataset": np.tile(got.datasets, len(pairs)),
            "measure": measure,
        }
        frames.append(pd.DataFrame(names | {k: v.ravel() for k, v in columns.items()}))
    return pd.concat(frames, ignore_index=True)

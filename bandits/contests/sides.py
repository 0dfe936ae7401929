"""Which queries are learned on and which are compared on, from a stream and what its judge says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bandits.contests.contest import Sides
from bandits.sequential.chains import Judged
from bandits.wrappers import warm

if TYPE_CHECKING:
    from envs.stream import Stream

Floats = NDArray[np.float64]
TRAIN, TEST = "train", "test"


def sides(
    stream: Stream,
    score: Floats,
    split: NDArray[np.object_] | None,
    *,
    bare: Floats | None = None,
    share: str | None = None,
    seed: int = 0,
) -> tuple[Sides, list[str]]:
    """Return the two sides, and what was left out in sentences.

    Args:
        stream: a `Stream` of `N` queries, its cost with what judging an answer costs.
        score: `(N, K)` of its judge.
        split: `(N,)` of the table, with `train` and `test`; None: there is none.
        bare: `(N, K)` cost of a call without its judge, what a router pays; None: the stream's cost.
        share: `30%` or a number of rows to learn on, drawn as a warm start's; None: as `split` says, else 30 %.
        seed: of the draw.

    Raises:
        ValueError: a side would be empty, or a share is none.
    """
    notes = []
    if share is None and split is not None and {TRAIN, TEST} <= set(split):
        learn = split == TRAIN
        known = np.isin(stream.dataset.astype(str), np.unique(stream.dataset[split == TEST].astype(str)))
        test = split == TEST
        if left := int((learn & ~known).sum()):
            notes.append(f"left out {left:,} training rows of data sets that have no test rows")
        learn = learn & known
        notes.append("learned on the rows that the table calls train, compared on those it calls test")
    else:
        logged, rest = warm.split(stream, share or "30%", seed=seed, option="--train")
        learn = np.isin(stream.outcomes.origin, logged.outcomes.origin)
        test = np.isin(stream.outcomes.origin, rest.outcomes.origin)
        notes.append(
            f"learned on {int(learn.sum()):,} rows drawn at random (seed {seed}), compared on the others"
        )
    whole = stream.available.all(axis=1)
    if lost := int((~whole & (learn | test)).sum()):
        notes.append(f"left out {lost:,} queries without an outcome of every model")
    learn, test = learn & whole, test & whole
    if learn.sum() < 10 or test.sum() < 10:
        raise ValueError(
            f"a cascade needs 10 queries to learn on and 10 to compare on, got {int(learn.sum())} and {int(test.sum())}"
        )
    utility, cost, context = (
        np.asarray(x, np.float64) for x in (stream.utility, stream.cost, stream.context)
    )
    judged = Judged(utility, cost, score)
    group = np.asarray(stream.outcomes.group_id, str)[test]
    own = np.where(group == "", [f"\0{row}" for row in range(len(group))], group)
    cluster = np.unique(own, return_inverse=True)[1]
    alone = cost if bare is None else np.asarray(bare, np.float64)
    made = Sides(
        judged.take(learn),
        judged.take(test),
        context[learn],
        context[test],
        cluster,
        alone[learn],
        alone[test],
    )
    return made, notes

"""Synthetic queries that each bring passages, of which a few are needed: a stream of chosen sets, labelled synthetic.

No outcome of it is recorded: gold passages, distractors, their lengths and what is known of them are drawn from the
laws in `Laws`. A passage is an arm, and each query has its own; what a set is worth is the share of the query's gold
passages in it (support recall).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.calls import Calls, Several, total
from envs.outcomes import Outcomes
from envs.stream import Stream

LABEL = "synthetic passages, no recorded answers"
FEATURES = ("tokens", "retrieval", "similarity", "tag", "recency", "length", "constant")


class Laws(NamedTuple):
    """What is drawn.

    Attributes:
        gold: chances of 2, 3 and 4 gold passages a query, as questions of two to four hops have.
        median, spread: of a passage's tokens, log-normal; at 58 and 0.45 thirty passages have 1,930 tokens.
        shortest: tokens of a passage at least.
        retrieval, similarity: by how much the mean of a gold passage's score exceeds a distractor's, in deviations.
        tagged: chance of the right tag, of a gold passage and of a distractor.
    """

    gold: tuple[float, float, float] = (0.5, 0.3, 0.2)
    median: float = 58.0
    spread: float = 0.45
    shortest: int = 8
    retrieval: float = 1.2
    similarity: float = 0.9
    tagged: tuple[float, float] = (0.85, 0.25)


_LAWS = Laws()


def passages(
    queries: int = 2000, *, items: int = 30, limit: int = 512, seed: int = 0, laws: Laws = _LAWS
) -> Stream:
    """Return the stream: all of a set is chosen before anything is heard, then each chosen passage's worth is.

    Args:
        queries: `T`, >= 1.
        items: `K` passages of each, >= 5.
        limit: tokens of a set at most, >= 1.
        seed: of every draw.
        laws: what is drawn.

    Raises:
        ValueError: a number out of range.
    """
    for name, low, value in (("queries", 1, queries), ("items", 5, items), ("limit", 1, limit)):
        if value < low:
            raise ValueError(f"passages need {name} >= {low}, got {value}")
    rng, shape = np.random.default_rng([seed, 0x7061]), (queries, items)
    count = rng.choice([2, 3, 4], size=queries, p=laws.gold)
    gold = rng.permuted(np.arange(items) < count[:, None], axis=1)
    tokens = np.maximum(np.rint(laws.median * np.exp(laws.spread * rng.normal(size=shape))), laws.shortest)
    features = np.stack(
        [
            tokens,
            rng.normal(size=shape) + laws.retrieval * gold,
            rng.normal(size=shape) + laws.similarity * gold,
            rng.random(shape) < np.where(gold, *laws.tagged),
            rng.random(shape),  # what a heuristic may weigh, and says nothing here
            np.log(tokens / laws.median),
            np.ones(shape),
        ],
        axis=2,
    )
    outcomes = Outcomes(
        models=tuple(f"passage {k + 1}" for k in range(items)),
        utility=gold / count[:, None],
        cost=np.full(shape, np.nan),
        query_id=np.array([f"q{i}" for i in range(queries)], object),
        tokens=tokens,
        label=LABEL,
    )
    calls = Calls(items, reveal="end", combine=total, room=(np.inf, np.inf, float(limit)))
    several = Several(calls, features=features.astype(np.float32))
    return Stream("passages", outcomes, np.ones((queries, 1), np.float32), several=several)

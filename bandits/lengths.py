"""Rewards that look at how long an answer is, relative to the other models' answers to the same query.

Tiny-R1V's own reward (LIPO, arXiv 2510.08987, eq. 3-4) is not public. Here are two published rewards of the kind, and
what its reviewers describe, named as that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bandits.rewards import Outcome

FORMS = ("kimi", "overlong", "two_threshold")


def length_aware(
    outcome: Outcome,
    preference: Any,
    *,
    form: str = "kimi",
    weight: float = 1.0,
    correct: float = 0.5,
    limit: float = 2048.0,
    margin: float = 512.0,
) -> Any:
    """Reward `linear` plus a term in output tokens: forms kimi, overlong, two_threshold (needs recorded tokens).

    With l the tokens of an answer, and the least, greatest and median over the models that answer the query:

    - `kimi` (Kimi k1.5, arXiv 2501.12599, section 2.3.3): `g = 0.5 - (l - least) / (greatest - least)` where the answer
      is right, `min(0, g)` where it is wrong, 0 where all are of one length.
    - `overlong` (DAPO, arXiv 2503.14476, eq. 13): 0 up to `limit - margin`, falling to -1 at `limit`, -1 beyond.
    - `two_threshold` (described by LIPO's reviewers, not its equation): a boost for a right answer,
      `exp(-(l / best - 1)^+)` with `best = max(2 least, median)`: whole up to the length threshold, decaying smoothly.

    A policy that learns utility and cost apart foresees no tokens: the term is 0 in its estimates.

    Args:
        outcome: arrays whose last axis holds the models of a query; one model alone is its own group.
        preference: weight on cost, as in `linear`.
        form: one of `FORMS`.
        weight: of the term in tokens.
        correct: utility from which an answer counts as right.
        limit, margin: tokens, of `overlong`; 0 < margin < limit.

    Raises:
        ValueError: an unknown form, a number that is not finite, a wrong margin, or a table without tokens.
    """
    if form not in FORMS:
        raise ValueError(f"length_aware needs form={', '.join(FORMS)}, got {form!r}")
    for name, value in (("weight", weight), ("correct", correct)):
        if not math.isfinite(value):
            raise ValueError(f"length_aware needs {name} to be a finite number, got {name}={value}")
    if not 0 < margin < limit < math.inf:
        raise ValueError(f"length_aware needs 0 < margin < limit, got margin={margin:g}, limit={limit:g}")
    length, right = outcome.tokens, outcome.utility >= correct
    if isinstance(length, np.ndarray) and length.ndim > 1 and not np.isfinite(length).any():
        raise ValueError("length_aware needs output tokens, the table records none")
    xp = length.__array_namespace__()
    known = xp.isfinite(length)
    if form == "overlong":
        term = -xp.clip((length - (limit - margin)) / margin, 0.0, 1.0)
    else:
        least = xp.where(known, length, xp.inf).min(axis=-1, keepdims=True)
        greatest = xp.where(known, length, -xp.inf).max(axis=-1, keepdims=True)
        term = (
            _kimi(xp, length, least, greatest, right) if form == "kimi" else _boost(xp, length, least, right)
        )
    base = outcome.utility - preference * outcome.cost / outcome.cost_scale
    return base + weight * xp.where(known, term, 0.0)


def _kimi(xp: Any, length: Any, least: Any, greatest: Any, right: Any) -> Any:
    span = greatest - least
    gain = xp.where(span > 0, 0.5 - (length - least) / xp.where(span > 0, span, 1.0), 0.0)
    return xp.where(right, gain, xp.minimum(gain, 0.0))


def _boost(xp: Any, length: Any, least: Any, right: Any) -> Any:
    ordered = xp.sort(length, axis=-1)  # unknown lengths come last
    count = xp.isfinite(length).sum(axis=-1, keepdims=True)
    middle = [xp.take_along_axis(ordered, xp.maximum(count - part, 0) // 2, axis=-1) for part in (1, 0)]
    best = xp.maximum(2 * least, (middle[0] + xp.where(count % 2 == 0, middle[1], middle[0])) / 2)
    over = xp.maximum(length / best - 1, 0.0)
    return xp.where(right, xp.exp(-over), 0.0)

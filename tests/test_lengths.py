"""Length-aware rewards against plain loops over one query at a time."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from bandits.rewards import REWARDS, Outcome, reward_table
from tests.conftest import make_stream

length_aware = REWARDS["length_aware"]


def plain(form: str, utility, tokens, *, limit: float = 2048.0, margin: float = 512.0) -> list[float]:
    known = [t for t in tokens if t == t]
    low, high, median = min(known), max(known), float(np.median(known))
    terms = []
    for u, length in zip(utility, tokens, strict=True):
        right = u >= 0.5
        if length != length:
            term = 0.0
        elif form == "kimi":
            gain = 0.0 if high == low else 0.5 - (length - low) / (high - low)
            term = gain if right else min(0.0, gain)
        elif form == "overlong":
            over = length - (limit - margin)
            term = 0.0 if over <= 0 else -1.0 if length > limit else -over / margin
        else:
            best = max(2 * low, median)
            term = 0.0 if not right else 1.0 if length <= best else float(np.exp(1 - length / best))
        terms.append(term)
    return terms


@pytest.mark.parametrize("form", ["kimi", "overlong", "two_threshold"])
def test_each_form_is_its_formula_query_by_query(form: str) -> None:
    rng = np.random.default_rng(1)
    shape = (200, 5)
    utility = (rng.random(shape) < 0.5).astype(float)
    tokens = np.where(rng.random(shape) < 0.2, np.nan, rng.integers(1, 3000, shape).astype(float))
    tokens[:, 0] = rng.integers(1, 3000, 200)  # one is always known
    tokens[:5] = 700.0
    cost = rng.random(shape)
    outcome = Outcome(utility, cost, np.full(shape, np.nan), tokens, 2.0)
    expected = [plain(form, u, t) for u, t in zip(utility, tokens, strict=True)]
    base = utility - 0.3 * cost / 2.0
    found = length_aware(outcome, 0.3, form=form, weight=0.7)
    np.testing.assert_allclose(found, base + 0.7 * np.array(expected), atol=1e-12)
    single = Outcome(*(jnp.asarray(a) for a in (utility[7], cost[7], cost[7], tokens[7])), 2.0)
    np.testing.assert_allclose(length_aware(single, 0.3, form=form, weight=0.7), found[7], atol=2e-6)


def test_a_table_without_tokens_and_wrong_settings_are_named() -> None:
    stream = make_stream(rows=30)
    with pytest.raises(ValueError, match="needs output tokens, the table records none"):
        reward_table(length_aware, stream)
    outcome = Outcome(np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 2)), 1.0)
    with pytest.raises(ValueError, match="form=kimi, overlong, two_threshold, got 'lipo'"):
        length_aware(outcome, 0.2, form="lipo")
    with pytest.raises(ValueError, match="0 < margin < limit"):
        length_aware(outcome, 0.2, form="overlong", limit=10, margin=10)

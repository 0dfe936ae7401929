"""Every registered policy that may call again keeps the contract; the registry itself is the list."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bandits.base import Policy, check
from bandits.loop import slots
from bandits.policies.sequential import SEQUENTIAL
from bandits.rewards import linear
from bandits.sequential.logged import Logged
from envs.calls import Calls, Several, best_heard
from envs.stream import Stream
from tests.conftest import make_stream


def build_sequential(name: str, stream: Stream) -> Policy:
    """Return a policy of several calls, fitted on the stream's own answers where it is fitted on a log."""
    whole = make_stream(rows=60, arms=stream.n_arms, features=stream.dim - 1, seed=7)
    score = np.random.default_rng(0).random(whole.utility.shape)
    log = {"log": Logged(whole.context, whole.utility, whole.cost, score, combine=best_heard)}
    needs = {
        "cascade": {"order": (1, 2), "thresholds": "0.6"},
        "adaptive_consistency": {"order": (2, 0, 1)},
        "frugal": {**log, "points": 5},
        "automix": {**log, "order": (0, 2), "method": "threshold"},
        "cascade_routing": {**log, "budget": 0.9},
        "router_r1": {**log, "rollouts": 1, "width": 8, "turns": 2},
    }
    return SEQUENTIAL[name](stream.n_arms, stream.dim, **needs.get(name, {}))


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_what_may_call_again_calls_what_is_there_once_and_stops(name: str, patchy) -> None:
    """The contract; where models are missing, no model twice for a query, and nothing after a stop; twice the same."""
    policy = build_sequential(name, patchy)
    check(policy, patchy.n_arms, patchy.dim, name)
    assert policy.again
    score = np.where(patchy.available, np.random.default_rng(1).random(patchy.utility.shape), np.nan)
    stream = replace(patchy, several=Several(Calls(3, combine=best_heard, hear="delivered"), score))
    first, again = (slots.replay(policy, stream, linear, seeds=2, seed=5, rounds=150) for _ in range(2))
    assert np.array_equal(first.arms, again.arms)
    made = first.arms >= 0
    assert made[..., 0].all() and not (made[..., 1:] & ~made[..., :-1]).any()
    assert stream.available[np.broadcast_to(first.order[..., None], made.shape)[made], first.arms[made]].all()
    assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in first.arms.reshape(-1, 3))
    assert 20 < len((SEQUENTIAL[name].__doc__ or "").splitlines()[0]) <= 120

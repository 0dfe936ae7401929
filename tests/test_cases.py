"""Do cases that are replayed side by side give what each gives alone?"""

from __future__ import annotations

import numpy as np
import pytest

import bandits
from bandits import POLICIES, reward_table
from bandits.base import RESOURCES
from bandits.loop import lanes
from bandits.loop.feedback import parse
from bandits.loop.lanes import GROUP, group_size
from bandits.loop.replay import Case, replay, replays
from bandits.wrappers import budget


def cases(stream, *, limits: tuple[float, ...] = ()) -> list[Case]:
    """Return a case for each of three preferences, with a budget each where there are any."""
    made = []
    for i, preference in enumerate((0.0, 0.3, 1.0)):
        limit = np.full(len(RESOURCES), np.inf)
        limit[0] = limits[i] if limits else np.inf
        table = reward_table(bandits.rewards.linear, stream, preference)
        made.append(Case(table, preference, limit if limits else None))
    return made


@pytest.mark.parametrize("name", ["linucb", "preference", "swlinucb", "ucb1", "thompson"])
@pytest.mark.parametrize("late", [None, "uniform,least=0,most=9"])
def test_preferences_side_by_side_are_each_alone(name: str, late: str | None, known) -> None:
    policy = POLICIES[name](known.n_arms, known.dim)
    options = {"seeds": 3, "seed": 5, "feedback": None if late is None else parse(late)}
    together = replays(policy, known, cases(known), **options)
    for case, trace in zip(cases(known), together, strict=True):
        alone = replay(policy, known, case.table, preference=case.preference, **options)
        assert (trace.order == alone.order).all()
        assert (trace.arms == alone.arms).all()
    assert (together[0].arms != together[2].arms).any()


@pytest.mark.parametrize("pacing", ["stop", "primal_dual"])
def test_budgets_side_by_side_are_each_alone(pacing: str, known) -> None:
    policy = budget.held(POLICIES["linucb"](known.n_arms, known.dim), known, pacing=pacing, hard=True)
    given = cases(known, limits=(150.0, 400.0, 1e6))
    together = replays(policy, known, given, seeds=2, probe=policy.price)
    spent = []
    for case, trace in zip(given, together, strict=True):
        alone = replay(
            policy, known, case.table, preference=case.preference, budget=case.budget, seeds=2,
            probe=policy.price,
        )  # fmt: skip
        assert (trace.arms == alone.arms).all()
        np.testing.assert_array_equal(trace.probed, alone.probed)
        cost = np.where(trace.arms >= 0, known.cost[trace.order, np.maximum(trace.arms, 0)], 0.0)
        spent.append(cost.sum(axis=1).max())
    assert spent[0] <= 150.0 < spent[1] <= 400.0 < spent[2]


def test_progress_counts_every_lane(known) -> None:
    told: list[int] = []
    replays(POLICIES["ucb1"](4, 6), known, cases(known), seeds=2, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 3 * 2 * len(known)


def test_groups_are_as_few_and_as_even_as_can_be() -> None:
    for many in range(1, 5 * GROUP):
        size = group_size(many)
        groups = -(-many // size)
        assert 1 <= size <= GROUP and groups == -(-many // GROUP) and groups * size - many < groups


def test_more_lanes_than_a_group_are_each_as_alone(known, monkeypatch) -> None:
    policy, table = POLICIES["swlinucb"](known.n_arms, known.dim), reward_table(bandits.rewards.linear, known)
    together = replay(policy, known, table, seeds=5)
    told: list[int] = []
    monkeypatch.setattr(lanes, "GROUP", 2)
    apart = replay(policy, known, table, seeds=5, progress=told.append)
    assert (together.arms == apart.arms).all()
    assert told == sorted(told) and told[-1] == 5 * len(known)


def test_cases_with_and_without_a_budget_do_not_mix(known) -> None:
    mixed = [cases(known)[0], cases(known, limits=(1.0, 1.0, 1.0))[1]]
    with pytest.raises(ValueError, match="all have a budget, or none"):
        replays(POLICIES["ucb1"](4, 6), known, mixed)

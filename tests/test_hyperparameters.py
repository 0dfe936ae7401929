"""Every numeric hyperparameter of all that can be named refuses what is out of its range, in one line that says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import bandits
from bandits import POLICIES, resolve
from bandits.experiment.lineup import WRAPPERS
from bandits.policies.dueling import DUELLISTS
from bandits.wrappers import warm
from bandits.wrappers.budget import PACINGS
from tests.conftest import make_stream
from tests.test_conformance import past

# Below 0, 0, not whole, far too large, and no number at all: whatever a range is, one of them is outside.
TRIED = (-1, 0, 2.5, -1e12, 1e12, float("nan"), float("inf"), "much", None, True)
NOT_FINITE = tuple(x for x in TRIED if not isinstance(x, (int, float)) or x != x or abs(x) == float("inf"))


def numeric(factory: Callable[..., Any]) -> list[str]:
    found = resolve.hyperparameters(factory)
    return [k for k, v in found.items() if isinstance(v, (int, float)) and not isinstance(v, bool)] + [
        k for k, v in found.items() if v is None and k != "log"
    ]


REGISTRIES = {"policy": POLICIES, "duellist": DUELLISTS, "wrapper": WRAPPERS, "pacing": PACINGS}
CASES = [
    pytest.param(kind, name, key, id=f"{name}-{key}")
    for kind, registry in REGISTRIES.items()
    for name, factory in registry.items()
    for key in numeric(factory)
]


def build(kind: str, name: str, **hyper: Any) -> Any:
    arguments: tuple[Any, ...] = (6 if kind == "duellist" else 4, 6)  # the pairs of 4 models
    if kind in ("wrapper", "pacing"):
        arguments = (bandits.linucb(4, 6), 4, 6)
    if name == "llmbandit":
        hyper = {"log": past(4, 6), "rollouts": 1, **hyper}
    return REGISTRIES[kind][name](*arguments, **hyper)


@pytest.mark.parametrize(("kind", "name", "key"), CASES)
def test_out_of_range_is_one_line_with_policy_key_range_and_value(kind: str, name: str, key: str) -> None:
    refused = {}
    for value in NOT_FINITE if name == "llmbandit" and key == "seed" else TRIED:
        try:
            build(kind, name, **{key: value})
        except ValueError as error:
            refused[str(value)] = str(error)
    # Each is refused by a sentence of one form: "linucb needs alpha >= 0, got alpha=-1".
    assert "nan" in refused and "much" in refused
    for value, message in refused.items():
        told = rf"{name} needs .*\b{key}\b.*, got (low=.*, )?{key}={re.escape(value)}(, high=.*)?"
        assert re.fullmatch(told, message), message


def test_numbers_of_a_log_and_a_cap_are_held_to_their_ranges() -> None:
    stream = make_stream(rows=20)
    for hyper in ({"n_eff": 0.0}, {"ridge": -1.0}):
        (key, value), *_ = hyper.items()
        with pytest.raises(ValueError, match=rf"warm start needs {key} > 0, got {key}={value}"):
            warm.fit(stream, stream.utility, **hyper)

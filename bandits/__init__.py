"""Routing policies, rewards, the replay loop and what is computed from its traces.

Names are imported at their first use: `bandits.load(path)` decides with NumPy alone, and JAX stays out of a service.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bandits import metrics, rewards
    from bandits.base import Feedback, Observation, Policy, check, choose
    from bandits.loop.replay import Trace, replay
    from bandits.policies import *  # noqa: F403
    from bandits.policies import POLICIES
    from bandits.publish.compared import Comparison, compare
    from bandits.rewards import reward_table
    from bandits.serving.router import load

    __all__ = [
        "POLICIES",
        "Comparison",
        "Feedback",
        "Observation",
        "Policy",
        "Trace",
        "check",
        "choose",
        "compare",
    ]
    __all__ += ["load", "metrics", "replay", "reward_table", "rewards", *POLICIES]

_WHERE = {
    "POLICIES": "policies",
    "Comparison": "publish.compared",
    "Feedback": "base",
    "Observation": "base",
    "Policy": "base",
    "Trace": "loop.replay",
    "check": "base",
    "choose": "base",
    "compare": "publish.compared",
    "load": "serving.router",
    "replay": "loop.replay",
    "reward_table": "rewards",
}


def __getattr__(name: str) -> Any:
    """Return what is imported at its first use: one of `_WHERE`, a room, or a policy by its name."""
    if name.startswith("__") and name != "__all__":
        raise AttributeError(f"module 'bandits' has no attribute {name!r}")
    if name == "__all__":
        found: Any = ["metrics", "rewards", *_WHERE, *import_module("bandits.policies").POLICIES]
    elif name in _WHERE:
        found = getattr(import_module(f"bandits.{_WHERE[name]}"), name)
    elif find_spec(f"bandits.{name}") is not None:
        found = import_module(f"bandits.{name}")
    else:
        policies = import_module("bandits.policies").POLICIES
        if name not in policies:
            raise AttributeError(f"module 'bandits' has no attribute {name!r}")
        found = policies[name]
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})

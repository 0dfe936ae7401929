"""Hyperparameters that a run gives a policy, or that a spec knows by names: models, reward, log."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bandits.metrics.regret import fall_back
from bandits.rewards import Reward
from envs.nearest import near

if TYPE_CHECKING:
    from bandits.policies.llmbandit.tasks import Log
    from envs.shapes import Pool


def filled(
    spec: str, keys: Mapping[str, Any], stream: Pool, reward: Reward, log: Log | None
) -> dict[str, Any]:
    """Return the hyperparameters that a run gives, or knows by other names than a spec does."""
    given: dict[str, Any] = {}
    if "model" in keys:
        if keys["model"] is inspect.Parameter.empty:
            raise ValueError(f"policy {spec!r} needs model=NAME; the models are {', '.join(stream.models)}")
        given["model"] = arm_named(str(keys["model"]), stream.models)
    if "order" in keys and ".py:" not in spec:
        if keys["order"] is inspect.Parameter.empty:
            raise ValueError(
                f"policy {spec!r} needs order=A>B, models in the order of their calls: {', '.join(stream.models)}"
            )
        given["order"] = _ordered(spec, str(keys["order"]), stream)
    if "models" in keys and ".py:" not in spec:
        given["models"] = tuple(stream.models)
    if "reward" in keys:
        given["reward"] = reward
    if "log" in keys:
        given["log"] = log
    if "indicators" in keys:
        given["indicators"] = getattr(stream, "indicators", 0)  # a table read window by window has none
    several = getattr(stream, "several", None)
    if "features" in keys and ".py:" not in spec and several is not None and several.features is not None:
        given["features"] = several.features.shape[2]
    if "fallback" in keys:
        given["fallback"] = tuple(fall_back(stream.answered).tolist())
    return given


def _ordered(spec: str, order: str, stream: Pool) -> tuple[int, ...]:
    """Return the arms of an order of models.

    Raises:
        ValueError: no such model, one that is named twice, or more of them than a query may have calls.
    """
    names = [name.strip() for name in order.split(">")]
    arms = tuple(arm_named(name, stream.models) for name in names)
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise ValueError(
            f"policy {spec!r} needs an order that names each model once, it names {twice!r} twice"
        )
    several = getattr(stream, "several", None)
    if several is not None and len(arms) > several.calls.most:
        raise ValueError(f"policy {spec!r}: order names {len(arms)} models, --calls is {several.calls.most}")
    return arms


def arm_named(name: str, models: Sequence[str]) -> int:
    """Return the arm of a model's name, or refuse it with the nearest one."""
    if name not in models:
        raise ValueError(f"no model {name!r}; {near(name, list(models))}")
    return list(models).index(name)

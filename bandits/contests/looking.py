"""Looks that are bought in the loop: one model without and with what a look shows, as a stream of three arms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.loop import slots
from bandits.metrics.intervals import Estimate, clustered
from bandits.metrics.verdict import ALPHA
from bandits.policies.sequential.look import look
from bandits.rewards import linear
from envs.calls import Calls, Several, last

if TYPE_CHECKING:
    from envs.stream import Stream

Floats = NDArray[np.float64]
WITHOUT, LOOK, WITH = range(3)


class Online(NamedTuple):
    """A rule learned in the run, over seeds and rounds: utility, worth, share bought, worth over always buying.

    The second half of the rounds, once there was time to learn, stands apart.
    """

    name: str
    utility: float
    worth: float
    bought: float
    over_always: Estimate
    late: Estimate


def world(stream: Stream, revealed: NDArray[np.float32] | None) -> Any:
    """Return the stream of a model, the look and the model after it, of a table's two columns.

    What the second column uses beyond the first is what the look uses; the look answers nothing.

    Args:
        stream: rows with both columns, the model without the look first.
        revealed: `(T, e)` what the look shows; None: nothing.
    """
    outcomes = stream.outcomes
    changed: dict[str, Any] = {}
    for name in ("cost", "latency", "tokens"):
        own = getattr(outcomes, name)
        if own is not None:
            changed[name] = np.column_stack([own[:, 0], np.maximum(own[:, 1] - own[:, 0], 0.0), own[:, 0]])
    utility = np.column_stack([outcomes.utility[:, 0], np.zeros(len(stream)), outcomes.utility[:, 1]])
    models = (outcomes.models[0], f"look of {outcomes.models[1]}", outcomes.models[1])
    wide = replace(outcomes, models=models, utility=utility, price=np.full(3, np.nan), **changed)
    calls = Calls(2, combine=last, hear="delivered", needs=(-1, -1, LOOK))
    shown = None if revealed is None else np.repeat(revealed[:, None], 3, axis=1).astype(np.float32)
    return replace(stream, outcomes=wide, several=Several(calls, revealed=shown), unit=stream.cost_scale)


def online(
    stream: Stream,
    cluster: NDArray[np.int64],
    *,
    revealed: NDArray[np.float32] | None = None,
    worth: float | None = None,
    seeds: int = 10,
    seed: int = 0,
) -> list[Online]:
    """Return rules that learn while they play: without and, where there is something to see, with what is shown.

    Args:
        stream: rows with both columns of the pair.
        cluster: `(T,)` near copies share one.
        revealed: `(T, e)` what the look shows.
        worth: what a right answer is worth in the table's money; None: cost is ignored.
        seeds, seed: orders of the queries.
    """
    weight = 0.0 if worth is None else stream.cost_scale / worth
    told = []
    for name, shows in (("online gate", None), ("online, look then choose", revealed)):
        if name != "online gate" and shows is None:
            continue
        made = world(stream, shows)
        policy = look(3, stream.dim, arm=LOOK, features=0 if shows is None else shows.shape[1])
        trace = slots.replay(policy, made, linear, seeds=seeds, seed=seed, preference=weight)
        earned = slots.gained(trace, made, linear, weight).sum(axis=2)
        always = made.utility[:, WITH] - weight * np.nan_to_num(made.cost[:, [LOOK, WITH]]).sum(axis=1) / max(
            stream.cost_scale, 1e-300
        )
        bought = (trace.arms == LOOK).any(axis=2)
        arm = trace.arms.max(axis=2)  # the look is the middle arm: after it, or alone, the answering one
        arm = np.where(bought & (trace.arms == WITHOUT).any(axis=2), WITHOUT, arm)
        utility = made.utility[trace.order, arm]
        over, copies = earned - always[trace.order], cluster[trace.order]
        late = slice(over.shape[1] // 2, None)
        told.append(
            Online(
                name,
                float(utility.mean()),
                float(earned.mean()),
                float(bought.mean()),
                _clustered(over, copies),
                _clustered(over[:, late], copies[:, late]),
            )
        )
    return told


def verdict(found: list[Online]) -> list[str]:
    """Return a sentence for each rule: its worth against always buying, of all rounds and of the second half."""
    lines = []
    for rule in found:
        sure = "shown" if float(rule.over_always.p) * len(found) < ALPHA else "not shown"
        lines.append(
            f"{rule.name}, learned from what it called: {float(rule.over_always.mean):+.3f} right answers a query"
            f" against always buying (95 % interval {float(rule.over_always.lo):+.3f} to"
            f" {float(rule.over_always.hi):+.3f}, {sure}); second half of the rounds {float(rule.late.mean):+.3f}"
            f" ({float(rule.late.lo):+.3f} to {float(rule.late.hi):+.3f}); it buys for {rule.bought:.0%}."
        )
    return lines


def _clustered(over: Floats, cluster: NDArray[np.int64]) -> Estimate:
    flat = cluster.ravel()
    return clustered(np.bincount(flat, weights=over.ravel()), np.bincount(flat))

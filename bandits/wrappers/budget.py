"""Budgets: what may be spent, and the wrappers that hold a policy to it.

`parse` turns `12.5`, `30%`, `0.0005/query` or `cost=30%,latency=900` into limits for `replay`; `PACINGS` are the ways
of spending them; `held` puts a policy into the wrappers that a run asks for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.base import RESOURCES, Policy, ranked
from bandits.late import jnp
from bandits.wrappers import promise
from bandits.wrappers.pacing.adaptive_lp import lp
from bandits.wrappers.pacing.bwk import bwk
from bandits.wrappers.pacing.mirror import mirror
from bandits.wrappers.pacing.paced import R, stop
from bandits.wrappers.pacing.primal_dual import primal_dual
from bandits.wrappers.pacing.threshold import threshold
from envs.nearest import near

if TYPE_CHECKING:
    from envs.stream import Stream

Limits = NDArray[np.float64]

# Name on the command line -> wrapper `(policy, n_arms, dim, *, hyper=...) -> Policy`.
PACINGS: dict[str, Callable[..., Policy]] = {
    "stop": stop,
    "primal_dual": primal_dual,
    "threshold": threshold,
    "mirror": mirror,
    "bwk": bwk,
    "lp": lp,
}


def held(
    policy: Policy, stream: Stream, *, pacing: str = "stop", hard: bool = False, cap: float | None = None
) -> Policy:
    """Return the policy under pacing, then a cap, then the promise; replay it with a budget, if an infinite one.

    Args:
        policy: a checked one; the wrapped one may answer -1, which `check` refuses.
        stream: a `Stream`, for its sizes and the worst case of each model; of a policy that may call again the one in
            which each call is paid with its judge.
        pacing: `name,key=value` from `PACINGS`.
        hard: never exceed the budget.
        cap: cost of a call at most, or None.

    Raises:
        ValueError: the pacing is unknown, or a number is out of range.
    """
    wrapped = resolve.function(pacing, PACINGS, "pacing")(policy, stream.n_arms, stream.dim)
    if cap is not None:
        wrapped = promise.cap(wrapped, stream.n_arms, stream.dim, limit=cap)
    blind = policy.again and stream.several is not None and stream.several.calls.reveal == "end"
    return promise.hard(wrapped, promise.worst_case(stream), blind=blind) if hard else wrapped


def priced(pacing: str) -> bool:
    """Return whether a pacing sets a dual price, which `Policy.price` then reads, by asking it."""
    plain = ranked(lambda key: (), lambda key, state, seen: jnp.zeros(1), lambda key, state, *heard: state)
    return resolve.function(pacing, PACINGS, "pacing")(plain, 1, 1).price is not None


def forms(texts: Sequence[str]) -> list[str]:
    """Return single budgets: commas part a list of amounts, but join the resources of one budget (`a=1,b=2`)."""
    single: list[str] = []
    for text in texts:
        single += [text] if "=" in text else text.split(",")
    return [text.strip() for text in single]


def parse(text: str, stream: Stream, rounds: int) -> Limits:
    """Return the `(R,)` limits of a run, inf where nothing is limited.

    Args:
        text: an amount of cost, or `resource=amount` for each of several, with commas. An amount is a number in the
            table's unit, `30%` of what always calling the model of the highest mean utility uses, or `0.5/query`.
        stream: a `Stream`.
        rounds: of the run.

    Raises:
        ValueError: an amount that is no number > 0 or does not pay for the cheapest call, a resource that is unknown,
            named twice or not recorded.
    """
    limits = np.full(R, np.inf)
    for part in text.split(",") if "=" in text else [f"cost={text}"]:
        name, _, amount = (x.strip() for x in part.partition("="))
        if name not in RESOURCES:
            raise ValueError(f"--budget {text!r}: no resource {name!r}; {near(name, list(RESOURCES))}")
        r = RESOURCES.index(name)
        if np.isfinite(limits[r]):
            raise ValueError(f"--budget {text!r} names {name} twice")
        recorded = _recorded(stream, name)
        limits[r] = _amount(amount, recorded, stream, rounds, f"--budget {text!r}")
        least = float(np.nanmin(recorded))
        if limits[r] < least:
            raise ValueError(
                f"--budget {text!r} is {limits[r]:.6g} in all and pays for no call: the least {name} of one is"
                f" {least:.6g}"
            )
    return limits


def _recorded(stream: Stream, name: str) -> NDArray[np.floating[Any]]:
    """Return `(N, K)` what each call uses of a resource, NaN where the model is unavailable."""
    recorded = getattr(stream, name)
    if recorded is None or (name == "cost" and not stream.outcomes.priced):
        has = [n for n in RESOURCES if n != name and getattr(stream, n) is not None]
        has = [n for n in has if n != "cost" or stream.outcomes.priced]
        raise ValueError(
            f"a budget on {name} needs a table that records it; this one records {', '.join(has) or 'none'}"
        )
    unknown = stream.available & np.isnan(recorded)
    if unknown.any():
        row, arm = np.argwhere(unknown)[0]
        raise ValueError(
            f"a budget on {name} needs it recorded for every outcome; {int(unknown.sum())} lack it, the first for"
            f" model {stream.models[arm]!r}, query {str(stream.query_id[row])!r}"
        )
    return np.where(stream.available, recorded, np.nan)


def _amount(
    text: str, recorded: NDArray[np.floating[Any]], stream: Stream, rounds: int, option: str
) -> float:
    """Return the total that an amount stands for."""
    number, scale = text, 1.0
    if text.endswith("%"):
        best = int(np.nanmean(stream.utility, axis=0).argmax())
        number, scale = text[:-1], float(np.nanmean(recorded[:, best])) * rounds / 100
    elif text.endswith("/query"):
        number, scale = text[: -len("/query")], float(rounds)
    try:
        value = float(number)
    except ValueError:
        raise ValueError(
            f"{option} needs an amount such as 12.5, 30% or 0.0005/query, got {text!r}"
        ) from None
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{option} needs an amount > 0, got {text!r}")
    return value * scale

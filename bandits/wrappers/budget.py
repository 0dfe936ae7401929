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
from envs.windows.survey import add

if TYPE_CHECKING:
    from envs.shapes import Queries, Table

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
    policy: Policy, stream: Table, *, pacing: str = "stop", hard: bool = False, cap: float | None = None
) -> Policy:
    """Return the policy under pacing, then a cap, then the promise; replay it with a budget, if an infinite one.

    Args:
        policy: a checked one; the wrapped one may answer -1, which `check` refuses.
        stream: a `Stream` or a table on disk, for its sizes and each model's worst case; of a policy that may
            call again the one in which each call is paid with its judge.
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


def parse(text: str, stream: Table, rounds: int) -> Limits:
    """Return the `(R,)` limits of a run, inf where nothing is limited.

    Args:
        text: an amount of cost, or `resource=amount` for each of several, with commas. An amount is a number in the
            table's unit, `30%` of what always calling the model of the highest mean utility uses, or `0.5/query`.
        stream: a `Stream`, or a table on disk, of which it takes a pass.
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
        share, least = _use(stream, name)
        limits[r] = _amount(amount, share, rounds, f"--budget {text!r}")
        if limits[r] < least:
            raise ValueError(
                f"--budget {text!r} is {limits[r]:.6g} in all and pays for no call: the least {name} of one is"
                f" {least:.6g}"
            )
    return limits


def _use(table: Table, name: str) -> tuple[float, float]:
    """Return what a call of the model of the highest mean utility uses of a resource, and the least of any call."""
    sums, calls, least = np.zeros((2, 2, table.n_arms)), np.zeros(table.n_arms), np.inf
    lacking, first = 0, ""
    for piece in table.pieces(context=False):
        there, recorded = piece.available, _recorded(table, piece, name)
        unknown = there & np.isnan(recorded)
        if unknown.any():
            row, arm = np.argwhere(unknown)[0]
            first = first or f"model {table.models[arm]!r}, query {str(piece.query_id[row])!r}"
            lacking += int(unknown.sum())
        add(sums, np.stack([np.where(there, x, 0.0).sum(axis=0) for x in (piece.utility, recorded)]))
        calls, least = calls + there.sum(axis=0), min(least, float(recorded[there].min()))
    if lacking:
        raise ValueError(
            f"a budget on {name} needs it recorded for every outcome; {lacking} lack it, the first for {first}"
        )
    utility, used = sums.sum(axis=0) / calls
    return float(used[utility.argmax()]), least


def _recorded(table: Table, piece: Queries, name: str) -> NDArray[np.floating[Any]]:
    """Return `(n, K)` what each call uses of a resource."""
    has = [n for n in RESOURCES if getattr(piece, n) is not None and (n != "cost" or table.priced)]
    if name not in has:
        raise ValueError(
            f"a budget on {name} needs a table that records it; this one records {', '.join(has) or 'none'}"
        )
    return np.asarray(getattr(piece, name))


def _amount(text: str, share: float, rounds: int, option: str) -> float:
    """Return the total that an amount stands for; `share` is what a round of the best single model uses."""
    number, scale = text, 1.0
    if text.endswith("%"):
        number, scale = text[:-1], share * rounds / 100
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

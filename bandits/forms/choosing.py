"""Policies that choose among policies: `bandits.policies.selection`; what each base keeps is named `0.`, `1.`, ..."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from msgspec import Meta

from bandits.forms.averaged import Averaging
from bandits.forms.effects import Mixed
from bandits.forms.exploring import Positive
from bandits.forms.forgetting import Fading, Windowed
from bandits.forms.form import (
    BOOL,
    FLOAT,
    WHOLE,
    Arrays,
    Changes,
    Decided,
    Floats,
    Heard,
    Layout,
    Seen,
    chosen,
    part,
    parted,
)
from bandits.forms.linear import Bagged, Joint, Logistic, Paired, Ridges
from bandits.forms.sampling import Cheering, Directed
from bandits.forms.shrunk import Shrunk
from bandits.forms.tabular import BetaCounts, Bounds, Fixed, Losing, Racing, Ranged

if TYPE_CHECKING:
    from bandits.base import State

# What a policy by itself can be; the two below are made of these.
Plain = (
    Ridges
    | Averaging
    | Fading
    | Windowed
    | Bagged
    | Joint
    | Logistic
    | Paired
    | Directed
    | Cheering
    | Shrunk
    | Mixed
    | Bounds
    | BetaCounts
    | Losing
    | Racing
    | Fixed
)
_HALVINGS = 60  # as in `corral`, in float64
_LARGEST = 2**32  # of a lot


class _Panel(Ranged, frozen=True, tag=True):
    """Bases, and what they have in common."""

    bases: Annotated[tuple[Plain, ...], Meta(min_length=2, max_length=100)]

    @property
    def featured(self) -> bool:
        """See `Form`."""
        return any(base.featured for base in self.bases)

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        found: Layout = {}
        for m, base in enumerate(self.bases):
            found |= parted(str(m), base.layout(k, d))
        return found

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        for m, base in enumerate(self.bases):
            base.check(part(has, str(m)))

    def arrays(self, state: State) -> Arrays:
        """See `Form`."""
        found = {name: np.asarray(value) for name, value in state._asdict().items() if name != "states"}
        for m, (base, own) in enumerate(zip(self.bases, state.states, strict=True)):
            found |= parted(str(m), base.arrays(own))
        return found

    def told(self, has: Arrays, seen: Seen, arm: int, heard: Heard, *, hears: Any, own: Any) -> Changes:
        """Return what a call changes in the bases, as `bandits.policies.selection.bases.told` does."""
        found: Changes = {}
        for m, base in enumerate(self.bases):
            mine = part(has, str(m))
            chances, gave, hearing = base.chances(mine, seen), heard._replace(chance=1.0), hears[m]
            if chances is not None:
                gave, hearing = heard._replace(chance=float(chances[arm])), own[m]
            if hearing:
                found |= parted(str(m), base.changes(mine, seen, arm, gave))
        return found


class Balancing(_Panel, frozen=True):
    """`balanced`: the base of the fewest calls plays, of those that are not eliminated."""

    bound: Positive
    width: Positive
    delta: Annotated[float, Meta(gt=0, le=1)]
    shared: bool

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        m = len(self.bases)
        own: Layout = {"calls": (WHOLE, (m,)), "total": (FLOAT, (m,)), "active": (BOOL, (m,))}
        return super().layout(k, d) | own

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        super().check(has)
        if not has["active"].any():
            raise ValueError("one of its bases needs to be left")

    def playing(self, has: Arrays) -> int:
        """Return which base plays."""
        return int(np.where(has["active"], has["calls"], np.inf).argmin())

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        m = self.playing(has)
        return self.bases[m].index(part(has, str(m)), seen)

    def decide(self, has: Arrays, seen: Seen) -> Decided:
        """See `Form`."""
        return Decided(self.index(has, seen), kept=(self.playing(has),))

    def keeps(self, k: int) -> tuple[int, ...]:
        """See `Form`."""
        del k
        return (len(self.bases),)

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        own = np.arange(len(self.bases)) == heard.kept[0]
        calls = has["calls"] + own
        total = has["total"] + own * self.unit(seen, heard)
        return {
            **self.told(has, seen, arm, heard, hears=own | self.shared, own=own),
            "calls": (..., calls),
            "total": (..., total),
            "active": (..., has["active"] & self.explained(calls, total)),
        }

    def explained(self, calls: Floats, total: Floats) -> Any:
        """Return `(M,)` which bases their bound explains, as `bandits.policies.selection.balanced.kept_in`."""
        n = np.maximum(calls, 1)
        sure = np.log(len(n) * np.maximum(np.log(n), 1.0) / self.delta)
        half, mean = self.width * np.sqrt(sure / n), total / n
        best = np.where(calls > 0, mean - half, -np.inf).max()
        return (calls == 0) | (mean + self.bound / np.sqrt(n) + half >= best)


class Corralling(_Panel, frozen=True):
    """`corral`: a base is drawn by mirror descent on the bases' estimated losses."""

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        m = len(self.bases)
        own: Layout = {name: (FLOAT, (m,)) for name in ("chance", "rate", "limit")}
        return super().layout(k, d) | own | {"horizon": (FLOAT, ()), "lot": (WHOLE, ())}

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        super().check(has)
        right = abs(has["chance"].sum() - 1) < 1e-4 and min(has[n].min() for n in ("chance", "rate")) > 0
        if not right or has["lot"] >= _LARGEST:
            raise ValueError(
                "its chances need to add up to 1, its rates to be above 0 and its lot below 2^32"
            )

    def advised(self, has: Arrays, seen: Seen) -> list[int]:
        """Return the model that each base calls; the same until the next outcome is heard."""
        seeds = np.random.default_rng(int(has["lot"]))
        now = seen._replace(draw=seeds)
        return [
            chosen(base.index(part(has, str(m)), now), seen.available) for m, base in enumerate(self.bases)
        ]

    def decide(self, has: Arrays, seen: Seen) -> Decided:
        """See `Form`."""
        advice = self.advised(has, seen)
        weight = mixed(has["chance"], float(has["horizon"]))
        chance: Floats = np.bincount(advice, weight, len(seen.available)).astype(np.float64)
        with np.errstate(divide="ignore"):
            index = np.log(chance) + seen.draw.gumbel(size=len(chance))
        return Decided(index, chance, tuple(advice))

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        return self.decide(has, seen).value

    def keeps(self, k: int) -> tuple[int, ...]:
        """See `Form`."""
        return (k,) * len(self.bases)

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        followed = np.array(heard.kept) == arm
        loss = followed * (1.0 - self.unit(seen, heard)) / max(heard.chance, 1e-30)
        chance, horizon = descended(has["chance"], loss, has["rate"]), float(has["horizon"])
        far = 1.0 / mixed(chance, horizon)
        beyond = far > has["limit"]
        growth = math.exp(1.0 / math.log(max(horizon, math.e)))
        return {
            **self.told(has, seen, arm, heard, hears=np.ones(len(far), bool), own=followed),
            "chance": (..., chance),
            "rate": (..., np.where(beyond, has["rate"] * growth, has["rate"])),
            "limit": (..., np.where(beyond, 2.0 * far, has["limit"])),
            "lot": (..., int(seen.draw.integers(_LARGEST))),
        }


def mixed(chance: Floats, horizon: float) -> Floats:
    """Return `(M,)` the probabilities with which bases are followed, as `bandits.policies.selection.corral.mixed`."""
    gamma = 1.0 / max(horizon, 1.0)
    return np.asarray((1.0 - gamma) * chance + gamma / len(chance))


def descended(chance: Floats, loss: Floats, rate: Floats) -> Floats:
    """Return `(M,)` the probabilities after a step, as `bandits.policies.selection.corral.descended`."""
    low, high, start = float(loss.min()), float(loss.max()), 1.0 / chance
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        inverse = start + rate * (loss - middle)
        above = inverse.min() <= 0 or (1.0 / inverse).sum() > 1.0
        low, high = (low, middle) if above else (middle, high)
    found = 1.0 / (start + rate * (loss - low))
    return np.asarray(found / found.sum())


def plain(forms: Any) -> tuple[Plain, ...] | None:
    """Return what a service keeps of these forms, None where one of them is none or is made of others."""
    served = [None if form is None else form.served for form in forms]
    found = tuple(one for one in served if isinstance(one, Plain))
    return found if len(found) == len(served) else None

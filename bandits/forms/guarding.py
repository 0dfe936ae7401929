"""Any policy beside a baseline that it may not fall behind: `bandits.wrappers.conservative`, same letters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import numpy as np
from msgspec import Meta

from bandits.forms.choosing import Plain
from bandits.forms.exploring import NotNegative, Positive
from bandits.forms.form import (
    FLOAT,
    WHOLE,
    Arrays,
    Changes,
    Decided,
    Floats,
    Form,
    Heard,
    Layout,
    Seen,
    check_inverse,
    chosen,
    leaves,
    part,
    parted,
    rank_one,
)

if TYPE_CHECKING:
    from bandits.base import State

Inside = Annotated[float, Meta(gt=0, le=1)]


class Guarding(Form, frozen=True):
    """What the guarded policy keeps is named `inner.`; `known.` is of the promise's own regression."""

    inner: Plain
    model: Annotated[int, Meta(ge=0)]
    a: Inside
    delta: Inside
    noise: Positive
    size: Positive
    ridge: Positive
    radius: NotNegative | None
    low: float

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        if self.model >= k:
            raise ValueError(f"its baseline needs to be one of {k} models")
        known: Layout = {"inverse": (FLOAT, (k, d, d)), "weight": (FLOAT, (k, d)), "pulls": (WHOLE, (k,))}
        own: Layout = {"ahead": (FLOAT, (k, d)), "grown": (FLOAT, ())}
        return parted("inner", self.inner.layout(k, d)) | parted("known", known) | own

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        self.inner.check(part(has, "inner"))
        check_inverse(has["known.inverse"], 1.0 / self.ridge)

    def arrays(self, state: State) -> Arrays:
        """See `Form`."""
        own = {"ahead": np.asarray(state.ahead), "grown": np.asarray(state.grown)}
        return parted("inner", self.inner.arrays(state.policy)) | parted("known", leaves(state.known)) | own

    def safe(self, has: Arrays, seen: Seen, arm: int) -> bool:
        """Return whether the promise holds if this model is called."""
        if arm == self.model or not seen.available[self.model]:
            return True
        z = self.called(has, seen, arm)
        if (beta := self.radius) is None:
            spread = 2 * math.log(1 / self.delta) + max(float(has["grown"]), 0.0)
            beta = self.noise * math.sqrt(spread) + math.sqrt(self.ridge) * self.size
        width = float((np.einsum("kde,ke->kd", has["known.inverse"], z) * z).sum())
        return bool((has["known.weight"] * z).sum() - beta * math.sqrt(max(width, 0.0)) >= 0)

    def called(self, has: Arrays, seen: Seen, arm: int) -> Floats:
        """Return what stands in `ahead` after a call."""
        z = has["ahead"].copy()
        z[arm] += seen.context
        z[self.model] -= (1.0 - self.a) * seen.context
        return np.asarray(z)

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        return self.decide(has, seen).value

    def decide(self, has: Arrays, seen: Seen) -> Decided:
        """See `Form`."""
        index, chances, _ = self.inner.decide(part(has, "inner"), seen)
        held = self.safe(has, seen, chosen(index, seen.available))
        if not held:
            index = np.where(np.arange(len(index)) == self.model, 1.0, 0.0)
        if chances is not None:
            unsafe = [not self.safe(has, seen, arm) for arm in range(len(index))]
            lost = chances[unsafe].sum()
            chances = np.where(unsafe, 0.0, chances)
            chances[self.model] += lost
        return Decided(index, chances)

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        x, inverse = seen.context, has["known.inverse"][arm]
        reward = float(seen.worth(np.array(heard.utility), np.array(heard.cost))) - self.low
        grown = math.log1p(float(x @ inverse @ x))
        inverse, weight = rank_one(inverse, has["known.weight"][arm], x, reward)
        return {
            **parted("inner", self.inner.changes(part(has, "inner"), seen, arm, heard)),
            "known.inverse": (arm, inverse),
            "known.weight": (arm, weight),
            "known.pulls": (arm, has["known.pulls"][arm] + 1),
            "ahead": (..., self.called(has, seen, arm)),
            "grown": (..., has["grown"] + grown),
        }

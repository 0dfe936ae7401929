"""Ridges of several precisions, weighed by how well each has foretold: `bandits.policies.linear.averaged`."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta

from bandits.forms.exploring import NotNegative, Positive
from bandits.forms.form import (
    FLOAT,
    WHOLE,
    Arrays,
    Changes,
    Floats,
    Form,
    Heard,
    Layout,
    Seen,
    check_inverse,
    rank_one,
    widths,
)


class Averaging(Form, frozen=True):
    """As the arguments of `averaged`; `least`, `middle` and `most` are `trust`."""

    alpha: NotNegative
    noise: Positive
    trust: tuple[Positive, Positive, Positive]
    ridge: Positive
    indicators: Annotated[int, Meta(ge=0)] = 0

    def precisions(self, d: int) -> Floats:
        """Return `(M, d)` the precision of each of `d` features in each model, the constant's too.

        Indicators, right before the constant, are what a fourth model sees, unless there are no other features.
        """
        own = np.zeros(d, bool)
        own[d - 1 - self.indicators : d - 1] = 0 < self.indicators < d - 1
        each = [np.full(d, level) for level in self.trust]
        if own.any():
            each.append(np.where(own, self.trust[0], self.trust[2]))
        found = np.stack(each)
        found[:, -1] = self.ridge
        return found

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        if self.indicators > d - 1:
            raise ValueError(f"its {self.indicators} indicators need to be among {d - 1} features")
        m = len(self.precisions(d))
        return {
            "inverse": (FLOAT, (m, k, d, d)),
            "weight": (FLOAT, (m, k, d)),
            "pulls": (WHOLE, (m, k)),
            "evidence": (FLOAT, (m,)),
            "spent": (FLOAT, (k,)),
        }

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        check_inverse(has["inverse"], 1.0 / self.precisions(has["inverse"].shape[-1])[:, None])

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        share = np.exp(has["evidence"] - has["evidence"].max())
        share = (share / share.sum())[:, None]
        each = has["weight"] @ seen.context
        mean = (share * each).sum(axis=0)
        variance = (self.noise * widths(has["inverse"], seen.context)) ** 2 + (each - mean) ** 2
        calls = has["pulls"][0]
        heard = np.where(calls > 0, has["spent"] / np.maximum(calls, 1), 1.0) * seen.cost_scale
        cost = np.where(np.isnan(seen.price), heard, seen.price)
        return np.asarray(seen.worth(mean, cost) + self.alpha * np.sqrt((share * variance).sum(axis=0)))

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        place = (slice(None), arm)
        inverse, weight = has["inverse"][place], has["weight"][place]
        variance = self.noise**2 * (1.0 + widths(inverse, seen.context) ** 2)
        error = heard.utility - weight @ seen.context
        total = has["evidence"] - 0.5 * (np.log(2 * np.pi * variance) + error**2 / variance)
        inverse, weight = rank_one(inverse, weight, seen.context, heard.utility)
        return {
            "inverse": (place, inverse),
            "weight": (place, weight),
            "pulls": (place, has["pulls"][place] + 1),
            "evidence": (..., total - total.max()),
            "spent": (arm, has["spent"][arm] + heard.cost / seen.cost_scale),
        }

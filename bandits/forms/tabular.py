"""Policies that read no context: `bandits.policies.tabular`; rewards are brought to [0, 1] from `low` to `high`."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from bandits.forms.exploring import NotNegative, Positive
from bandits.forms.form import BOOL, FLOAT, WHOLE, Arrays, Changes, Floats, Form, Heard, Layout, Seen

_UNTRIED = 1e6  # above every index
_EDGE, _STEPS = 1e-7, 6  # the first as in `bandits.policies.tabular.klucb`


class Ranged(Form, frozen=True, tag=True):
    """A policy of rewards in a range."""

    low: float
    high: float

    @property
    def featured(self) -> bool:
        """See `Form`."""
        return False

    def unit(self, seen: Seen, heard: Heard) -> float:
        """Return a call's reward in units of the range, clipped to [0, 1]."""
        reward = float(seen.worth(np.array(heard.utility), np.array(heard.cost)))
        return min(max((reward - self.low) / (self.high - self.low), 0.0), 1.0)


def _counts(k: int) -> Layout:
    return {"pulls": (WHOLE, (k,)), "mean": (FLOAT, (k,))}


def _counted(has: Arrays, arm: int, value: float) -> Changes:
    pulls = has["pulls"][arm] + 1
    return {"pulls": (arm, pulls), "mean": (arm, has["mean"][arm] + (value - has["mean"][arm]) / pulls)}


class Bounds(Ranged, frozen=True):
    """Upper bounds on means: `hoeffding`, of `ucb1` with width `weight`, or `bernoulli`, of `klucb` with `c`."""

    kind: Literal["hoeffding", "bernoulli"]
    weight: NotNegative

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        del d
        return _counts(k)

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        del seen
        pulls, mean = has["pulls"], has["mean"]
        log_played = math.log(max(int(pulls.sum()), 1))
        calls = np.maximum(pulls, 1)
        if self.kind == "hoeffding":
            bound: Floats = mean + self.weight * np.sqrt(2.0 * log_played / calls)
        else:
            bound = _bernoulli(mean, (log_played + self.weight * math.log(max(log_played, 1.0))) / calls)
        return np.where(pulls > 0, bound, _UNTRIED)

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        return _counted(has, arm, self.unit(seen, heard))


def _bernoulli(mean: Floats, allowed: Floats) -> Floats:
    """Return the largest `q` of each mean with `d(mean, q) <= allowed`.

    By Newton's method from above, where `d` is convex. It starts at the least of two bounds: Pinsker's
    `d >= 2 (q - p)^2`, and `d >= p log p + (1 - p) log((1 - p) / (1 - q))`.
    """
    p = np.minimum(np.maximum(mean, _EDGE), 1.0 - _EDGE)
    fixed = p * np.log(p) + (1.0 - p) * np.log(1.0 - p) - allowed
    q = np.minimum(p + np.sqrt(allowed / 2.0), 1.0 - np.exp(fixed / (1.0 - p)))
    q = np.minimum(np.maximum(q, p), 1.0 - _EDGE)
    for _ in range(_STEPS):
        over = fixed - p * np.log(q) - (1.0 - p) * np.log(1.0 - q)
        # Never over what was there: where even the end of the range is allowed, it stays.
        q = np.maximum(q - np.maximum(over, 0.0) * q * (1.0 - q) / np.maximum(q - p, _EDGE), p)
    return np.asarray(q)


class BetaCounts(Ranged, frozen=True):
    """`beta_thompson`: a draw from each model's Beta posterior."""

    prior: Positive

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        del d
        return {"success": (FLOAT, (k,)), "failure": (FLOAT, (k,))}

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        if min(has["success"].min(), has["failure"].min()) < self.prior * (1 - 1e-6):
            raise ValueError("its counts need to be at least the prior")

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        return seen.draw.beta(has["success"], has["failure"])

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        name = "success" if seen.draw.random() < self.unit(seen, heard) else "failure"
        return {name: (arm, has[name][arm] + 1.0)}


class Losing(Ranged, frozen=True):
    """`exp3`: exponential weights of estimated losses."""

    eta: Positive

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        del d
        return {"total": (FLOAT, (k,)), "round": (FLOAT, ())}

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        if has["round"] < 1 or has["total"].min() < 0:
            raise ValueError("its losses need to be at least 0 and its round at least 1")

    def chances(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        k = len(has["total"])
        rate = self.eta * math.sqrt(math.log(k) / k) / math.sqrt(float(has["round"]))
        weight = np.where(
            seen.available, np.exp(-rate * (has["total"] - has["total"][seen.available].min())), 0.0
        )
        return np.asarray(weight / weight.sum())

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        # The highest of log-probability plus Gumbel noise is a draw from the probabilities (Gumbel-max identity).
        chance = np.maximum(self.chances(has, seen), 1e-300)
        return np.asarray(np.log(chance) + seen.draw.gumbel(size=len(chance)))

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        loss = 1.0 - self.unit(seen, heard)
        total = has["total"] + np.where(seen.available, 0.0, loss)  # asleep: charged what the policy suffered
        total[arm] = has["total"][arm] + loss / max(heard.chance, 1e-30)
        return {"total": (..., total - total.min()), "round": (..., has["round"] + 1.0)}


class Racing(Ranged, frozen=True):
    """`successive_elimination`: the models in turn, without those that are surely worse."""

    delta: Annotated[float, Meta(gt=0, le=1)]
    alpha: Positive

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        del d
        return {**_counts(k), "active": (BOOL, (k,))}

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        racing = has["active"] & seen.available
        if not racing.any():  # the best of those that are dropped is the least harm
            return np.asarray(has["mean"])
        return np.where(racing, -has["pulls"].astype(float), -_UNTRIED - has["pulls"].max())

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        found = _counted(has, arm, self.unit(seen, heard))
        pulls, mean = has["pulls"].copy(), has["mean"].copy()
        pulls[arm], mean[arm] = found["pulls"][1], found["mean"][1]
        calls = np.maximum(pulls, 1)
        width = self.alpha * np.sqrt(
            (np.log(4.0 * len(pulls) / self.delta) + 2.0 * np.log(calls)) / (2.0 * calls)
        )
        width = np.where(pulls > 0, width, np.inf)
        lower = np.where(has["active"], mean - width, -np.inf).max()
        return {**found, "active": (..., has["active"] & (mean + width >= lower))}


class Fixed(Form, frozen=True):
    """What learns nothing: the first available model of `order`, or any of them where there is no order."""

    order: tuple[Annotated[int, Meta(ge=0)], ...] = ()

    @property
    def featured(self) -> bool:
        """See `Form`."""
        return False

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        del d
        if self.order and sorted(self.order) != list(range(k)):
            raise ValueError(f"its order needs to name each of {k} models once")
        return {}

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        del has
        return -np.argsort(self.order).astype(float) if self.order else seen.draw.random(len(seen.available))

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        del has, seen, arm, heard
        return {}

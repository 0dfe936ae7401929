"""Means of arms drawn to what the other arms' say: `bandits.policies.tabular.ebucb`, same letters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bandits.forms.exploring import NotNegative, Positive
from bandits.forms.form import FLOAT, WHOLE, Arrays, Changes, Floats, Form, Heard, Layout, Seen

_GUESSED = 2.0  # as in `ebucb`
_LEAST = 1e-9


class Believed(NamedTuple):
    """The posterior of each model's mean utility, `(K,)` each."""

    mean: Floats
    deviation: Floats


class Shrunk(Form, frozen=True):
    """As the arguments of `ebucb`."""

    alpha: NotNegative
    noise: Positive
    spread: Positive
    prior: float

    @property
    def featured(self) -> bool:
        """See `Form`."""
        return False

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        del d
        return {"calls": (WHOLE, (k,)), **{name: (FLOAT, (k,)) for name in ("mean", "squares", "spent")}}

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        if has["squares"].min() < 0:
            raise ValueError("its sums of squares need to be at least 0")

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        now, calls = self.believed(has), has["calls"]
        heard = np.where(calls > 0, has["spent"] / np.maximum(calls, 1), 1.0)
        cost = np.where(np.isnan(seen.price), heard * seen.cost_scale, seen.price)
        return np.asarray(seen.worth(now.mean, cost) + self.alpha * now.deviation)

    def believed(self, has: Arrays) -> Believed:
        """Return the posterior, as `bandits.policies.tabular.ebucb.believed` does."""
        calls, heard = has["calls"], has["mean"]
        tried = calls > 0
        n, more = np.maximum(calls, 1), max(int(tried.sum()) - 1, 0)
        free = np.maximum(calls - 1, 0).sum()
        within = (has["squares"].sum() + _GUESSED * self.noise**2) / (free + _GUESSED)
        weight = np.where(tried, n / within, 0.0)
        total = max(weight.sum(), _LEAST)
        centre = weight @ heard / total
        scale = max(total - weight @ weight / total, _LEAST)
        moment = max((weight @ (heard - centre) ** 2 - more) / scale, 0.0)
        between = (_GUESSED * self.spread**2 + more * moment) / (_GUESSED + more)
        level = np.where(tried, 1.0 / (within / n + between), 0.0)
        sure = level.sum() + 1.0 / between
        middle = (level @ heard + self.prior / between) / sure
        shrunk = np.where(tried, (within / n) / (within / n + between), 1.0)
        mean = (1.0 - shrunk) * heard + shrunk * middle
        return Believed(mean, np.sqrt(between * shrunk + shrunk**2 / sure))

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        calls = has["calls"][arm] + 1
        error = heard.utility - has["mean"][arm]
        step = error / calls
        return {
            "calls": (arm, calls),
            "mean": (arm, has["mean"][arm] + step),
            "squares": (arm, has["squares"][arm] + error * (error - step)),
            "spent": (arm, has["spent"][arm] + heard.cost / seen.cost_scale),
        }

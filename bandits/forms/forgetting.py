"""LinUCB that forgets: `bandits.policies.linear.forgetting`, same letters."""

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

Share = Annotated[float, Meta(gt=0, le=1)]


class Fading(Form, frozen=True):
    """`dlinucb`: evidence fades by `gamma` a round."""

    gamma: Share
    alpha: NotNegative
    ridge: Positive

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        return {
            "evidence": (FLOAT, (k, d, d)),
            "squared": (FLOAT, (k, d, d)),
            "moment": (FLOAT, (k, d)),
            "since": (WHOLE, (k,)),
            "round": (WHOLE, ()),
        }

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        if (has["since"] > has["round"]).any():
            raise ValueError("its rounds need to be in order")
        for name in ("evidence", "squared"):
            lengths = np.diagonal(has[name], axis1=1, axis2=2)
            if not (np.allclose(has[name], has[name].transpose(0, 2, 1)) and (lengths >= 0).all()):
                raise ValueError(f"its {name} needs to be symmetric, its diagonal >= 0")

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        x, kept = seen.context, self.gamma ** (has["round"] - has["since"]).astype(float)
        precision = kept[:, None, None] * has["evidence"] + self.ridge * np.eye(len(x))
        solved = np.linalg.solve(precision, np.broadcast_to(x[:, None], (len(kept), len(x), 1)))[..., 0]
        mean = kept * (has["moment"] * solved).sum(axis=1)
        along = (has["squared"] @ solved[..., None])[..., 0]
        within = kept**2 * (along * solved).sum(axis=1) + self.ridge * (solved**2).sum(axis=1)
        return np.asarray(mean + self.alpha * np.sqrt(np.maximum(within, 0.0)))

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        x, now = seen.context, has["round"] + 1
        kept = self.gamma ** float(now - has["since"][arm])
        reward = seen.worth(np.array(heard.utility), np.array(heard.cost))
        return {
            "evidence": (arm, kept * has["evidence"][arm] + np.outer(x, x)),
            "squared": (arm, kept**2 * has["squared"][arm] + np.outer(x, x)),
            "moment": (arm, kept * has["moment"][arm] + reward * x),
            "since": (arm, now),
            "round": (..., now),
        }


class Windowed(Form, frozen=True):
    """`swlinucb`: the last `window` calls are known, older ones are taken out again."""

    window: Annotated[int, Meta(ge=1)]
    alpha: NotNegative
    ridge: Positive

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        w = self.window
        return {
            "inverse": (FLOAT, (k, d, d)),
            "weight": (FLOAT, (k, d)),
            "pulls": (WHOLE, (k,)),
            "context": (FLOAT, (w, d)),
            "arm": (WHOLE, (w,)),
            "reward": (FLOAT, (w,)),
            "at": (WHOLE, ()),
        }

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        if not (has["arm"] < len(has["pulls"])).all() or not has["at"] < self.window:
            raise ValueError("its window needs models and a place that there are")
        # Rounding adds up where calls are taken out again: a wider margin than for ridges that only learn.
        check_inverse(has["inverse"], 1.01 / self.ridge)

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        width = widths(has["inverse"], seen.context)
        return np.asarray(has["weight"] @ seen.context + self.alpha * width)

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        at = int(has["at"])
        reward = float(seen.worth(np.array(heard.utility), np.array(heard.cost)))
        inverse, weight = has["inverse"].copy(), has["weight"].copy()
        inverse[arm], weight[arm] = rank_one(inverse[arm], weight[arm], seen.context, reward)
        if (old := int(has["arm"][at])) >= 0:
            left = has["context"][at], has["reward"][at]
            inverse[old], weight[old] = rank_one(inverse[old], weight[old], *left, -1.0)
        return {
            "inverse": (..., inverse),
            "weight": (..., weight),
            "pulls": (arm, has["pulls"][arm] + 1),
            "context": (at, seen.context),
            "arm": (at, arm),
            "reward": (at, reward),
            "at": (..., (at + 1) % self.window),
        }

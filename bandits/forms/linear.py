"""Linear policies: ridges explored in one of the ways of `exploring`, and those that keep something else."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from bandits.forms.exploring import Explore, NotNegative, Positive
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
    chosen,
    rank_one,
    widths,
)


class Drawn(NamedTuple):
    """A round's randomness from a NumPy generator: the `Draws` of a service."""

    draw: np.random.Generator
    n_arms: int

    @property
    def xp(self) -> Any:
        """The library of its arrays."""
        return np

    def normal(self) -> Floats:
        """Return `(K,)` standard normal numbers."""
        return self.draw.standard_normal(self.n_arms)

    def gumbel(self) -> Floats:
        """Return `(K,)` standard Gumbel numbers."""
        return self.draw.gumbel(size=self.n_arms)

    def coin(self) -> tuple[float, Floats]:
        """Return a uniform number and, independent of it, `(K,)` uniform ones."""
        return self.draw.random(), self.draw.random(self.n_arms)


class Ridges(Form, frozen=True):
    """A ridge posterior for each model: `bandits.policies.linear.affine`.

    Attributes:
        explore: how it explores.
        ridge: prior precision of every weight.
        targets: 1, the reward; or 2, utility and cost in units of the scale, joined by the reward at each query's
            preference.
    """

    explore: Explore
    ridge: Positive
    targets: Literal[1, 2] = 1

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        return {
            "inverse": (FLOAT, (k, d, d)),
            "weight": (FLOAT, (k, self.targets, d)),
            "pulls": (WHOLE, (k,)),
        }

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        check_inverse(has["inverse"], 1.0 / self.ridge)

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        mean: Floats = has["weight"].reshape(-1, len(seen.context)) @ seen.context
        if self.targets == 2:
            utility, cost = mean.reshape(-1, 2).T
            mean = seen.worth(utility, cost * seen.cost_scale)
        now = self.explore.weights(Drawn(seen.draw, len(mean)), 1.0 + float(has["pulls"].sum()))
        value = np.asarray(mean * now.mean)
        if np.any(now.width):
            value = value + now.width * widths(has["inverse"], seen.context)
        return np.asarray(
            (log_gap_weights(value, seen.available, now.rate) if now.rate else value) + now.plus
        )

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        if self.targets == 2:
            target = np.array([heard.utility, heard.cost / seen.cost_scale])
        else:
            target = np.atleast_1d(seen.worth(np.array(heard.utility), np.array(heard.cost)))
        x, inverse = seen.context, has["inverse"][arm]
        direction = inverse @ x
        factor = 1.0 / (1.0 + x @ direction)
        u = direction * np.sqrt(factor)  # u u' is symmetric to the bit
        error = target - has["weight"][arm] @ x
        return {
            "weight": (arm, has["weight"][arm] + error[:, None] * (direction * factor)),
            "inverse": (arm, inverse - np.outer(u, u)),
            "pulls": (arm, has["pulls"][arm] + 1),
        }


class Bagged(Form, frozen=True):
    """Bootstrapped ridges, of which a random one decides: `bandits.policies.linear.bootstrap`."""

    heads: int
    ridge: Positive

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        m = self.heads
        return {"inverse": (FLOAT, (m, k, d, d)), "weight": (FLOAT, (m, k, d)), "pulls": (WHOLE, (m, k))}

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        check_inverse(has["inverse"], 1.0 / self.ridge)

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        return np.asarray(has["weight"][seen.draw.integers(self.heads)] @ seen.context)

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        reward = seen.worth(np.array(heard.utility), np.array(heard.cost))
        place = (slice(None), arm)
        importance = seen.draw.poisson(1.0, self.heads).astype(float)
        inverse, weight = rank_one(
            has["inverse"][place], has["weight"][place], seen.context, reward, importance
        )
        return {
            "inverse": (place, inverse),
            "weight": (place, weight),
            "pulls": (place, has["pulls"][place] + 1),
        }


class Logistic(Form, frozen=True):
    """A logistic model of utility, and of cost a ridge: `bandits.policies.linear.glm`."""

    alpha: NotNegative
    ridge: Positive

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        return {"inverse": (FLOAT, (k, d, d)), "weight": (FLOAT, (k, 2, d)), "pulls": (WHOLE, (k,))}

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        check_inverse(has["inverse"], 1.0 / self.ridge)

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        logit, cost = (has["weight"] @ seen.context).T
        bound = _sigmoid(logit) + self.alpha * widths(has["inverse"], seen.context)
        return np.asarray(seen.worth(np.minimum(bound, 1.0), cost * seen.cost_scale))

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        x, weight = seen.context, has["weight"][arm]
        logit, cost = weight @ x
        probability = _sigmoid(logit)
        curvature = probability * (1.0 - probability)
        direction = has["inverse"][arm] @ x
        factor = 1.0 / (1.0 + curvature * (x @ direction))
        error = np.array([heard.utility - probability, curvature * (heard.cost / seen.cost_scale - cost)])
        u = direction * np.sqrt(curvature * factor)
        return {
            "weight": (arm, weight + error[:, None] * (direction * factor)),
            "inverse": (arm, has["inverse"][arm] - np.outer(u, u)),
            "pulls": (arm, has["pulls"][arm] + 1),
        }


class Joint(Form, frozen=True):
    """Weights that all models share beside each one's own: `bandits.policies.linear.hybrid`, same letters."""

    alpha: NotNegative
    ridge: Positive

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        q = 2 * d
        shapes: dict[str, tuple[int, ...]] = {"shared": (q, q), "beta": (q,), "inverse": (k, d, d)}
        shapes |= {"cross": (k, d, q), "weight": (k, d)}
        return {name: (FLOAT, shape) for name, shape in shapes.items()}

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        for name in ("shared", "inverse"):
            check_inverse(has[name], 1.0 / self.ridge)

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        x = seen.context
        rest = _shared_features(seen) - x @ has["cross"]
        variance = (rest @ has["shared"] * rest).sum(axis=1) + widths(has["inverse"], x) ** 2
        return np.asarray(
            rest @ has["beta"] + has["weight"] @ x + self.alpha * np.sqrt(np.maximum(variance, 0.0))
        )

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        x = seen.context
        direction = has["inverse"][arm] @ x
        own = 1.0 + x @ direction
        rest = _shared_features(seen)[arm] - x @ has["cross"][arm]
        surprise = seen.worth(np.array(heard.utility), np.array(heard.cost)) - x @ has["weight"][arm]
        along = has["shared"] @ rest
        joint = own + rest @ along
        u, v = along / np.sqrt(joint), direction / np.sqrt(own)
        gain = direction / own
        return {
            "shared": (..., has["shared"] - np.outer(u, u)),
            "beta": (..., has["beta"] + along * ((surprise - rest @ has["beta"]) / joint)),
            "inverse": (arm, has["inverse"][arm] - np.outer(v, v)),
            "cross": (arm, has["cross"][arm] + np.outer(gain, rest)),
            "weight": (arm, has["weight"][arm] + gain * surprise),
        }


class Paired(Form, frozen=True):
    """One ridge over the parts of arms: `bandits.policies.linear.paired`; `parts` is `(K, P)`."""

    alpha: NotNegative
    ridge: Positive
    parts: tuple[tuple[float, ...], ...]

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        if len(self.parts) != k or len({len(row) for row in self.parts}) != 1:
            raise ValueError(f"its parts need a row of equal length for each of {k} models")
        q = len(self.parts[0]) * d
        return {"inverse": (FLOAT, (q, q)), "weight": (FLOAT, (q,))}

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        check_inverse(has["inverse"], 1.0 / self.ridge)

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        x, of_arm = seen.context, np.array(self.parts)
        count, d = of_arm.shape[1], len(x)
        mean = of_arm @ (has["weight"].reshape(count, d) @ x)
        half = (has["inverse"].reshape(-1, d) @ x).reshape(count, d, count)
        between = np.einsum("pdr,d->pr", half, x)
        variance = ((of_arm @ between) * of_arm).sum(axis=1)
        return np.asarray(mean + self.alpha * np.sqrt(np.maximum(variance, 0.0)))

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        z = np.outer(self.parts[arm], seen.context).ravel()
        reward = seen.worth(np.array(heard.utility), np.array(heard.cost))
        inverse, weight = rank_one(has["inverse"], has["weight"], z, reward)
        return {"inverse": (..., inverse), "weight": (..., weight)}


def _shared_features(seen: Seen) -> Floats:
    """Return `(K, 2 d)` as `bandits.policies.linear.hybrid.shared_features`."""
    price = np.nan_to_num(seen.price / seen.cost_scale)
    both = np.stack([np.ones_like(price), price], axis=1)
    return np.asarray((both[:, :, None] * seen.context).reshape(len(price), -1))


def _sigmoid(value: Any) -> Any:
    return 0.5 * (1.0 + np.tanh(0.5 * value))


def log_gap_weights(mean: Floats, mask: Any, rate: float) -> Floats:
    """Return the logarithm of `bandits.policies.linear.affine.gap_weights` where the mask is true."""
    best = chosen(mean, mask)
    weight = 1.0 / (mask.sum() + rate * np.maximum(mean[best] - mean, 0.0))
    weight[best] = 0.0
    weight[best] = 1.0 - weight[mask].sum()
    return np.asarray(np.log(weight))

"""A learned linear policy in NumPy, for a serving stack: choose a model for one query, learn from what it gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits import resolve
from bandits.rewards import REWARDS, Outcome, Reward
from bandits.serving import file
from bandits.serving.settings import FORMAT, About, Settings
from envs.contexts.projection import Projection, project
from envs.nearest import near

Floats = NDArray[np.floating[Any]]
_TIE = 1e-5  # as in `base.choose`
_LONGEST = 1e30  # of a number in an embedding: its square, and sums of those, stay finite


class Choice(NamedTuple):
    """Which model to call, and what `learn` needs to know of the query: its context and preference."""

    model: str
    arm: int
    context: Floats
    preference: float


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


@dataclass(frozen=True, eq=False)
class Router:
    """An exported policy: a ridge posterior for each of `K` models, changed in place by `learn`.

    Attributes:
        settings: what it is.
        projection: from embeddings to a context of `d` features.
        inverse: `(K, d, d)` float64, symmetric to the bit.
        weight: `(K, m, d)` float64, for `m` targets: reward, or utility and cost in units of the scale.
        pulls: `(K,)` int64, updates of each model.
        reward: from an outcome and a preference.
        draw: where randomised policies take their randomness from.
    """

    settings: Settings
    projection: Projection
    inverse: Floats
    weight: Floats
    pulls: NDArray[np.int64]
    reward: Reward
    draw: np.random.Generator

    def choose(
        self,
        text_embedding: ArrayLike = (),
        image_embedding: ArrayLike = (),
        *,
        preference: float | None = None,
        available: ArrayLike | Sequence[str] | None = None,
    ) -> Choice:
        """Return the model to call for a query.

        Args:
            text_embedding, image_embedding: of the sizes that the policy was trained on, any length.
            preference: this user's weight on cost, >= 0; only a policy of two targets acts on it.
            available: which models can be called: their names, or a `(K,)` bool mask; None: all.

        Raises:
            ValueError: an embedding of another size or not of finite numbers, a preference that is none, names that
                are unknown or given twice, or no model available.
        """
        given: Any = {"text": text_embedding, "image": image_embedding}
        for name in self.projection.uses:
            given[name] = _embedding(name, given[name])
        context = project(self.projection, given)
        wanted = self.settings.preference
        if preference is not None:
            wanted = _number("choose", "preference", preference)
        mask = self._mask(available)
        arm = self.arm_of(context, wanted, mask)
        return Choice(self.settings.models[arm], arm, context, wanted)

    def arm_of(self, context: Floats, preference: float, mask: NDArray[np.bool_]) -> int:
        """Return the model to call in a context `(d,)` that is ready, by its number; `mask` `(K,)` can be called.

        Raises:
            ValueError: estimates that are not finite.
        """
        index = np.where(mask, self._index(context, preference, mask), -np.inf)
        best = index.max()
        if not np.isfinite(best):
            raise ValueError(f"choose needs finite estimates, got {best} at preference {preference:g}")
        return int((index >= best - _TIE * abs(best)).argmax())

    def learn(self, choice: Choice, *, utility: float, cost: float = 0.0) -> None:
        """Take in what the chosen model gave.

        Args:
            choice: from `choose`.
            utility: in [0, 1].
            cost: of the call, in the table's unit, >= 0.

        Raises:
            ValueError: one of them is not that; nothing was learned.
        """
        k, x, preference = self._checked(choice)
        gave = _number("learn", "utility", utility, most=1.0), _number("learn", "cost", cost)
        direction = self.inverse[k] @ x
        factor = 1.0 / (1.0 + x @ direction)
        u = direction * np.sqrt(factor)  # u u' is symmetric to the bit
        error = self._target(*gave, preference) - self.weight[k] @ x
        weight = self.weight[k] + error[:, None] * (direction * factor)
        if not np.isfinite(weight).all():
            raise ValueError(
                f"learn needs a reward of finite numbers, got utility={gave[0]:g}, cost={gave[1]:g}"
            )
        self.weight[k] = weight
        self.inverse[k] -= np.outer(u, u)
        self.pulls[k] += 1

    def save(self, path: Path | str) -> None:
        """Write the policy, with all that it has learned, as one file for `load`, whole or not at all.

        The bits of what was learned come back as they are; where its draws stand is not kept.

        Raises:
            ValueError: it cannot be written there; an earlier file of that name is as it was.
        """
        fitted = self.projection
        features = self.inverse.shape[-1]
        about = About(FORMAT, self.settings, fitted.uses, fitted.sizes, fitted.fusion, features)
        arrays = {"inverse": self.inverse, "weight": self.weight, "pulls": self.pulls}
        file.write(path, about, {**arrays, "mean": fitted.mean, "axes": fitted.axes})

    def _checked(self, choice: Choice) -> tuple[int, Floats, float]:
        """Return arm, context and preference of a choice that this router can have made."""
        models = self.settings.models
        if not isinstance(choice, Choice):
            raise ValueError(f"learn needs a Choice that choose returned, got {type(choice).__name__}")
        if choice.model not in models:
            raise ValueError(
                f"learn knows no model {str(choice.model)[:80]!r}; {near(str(choice.model), models)}"
            )
        if type(choice.arm) is not int or choice.arm != models.index(choice.model):
            raise ValueError(
                f"learn needs arm {models.index(choice.model)} for {choice.model!r}, got {choice.arm!r}"
            )
        context = _numbers("learn", "a context", choice.context)
        if context.shape != self.inverse.shape[-1:] or context[-1] != 1.0:
            shape = self.inverse.shape[-1:]
            raise ValueError(f"learn needs a context of shape {shape} that ends in 1, got {context.shape}")
        return choice.arm, context, _number("learn", "preference", choice.preference)

    def _mask(self, available: Any) -> NDArray[np.bool_]:
        models = self.settings.models
        if available is None:
            return np.ones(len(models), bool)
        if isinstance(available, (list, tuple)) and all(isinstance(name, str) for name in available):
            for place, name in enumerate(available):
                if name not in models:
                    raise ValueError(f"choose knows no model {name[:80]!r}; {near(name, models)}")
                if name in available[:place]:
                    raise ValueError(f"choose needs each available model once, got {name!r} twice")
            mask = np.isin(models, available)
        else:
            mask = np.asarray(available)
            if mask.dtype != bool or mask.shape != (len(models),):
                raise ValueError(
                    f"choose needs available as names or as ({len(models)},) bool, got {mask.shape} {mask.dtype}"
                )
        if not mask.any():
            raise ValueError("choose needs at least one available model, got none")
        return mask

    def _target(self, utility: float, cost: float, preference: float) -> Floats:
        scale = self.settings.cost_scale
        if self.settings.targets == 2:
            return np.array([utility, cost / scale])
        return np.atleast_1d(_worth(self.reward, np.array(utility), np.array(cost), scale, preference))

    def _index(self, context: Floats, preference: float, mask: NDArray[np.bool_]) -> Floats:
        """Return `(K,)`, what the models are ranked by this round."""
        mean: Floats = self.weight.reshape(-1, len(context)) @ context
        if self.settings.targets == 2:
            utility, cost = mean.reshape(-1, 2).T
            scale = self.settings.cost_scale
            mean = _worth(self.reward, utility, cost * scale, scale, preference)
        now = self.settings.explore.weights(Drawn(self.draw, len(mean)), 1.0 + float(self.pulls.sum()))
        value = np.asarray(mean * now.mean)
        if np.any(now.width):
            value = value + now.width * self._width(context)
        return np.asarray((_log_gap_weights(value, mask, now.rate) if now.rate else value) + now.plus)

    def _width(self, context: Floats) -> Floats:
        """Return `(K,)` sqrt(x' A^-1 x); all models in one matrix product."""
        d = len(context)
        spread = (self.inverse.reshape(-1, d) @ context).reshape(-1, d) @ context
        return np.asarray(np.sqrt(np.maximum(spread, 0.0)))


def load(path: Path | str, *, reward: Callable[..., Any] | None = None, seed: int | None = None) -> Router:
    """Return an exported policy, ready to choose.

    Args:
        path: of a file that `simulate.py export` or `Router.save` wrote.
        reward: the function itself, where the policy was trained on a reward of your own.
        seed: of the randomness of policies that draw, such as `thompson`; None: different each time.

    Raises:
        ValueError: no such file, a damaged one, or a reward that is not built in and not given.
    """
    about, arrays = file.read(path)
    settings = about.settings
    if reward is None and ".py:" in settings.reward:
        raise ValueError(
            f"load needs reward=..., the function of {settings.reward!r} that {path} was trained on"
        )
    try:
        worth = reward or resolve.function(settings.reward, REWARDS, "reward")
        tried = _worth(worth, np.array([0.0, 1.0]), np.full(2, settings.cost_scale), settings.cost_scale, 1.0)
        if tried.shape != (2,) or not np.isfinite(tried).all():
            raise ValueError("it needs to return a finite number for each outcome")
    except Exception as error:  # whatever a reward of the user's own raises
        raise ValueError(f"the reward {settings.reward!r} of {path} cannot be used: {error}") from error
    fitted = Projection(about.uses, about.sizes, about.fusion, arrays["mean"], arrays["axes"])
    learned = arrays["inverse"], arrays["weight"], arrays["pulls"]
    return Router(settings, fitted, *learned, worth, np.random.default_rng(seed))


def _worth(reward: Reward, utility: Floats, cost: Floats, scale: float, preference: float) -> Floats:
    unknown = np.full_like(utility, np.nan)
    return np.asarray(reward(Outcome(utility, cost, unknown, unknown, scale), preference))


def _log_gap_weights(mean: Floats, mask: NDArray[np.bool_], rate: float) -> Floats:
    """Return the logarithm of `bandits.policies.linear.affine.gap_weights` where the mask is true."""
    masked = np.where(mask, mean, -np.inf)
    top = masked.max()
    best = int((masked >= top - _TIE * abs(top)).argmax())
    weight = 1.0 / (mask.sum() + rate * np.maximum(mean[best] - mean, 0.0))
    weight[best] = 0.0
    weight[best] = 1.0 - weight[mask].sum()
    return np.asarray(np.log(weight))


def _number(where: str, what: str, given: Any, most: float = np.inf) -> float:
    """Return a number in [0, most], or raise."""
    try:
        number = np.nan if isinstance(given, (str, bytes)) else float(given)
    except (TypeError, ValueError, OverflowError):
        number = np.nan
    if not (np.isfinite(number) and 0 <= number <= most):
        wanted = "a finite number >= 0" if most == np.inf else f"a number in [0, {most:g}]"
        raise ValueError(f"{where} needs {wanted} as {what}, got {str(given)[:80]!r}")
    return number


def _numbers(where: str, what: str, given: Any) -> Floats:
    """Return an array of finite numbers as float64, or raise."""
    try:
        array = np.asarray(given)
    except ValueError:
        array = np.asarray(None)
    if array.size and array.dtype.kind not in "fiu":
        raise ValueError(f"{where} needs {what} of numbers, got {array.dtype}")
    # A NaN compares as False.
    if not (np.abs(array) <= _LONGEST).all():
        raise ValueError(f"{where} needs {what} of finite numbers")
    return array.astype(np.float64)


def _embedding(name: str, given: Any) -> Floats:
    return _numbers("choose", f"{name}_embedding", given)

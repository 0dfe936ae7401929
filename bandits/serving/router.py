"""A learned policy in NumPy, for a serving stack: choose a model for one query, learn from what it gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits import resolve
from bandits.forms.form import Heard, Seen, chosen
from bandits.rewards import REWARDS, Outcome, Reward
from bandits.serving import file
from bandits.serving.settings import FORMAT, About, Arrays, Settings, described, projected
from envs.contexts.projection import Projection, project
from envs.nearest import near

Floats = NDArray[np.floating[Any]]
_LONGEST = 1e30  # of a number in an embedding: its square, and sums of those, stay finite


class Choice(NamedTuple):
    """Which model to call, and what `learn` needs to know of the query.

    Attributes:
        model: its name.
        arm: its number.
        context: `(d,)` of the query.
        preference: its weight on cost.
        chance: with which the model was called, where the policy learns by it; else 1.
        available: names of the models that could be called; None: all.
        kept: what a policy that chooses among policies needs to know of the call.
    """

    model: str
    arm: int
    context: Floats
    preference: float
    chance: float = 1.0
    available: tuple[str, ...] | None = None
    kept: tuple[int, ...] = ()

    def __repr__(self) -> str:
        """One line, without the features."""
        return f"Choice({self.model!r}, preference={self.preference:g}, chance={self.chance:.4g})"


@dataclass(frozen=True, eq=False)
class Router:
    """An exported policy of `K` models, changed in place by `learn`.

    Attributes:
        settings: what it is.
        projection: from a query to a context of `d` features.
        learned: its arrays, as its form has them: `settings.form.layout(K, d)`.
        reward: from an outcome and a preference.
        draw: where randomised policies take their randomness from.
    """

    settings: Settings
    projection: Projection
    learned: Arrays
    reward: Reward
    draw: np.random.Generator

    def __repr__(self) -> str:
        """One line, without the arrays."""
        models = ", ".join(self.settings.models)
        return f"Router({self.settings.policy} of {models}; learned from {self.settings.label})"

    def choose(
        self,
        text: ArrayLike | str = (),
        image: ArrayLike = (),
        *,
        dataset: str | None = None,
        preference: float | None = None,
        available: ArrayLike | Sequence[str] | None = None,
    ) -> Choice:
        """Return the model to call for a query.

        Args:
            text, image: embeddings of the sizes that the policy was trained on, any length; the text itself where it
                was trained on questions without embeddings. What the policy does not use is not looked at.
            dataset: of the query, where the policy was trained on indicators of data sets.
            preference: this user's weight on cost, >= 0; only a policy that learns utility and cost apart acts on it.
            available: which models can be called: their names, or a `(K,)` bool mask; None: all.

        Raises:
            ValueError: an embedding of another size or not of finite numbers, a preference that is none, names that
                are unknown or given twice, or no model available.
        """
        given: Any = {"text": text, "image": image, "dataset": dataset}
        for name in self.projection.uses:
            if name == "image" or (name == "text" and self.projection.words is None):
                given[name] = _embedding(name, given[name])
        context = project(self.projection, given)
        wanted = self.settings.preference
        if preference is not None:
            wanted = _number("choose", "preference", preference)
        mask = self._mask(available)
        seen = self._seen(context, wanted, mask)
        decided, models = self.settings.form.decide(self.learned, seen), self.settings.models
        arm = _called(decided.value, seen)
        chance = (
            1.0 if decided.chances is None else min(float(decided.chances[arm]), 1.0)
        )  # sums may round above it
        open_ = None if available is None else tuple(np.array(models)[mask].tolist())
        return Choice(models[arm], arm, context, wanted, chance, open_, decided.kept)

    def arm_of(self, context: Floats, preference: float, mask: NDArray[np.bool_]) -> int:
        """Return the model to call in a context `(d,)` that is ready, by its number; `mask` `(K,)` can be called.

        Raises:
            ValueError: estimates that are not finite.
        """
        seen = self._seen(context, preference, mask)
        return _called(self.settings.form.index(self.learned, seen), seen)

    def _seen(self, context: Floats, preference: float, mask: NDArray[np.bool_]) -> Seen:
        scale = self.settings.cost_scale

        def worth(utility: Any, cost: Any) -> Floats:
            return _worth(self.reward, utility, cost, scale, preference)

        price = np.array([np.nan if p is None else p for p in self.settings.price])
        return Seen(context, mask, price, scale, worth, preference, self.draw)

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
        seen = self._seen(x, preference, self._mask(choice.available))
        heard = Heard(*gave, _number("learn", "chance", choice.chance, most=1.0), self._kept(choice))
        changes = self.settings.form.changes(self.learned, seen, k, heard)
        if not all(np.isfinite(value).all() for _, value in changes.values()):
            raise ValueError(
                f"learn needs a reward of finite numbers, got utility={gave[0]:g}, cost={gave[1]:g}"
            )
        for name, (place, value) in changes.items():
            self.learned[name][place] = value

    def save(self, path: Path | str) -> None:
        """Write the policy, with all that it has learned, as one file for `load`, whole or not at all.

        The bits of what was learned come back as they are; where its draws stand is not kept.

        Raises:
            ValueError: it cannot be written there; an earlier file of that name is as it was.
        """
        context, arrays = described(self.projection)
        file.write(path, About(FORMAT, self.settings, context), {**self.learned, **arrays})

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
        shape = (self.projection.features,)
        if context.shape != shape or context[-1] != 1.0:
            raise ValueError(f"learn needs a context of shape {shape} that ends in 1, got {context.shape}")
        return choice.arm, context, _number("learn", "preference", choice.preference)

    def _kept(self, choice: Choice) -> tuple[int, ...]:
        """Return what a choice keeps of the call, if it is what the policy can have kept."""
        below = self.settings.form.keeps(len(self.settings.models))
        kept = tuple(choice.kept) if isinstance(choice.kept, (list, tuple)) else None
        if (
            kept is None
            or len(kept) != len(below)
            or any(type(n) is not int or not 0 <= n < most for n, most in zip(kept, below, strict=True))
        ):
            raise ValueError(f"learn needs what choose kept of the call, got {str(choice.kept)[:80]!r}")
        return kept

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
    learned = {
        name: arrays[name] for name in settings.form.layout(len(settings.models), about.context.features)
    }
    return Router(settings, projected(about.context, arrays), learned, worth, np.random.default_rng(seed))


def _called(index: Floats, seen: Seen) -> int:
    """Return the model of the highest index, or refuse one that is not finite."""
    best = index.max(where=seen.available, initial=-np.inf)
    if not np.isfinite(best):
        raise ValueError(f"choose needs finite estimates, got {best} at preference {seen.preference:g}")
    return chosen(index, seen.available)


def _worth(reward: Reward, utility: Floats, cost: Floats, scale: float, preference: float) -> Floats:
    unknown = np.full_like(utility, np.nan)
    return np.asarray(reward(Outcome(utility, cost, unknown, unknown, scale), preference))


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

"""A learned linear policy in NumPy, for a serving stack: choose a model for one query, learn from what it gave."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.rewards import REWARDS, Outcome, Reward
from envs.contexts.projection import Projection, project

Floats = NDArray[np.floating[Any]]
FORMAT = 1  # of the file
_TIE = 1e-5  # as in `base.choose`


class Choice(NamedTuple):
    """Which model to call, and what `learn` needs to know of the query: its context and preference."""

    model: str
    arm: int
    context: Floats
    preference: float


class Settings(NamedTuple):
    """What an exported policy is, besides its numbers.

    Attributes:
        policy: `linucb`, `thompson`, `epsilon`, `greedy`, `softmax` or `preference`.
        hyper: its hyperparameters.
        reward: spec of the reward that it was trained on.
        preference: weight on cost when a query brings none; the mean one where the run drew them.
        cost_scale: the unit in which rewards count cost.
        models: `K` names.
        label: what the numbers that it learned from are.
        sha256: of those.
    """

    policy: str
    hyper: dict[str, float]
    reward: str
    preference: float
    cost_scale: float
    models: tuple[str, ...]
    label: str
    sha256: str


@dataclass(frozen=True, eq=False)
class Router:
    """An exported policy: a ridge posterior for each of `K` models, changed in place by `learn`.

    Attributes:
        settings: what it is.
        projection: from embeddings to a context of `d` features.
        inverse: `(K, d, d)` float64.
        weight: `(K, m, d)` float64, for `m` targets: reward, or utility and cost in units of the scale.
        pulls: `(K,)` updates heard.
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
        available: ArrayLike | None = None,
    ) -> Choice:
        """Return the model to call for a query.

        Args:
            text_embedding, image_embedding: of the sizes that the policy was trained on, any length.
            preference: this user's weight on cost; only the policy `preference` acts on it.
            available: `(K,)` bool, which models can be called; None: all.

        Raises:
            ValueError: an embedding of another size, or no model available.
        """
        given: Any = {"text": text_embedding, "image": image_embedding}
        context = project(self.projection, given)
        wanted = self.settings.preference if preference is None else float(preference)
        index = self._index(context, wanted)
        if available is not None:
            index = np.where(np.asarray(available, bool), index, -np.inf)
        best = index.max()
        if best == -np.inf:
            raise ValueError("choose needs at least one available model, got none")
        arm = int((index >= best - _TIE * abs(best)).argmax())
        return Choice(self.settings.models[arm], arm, context, wanted)

    def learn(self, choice: Choice, *, utility: float, cost: float = 0.0) -> None:
        """Take in what the chosen model gave.

        Args:
            choice: from `choose`.
            utility: in [0, 1].
            cost: of the call, in the table's unit.
        """
        k, x = choice.arm, choice.context
        direction = self.inverse[k] @ x
        gain = direction / (1.0 + x @ direction)
        error = self._target(choice, utility, cost) - self.weight[k] @ x
        self.weight[k] += error[:, None] * gain
        self.inverse[k] -= np.outer(gain, direction)
        self.pulls[k] += 1

    def _target(self, choice: Choice, utility: float, cost: float) -> Floats:
        scale = self.settings.cost_scale
        if self.settings.policy == "preference":
            return np.array([utility, cost / scale])
        return np.atleast_1d(_worth(self.reward, np.array(utility), np.array(cost), scale, choice.preference))

    def _index(self, context: Floats, preference: float) -> Floats:
        """Return `(K,)`, what each policy ranks the models by."""
        hyper, policy = self.settings.hyper, self.settings.policy
        mean: Floats = self.weight.reshape(-1, len(context)) @ context
        if policy == "preference":
            utility, cost = mean.reshape(-1, 2).T
            scale = self.settings.cost_scale
            mean = _worth(self.reward, utility, cost * scale, scale, preference)
        if policy in ("linucb", "preference"):
            return np.asarray(mean + hyper["alpha"] * self._width(context))
        if policy == "thompson":
            return mean + hyper["v"] * self._width(context) * self.draw.standard_normal(len(mean))
        turn = 1 + int(self.pulls.sum())
        if policy == "softmax":
            return np.asarray(
                mean + hyper["temperature"] / turn ** hyper["decay"] * self.draw.gumbel(size=len(mean))
            )
        if policy == "epsilon" and self.draw.random() < hyper["epsilon"] / (1 + hyper["decay"] * turn):
            return np.asarray(self.draw.random(len(mean)))
        return mean

    def _width(self, context: Floats) -> Floats:
        """Return `(K,)` sqrt(x' A^-1 x); all models in one matrix product."""
        d = len(context)
        spread = (self.inverse.reshape(-1, d) @ context).reshape(-1, d) @ context
        return np.asarray(np.sqrt(np.maximum(spread, 0.0)))


def _worth(reward: Reward, utility: Floats, cost: Floats, scale: float, preference: float) -> Floats:
    unknown = np.full_like(utility, np.nan)
    return np.asarray(reward(Outcome(utility, cost, unknown, unknown, scale), preference))


def save(router: Router, path: Path | str) -> None:
    """Write an exported policy as one `.npz` file, whole or not at all; nothing in it is pickled.

    Raises:
        ValueError: it cannot be written there.
    """
    place = Path(path)
    about = {"format": FORMAT, **router.settings._asdict(), "uses": router.projection.uses}
    about |= {"sizes": router.projection.sizes, "fusion": router.projection.fusion}
    arrays = {"inverse": router.inverse, "weight": router.weight, "pulls": router.pulls}
    arrays |= {"mean": router.projection.mean, "axes": router.projection.axes}
    part = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)
        os.replace(part, place)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def load(path: Path | str, *, reward: Callable[..., Any] | None = None, seed: int | None = None) -> Router:
    """Return an exported policy, ready to choose.

    Args:
        path: of a file that `simulate.py export` wrote.
        reward: the function itself, where the policy was trained on a reward of your own.
        seed: of the randomness of `thompson`, `softmax` and `epsilon`; None: different each time.

    Raises:
        ValueError: no such file, not an exported policy, or a reward that is not built in and not given.
    """
    from bandits import resolve

    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        about = json.loads(str(arrays.pop("about")))
    except FileNotFoundError:
        raise ValueError(f"load needs a file that `simulate.py export` wrote; there is no {path}") from None
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"load needs a file that `simulate.py export` wrote, got {path}: {error}") from error
    if about.get("format") != FORMAT:
        raise ValueError(f"load needs an export of format {FORMAT}, {path} has {about.get('format')}")
    if reward is None and ".py:" in about["reward"]:
        raise ValueError(f"load needs reward=..., the function of {about['reward']!r} that it was trained on")
    settings = Settings(**{name: about[name] for name in Settings._fields})._replace(
        models=tuple(about["models"])
    )
    projection = Projection(
        tuple(about["uses"]), tuple(about["sizes"]), about["fusion"], arrays["mean"], arrays["axes"]
    )
    return Router(
        settings,
        projection,
        arrays["inverse"],
        arrays["weight"],
        arrays["pulls"],
        reward or resolve.function(about["reward"], REWARDS, "reward"),
        np.random.default_rng(seed),
    )

"""Ridges explored by samples of their posterior: `bandits.policies.linear.ids` and `feelgood`, same letters."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAST = 1e-12  # as in `ids`


class _Sampled(Form, frozen=True, tag=True):
    """Disjoint ridges of the reward, their posterior `v` widths wide."""

    v: Positive
    ridge: Positive

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        return {"inverse": (FLOAT, (k, d, d)), "weight": (FLOAT, (k, d)), "pulls": (WHOLE, (k,))}

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        check_inverse(has["inverse"], 1.0 / self.ridge)

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        reward = seen.worth(np.array(heard.utility), np.array(heard.cost))
        inverse, weight = rank_one(has["inverse"][arm], has["weight"][arm], seen.context, reward)
        return {
            "inverse": (arm, inverse),
            "weight": (arm, weight),
            "pulls": (arm, has["pulls"][arm] + 1),
        }


class Directed(_Sampled, frozen=True):
    """`ids`: by the lowest squared regret for what a call tells of which model is the best."""

    draws: Annotated[int, Meta(ge=2, le=100_000)]

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        mean = has["weight"] @ seen.context
        width = widths(has["inverse"], seen.context)
        drawn = mean + self.v * width * normal(self.draws, len(mean))
        regret, told = worth(drawn, seen.available)
        with np.errstate(divide="ignore"):
            chance = np.log(directed(regret, told, seen.available))
        return np.asarray(chance + seen.draw.gumbel(size=len(mean)))


@lru_cache(8)
def normal(draws: int, k: int) -> Floats:
    """Return `(draws, K)` standard normal numbers, the same ones in every round of `ids`, here and in a run."""
    return np.random.default_rng(0).normal(size=(draws, k)).astype(np.float32)


def worth(drawn: Floats, available: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return regret and information, as `bandits.policies.linear.ids.worth` does."""
    best = np.where(available, drawn, -np.inf)
    first = np.eye(drawn.shape[1])[best.argmax(axis=1)]
    often, mean = first.mean(axis=0), drawn.mean(axis=0)
    given = first.T @ drawn / np.maximum(first.sum(axis=0), 1.0)[:, None]
    return np.maximum(best.max(axis=1).mean() - mean, 0.0), often @ (given - mean) ** 2


def directed(regret: Floats, told: Floats, available: NDArray[np.bool_]) -> Floats:
    """Return the `(K,)` probabilities of the lowest information ratio, as `bandits.policies.linear.ids.directed`."""
    d_regret, d_told = regret[:, None] - regret, told[:, None] - told
    moves = (d_regret != 0) & (d_told != 0)
    still = regret / np.where(moves, d_regret, 1.0) - 2.0 * told / np.where(moves, d_told, 1.0)
    inside = np.where(moves, np.clip(still, 0.0, 1.0), 0.0)
    shares = np.stack([np.zeros_like(inside), np.ones_like(inside), inside])
    lost, learned = regret + shares * d_regret, told + shares * d_told
    ratios = np.where(np.outer(available, available), lost**2 / np.maximum(learned, _LEAST), np.inf)
    which, row, column = np.unravel_index(int(ratios.argmin()), ratios.shape)
    chance = np.zeros(len(regret))
    chance[row] += shares[which, row, column]
    chance[column] += 1.0 - shares[which, row, column]
    return chance


class Cheering(_Sampled, frozen=True):
    """`feelgood`: the best model of a world drawn from those in which much can be had."""

    optimism: NotNegative
    most: float
    draws: Annotated[int, Meta(ge=1, le=100_000)]
    memory: Annotated[int, Meta(ge=1, le=1_000_000)]

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        more: Layout = {"root": (FLOAT, (k, d, d)), "past": (FLOAT, (self.memory, d)), "rounds": (WHOLE, ())}
        return super().layout(k, d) | more

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        super().check(has)
        product = has["root"] @ np.swapaxes(has["root"], -1, -2)
        if not np.allclose(product, has["inverse"], atol=1e-4 / self.ridge):
            raise ValueError("its roots need to be those of its inverse matrices")

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        k, d = has["weight"].shape
        # In float32: the samples are what takes the time, and need no more digits.
        drawn = seen.draw.standard_normal((k, d, self.draws), np.float32)
        theta = has["weight"][..., None] + self.v * (has["root"].astype(np.float32) @ drawn)  # (K, d, draws)
        rounds = int(has["rounds"])
        filled = min(rounds, self.memory)
        best = (has["past"][:filled] @ theta).max(axis=0)  # (filled, draws)
        felt = np.minimum(best, self.most).sum(axis=0) * (self.optimism * rounds / max(filled, 1))
        picked = int((felt + seen.draw.gumbel(size=self.draws)).argmax())
        return np.asarray(theta[:, :, picked] @ seen.context)

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """See `Form`."""
        found = super().changes(has, seen, arm, heard)
        rounds = int(has["rounds"])
        return {
            **found,
            "root": (arm, np.linalg.cholesky(found["inverse"][1])),
            "past": (rounds % self.memory, seen.context),
            "rounds": (..., rounds + 1),
        }

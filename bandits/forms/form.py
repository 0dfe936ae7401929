"""What every form has in common: what it sees of a query, what it hears of a call, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bandits.base import State

Floats = NDArray[np.floating[Any]]
Arrays = Mapping[str, NDArray[Any]]
Layout = dict[str, tuple[str, tuple[int, ...]]]
Changes = dict[str, tuple[Any, Any]]
FLOAT, WHOLE, BOOL = "<f8", "<i8", "|b1"


class Seen(NamedTuple):
    """A query before its call, to `K` models.

    Attributes:
        context: `(d,)`, the constant 1 last.
        available: `(K,)` bool.
        price: `(K,)` posted cost of a call, NaN where none is posted.
        cost_scale: the unit in which rewards count cost.
        worth: `(utility, cost) -> reward`, elementwise, at this query's preference.
        preference: its weight on cost.
        draw: where randomness comes from.
    """

    context: Floats
    available: NDArray[np.bool_]
    price: Floats
    cost_scale: float
    worth: Callable[[Any, Any], Any]
    preference: float
    draw: np.random.Generator


class Heard(NamedTuple):
    """What a call gave: utility, cost, the probability with which the model was called (1: not drawn), and what the
    form wanted to be kept of the call."""

    utility: float
    cost: float
    chance: float = 1.0
    kept: tuple[int, ...] = ()


class Decided(NamedTuple):
    """A decision: `value` `(K,)`, the index of which the highest is called, `(K,)` probabilities where `changes` needs
    them, and what it needs besides, should other calls be heard before this one."""

    value: Floats
    chances: Floats | None = None
    kept: tuple[int, ...] = ()


class Form(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """A policy's hyperparameters, and what is computed from them and from the arrays that it has learned."""

    @property
    def featured(self) -> bool:
        """Whether it reads the context."""
        return True

    @property
    def served(self) -> Form:
        """What a service keeps of it."""
        return self

    def layout(self, k: int, d: int) -> Layout:
        """Return dtype and shape of each array that it learns, for `k` models and `d` features."""
        raise NotImplementedError

    def check(self, has: Arrays) -> None:
        """Raise a ValueError unless arrays of the right layout, all finite, can have been learned."""

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """Return the `(K,)` index of which the highest is called."""
        raise NotImplementedError

    def chances(self, has: Arrays, seen: Seen) -> Floats | None:
        """Return the `(K,)` probabilities of the next call where `changes` needs them."""
        del has, seen
        return None

    def decide(self, has: Arrays, seen: Seen) -> Decided:
        """Return the index, what is drawn from it and what `changes` needs of the call."""
        return Decided(self.index(has, seen), self.chances(has, seen))

    def keeps(self, k: int) -> tuple[int, ...]:
        """Return below which number each of what `decide` keeps lies, for `k` models."""
        del k
        return ()

    def changes(self, has: Arrays, seen: Seen, arm: int, heard: Heard) -> Changes:
        """Return what a call changes: for each array the place in it, and what stands there now."""
        raise NotImplementedError

    def arrays(self, state: State) -> Arrays:
        """Return the arrays of a replayed policy's state by their names in `layout`."""
        return leaves(state)


def leaves(state: State) -> dict[str, NDArray[Any]]:
    """Return the arrays of a state of named tuples by the names of their fields, inner ones without the outer's."""
    found: dict[str, NDArray[Any]] = {}
    for name, value in state._asdict().items() if hasattr(state, "_asdict") else ():
        found |= leaves(value) if hasattr(value, "_asdict") else {name: np.asarray(value)}
    return found


def taken(form: Form, state: State, k: int, d: int) -> dict[str, NDArray[Any]]:
    """Return what a form keeps of a replayed policy's state, as its layout has it."""
    has = form.arrays(state)
    return {
        name: np.array(has[name], dtype).reshape(shape) for name, (dtype, shape) in form.layout(k, d).items()
    }


def part(has: Arrays, name: str) -> Arrays:
    """Return the arrays of one of a form's parts, named `name.` before their own names."""
    start = f"{name}."
    return {key[len(start) :]: array for key, array in has.items() if key.startswith(start)}


def parted(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what belongs to a part's arrays by their names in the whole: the inverse of `part`."""
    return {f"{name}.{key}": value for key, value in found.items()}


TIE = 1e-5  # as in `base.choose`


def chosen(index: Floats, available: NDArray[np.bool_]) -> int:
    """Return the available model of the highest index; ties as in `base.choose`."""
    masked = np.where(available, index, -np.inf)
    best = masked.max()
    return int((masked >= best - TIE * abs(best)).argmax())


def widths(inverse: Floats, context: Floats) -> Floats:
    """Return `sqrt(x' A^-1 x)` of every matrix in `(..., d, d)`, all in one matrix product."""
    d = len(context)
    spread = (inverse.reshape(-1, d) @ context).reshape(-1, d) @ context
    return np.asarray(np.sqrt(np.maximum(spread, 0.0)).reshape(inverse.shape[:-2]))


def check_inverse(inverse: Floats, most: Floats | float) -> None:
    """Raise unless inverses `(..., d, d)` are symmetric, positive definite and no wider than before the first call."""
    if not np.array_equal(inverse, np.swapaxes(inverse, -1, -2)):
        raise ValueError("its inverse matrices need to be symmetric")
    found = np.diagonal(inverse, axis1=-2, axis2=-1)
    if (found > (1 + 1e-6) * np.asarray(most)).any():  # by rounding they may exceed it
        raise ValueError(f"its inverse matrices need diagonals up to 1/ridge, got {found.max():g}")
    try:
        np.linalg.cholesky(inverse)
    except np.linalg.LinAlgError:
        raise ValueError("its inverse matrices need to be positive definite") from None


def rank_one(inverse: Floats, weight: Floats, context: Floats, target: Any, importance: Any = 1.0) -> Any:
    """Return inverse and weight after a target was heard, as `bandits.policies.linear.ridge.learn` does.

    Args:
        inverse: `(..., d, d)`.
        weight: `(..., d)`, or `(m, d)` for `m` targets of one inverse.
        context: `(d,)`.
        target: `()`, or `(m,)`.
        importance: `()` or of the leading shape, weight of the observation; -1 takes it out again.
    """
    direction = inverse @ context
    factor = np.asarray(importance / (1.0 + importance * (direction @ context)))
    u = direction * np.sqrt(np.abs(factor))[..., None]  # u u' is symmetric to the bit
    error = target - weight @ context
    gain = direction * factor[..., None]
    moved = error[..., None] * gain
    return inverse - np.sign(factor)[..., None, None] * (u[..., :, None] * u[..., None, :]), weight + moved

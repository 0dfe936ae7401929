"""What an exported policy is besides its arrays, typed: the header of its file, and what the arrays have to be."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from bandits.policies.linear.exploring import Explore, NotNegative, Positive

FORMAT = 2  # of the file
_LARGEST = 1e30  # of a number in a file: squares of it, and sums of those, stay finite
_ROUNDING = 1e-6  # by which an inverse may exceed what it was before the first call

Arrays = dict[str, NDArray[Any]]
Name = Annotated[str, Meta(min_length=1, max_length=500)]
Size = Annotated[int, Meta(ge=1, le=1_000_000)]


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """What an exported policy is, besides its numbers.

    Attributes:
        policy: its spec, as the run was given it.
        explore: how it explores.
        ridge: prior precision of every weight.
        targets: 1, the reward; or 2, utility and cost in units of the scale, joined by the reward at each query's
            preference.
        reward: spec of the reward that it was trained on.
        preference: weight on cost when a query brings none; the mean one where the run drew them.
        cost_scale: the unit in which rewards count cost.
        models: `K` names, each once.
        label: what the numbers that it learned from are.
        sha256: of those.
    """

    policy: Annotated[str, Meta(min_length=1, max_length=2_000)]
    explore: Explore
    ridge: Positive
    targets: Literal[1, 2]
    reward: Name
    preference: NotNegative
    cost_scale: Positive
    models: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=100_000)]
    label: Annotated[str, Meta(max_length=2_000)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class About(Struct, frozen=True, forbid_unknown_fields=True):
    """The header: the format's number, the settings, and the text half of the projection."""

    format: int
    settings: Settings
    uses: Annotated[tuple[str, ...], Meta(min_length=1, max_length=2)]
    sizes: Annotated[tuple[Size, ...], Meta(min_length=1, max_length=2)]
    fusion: Annotated[str, Meta(pattern="^(concat|mean)$")]
    features: Annotated[int, Meta(ge=1, le=1_000_000)]


def layout(about: About) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the dtype and shape of every array that belongs to a header.

    Raises:
        ValueError: the header contradicts itself.
    """
    models, d = about.settings.models, about.features
    if len(set(models)) < len(models):
        raise ValueError("its models need to be named once each")
    if about.uses not in (("text",), ("image",), ("text", "image")) or len(about.sizes) != len(about.uses):
        raise ValueError(f"its embeddings are {about.uses} of sizes {about.sizes}")
    joined = min(about.sizes) if about.fusion == "mean" else sum(about.sizes)
    k, m = len(models), about.settings.targets
    return {
        "inverse": ("<f8", (k, d, d)),
        "weight": ("<f8", (k, m, d)),
        "pulls": ("<i8", (k,)),
        "mean": ("<f8", (joined,)),
        "axes": ("<f8", (joined, d - 1)),
    }


def check_values(about: About, arrays: Arrays) -> None:
    """Raise a ValueError unless arrays of the right layout hold what a policy can have learned."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not (np.abs(array) <= _LARGEST).all():
            raise ValueError(f"its {name} needs finite numbers up to {_LARGEST:g}")
    if (arrays["pulls"] < 0).any():
        raise ValueError("its pulls need to be at least 0")
    inverse = arrays["inverse"]
    if not np.array_equal(inverse, inverse.transpose(0, 2, 1)):
        raise ValueError("its inverse matrices need to be symmetric")
    most = np.diagonal(inverse, axis1=1, axis2=2).max()
    if most > (1 + _ROUNDING) / about.settings.ridge:
        raise ValueError(f"its inverse matrices need diagonals up to 1/ridge, got {most:g}")
    try:
        np.linalg.cholesky(inverse)
    except np.linalg.LinAlgError:
        raise ValueError("its inverse matrices need to be positive definite") from None

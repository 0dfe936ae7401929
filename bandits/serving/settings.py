"""What an exported policy is besides its arrays, typed: the header of its file, and what the arrays have to be."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from bandits.forms import Forms
from bandits.forms.exploring import NotNegative, Positive
from envs.contexts.projection import Projection
from envs.contexts.words import HASHED, Words

FORMAT = 3  # of the file
_LARGEST = 1e30  # of a number in a file: squares of it, and sums of those, stay finite
_USES = ((), ("text",), ("image",), ("text", "image"), ("dataset",))

Arrays = dict[str, NDArray[Any]]
Name = Annotated[str, Meta(min_length=1, max_length=500)]
Size = Annotated[int, Meta(ge=1, le=1_000_000)]


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """What an exported policy is, besides its numbers.

    Attributes:
        policy: its spec, as the run was given it.
        form: its kind and hyperparameters.
        reward: spec of the reward that it was trained on.
        preference: weight on cost when a query brings none; the mean one where the run drew them.
        cost_scale: the unit in which rewards count cost.
        models: `K` names, each once.
        price: posted cost of a call of each; None where none is posted.
        label: what the numbers that it learned from are.
        sha256: of those.
    """

    policy: Annotated[str, Meta(min_length=1, max_length=2_000)]
    form: Forms
    reward: Name
    preference: NotNegative
    cost_scale: Positive
    models: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=100_000)]
    price: tuple[NotNegative | None, ...]
    label: Annotated[str, Meta(max_length=2_000)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Context(Struct, frozen=True, forbid_unknown_fields=True):
    """The text half of the projection; `columns` and `rare` of its `Words`, 0 where embeddings are given."""

    uses: Annotated[tuple[str, ...], Meta(max_length=2)]
    sizes: Annotated[tuple[Size, ...], Meta(max_length=2)]
    fusion: Annotated[str, Meta(pattern="^(concat|mean|adaptive)$")]
    features: Annotated[int, Meta(ge=1, le=1_000_000)]
    columns: Annotated[int, Meta(ge=0, le=HASHED)]
    rare: NotNegative
    datasets: Annotated[tuple[str, ...], Meta(max_length=1_000_000)]


class About(Struct, frozen=True, forbid_unknown_fields=True):
    """The header: the format's number, the settings and the context."""

    format: int
    settings: Settings
    context: Context


def described(projection: Projection) -> tuple[Context, Arrays]:
    """Return a projection's half in text and its arrays."""
    known = projection.words
    context = Context(
        projection.uses,
        projection.sizes,
        projection.fusion,
        projection.features,
        0 if known is None else len(known.columns),
        0.0 if known is None else known.rare,
        projection.datasets,
    )
    arrays: Arrays = {"context.mean": projection.mean, "context.axes": projection.axes}
    if projection.centres is not None:
        arrays["context.centres"] = projection.centres
    if known is not None:
        parts: Arrays = {"columns": known.columns, "weight": known.weight, "axes": known.axes}
        arrays |= {f"words.{name}": array for name, array in parts.items()}
    return context, arrays


def projected(context: Context, arrays: Arrays) -> Projection:
    """Return the projection of its two halves."""
    known = None
    if context.columns:
        known = Words(arrays["words.columns"], arrays["words.weight"], arrays["words.axes"], context.rare)
    return Projection(
        context.uses,
        context.sizes,
        context.fusion,
        arrays["context.mean"],
        arrays["context.axes"],
        arrays.get("context.centres"),
        known,
        context.datasets,
    )


def layout(about: About) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the dtype and shape of every array that belongs to a header.

    Raises:
        ValueError: the header contradicts itself.
    """
    models, context = about.settings.models, about.context
    if len(set(models)) < len(models):
        raise ValueError("its models need to be named once each")
    if len(about.settings.price) != len(models):
        raise ValueError(f"its {len(models)} models need a price each, or none")
    if context.uses not in _USES or len(context.sizes) != len(context.uses):
        raise ValueError(f"its embeddings are {context.uses} of sizes {context.sizes}")
    named = len(context.datasets)
    alone = context.uses == ("dataset",)
    if len(set(context.datasets)) != named or (alone and context.sizes != (named,)):
        raise ValueError("its data sets need to be named once each")
    beside = 0 if alone else named
    if beside > context.features - 1 or (beside and not context.uses):
        raise ValueError(f"its {beside} data sets need to be among {context.features - 1} features")
    if context.columns and "text" not in context.uses:
        raise ValueError("its words need a text to embed")
    two = len(context.uses) == 2
    least = min(context.sizes, default=0)
    joined = least if two and context.fusion != "concat" else sum(context.sizes)
    found = about.settings.form.layout(len(models), context.features)
    found = {
        **found,
        "context.mean": ("<f8", (joined,)),
        "context.axes": ("<f8", (joined, context.features - 1 - beside)),
    }
    if two and context.fusion == "adaptive":
        found["context.centres"] = ("<f8", (2, least + 2))
    if n := context.columns:
        found |= {"words.columns": ("<i8", (n,)), "words.weight": ("<f8", (n,))}
        found["words.axes"] = ("<f4", (n, context.sizes[0]))
    return found


def check_values(about: About, arrays: Arrays) -> None:
    """Raise a ValueError unless arrays of the right layout hold what a policy can have learned."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not (np.abs(array) <= _LARGEST).all():
            raise ValueError(f"its {name} needs finite numbers up to {_LARGEST:g}")
        if array.dtype.kind == "i" and (array < (-1 if name.rpartition(".")[2] == "arm" else 0)).any():
            raise ValueError(f"its {name} need to be at least 0")
    columns = arrays.get("words.columns", np.zeros(0))
    if (np.diff(columns) <= 0).any() or (columns >= HASHED).any():
        raise ValueError(f"its words.columns need to ascend and to be below {HASHED}")
    about.settings.form.check(arrays)

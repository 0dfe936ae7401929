"""A sweep's TOML file as plain values: its keys, and tables of lists multiplied out."""

from __future__ import annotations

import inspect
import itertools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

import msgspec

import envs
from bandits.experiment.ask import Ask
from envs.nearest import near

_WHOLE, _LARGEST = 2**31 - 1, 1e30  # int32 on the device; float32 ends at 3e38
NONE = "none"  # the budget that limits nothing, beside others that do
# Keys whose values are multiplied with one another; every other key is an option of `Ask`, the same for all jobs.
_MULTIPLIED = {
    "policies": (),
    "rewards": ("linear",),
    "preferences": (0.2,),
    "budgets": (NONE,),
    "pacings": ("stop",),
    "streams": ("all",),
}
_LISTED = ("policies", "reward", "preference", "budget", "pacing")
_OPTIONS = tuple(k for k in Ask._fields if k not in _LISTED)
_Texts = str | list[str]  # of a stream's table; a list is multiplied out
_Wholes = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class _Stream(msgspec.Struct, forbid_unknown_fields=True):
    """The types of a stream's table."""

    name: _Texts | None = None
    data: _Texts | None = None
    prices: _Texts | None = None
    models: _Texts | None = None
    embed: _Texts | None = None
    modality: _Texts | None = None
    fusion: _Texts | None = None
    dim: _Wholes | list[_Wholes] | None = None
    whiten: bool | list[bool] | None = None
    context: _Texts | None = None


_LOADED = tuple(inspect.signature(envs.load).parameters)  # what the table of a stream can hold


class Grid(NamedTuple):
    """What a file asks for.

    Attributes:
        policies, rewards, pacings: specs.
        preferences, budgets: texts as `Ask` takes them; the budget `NONE` limits nothing.
        streams: keyword arguments of `envs.load`, only those given.
        options: the fields of `Ask` that all jobs share, only those given.
    """

    policies: tuple[str, ...]
    rewards: tuple[str, ...]
    preferences: tuple[str, ...]
    budgets: tuple[str, ...]
    pacings: tuple[str, ...]
    streams: tuple[dict[str, Any], ...]
    options: dict[str, Any]


def read(path: Path | str) -> Grid:
    """Return what a sweep's file asks for, multiplied out.

    Raises:
        ValueError: it is no TOML, a key is unknown (with the nearest known ones), a value is of the wrong type, or
            something is named twice.
    """
    try:
        given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # of TOML, of UTF-8, or of a name with a null byte
        raise ValueError(f"{path} needs to be TOML: {error}") from error
    known = (*_MULTIPLIED, *_OPTIONS)
    for key in given:
        if key not in known:
            raise ValueError(f"{path}: no key {key!r}; {near(key, known)}")
    lists = {
        key: _list(given.get(key, list(default)), f"{path}: {key}") for key, default in _MULTIPLIED.items()
    }
    specs = {k: _once([s for x in lists[k] for s in _specs(x, f"{path}: {k}")], f"{path}: {k}")
             for k in ("policies", "rewards", "pacings")}  # fmt: skip
    texts = {k: _once([_text(x, f"{path}: {k}") for x in lists[k]], f"{path}: {k}")
             for k in ("preferences", "budgets")}  # fmt: skip
    streams = _once(
        [s for x in lists["streams"] for s in _streams(x, f"{path}: streams")], f"{path}: streams"
    )
    hints = get_type_hints(Ask)
    options = {k: _option(given[k], hints[k], f"{path}: {k}") for k in _OPTIONS if k in given}
    return Grid(**specs, **texts, streams=streams, options=options)


def _list(value: Any, where: str) -> list[Any]:
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise ValueError(f"{where} needs at least one entry")
    return listed


def _once(values: list[Any], where: str) -> tuple[Any, ...]:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise ValueError(f"{where} names {value!r} twice; name each once")
    return tuple(values)


def _multiplied(table: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Return a table for each combination of its lists' entries."""
    lists = {key: _list(value, f"{where}: {key}") for key, value in table.items()}
    for key, values in lists.items():
        for value in values:
            _text(value, f"{where}: {key}")
    return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]


def _specs(entry: Any, where: str) -> list[str]:
    """Return the specs of `"name,key=value"` or of `{name = "name", key = [value, value]}`."""
    if isinstance(entry, str):
        return [entry.strip()]
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise ValueError(
            f'{where} needs specs or tables such as {{name = "linucb", alpha = [0.3, 1]}}, got {entry!r}'
        )
    pairs = _multiplied({k: v for k, v in entry.items() if k != "name"}, where)
    return [",".join([entry["name"].strip(), *(f"{k}={v}" for k, v in pair.items())]) for pair in pairs]


def _streams(entry: Any, where: str) -> list[dict[str, Any]]:
    """Return the arguments of `envs.load` of a name, a path or a table of them."""
    table = {"name": entry} if isinstance(entry, str) else entry
    if not isinstance(table, dict):
        raise ValueError(
            f'{where} needs names or tables such as {{name = "ocr", dim = [16, 32]}}, got {entry!r}'
        )
    for key in table:
        if key not in _LOADED:
            raise ValueError(f"{where}: no key {key!r}; {near(key, _LOADED)}")
    typed(table, _Stream, where)
    rows = _multiplied(table, where)
    return [{k: v.split(",") if k == "models" else v for k, v in row.items()} for row in rows]


def _text(value: Any, where: str) -> str:
    if not isinstance(value, (str, int, float)):
        raise ValueError(f"{where} needs a number or a text, got {value!r}")
    return str(value)


def _option(value: Any, hint: Any, where: str) -> Any:
    """Return an option as `Ask` holds it.

    Raises:
        ValueError: it is of another type.
    """
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if getattr(hint, "__origin__", None) is tuple:
        return tuple(_text(x, where) for x in _list(value, where))
    if str in kinds and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, int) and abs(value) > _WHOLE:
        raise ValueError(f"{where} needs a whole number of at most {_WHOLE}, got {value}")
    return typed(value, hint, where)


def typed(value: Any, kind: type[Any], where: str) -> Any:
    """Return a value of a file as its type.

    Raises:
        ValueError: it is of another type, the line has its place and both types; or a number is not finite.
    """
    try:
        found = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{where}: {error}") from error
    if isinstance(found, float) and not abs(found) <= _LARGEST:
        raise ValueError(f"{where} needs a finite number of at most {_LARGEST:g}, got {value}")
    return found

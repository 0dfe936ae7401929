"""From "name,key=value" or "file.py:name,key=value" to a function: the only look-up."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from envs.nearest import near

_LOADED: dict[str, str] = {}  # files of the user's: full path to what it was called


def function(spec: str, registry: Mapping[str, Callable[..., Any]], kind: str) -> Callable[..., Any]:
    """Return the function that a spec names, with its hyperparameters bound by keyword.

    Args:
        spec: `name,key=value,...` from the registry, or `file.py:name,key=value,...` from a user's own file.
        registry: name to function.
        kind: what it is, for messages: "policy", "reward", "router".

    Raises:
        ValueError: the name, the key or the file is unknown, with the nearest names.
    """
    name, *pairs = (part.strip() for part in spec.split(","))
    found = _from_file(name, kind) if ".py:" in name else registry.get(name)
    if found is None:
        raise ValueError(f"no {kind} {name!r}; {near(name, list(registry))}")
    allowed = hyperparameters(found)
    hints = {key: hint for key, hint in _hints(found).items() if key != "model"}  # given by its name
    bound = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not value:
            raise ValueError(f"{kind} {name!r} needs key=value after the name, got {pair!r}")
        if key not in allowed:
            has = near(key, list(allowed)) if allowed else "it has none"
            raise ValueError(f"{kind} {name!r} has no hyperparameter {key!r}; {has}")
        bound[key] = _typed(_literal(value), value, hints.get(key), f"{kind} {name!r}: {key}")
    return partial(found, **bound) if bound else found


def hyperparameters(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the keyword-only parameters of a function and their defaults (`inspect.Parameter.empty` where none)."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of a function's parameters; none where a user's own file names what is not there."""
    try:
        return get_type_hints(function)
    except Exception:  # an annotation is an expression, and can raise anything
        return {}


def _typed(value: Any, text: str, hint: Any, where: str) -> Any:
    """Return a hyperparameter as its annotation has it: the text itself where that is `str`.

    Raises:
        ValueError: it is of another type; whole numbers must fit 64 bits.
    """
    kinds = set(get_args(hint)) if get_origin(hint) in (Union, UnionType) else {hint}
    if str in kinds and not isinstance(value, str) and (value is not None or type(None) not in kinds):
        value = text if type(value) not in kinds else value
    if isinstance(value, int) and value.bit_length() > 63:
        raise ValueError(f"{where} needs a number of at most 64 bits, got {text}")
    if not kinds <= {str, int, float, bool, type(None)}:
        return value
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        raise ValueError(f"{where}={text}: {error}") from error


def _literal(value: str) -> Any:
    """Return a number, boolean or None where the text is one, else the text."""
    lowered = {"true": True, "false": False, "none": None, "inf": float("inf"), "nan": float("nan")}
    if value.lower() in lowered:
        return lowered[value.lower()]
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the latter two: brackets in brackets
        return value
    return found if isinstance(found, (int, float, str)) else value


def _from_file(name: str, kind: str) -> Callable[..., Any]:
    path, _, wanted = name.rpartition(":")
    try:
        there = Path(path).is_file()
    except (OSError, ValueError):  # too long a name, or one with a NUL
        there = False
    if not there:
        raise ValueError(f"no file {path!r} for the {kind} {name!r}")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"cannot load {path!r} as Python for the {kind} {name!r}")
    module = importlib.util.module_from_spec(spec)
    _LOADED[str(Path(path).absolute())] = path
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{path} raised {type(error).__name__} while it was loaded: {error}") from error
    found = getattr(module, wanted, None)
    if not callable(found):
        own = [
            n
            for n, f in vars(module).items()
            if callable(f) and getattr(f, "__module__", "") == module.__name__
        ]
        raise ValueError(f"{path} has no function {wanted!r}; {near(wanted, own)}")
    return found  # type: ignore[no-any-return]


def raised_in(error: BaseException) -> str:
    """Return "file.py:12" where the line that raised is in a user's file, else "".

    Ctrl-C ends in the handler of the signal, wherever it comes, so that a KeyboardInterrupt of a file's own is told
    from it.
    """
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    name = None if last is None else _LOADED.get(str(Path(last.filename).absolute()))
    return "" if last is None or name is None else f"{name}:{last.lineno}"


def where(function: Callable[..., Any], error: BaseException | None = None) -> str:
    """Return " (file.py:12)": the line in the function's file at which `error` passed, else where it is defined."""
    inner = getattr(function, "func", function)
    try:
        path, line = inspect.getsourcefile(inner), inspect.getsourcelines(inner)[1]
    except (TypeError, OSError):
        return ""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    return f" ({path}:{([line] + [f.lineno for f in frames if f.filename == path])[-1]})"

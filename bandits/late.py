"""JAX at its first use: `from bandits.late import jax, jnp` costs nothing until something is asked of one of them.

A run whose policies a kernel plays asks nothing, and is spared the half second that JAX takes to load. Types are
JAX's own for who checks them. A function that `jit` decorates is compiled as JAX does it, from its first call on.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp


__all__ = ["begun", "jax", "jnp", "mapped"]


def begun(state: Any) -> Any:
    """Return a state of NumPy's arrays as it begins: of JAX's where JAX is there, as `update` by hand needs it.

    So a policy whose state begins in NumPy asks nothing of JAX where a kernel plays it.
    """
    return mapped(importlib.import_module("jax.numpy").asarray, state) if "jax" in sys.modules else state


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return a state of tuples, named or not, with what `function` makes of each array: `jax.tree.map` without JAX."""
    if not isinstance(tree, tuple):
        return None if tree is None else function(tree)
    parts = [mapped(function, part) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)


class _Late:
    """A module that is imported when its first attribute is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(importlib.import_module(self._name), name)
        setattr(self, name, found)  # the next time it is found without this detour
        return found


class _LateJax(_Late):
    """JAX, whose `jit` waits as well."""

    def jit(self, function: Callable[..., Any], **options: Any) -> Any:
        """Return `jax.jit(function, **options)`, made now if JAX is there, else at the first call."""
        if "jax" in sys.modules:
            return importlib.import_module("jax").jit(function, **options)
        return _Jitted(function, options)


class _Jitted:
    """A function that JAX compiles from its first call on."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self._given = function, options
        update_wrapper(self, function)

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self._jitted(*given, **named)

    def __getattr__(self, name: str) -> Any:
        if name == "_given":  # a bare copy has nothing yet
            raise AttributeError(name)
        if name == "_jitted":
            function, options = self._given
            self._jitted: Any = importlib.import_module("jax").jit(function, **options)
            return self._jitted
        return getattr(self._jitted, name)


if not TYPE_CHECKING:
    jax, jnp = _LateJax("jax"), _Late("jax.numpy")

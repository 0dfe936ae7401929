"""JAX at its first use: `from bandits.late import jax, jnp` costs nothing until something is asked of one of them.

A run whose policies a kernel plays asks nothing, and is spared the half second that JAX takes to load. Types are
JAX's own for who checks them. A function that `jit` decorates is compiled as JAX does it, from its first call on.
"""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
    import optax


__all__ = ["begun", "jax", "jnp", "mapped", "optax"]


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


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait: one that comes while JAX's extensions are loaded ends in a crash."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    both = signal.SIGINT, signal.SIGTERM
    before = {one: signal.signal(one, lambda number, frame: came.append(number)) for one in both}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, signal.SIG_DFL if handler is None else handler)
        for number in came[:1]:
            signal.raise_signal(number)


def _loaded(name: str) -> Any:
    """Return a module of JAX or of what stands on it, imported in one piece."""
    with _undisturbed():
        return importlib.import_module(name)


class _Late:
    """A module that is imported when its first attribute is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        module = _loaded(self._name)
        found = getattr(module, name)
        setattr(self, name, found)  # the next time it is found without this detour
        return found


class _LateJax(_Late):
    """JAX, whose `jit` waits as well."""

    def jit(self, function: Callable[..., Any], **options: Any) -> Any:
        """Return `jax.jit(function, **options)`, made now if JAX is there, else at the first call."""
        if "jax" in sys.modules:
            return _loaded("jax").jit(function, **options)
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
            self._jitted: Any = _loaded("jax").jit(function, **options)
            return self._jitted
        return getattr(self._jitted, name)


if not TYPE_CHECKING:
    jax, jnp, optax = _LateJax("jax"), _Late("jax.numpy"), _Late("optax")

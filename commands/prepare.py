"""What every command does before its work: load a stream, keep compiled programs."""

from __future__ import annotations

import importlib
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envs.stream import Stream

CONTEXT = ("modality", "fusion", "dim", "whiten", "context")  # what a policy sees of a query


def load(options: dict[str, Any]) -> Any:
    """Load the stream that the options of `world` describe."""
    import envs

    models = options["models"]  # a list where a command has named them itself: a name may hold a comma
    if isinstance(models, str):
        models = [m.strip() for m in models.split(",")]
    kept = {k: options[k] for k in ("data", "prices", "embed", *CONTEXT)}
    return envs.load(options["stream"], models=models, **kept, **reading(options))


def reading(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that say what a table's columns cannot tell, those that are not at their defaults."""
    from envs.tables.how import READING, How

    given = {
        k: options[k] for k in READING if options.get(k) not in (None, How._field_defaults.get(k, False))
    }
    return given | ({"duels": True} if options.get("feedback") == "dueling" and options["data"] else {})


def prepare_jax() -> None:
    """Keep compiled programs between runs and give JAX a device a core; before the first import of jax.

    What the user has settled stays.
    """
    from envs import cache
    from envs.cores import cores

    os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(cores()))
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache.folder() / "xla"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def soon(*modules: str) -> None:
    """Import modules in a thread of its own: a kernel that plays meanwhile leaves the interpreter to it."""
    from envs import bare

    bare.blas()  # first, as these stand in for their packages while they are loaded
    bare.special()

    def load() -> None:
        with suppress(ImportError):  # told where it is needed
            for one in modules:
                importlib.import_module(one)

    threading.Thread(target=load, daemon=True).start()


def log(stream: Stream, options: dict[str, Any]) -> tuple[Any, Any]:
    """Return the log that `--warm-start` names as a table (None where it names rows), and the stream with its notes."""
    from envs import logged, selection

    named = options["warm_start"]
    if named is None or not selection.is_path(named):
        return None, stream
    kept = {k: options[k] for k in ("prices", "embed", *CONTEXT)}
    told = {k: v for k, v in reading(options).items() if k not in ("duels", "keep_copies")}
    return logged.beside(stream, named, select=bool(options["models"]), reading=told, **kept)

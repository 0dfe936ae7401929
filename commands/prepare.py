"""What every command does before its work: load a stream, keep compiled programs."""

from __future__ import annotations

import os
from typing import Any


def load(options: dict[str, Any]) -> Any:
    """Load the stream that the options of `world` describe."""
    import envs

    models = None if options["models"] is None else [m.strip() for m in options["models"].split(",")]
    kept = {k: options[k] for k in ("data", "prices", "embed", "modality", "fusion", "dim", "whiten")}
    return envs.load(options["stream"], models=models, **kept)


def prepare_jax() -> None:
    """Keep compiled programs between runs, unless the user has settled where; before the first import of jax."""
    from envs import cache

    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache.folder() / "xla"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

"""Where a file is written until it is whole: beside it, under a name that says which process writes it."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

_NAME = re.compile(r"\..+\.\d+\.part")


def of(path: Path) -> Path:
    """Return the part of this process, and remove what killed processes of this machine left of the same file.

    A process that still runs keeps its own.
    """
    begun = f".{path.name[:200]}"
    for left in path.parent.glob(f"{glob.escape(begun)}.*.part"):
        owner = left.name.removesuffix(".part").removeprefix(f"{begun}.")
        if owner.isascii() and owner.isdecimal() and left.is_file() and not left.is_symlink():
            try:
                os.kill(int(owner), 0)
            except ProcessLookupError:
                left.unlink(missing_ok=True)
            except (OverflowError, PermissionError):
                continue
    return path.with_name(f"{begun}.{os.getpid()}.part")


def is_part(name: str) -> bool:
    """Whether a file's name is that of a part."""
    return _NAME.fullmatch(name) is not None

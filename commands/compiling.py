"""The first run on a machine, which compiles what later ones find ready: said on a terminal, and done on two cores."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from commands.terminal import doing

_BEGUN: list[subprocess.Popen[bytes]] = []  # held, as Python warns of one that is let go while it runs
# -P: never a module of the folder that the user is in.
BESIDE = ("-P", "-c", "from bandits.results.tally import prepare; prepare()")


def beside() -> None:
    """Have what adds up a run compiled by a process of its own, if it is not, while this one compiles what plays it.

    Numba compiles one function at a time in a process; both keep what they compiled in the same place.
    """
    from bandits.metrics import kernels_tally
    from envs.cores import cores

    compiled: Any = kernels_tally.add_up
    kept = Path(compiled.stats.cache_path)
    if cores() == 1 or any(kept.glob("kernels_tally.add_up-*.nbi")):
        return
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    nothing: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    with suppress(OSError):  # no room for a process: then this one compiles it too
        # Ctrl-C is for the command; what this compiles is of use to the next one.
        _BEGUN.append(
            subprocess.Popen([sys.executable, *BESIDE], env=found, start_new_session=True, **nothing)
        )


@contextmanager
def told() -> Iterator[None]:
    """Say on a terminal which kernel is being compiled."""
    from numba.core import event

    events: Any = event  # numba has no types

    class Told(events.Listener):  # type: ignore[misc]
        depth = 0  # what a kernel calls is compiled within it

        def on_start(self, event: Any) -> None:
            if self.depth == 0:
                doing(f"compiling {event.data['dispatcher'].py_func.__name__}, once on this machine")
            self.depth += 1

        def on_end(self, event: Any) -> None:
            self.depth -= 1
            if self.depth == 0:
                doing("")

    listener = Told()
    events.register("numba:compile", listener)
    try:
        yield
    finally:
        events.unregister("numba:compile", listener)

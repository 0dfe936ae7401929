"""One table at the end: what each benchmark reached, in its own unit."""

from __future__ import annotations

from typing import Any


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    """Print `extra_info` of every benchmark under its name; medians of the rounds that pytest-benchmark made."""
    session = getattr(config, "_benchmarksession", None)
    rows = [b for b in getattr(session, "benchmarks", []) if b.extra_info]
    for bench in rows:
        told = ", ".join(
            f"{k} {v:,.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in bench.extra_info.items()
        )
        terminalreporter.write_line(f"{bench.name:44} {told}")

"""What comes after the replay: its CPU seconds beside the replay's, how both grow, and how large the page is.

    python benchmarks/after.py [replay growth page]

`replay`: three policies on 60,000 queries x 44 models in 18 data sets, 20 seeds. `growth`: a smaller run with four
times the policies, models, data sets, seeds, one after the other; an exponent of 1 is linear. `page`: 200 policies, 44
models, 18 data sets. The tables are made up. User and system time of this process is what is compared: other work on a
shared machine does not count in it.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bandits.experiment.ask import Ask
from bandits.experiment.play import finish
from bandits.folders import write
from envs.outcomes import Outcomes
from envs.stream import Stream


class Size(NamedTuple):
    """How large a run is."""

    policies: int = 3
    models: int = 11
    datasets: int = 5
    seeds: int = 5
    rows: int = 6_000


WHOLE = Size(models=44, datasets=18, seeds=20, rows=60_000)
PAGE = Size(policies=200, models=44, datasets=18, seeds=2, rows=2_000)


def made(size: Size, dim: int = 16) -> Stream:
    """Return a stream of this size; each data set has models that are good at it."""
    rng = np.random.default_rng(0)
    code = rng.integers(size.datasets, size=size.rows)
    level = rng.uniform(0.3, 0.8, (size.datasets, size.models))
    context = rng.normal(size=(size.rows, dim)).astype(np.float32)
    context[np.arange(size.rows), code % (dim - 1)] += 2.0
    context[:, -1] = 1.0
    outcomes = Outcomes(
        models=tuple(f"model-{k:02d}" for k in range(size.models)),
        utility=(rng.random((size.rows, size.models)) < level[code]).astype(np.float64),
        cost=rng.lognormal(np.linspace(-9, -5, size.models), 0.3, (size.rows, size.models)),
        query_id=np.array([f"q{i}" for i in range(size.rows)], object),
        dataset=np.array([f"set{d:02d}" for d in code], object),
    )
    return Stream("made up", outcomes, context)


def run(size: Size) -> tuple[float, float, int]:
    """Return the CPU seconds of the replay and of all that comes after it, and the bytes of the page."""
    stream = made(size)
    specs = tuple(f"linucb,alpha={0.1 + 0.01 * i:.2f}" for i in range(size.policies))
    ask, known = Ask(specs, seeds=size.seeds), {"command": "", "data": "", "context": {}, "seconds": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        place, began = Path(folder) / "run", time.process_time()
        (done,) = finish(stream, ask, None, known={}, log=None, context={})
        played = time.process_time()
        write.publish(place, done, ask, known)
        return played - began, time.process_time() - played, (place / "report.html").stat().st_size


def replay() -> Iterator[dict[str, Any]]:
    """What comes after the replay beside it."""
    run(Size(rows=1_500))  # compiles
    played, after, page = run(WHOLE)
    yield {**WHOLE._asdict(), "replay, CPU s": played, "after, CPU s": after, "after / replay": after / played,
           "page, MB": page / 1e6}  # fmt: skip


def growth(times: int = 4) -> Iterator[dict[str, Any]]:
    """How what comes after the replay grows with each size, four times as large: 1 is linear."""
    base = Size()
    run(base)
    least = min(run(base)[1] for _ in range(3))
    for name in ("policies", "models", "datasets", "seeds", "rows"):
        larger = base._replace(**{name: times * getattr(base, name)})
        after = min(run(larger)[1] for _ in range(2))
        ratio = after / least
        yield {"size": name, "from": getattr(base, name), "to": getattr(larger, name), "after, CPU s": least,
               "then, CPU s": after, "exponent": math.log(ratio) / math.log(times)}  # fmt: skip


def page() -> Iterator[dict[str, Any]]:
    """How large the page of a large run is."""
    played, after, size = run(PAGE)
    yield {**PAGE._asdict(), "replay, CPU s": played, "after, CPU s": after, "page, MB": size / 1e6}


PARTS = {"replay": replay, "growth": growth, "page": page}


def main() -> None:
    """Print the parts asked for, each as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"Of {', '.join(PARTS)}; all by default.")
    for part in parser.parse_args().parts or list(PARTS):
        print(f"\n{(PARTS[part].__doc__ or '').strip()}\n")
        for i, row in enumerate(PARTS[part]()):
            if not i:
                print(f"| {' | '.join(row)} |\n|{'---|' * len(row)}")
            shown = (
                f"{v:.3g}" if isinstance(v, float) else f"{v:,}" if isinstance(v, int) else v
                for v in row.values()
            )
            print(f"| {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()

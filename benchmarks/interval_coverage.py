"""How often a 95 % t interval over seeds covers the mean, on data of several shapes, as Markdown.

`python benchmarks/interval_coverage.py`: 20,000 means each; a share has a standard error of .0015.
"""

from __future__ import annotations

import argparse

import numpy as np

from bandits.metrics.intervals import student

MEANS, SEEDS = 20_000, (3, 5, 10, 20)
SHAPES = {
    "normal": (lambda rng, shape: rng.normal(size=shape), 0.0),
    "uniform": (lambda rng, shape: rng.random(shape), 0.5),
    "exponential (skew 2)": (lambda rng, shape: rng.exponential(size=shape), 1.0),
    "lognormal (skew 6.2)": (lambda rng, shape: rng.lognormal(size=shape), float(np.exp(0.5))),
}


def main() -> None:
    """Print a row for each shape."""
    print(f"| data | {' | '.join(f'{n} seeds' for n in SEEDS)} |\n|---|{'---|' * len(SEEDS)}")
    for name, (draw, mean) in SHAPES.items():
        shares = []
        for n in SEEDS:
            low, high = student(draw(np.random.default_rng(n), (n, MEANS)))
            shares.append(f"{np.mean((low <= mean) & (mean <= high)):.3f}")
        print(f"| {name} | {' | '.join(shares)} |")


if __name__ == "__main__":
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    main()

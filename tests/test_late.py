"""What is loaded at its first use behaves as if it had been there, and text tables are pandas' to the byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

from bandits.folders.sheets import csv
from bandits.loop.keys import made, named, seed_keys

ROOT = Path(__file__).resolve().parents[1]
WAITING = """
import sys
from functools import partial
from bandits.late import jax, jnp

@partial(jax.jit, static_argnums=1)
def scaled(x, times):
    return x * times

assert "jax" not in sys.modules and scaled.__name__ == "scaled"
assert float(scaled(jnp.float32(2), 3)) == 6.0 and scaled._cache_size() == 1
assert type(jax.jit(abs)).__name__ == type(scaled._jitted).__name__  # once JAX is there, its own
from envs import bare
assert bare.special().stdtrit is not None and "scipy.special" not in sys.modules
import scipy.special
assert scipy.special._ufuncs is bare.special() and abs(scipy.special.ndtr(0.0) - 0.5) == 0.0
"""


def test_jax_and_scipy_are_loaded_when_something_is_asked_of_them() -> None:
    ran = subprocess.run([sys.executable, "-c", WAITING], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_a_key_that_was_named_is_the_key_that_is_made() -> None:
    for own, given in zip(made(named(7, 3)), seed_keys(7, 3), strict=True):
        np.testing.assert_array_equal(jax.random.key_data(own), jax.random.key_data(given))
    assert made(seed_keys(7, 2))[1] is not None


def test_tables_are_written_as_pandas_writes_them() -> None:
    rng = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame(
        {
            "text": rng.choice(["plain", "a,b", 'in "quotes"', "two\nlines", "", " edges "], n),
            "number": rng.normal(size=n) * 10.0 ** rng.integers(-30, 30, n),
            "whole": rng.integers(-9, 9, n),
            "hole": np.where(rng.random(n) < 0.3, np.nan, rng.random(n)),
            "yes": rng.random(n) < 0.5,
            "edge": rng.choice([np.inf, -np.inf, 0.0, -0.0, 1.0, 1e22], n),
            "none": np.where(rng.random(n) < 0.5, None, "k"),
            "single, precision": rng.random(n).astype(np.float32),
        }
    )
    assert csv(frame) == frame.to_csv(index=False)
    assert csv(frame[:0]) == frame[:0].to_csv(index=False)


@pytest.mark.parametrize("names", [["a"], ["a", "b,c"]])
def test_a_column_of_names_alone_is_written_too(names: list[str]) -> None:
    frame = pd.DataFrame({"name": names})
    assert csv(frame) == frame.to_csv(index=False)

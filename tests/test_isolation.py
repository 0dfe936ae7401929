"""Does a test run leave the user's home and caches alone?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import numba

from envs import cache
from tests.conftest import KEPT, RUN

ROOT = Path(__file__).resolve().parents[1]


def test_every_cache_lies_in_the_runs_folder() -> None:
    xla, numbas = jax.config.jax_compilation_cache_dir, numba.config.CACHE_DIR  # as the libraries read them
    for place in (Path.home(), cache.folder(), Path(xla), Path(numbas), Path(os.environ["XDG_CACHE_HOME"])):
        assert place.is_relative_to(RUN), place


def test_a_run_writes_nothing_at_home_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """A run of a suite that fills the cache, as a user starts it."""
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    ours = {*KEPT, "ROUTEBANDIT_TESTS", "PYTEST_XDIST_WORKER"}
    env = {k: v for k, v in os.environ.items() if k not in ours}
    env |= {"HOME": str(home), "TMPDIR": str(temporary)}
    suite = "tests/test_isolation.py::test_every_cache_lies_in_the_runs_folder"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", suite, "tests/test_features.py"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-800:]
    assert list(home.iterdir()) == []
    assert [path.name for path in temporary.iterdir() if path.name.startswith("routebandit")] == []

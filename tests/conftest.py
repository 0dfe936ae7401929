"""Streams with a known answer, shared by the suites, and the one folder that a test run keeps everything in.

Nothing of the user's is read or written: home and every cache lie in that folder, for processes that tests start as for
their own. The workers of one run share it, so a program that one has compiled is there for the others.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

WORKER = "PYTEST_XDIST_WORKER" in os.environ  # what follows has been settled by the process that started it
if not WORKER:
    os.environ["ROUTEBANDIT_TESTS"] = tempfile.mkdtemp(prefix="routebandit-tests-")
RUN = Path(os.environ["ROUTEBANDIT_TESTS"])
KEPT = {
    "HOME": RUN / "home",
    "XDG_CACHE_HOME": RUN / "home" / ".cache",
    "ROUTEBANDIT_CACHE": RUN / "cache",
    "NUMBA_CACHE_DIR": RUN / "numba",
    "JAX_COMPILATION_CACHE_DIR": RUN / "cache" / "xla",
}
if not WORKER:  # before jax and numba are imported
    KEPT["HOME"].mkdir()
    os.environ.update({name: str(place) for name, place in KEPT.items()})

# Compiling is most of what the suite waits for, and its programs run for milliseconds: XLA's optimisations are left
# out here, which makes compiling four times faster. Processes that tests start run as a user's do.
QUICK = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    " --xla_cpu_use_fusion_emitters=false"
)
USERS_FLAGS = os.environ.get("XLA_FLAGS")
os.environ["XLA_FLAGS"] = f"{USERS_FLAGS or ''} {QUICK}"

import numpy as np
import pytest

from commands.prepare import prepare_jax
from envs.cores import cores

os.environ.setdefault(
    "JAX_NUM_CPU_DEVICES", str(max(cores(), 2))
)  # a user's layout; two where there is one core
prepare_jax()

import jax

jax.devices()  # the flags are read here
if USERS_FLAGS is None:
    del os.environ["XLA_FLAGS"]
else:
    os.environ["XLA_FLAGS"] = USERS_FLAGS

from envs.outcomes import Outcomes
from envs.stream import Stream

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_configure(config: pytest.Config) -> None:
    """Let a program be compiled again where another worker is in the middle of storing it: JAX warns of that."""
    config.addinivalue_line("filterwarnings", "ignore:Error reading persistent compilation cache entry")


_ended = 0  # tests of this process


def pytest_runtest_teardown() -> None:
    """Let go of compiled programs before their mappings run out: Linux gives a process 65,530, and XLA then crashes."""
    global _ended
    _ended += 1
    mappings = Path("/proc/self/maps")
    if _ended % 25 == 0 and mappings.exists() and mappings.read_bytes().count(b"\n") > 20_000:
        jax.clear_caches()


def pytest_unconfigure() -> None:
    """Remove the run's folder once its last test has ended."""
    if not WORKER:
        shutil.rmtree(RUN, ignore_errors=True)


def make_stream(
    rows: int = 600, arms: int = 4, features: int = 5, seed: int = 0, missing: float = 0.0
) -> Stream:
    """Return a stream on which arm `k` is right for the queries of topic `k` with 0.9, for the others with 0.2.

    The topic is one of `arms - 1` and stands one-hot in the context; the last arm is right with 0.5 everywhere.
    Costs rise with the arm's number. `missing` is the share of outcomes not recorded.
    """
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, arms - 1, rows)
    chance = np.full((rows, arms), 0.2)
    chance[np.arange(rows), topic] = 0.9
    chance[:, -1] = 0.5
    utility = (rng.random((rows, arms)) < chance).astype(float)
    hidden = rng.random((rows, arms)) < missing
    hidden[np.arange(rows), rng.integers(0, arms, rows)] = False
    utility[hidden] = np.nan
    cost = np.where(hidden, np.nan, rng.lognormal(0.0, 0.3, (rows, arms)) * (1 + np.arange(arms)))
    context = np.zeros((rows, features + 1), np.float32)
    context[np.arange(rows), topic % features] = 1.0
    context[:, -1] = 1.0
    outcomes = Outcomes(
        models=tuple(f"model-{k}" for k in range(arms)),
        utility=utility,
        cost=cost,
        query_id=np.array([f"q{i}" for i in range(rows)], object),
        dataset=np.array([f"topic{t}" for t in topic], object),
        price=1.0 + np.arange(arms),
        cost_unit="USD/query",
    )
    return Stream("known", outcomes, context)


@pytest.fixture(scope="session")
def known() -> Stream:
    """A complete stream with a known answer."""
    return make_stream()


@pytest.fixture(scope="session")
def patchy() -> Stream:
    """The same with 40 % of the outcomes missing: models that cannot be called, at random."""
    return make_stream(missing=0.4, seed=1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real tables beside the checkout; tests that need it skip without it."""
    if not SHARED.is_dir():
        pytest.skip("no real tables: the folder ../shared is absent")
    return SHARED

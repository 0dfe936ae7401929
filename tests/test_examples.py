"""Every example runs as it stands, in an empty folder, in less than 20 seconds on a quiet machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What each prints when it did what its first line promises.
EXAMPLES = {
    "compare_policies": "Against the best fixed model, known only in hindsight:",
    "custom_reward": "an answer worth   100: earns",
    "own_policy": "linucb                     against best_fixed",
    "mmrbench_protocol": "linucb, online, in its third pass: 0.",
    "budgets": "lp               60%    0.",
    "serve_queries": "microseconds a decision",
}


SERVICES = {
    "serve",
    "litellm_router",
}  # tests/test_services.py runs them, and tests/test_notebook.py the notebook


def test_every_example_is_listed() -> None:
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(EXAMPLES) | SERVICES


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs(name: str, tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "examples" / f"{name}.py")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        script, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-800:]
    assert EXAMPLES[name] in done.stdout
    assert not list(tmp_path.iterdir())

"""A user's file that raises KeyboardInterrupt is at fault and named; Ctrl-C while the file's code runs is Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_command import SMALL, run, table  # noqa: F401  (fixtures)

ROOT = Path(__file__).resolve().parents[1]
LOADED = "raise KeyboardInterrupt\n"
REWARD = "def mine(outcome, preference):\n    raise KeyboardInterrupt('x')\n"
BUILT = "def mine(n_arms, dim):\n    raise KeyboardInterrupt\n"
PLAYED = """import jax.numpy as jnp
from bandits import Policy
calls = []
def mine(n_arms, dim):
    def act(key, state, seen):
        calls.append(1)
        if len(calls) > {after}:
            raise KeyboardInterrupt
        return jnp.int32(0)
    return Policy(lambda key: jnp.zeros(()), act, lambda key, state, seen, arm, heard: state)
"""


@pytest.mark.parametrize(
    ("option", "text", "line"),
    [
        ("--policy", LOADED, 1),
        ("--policy", BUILT, 2),
        ("--policy", PLAYED.format(after=0), 8),
        ("--reward", LOADED, 1),
        ("--reward", REWARD, 2),
    ],
)
def test_a_file_that_raises_keyboard_interrupt_is_named(run, table, option, text, line) -> None:  # noqa: F811
    Path("own.py").write_text(text)
    policy = () if option == "--policy" else ("--policy", "linucb")
    given = (*policy, option, "own.py:mine", "--data", table, *SMALL, "--out", "done")
    for more in ((), ("--dry-run",)):
        code, _, err = run(*given, *more)
        assert code == 2 and len(err.splitlines()) == 1, err
        assert f"own.py:{line} raised KeyboardInterrupt" in err and not Path("done/manifest.json").exists()


def test_ctrl_c_in_the_code_of_a_users_file_is_ctrl_c(tmp_path, table) -> None:  # noqa: F811
    """The file sends the signal itself, so that it comes while its own line runs."""
    own = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n"
    (tmp_path / "own.py").write_text(own)
    # A parent that ignores the signal (nohup) hands that on: taken back before the command begins.
    begin = (
        "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"sys.argv[0] = {str(ROOT / 'simulate.py')!r}; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    words = [sys.executable, "-c", begin, "--policy", "own.py:mine", "--data", table, *SMALL]
    done = subprocess.run(list(map(str, words)), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 130 and "stopped; nothing was written" in done.stderr, done.stderr

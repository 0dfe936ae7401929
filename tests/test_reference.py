"""Is what speed is measured against the same algorithm on the same stream?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import adapters
import peers
import reference

import bandits

ROUNDS, DIM, ARMS = 1_500, 16, 4


@pytest.fixture(scope="module")
def met() -> peers.Given:
    return peers.given(ROUNDS, DIM, ARMS)


def leastsquares(context: np.ndarray, arms: int) -> adapters.Peer:
    """LinUCB to the letter: every arm's ridge problem is solved anew each round, in float64."""
    heard: list[tuple[np.ndarray, int, float]] = []

    def act(x: np.ndarray) -> int:
        index = []
        for k in range(arms):
            seen = np.array([z for z, arm, _ in heard if arm == k]).reshape(-1, len(x))
            inverse = np.linalg.inv(np.eye(len(x)) + seen.T @ seen)
            told = np.array([r for _, arm, r in heard if arm == k])
            index.append(inverse @ seen.T @ told @ x + np.sqrt(x @ inverse @ x))
        return int((np.array(index) >= max(index) - 1e-5 * abs(max(index))).argmax())

    return adapters.Peer(context, act, lambda x, k, r: heard.append((x, k, r)))


def test_numpy_calls_what_linucb_calls_in_the_order_given(met: peers.Given) -> None:
    for which in range(peers.STREAMS):
        called = reference.numpy_linucb(met.context[which], met.table[which])
        assert len(np.unique(called)) == ARMS
        np.testing.assert_array_equal(peers.ours(met, bandits.linucb(ARMS, DIM), which), called)


def test_a_peer_that_is_linucb_calls_the_same(met: peers.Given) -> None:
    # Over 300 rounds no two indices come closer than rounding after the first, when all are equal.
    context, table = met.context[0, :300].astype(float), met.table[0, :300]
    called, seconds = adapters.play(leastsquares, context, table)
    np.testing.assert_array_equal(called, reference.numpy_linucb(context, table))
    assert seconds > 0


def test_the_streams_handed_over_are_the_streams(met: peers.Given, tmp_path: Path) -> None:
    """A stand-in for the peers' interpreter keeps what it was handed, and answers with fixed arms."""
    script = tmp_path / "python"
    script.write_text(
        f"#!{sys.executable}\nimport shutil, sys\nimport numpy as np\n"
        f"shutil.copy(sys.argv[2], {str(tmp_path / 'kept.npz')!r})\n"
        "arms = np.load(sys.argv[2])['table'].argmax(axis=2).astype(np.int32)\n"
        "np.savez(sys.argv[4], arms=arms, seconds=np.array([3.0, 1.0, 2.0]), version='1.2')\n"
    )
    script.chmod(0o755)
    arms, rate, version = peers.peer(script, "river", met, 700)
    with np.load(tmp_path / "kept.npz") as kept:
        np.testing.assert_array_equal(kept["context"], [one.context[:700] for one in met.streams])
        np.testing.assert_array_equal(kept["table"], [one.utility[:700] for one in met.streams])
    assert (rate, version) == (350.0, "1.2")  # 700 rounds in the median of 3, 1 and 2 seconds
    np.testing.assert_array_equal(met.reached(arms), met.table[:, :700].max(axis=2))


def test_a_library_that_is_not_there_is_a_row(met: peers.Given, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peers, "ARMS", ARMS)
    monkeypatch.setattr(peers, "DIM", DIM)
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho 'Traceback' >&2\necho \"No module named 'coba'\" >&2\nexit 1\n")
    script.chmod(0o755)
    own, numpy, last = peers.rows(met, ["coba"], script)
    assert len(own) == len(numpy) == len(last) == 9
    assert last[0].startswith("coba: ") and last[1] == "did not run: No module named 'coba'"
    assert own[5] == own[6] == own[7] == numpy[5]  # one algorithm, one stream: the same reward


def test_without_the_peers_one_line_says_what_makes_them(tmp_path: Path) -> None:
    command = [sys.executable, Path(peers.__file__), "--python", tmp_path / "none"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "make bench-peers" in done.stderr and "Traceback" not in done.stderr

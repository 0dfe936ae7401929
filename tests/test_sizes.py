"""What a run is said to take before it begins: bytes by its parts, seconds by its speed."""

from __future__ import annotations

import json
from pathlib import Path

import jax.numpy as jnp
import pytest

from bandits.experiment.ask import Ask
from commands import dry_run, memory, playing
from tests.conftest import make_stream


def test_memory_is_what_is_held_and_the_largest_stage() -> None:
    """linucb plays alone: an inverse, a weight and a count an arm in four bytes each, a lane, once more for the start;
    two chunks, three weights and three targets a cell; sheets and orders; a key a lane."""
    stream = make_stream(rows=50, arms=3, features=4)
    d, k, n, chunk = 5, 3, 50, 1024
    state = 4 * (k * d * d + k * d + k)

    def wanted(policies: int, lanes: int, rounds: int, runs: int = 1) -> int:
        traces = 2 * 4 * lanes * rounds * policies
        rooms = 2 * lanes * chunk * (21 * k + 4 * (d + 1)) + 6 * 4 * lanes * chunk * k
        sheets, orders = 21 * runs * n * k, 2 * 4 * lanes * rounds
        playing = rooms + (lanes + 1) * state + sheets + orders + 1024 * lanes
        return memory.held(stream, runs) + traces + playing

    assert memory.estimate(stream, Ask(policies=("linucb",), seeds=4)) == wanted(1, 4, 50)
    assert memory.estimate(stream, Ask(policies=("linucb",), seeds=4, rounds=700)) == wanted(1, 4, 700)
    two = Ask(policies=("linucb", "greedy"), seeds=4, preference="0,0.5,1")
    assert memory.estimate(stream, two) == wanted(2, 12, 50, 3)  # the largest policy, not their sum


def test_many_queries_are_tables_not_lanes() -> None:
    """Sums of each player with each query, three numbers in eight bytes each, and frames and a file of them."""
    stream = make_stream(rows=9000, arms=40, features=1)
    few = memory.estimate(stream, Ask(policies=("ucb1",), seeds=1))
    players = 1 + 4 + 40
    each, parts = 3 * 8 * 9000 * players, 8 * players * len(set(stream.dataset.tolist())) * (40 + 11)
    assert few - memory.held(stream, 1) - 2 * 4 * 9000 == 4 * each + parts


def test_what_does_not_fit_is_refused_with_both_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = make_stream(rows=50, arms=3, features=4)
    ask = Ask(policies=("linucb",), seeds=4)
    needed = memory.estimate(stream, ask)
    monkeypatch.setattr(memory, "available", lambda: needed)
    assert memory.fits(stream, ask) == needed
    monkeypatch.setattr(memory, "available", lambda: needed - 1)
    with pytest.raises(ValueError, match=r"GiB of memory, .* GiB are free here"):
        memory.fits(stream, ask)
    state = playing.state(make_policy())
    assert state == 4 * 6 + 5


def make_policy() -> object:
    """Return what has an `init` of six float32 and five bools."""
    from bandits.base import Policy

    return Policy(lambda key: (jnp.zeros((2, 3)), jnp.zeros(5, bool)), lambda *_: 0, lambda *_: 0)


def test_speed_is_that_of_the_last_chunk_and_what_came_before_is_the_start() -> None:
    """100 rounds by second 11, of which 10 seconds compiled; 300 by second 13: 100 a second, and 9 to begin."""
    begin, rate = dry_run._speed(1.0, [(11.0, 100), (13.0, 300)])
    assert (begin, rate) == (pytest.approx(9.0), pytest.approx(100.0))
    assert dry_run._speed(1.0, [(3.0, 100)]) == (0.0, pytest.approx(50.0))
    assert dry_run._speed(1.0, [(1.5, 100), (3.5, 200)])[0] == 0.0  # never less than nothing


def test_seconds_are_told_in_the_unit_of_their_size() -> None:
    told = [dry_run._told(seconds) for seconds in (0.04, 89.9, 90, 5399, 5400)]
    assert told == ["0.0 s", "89.9 s", "1.5 min", "90.0 min", "1.5 h"]


def test_a_rehearsal_adds_the_start_and_the_rounds_at_full_speed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Two runs of 4 seeds and 50 rounds at 200 a second after 3 seconds; a reference takes none."""
    monkeypatch.setattr(dry_run, "_measure", lambda *_: {"linucb": (3.0, 200.0)})
    ask = Ask(policies=("linucb", "oracle"), seeds=4)
    places = {"a": tmp_path / "a", "b": tmp_path / "b"}
    dry_run.rehearse(make_stream(rows=50), ask, places, "json", 0)
    linucb, oracle = json.loads(capsys.readouterr().out)
    assert (linucb["in_all"], linucb["rounds_per_s"], linucb["seconds"]) == (400, 200, 5.0)
    assert (oracle["rounds_per_s"], oracle["seconds"]) == (None, 0.0)
    assert not list(tmp_path.iterdir())

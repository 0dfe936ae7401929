"""Does the cache ever give anything but what was stored?"""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from envs import cache

ARRAYS = {"utility": np.linspace(0, 1, 60).reshape(20, 3), "text": np.arange(40, dtype=np.float32)}
DIGEST = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROUTEBANDIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def stored(folder: Path) -> Path:
    """The file of `ARRAYS`."""
    assert made_anew()
    return folder / "twin-0123456789abcdef.npz"


def made_anew(name: str = "twin", digest: str = DIGEST) -> bool:
    """Ask for the arrays, check that they are right, and say whether they had to be made."""
    made = []

    def make() -> cache.Arrays:
        made.append(name)
        return dict(ARRAYS)

    given = cache.cached(name, digest, make)
    assert list(given) == list(ARRAYS)
    for key, array in ARRAYS.items():
        assert given[key].dtype == array.dtype
        np.testing.assert_array_equal(given[key], array)
    return bool(made)


def healed() -> bool:
    """Say whether what was damaged is made again once, and then read."""
    return made_anew() and not made_anew()


def test_what_is_stored_is_read_and_is_an_npz(stored: Path) -> None:
    assert not made_anew()
    with np.load(stored) as arrays:
        assert set(arrays.files) == set(ARRAYS)


@pytest.mark.parametrize("left", [0.0, 0.01, 0.25, 0.5, 0.75, 0.99, -1, -31, -32, -33])
def test_a_file_cut_off_is_made_again(stored: Path, left: float) -> None:
    whole = stored.read_bytes()
    stored.write_bytes(whole[: int(left * len(whole)) if left >= 0 else int(left)])
    assert healed()


def test_a_file_with_more_behind_it_is_made_again(stored: Path) -> None:
    stored.write_bytes(stored.read_bytes() + b"\0")
    assert healed()


def test_no_bit_can_be_flipped(stored: Path) -> None:
    """Every seventh byte, one of its bits, and every byte of the last hundred, which hold the digest."""
    whole = stored.read_bytes()
    for place in (*range(0, len(whole), 7), *range(len(whole) - 100, len(whole))):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        stored.write_bytes(damaged)
        assert made_anew(), place
    assert stored.read_bytes() == whole


def test_what_something_else_wrote_is_not_used(stored: Path) -> None:
    np.savez(stored, **ARRAYS)
    assert healed(), "the right arrays, but without their digest"
    np.savez(stored, other=np.ones(3))
    assert healed()
    np.savez(stored, utility=np.array([{}], object), text=np.ones(1))
    assert healed()
    stored.write_text("hello")
    assert healed()


def test_a_file_of_ours_under_another_name_is_not_used(stored: Path, folder: Path) -> None:
    """Two seeds of the twin, or two digests that begin alike."""
    (folder / "plotly-0123456789abcdef.npz").write_bytes(stored.read_bytes())
    assert made_anew(name="plotly")
    assert made_anew(digest=DIGEST[:-1] + "0")
    assert healed()


def test_a_folder_in_its_place_costs_time_only(stored: Path) -> None:
    stored.unlink()
    (stored / "inside").mkdir(parents=True)
    assert made_anew() and made_anew()
    assert [path.name for path in stored.parent.iterdir()] == [stored.name]


def test_a_cache_that_cannot_be_written_costs_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ROUTEBANDIT_CACHE", str(tmp_path / "file" / "cache"))
    assert made_anew() and made_anew()
    monkeypatch.setenv("ROUTEBANDIT_CACHE", str(tmp_path / "cache"))

    def refuse(**_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    assert made_anew() and made_anew()


def test_a_writer_that_is_stopped_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        made_anew()
    assert list(folder.iterdir()) == []


def test_many_write_and_read_at_once(stored: Path) -> None:
    stored.write_bytes(b"")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: made_anew(), range(200)))
    assert not made_anew() and [path.name for path in stored.parent.iterdir()] == [stored.name]


def test_the_folder_is_the_users_own_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache.folder() == tmp_path / "cache"
    monkeypatch.delenv("ROUTEBANDIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "xdg" / "routebandit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.folder() == tmp_path / "home" / ".cache" / "routebandit"

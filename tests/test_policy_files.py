"""Does what was learned in service survive a restart, and does a damaged policy file ever choose?

`ROUTEBANDIT_FUZZ=2000` sets how many damaged files are tried.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import bandits
from bandits.forms.exploring import Bonus, Posterior
from bandits.forms.linear import Ridges
from bandits.serving import file
from bandits.serving.router import Router
from bandits.serving.settings import FORMAT, Settings, described
from envs.contexts.projection import Projection

TRIES = int(os.environ.get("ROUTEBANDIT_FUZZ", "150"))
ARRAYS = ("inverse", "weight", "pulls", "context.mean", "context.axes")
K, D, TEXT, IMAGE = 3, 4, 5, 6


def learned(seed: int = 0, calls: int = 40, **changes: Any) -> Router:
    """Return a router of three models that has learned from some calls."""
    rng = np.random.default_rng(seed)
    settings = Settings(
        policy="linucb,alpha=0.5",
        form=Ridges(Bonus(0.5), 1.0),
        reward="linear",
        preference=0.2,
        cost_scale=0.03,
        models=("a", "b", "c"),
        price=(None, 0.01, None),
        label="made up",
        sha256="0" * 64,
    )
    settings = msgspec.structs.replace(settings, **changes)
    fitted = Projection(
        ("text", "image"), (TEXT, IMAGE), "concat", *(rng.normal(size=s) for s in (11, (11, D - 1)))
    )
    targets = settings.form.targets if isinstance(settings.form, Ridges) else 1
    arrays = {"inverse": np.tile(np.eye(D), (K, 1, 1)), "weight": np.zeros((K, targets, D))}
    arrays["pulls"] = np.zeros(K, np.int64)
    router = Router(settings, fitted, arrays, bandits.rewards.linear, rng)
    for _ in range(calls):
        choice = router.choose(rng.normal(size=TEXT), rng.normal(size=IMAGE))
        router.learn(choice, utility=rng.random(), cost=0.01 * rng.random())
    return router


def bits(router: Router) -> tuple[Any, ...]:
    fitted = router.projection
    arrays = (*router.learned.values(), fitted.mean, fitted.axes)
    return router.settings, fitted[:3], *((a.dtype.str, a.shape, a.tobytes()) for a in arrays)


@pytest.mark.parametrize(
    "changes", [{}, {"form": Ridges(Bonus(0.5), 1.0, 2)}, {"form": Ridges(Posterior(0.5), 1.0)}]
)
def test_what_was_learned_survives_a_restart_to_the_bit(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "policy.npz"
    learned(calls=0, **changes).save(path)
    first = bandits.load(path, seed=7)
    rng = np.random.default_rng(1)
    for _ in range(50):
        choice = first.choose(rng.normal(size=TEXT), rng.normal(size=IMAGE))
        first.learn(choice, utility=rng.random(), cost=0.01 * rng.random())
    first.save(path)
    again, twice = bandits.load(path, seed=8), bandits.load(path, seed=8)
    assert bits(again) == bits(first) and again.learned["pulls"].sum() == 50
    queries = [(rng.normal(size=TEXT), rng.normal(size=IMAGE)) for _ in range(100)]
    assert [again.choose(*q).arm for q in queries] == [twice.choose(*q).arm for q in queries]
    if changes.get("form", Ridges(Bonus(0.5), 1.0)).explore == Bonus(0.5):
        assert [first.choose(*q).arm for q in queries] == [twice.choose(*q).arm for q in queries]
    written = path.read_bytes()
    again.save(path)
    assert path.read_bytes() == written
    assert [p.name for p in tmp_path.iterdir()] == ["policy.npz"]
    with np.load(path, allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["weight"], first.learned["weight"])


@pytest.mark.parametrize("call", ["os.fsync", "os.replace", "zipfile.ZipFile.writestr"])
def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path, router = tmp_path / "policy.npz", learned()
    router.save(path)
    before = path.read_bytes()
    router.learn(router.choose(np.ones(TEXT), np.ones(IMAGE)), utility=1.0)

    def full(*given: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(call, full)
    with pytest.raises(ValueError, match=r"policy\.npz cannot be written: No space left on device$"):
        router.save(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["policy.npz"]

    def stopped(*given: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(call, stopped)
    with pytest.raises(KeyboardInterrupt):
        router.save(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["policy.npz"]


def test_what_could_not_be_loaded_is_not_written(tmp_path: Path) -> None:
    router = learned()
    router.learned["weight"][0, 0, 0] = np.nan
    with pytest.raises(
        ValueError, match="is not written, for it could not be loaded: its weight needs finite"
    ):
        router.save(tmp_path / "policy.npz")
    with pytest.raises(ValueError, match="named once"):
        learned(calls=0, models=("a", "b", "a")).save(tmp_path / "policy.npz")
    with pytest.raises(ValueError, match="cannot be written"):
        learned().save(tmp_path / "absent" / "policy.npz")
    with pytest.raises(ValueError, match="cannot be written: it is no file"):
        learned().save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_reward_of_ones_own_is_given_again_and_tried(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    learned(reward="mine.py:mine").save(path)
    with pytest.raises(ValueError, match=r"load needs reward=..., the function of 'mine\.py:mine'"):
        bandits.load(path)
    assert bandits.load(path, reward=bandits.rewards.accuracy).reward is bandits.rewards.accuracy
    for wrong in (lambda outcome, preference: np.nan * outcome.utility, lambda: 1.0):
        with pytest.raises(ValueError, match=r"the reward 'mine\.py:mine' of .*own\.npz cannot be used"):
            bandits.load(path, reward=wrong)


def packed(header: bytes, arrays: dict[str, Any], **options: Any) -> bytes:
    """Return a policy file whose digest is right, whatever is in it."""
    members = {"about.json": header}
    for name, array in arrays.items():
        content = io.BytesIO()
        if isinstance(array, bytes):
            content.write(array)
        else:
            np.save(content, array, allow_pickle=True)
        members[f"{name}.npy"] = content.getvalue()
    members["sha256"] = hashlib.sha256(b"".join(members.values())).hexdigest().encode()
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", **options) as packing:
        for name, data in (members | options.pop("extra", {})).items():
            packing.writestr(name, data)
    return whole.getvalue()


HEADER = msgspec.json.encode(file.About(FORMAT, learned().settings, described(learned().projection)[0]))


def whole() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the arrays of a good file, to be damaged."""
    router = learned()
    return json.loads(HEADER), router.learned | described(router.projection)[1]


def promised(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    """Return the bytes of a `.npy` that promises more than it holds."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": dtype, "fortran_order": False, "shape": shape})
    return content.getvalue() + bytes(64)


WRONG_HEADERS: list[tuple[tuple[str, ...], Any]] = [
    *((("format",), x) for x in (1, 2, 10**30, "3", None, [3], -1)),
    *(
        (("settings", "models"), x)
        for x in ("abc", [], ["a", "b"], ["a", "b", "a"], ["a", "b", ""], [1, 2, 3], None)
    ),
    (("settings", "models"), ["a", "b", "c" * 5000]),
    (("settings", "models"), ["a", "b", None]),
    *((("settings", "policy"), x) for x in ("", 1, None, "x" * 5000)),
    *(
        (("settings", "form", "explore"), x)
        for x in ({}, "Bonus", None, {"type": "Wild"}, {"type": "Bonus", "beta": 1})
    ),
    *((("settings", "form", "explore"), {"type": "Bonus", "alpha": x}) for x in (-1, "1", None, [1.0], True)),
    (("settings", "form", "explore"), {"type": "Gaps", "gamma": 0.0, "exponent": 0.5}),
    (("settings", "form", "explore"), {"type": "Coin", "epsilon": 1.5, "decay": 0.0}),
    *((("settings", "form", "ridge"), x) for x in (0, -1.0, "1", None, 1e6)),
    *((("settings", "form", "targets"), x) for x in (0, 2, 3, "1", None)),
    *((("settings", "reward"), x) for x in ("", "unknown", "log_cost,floor=5", "linear,x=1", 1, "linear,")),
    *((("settings", "reward"), x) for x in ("x.py:f", "r" * 5000, "log_cost,floor='a'")),
    *((("settings", "preference"), x) for x in (-1, "0", None, True)),
    *((("settings", "cost_scale"), x) for x in (0, -1, "1", None)),
    *((("settings", "label"), x) for x in (1, None, "x" * 5000)),
    *((("settings", "sha256"), x) for x in ("", "z" * 64, 1)),
    *((("settings",), x) for x in (None, [], {}, "x")),
    *(
        (("context", "uses"), x)
        for x in ([], ["text"], ["image", "text"], ["text", "text"], ["sound", "text"], None, "text")
    ),
    *(
        (("context", "sizes"), x)
        for x in ([], [5], [5, 7], [-5, 16], [0, 11], ["5", "6"], None, [10**12, 1], [5.5, 5.5])
    ),
    *((("context", "fusion"), x) for x in ("mean", "adaptive", "", None, 1)),
    *((("context", "features"), x) for x in (0, 3, 5, -4, "4", None, 10**9, 10**30)),
    *((("settings", "form"), x) for x in (None, {}, {"type": "Ridges"}, {"type": "Wild"}, "Ridges")),
    *((("settings", "price"), x) for x in (None, [], [0.1], [0.1, -1, 0.1], ["1", 1, 1])),
    *((("context", "columns"), x) for x in (-1, 5, 10**9, None)),
    *((("context", "datasets"), x) for x in (["a"], "a", None)),
    *((("context", "rare"), x) for x in (-1, None, "1")),
    (("more",), 1),
    (("settings", "more"), 1),
]


def _set(header: dict[str, Any], place: tuple[str, ...], value: Any) -> bytes:
    inside = header
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    return json.dumps(header).encode()


def _wrong_arrays(good: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return arrays that do not belong in a policy, by name."""
    lopsided, indefinite = good["inverse"].copy(), good["inverse"].copy()
    lopsided[0, 0, 1] += 1e-9
    indefinite[1] = -np.eye(D)
    wide, zero = good["inverse"].copy(), good["inverse"].copy()
    wide[2] *= 1e6
    zero[2] = 0.0
    pulls = good["pulls"]
    found: list[tuple[str, Any]] = [("inverse", x) for x in (lopsided, indefinite, wide, zero)]
    found += [("pulls", x) for x in (pulls - 100, pulls.astype(float), pulls[:2], pulls.astype(np.int32))]
    for name, array in good.items():
        found += [(name, x) for x in (array[None], array[:0], array.ravel()[:1], array.astype(object))]
        found += [
            (name, x) for x in (array.astype(str), array.astype(complex), b"", b"\x93NUMPY", np.float64(1))
        ]
        found += [(name, promised(s)) for s in (array.shape, (2**40,), (2**62, 2**62), (-1, 4), (0,))]
        found.append((name, promised(array.shape, "|O")))
        if name != "pulls":
            for value in (np.nan, np.inf, -np.inf, 1e200):
                spoiled = array.copy()
                spoiled.flat[-1] = value
                found.append((name, spoiled))
            found += [(name, array.astype(t)) for t in (np.float32, ">f8", np.int64)]
        if array.ndim > 1:
            found.append((name, np.asfortranarray(array)))
    return found


def _extra(members: dict[str, bytes], *without: str, deflated: bool = False) -> bytes:
    content = io.BytesIO()
    header, arrays = whole()
    del header
    with zipfile.ZipFile(io.BytesIO(packed(HEADER, arrays))) as good:
        kept = {name: good.read(name) for name in good.namelist() if name not in without}
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as packing:
        for name, data in {**kept, **members}.items():
            packing.writestr(name, data)
    return content.getvalue()


def _foreign() -> list[bytes]:
    """Return files that are something else."""
    npz, pickled, plain = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez(npz, weight=np.zeros(3), about=np.array("{}"))
    np.savez(pickled, about=np.array({"a": 1}, object), allow_pickle=True)
    np.save(plain, np.zeros(3))
    deep = b'{"format":3,"settings":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    names = [f"{name}.npy" for name in ARRAYS] + ["about.json", "sha256"]
    return [
        *(x.getvalue() for x in (npz, pickled, plain)),
        *(
            b"",
            b"hello",
            b"PK\x03\x04",
            b"PK\x05\x06" + bytes(18),
            b"\x00" * 4096,
            b"{}",
            bytes(range(256)) * 9,
        ),
        *(_extra({}, name) for name in names),
        _extra({"more.npy": b"1"}),
        _extra({}, deflated=True),
        _extra({"context.axes.npy": bytes(50_000_000)}, deflated=True),  # 50 kB that would be 50 MB
        _extra({"sha256": b"0" * 64}),
        *(_extra({"about.json": x}) for x in (b"", b"[]", b"null", b"{", b"\xff\xfe", deep, HEADER + b" ")),
        packed(HEADER.replace(b'"alpha":0.5', b'"alpha":NaN'), whole()[1]),
        packed(HEADER.replace(b'"alpha":0.5', b'"alpha":1e999'), whole()[1]),
    ]


def _damaged(seed: int) -> bytes:
    """Return a good file cut, with some bits turned, or with some bytes overwritten."""
    rng = np.random.default_rng(seed)
    data = bytearray(packed(HEADER, whole()[1]))
    kind = seed % 4
    if kind == 0:
        return bytes(data[: rng.integers(0, len(data))])
    if kind == 3:
        begin, length = rng.integers(0, len(data)), rng.integers(1, 200)
        data[begin : begin + length] = rng.bytes(length)
        return bytes(data)
    for place in rng.integers(0, len(data), 1 if kind == 1 else 8):
        data[place] ^= 1 << rng.integers(0, 8)
    return bytes(data)


def refused(path: Path, data: bytes) -> str | None:
    """Return the line that a file is refused with, or None where it loads as the very policy that it was."""
    path.write_bytes(data)
    try:
        router = bandits.load(path)
    except ValueError as error:
        said = str(error)
        assert "\n" not in said and str(path) in said and len(said) < 700
        return said
    assert bits(router) == bits(learned())
    return None


def test_a_good_file_of_this_test_loads(tmp_path: Path) -> None:
    assert refused(tmp_path / "policy.npz", packed(HEADER, whole()[1])) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: [packed(_set(whole()[0], place, value), whole()[1]) for place, value in WRONG_HEADERS],
        lambda: [packed(HEADER, whole()[1] | {name: wrong}) for name, wrong in _wrong_arrays(whole()[1])],
        _foreign,
    ],
    ids=["header", "arrays", "foreign"],
)
def test_a_file_of_the_wrong_content_never_loads(tmp_path: Path, make: Callable[[], list[bytes]]) -> None:
    cases = make()
    assert len(cases) > 25
    for number, data in enumerate(cases):
        assert refused(tmp_path / "policy.npz", data) is not None, f"case {number} loads"


def test_every_field_of_the_header_is_needed(tmp_path: Path) -> None:
    good = whole()[0]
    for place in [
        *([key] for key in good),
        *([part, key] for part in ("settings", "context") for key in good[part]),
    ]:
        header = whole()[0]
        inside = header[place[0]] if len(place) > 1 else header
        del inside[place[-1]]
        said = refused(tmp_path / "policy.npz", packed(json.dumps(header).encode(), whole()[1]))
        assert said is not None and f"`{place[-1]}`" in said


def test_damage_is_refused_or_has_changed_nothing(tmp_path: Path) -> None:
    """A cut or overwritten file never loads; a turned bit that does load is one of the zip's own (a date, say)."""
    loaded = sum(refused(tmp_path / "policy.npz", _damaged(seed)) is None for seed in range(TRIES))
    # The zip's own fields that nobody reads are under a tenth of these files; half of the cases turn bits.
    assert loaded < 0.2 * TRIES


def test_a_version_from_the_future_is_named(tmp_path: Path) -> None:
    header = whole()[0] | {"format": 9, "new": 1}
    said = refused(tmp_path / "policy.npz", packed(json.dumps(header).encode(), whole()[1]))
    assert said is not None and re.search(r"it has format 9, and this version reads 3$", said)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.npz", tmp_path, Path(os.devnull)):
        with pytest.raises(
            ValueError, match=r"load needs a file that `simulate\.py export` wrote; there is no"
        ):
            bandits.load(path)


def test_a_router_is_not_changed_by_saving(tmp_path: Path) -> None:
    router = learned()
    before = bits(router)
    router.save(tmp_path / "policy.npz")
    assert bits(router) == before
    other = dataclasses.replace(router, learned=router.learned | {"weight": router.learned["weight"] + 1.0})
    other.save(tmp_path / "policy.npz")
    assert bits(bandits.load(tmp_path / "policy.npz")) != before

"""Downloading MMR-Bench: against a server on this machine that speaks what the Hub's client needs."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from envs.tables import formats, hub

pytest.importorskip("huggingface_hub", reason="needs the extra: pip install routebandit[hub]")

MODELS = [f"model-{k:02d}" for k in range(11)]
NAMES = ["MMStar_0", "MMStar_1", "SEEDBench2_Plus_0", "OCRBench_0", "MathVista_0", "MathVista_1"]


def released(*, without: str = "") -> bytes:
    """Return a small table in the released schema: 3 + 11 x 4 columns, line breaks inside predictions."""
    rng = np.random.default_rng(5)
    fields = [("prediction", None), ("correct", None), ("token", None), ("cost", None)]
    columns = ["dataset_idx", "question", "answer", *(f"{m}_{f}" for m in MODELS for f, _ in fields)]
    rows = []
    for i, name in enumerate(NAMES):
        row = {"dataset_idx": name, "question": f"What is {i}?\nA, B or C", "answer": "B"}
        for m in MODELS:
            token = int(rng.integers(1, 900))
            row |= {f"{m}_prediction": f'Think, "{m}"\n\nB', f"{m}_correct": str(int(rng.random() < 0.6))}
            row |= {f"{m}_token": str(token), f"{m}_cost": str(token * 1e-6)}
        rows.append({k: v for k, v in row.items() if k != without})
    text = io.StringIO()
    writer = csv.DictWriter(text, [c for c in columns if c != without])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def archive(*, inside: str = "", without: str = "") -> bytes:
    """Return a packed folder of images for each dataset, as the release has them, or one level down."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in NAMES:
            folder, _, index = name.rpartition("_")
            folder = folder.replace("SEEDBench2_Plus", "SEEDBenchv2Plus")
            if folder != without:
                about = tarfile.TarInfo(f"{inside}{folder}/{index}.png")
                about.size = 4
                tar.addfile(about, io.BytesIO(b"\x89PNG"))
    return packed.getvalue()


class Hub(ThreadingHTTPServer):
    """What a test sets, and what the server saw."""

    files: dict[str, bytes]
    refuse: int = 0  # answer downloads with this status
    refuse_listing: int = 0
    cut: int | None = None  # break off after so many bytes of the file, and then answer nobody
    small: bool = False  # list files as Git's, not as large ones
    tamper: bool = False
    asked: list[tuple[str, str]]


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range", "")))
        if self.path.startswith("/api/datasets/gh0stHunter/MMR-Bench"):
            if self.server.refuse_listing:
                return self.refused(self.server.refuse_listing)
            return self.sent(200, json.dumps(self.listing()).encode(), {"Content-Type": "application/json"})
        found = re.fullmatch(r"/(datasets/gh0stHunter/MMR-Bench/resolve/main|cdn)/(.+)", self.path)
        name = found[2] if found else ""
        if name not in self.server.files:
            return self.refused(404)
        if self.server.refuse:
            return self.refused(self.server.refuse)
        if found and found[1] != "cdn":  # as the Hub does for large files
            return self.sent(302, b"", {"Location": f"/cdn/{name}"})
        return self.content(self.server.files[name])

    def listing(self) -> dict[str, Any]:
        entries = []
        for name, content in self.server.files.items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(content)}
            entry["blobId"] = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
            if not self.server.small:
                about = {
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "size": len(content),
                    "pointerSize": 130,
                }
                entry["lfs"] = about
            entries.append(entry)
        return {"id": "gh0stHunter/MMR-Bench", "sha": "0" * 40, "siblings": entries}

    def content(self, content: bytes) -> None:
        if self.server.tamper:
            content = content[:-2] + b"7\n"
        start = int(re.sub(r"\D", "", self.headers.get("Range", "0")))
        cut = self.server.cut
        if cut is not None and start >= cut:
            self.close_connection = True
            return
        size = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        self.send_response(206 if start else 200)
        for key, value in {"Content-Length": str(len(content) - start), **size}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content[start:cut])
        self.close_connection = True

    def refused(self, status: int) -> None:
        gated = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this dataset is restricted"}
        self.sent(status, b"", gated if status in (401, 403) else {})

    def sent(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import file_download

    running = Hub(("127.0.0.1", 0), Answer)
    running.files, running.asked = {"README.md": b"hello", "MMR_Bench.csv": released()}, []
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{running.server_address[1]}")
    monkeypatch.setattr(file_download, "time", SimpleNamespace(sleep=lambda seconds: None))  # between tries
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def downloads(server: Hub) -> list[tuple[str, str]]:
    return [(path, start) for path, start in server.asked if path.startswith("/cdn/")]


@pytest.mark.parametrize("name", ["MMR_Bench.csv", "MMR-Bench.csv"])
@pytest.mark.parametrize("small", [False, True])
def test_the_table_arrives_whole_and_checked(server: Hub, tmp_path: Path, name: str, small: bool) -> None:
    server.files = {"README.md": b"hello", name: released()}
    server.small = small
    got = hub.get_mmr_bench(tmp_path / "data")
    assert got.path == tmp_path / "data" / name and got.path.read_bytes() == released()
    assert [p.name for p in got.path.parent.iterdir()] == [name]
    assert got.queries == 6 and list(got.models) == MODELS and got.images == ()
    assert got.notes == ("the release had 10,370 queries, this table has 6",)
    table = formats.read(got.path)
    assert table.cost.shape == (6, 11) and set(table.scenario) == {"vqa", "ocr", "math"}


def test_a_table_that_is_there_is_not_downloaded_again(server: Hub, tmp_path: Path) -> None:
    first = hub.get_mmr_bench(tmp_path)
    assert hub.get_mmr_bench(tmp_path) == first
    assert len(downloads(server)) == 1


def test_another_file_of_that_name_is_kept(server: Hub, tmp_path: Path) -> None:
    (tmp_path / "MMR_Bench.csv").write_text("mine")
    with pytest.raises(ValueError, match=r"is another file than .* move it away"):
        hub.get_mmr_bench(tmp_path)
    assert (tmp_path / "MMR_Bench.csv").read_text() == "mine"


def test_an_interrupted_download_leaves_no_table_and_goes_on_where_it_stopped(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)  # the client keeps whole chunks of 10 MiB
    server.cut = 1000
    with pytest.raises(ValueError, match=r"cannot download from http://127.*kept in .*run this again"):
        hub.get_mmr_bench(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [".part"]
    assert [p.stat().st_size for p in (tmp_path / ".part").iterdir()] == [1000]
    server.cut = None
    server.asked.clear()
    got = hub.get_mmr_bench(tmp_path)
    assert got.path.read_bytes() == released() and not (tmp_path / ".part").exists()
    assert downloads(server) == [("/cdn/MMR_Bench.csv", "bytes=1000-")]


def test_a_table_released_anew_is_not_glued_to_the_old_one(server: Hub, tmp_path: Path) -> None:
    server.cut = 1000
    with pytest.raises(ValueError, match="cannot download"):
        hub.get_mmr_bench(tmp_path)
    server.cut = None
    server.files["MMR_Bench.csv"] = released().replace(b"What is", b"What was")
    assert b"What was" in hub.get_mmr_bench(tmp_path).path.read_bytes()


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("where", ["refuse", "refuse_listing"])
def test_a_gated_repository_is_told_and_leaves_nothing(
    server: Hub, tmp_path: Path, status: int, where: str
) -> None:
    setattr(server, where, status)
    with pytest.raises(ValueError, match=rf"gated or private \({status}\).*HF_TOKEN") as told:
        hub.get_mmr_bench(tmp_path / "data")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "data").exists()


def test_other_answers_are_told_with_their_status(server: Hub, tmp_path: Path) -> None:
    server.refuse_listing = 500
    with pytest.raises(ValueError, match="answered 500 for gh0stHunter/MMR-Bench"):
        hub.get_mmr_bench(tmp_path)


def test_without_a_network_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as closed:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.server_address[1]}")
    with pytest.raises(ValueError, match=r"cannot download from http://127.*when online") as told:
        hub.get_mmr_bench(tmp_path / "data")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (released(without="model-03_cost"), "column 'model-03_cost' is missing"),
        (released(without="answer"), "column 'answer' is missing"),
        (b"a,b\n1,2\n", "found a, b"),
        (released()[:-40], "needs 47 fields"),
    ],
)
def test_a_table_of_another_schema_is_refused(
    server: Hub, tmp_path: Path, content: bytes, fault: str
) -> None:
    server.files["MMR_Bench.csv"] = content
    with pytest.raises(ValueError, match=fault):
        hub.get_mmr_bench(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_table_that_is_not_the_listed_one_is_refused(server: Hub, tmp_path: Path) -> None:
    server.tamper = True
    with pytest.raises(ValueError, match="another checksum"):
        hub.get_mmr_bench(tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_repository_without_the_table_says_what_it_has(server: Hub, tmp_path: Path) -> None:
    server.files = {"README.md": b"hello"}
    with pytest.raises(ValueError, match=r"needs a file MMR_Bench.csv or MMR-Bench.csv, found README.md"):
        hub.get_mmr_bench(tmp_path)


@pytest.mark.parametrize("inside", ["", "images/"])
def test_images_are_unpacked_beside_the_table(server: Hub, tmp_path: Path, inside: str) -> None:
    server.files["images.tar.gz"] = archive(inside=inside)
    got = hub.get_mmr_bench(tmp_path, images=True)
    assert got.images == ("MMStar", "MathVista", "OCRBench", "SEEDBenchv2Plus")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["MMR_Bench.csv", *got.images]
    table = formats.read(got.path)
    assert all((tmp_path / path).read_bytes() == b"\x89PNG" for path in table.image_path)
    hub.get_mmr_bench(tmp_path, images=True)
    assert [path for path, _ in downloads(server)] == ["/cdn/MMR_Bench.csv", "/cdn/images.tar.gz"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [(archive(without="OCRBench"), "needs a folder OCRBench"), (b"not packed", "cannot be used")],
)
def test_images_appear_whole_or_not_at_all(server: Hub, tmp_path: Path, content: bytes, fault: str) -> None:
    server.files["images.tar.gz"] = content
    with pytest.raises(ValueError, match=fault):
        hub.get_mmr_bench(tmp_path, images=True)
    assert [p.name for p in tmp_path.iterdir()] == ["MMR_Bench.csv"]
    server.files.pop("images.tar.gz")
    with pytest.raises(ValueError, match=r"needs a file images.tar.gz, found README.md, MMR_Bench.csv"):
        hub.get_mmr_bench(tmp_path, images=True)


def test_dest_needs_to_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="--dest needs a folder"):
        hub.get_mmr_bench(tmp_path / "file")


def test_without_the_extra_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"^get needs huggingface_hub: pip install routebandit\[hub\]$"):
        hub.get_mmr_bench(tmp_path)

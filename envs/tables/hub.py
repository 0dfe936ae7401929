"""MMR-Bench's released table and images from the Hugging Face Hub: resumed, checked, and whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from envs.tables import files, formats
from envs.tables.sheet import shown

REPOSITORY = "gh0stHunter/MMR-Bench"
TABLES = ("MMR_Bench.csv", "MMR-Bench.csv")  # it has been called both
IMAGES = "images.tar.gz"
QUERIES, MODELS = 10_370, 11  # of the release
_META = ("dataset_idx", "question", "answer")
_ENDINGS = ("prediction", "correct", "token", "cost")  # of the four columns that are one model's


class Download(NamedTuple):
    """What there is now.

    Attributes:
        path: the table.
        queries: its rows.
        models: its models.
        images: folders of images beside it, none where they were not asked for.
        notes: one line each, where it is not what was released.
    """

    path: Path
    queries: int
    models: tuple[str, ...]
    images: tuple[str, ...]
    notes: tuple[str, ...]


def get_mmr_bench(dest: str | Path, *, images: bool = False) -> Download:
    """Return the released table of MMR-Bench, downloaded to `dest` unless it is there already.

    Files arrive in `dest/.part`, from where a later call goes on after an interruption. They get their names
    after size, checksum and columns have been found right. A progress bar is shown on a terminal.

    Args:
        dest: a folder, made where there is none.
        images: download and unpack the images too, beside the table.

    Raises:
        ValueError: one line: huggingface_hub is missing, the Hub cannot be reached or refuses, a file of that name is
            there and is another one, or what came is not the release.
    """
    dest = Path(dest)
    if dest.exists() and not dest.is_dir():
        raise ValueError(f"--dest needs a folder, {dest} is a file")
    offered = _listed()
    name = next((t for t in TABLES if t in offered), "")
    if not name:
        raise ValueError(f"{REPOSITORY} needs a file {' or '.join(TABLES)}, found {', '.join(offered)}")
    table, part = dest / name, dest / ".part"
    made = [part] if dest.exists() else [part, dest]
    try:
        if not _there(table, offered[name]):
            os.replace(_checked(_fetch(offered[name], part)), table)
        outcomes = formats.read(table)
        folders = sorted({str(p).partition("/")[0] for p in outcomes.image_path if p})
        if images and not all((dest / f).is_dir() for f in folders):
            if IMAGES not in offered:
                raise ValueError(f"{REPOSITORY} needs a file {IMAGES}, found {', '.join(offered)}")
            _unpack(_fetch(offered[IMAGES], part), dest, folders)
    finally:
        for empty in made:  # a refused download leaves no trace; an interrupted one its parts
            with suppress(OSError):
                empty.rmdir()
    found = (("queries", len(outcomes), QUERIES), ("models", len(outcomes.models), MODELS))
    notes = tuple(
        f"the release had {goal:,} {what}, this table has {n:,}" for what, n, goal in found if n != goal
    )
    return Download(table, len(outcomes), outcomes.models, tuple(folders) if images else (), notes)


def _checked(arrived: Path) -> Path:
    """Return the path of a downloaded table that can be read and has all columns of the released schema.

    Raises:
        ValueError: it has not; the file is removed.
    """
    try:
        names = files.opened(arrived).names
        models = [n.removesuffix("_correct") for n in names if n.endswith("_correct")]
        needed = [*_META, *(f"{m}_{ending}" for m in models for ending in _ENDINGS)]
        if not models or (lacking := [c for c in needed if c not in names]):
            fault = f"column {lacking[0]!r} is missing" if models else f"found {shown(names)}"
            raise ValueError(
                f"{REPOSITORY}: the table needs {', '.join(_META)}, and {', '.join(_ENDINGS)} of each model; {fault}"
            )
        formats.read(arrived)
    except ValueError:
        arrived.unlink()
        raise
    return arrived


def _listed() -> dict[str, Any]:
    """Return what the repository offers, by file name: entries with `size`, `blob_id` and `lfs`."""
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise ValueError("get needs huggingface_hub: pip install routebandit[hub]") from None
    with _explained("nothing was downloaded"):
        about = HfApi(endpoint=_endpoint()).dataset_info(REPOSITORY, files_metadata=True, timeout=30)
    return {entry.rfilename: entry for entry in about.siblings or []}


def _fetch(entry: Any, part: Path) -> Path:
    """Return the file in `part` that holds an entry, downloaded from where an earlier call stopped."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import (
        http_get,
    )  # the only call that goes on in a file of an earlier run
    from huggingface_hub.utils import build_hf_headers

    part.mkdir(parents=True, exist_ok=True)
    # Named after its content: a table that was released anew is not glued to the beginning of the old one.
    arrived = part / f"{_checksum(entry)[:12]}-{entry.rfilename}"
    url = hf_hub_url(REPOSITORY, entry.rfilename, repo_type="dataset", endpoint=_endpoint())
    headers = {**build_hf_headers(), "accept-encoding": "identity"}
    try:
        with open(arrived, "ab") as sink, _explained(f"what came is kept in {part}"):
            had = sink.tell()
            http_get(
                url,
                sink,
                resume_size=had,
                headers=headers,
                expected_size=entry.size,
                displayed_filename=entry.rfilename,
            )
    finally:
        if arrived.stat().st_size == 0:
            arrived.unlink()
    if _digest(arrived, entry) != _checksum(entry):
        arrived.unlink()
        raise ValueError(
            f"{entry.rfilename} came with another checksum than {REPOSITORY} lists; get it again"
        )
    return arrived


def _there(path: Path, entry: Any) -> bool:
    """Return whether the file is there, and is the listed one.

    Raises:
        ValueError: it is there and differs.
    """
    if not path.exists():
        return False
    if _digest(path, entry) != _checksum(entry):
        raise ValueError(f"{path} is another file than {REPOSITORY} lists; move it away to download it")
    return True


def _checksum(entry: Any) -> str:
    return str(entry.lfs["sha256"] if entry.lfs else entry.blob_id)


def _digest(path: Path, entry: Any) -> str:
    """Return the checksum of a file as the Hub counts it: sha256 for large files, Git's for small ones."""
    digest = hashlib.sha256() if entry.lfs else hashlib.sha1(f"blob {path.stat().st_size}\0".encode())
    with open(path, "rb") as content:
        while block := content.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _unpack(archive: Path, dest: Path, folders: list[str]) -> None:
    """Put the folders of images beside the table, each whole or not at all, and remove the archive.

    Raises:
        ValueError: it is no archive, or lacks a folder.
    """
    staged = archive.with_name("unpacked")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(staged, filter="data")
        root = _root(staged, folders)
        for name in folders:
            if not (dest / name).exists():
                os.replace(root / name, dest / name)
    except (tarfile.TarError, ValueError) as error:  # its checksum was right: another download mends nothing
        archive.unlink()
        raise ValueError(f"{IMAGES} cannot be used: {error}") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    archive.unlink()


def _root(unpacked: Path, folders: list[str]) -> Path:
    """Return where the folders lie: at the top, or inside folders that hold nothing else."""
    root, inside = unpacked, [unpacked]
    while len(inside) == 1 and inside[0].is_dir() and not (root / folders[0]).is_dir():
        root = inside[0]
        inside = list(root.iterdir())
    lacking = [name for name in folders if not (root / name).is_dir()]
    if lacking:
        raise ValueError(f"it needs a folder {lacking[0]}, found {', '.join(sorted(os.listdir(root)))}")
    return root


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


@contextmanager
def _explained(left: str) -> Iterator[None]:
    """Turn what the client raises into one line that says what to do, and what is `left` of the download.

    The client's HTTP library, and with it the class of its errors, differs between versions.

    Raises:
        ValueError: whatever the client raised, other than a disk's own error.
    """
    from huggingface_hub.utils import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", 0)
        if status in (401, 403):
            raise ValueError(
                f"{REPOSITORY} is gated or private ({status}): accept its terms at {_endpoint()}/datasets/{REPOSITORY},"
                " then `hf auth login` or set HF_TOKEN, and run this again"
            ) from error
        raise ValueError(f"{_endpoint()} answered {status} for {REPOSITORY}; try again later") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
            raise  # a full disk, a folder that cannot be written
        first = (str(error).splitlines() or [""])[0]
        raise ValueError(
            f"cannot download from {_endpoint()} ({type(error).__name__}: {first}); {left}, run this again when online"
        ) from error

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

from envs import files, formats, recognise

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
    part = dest / ".part"
    try:
        table = dest / name
        if not _there(table, offered[name]):
            check_columns(arrived := _fetch(offered[name], part))
            formats.read(arrived)
            os.replace(arrived, table)
        outcomes = formats.read(table)
        folders = sorted({str(p).partition("/")[0] for p in outcomes.image_path if p})
        if images and not all((dest / f).is_dir() for f in folders):
            if IMAGES not in offered:
                raise ValueError(f"{REPOSITORY} needs a file {IMAGES}, found {', '.join(offered)}")
            _unpack(_fetch(offered[IMAGES], part), dest, folders)
    finally:
        for empty in (part, dest):  # a refused download leaves no trace; an interrupted one its parts
            with suppress(OSError):
                empty.rmdir()
    found = (("queries", len(outcomes), QUERIES), ("models", len(outcomes.models), MODELS))
    notes = tuple(f"the release has {goal:,} {what}, this table {n:,}" for what, n, goal in found if n != goal)
    return Download(table, len(outcomes), outcomes.models, tuple(folders) if images else (), notes)


def check_columns(path: Path) -> tuple[str, ...]:
    """Return the models of a table in the released schema.

    Raises:
        ValueError: a column of the schema is missing, or one stands outside it; the file is removed.
    """
    names = files.load(path, lambda names: list(names)).column_names
    models = tuple(n.removesuffix("_correct") for n in names if n.endswith("_correct"))
    needed = [*_META, *(f"{m}_{ending}" for m in models for ending in _ENDINGS)]
    lacking, odd = [c for c in needed if c not in names], [c for c in names if c not in needed]
    if models and not lacking and not odd:
        return models
    path.unlink()
    raise ValueError(
        f"{REPOSITORY}: the table needs {', '.join(_META)} and {', '.join(_ENDINGS)} of every model; "
        + (f"column {lacking[0]!r} is missing" if lacking else f"found {recognise.shown(odd or names)}")
    )


def _listed() -> dict[str, Any]:
    """Return what the repository offers, by file name: entries with `size`, `blob_id` and `lfs`."""
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise ValueError("get needs huggingface_hub: pip install routebandit[hub]") from None
    with _explained():
        about = HfApi(endpoint=_endpoint()).dataset_info(REPOSITORY, files_metadata=True, timeout=30)
    return {entry.rfilename: entry for entry in about.siblings or []}


def _fetch(entry: Any, part: Path) -> Path:
    """Return the file in `part` that holds an entry, downloaded from where an earlier call stopped."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get  # the only call that goes on in a file of an earlier run
    from huggingface_hub.utils import build_hf_headers

    part.mkdir(parents=True, exist_ok=True)
    # Named after its content: a table that was released anew is not glued to the beginning of the old one.
    arrived = part / f"{_checksum(entry)[:12]}-{entry.rfilename}"
    url = hf_hub_url(REPOSITORY, entry.rfilename, repo_type="dataset", endpoint=_endpoint())
    headers = {**build_hf_headers(), "accept-encoding": "identity"}
    try:
        with open(arrived, "ab") as sink, _explained():
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
        raise ValueError(f"{entry.rfilename} came with another checksum than {REPOSITORY} lists; get it again")
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
    """Put the folders of images beside the table, each whole or not at all, and remove the archive."""
    staged = archive.with_name("unpacked")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(staged, filter="data")
        root = staged
        while not (root / folders[0]).is_dir() and len(inside := list(root.iterdir())) == 1 and inside[0].is_dir():
            root = inside[0]
        for name in folders:
            if not (root / name).is_dir():
                raise ValueError(f"{IMAGES} needs a folder {name}, found {', '.join(sorted(os.listdir(root)))}")
        for name in folders:
            if not (dest / name).exists():
                os.replace(root / name, dest / name)
    except tarfile.TarError as error:
        raise ValueError(f"{IMAGES} cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    archive.unlink()


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what the client raises into one line that says what to do.

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
            f"cannot download from {_endpoint()} ({type(error).__name__}: {first}); what came is kept, run this again"
            " when online"
        ) from error

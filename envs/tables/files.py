"""Files opened as sheets, by the ending of the name: CSV, TSV, JSON, Parquet, Excel; nothing is ever unpickled."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from envs.tables.sheet import Sheet

TEXT = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")  # each may be packed as `.gz`
ENDINGS = (*TEXT, *(f"{e}.gz" for e in TEXT), ".parquet", ".xlsx", ".xls")
SUFFIXES = (*TEXT, ".gz", ".parquet", ".xlsx", ".xls", ".pkl", ".pickle")  # as `Path.suffix` gives a table's
_FLOOR, _FOLD = 1 << 28, 100  # bytes that may always be unpacked, and times the packed size


def ending(path: Path) -> str:
    """Return the recognised ending of a file's name, such as `.csv.gz`, in lower case.

    Raises:
        ValueError: the name ends otherwise; for a pickle, with the lines that convert it.
    """
    name = path.name.lower()
    found = [e for e in ENDINGS if name.endswith(e)]
    if found:
        return max(found, key=len)
    if name.endswith((".pkl", ".pickle", ".pkl.gz")):
        raise ValueError(
            f"{path}: a pickle can run any code and is not read; if you trust it, convert it with these two lines:"
            f" `import pandas` and `pandas.read_pickle({str(path)!r}).to_parquet({path.stem + '.parquet'!r})`"
        )
    raise ValueError(f"{path}: needs a name that ends in {', '.join(ENDINGS)}, got {path.name!r}")


def opened(path: Path) -> Sheet:
    """Return the sheet of a file.

    Raises:
        ValueError: one line that names the file: no such file, another ending, or damaged.
    """
    kind = ending(path)
    if path.is_dir():
        raise ValueError(f"{path}: needs a file, got a directory")
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    if kind == ".parquet":
        from envs.tables import columnar

        return columnar.sheet(path)
    if kind.startswith(".xls"):
        from envs.tables import excel

        bounded(path)
        return excel.sheet(path)
    data = content(path) if kind.endswith(".gz") or ".json" in kind or ".nd" in kind else None
    if ".csv" in kind or ".tsv" in kind:
        from envs.tables import delimited

        return delimited.sheet(path, data, "\t" if ".tsv" in kind else ",")
    from envs.tables import records

    return records.sheet(path, data or b"", lines=not kind.startswith(".json") or kind.startswith(".jsonl"))


def content(path: Path) -> bytes:
    """Return the file's bytes, unpacked; a file that would unpack to far more than tables do is refused."""
    try:
        data = path.read_bytes()
        if path.name.lower().endswith(".gz") and data:
            data = _unpacked(path, data)
    except (EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not a whole gzip file ({error})") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not data.strip():
        raise ValueError(f"{path}: needs a table, the file is empty")
    return data


def _unpacked(path: Path, data: bytes) -> bytes:
    """Return what gzip members hold, never holding more than the limit."""
    limit, parts, held = max(_FLOOR, _FOLD * len(data)), [], 0
    while data.strip(b"\0"):
        member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        part = member.decompress(data, limit - held + 1)
        held += len(part)
        if held > limit:
            raise ValueError(
                f"{path}: unpacks to more than {limit >> 20:,} MiB; unpack it yourself if it is meant to"
            )
        if not member.eof:
            raise EOFError("it ends too early")
        parts.append(part)
        data = member.unused_data
    return b"".join(parts)


def bounded(path: Path) -> None:
    """Refuse a zip file (an Excel sheet, an `.npz`) that says it unpacks to far more than tables do."""
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return  # whoever reads it says what it is
    limit = max(_FLOOR, _FOLD * path.stat().st_size)
    if size > limit:
        raise ValueError(f"{path}: unpacks to {size >> 20:,} MiB, more than the {limit >> 20:,} MiB allowed")

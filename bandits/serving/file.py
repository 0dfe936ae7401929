"""The file of an exported policy: an uncompressed zip of a JSON header, `.npy` arrays and a digest of both.

`numpy.load` opens it too. Reading believes nothing: sizes are bounded by the file's own before anything is allocated,
nothing is unpickled, and every type, shape, range and name is checked.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from bandits.serving.settings import FORMAT, About, Arrays, check_values, layout

_HEADER, _DIGEST = "about.json", "sha256"
_LONGEST = 64 * 2**20  # bytes of a header: names of 100,000 models
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same policy is the same file, whenever it is written


class _Version(msgspec.Struct):
    format: int


def is_ours(path: Path) -> bool:
    """Return whether a file is a policy that `write` has written, to judge by its header's name."""
    try:
        with zipfile.ZipFile(path) as whole:
            return _HEADER in whole.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def write(path: Path | str, about: About, arrays: Arrays) -> None:
    """Write a policy's file, whole or not at all: until the last byte is on disk, the earlier file stays.

    Raises:
        ValueError: it cannot be written there, or `read` would refuse it.
    """
    header = msgspec.json.encode(about)
    try:
        _checked(msgspec.json.decode(header, type=About), arrays)
    except ValueError as error:
        raise ValueError(f"{path} is not written, for it could not be loaded: {error}") from None
    place = Path(os.path.realpath(path))  # a link goes on to point where it did
    if place.exists() and not place.is_file():
        raise ValueError(f"{path} cannot be written: it is no file")
    part = place.with_name(f".{place.name[:200]}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            _fill(file, header, arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, place)
        _settle(place.parent)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def _settle(folder: Path) -> None:
    """Put a folder's list of names on disk, where the system can: a rename survives a loss of power only then."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fill(file: Any, header: bytes, arrays: Arrays) -> None:
    digest = hashlib.sha256(header)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as whole:
        whole.writestr(zipfile.ZipInfo(_HEADER, _EPOCH), header)
        for name in layout(msgspec.json.decode(header, type=About)):
            content = io.BytesIO()
            # `ascontiguousarray` would make a number an array of one.
            npy.write_array(content, np.asarray(arrays[name], order="C"), version=(1, 0), allow_pickle=False)
            digest.update(content.getbuffer())
            whole.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), content.getbuffer())
        whole.writestr(zipfile.ZipInfo(_DIGEST, _EPOCH), digest.hexdigest())


def read(path: Path | str) -> tuple[About, Arrays]:
    """Return the header and the arrays of a policy's file.

    Raises:
        ValueError: there is none, it is damaged, from a later version, or holds what no policy can have learned.
    """
    if not Path(path).is_file():
        raise ValueError(f"load needs a file that `simulate.py export` wrote; there is no {path}")
    try:
        with zipfile.ZipFile(path) as whole:
            return _read(whole, Path(path).stat().st_size)
    except Exception as error:  # zipfile, NumPy's header and JSON fail in a dozen ways on damaged bytes
        said = " ".join(str(error).split())[:300]
        raise ValueError(f"load needs a file that `simulate.py export` wrote, got {path}: {said}") from error


def _read(whole: zipfile.ZipFile, size: int) -> tuple[About, Arrays]:
    members = {member.filename: member for member in whole.infolist()}
    if not {_HEADER, _DIGEST} <= set(members):
        raise ValueError(f"it needs to hold {_HEADER} and {_DIGEST}")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
        raise ValueError("it needs to be uncompressed")
    if sum(member.file_size for member in members.values()) > size:
        raise ValueError("its members are larger than the file")
    if members[_HEADER].file_size > _LONGEST:
        raise ValueError("its header is too long")
    header = whole.read(_HEADER)
    version = msgspec.json.decode(header, type=_Version).format
    if version != FORMAT:
        raise ValueError(f"it has format {version}, and this version reads {FORMAT}")
    about = msgspec.json.decode(header, type=About)
    wanted = layout(about)
    named = {_HEADER, _DIGEST, *(f"{name}.npy" for name in wanted)}
    if set(members) != named or len(whole.infolist()) != len(named):
        raise ValueError(f"it needs to hold {', '.join(sorted(named))}")
    digest, arrays = hashlib.sha256(header), {}
    for name, (dtype, shape) in wanted.items():
        content = whole.read(f"{name}.npy")
        digest.update(content)
        arrays[name] = _array(name, content, dtype, shape)
    if whole.read(_DIGEST) != digest.hexdigest().encode():
        raise ValueError("its content is not what was written: the digest differs")
    return about, _checked(about, arrays)


def _array(name: str, content: bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return an array from the bytes of a `.npy`, which need to be of this dtype and shape and nothing else."""
    file = io.BytesIO(content)
    if npy.read_magic(file) != (1, 0):
        raise ValueError(f"its {name} needs to be of .npy version 1.0")
    found, by_column, kind = npy.read_array_header_1_0(file, max_header_size=1_000)
    if (found, by_column, kind.str) != (shape, False, dtype):
        raise ValueError(f"its {name} needs shape {shape} of {dtype}, got {found} of {kind}")
    # As large as its bytes are: a header that promises more allocates nothing.
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape).copy()


def _checked(about: About, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    for name, (dtype, shape) in layout(about).items():
        if (arrays[name].shape, arrays[name].dtype.str) != (shape, dtype):
            raise ValueError(f"its {name} needs shape {shape} of {dtype}, got {arrays[name].shape}")
    check_values(about, dict(arrays))
    return dict(arrays)

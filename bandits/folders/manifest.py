"""What a manifest says, by types: a damaged or foreign one ends in one line that names file, key and type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec

_LONGEST = 300  # characters of a name, and of what a message repeats
Name = Annotated[str, msgspec.Meta(max_length=_LONGEST)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Data(msgspec.Struct):
    """The table that a run was on."""

    sha256: str
    name: str | None = None
    source: str = ""
    licence: str = ""


class Context(msgspec.Struct):
    """How contexts were made."""

    modality: str = "both"
    fusion: str = "concat"
    dim: int = 32
    whiten: bool = False
    context: str = "embeddings"


class Load(msgspec.Struct):
    """How the table was loaded."""

    name: str
    data: str | list[str] | None = None
    prices: str | None = None
    models: str | None = None


class Manifest(msgspec.Struct):
    """What every reader of a run's folder needs of it; all else in the file may be there or not."""

    stream: Name
    seeds: Count
    seed: Count
    policies: list[Name]
    data: Data
    context: Context
    versions: dict[str, str]
    notes: list[str]
    models: list[str]
    seconds: float
    reward: str
    preference: str
    order: str
    rounds: Count | None
    command: str
    title: str
    label: str
    cost_unit: str = ""
    budget: str | list[str] = ""
    time: str = ""
    load: Load | None = None
    asked: dict[str, Any] = {}
    format: str = ""
    unfinished: list[Name] = []
    given_sha256: str | None = None
    log_sha256: str | None = None
    tables: bool = True
    streamed: bool = False
    marks: list[tuple[int, str]] = []


def read(place: Path) -> dict[str, Any]:
    """Return the manifest of a run's folder as it stands, its types checked.

    Raises:
        ValueError: there is none, or it is no manifest of a run; one line.
    """
    path = place / "manifest.json"
    shown = str(place)[:_LONGEST]
    try:
        text = path.read_bytes()
        msgspec.json.decode(text, type=Manifest)
        return dict(json.loads(text))
    except FileNotFoundError as error:
        begun = place.with_name(f".{place.name}.unfinished").is_dir() if place.name else False
        why = "it was stopped, and its command with --resume goes on" if begun else "it has no manifest.json"
        raise ValueError(f"{shown} needs to be the folder of a finished run; {why}") from error
    except NotADirectoryError as error:
        raise ValueError(f"{shown} needs to be the folder of a finished run; it is a file") from error
    except (ValueError, RecursionError, OSError) as error:
        why = " ".join(str(error).split())[:_LONGEST]
        raise ValueError(f"{shown} needs to be the folder of a finished run: manifest.json: {why}") from error

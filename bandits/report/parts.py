"""What every page is put together from: this package's own files, data, and Plotly's script packed."""

from __future__ import annotations

import base64
import gzip
import json
from importlib import metadata, resources
from typing import Any

import numpy as np
import pandas as pd

from envs.cache import Arrays, cached


def own(name: str) -> str:
    """Return the text of a file of this package."""
    return (resources.files("bandits.report") / name).read_text(encoding="utf-8")


def embedded(data: Any) -> str:
    """Return JSON that cannot end the script element that it stands in."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows by the names of its columns."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def script() -> str:
    """Return Plotly's script as text."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def plotly() -> str:
    """Return Plotly's script in gzip and base64, which is less than half of it; packed once and kept in the cache."""

    def pack() -> Arrays:
        return {"gzip": np.frombuffer(gzip.compress(script().encode(), mtime=0), np.uint8)}

    packed = cached("plotly", metadata.version("plotly"), pack)["gzip"]
    return base64.b64encode(packed.tobytes()).decode()

"""What every page is put together from: this package's own files, data, and Plotly's script packed."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.report.styles import DARK
from envs.cache import Arrays, cached

if TYPE_CHECKING:
    import pandas as pd


def own(name: str) -> str:
    """Return the text of a file of this package."""
    return (resources.files("bandits.report") / name).read_text(encoding="utf-8")


def template(name: str) -> str:
    """Return the text of a page, with places such as {{title}}: the head that all pages share, and a file's body."""
    return own("head.html") + own(name)


def embedded(data: Any) -> str:
    """Return JSON that cannot end the script element that it stands in."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def policy(style: str, *scripts: str) -> str:
    """Return a page's content security policy: its own style and scripts by their hashes, nothing from elsewhere.

    Plotly sets styles of single elements as attributes, which is allowed where there is a script, and begins an empty
    sheet; a page without a script allows its one style sheet alone.

    Args:
        style: text of the page's style element.
        scripts: texts of the scripts that it runs.
    """
    if not scripts:
        return f"default-src 'none'; style-src {_hashed(style)}; base-uri 'none'; form-action 'none'"
    run = " ".join(map(_hashed, scripts))
    # A browser that does not know style-src-elem and style-src-attr takes style-src.
    styles = (
        f"style-src 'unsafe-inline'; style-src-elem {_hashed(style)} {_hashed('')};"
        " style-src-attr 'unsafe-inline'"
    )
    return (
        f"default-src 'none'; script-src {run}; {styles}; img-src data: blob:; connect-src 'none';"
        " base-uri 'none'; form-action 'none'"
    )


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def drawn(name: str, parts: Mapping[str, str], *more: str) -> str:
    """Return a page with charts from its template: the parts, Plotly, the scripts, and a policy that seals them.

    Args:
        name: of the file with its body in this package, see `template`.
        parts: the text of each place, as HTML.
        more: names of scripts that come after charts.js, which draws the block `figures`.
    """
    style = own("page.css")
    code = "".join(own(file) for file in ("charts.js", *more))
    known = {
        **parts, "style": style, "script": code, "plotly": plotly(), "palette": embedded(DARK),
        "policy": policy(style, code, script()),
    }  # fmt: skip
    return re.sub(r"\{\{(\w+)\}\}", lambda match: known[match[1]], template(name))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows by the names of its columns."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def script() -> str:
    """Return Plotly's script as text, the file that `plotly.offline.get_plotlyjs` reads, its package not loaded."""
    found = find_spec("plotly")
    assert found is not None and found.submodule_search_locations is not None
    return (Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js").read_text("utf-8")


def plotly() -> str:
    """Return Plotly's script in gzip and base64, which is less than half of it; packed once and kept in the cache."""

    def pack() -> Arrays:
        return {"gzip": np.frombuffer(gzip.compress(script().encode(), mtime=0), np.uint8)}

    packed = cached("plotly", metadata.version("plotly"), pack)["gzip"]
    return base64.b64encode(packed.tobytes()).decode()

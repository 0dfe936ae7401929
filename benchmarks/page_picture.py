"""Take the first drawing out of a page that a command has written, as a picture for the docs.

python benchmarks/page_picture.py PAGE.html docs/NAME.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.decision_picture import drawing

if __name__ == "__main__":
    page, out = map(Path, sys.argv[1:])
    out.write_text(drawing(page.read_text(encoding="utf-8")), encoding="utf-8")

"""Take the first drawing out of a page that a command has written, as a picture for the docs.

python benchmarks/page_picture.py PAGE.html docs/NAME.svg
"""

from __future__ import annotations

import argparse
from pathlib import Path

from decision_picture import drawing

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", type=Path, metavar="PAGE.html")
    parser.add_argument("out", type=Path, metavar="NAME.svg")
    asked = parser.parse_args()
    asked.out.write_text(drawing(asked.page.read_text(encoding="utf-8")), encoding="utf-8")

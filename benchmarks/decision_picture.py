"""Draw the plane of a decision as a picture for the docs.

    python benchmarks/decision_picture.py TABLE [--worth W] [--out docs/decision.svg]

It is the drawing of `simulate.py decide TABLE`, with the page's own colours, light or dark as the reader's are. The
README's is of ParetoBandit's released table of four models (Apache-2.0, `data_collection/rewards` in its repository),
with all-MiniLM-L6-v2 embeddings of its prompts beside it, and a right answer worth 0.004 USD.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def drawing(page: str) -> str:
    """Return the first drawing of a decision's page as a file of its own.

    Raises:
        ValueError: the page has none.
    """
    found = re.search(r"<svg (.*?)</svg>", page, re.S)
    style = re.search(r"<style[^>]*>(.*?)</style>", page, re.S)
    if found is None or style is None:
        raise ValueError("the decision's page needs a drawing, found none: the table records no costs")
    paper = '<rect width="100%" height="100%" fill="var(--paper)"/>'
    opened, rest = found[1].split(">", 1)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {opened}><style>{style[1]}</style>{paper}{rest}</svg>\n'


def main() -> None:
    """Decide and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table")
    parser.add_argument("--worth", default="0.004")
    parser.add_argument("--out", default=str(ROOT / "docs" / "decision.svg"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            str(ROOT / "simulate.py"),
            "decide",
            asked.table,
            "--worth",
            asked.worth,
            "--out",
            folder,
        ]
        if subprocess.run(command, check=False).returncode:
            sys.exit(2)
        picture = drawing((Path(folder) / "decision.html").read_text(encoding="utf-8"))
    Path(asked.out).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()

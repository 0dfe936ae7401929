"""Draw the rooms of the house and the imports between them: `python benchmarks/rooms.py` writes docs/rooms.svg.

Rooms stand in the order of the layers that `make lint` holds (setup.cfg, [importlinter]), the highest first; each
imports from rooms below it only. Beside a name stand its files and lines. Imports are read from the code by grimp,
which the linter uses too.
"""

from __future__ import annotations

import argparse
import configparser
import html
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
LEFT, EDGE, TOP, HIGH, STEP = 96, 330, 12, 30, 38


def layers() -> list[tuple[str, list[str]]]:
    """Return the rows, the highest first: a package's name, and the rooms of one layer."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    rows = [("commands", ["commands"])]
    for package in ("bandits", "envs"):
        named = setup[f"importlinter:contract:{package}"]["layers"].split("\n")
        rows += [(package, [f"{package}.{room.strip()}" for room in row.split("|")]) for row in named if row]
    return rows


def size(room: str) -> tuple[int, int]:
    """Return how many files and lines a room has."""
    place = ROOT / room.replace(".", "/")
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    return len(files), sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def drawn(rows: list[tuple[str, list[str]]]) -> str:
    """Return the picture as SVG: rooms from the highest layer down, an arc for each pair that imports."""
    graph = grimp.build_graph(
        "bandits", "envs", "commands", cache_dir=None, exclude_type_checking_imports=True
    )
    rooms = [(package, room) for package, row in rows for room in row]
    middle = {room: TOP + i * STEP + HIGH / 2 for i, (_, room) in enumerate(rooms)}
    arcs, boxes = [], []
    for a, ay in middle.items():
        for b, by in middle.items():
            if a != b and graph.direct_import_exists(importer=a, imported=b, as_packages=True):
                reach = EDGE + 14 + abs(by - ay) * 0.55
                arcs.append(
                    f'<path d="M{EDGE},{ay:.0f} C{reach:.0f},{ay:.0f} {reach:.0f},{by:.0f} {EDGE},{by:.0f}"/>'
                )
    for i, (package, room) in enumerate(rooms):
        y, (files, lines) = TOP + i * STEP, size(room)
        if i == 0 or rooms[i - 1][0] != package:
            boxes.append(f'<text class="package" x="8" y="{y + 20}">{package}</text>')
        boxes.append(
            f'<rect x="{LEFT}" y="{y}" width="{EDGE - LEFT}" height="{HIGH}" rx="5"/>'
            f'<text x="{LEFT + 10}" y="{y + 20}">{html.escape(room.rpartition(".")[2])}</text>'
            f'<text class="size" x="{EDGE - 10}" y="{y + 20}">{files} files, {lines:,} lines</text>'
        )
    height = TOP + len(rooms) * STEP
    width = EDGE + 30 + 0.45 * height
    style = (
        "svg{background:#fff}text{font:13px sans-serif;fill:#222}.size{font-size:11px;fill:#555;text-anchor:end}"
        ".package{font-weight:bold}rect{fill:#eef1f6;stroke:#8793a8}path{fill:none;stroke:#7d8ca6;opacity:.55}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img"'
    label = (
        "The rooms of the code from the highest layer down, with an arc from each room to those it imports"
    )
    return f'{head} aria-label="{label}"><style>{style}</style>{"".join(arcs)}{"".join(boxes)}</svg>\n'


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    (ROOT / "docs" / "rooms.svg").write_text(drawn(layers()), encoding="utf-8")
    print(ROOT / "docs" / "rooms.svg")

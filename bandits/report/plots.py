"""The report's charts as files for a paper: PNG, SVG or PDF, drawn by kaleido with the Chromium of this machine."""

from __future__ import annotations

import importlib.util
import math
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from bandits.report.changes import on_paper
from bandits.report.labels import sides
from bandits.report.styles import GREY, Figure

FORMATS = ("png", "svg", "pdf")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_DPI = 96  # of what is drawn; an inch of a PDF or SVG
_PRINTED = 300 / _DPI  # pixels of a PNG for each that is drawn: 300 dots an inch
TWO_COLUMNS = 7.0  # inches, the text width of most journals; one column is 3.35
_NARROW = 5.0  # inches below which letters have 8 points instead of 9
_NOTES = ("lo", "hi", "growth", "labels", "tag", "of", "asked")  # of a trace, for the page's script
_INK, _GRID = "#1b1f24", "#e4e7eb"


def check(formats: Sequence[str]) -> tuple[str, ...]:
    """Return the formats, each once, where they can be drawn here.

    Raises:
        ValueError: another format, no kaleido, or no browser for it.
    """
    if odd := [name for name in formats if name not in FORMATS]:
        raise ValueError(f"--plots needs some of {', '.join(FORMATS)}, joined by commas, got {odd[0]!r}")
    if importlib.util.find_spec("kaleido") is None:
        raise ValueError('--plots needs kaleido: pip install "routebandit[plots]"')
    if _browser() is None:
        raise ValueError(
            "--plots needs Chromium or Chrome for kaleido; install one, or name its file in BROWSER_PATH"
        )
    return tuple(dict.fromkeys(formats))


def _browser() -> str | None:
    named = os.environ.get("BROWSER_PATH")
    if named:
        return named if Path(named).exists() else None
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


def widths(text: str) -> tuple[float, ...]:
    """Return the widths in inches that `--plot-width` names.

    Raises:
        ValueError: one of them is no number from 2 to 20.
    """
    try:
        found = tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError:
        found = ()
    if not found or not all(2 <= one <= 20 for one in found):
        raise ValueError(f"--plot-width needs inches from 2 to 20, such as 3.35,7; got {text!r}")
    return found


def write(
    figures: Sequence[Figure], folder: Path, formats: Sequence[str], inches: Sequence[float] = (TWO_COLUMNS,)
) -> list[Path]:
    """Write every view of every figure into a folder, each file whole or not at all, and return the paths.

    A PDF has its fonts inside. Where there are several widths, a file's name ends in its own.

    Args:
        figures: as `page.figures` has them.
        folder: made where it is lacking; files of other names in it are left alone.
        formats: from `check`.
        inches: from `widths`.
    """
    import kaleido
    import plotly.graph_objects as go

    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("BROWSER_PATH", _browser() or "")
    drawn: list[tuple[Any, str, str]] = []
    for figure in figures:
        for (name, view, loglog), wide in product(_views(figure), inches):
            data = [t for trace in _named(figure, _first(figure, view), wide) for t in _traces(trace, loglog)]
            chart = go.Figure({"data": data, "layout": layout(figure, view, loglog=loglog, wide=wide)})
            sized = f"{name}-{wide:g}in" if len(inches) > 1 else name
            drawn += [(chart, f"{sized}.{form}", form) for form in formats]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as part:
        kaleido.write_fig_from_object_sync(
            [
                {
                    "fig": chart,
                    "path": Path(part, name),
                    "opts": {"format": form, "scale": _PRINTED if form == "png" else 1},
                }
                for chart, name, form in drawn
            ],
            cancel_on_error=True,
            kopts={"mathjax": False},  # else it is fetched from the network
        )
        for _, name, _ in drawn:
            os.replace(Path(part, name), folder / name)
    return [folder / name for _, name, _ in drawn]


def chart(figures: Sequence[Figure], what: str) -> Any:
    """Return one chart, its first view, as a Plotly figure.

    Args:
        figures: as `page.figures` has them.
        what: the name of one.

    Raises:
        ValueError: there is none of that name.
    """
    import plotly.graph_objects as go

    known = {str(figure.get("name", figure["id"])): figure for figure in figures}
    if what not in known:
        raise ValueError(f"plot needs one of {', '.join(known)}, got {what!r}")
    figure = known[what]
    view = figure["views"][0]
    data = [t for trace in _named(figure, _first(figure, view)) for t in _traces(trace, False)]
    return go.Figure({"data": data, "layout": layout(figure, view)})


def _views(figure: Figure) -> list[tuple[str, Figure, bool]]:
    """Return the file name, the view and whether axes are logarithmic, for each drawing of a figure."""
    found = []
    for view in figure["views"]:
        parts = (figure.get("name", figure["id"]), view["label"] if len(figure["views"]) > 1 else "")
        name = "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-") for part in parts if part)
        found.append((name, view, False))
        if figure.get("loglog"):
            found.append((f"{name}-loglog", view, True))
    return found


def _first(figure: Figure, view: Figure) -> list[Mapping[str, Any]]:
    """Return the traces that the page draws at first: of policies those that matter."""
    picked = figure.get("picked")
    return [
        t
        for t in view["data"]
        if not t.get("asked") and (picked is None or t.get("of") is None or t["of"] in picked)
    ]


def _named(
    figure: Figure, data: Sequence[Mapping[str, Any]], wide: float = TWO_COLUMNS
) -> list[Mapping[str, Any]]:
    """Return the traces with a place for each name that stands beside its point."""
    marked = [t for t in data if "markers" in t.get("mode", "")]
    points = [point for t in marked for point in zip(t["x"], t["y"], strict=True)]
    named = [one for t in data if t.get("labels") for one in zip(t["text"], t["x"], t["y"], strict=True)]
    room, letters = (wide * _DPI * 0.8, wide * _DPI * 0.42), 10.0 if wide >= _NARROW else 8.0
    steps = [p for t in data if t.get("line", {}).get("shape") for p in zip(t["x"], t["y"], strict=True)]
    log = bool(figure["axes"].get("ticks"))
    placed = iter(sides(named, points, size=room, log=log, letters=letters, steps=steps) if named else ())
    return [
        {**t, "textposition": [next(placed) for _ in t["x"]], "textfont": {"size": letters}}
        if t.get("labels")
        else t
        for t in data
    ]


def _traces(trace: Mapping[str, Any], loglog: bool) -> list[dict[str, Any]]:
    """Return a trace as Plotly takes it, without the notes for page.js, its band before it."""
    own = {k: v for k, v in trace.items() if k not in _NOTES}
    if trace.get("type") == "heatmap":
        scale = [[0, "#ffffff"], [1, "#00578a"]]
        return [
            own | {"zmin": 0, "zmax": 1, "showscale": False, "colorscale": scale, "texttemplate": "%{z:.0%}"}
        ]
    if trace.get("labels"):
        own["mode"] = "markers+text"
    if loglog and trace.get("growth") is not None:
        own["name"] = f"{own['name']}, rounds<sup>{trace['growth']}</sup>"
    if "lo" not in trace:
        return [own]
    band = {
        "x": [*trace["x"], *reversed(trace["x"])],
        "y": [*trace["hi"], *reversed(trace["lo"])],
        "mode": "lines",
        "fill": "toself",
        "fillcolor": trace["line"]["color"],
        "opacity": 0.2,
        "line": {"width": 0},
        "showlegend": False,
    }
    return [band, own]


def _height(figure: Figure, view: Mapping[str, Any], wide: float) -> float:
    """Return how high a drawing is, in pixels: a row for each line of what has rows, else by its width and legend."""
    axes: Mapping[str, Any] = figure["axes"]
    if axes.get("heat") or axes.get("bars"):
        return max(200.0, float(figure["height"]))
    letters = sum(len(str(trace.get("name", ""))) * 6 + 45 for trace in view["data"])
    return wide * _DPI * 0.56 + 40 + 16 * math.ceil(letters / (wide * _DPI))


def layout(
    figure: Figure, view: Mapping[str, Any], *, loglog: bool = False, wide: float = TWO_COLUMNS
) -> dict[str, Any]:
    """Return the layout of a drawing of so many inches: the page's, on white."""
    axes: Mapping[str, Any] = figure["axes"]
    log = {"type": "log", "dtick": 1, "exponentformat": "none"}
    x: dict[str, Any] = {"ticksuffix": axes.get("xsuffix", ""), "tickprefix": axes.get("prefix", "")}
    if ticks := axes.get("ticks"):
        x = {"type": "log", "tickvals": [t[0] for t in ticks], "ticktext": [t[1] for t in ticks]}
    y: dict[str, Any] = {
        "ticksuffix": view.get("suffix", axes.get("suffix", "")),
        "tickprefix": view.get("prefix", ""),
    }
    if loglog:
        drawn = (v for t in view["data"] for v in t["y"] if v is not None)
        top = math.log10(max(drawn, default=1.0))
        x, y = log, {**log, "range": [top - 3, top + 0.1]}
    elif axes.get("whole"):
        y |= {"range": [0, 100]}
    elif axes.get("heat"):
        x, y = {"tickangle": -45}, {"autorange": "reversed"}

    def axis(title: str, extra: Mapping[str, Any]) -> dict[str, Any]:
        plain = {"gridcolor": _GRID, "linecolor": GREY, "zerolinecolor": _GRID, "automargin": True}
        return {"title": {"text": title, "standoff": 8}, **plain, **extra}

    return {
        "width": round(wide * _DPI),
        "height": round(_height(figure, view, wide)),
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "font": {"color": _INK, "family": "sans-serif", "size": _DPI / 72 * (8 if wide < _NARROW else 9)},
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "barmode": "stack",
        "legend": {"orientation": "h", "y": -60 / (wide * _DPI * 0.42), "yanchor": "top", "x": 0},
        "xaxis": axis(axes["x"], x),
        "yaxis": axis(view.get("y", axes["y"]), y),
        "showlegend": not axes.get("heat"),
        **on_paper(figure, loglog=loglog),
    }

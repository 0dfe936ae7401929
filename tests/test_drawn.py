"""The charts of a report: colours, axes, names and what stands in each view."""

from __future__ import annotations

import html
import itertools
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bandits.report import calls, over_time, plane
from bandits.report.parts import own
from bandits.report.styles import AREAS, COLOURS, DARK, GREY, colour, styles
from tests.test_report import NASTY, make_curves, make_parts, make_summary, row


def test_a_policy_keeps_its_colour_in_every_chart() -> None:
    rows = make_summary()
    expected = styles(rows)["linucb"]["color"]
    lines = [d for v in over_time.regret(rows, make_curves())["views"] for d in v["data"]]
    assert {d["line"]["color"] for d in lines if d.get("name") == "linucb"} == {expected}
    cloud, _ = plane.plane(rows, "USD")
    assert [d["marker"]["color"] for d in cloud["views"][0]["data"] if d["name"] == "linucb"] == [expected]


def test_a_policy_keeps_its_colour_across_reports() -> None:
    """By its name alone: whoever else is there, with whatever hyperparameters."""
    alone = styles([row("swlinucb", "policy", 0.5, 0.0)])["swlinucb"]["color"]
    names = ["linucb", "mine.py:own", "linucb,alpha=2", "swlinucb,window=9", "restart(linucb)", "uniform"]
    crowd = styles([row(name, "policy", 0.5, 0.0) for name in names])
    assert crowd["swlinucb,window=9"]["color"] == alone
    assert crowd["linucb"]["color"] == crowd["linucb,alpha=2"]["color"] != crowd["restart(linucb)"]["color"]
    looks = [(line["color"], line["dash"]) for line in crowd.values()]
    assert len(set(looks)) == len(names)  # a dash tells apart policies of one colour
    assert (
        styles([row("mine.py:own", "policy", 0.5, 0.0)])["mine.py:own"]["color"]
        == crowd["mine.py:own"]["color"]
    )


def test_the_policies_that_are_compared_most_have_colours_of_their_own() -> None:
    from bandits import POLICIES

    first = [colour(name) for name in list(POLICIES)[: len(COLOURS)]]
    assert first == list(COLOURS)
    assert colour("uniform") == GREY  # as the reference


# What the three kinds of colour-blind eye see of linear RGB (Machado, Oliveira and Fernandes 2009, severity 1).
EYES = {
    "usual": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def light(colour: str) -> np.ndarray[Any, Any]:
    """Linear RGB of a hexadecimal colour (IEC 61966-2-1)."""
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def apart(one: str, other: str) -> float:
    """CIE76 distance of two colours to the eye that tells them apart worst."""

    def lab(seen: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        x = XYZ @ np.clip(seen, 0, 1) / (XYZ @ np.ones(3))
        f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    return min(
        float(np.linalg.norm(lab(np.array(eye) @ light(one)) - lab(np.array(eye) @ light(other))))
        for eye in EYES.values()
    )


def test_colours_are_as_far_apart_to_every_eye_as_okabe_and_itos_own() -> None:
    okabe_ito = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
    least = min(apart(a, b) for a, b in itertools.combinations(okabe_ito, 2))
    for palette in (COLOURS, [DARK[c] for c in COLOURS]):
        assert min(apart(a, b) for a, b in itertools.combinations(palette, 2)) >= least


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.1)."""
    low, high = sorted(float(XYZ[1] @ light(c)) + 0.05 for c in (one, other))
    return high / low


def css(scheme: str) -> dict[str, str]:
    """The colours that page.css names, on a light or a dark page."""
    blocks = re.findall(r":root \{(.*?)\}", own("page.css"))
    return dict(re.findall(r"--(\w+): (#\w{6})", blocks[scheme == "dark"]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_line_and_every_text_stands_out_from_its_page(scheme: str) -> None:
    page = css(scheme)
    lines = [c if scheme == "light" else DARK[c] for c in (*COLOURS, GREY)]
    for ground in ("paper", "panel"):
        for text in ("ink", "muted", "accent"):
            assert contrast(page[text], page[ground]) >= 4.5, (text, ground)
    assert all(contrast(line, page["paper"]) >= 4.5 for line in lines)
    assert contrast(page["paper"], page["accent"]) >= 4.5  # a pressed button
    # The darkest shade of the table of calls, under its numbers.
    most = re.search(r"\.h10 \{ background: color-mix\(in srgb, var\(--accent\) (\d+)%", own("page.css"))
    assert most is not None
    part = int(most[1]) / 100
    mixed = [
        round(part * int(page["accent"][i : i + 2], 16) + (1 - part) * int(page["paper"][i : i + 2], 16))
        for i in (1, 3, 5)
    ]
    assert contrast(page["ink"], "#" + "".join(f"{c:02x}" for c in mixed)) >= 4.5


def test_plane_is_logarithmic_for_wide_costs_and_its_frontier_leaves_hindsight_out() -> None:
    rows = make_summary()
    figure, frontier = plane.plane(rows, "USD")
    assert frontier == ["small", "linucb"]  # the oracle dominates both, but knows the answers
    told = [text for _, text, _ in figure["axes"]["ticks"]]  # 0.002 to 0.1 a query: fifty times
    assert told == ["$2", "$5", "$10", "$20", "$50", "$100"]
    narrow = [r | {"cost_mean": 0.05 + r["cost_mean"]} for r in rows]
    assert "ticks" not in plane.plane(narrow, "USD")[0]["axes"]
    cheap = [r | {"cost_mean": r["cost_mean"] / 1000} for r in rows]
    axis = plane.plane(cheap, "USD")[0]["axes"]
    assert axis["x"] == "cost, USD per 1,000 queries"
    assert [text for _, text, _ in axis["ticks"]] == ["$0.002", "$0.005", "$0.01", "$0.02", "$0.05", "$0.10"]


def test_a_single_models_circle_grows_with_its_calls() -> None:
    """epsilon and linucb call the second model four times as often as the first: 40 and 10 of 50 rounds."""
    called = calls.called(make_parts())
    assert called == pytest.approx({"small": 0.2, NASTY: 0.8})
    cloud, _ = plane.plane(make_summary(), "USD", called)
    (points,) = [d for d in cloud["views"][0]["data"] if d["name"] == "single models"]
    alone = plane.plane(make_summary(), "USD")[0]["views"][0]["data"]
    (least,) = {size for d in alone if d["name"] == "single models" for size in d["marker"]["size"]}
    named = dict(zip(points["text"], range(2), strict=True))
    order = [named["small"], named[html.escape(NASTY)]]
    area = np.array(points["marker"]["size"])[order] ** 2 - least**2
    assert area[1] / area[0] == pytest.approx(4, rel=0.02)  # diameters are rounded to a tenth of a pixel


def test_names_in_a_drawing_cover_neither_points_nor_each_other() -> None:
    """Twelve points, four of them in a heap: every chosen box is free of all the points and of the earlier boxes."""
    from bandits.report.labels import _SIDES, _box, sides

    rng = np.random.default_rng(4)
    points = [(float(x), float(y)) for x, y in rng.random((8, 2))] + [(0.5 + i / 40, 0.5) for i in range(4)]
    named = [("m" * 6, *point) for point in points]
    placed = sides(named, points, size=(600.0, 400.0))
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    pixels = [
        ((x - low[0]) / (high[0] - low[0]) * 600, (high[1] - y) / (high[1] - low[1]) * 400) for x, y in points
    ]
    boxes = [_box(x, y, 18.0, 12.5, *_SIDES[side]) for (x, y), side in zip(pixels, placed, strict=True)]
    for one, other in itertools.combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    assert not any(b[0] < x < b[2] and b[1] < y < b[3] for b in boxes for x, y in pixels)
    # A line to the right of a point, and down from one: their names stand on the other sides.
    ends = [(0.0, 0.5), (1.0, 0.0)]
    assert sides([("m", 0.0, 0.5)], ends, size=(600.0, 400.0)) == ["top center"]
    around = [("m" * 30, 0.0, 0.5)]
    assert sides(around, [*ends, (0.5, 1.0)], size=(600.0, 400.0), steps=[(-0.2, 0.55), (0.2, 0.0)]) != [
        "top center"
    ]


def test_figures_for_a_paper_are_what_the_page_draws(tmp_path) -> None:
    """Every view has a drawing, its traces those of the page; only the bands and notes for page.js are rewritten."""
    from bandits.report import page as pages
    from bandits.report import plots

    drawn = pages.figures(pd.DataFrame(make_summary()), make_curves(), make_parts(), "USD")
    regret = next(figure for figure in drawn if figure["id"] == "regret")
    names = [name for name, _, _ in plots._views(regret)]
    assert names[:2] == ["regret-against-best-fixed-model", "regret-against-best-fixed-model-loglog"]
    for trace in regret["views"][0]["data"]:
        band, line = plots._traces(trace, True)
        assert line["y"] == trace["y"] and line["name"].endswith(f"<sup>{trace['growth']}</sup>")
        assert band["y"] == [*trace["hi"], *reversed(trace["lo"])] and "lo" not in line
    with pytest.raises(ValueError, match="--plots needs some of png, svg, pdf, joined by commas, got 'gif'"):
        plots.check(("gif",))


def test_figures_need_kaleido_and_a_browser(monkeypatch) -> None:
    from bandits.report import plots

    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chromium")
    with pytest.raises(ValueError, match="--plots needs Chromium or Chrome"):
        plots.check(("png",))
    monkeypatch.setattr(plots.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="--plots needs kaleido: pip install"):
        plots.check(("png",))


def test_many_models_share_one_colour() -> None:
    names = [f"m{k}" for k in range(12)]
    rows = [("linucb", t, f"share:{m}", 1 / 12, np.nan, np.nan) for m in names for t in (1, 100)]
    curves = pd.DataFrame(rows, columns=["policy", "round", "quantity", "mean", "lo", "hi"])
    figures, colours, _ = calls.shares(make_summary()[:1], curves)
    areas = figures[0]["views"][0]["data"]
    assert len(colours) == len(areas) == len(AREAS) + 1
    np.testing.assert_allclose(sum(area["y"][-1] for area in areas), 100.0, atol=1e-2)


def test_growth_is_the_slope_on_logarithmic_axes() -> None:
    """Regret against the best fixed model is drawn as rounds / 2: it grows as rounds to the power 1."""
    views = over_time.regret(make_summary(), make_curves())["views"]
    assert {d["growth"] for d in views[0]["data"]} == {1.0}
    assert {d["growth"] for d in views[1]["data"]} == {0.9}  # the summary's own, where it has one


def test_reward_has_a_view_of_spending_only_where_there_are_costs() -> None:
    rows, curves = make_summary(), make_curves()
    labels = [v["label"] for v in over_time.reward(rows, curves, "USD")["views"]]
    assert labels == ["reward a query", "spent so far"]
    free = over_time.reward(rows, curves[curves["quantity"] != "cost"], "")
    assert [v["label"] for v in free["views"]] == ["reward a query"]


def test_a_budget_is_drawn_where_there_was_one() -> None:
    rows, curves = make_summary(), make_curves()
    assert over_time.budget(rows, curves) is None
    left = curves[(curves["policy"] == "linucb") & (curves["quantity"] == "cost")]
    figure = over_time.budget(rows, pd.concat([curves, left.assign(quantity="left:cost")]))
    assert figure is not None
    assert [v["label"] for v in figure["views"]] == ["left of the cost"]
    assert [d["name"] for d in figure["views"][0]["data"]] == ["linucb"]


def test_the_heat_map_holds_each_players_shares() -> None:
    figure = calls.heat(calls.routed(make_parts()))
    assert [v["label"] for v in figure["views"]] == [
        "linucb", "epsilon", "oracle", "best_fixed", "best_per_dataset",
    ]  # fmt: skip
    assert figure["views"][0]["data"][0]["z"] == [[0.2, 0.8], [0.2, 0.8]]  # 10 and 40 of 50 rounds


def test_small_datasets_are_put_together_where_there_are_many() -> None:
    frame = pd.concat(
        [make_parts().query("dataset == 'ocr'").assign(dataset=f"d{i:02}", rounds=100 - i) for i in range(30)]
    )
    share = calls.routed(frame).xs("linucb", level="policy")
    assert list(share.index) == [*(f"d{i:02}" for i in range(11)), "19 other datasets"]
    expected = 19 * 40 / sum(100 - i for i in range(11, 30))
    assert share.loc["19 other datasets", NASTY] == pytest.approx(expected)


def test_a_sweep_is_one_colour_and_one_line() -> None:
    rows = [r | {"family": "linucb"} if r["kind"] == "policy" else r for r in make_summary()]
    assert len({styles(rows)[name]["color"] for name in ("linucb", "epsilon")}) == 1
    traces = plane.plane(rows, "USD")[0]["views"][0]["data"]
    (line,) = [d for d in traces if d["name"] == "linucb, all runs"]
    assert line["text"] == ["linucb", "epsilon"]  # the cheaper first

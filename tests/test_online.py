"""Online meets offline: policies and routers on the same test queries, and the page, drawing and tables of it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bandits.mmrbench import evaluate, frontier_points, frontiers, held_out, protocol, scores, table2
from bandits.mmrbench.frontiers_svg import _Axis, drawing
from bandits.mmrbench.online import Meeting, Sweep, meet
from envs.outcomes import Outcomes

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def table() -> Outcomes:
    """Two topics that the text tells: each of two dear models knows one of them; a cheap one knows half of both."""
    rng = np.random.default_rng(2)
    n = 600
    topic = rng.integers(0, 2, n)
    chance = np.where(topic[:, None] == 0, [0.9, 0.1, 0.5], [0.1, 0.9, 0.5])
    return Outcomes(
        models=("algebra", "biology", "cheap"),
        utility=(rng.random((n, 3)) < chance).astype(float),
        cost=np.array([1.0, 1.2, 0.1]) * rng.uniform(0.8, 1.2, (n, 3)),
        query_id=np.array([f"q{i}" for i in range(n)], object),
        dataset=np.array(["ours"] * n, object),
        text=np.eye(2)[topic] + 0.1 * rng.standard_normal((n, 2)),
        cost_unit="cents",
        label="made <up>",
    )


@pytest.fixture(scope="module")
def meeting(table: Outcomes) -> Meeting:
    sweep = Sweep(("always,model=biology", "greedy", "epsilon"), (0.0, 5.0), seeds=4)
    return meet(table, sweep, ("knn", "linear"), mode="11", dim=2)


def row(meeting: Meeting, name: str) -> dict:
    return next(r for r in meeting.table if r["name"] == name)


def test_index_policies_hear_the_range_of_each_preference(table: Outcomes) -> None:
    """At weight 5 nearly all rewards lie below the default range: played as with the range in the spec."""
    tested = np.isin(table.query_id, held_out(table, mode="11"))
    cost = table.cost[tested]
    rewards = table.utility[tested] - 5.0 * cost / cost.mean(axis=0).max()
    spec = f"klucb,low={float(rewards.min())!r},high={float(rewards.max())!r}"
    met = meet(table, Sweep(("klucb", spec), (5.0,), seeds=2), (), mode="11", dim=2)
    mine, given = (met.points[met.points["name"] == name] for name in ("klucb", spec))
    assert rewards.min() < -0.2
    assert np.array_equal(mine[["cost", "utility"]], given[["cost", "utility"]])


def test_policies_meet_the_queries_that_routers_are_tested_on(table: Outcomes, meeting: Meeting) -> None:
    """A policy that always calls one model gets its mean over the test queries, whatever the order."""
    tested = np.isin(table.query_id, held_out(table, mode="11"))
    assert tested.sum() == 480
    points = meeting.points[meeting.points["name"] == "always,model=biology"]
    assert len(points) == 2
    for column, sheet in (("utility", table.utility), ("cost", table.cost)):
        np.testing.assert_allclose(points[column], sheet[tested, 1].mean(), rtol=1e-12)
        # Every seed earns the same, which says nothing of the spread: there is no interval.
        assert points[[column + "_lo", column + "_hi"]].isna().all(axis=None)
    single = meeting.points[(meeting.points["kind"] == "model") & (meeting.points["name"] == "biology")]
    np.testing.assert_allclose(single["cost"], points["cost"].iloc[0])


def test_routers_have_the_scores_and_curves_of_the_protocol(table: Outcomes, meeting: Meeting) -> None:
    settings = {"mode": "11", "routers": ("oracle", "knn", "linear")}
    drawn = frontier_points(table, **settings)
    for expected in evaluate(table, **settings):
        found = row(meeting, expected["router"])
        for name in ("Ps", "nAUC_fair", "QNC", "hypervolume", "Ps_lo", "nAUC_fair_hi", "n_train"):
            assert found[name] == expected[name]
        assert found["interval"] == "queries" and found["kind"] == expected["kind"]
        own = meeting.points[meeting.points["name"] == expected["router"]]
        np.testing.assert_array_equal(
            own["utility"], drawn.loc[drawn["router"] == expected["router"], "utility"]
        )


def test_a_router_starts_a_bandit(meeting: Meeting) -> None:
    """With 120 training queries the topics are known from the first test query on; the cold one has to learn them."""
    cold, warm = row(meeting, "greedy"), row(meeting, "greedy, warm")
    assert warm["Ps"] > cold["Ps"]
    # The topic's own model answers 0.9; 480 calls have a standard error of 0.014. Three of them, and a few wrong calls.
    assert warm["Ps"] > 0.84
    assert (cold["outcomes"], warm["outcomes"]) == (480, 480 + 120 * 3)
    assert row(meeting, "knn")["outcomes"] == 360
    assert not any(r["name"] == "always,model=biology, warm" for r in meeting.table)
    drawn = row(meeting, "epsilon")
    assert drawn["interval"] == "seeds" and drawn["Ps_lo"] < drawn["Ps"] < drawn["Ps_hi"]
    # Greedy draws nothing and meets the same queries with every seed: without a spread there is no interval.
    assert np.isnan(cold["Ps_lo"]) and np.isnan(cold["Ps_hi"])


def test_a_preference_is_a_point_of_the_frontier(table: Outcomes, meeting: Meeting) -> None:
    points = meeting.points[meeting.points["name"] == "greedy, warm"]
    assert points["preference"].tolist() == [5.0, 0.0]  # by ascending cost
    # At weight 5 on cost the cheap model, 0.1 / 1.2 of the dearest, is worth 0.5 - 0.4; the others lose: 0.9 - 4.2.
    assert points["cost"].iloc[0] == pytest.approx(0.1, abs=0.01)
    cost, utility = points["cost"].to_numpy(), points["utility"].to_numpy()
    tested = np.isin(table.query_id, held_out(table, mode="11"))
    span = table.cost[tested].mean(axis=0)
    # By hand: constant up to the first point, straight between both, constant after the second.
    area = utility[0] * (cost[0] - span.min()) + utility.mean() * (cost[1] - cost[0])
    area += utility[1] * (span.max() - cost[1])
    # The mean of each seed's area is near the area of the mean frontier: the seeds differ by a hundredth.
    assert row(meeting, "greedy, warm")["nAUC_fair"] == pytest.approx(
        area / (span.max() - span.min()), abs=0.01
    )


def test_scores_of_a_frontier_are_their_definitions() -> None:
    true = scores.truth(
        np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.full((4, 2), [2.0, 1.0])
    )
    found = scores.of_frontier(np.array([1.0, 1.5, 1.2]), np.array([0.5, 0.75, 0.4]), true)
    assert (found["Ps"], found["n_pareto"], found["gain"]) == (0.75, 2, 0.0)
    assert found["nAUC"] == pytest.approx(0.625)
    assert found["nAUC_fair"] == pytest.approx(0.5 * 0.625 + 0.5 * 0.75)
    assert found["QNC"] == pytest.approx(1.5 / 2.0)
    assert found["hypervolume"] == pytest.approx((0.5 * 0.5 + 0.5 * 0.75) / 2.0)


def test_missing_outcomes_are_filled_or_never_called(table: Outcomes) -> None:
    utility = table.utility.copy()
    utility[::3, 0] = np.nan
    holes = Outcomes(
        table.models, utility, table.cost, table.query_id, table.dataset, text=table.text, cost_unit="cents"
    )
    for missing in ("mean", "drop"):
        met = meet(holes, Sweep(("uniform",), (0.1,), seeds=2), (), mode="11", missing=missing, dim=2)
        assert np.isfinite(row(met, "uniform")["Ps"])


@pytest.mark.parametrize("sweep", [Sweep(()), Sweep(("uniform",), ())])
def test_a_meeting_needs_a_policy_and_a_preference(table: Outcomes, sweep: Sweep) -> None:
    with pytest.raises(ValueError, match="needs a policy and a preference, got none"):
        meet(table, sweep, ("knn",), mode="11")


def test_everything_is_trained_once_for_scores_and_points(
    table: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked = []
    once = protocol.trial.walk
    monkeypatch.setattr(
        protocol.trial, "walk", lambda maker, *rest: walked.append(maker.spec) or once(maker, *rest)
    )
    protocol.scores_and_points(table, mode="11", routers=("knn", "random"))
    assert walked == ["knn", "random"]


def test_the_drawing_has_every_player_and_is_the_same_each_time(meeting: Meeting) -> None:
    text = drawing(frontiers.lines(meeting), **frontiers.titles(meeting))
    assert text == drawing(frontiers.lines(meeting), **frontiers.titles(meeting))
    root = ET.fromstring(text)
    assert root.get("viewBox") == "0 0 800 500"
    assert (
        len(root.findall(f"{SVG}polyline")) == 8
    )  # oracle, two routers, always, greedy and epsilon cold and warm
    said = [element.text for element in root.iter(f"{SVG}text")]
    assert {"oracle", "knn", "greedy, warm", "single models", "accuracy", "mean cost (cents)"} <= set(said)
    assert "480 test queries; made <up>" in said
    for line in root.iter(f"{SVG}polyline"):
        for point in line.get("points", "").split():
            x, y = map(float, point.split(","))
            assert 62 <= x <= 576 and 44 <= y <= 432


def test_axes_are_linear_or_logarithmic_with_round_ticks() -> None:
    log = _Axis(0.1, 10.0, 0.0, 100.0, True)
    assert [log.at(v) for v in (0.1, 1.0, 10.0)] == pytest.approx([0, 50, 100])
    assert log.ticks() == pytest.approx([0.1, 0.2, 0.5, 1, 2, 5, 10])
    linear = _Axis(0.43, 0.93, 432.0, 44.0, False)
    assert linear.at(0.68) == pytest.approx(238.0)
    assert linear.ticks() == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])


def test_a_long_curve_is_thinned_and_keeps_its_ends(meeting: Meeting) -> None:
    long = pd.DataFrame({"cost": np.arange(1.0, 1001), "utility": np.linspace(0, 1, 1000)})
    points = long.assign(name="knn", kind="router", dataset="ours")
    (line,) = [x for x in frontiers.lines(meeting._replace(points=points)) if x.kind == "router"]
    assert len(line.points) == 160
    assert (line.points["cost"].iloc[0], line.points["cost"].iloc[-1]) == (1.0, 1000.0)


def test_a_warm_policy_has_its_cold_ones_colour_dashed(meeting: Meeting) -> None:
    drawn = {line.name: line for line in frontiers.lines(meeting)}
    assert drawn["greedy"].colour == drawn["greedy, warm"].colour != drawn["knn"].colour
    assert (drawn["greedy"].dash, drawn["greedy, warm"].dash, drawn["oracle"].dash) == (
        "solid",
        "dash",
        "dot",
    )


def test_the_files_are_written_and_the_page_needs_no_network(meeting: Meeting, tmp_path: Path) -> None:
    page = frontiers.publish(tmp_path / "new/folder", meeting)
    assert sorted(p.name for p in page.parent.iterdir()) == sorted(frontiers.FILES)
    text = page.read_text("utf-8")
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", text)
    assert "{{" not in re.sub(r"(?s)<script>.*?</script>", "", text)
    assert "made &lt;up&gt;" in text and "made <up>" not in re.sub(r"(?s)<script.*?</script>", "", text)
    assert "greedy, warm" in text and "never" in text
    scored = pd.read_csv(page.parent / "scores.csv")
    assert scored["name"].tolist() == [r["name"] for r in meeting.table]
    assert len(pd.read_csv(page.parent / "frontiers.csv")) == len(meeting.points)


def test_table_2_as_markdown_shows_where_it_departs() -> None:
    rows = [
        {"dataset": d, "method": m, "label": "made up"}
        | {"Ps": 0.75, "Ps_paper": paper, "Ps_within": inside}
        | {"nAUC": float("nan"), "nAUC_paper": float("nan"), "nAUC_within": None if m == "Random" else True}
        for d in ("MMStar", "ALL")
        for m, paper, inside in (("Random", 0.7421, True), ("KNN", 0.5, False))
    ]
    text = table2.markdown(rows).splitlines()
    assert text[:4] == [
        "| Peak score | MMStar | Full |",
        "|---|---|---|",
        "| Random | .750 *.742* | .750 *.742* |",
        "| KNN | .750 *.500* \\* | .750 *.500* \\* |",
    ]
    assert text[4].startswith("| Best single |")
    assert text[6:9] == ["| nAUC | MMStar | Full |", "|---|---|---|", "| KNN | – *–* | – *–* |"]
    assert text[-1].endswith("made up.")

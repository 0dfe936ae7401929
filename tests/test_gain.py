"""What any policy could gain: against a known ceiling, on noise, on near copies; the command and its sentence."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from bandits.ceiling.gain import gain
from bandits.ceiling.learners import LEARNERS, Seen, means
from bandits.decision.routing import ceiling, sentence
from envs import write
from envs.outcomes import Outcomes
from envs.stream import Stream
from tests.conftest import make_stream
from tests.test_command import run

__all__ = ["run"]  # a fixture


def noise(rows: int, copies: int = 1, seed: int = 0) -> Stream:
    """Return a stream whose features say nothing of three equal models, each row so often, copies in one group."""
    rng = np.random.default_rng(seed)
    plain = make_stream(rows=rows, arms=3, features=4, seed=seed)
    which = np.repeat(np.arange(rows), copies)
    outcomes = replace(
        plain.outcomes, utility=(rng.random((rows, 3)) < 0.5).astype(float), dataset=np.full(rows, "", object)
    )
    context = np.hstack([rng.normal(size=(rows, 4)), np.ones((rows, 1))]).astype(np.float32)[which]
    ids, groups = ([f"{letter}{i}" for i in of] for letter, of in (("r", range(len(which))), ("g", which)))
    fields = {"query_id": np.array(ids, object), "group_id": np.array(groups, object)}
    fields |= {name: getattr(outcomes, name)[which] for name in ("utility", "cost", "dataset")}
    made = Outcomes(models=outcomes.models, cost_unit=outcomes.cost_unit, **fields)
    return Stream("noise", made, context)


def test_every_learner_reaches_the_known_ceiling() -> None:
    """The right model of each topic is right with .9, the best single one with .5: at weight 0 the ceiling is .4.

    Each gain is a mean over 1,000 queries of differences with variance .9 x .1 + .5 x .5 = .34: standard error .0184.
    """
    found = gain(make_stream(1000), weights=(0.0,))
    assert [row["learner"] for row in found.rows] == [*LEARNERS, "chosen"]
    for row in found.rows:
        assert row["gain"] == pytest.approx(0.4, abs=4 * 0.0184) and row["shown"]
        half = (row["hi"] - row["lo"]) / 2
        assert half == pytest.approx(1.96 * 0.0184, rel=0.1)
        assert row["lo"] + half == pytest.approx(row["gain"])
    # Of model-3, the dearest: topics 0 to 2 cost 1, 2 and 3 where it costs 4.
    assert found.saving is not None and found.saving["model"] == "model-3"
    assert found.saving["saved"] == pytest.approx(0.5, abs=0.25) and found.saving["lo"] > -0.05


def test_choosing_among_learners_adds_nothing_on_noise() -> None:
    """Ten tables of noise: the best fixed model in hindsight is ahead by luck, and no router is shown to gain."""
    found = [gain(noise(300, seed=i), weights=(0.0,), boosted=False).chosen[0] for i in range(10)]
    assert np.mean([row["gain"] for row in found]) < 0
    assert sum(row["lo"] > 0 for row in found) == 0


def test_near_copies_stay_in_one_fold() -> None:
    """Five copies of each query, on both sides of a split, would have their outcomes known: a gain of about .25."""
    row = gain(noise(120, copies=5), weights=(0.0,), boosted=False).chosen[0]
    assert row["gain"] < 0.05 and not row["shown"]


def test_a_models_mean_in_a_data_set_is_drawn_to_its_mean_over_all() -> None:
    outcomes = np.array([[1.0, np.nan], [0.0, 1.0], [1.0, 1.0]])
    past, coming = Seen(np.zeros((3, 0)), np.array([0, 0, 1])), Seen(np.zeros((2, 0)), np.array([0, 7]))
    found = means(past, outcomes, coming)
    np.testing.assert_allclose(found[0], [(1 + 10 * 2 / 3) / 12, (1 + 10) / 11])
    np.testing.assert_allclose(found[1], [2 / 3, 1.0])  # a data set without a past


def test_fewer_queries_than_a_verdict_needs_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^--gain needs at least 30 queries that are not near copies, got 20$"
    ):
        gain(noise(20, copies=4))
    assert ceiling(noise(20), None) is None and sentence(None) == []


def test_the_sentence_says_what_is_shown_and_what_not() -> None:
    row = {"weight": 0.0, "gain": 0.004, "lo": -0.001, "hi": 0.009, "shown": False, "fixed": "a"}
    saving = {"model": "b", "saved": 0.95, "accuracy": -0.002, "lo": -0.01, "hi": 0.006}
    (told,) = sentence({"chosen": row, "saving": saving})
    assert told.startswith(
        "Routing is not shown to gain anything here in accuracy, cost aside: +0.40 points (-0.1 to 0.9), by"
    )
    assert told.endswith("it can save 95.0 % of the cost of b at -0.20 points of accuracy (-1 to 0.6).")
    (told,) = sentence({"chosen": row | {"shown": True, "weight": 0.2}, "saving": None})
    assert told.startswith(
        "Routing can gain about 0.40 points here with cost taken off (-0.1 to 0.9), by routers"
    )


def test_inspect_prints_it(run, tmp_path) -> None:
    write(make_stream(200).outcomes, tmp_path / "table.csv")
    code, out, err = run("inspect", tmp_path / "table.csv", "--gain", "--format", "json")
    found = json.loads(out)
    assert code == 0, err
    assert {row["weight"] for row in found["gain"]} == {0.0, 0.05, 0.2, 0.5, 1.0}
    assert found["saving"]["saved"] > 0

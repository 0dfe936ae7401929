"""Modality bias: decisions of a policy that has stopped to learn, what masking costs, and what needs no image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandits.experiment.lineup import lineup
from bandits.loop.frozen import decisions
from bandits.loop.orders import orders
from bandits.loop.relearn import relearned
from bandits.loop.replay import replay
from bandits.metrics.twofold import twofold
from bandits.rewards import accuracy, reward_table
from bandits.sweeps.blind import ANY, shortcut, verdict
from bandits.sweeps.modality import Run, diagnose
from envs.contexts import features
from envs.outcomes import Outcomes
from envs.stream import Stream
from simulate import answer

KEPT = {"fusion": "concat", "dim": 6, "whiten": False}


def texts_tell(rows: int = 400) -> Stream:
    """Two models, each right on one of two topics; the text says which topic, the image is noise."""
    rng = np.random.default_rng(3)
    topic = rng.integers(0, 2, rows)
    text = np.eye(2)[topic] + 0.05 * rng.normal(size=(rows, 2))
    image = rng.normal(size=(rows, 3))
    utility = np.eye(2)[topic] * (rng.random((rows, 2)) < 0.95)
    ids = np.array([f"q{i}" for i in range(rows)], object)
    made = Outcomes(("a", "b"), utility, np.full((rows, 2), np.nan), ids, text=text, image=image)
    return Stream("made", made, features.context(made, **KEPT)[0])


def test_a_frozen_policy_decides_as_the_run_would_have_in_its_next_round() -> None:
    stream = texts_tell()
    table = reward_table(accuracy, stream)
    policy = lineup(stream, ["linucb"], accuracy)["linucb"]  # draws nothing: any key gives the same
    longer = replay(policy, stream, table, seeds=3, seed=5, rounds=81)
    for s in range(3):
        calls = longer.order[s, :80], longer.arms[s, :80]
        state = relearned(policy, stream, table, 0.2, calls, seed=(5, 3, s), total=80)
        found = decisions(policy, state, stream, table, 0.2, seed=(5, 3, s), after=80)
        assert found.shape == (len(stream),) and found[longer.order[s, 80]] == longer.arms[s, 80]


def test_masking_what_tells_costs_reward_and_masking_noise_does_not() -> None:
    stream = texts_tell()
    rows = diagnose(stream, ["linucb,alpha=0.3"], accuracy, Run(4, 0, 200, 0.0), context=KEPT)
    text, image = rows
    assert (text["left"], image["left"]) == ("text", "image")
    assert image["lost_verdict"] == image["refit_lost_verdict"] == "shown" and image["lost"] > 0.3
    assert abs(text["lost"]) < 0.03 and text["flips"] < 0.05 < 0.3 < image["flips"]
    assert text["shortcut"] > 0.95 > 0.75 > image["shortcut"] and 0.4 < text["chance"] < 0.6
    assert text["alike"] > 0.95 and text["reward"] > 0.85


def test_the_rates_are_those_of_a_plain_loop() -> None:
    stream = texts_tell(120)
    group = np.array([f"g{i // 2}" for i in range(120)], object)  # neighbours are near copies
    stream = Stream("made", Outcomes(
        stream.models, stream.utility, stream.outcomes.cost, stream.query_id, group_id=group,
        text=stream.outcomes.text, image=stream.outcomes.image,
    ), stream.context)  # fmt: skip
    run = Run(3, 1, 40, 0.0)
    row = diagnose(stream, ["linucb"], accuracy, run, context=KEPT)[0]
    order = orders(stream, seeds=3, seed=1)
    policy = lineup(stream, ["linucb"], accuracy)["linucb"]
    table = reward_table(accuracy, stream)
    seen, _ = features.context(stream.outcomes, modality="text", **KEPT)
    alone = Stream("text", stream.outcomes, seen)
    same, worth, right = [], [], []
    for s in range(3):
        learned = set(group[order[s, :40]])
        calls = []
        for own in (stream, alone):
            by = lineup(own, ["linucb"], accuracy)["linucb"]
            trace = replay(by, own, table, seeds=3, seed=1, rounds=40, preference=0.0)
            state = relearned(by, own, table, 0.0, (trace.order[s], trace.arms[s]), seed=(1, 3, s), total=40)
            calls.append(decisions(by, state, own, table, 0.0, seed=(1, 3, s), after=40))
        for i in range(120):
            if group[i] not in learned:
                same.append(float(calls[0][i] == calls[1][i]))
                worth.append(table[i, calls[0][i]])
                right.append(stream.utility[i, calls[0][i]])
    same, right = np.array(same), np.array(right)
    assert policy is not None
    assert row["shortcut"] == pytest.approx(same.mean()) and row["reward"] == pytest.approx(np.mean(worth))
    assert row["shortcut_right"] == pytest.approx((same * right).sum() / right.sum())
    assert row["shortcut_wrong"] == pytest.approx((same * (1 - right)).sum() / (1 - right).sum())


def test_a_mean_two_ways_is_the_t_test_over_seeds_and_the_ratio_over_clusters() -> None:
    rng = np.random.default_rng(0)
    values, weight = rng.normal(0.3, 1, (5, 60)), (rng.random((5, 60)) < 0.7).astype(float)
    cluster = np.arange(60) // 3
    found = twofold(values, weight, cluster)
    each = np.array([np.average(v, weights=w) for v, w in zip(values, weight, strict=True)])
    assert found.seeds.p == pytest.approx(stats.ttest_1samp(each, 0).pvalue)
    assert found.mean == pytest.approx(np.average(values, weights=weight)) and found.clusters == 20
    assert found.wider in [(float(e.lo), float(e.hi)) for e in (found.seeds, found.queries)]
    alike = twofold(np.ones((3, 60)), weight[:3], cluster)
    assert alike.mean == 1 and np.isnan(alike.wider).all()


def test_blind_models_of_mathvista_have_the_published_accuracies(shared: Path, tmp_path: Path) -> None:
    path = str(shared / "outcomes" / "mathvista_ocr.csv.gz")
    names = "gpt4_2shot_solution,gpt4_2shot_code,random_guess"
    assert answer(["modality", path, "--blind", names, "--out", str(tmp_path), "-q"]) == (0, "")
    rows = pd.read_csv(tmp_path / "blind.csv").query("dataset == 'all'").set_index("model")
    published = {"gpt4_2shot_solution": 0.292, "gpt4_2shot_code": 0.26, "random_guess": 0.179}
    assert rows["accuracy"].drop(ANY).round(3).to_dict() == published
    assert set(rows["seeing_accuracy"].round(3)) == {0.348}
    own = pd.read_csv(path)
    both = (own["gpt4_2shot_solution_correct"] * own["bard_correct"]).sum() / own["bard_correct"].sum()
    assert rows["shortcut"]["gpt4_2shot_solution"] == pytest.approx(both)
    page = (tmp_path / "modality.html").read_text(encoding="utf-8")
    assert "Content-Security-Policy" in page and "46.8\u00a0%" in page.replace(" %", "\u00a0%")


def test_blind_leaves_out_what_one_of_both_has_not_answered() -> None:
    utility = np.array([[1, 1.0], [np.nan, 1], [0, 1], [1, 0]])
    made = Outcomes(("blind", "sees"), utility, np.full((4, 2), np.nan), np.array(list("abcd"), object))
    [row] = shortcut(Stream("made", made, np.ones((4, 1), np.float32)), ["blind"])
    assert (row["queries"], row["accuracy"], row["shortcut"]) == (3, pytest.approx(2 / 3), 0.5)
    assert row["behind"] == pytest.approx(0.0) and "blind gets 66.7 % right" in verdict([row])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "modality needs a --policy"),
        (["--policy", "linucb", "--train-share", "1"], "--train-share needs a number between 0 and 1, got 1"),
        (["--policy", "oracle", "--stream", "RealWorldQA"], "'oracle' knows the outcomes"),
        (["--policy", "linucb", "--modality", "text"], "goes without --modality"),
        (
            ["--policy", "linucb", "--fusion", "adaptive", "--stream", "RealWorldQA"],
            "linear in the embeddings",
        ),
        (["--blind", "nothing"], "no model 'nothing'"),
    ],
)
def test_what_cannot_be_diagnosed_is_said_in_one_line(given: list[str], said: str) -> None:
    code, message = answer(["modality", *given])
    assert code == 2 and said in message and "\n" not in message

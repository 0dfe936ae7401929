"""What `inspect` says of a table with gaps, against plain loops over its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bandits import replay, reward_table, rewards, uniform
from bandits.results.summary import summarise
from envs import load
from envs.outcomes import Outcomes
from envs.tables import describe, formats

NAN = float("nan")


@pytest.fixture
def gaps() -> Outcomes:
    """Two datasets of three queries; model c was never asked in the second, and answered the first perfectly."""
    utility = [[1, 0, 1], [0, 1, 1], [1, 1, 1], [1, 0, NAN], [0, 0, NAN], [1, 0, NAN]]
    return Outcomes(
        models=("a", "b", "c"),
        utility=np.array(utility, float),
        cost=np.full((6, 3), NAN),
        query_id=np.array(list("123456"), object),
        dataset=np.array(["easy"] * 3 + ["hard"] * 3, object),
    )


def test_a_model_may_be_silent_in_a_whole_dataset(gaps: Outcomes) -> None:
    rows = {row["dataset"]: row for row in describe.by_dataset(gaps)}
    assert rows["easy"]["best_model"] == "c" and rows["easy"]["best_accuracy"] == 1.0
    assert rows["hard"]["best_model"] == "a" and rows["hard"]["best_accuracy"] == pytest.approx(2 / 3)
    assert rows["hard"]["oracle"] == pytest.approx(2 / 3) and rows["hard"]["queries"] == 3


def test_the_best_single_model_answered_every_query(gaps: Outcomes) -> None:
    told = describe.overview(gaps)
    assert told["best_single"] == "a" and told["best_single_accuracy"] == pytest.approx(4 / 6)
    assert told["missing_outcomes"] == 3


def test_without_such_a_model_the_best_mean_counts(gaps: Outcomes) -> None:
    utility = gaps.utility.copy()
    utility[0, 0] = utility[1, 1] = NAN  # now a and b have a gap too
    told = describe.overview(
        Outcomes(models=gaps.models, utility=utility, cost=gaps.cost, query_id=gaps.query_id)
    )
    assert told["best_single"] == "c" and told["best_single_accuracy"] == 1.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("question;a_correct;b_correct\nhow;1;0\n", "commas between its columns, found semicolons"),
        ("question\ta_correct\tb_correct\nhow\t1\t0\n", "commas between its columns, found tabs"),
        ("question,A Correct,B Correct\nhow,1,0\n", "lower case, after an underscore"),
        ("question,A_Correct,B_Correct\nhow,1,0\n", "lower case, after an underscore"),
    ],
)
def test_a_spreadsheets_habits_are_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(ValueError, match=told):
        formats.read(tmp_path / "mine.csv")


def test_the_curves_of_a_table_with_one_dataset_are_numbers() -> None:
    stream = load("RealWorldQA")
    assert len(set(stream.dataset.tolist())) == 1
    table = reward_table(rewards.linear, stream)
    trace = replay(uniform(stream.n_arms, stream.dim), stream, table, seeds=2, rounds=60)
    curves = summarise(stream, table, {"uniform": trace}).curves
    assert {str(curves[column].dtype) for column in ("mean", "lo", "hi")} == {"float64"}

"""What `inspect` says of a table with gaps, against plain loops over its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bandits import replay, reward_table, rewards, rows, uniform
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
    found = {row["dataset"]: row for row in describe.by_dataset(gaps)}
    assert found["easy"]["best_model"] == "c" and found["easy"]["best_accuracy"] == 1.0
    assert found["hard"]["best_model"] == "a" and found["hard"]["best_accuracy"] == pytest.approx(2 / 3)
    assert found["hard"]["oracle"] == pytest.approx(2 / 3) and found["hard"]["queries"] == 3


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


def uneven() -> Outcomes:
    """Four queries of one dataset and one of another; costs, a gap, and no number that stands for two things."""
    utility = [[1, 0.5, 0], [0, 0.25, NAN], [1, 0, 0], [0, 0, 0.75], [0.25, 1, NAN]]
    cost = [[1, 10, 100], [2, 20, NAN], [3, 30, 300], [4, 40, 800], [5, 50, NAN]]
    return Outcomes(
        models=("a", "b", "c"),
        utility=np.array(utility, float),
        cost=np.array(cost, float),
        query_id=np.array(list("12345"), object),
        dataset=np.array(["many"] * 4 + ["one"], object),
        group_id=np.array(["g", "g", "", "h", ""], object),
        price=np.array([7.0, 8.0, NAN]),
        cost_unit="USD",
    )


def test_every_number_of_a_table_by_plain_loops() -> None:
    told = describe.overview(uneven())
    assert (told["queries"], told["models"], told["datasets"], told["groups"]) == (5, 3, 2, 2)
    assert told["missing_outcomes"] == 2 and told["cost_unit"] == "USD"
    assert told["oracle_accuracy"] == pytest.approx((1 + 0.25 + 1 + 0.75 + 1) / 5)
    assert (told["best_single"], told["best_single_accuracy"]) == ("a", pytest.approx(2.25 / 5))
    # a in the four (.5), b in the one (1), each as many times as it has queries.
    assert told["best_per_dataset_accuracy"] == pytest.approx((4 * 0.5 + 1) / 5)
    # A query counts once, however many models answered it.
    assert told["uniform_accuracy"] == pytest.approx((0.5 + 0.125 + 1 / 3 + 0.25 + 0.625) / 5)
    found = {row["model"]: row for row in describe.by_model(uneven())}
    assert found["c"] == pytest.approx(
        {"accuracy": 0.25, "cost_mean": 400.0, "price": NAN, "missing": 2} | {"model": "c"}, nan_ok=True
    )
    assert found["b"] == pytest.approx(
        {"accuracy": 0.35, "cost_mean": 30.0, "price": 8.0, "missing": 0} | {"model": "b"}
    )


def test_a_terminal_shows_five_digits_and_a_file_all_of_them() -> None:
    frame = [{"x": 1234.5678, "y": 0.00012345678, "z": "n"}]
    assert rows.render(frame, "table").split()[3:] == ["1234.6", "0.00012346", "n"]
    assert "1234.5678,0.00012345678,n" in rows.render(frame, "csv")
    assert '"x": 1234.5678' in rows.render(frame, "json")

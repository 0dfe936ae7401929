"""Units and thresholds of a table's numbers: seconds and cents by name, prices, cached input, what makes a log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from envs.outcomes import Outcomes
from envs.tables import copies, formats
from envs.tables.prices import _input_cost


def put(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(("unit", "factor"), [("ms", 1e-3), ("s", 1.0), ("us", 1e-6), ("min", 60.0)])
def test_a_latency_is_in_seconds_whatever_its_column_counts(tmp_path: Path, unit: str, factor: float) -> None:
    wide = put(
        tmp_path, f"id,a_correct,a_latency_{unit},b_correct,b_latency_{unit}\n1,1,1500,0,20\n2,0,30,1,4\n"
    )
    np.testing.assert_allclose(formats.read(wide).latency, np.array([[1500, 20], [30, 4]]) * factor)
    long = put(
        tmp_path, f"id,model,correct,latency_{unit}\n1,a,1,1500\n1,b,0,20\n2,a,0,30\n2,b,1,4\n", "l.csv"
    )
    np.testing.assert_allclose(formats.read(long).latency, np.array([[1500, 20], [30, 4]]) * factor)


def test_cents_are_hundredths(tmp_path: Path) -> None:
    table = formats.read(put(tmp_path, "id,a_correct,a_cost_cents,b_correct,b_cost_cents\n1,1,150,0,20\n"))
    np.testing.assert_allclose(table.cost, [[1.5, 0.2]])
    assert table.cost_unit == "USD/query"
    table = formats.read(put(tmp_path, "id,model,correct,cost_cents\n1,a,1,150\n1,b,0,20\n", "l.csv"))
    np.testing.assert_allclose(table.cost, [[1.5, 0.2]])


def test_characters_count_a_quarter_of_a_token(tmp_path: Path) -> None:
    table = formats.read(put(tmp_path, "id,model,correct,outchars\n1,a,1,400\n1,b,0,10\n"))
    np.testing.assert_allclose(table.tokens, [[100, 2.5]])
    assert any("characters of the answer / 4" in note for note in table.notes)


@pytest.mark.parametrize(("several", "is_table"), [(1, False), (2, True), (3, True), (4, True)])
def test_a_table_has_several_answers_to_half_of_its_queries(
    tmp_path: Path, several: int, is_table: bool
) -> None:
    rows = [(q, m) for q in range(4) for m in ("ab" if q < several else "a" if q % 2 else "b")]
    path = put(tmp_path, "id,model,correct\n" + "".join(f"{q},{m},1\n" for q, m in rows))
    if is_table:
        assert np.isfinite(formats.read(path).utility).sum() == len(rows)
    else:
        with pytest.raises(ValueError, match="log"):
            formats.read(path)


def test_cached_input_is_never_more_than_input() -> None:
    """At 10 a token and 1 a cached one: 40 of 100 tokens were kept; of 30, all 30; where nothing is said, none."""
    found = _input_cost(10.0, 1.0, np.array([100.0, 30.0, 50.0]), np.array([40.0, 99.0, np.nan]))
    np.testing.assert_allclose(found, [640, 30, 500])
    np.testing.assert_allclose(_input_cost(10.0, np.nan, np.array([100.0]), np.array([40.0])), [1000])


@pytest.mark.parametrize(("price", "wrong"), [("1.1e-9", False), ("0.9e-9", True), ("0", False)])
def test_a_call_that_costs_next_to_nothing_is_a_price_for_something_else(
    tmp_path: Path, price: str, wrong: bool
) -> None:
    table = put(tmp_path, "id,a_correct,b_correct\n1,1,0\n2,0,1\n")
    prices = put(tmp_path, f"model,per_call\na,{price}\nb,1\n", "p.csv")
    if wrong:
        with pytest.raises(ValueError, match=r"would cost 9e-10, less than 1e-09"):
            formats.read(table, prices=prices)
    else:
        assert formats.read(table, prices=prices).price[0] == float(price)


@pytest.mark.parametrize(("price", "wrong"), [("0.0011", False), ("0.0009", True)])
def test_prices_a_million_that_are_all_too_low_are_refused(tmp_path: Path, price: str, wrong: bool) -> None:
    table = put(tmp_path, "id,a_correct,a_tokens,b_correct,b_tokens\n1,1,1e6,0,1e6\n")
    prices = put(tmp_path, f"model,output_per_1m\na,{price}\nb,0.0001\n", "p.csv")
    if wrong:
        with pytest.raises(ValueError, match=r"every price is below 0\.001 per million tokens"):
            formats.read(table, prices=prices)
    else:
        np.testing.assert_allclose(formats.read(table, prices=prices).cost, [[float(price), 0.0001]])


def test_the_posted_price_is_the_mean_of_the_recorded_calls(tmp_path: Path) -> None:
    """The third query has no answer of a, and a number of tokens that does not count."""
    table = put(tmp_path, "id,a_correct,a_tokens,b_correct,b_tokens\n1,1,100,0,7\n2,0,300,1,8\n3,,5000,1,9\n")
    prices = put(tmp_path, "model,output_per_1m\na,10\nb,1000\n", "p.csv")
    found = formats.read(table, prices=prices)
    np.testing.assert_allclose(found.price, [0.002, 0.008])


def test_a_range_of_scores_is_mapped_to_0_to_1(tmp_path: Path) -> None:
    path = put(tmp_path, "id,a_score,b_score\n1,2,4\n2,6,3\n")
    np.testing.assert_allclose(formats.read(path, scale="2,6").utility, [[0, 0.5], [1, 0.25]])
    with pytest.raises(ValueError, match=r"--scale 0,100"):
        formats.read(put(tmp_path, "id,a_score,b_score\n1,20,40\n2,60,30\n", "s.csv"))
    with pytest.raises(ValueError, match=r"--scale LOW,HIGH"):
        formats.read(put(tmp_path, "id,a_score,b_score\n1,200,40\n2,60,30\n", "s.csv"))


@pytest.mark.parametrize(("texts", "grouped"), [(20, True), (3, True), (2, False)])
def test_copies_are_told_by_text_until_texts_are_templates(texts: int, grouped: bool) -> None:
    """40 rows: 20 a text and more are templates; case and spaces do not part copies."""
    asked = [f"{'What' if i % 2 else 'what '} is  {i // 2 % texts}?" for i in range(40)]
    table = Outcomes(models=("a", "b"), utility=np.ones((40, 2)), cost=np.ones((40, 2)), cost_unit="USD",
                     query_id=np.arange(40).astype(str).astype(object), question=np.array(asked, object))  # fmt: skip
    found = copies.grouped(table)
    assert len({g for g in found.group_id.tolist() if g}) == (texts if grouped else 0)
    assert any("templates" in note for note in found.notes) != grouped

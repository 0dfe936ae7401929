"""Tables in files: every kind that is recognised, the round trip, prices, and one line for each mistake."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from envs.outcomes import Outcomes
from envs.tables import delimited, formats
from envs.tables.datasets import scenario_of

SHARED = Path(__file__).parents[2] / "shared"
FIELDS = ("utility", "cost", "latency", "tokens", "text", "image", "price")
TEXTS = ("query_id", "dataset", "scenario", "group_id", "question", "image_path")
SAID = ("models", "cost_unit", "label", "source", "licence", "notes")
WIDE = "query_id,a_correct,a_cost,b_correct,b_cost\nq1,1,0.5,0,0.1\nq2,0,0.25,1,0.2\n"


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    return path


def full(n: int = 40, seed: int = 0) -> Outcomes:
    """Make a table that uses every field, with awkward names and numbers."""
    rng = np.random.default_rng(seed)
    utility = rng.random((n, 3))
    utility[rng.random((n, 3)) < 0.2] = np.nan
    utility[:, 0] = rng.integers(0, 2, n)
    known = np.where(np.isnan(utility), np.nan, 1.0)
    return Outcomes(
        models=("Claude3-7V_Sonnet", "org/model-1.5_cost", "b"),
        utility=utility,
        cost=rng.lognormal(-9, 3, (n, 3)) * known,
        latency=rng.exponential(1.0, (n, 3)),
        tokens=rng.integers(0, 900, (n, 3)) * known,
        query_id=[f"q,{i}" for i in range(n)],
        dataset=["MMStar", 'odd "set"'] * (n // 2),
        scenario=["vqa", ""] * (n // 2),
        group_id=[f"00{i // 2}" for i in range(n)],
        question=['a\nb, "c"', "كيف", "NA", " lead"] * (n // 4),
        image_path=["MMStar/0.jpg", ""] * (n // 2),
        text=rng.normal(size=(n, 5)),
        image=rng.normal(size=(n, 4)) * 1e-7,
        price=[0.1, np.nan, 1 / 3],
        cost_unit="USD/query",
        label="calibrated twin, not recorded answers",
        source="somewhere",
        licence="Apache-2.0",
        notes=("one", 'two, "three"'),
    )


def assert_same(left: Outcomes, right: Outcomes) -> None:
    for name in FIELDS:
        a, b = getattr(left, name), getattr(right, name)
        assert (a is None) == (b is None), name
        if a is not None:
            assert a.dtype == b.dtype, name
            np.testing.assert_array_equal(a, b, err_msg=name)
    for name in TEXTS:
        assert getattr(left, name).tolist() == getattr(right, name).tolist(), name
    for name in SAID:
        assert getattr(left, name) == getattr(right, name), name


def put(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


# --- what is recognised -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["worldcuisines_mc.csv.gz", "mmmu_pro.csv.gz"])
def test_wide_csv_gives_the_accuracy_that_pandas_gives(name: str) -> None:
    path = shared(f"outcomes/{name}")
    table, frame = formats.read(path), pd.read_csv(path)
    columns = [c for c in frame.columns if c.endswith("_correct")]
    assert [f"{m}_correct" for m in table.models] == columns
    np.testing.assert_array_equal(table.utility, frame[columns].to_numpy(float))
    assert table.query_id.tolist() == frame["query_id"].tolist()
    assert table.group_id.tolist() == frame["group_id"].astype(str).tolist()
    assert table.question.tolist() == frame["question"].tolist()
    assert set(table.scenario) == {"vqa"}
    assert not table.priced and table.cost_unit == ""
    if name.startswith("mmmu"):
        chars = frame[[c.replace("_correct", "_outchars") for c in columns]].to_numpy(float)
        np.testing.assert_array_equal(table.tokens, chars / 4)
        assert any("characters" in note for note in table.notes)


@pytest.mark.parametrize("name", ["pareto_k3", "pareto_k4"])
def test_nested_json_lines_give_the_rewards_and_costs_of_each_line(name: str) -> None:
    path = shared(f"outcomes/{name}.jsonl.gz")
    table = formats.read(path)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    assert table.models == tuple(records[0]["arms"])
    for field, values in (("reward", table.utility), ("cost", table.cost)):
        expected = [[r["arms"].get(m, {}).get(field, np.nan) for m in table.models] for r in records]
        np.testing.assert_array_equal(values, expected)
    assert table.question.tolist() == [r["prompt"] for r in records]
    assert table.dataset.tolist() == [r["source"] for r in records]
    assert set(table.scenario) == {"text"} and table.cost_unit == "USD/query"
    with np.load(path.with_name(f"{name}.embeddings.npz")) as stored:
        np.testing.assert_array_equal(table.text, stored["text"].astype(np.float32))


def test_long_table_of_mmr_bench_rows() -> None:
    path = shared("outcomes/mmr_bench_routedata_3rows.csv")
    table, frame = formats.read(path), pd.read_csv(path)
    assert table.models == tuple(dict.fromkeys(frame["model"]))
    for k, model in enumerate(table.models):
        one = frame[frame["model"] == model].set_index("query_id").reindex(table.query_id.tolist())
        np.testing.assert_array_equal(table.utility[:, k], one["correct"])
        np.testing.assert_array_equal(table.tokens[:, k], one["output_tokens"])
    assert table.dataset.tolist() == [q.rpartition("_")[0] for q in table.query_id]


def test_released_schema_of_mmr_bench() -> None:
    path = shared("golden/mmrbench/MMR_Bench.csv")
    table, frame = formats.read(path), pd.read_csv(path)
    assert len(table.models) == 6 and "Qwen2.5-VL-72B-Instruct" in table.models
    for k, model in enumerate(table.models):
        known = ~np.isnan(table.utility[:, k])
        np.testing.assert_array_equal(table.utility[:, k], frame[f"{model}_correct"])
        np.testing.assert_array_equal(table.cost[known, k], frame[f"{model}_cost"][known])
    assert set(table.dataset) == {"MathVista", "MathVerse", "SEEDBench2_Plus"}
    assert set(table.scenario[table.dataset == "SEEDBench2_Plus"]) == {"ocr"}
    assert table.text is not None and table.image is not None and table.text.shape == (520, 48)


def test_mmr_bench_image_paths_follow_the_folders(tmp_path: Path) -> None:
    rows = "dataset_idx,question,M_1-x.5_correct,M_1-x.5_token,M_1-x.5_prediction,N_correct,N_token\n"
    rows += "SEEDBench2_Plus_0,why?,1,12,A,0,3\nMMStar_7,how?,0,1,B,1,4\nGSM8K_3,sum?,0,1,B,1,4\n"
    (tmp_path / "MMStar").mkdir()
    (tmp_path / "MMStar" / "7.png").touch()
    table = formats.read(put(tmp_path, rows))
    assert table.models == ("M_1-x.5", "N")
    assert table.image_path.tolist() == ["SEEDBenchv2Plus/0.jpg", "MMStar/7.png", ""]
    assert table.dataset.tolist() == ["SEEDBench2_Plus", "MMStar", "GSM8K"]
    assert table.scenario.tolist() == ["ocr", "vqa", "text"]
    np.testing.assert_array_equal(table.tokens, [[12, 3], [1, 4], [1, 4]])


@pytest.mark.parametrize("ending", ["utility", "correct", "score"])
def test_wide_endings(tmp_path: Path, ending: str) -> None:
    table = formats.read(put(tmp_path, WIDE.replace("_correct", f"_{ending}")))
    np.testing.assert_array_equal(table.utility, [[1, 0], [0, 1]])
    np.testing.assert_array_equal(table.cost, [[0.5, 0.1], [0.25, 0.2]])


def test_another_ending_is_not_a_model_and_is_noted(tmp_path: Path) -> None:
    text = "id,a_correct,b_correct,judge_score\n1,1,0,0.5\n"
    table = formats.read(put(tmp_path, text))
    assert table.models == ("a", "b") and "judge_score" in table.notes[0]


def test_booleans_and_missing_words(tmp_path: Path) -> None:
    text = "id,a_correct,b_correct\n1,True,no\n2,NaN,yes\n3, false ,\n"
    table = formats.read(put(tmp_path, text))
    np.testing.assert_array_equal(table.utility, [[1, 0], [np.nan, 1], [0, np.nan]])


def test_parquet_with_typed_columns_and_lists(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "id": [10, 20],
            "source": pd.Categorical(["gsm8k", "mmlu"]),
            "a_correct": [True, False],
            "b_score_of_nobody": [1, 2],
            "b_correct": pd.array([1, None], "Int64"),
            "a_cost": [1, 2],
            "b_cost": np.float32([0.5, 0.25]),
            "text": [[1.0, 2.0], [3.0, 4.0]],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    table = formats.read(tmp_path / "t.parquet")
    np.testing.assert_array_equal(table.utility, [[1, 1], [0, np.nan]])
    assert table.query_id.tolist() == ["10", "20"] and table.scenario.tolist() == ["text", "text"]
    np.testing.assert_array_equal(table.text, [[1, 2], [3, 4]])


def test_parquet_with_stored_images_is_read_without_them(tmp_path: Path) -> None:
    image = [{"bytes": b"\x89PNG", "path": "0.png"}]
    pd.DataFrame({"id": ["1"], "image": image, "a_correct": [1], "b_correct": [0]}).to_parquet(
        tmp_path / "t.parquet"
    )
    table = formats.read(tmp_path / "t.parquet")
    assert table.image is None and table.image_path.tolist() == [""]


def test_csv_of_other_systems(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(("\ufeff" + "," + WIDE.replace("\nq", "\n9,q").replace("\n", "\r\n") + "\r\n").encode())
    table = formats.read(path)
    assert table.query_id.tolist() == ["q1", "q2"] and table.models == ("a", "b")


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_long_tables_keep_first_appearance(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame(
        {
            "query": ["q2", "q2", "q1", "q1"],
            "model": ["z", "a", "a", "z"],
            "score": [0.5, 1, 0, 0.25],
            "cost_usd": [1, 2, 3, 4],
            "dataset": ["mmlu", "mmlu", "arc", "arc"],
        }
    )
    path = tmp_path / name
    if name.endswith("csv"):
        frame.to_csv(path, index=False)
    elif name.endswith("jsonl"):
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    table = formats.read(path)
    assert table.models == ("z", "a") and table.query_id.tolist() == ["q2", "q1"]
    np.testing.assert_array_equal(table.utility, [[0.5, 1], [0.25, 0]])
    np.testing.assert_array_equal(table.cost, [[1, 2], [4, 3]])
    assert table.dataset.tolist() == ["mmlu", "arc"] and table.cost_unit == "USD/query"
    assert table.question.tolist() == ["", ""]


def test_numbered_embedding_columns_and_ids_with_zeros(tmp_path: Path) -> None:
    text = "id,text_1,text_0,image_0,a_correct,b_correct\n007,2,1,5,1,0\n7,4,3,6,1,0\n"
    table = formats.read(put(tmp_path, text))
    assert table.query_id.tolist() == ["007", "7"]
    np.testing.assert_array_equal(table.text, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(table.image, [[5], [6]])


def test_scenarios_of_known_names() -> None:
    known = {"SEED-Bench-2-Plus": "ocr", "mmmu_pro_Vision": "vqa", "mmlu": "text", "arc_challenge": "text"}
    known |= {"bbh/snarks": "text", "MathVision": "math", "archive": "", "": "", "truthful_qa": "text"}
    assert {name: scenario_of(name) for name in known} == known


# --- the round trip ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".csv.gz"])
def test_round_trip_is_exact(tmp_path: Path, ending: str) -> None:
    table = full()
    formats.write(table, tmp_path / f"t{ending}")
    assert_same(formats.read(tmp_path / f"t{ending}"), table)
    assert [p.name for p in tmp_path.iterdir()] == [f"t{ending}"]


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_round_trip_without_costs_or_embeddings(tmp_path: Path, ending: str) -> None:
    table = Outcomes(("a", "b"), [[0.1, np.nan], [1, 0]], np.full((2, 2), np.nan), ["1", "2"])
    formats.write(table, tmp_path / f"t{ending}")
    assert_same(formats.read(tmp_path / f"t{ending}"), table)


def test_written_csv_reads_the_same_in_pandas(tmp_path: Path) -> None:
    table = full()
    formats.write(table, tmp_path / "t.csv")
    frame = pd.read_csv(tmp_path / "t.csv")
    columns = [f"{m}_utility" for m in table.models]
    # pandas' fast parser may be off by one unit in the last place.
    np.testing.assert_allclose(frame[columns].to_numpy(), table.utility, rtol=1e-15)
    np.testing.assert_allclose(frame["text_0"].to_numpy(np.float32), table.text[:, 0], rtol=1e-6)


def test_write_leaves_nothing_behind_and_keeps_the_old_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"t\.jsonl: needs a name that ends in \.parquet"):
        formats.write(full(), tmp_path / "t.jsonl")
    with pytest.raises(ValueError, match="cannot be written"):
        formats.write(full(), tmp_path / "no" / "t.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(ValueError, match="cannot be written"):
        formats.write(full(), tmp_path / "d.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["d.csv"]


# --- costs and prices -------------------------------------------------------------------------------------------


def test_outcome_without_cost_is_missing_and_counted(tmp_path: Path) -> None:
    table = formats.read(put(tmp_path, WIDE.replace("1,0.5", "1,")))
    np.testing.assert_array_equal(table.utility, [[np.nan, 0], [0, 1]])
    assert table.notes == ("left out 1 outcomes that have a utility and no cost",)


def test_prices_a_token_and_a_call(tmp_path: Path) -> None:
    table = formats.read(
        put(tmp_path, "id,a_correct,a_tokens,b_correct,b_tokens\n1,1,100,0,7\n2,0,300,1,8\n3,1,,1,9\n")
    )
    prices = put(tmp_path, "model,input_per_1m,output_per_1m,per_call\na,1,10,\nb,,,0.25\n", "p.csv")
    priced = formats.apply_prices(table, prices)
    np.testing.assert_allclose(priced.cost[:2], [[0.001, 0.25], [0.003, 0.25]], rtol=1e-12)
    np.testing.assert_allclose(priced.price, [0.002, 0.25], rtol=1e-12)
    assert np.isnan(priced.utility[2, 0]) and priced.utility[2, 1] == 1
    assert priced.cost_unit == "USD/query" and priced.label == "recorded answers, derived cost"
    assert [note.split(" ")[0] for note in priced.notes] == ["cost", "the", "left"]
    assert priced.notes[0] == "cost derived from p.csv"


def test_input_tokens_count_where_recorded(tmp_path: Path) -> None:
    text = "id,model,correct,output_tokens,input_tokens\n1,a,1,100,1000\n1,b,0,200,2000\n"
    prices = put(tmp_path, "model,price_in_per_1m,price_out_per_1m\na,2,10\nb,3,20\n", "p.csv")
    priced = formats.read(put(tmp_path, text), prices=prices)
    np.testing.assert_allclose(priced.cost, [[0.002 + 0.001, 0.006 + 0.004]], rtol=1e-12)


def test_prices_replace_costs_and_serve_models_without_one(tmp_path: Path) -> None:
    path = put(tmp_path, "id,a_correct,a_cost,b_correct\n1,1,0.5,0\n")
    prices = put(tmp_path, "model,per_call\na,1\nb,2\n", "p.csv")
    np.testing.assert_array_equal(formats.read(path, prices=prices).cost, [[1, 2]])


def test_models_leave_out_what_lacks_a_cost(tmp_path: Path) -> None:
    text = "id,a_correct,a_cost,b_correct,c_correct,c_cost\n1,1,1,0,0,1\n2,,1,1,,1\n"
    path = put(tmp_path, text)
    with pytest.raises(ValueError, match=r"model 'b' has no cost.*--models.*--prices"):
        formats.read(path)
    table = formats.read(path, models=["c", "a"])
    np.testing.assert_array_equal(table.utility, [[0, 1]])
    assert table.notes == ("left out 1 queries that no selected model answered",)
    with pytest.raises(ValueError, match="no model 'd'"):
        formats.read(path, models=["a", "d"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,per_call\nb,1\n", r"p\.csv: no price for model 'a'"),
        ("model,per_call\naa,1\nb,1\n", "did you mean aa"),
        ("model,per_call\na,1\nb,1\na,1\n", "'a' appears twice"),
        ("model,per_call\na,x\nb,1\n", "row 1, column 'per_call' needs a number, found 'x'"),
        ("model,per_call\na,1\nb,-1\n", "row 2, column 'per_call' needs a finite number >= 0, found -1"),
        ("model,output_per_1m\na,1\nb,1\n", "model 'a' has a price a token and no tokens recorded"),
        ("model,per_call\na,1\nb,\n", "model 'b' needs output_per_1m or per_call, found neither"),
        ("name,cost\na,1\n", "needs the columns model and output_per_1m or per_call"),
    ],
)
def test_faulty_price_files(tmp_path: Path, text: str, message: str) -> None:
    table = Outcomes(("a", "b"), [[1.0, 0.0]], np.full((1, 2), np.nan), ["1"])
    with pytest.raises(ValueError, match=message) as caught:
        formats.apply_prices(table, put(tmp_path, text, "p.csv"))
    assert "\n" not in str(caught.value)


# --- mistakes ---------------------------------------------------------------------------------------------------

FAULTS = {
    "empty": ("", "the file is empty"),
    "header only": ("query_id,a_correct,b_correct\n", "needs at least one row of data, found none"),
    "columns": ("x,y\n1,2\n", "no kind of table has the columns x, y; a wide table needs"),
    "names with line breaks": ('"x\ny",z\n1,2\n', "no kind of table has the columns x y, z;"),
    "short row": ("id,a_correct,b_correct\n1,1,0\n2,1\n", "line 3 needs 3 fields like the header, found 2"),
    "long row": (
        'id,a_correct,b_correct\n"1\n",1,0\n2,1,0,9\n',
        "line 4 needs 3 fields like the header, found 4",
    ),
    "above one": (
        WIDE.replace("q1,1", "q1,1.5"),
        r"row 1, column 'a_correct' needs a number in \[0, 1\], found 1.5",
    ),
    "percent": (
        WIDE.replace("q2,0", "q2,87"),
        "row 2, column 'a_correct' .* found 87; divide scores in 0..100",
    ),
    "negative": (
        WIDE.replace("q2,0", "q2,-1"),
        "row 2, column 'a_correct' .* found -1; --scale LOW,HIGH maps a range, --clip",
    ),
    "text": (WIDE.replace("0.25", "cheap"), "row 2, column 'a_cost' needs a number, found 'cheap'"),
    "negative cost": (
        WIDE.replace("0.25", "-2"),
        "row 2, column 'a_cost' needs a finite number >= 0, found -2",
    ),
    "infinite cost": (
        WIDE.replace("0.25", "inf"),
        "row 2, column 'a_cost' needs a finite number >= 0, found inf",
    ),
    "ids": (
        WIDE.replace("q2", "q1"),
        "row 2, column 'query_id' needs a query id of its own, found 'q1' as in row 1",
    ),
    "columns twice": (WIDE.replace("b_correct", "a_correct"), "column 'a_correct' appears twice"),
    "no outcome": (
        WIDE.replace("q2,0,0.25,1", "q2,,,"),
        "row 2, query 'q2' needs an outcome of a model, found none",
    ),
    "silent model": ("id,a_correct,b_correct\n1,,1\n", "model 'a' has no outcome for any query"),
    "one model": ("id,a_correct\n1,1\n", "at least 2 models"),
    "long twice": (
        "id,model,correct\n1,a,1\n1,b,1\n1,a,0\n",
        "row 3 gives query '1', model 'a' a second time",
    ),
    "long unnamed": ("id,model,correct\n1,a,1\n1,,1\n", "row 2, column 'model' needs a name"),
    "long utility": ("id,model,correct\n1,a,1\n1,b,2\n", "row 2, column 'correct' needs a number in"),
    "scenario": (
        "id,scenario,a_correct,b_correct\n1,poetry,1,0\n",
        "row 1, column 'scenario' needs ocr, vqa",
    ),
    "gap": ("id,text_0,text_2,a_correct,b_correct\n1,1,1,1,0\n", "text_1 is missing"),
    "hole": (
        "id,text_0,text_1,a_correct,b_correct\n1,1,,1,0\n",
        "row 1, column 'text_1' needs finite numbers",
    ),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_faulty_csv(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        formats.read(put(tmp_path, text))
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(tmp_path / "t.csv"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"arms": {"a": {"reward": 1}, "b": {"reward": 0}}}\n{"arms"\n', "line 2 is not JSON"),
        ("[1]\n", "line 1 needs a JSON object, found list"),
        ('{"arms": {"a": 1}}\n', "line 1 needs 'arms' as"),
        ('{"arms": {"a": {"reward": 1}, "a": {"reward": 0}}}\n', "'a' appears twice"),
        ('{"arms": {"a": {"reward": 1}, "b": {"reward": 7}}}\n', r"row 1, column 'arms\.b\.reward'"),
    ],
)
def test_faulty_json_lines(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        formats.read(put(tmp_path, text, "t.jsonl"))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_table(tmp_path: Path) -> None:
    whole = gzip.compress(WIDE.encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[:-9])
    (tmp_path / "plain.csv.gz").write_bytes(WIDE.encode())
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not so")
    (tmp_path / "latin.csv").write_bytes(WIDE.replace("q2", "q\xe9").encode("latin-1"))
    (tmp_path / "header.csv").write_bytes(WIDE.replace("a_", "\xe9_").encode("latin-1"))
    (tmp_path / "d.csv").mkdir()
    for name, message in {
        "none.csv": "no such file",
        "d.csv": r"needs a file that ends in \.csv.*found none in this folder",
        "t.pkl": r"a pickle can run any code .*pandas\.read_pickle",
        "t.gz": "needs a name that ends in",
        "cut.csv.gz": "not a whole gzip file",
        "plain.csv.gz": "not a whole gzip file",
        "t.parquet": "not a readable Parquet file",
        "latin.csv": "line 3 is not UTF-8 text",
        "header.csv": "line 1 is not UTF-8 text",
    }.items():
        with pytest.raises(ValueError, match=message) as caught:
            formats.read(tmp_path / name)
        assert "\n" not in str(caught.value) and name in str(caught.value)


def test_embeddings_beside_the_file(tmp_path: Path) -> None:
    path, beside = put(tmp_path, WIDE), tmp_path / "t.embeddings.npz"
    np.savez(beside, text=np.eye(2, 3, dtype=np.float16))
    np.testing.assert_array_equal(formats.read(path).text, np.eye(2, 3))
    np.savez(beside, image=np.eye(3))
    with pytest.raises(ValueError, match=r"'image' needs 2 rows like t\.csv, found shape \(3, 3\)"):
        formats.read(path)
    np.savez(beside, other=np.eye(2))
    with pytest.raises(ValueError, match="needs arrays named text or image, found other"):
        formats.read(path)
    np.savez(beside, text=np.array([{}, {}], dtype=object))
    with pytest.raises(ValueError, match="needs plain numeric arrays"):
        formats.read(path)
    beside.write_bytes(b"no zip")
    with pytest.raises(ValueError, match="needs plain numeric arrays"):
        formats.read(path)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("asked", ["plain {i}", '"in two\nlines {i}"', 'a "" {i}'])
def test_blocks_are_cut_where_rows_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, asked: str
) -> None:
    """Whatever the size of a block, and whether or not a quote lets a line end inside a cell."""
    lines = [f"q{i},{asked.format(i=i)},{i % 2},0.{i % 10},1,0.25" for i in range(999)]
    path = tmp_path / "t.csv"
    path.write_text(end.join(["query_id,question,a_correct,a_cost,b_correct,b_cost", *lines]), newline="")
    assert delimited._quoted(path, None) == delimited._quoted(path, path.read_bytes()) == ('"' in asked)
    wanted = pd.read_csv(path, engine="python")
    for block in (128, 1000, 1 << 20):
        monkeypatch.setattr(delimited, "_QUICK" if '"' in asked else "_PLAIN", block)
        found = formats.read(path)
        assert found.query_id.tolist() == [f"q{i}" for i in range(999)]
        assert found.question.tolist() == wanted["question"].tolist()
        assert np.array_equal(found.utility[:, 0], wanted["a_correct"])
        assert np.array_equal(found.cost[:, 0], wanted["a_cost"])

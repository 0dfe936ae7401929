"""Does every kind of file give the outcomes that it holds? Files are made here, in the layouts that tools write."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simulate
from envs import load
from envs.outcomes import Outcomes
from envs.tables import files, formats, recognition
from envs.tables.copies import grouped
from envs.tables.how import How
from envs.tables.kinds import KINDS
from envs.tables.log import read_log
from tests.workbooks import workbook

N = 6
WON = {"acme/big-1": [1, 1, 1, 0, 1, 1], "zeta/tiny-1": [0, 1, 0, 0, 1, 0]}
ASKED = [f"what is item {i}" for i in range(N)]
UTILITY = np.array(list(WON.values()), float).T
RUNS = {
    "mmlu:subject=law,model=acme_big-1": "acme/big-1",
    "mmlu:subject=law,model=zeta_tiny-1": "zeta/tiny-1",
}


def put(path: Path, rows: Any) -> Path:
    """Write rows as the ending of the path says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    elif path.suffix == ".xlsx":
        path.write_bytes(workbook([list(rows[0]), *(list(row.values()) for row in rows)]))
    else:
        pd.DataFrame(rows).to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def calls(**more: Any) -> list[dict[str, Any]]:
    """Return a row a call, with these columns; `{i}`, `{model}` and the like are filled in."""
    rows = []
    for i, question in enumerate(ASKED):
        for model, won in WON.items():
            facts = {"i": i, "model": model, "won": won[i], "question": question}
            rows.append({k: facts.get(v, v) for k, v in more.items()})
    return rows


def vlmevalkit(folder: Path) -> Path:
    for ending, (model, won) in zip((".xlsx", ".tsv"), WON.items(), strict=True):
        rows = [
            {"index": i, "question": ASKED[i], "prediction": "B", "hit": won[i], "category": "c"}
            for i in range(N)
        ]
        put(folder / f"{model.partition('/')[2]}_MathVista_MINI_gpt-4_score{ending}", rows)
    return folder


def lm_eval(folder: Path) -> Path:
    for model, won in WON.items():
        rows = [
            {
                "doc_id": i,
                "doc": {"question": ASKED[i]},
                "target": "B",
                "resps": [["B"]],
                "acc": won[i],
                "metrics": ["acc"],
            }
            for i in range(N)
        ]
        put(folder / model.replace("/", "__") / "samples_mmlu_law_2026-01-01T00-00-00.123.jsonl", rows)
    return folder


def _stat(name: str, value: float) -> dict[str, Any]:
    return {"name": {"name": name, "split": "test"}, "count": 1, "sum": value, "mean": value}


def helm(folder: Path) -> Path:
    for run, model in RUNS.items():
        rows = [
            {
                "instance_id": f"id{i}",
                "stats": [_stat("exact_match", WON[model][i]), _stat("inference_runtime", 0.5)],
            }
            for i in range(N)
        ]
        put(folder / run / "per_instance_stats.json", rows)
    return folder


def llmrouterbench(folder: Path) -> Path:
    for model, won in WON.items():
        records = [
            {"index": i, "origin_query": ASKED[i], "score": won[i], "cost": 0.5, "prompt_tokens": 3}
            for i in range(N)
        ]
        put(
            folder / f"{model[:4]}.json",
            {"performance": 0.5, "model_name": model, "dataset_name": "mmlu", "records": records},
        )
    return folder


def routerarena(folder: Path) -> Path:
    for model, won in WON.items():
        rows = [
            {
                "global_index": f"X_{i}",
                "question": ASKED[i],
                "llm_selected": model,
                "token_usage": {"output_tokens": 7},
                "evaluation_result": {"score": won[i], "inference_cost": 0.5},
            }
            for i in range(N)
        ]
        put(folder / f"{model.partition('/')[2]}.jsonl", rows)
    return folder


def promptfoo(folder: Path) -> Path:
    entries = [
        {"provider": {"id": model, "label": ""}, "testIdx": i, "vars": {"question": ASKED[i]}, "success": bool(won[i]),
         "score": won[i], "latencyMs": 1500, "cost": 0.5, "response": {"tokenUsage": {"completion": 7, "prompt": 3}}}
        for i in range(N) for model, won in WON.items()
    ]  # fmt: skip
    return put(folder / "p.json", {"evalId": "e", "results": {"version": 3, "results": entries, "stats": {}}})


def by_model(make: Any) -> list[dict[str, Any]]:
    return [{"id": i, "prompt": ASKED[i]} | make(i) for i in range(N)]


def each(make: Any, called: str = "{}") -> Any:
    """Return how a row holds every model under its name: what `make` says of a 0 or 1."""
    return lambda i: {called.format(model): make(won[i]) for model, won in WON.items()}


def routerbench(i: int) -> dict[str, Any]:
    return {"eval_name": "mmlu"} | each(int)(i) | each(lambda _: 0.5, "{}|total_cost")(i)


def mixinstruct(i: int) -> dict[str, Any]:
    scored = [{"model": m, "text": "t", "scores": {"bertscore": won[i]}} for m, won in WON.items()]
    return {"input": "", "candidates": scored}


def sprout(won: int) -> dict[str, Any]:
    return {"score": won, "num_input_tokens": 3, "num_output_tokens": 7}


GRAPH = {"task_id": "mmlu", "query": "question", "llm": "model", "effect": "won", "cost": 0.5, "metric": "em"}
EMBED = {"prompt_id": "i", "model_id": "model", "label": "won", "prompt": "question", "category": "mmlu"}
LONG = {"qid": "i", "model": "model", "accuracy": "won", "totalCost": 0.5, "latencyMs": 1500}
ARMS = each(lambda won: {"reward": won, "cost": 0.5})
MADE: dict[str, Any] = {
    "VLMEvalKit": vlmevalkit,
    "lm-evaluation-harness": lm_eval,
    "HELM per_instance_stats": helm,
    "LLMRouterBench": llmrouterbench,
    "RouterArena": routerarena,
    "promptfoo": promptfoo,
    "RouterBench": lambda f: put(f / "r.csv", by_model(routerbench)),
    "SPROUT as JSONL": lambda f: put(f / "s.jsonl", by_model(each(sprout))),
    "SPROUT as Parquet": lambda f: put(f / "s.parquet", by_model(each(sprout))),
    "RouterDC": lambda f: put(f / "d.json", by_model(lambda i: {"scores": each(int)(i)})),
    "ParetoBandit": lambda f: put(f / "a.jsonl", by_model(lambda i: {"arms": ARMS(i)})),
    "MixInstruct": lambda f: put(f / "m.jsonl", by_model(mixinstruct)),
    "RouteLLM": lambda f: put(f / "n.csv", by_model(each(bool))),
    "GraphRouter": lambda f: put(f / "g.csv", calls(**GRAPH)),
    "EmbedLLM": lambda f: put(f / "e.csv", calls(**EMBED)),
    "AutoMix": lambda f: put(f / "x.jsonl", by_model(each(float, "{}_f1"))),
    "an Excel sheet": lambda f: put(f / "w.xlsx", by_model(each(int, "{}_correct"))),
    "a wide array": lambda f: put(f / "w.json", by_model(each(int, "{}_score"))),
    "a long table": lambda f: put(f / "l.tsv", calls(**LONG)),
}


@pytest.mark.parametrize("name", MADE)
def test_a_layout_gives_the_outcomes_that_it_holds(tmp_path: Path, name: str) -> None:
    if name in ("VLMEvalKit", "an Excel sheet"):
        pytest.importorskip("python_calamine")
    found = formats.read(MADE[name](tmp_path))
    plain = [next(m for m in WON if m.partition("/")[2] in model) for model in found.models]
    np.testing.assert_array_equal(found.utility, UTILITY[:, [list(WON).index(m) for m in plain]])
    if found.priced:
        assert (found.cost == 0.5).all()
    if found.latency is not None:
        assert set(found.latency.ravel()) in ({1.5}, {0.5})
    if (found.question != "").any():
        assert found.question.tolist() == ASKED


def test_the_data_set_of_a_file_name_is_known(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    assert len(load("math", data=vlmevalkit(tmp_path))) == N


LOGS: dict[str, dict[str, Any]] = {
    "LiteLLM": {"request_id": "i", "spend": 0.1, "startTime": "t", "completion_tokens": 3},
    "Langfuse": {"id": "i", "startTime": "t", "totalCost": 0.1, "latency": 1.0},
    "Helicone": {"request_id": "i", "request_created_at": "t", "delay_ms": 900, "cost_usd": 0.1},
    "OpenRouter": {"generation_id": "i", "created_at": "t", "cost_total": 0.1, "tokens_completion": 3},
    "a bandit's": {"id": "i", "score": 1, "cost": 0.1, "pscore": 0.5},
}


@pytest.mark.parametrize("name", LOGS)
def test_a_log_is_no_table_and_is_read_as_a_log(tmp_path: Path, name: str) -> None:
    column = {"Helicone": "request_model", "OpenRouter": "model_permaslug"}.get(name, "model")
    rows = [
        {k: i if v == "i" else v for k, v in LOGS[name].items()} | {column: "ab"[i % 2]} for i in range(N)
    ]
    path = put(tmp_path / "log.csv", rows)
    with pytest.raises(ValueError, match=r"log\.csv: a log of 6 requests.*--warm-start.*off-policy"):
        formats.read(path)
    log = read_log(path)
    assert log.models == ("a", "b") and log.model.tolist() == [0, 1] * 3
    assert log.cost is not None and (log.cost == 0.1).all()
    assert (log.propensity is None) == (name != "a bandit's")
    if log.propensity is not None:
        back = formats.read(path, logs=True)
        np.testing.assert_array_equal(back.available, [[True, False], [False, True]] * 3)


def test_battles_are_duels_and_nothing_else(tmp_path: Path) -> None:
    won = ["model_a", "model_b", "tie (bothbad)"]
    path = put(
        tmp_path / "arena.jsonl",
        [{"question_id": 1, "model_a": "a", "model_b": "b", "winner": w} for w in won],
    )
    with pytest.raises(ValueError, match="--feedback dueling"):
        formats.read(path)
    found = formats.read(path, duels=True)
    np.testing.assert_array_equal(found.utility, [[1, 0], [0, 1], [0.5, 0.5]])
    assert found.group_id.tolist() == ["1"] * 3 and not found.notes and found.layout == "battles (Arena)"


def test_battles_are_played_as_duels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng, names = np.random.default_rng(0), np.array(["best", "good", "poor"])
    rows = []
    for i in range(60):
        a, b = np.sort(rng.choice(3, 2, replace=False))  # the first of the list wins
        rows.append(
            {"question_id": i, "model_a": names[b], "model_b": names[a], "winner": "model_b", "prompt": "?"}
        )
    path = put(tmp_path / "arena.csv", rows)
    asked = ["--data", str(path), "--feedback", "dueling", "--policy", "duel_ucb", "--seeds", "2"]
    simulate.cli([*asked, "--format", "csv", "--out", str(tmp_path / "out")], standalone_mode=False)
    told = pd.read_csv(io.StringIO(capsys.readouterr().out)).set_index("policy")
    assert told.loc["oracle", "accuracy"] == 1.0  # the winner of each battle
    assert {"best", "good", "poor"} <= set(told.index) and sum(" | " in name for name in told.index) == 3


def test_what_measures_a_question_is_no_model(tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", [{"id": 1, "gpt_score": 0.5, "llama_score": 0.2, "difficulty_score": 0.9}])
    found = formats.read(path)
    assert found.models == ("gpt", "llama") and "difficulty_score" in found.notes[0]


def test_two_kinds_that_fit_are_an_error_that_names_both(tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", [{"id": 1, "model": "a", "score": 1, "x_score": 1, "y_score": 0}])
    with pytest.raises(ValueError, match=r"fits two kinds of table, a long table .* and a wide table"):
        formats.read(path)


def test_a_judges_scores_of_a_wide_table_are_no_models(tmp_path: Path) -> None:
    """They hold 0 to 1 and are called like models where the models are; so does what `--judge-column` names."""
    row = {
        f"{m}_{e}": v
        for m in ("gpt-4", "me/qwen-7b")
        for e, v in (("correct", 1), ("conf", 0.9), ("sure", 0.2))
    }
    assert formats.read(put(tmp_path / "t.csv", [{"question": "what is it", **row}])).models == (
        "gpt-4",
        "me/qwen-7b",
    )


def test_models_by_name_and_the_line_that_helps(tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", [{"id": i, "weak": i % 2, "strong": 1} for i in range(4)])
    with pytest.raises(ValueError, match="--models weak,strong"):
        formats.read(path)
    np.testing.assert_array_equal(formats.read(path, models=["strong", "weak"]).utility, [[1, 0], [1, 1]] * 2)
    nearly = put(
        tmp_path / "l.csv", [{"id": 1, "modle": "a", "score": 1}, {"id": 1, "modle": "b", "score": 0}]
    )
    with pytest.raises(ValueError, match="lacks a column model; rename 'modle' to 'model'"):
        formats.read(nearly)


def wide(folder: Path, cells: list[tuple[Any, Any]], **more: Any) -> Path:
    return put(
        folder / "t.csv", [{"id": i, "a_score": a, "b_score": b} | more for i, (a, b) in enumerate(cells)]
    )


def test_scores_out_of_range_have_two_ways_in(tmp_path: Path) -> None:
    path = wide(tmp_path, [(1, 10), (5.5, 4)])
    with pytest.raises(ValueError, match=r"--scale.*--clip"):
        formats.read(path)
    np.testing.assert_allclose(formats.read(path, scale="1,10").utility, [[0, 1], [0.5, 1 / 3]])
    np.testing.assert_array_equal(formats.read(path, clip=True).utility, [[1, 1], [1, 1]])
    for odd in ("1", "a,b", "2,1", "0,inf"):
        with pytest.raises(ValueError, match="--scale needs"):
            formats.read(path, scale=odd)


def test_an_empty_cell_is_unavailable_or_a_failed_call(tmp_path: Path) -> None:
    path = wide(tmp_path, [(1, None), (None, None), (0, 1)], b_cost=2, a_cost=1)
    with pytest.raises(ValueError, match=r"row 2.*found none; 1 such rows are left out with --drop-empty"):
        formats.read(path)
    np.testing.assert_array_equal(formats.read(path, drop_empty=True).utility, [[1, np.nan], [0, 1]])
    failed = formats.read(path, missing="wrong")
    np.testing.assert_array_equal(failed.utility, [[1, 0], [0, 0], [0, 1]])
    np.testing.assert_array_equal(failed.cost, [[1, 2]] * 3)


@pytest.mark.parametrize(
    ("columns", "price", "cost"),
    [
        (("input_per_token", "output_per_token"), (1e-6, 2e-6), 300e-6 + 200e-6 * 2),
        (("input_cost_per_token", "output_cost_per_token"), (1e-6, 2e-6), 300e-6 + 200e-6 * 2),
        (("input_per_1k", "output_per_1k"), (1e-3, 2e-3), 300e-6 + 200e-6 * 2),
        (("input_per_1m", "output_per_1m"), (1, 2), 300e-6 + 200e-6 * 2),
    ],
)
def test_the_name_of_a_price_tells_its_unit(tmp_path: Path, columns: Any, price: Any, cost: float) -> None:
    path = wide(tmp_path, [(1, 0)], a_tokens=200, b_tokens=200, a_input_tokens=300, b_input_tokens=300)
    prices = put(tmp_path / "p.csv", [{"model": m} | dict(zip(columns, price, strict=True)) for m in "ab"])
    found = formats.read(path, prices=prices, unit="EUR")
    np.testing.assert_allclose(found.cost, cost, rtol=1e-12)
    assert found.cost_unit == "EUR/query"


def test_prices_without_a_unit_or_too_low_are_refused(tmp_path: Path) -> None:
    path = wide(tmp_path, [(1, 0)], a_tokens=200, b_tokens=200)
    prices = put(tmp_path / "p.csv", [{"model": m, "input": 1e-6, "output": 2e-6} for m in "ab"])
    with pytest.raises(ValueError, match=r"needs to say what the price is for.*--prices-per"):
        formats.read(path, prices=prices)
    with pytest.raises(ValueError, match=r"every price is below 0.001 per million"):
        formats.read(path, prices=prices, per="1M")
    np.testing.assert_allclose(formats.read(path, prices=prices, per="token").cost, 400e-6)


def test_cached_input_has_its_own_price(tmp_path: Path) -> None:
    more = {
        f"{m}_{f}": n for m in "ab" for f, n in (("tokens", 0), ("input_tokens", 100), ("cached_tokens", 60))
    }
    path = wide(tmp_path, [(1, 0)], **more)
    prices = put(
        tmp_path / "p.csv",
        [{"model": m, "input_per_1m": 10, "output_per_1m": 1, "cached_per_1m": 1} for m in "ab"],
    )
    np.testing.assert_allclose(formats.read(path, prices=prices).cost, (40 * 10 + 60 * 1) / 1e6)


def test_columns_that_were_not_read_are_named_once_with_the_nearest(tmp_path: Path) -> None:
    found = formats.read(wide(tmp_path, [(1, 0)], a_totl_cost=1, zzz=1))
    assert [n for n in found.notes if "not read" in n] == [
        "t.csv: not read: a_totl_cost (nearest: a_cost), zzz"
    ] or ("a_totl_cost" in found.notes[-1] and "zzz" in found.notes[-1])


def test_files_are_joined_and_what_does_not_join_is_counted(tmp_path: Path) -> None:
    one = put(tmp_path / "one.csv", [{"id": i, "model": "a", "score": 1} for i in (1, 2, 3)])
    two = put(tmp_path / "two.csv", [{"id": i, "model": "b", "score": 0} for i in (2, 3)])
    found = formats.read([one, two])
    np.testing.assert_array_equal(found.utility, [[1, np.nan], [1, 0], [1, 0]])
    assert "2 files joined by query: 3 queries, 1 of them in one file only" in found.notes
    three = put(tmp_path / "three.csv", [{"id": 2, "model": "b", "score": 1}])
    with pytest.raises(ValueError, match="has utility 1, and 0 in another file"):
        formats.read([one, two, three])
    with pytest.raises(ValueError, match="needs at least 2 models, found 'a' alone"):
        formats.read(one)


def test_texts_that_stand_for_many_rows_each_are_templates() -> None:
    """Three texts on 90 rows name no query; twice the same question on 90 rows does."""
    utility = np.tile([0.0, 1.0], (90, 1))
    ids = [str(i) for i in range(90)]
    for texts, groups in ((3, 0), (45, 90)):
        question = np.array([f"question {i % texts}" for i in range(90)], object)
        found = grouped(Outcomes(("a", "b"), utility, np.ones((90, 2)), ids, question=question))
        assert (found.group_id != "").sum() == groups
        assert ("templates" in found.notes[-1]) == (texts == 3)


def test_copies_of_a_question_become_a_group() -> None:
    asked = ["What is  it?", "what is it?", "else", ""]
    table = Outcomes(("a", "b"), np.ones((4, 2)), np.full((4, 2), np.nan), list("1234"), question=asked)
    found = grouped(table)
    assert found.group_id.tolist() == ["copies of 1", "copies of 1", "", ""]
    assert "1 of 4 queries are copies" in found.notes[0]


def test_kinds_of_what_is_shared(shared: Path) -> None:
    refused = {
        "bandit_log_long.csv",
        "litellm_spendlogs.csv",
        "langfuse_observations.csv",
        "routerarena_predictions.json",
    }
    for path in sorted((shared / "formats").iterdir()):
        if path.is_dir() or path.suffix == ".md":
            continue
        sheet = files.opened(path)
        assert recognition.recognised(sheet, How()).name in {kind.name for kind in KINDS}
        if path.name in refused:
            with pytest.raises(ValueError, match="a log of 12 requests"):
                formats.read(path)


@pytest.mark.parametrize(
    "name",
    [
        "embedllm.csv",
        "llmrouter_routing.jsonl",
        "routellm.csv",
        "routerbench.csv",
        "routerbench.parquet",
        "lmeval",
        "llmrouterbench",
    ],
)
def test_layouts_equal_what_is_expected(shared: Path, name: str) -> None:
    folder = shared / "formats"
    given = sorted(folder.glob("llmrouterbench-*")) if name == "llmrouterbench" else folder / name
    there = formats.read(folder / "expected" / f"{name.partition('.')[0].removesuffix('_routing')}.csv")
    found = formats.read(given)
    columns = [found.models.index(m) for m in there.models]
    rows = [found.query_id.tolist().index(q) for q in there.query_id]
    for field in ("utility", "cost"):
        np.testing.assert_array_equal(getattr(found, field)[rows][:, columns], getattr(there, field))
    assert found.cost_unit == there.cost_unit

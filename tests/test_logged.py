"""A log in a table of its own: contexts of the stream's pipeline, the stream's models, and no evaluated row in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simulate
from bandits.experiment.ask import Ask, finish
from envs import load, logged, write
from envs.contexts import features
from envs.outcomes import Outcomes
from envs.stream import Stream
from tests.conftest import make_stream

WORDS = np.array([f"word{i}" for i in range(16)])


def table(rows: int = 200, seed: int = 0, arms: int = 3, **changed: Any) -> Outcomes:
    """Return a table with text and image embeddings and questions."""
    rng = np.random.default_rng(seed)
    plain = make_stream(rows=rows, arms=arms, features=2, seed=seed).outcomes
    extra = {
        "text": rng.normal(size=(rows, 12)).astype(np.float32),
        "image": rng.normal(size=(rows, 7)).astype(np.float32),
        "question": np.array([" ".join(rng.choice(WORDS, 6)) for _ in range(rows)], object),
    }
    return replace(plain, **{**extra, **changed})


@pytest.mark.parametrize(
    ("drop", "options"),
    [
        ((), {}),
        ((), {"fusion": "mean", "whiten": True, "dim": 5}),
        (("image",), {"dim": 4}),
        (("text",), {"modality": "image"}),
        (("text",), {}),  # hashed questions beside images
        (("text", "image"), {"dim": 6}),  # hashed questions alone
        (("text", "image", "question"), {}),  # an indicator of each data set
        ((), {"context": "+dataset", "dim": 5}),
        (("text", "image", "question"), {"context": "+dataset"}),  # the same, not twice
        ((), {"context": "dataset"}),
    ],
)
def test_contexts_are_those_of_the_streams_own_pipeline(drop: tuple, options: dict, tmp_path: Path) -> None:
    """The stream's own rows, read as a log under other ids, get the contexts that they have in the stream."""
    outcomes = table(**dict.fromkeys(drop))
    write(outcomes, tmp_path / "stream.parquet")
    some = np.arange(40, 130)[::-1]
    renamed = np.array([f"log{i}" for i in some], object)
    write(replace(outcomes.take(some), query_id=renamed), tmp_path / "log.parquet")
    stream = load(data=tmp_path / "stream.parquet", **options)
    log, after = logged.beside(stream, tmp_path / "log.parquet", **options)
    assert log.context.dtype == np.float32 and log.dim > 1
    np.testing.assert_allclose(log.context, stream.context[some], atol=2e-5)
    assert after.context is stream.context and after.notes[-1] == "log of 90 rows from log.parquet"
    assert log.cost_scale == stream.cost_scale != log.cost.mean(axis=0).max()


@pytest.mark.parametrize("drop", [(), ("text",), ("text", "image")])
def test_fitted_on_the_log_alone_nothing_evaluated_moves_a_context(drop: tuple) -> None:
    """With `--fit warm`, whatever the evaluated rows are, the log's rows and the others get the contexts they got."""
    outcomes = replace(table(**dict.fromkeys(drop)), label="calibrated twin, not recorded answers")
    rng, late = np.random.default_rng(7), np.arange(100, 200)  # rows 0 to 49 are the log
    other = {
        name: np.concatenate(
            [value[:100], rng.permutation(value[late] * (1 if value.dtype == object else 9))]
        )
        for name in ("text", "image", "question", "cost")
        if (value := getattr(outcomes, name)) is not None
    }
    found = []
    for version in (outcomes, replace(outcomes, **other)):
        rest = np.arange(50, 200)
        log, asked = (
            Stream("", version.take(rows), np.ones((len(rows), 1), np.float32))
            for rows in (np.arange(50), rest)
        )
        found.append(logged.refit(log, asked, dim=6))
    (log, asked), (log_too, asked_too) = found
    assert np.array_equal(log.context, log_too.context) and log.dim == 7
    assert np.array_equal(asked.context[:50], asked_too.context[:50])
    assert not np.allclose(asked.context[50:], asked_too.context[50:], atol=1e-3)
    # Centred, and of mean squared norm NORM, on the log: what `features.context` does to all rows.
    assert np.allclose(log.context[:, :-1].mean(axis=0), 0, atol=1e-6)
    assert float((log.context[:, :-1] ** 2).sum(axis=1).mean()) == pytest.approx(features.NORM, rel=1e-4)
    mean = outcomes.cost[:50].mean(axis=0)
    assert asked_too.cost_scale == log_too.cost_scale == pytest.approx(mean.max())
    assert np.allclose(asked_too.price, mean)


def test_fit_warm_is_refused_where_it_cannot_be() -> None:
    stream = make_stream(rows=60)
    for ask, message in (
        (Ask(("uniform",), fit="warm"), "--fit warm needs a --warm-start"),
        (Ask(("uniform",), fit="cold"), "--fit needs one of all, warm, got 'cold'"),
    ):
        with pytest.raises(ValueError, match=message):
            next(finish(stream, ask))
    both = Stream("", table(), np.ones((200, 1), np.float32))
    ask = Ask(("uniform",), fit="warm", warm_start="20%", seeds=1)
    with pytest.raises(ValueError, match="--fit warm needs --fusion concat or mean"):
        next(finish(both, ask, context={"fusion": "adaptive"}))
    (run,) = finish(both, ask, context={"dim": 3})
    assert run.stream.dim == 4 and "fitted on the 40 rows of the log alone" in run.stream.notes[-1]


def test_evaluated_rows_and_their_near_copies_are_left_out_and_counted(tmp_path: Path) -> None:
    group = np.array([f"g{i // 4}" for i in range(200)], object)
    outcomes = table(group_id=group)
    write(outcomes.take(np.arange(100)), tmp_path / "stream.parquet")
    ids = outcomes.query_id.copy()
    ids[96:102] = [f"copy{i}" for i in range(6)]  # 96..99 are of an evaluated group under names of their own
    write(replace(outcomes, query_id=ids).take(np.arange(90, 200)), tmp_path / "log.parquet")
    log, after = logged.beside(load(data=tmp_path / "stream.parquet"), tmp_path / "log.parquet")
    assert log.query_id.tolist() == ids[100:].tolist()
    assert after.notes[-1].endswith("; 10 rows that are evaluated too were left out of it")


def test_the_same_row_number_with_another_question_is_another_query(tmp_path: Path) -> None:
    write(table(seed=0), tmp_path / "stream.parquet")
    other = table(seed=1, question=np.array([f"what is {i}?" for i in range(200)], object))
    write(other, tmp_path / "log.parquet")
    stream = load(data=tmp_path / "stream.parquet")
    assert len(logged.beside(stream, tmp_path / "log.parquet")[0]) == 200


def test_models_come_in_the_streams_order(tmp_path: Path) -> None:
    write(table(), tmp_path / "stream.parquet")
    other = replace(table(seed=1), query_id=np.array([f"l{i}" for i in range(200)], object))
    write(other.select(("model-2", "model-0", "model-1")), tmp_path / "log.parquet")
    log, _ = logged.beside(load(data=tmp_path / "stream.parquet"), tmp_path / "log.parquet")
    assert log.models == ("model-0", "model-1", "model-2")
    np.testing.assert_array_equal(log.utility, other.utility)


def _other(arms: int = 3, **changed: Any) -> Outcomes:
    return replace(
        table(seed=1, arms=arms), **{"query_id": np.array([f"l{i}" for i in range(200)], object), **changed}
    )


MISTAKES = {
    "a model less": (
        _other().select(("model-0", "model-2")),
        (),
        "needs the models of the stream; it lacks model-1",
    ),
    "a model more": (_other(arms=4), (), "it has model-3 too; name --models"),
    "another model": (replace(_other(), models=("model-0", "model-1", "other")), (), "it lacks model-2"),
    "no costs": (
        _other(cost=np.full((200, 3), np.nan), price=None, cost_unit=""),
        (),
        "the stream has and it has not",
    ),
    "another unit": (_other(cost_unit="EUR/query"), (), "in the stream's unit 'USD/query', got 'EUR/query'"),
    "another encoder": (
        _other(text=np.ones((200, 5), np.float32)),
        (),
        "text embeddings of 12 numbers, as the stream's; it has 5",
    ),
    "no images": (_other(image=None), (), "image embeddings of 7 numbers, as the stream's; it has none"),
    "adaptive fusion": (_other(), ("--fusion", "adaptive"), "needs --fusion concat or mean"),
    "all evaluated": (table(), (), "needs rows that are not evaluated; all 200 of it are"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_senseless_log_is_one_line(mistake: str, monkeypatch, capsys, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    outcomes, options, message = MISTAKES[mistake]
    write(table(), "stream.parquet")
    write(outcomes, "log.parquet")
    code, err = command(monkeypatch, capsys, "log.parquet", *options)
    assert code == 2 and message in err and err.startswith("simulate: --warm-start") and err.count("\n") == 1
    assert not Path("runs").exists()


def test_the_command_learns_from_a_table_and_evaluates_the_whole_stream(
    monkeypatch, capsys, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    write(table(), "stream.parquet")
    write(_other(), "log.parquet")
    for policy in ("linucb", "ucb1"):
        assert command(monkeypatch, capsys, "log.parquet", policy=policy)[0] == 0
        manifest = json.loads(Path("runs/stream.parquet-all/manifest.json").read_text())
        assert manifest["rounds"] == 200 and manifest["warm_start"] == "log.parquet"
        assert manifest["notes"][-1] == "log of 200 rows from log.parquet"
    write(_other(arms=4), "more.parquet")
    assert command(monkeypatch, capsys, "more.parquet", "--models", "model-2,model-0")[0] == 0
    code, err = command(monkeypatch, capsys, "nowhere.parquet")
    assert code == 2 and "nowhere.parquet: no such file" in err and err.count("\n") == 1


def command(monkeypatch, capsys, log: str, *options: str, policy: str = "linucb") -> tuple[int, str]:
    given = ["--policy", policy, "--data", "stream.parquet", "--seeds", "2", "--warm-start", log, *options]
    monkeypatch.setattr("sys.argv", ["simulate.py", *given])
    with pytest.raises(SystemExit) as left:
        simulate.main()
    return int(left.value.code or 0), capsys.readouterr().err

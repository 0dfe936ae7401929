"""Streams larger than memory: what is drawn, what is read, and that a streamed run is the run in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bandits import POLICIES
from bandits.experiment import ask as asks
from bandits.folders import sheets
from bandits.loop.orders import orders, window_order
from bandits.loop.replay import Trace, replay
from bandits.metrics.regret import fixed_sums, stand_in
from bandits.publish import asked, streamed
from bandits.results.summary import summarise
from bandits.rewards import linear, preferences, reward_table
from commands import streams
from envs.outcomes import Outcomes
from envs.stream import Stream, load
from envs.tables.formats import write
from envs.twin import generate, published
from envs.windows import big, survey, wide
from tests.test_command import run  # noqa: F401  (a fixture)

CONTEXT = {"modality": "both", "fusion": "concat", "dim": 32, "whiten": False}
ROWS = 6_000


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A stream of 6,000 queries with contexts of length 8."""
    path = tmp_path_factory.mktemp("made") / "made.parquet"
    generate.make(path, ROWS, dim=8, seed=3)
    return path


@pytest.fixture
def small_windows(monkeypatch) -> None:
    """Two chunks a window, so that 6,000 rows are three windows and the last one is not full."""
    monkeypatch.setattr(big, "WINDOW", 2048)


def whole(table: big.Big) -> Stream:
    """The same table in memory."""
    pieces = list(table.pieces())
    code = np.concatenate([p.code for p in pieces])
    outcomes = Outcomes(
        models=table.models,
        utility=np.concatenate([p.utility for p in pieces]),
        cost=np.concatenate([p.cost for p in pieces]),
        query_id=np.arange(len(table)).astype(str).astype(object),
        dataset=np.array(table.datasets, object)[code],
        price=table.price,
    )
    context = np.concatenate([p.context for p in pieces])
    return Stream(table.name, outcomes, context, unit=table.cost_scale)


def played(table: big.Big, folder: Path, policies: tuple[str, ...], **options) -> pd.DataFrame:
    """Run a table window by window; gives the trace, in the order of policies, seeds and rounds."""
    ask = asks.Ask(policies, **options)
    streamed.run(table, ask, folder, {"command": "", "context": CONTEXT})
    trace = pq.read_table(folder / "trace.parquet").to_pandas()
    trace["place"] = trace["policy"].map({name: i for i, name in enumerate(policies)}).astype(int)
    return trace.sort_values(["place", "seed", "round"], ignore_index=True)


def test_a_generated_stream_has_the_published_margins_in_expectation() -> None:
    """Shares of n independent queries lie within 4.5 standard deviations sqrt(p (1 - p) / n) of their probability:
    84 such comparisons fail by chance once in 1,700 seeds. Costs are log-normal with variance exp(1) - 1 of their
    squared mean. The quadrature of the oracle adds 0.002 (its error against 60 x 30 x 30 nodes is below 0.001)."""
    world = generate.model(0)
    drawn = generate.draw(world, np.random.default_rng(1), 200_000)
    figures, constants = published.figures(), published.solved()
    accuracy = published.accuracies(figures, constants.nano_share)
    mean_cost = published.mean_costs(figures, accuracy)
    for d in range(len(figures.datasets)):
        rows = drawn.dataset == d
        n = rows.sum()
        share = figures.queries[d] / figures.queries.sum()
        assert abs(n / 200_000 - share) < 4.5 * np.sqrt(share * (1 - share) / 200_000)
        p = accuracy[:, d]
        assert (np.abs(drawn.utility[rows].mean(axis=0) - p) < 4.5 * np.sqrt(p * (1 - p) / n)).all()
        o = figures.oracle[d]
        assert abs(drawn.utility[rows].any(axis=1).mean() - o) < 4.5 * np.sqrt(o * (1 - o) / n) + 0.002
        cost = drawn.cost[rows].mean(axis=0) / mean_cost[:, d]
        assert (np.abs(cost - 1) < 4.5 * np.sqrt((np.e - 1) / n)).all()


def test_generated_models_overlap_and_contexts_tell_as_much_as_the_twins() -> None:
    """How often two models agree, and how much of a model's utility a linear fit on the context explains, are those
    of the twin up to its 10,370 queries: a share has a standard deviation below 0.005 there, and R^2 below 0.009
    (2 sqrt(R^2 (1 - R^2)^2 / n) at R^2 = 0.1, plus 32 / n of overfit). Four of each are allowed, and 0.01 for margins
    that the twin meets by moving queries between datasets' sides."""
    world, table = generate.model(0), load("all")
    drawn = generate.draw(world, np.random.default_rng(2), 40_000)
    order = [table.models.index(m) for m in world.models]
    utility, other = drawn.utility, table.utility[:, order]

    def agree(u):
        return (u[:, :, None] == u[:, None, :]).mean(axis=0)

    assert np.abs(agree(utility) - agree(other)).max() < 4 * 0.005 + 0.01
    seen = generate.projection.fitted(
        {"text": drawn.text, "image": drawn.image}, fusion="concat", dim=32, whiten=False
    )
    context = generate.projection.project_rows(seen, {"text": drawn.text, "image": drawn.image})

    def explained(x, y):
        fit = x @ np.linalg.lstsq(x, y, rcond=None)[0]
        return 1 - ((y - fit) ** 2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)

    ours, twins = explained(context.astype(float), utility), explained(table.context.astype(float), other)
    assert np.abs(ours - twins).max() < 4 * 0.009 + 0.01


def test_a_longer_stream_begins_with_the_shorter_one(made, tmp_path) -> None:
    generate.make(tmp_path / "longer.parquet", ROWS + 70_000, dim=8, seed=3)
    short, longer = pq.read_table(made), pq.read_table(tmp_path / "longer.parquet")
    assert longer.slice(0, ROWS).equals(short) and len(longer) == ROWS + 70_000
    generate.make(tmp_path / "other.parquet", ROWS, dim=8, seed=4)
    assert not pq.read_table(tmp_path / "other.parquet").equals(short)


def test_a_stream_says_what_it_is_and_leaves_nothing_half_written(made, tmp_path, monkeypatch) -> None:
    table = survey.opened(made, **CONTEXT)
    assert "twin" in table.label and table.rows == ROWS and table.dim == 8 and table.n_arms == 10
    assert set(table.datasets) == set(published.figures().datasets)
    pieces = list(table.pieces())
    assert all((p.context[:, -1] == 1).all() for p in pieces)
    scale = np.concatenate([p.cost for p in pieces]).mean(axis=0).max()
    assert table.cost_scale == pytest.approx(scale, rel=1e-12)

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate.make(tmp_path / "broken.parquet", 100, progress=broken)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "options", "said"),
    [
        ("x.csv", {"rounds": 10}, "parquet"),
        ("x.parquet", {"rounds": 0}, "rounds >= 1"),
        ("x.parquet", {"rounds": 10, "dim": 130}, "dim <= 129"),
        ("nowhere/x.parquet", {"rounds": 10}, "nowhere"),
    ],
)
def test_make_stream_refuses_in_one_line(tmp_path, path, options, said) -> None:
    with pytest.raises(ValueError, match=said) as error:
        generate.make(tmp_path / path, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("group", [700, 2048, 10_000])
def test_windows_are_the_same_whatever_the_row_groups(made, tmp_path, small_windows, group) -> None:
    table = pq.read_table(made)
    pq.write_table(table, tmp_path / "grouped.parquet", row_group_size=group)
    found = survey.opened(tmp_path / "grouped.parquet", **CONTEXT)
    pieces = list(found.pieces())
    assert [p.first for p in pieces] == [0, 2048, 4096] and [len(p) for p in pieces] == [2048, 2048, 1904]
    context = np.concatenate([p.context for p in pieces])
    assert np.array_equal(context.ravel(), table.column("context").combine_chunks().flatten().to_numpy())
    later = list(found.pieces(1))
    assert [p.first for p in later] == [2048, 4096] and np.array_equal(later[0].utility, pieces[1].utility)


def test_the_first_window_is_met_in_the_order_of_a_table_in_memory(made, tmp_path) -> None:
    """6,000 rows are one window: a streamed run is the run in memory, orders, arms and all."""
    table = survey.opened(made, **CONTEXT)
    stream = whole(table)
    trace = played(table, tmp_path / "run", ("linucb", "thompson"), seeds=2, seed=5)
    for name in ("linucb", "thompson"):
        mine = trace[trace["policy"] == name]
        theirs = replay(POLICIES[name](10, 8), stream, reward_table(linear, stream), seeds=2, seed=5)
        assert np.array_equal(mine["row"], theirs.order.ravel())
        assert np.array_equal(mine["arm"], theirs.arms.ravel())


@pytest.mark.parametrize(("order", "rounds"), [("given", None), ("shuffle", None), ("shuffle", 5_001)])
def test_a_streamed_run_calls_what_a_run_in_memory_calls(
    made, tmp_path, small_windows, order, rounds
) -> None:
    """Several windows, the last one cut: the same rows asked of a table in memory, in the same order."""
    table = survey.opened(made, **CONTEXT)
    stream = whole(table)
    trace = played(table, tmp_path / "run", ("linucb",), seeds=2, order=order, rounds=rounds)
    total = rounds or ROWS
    for s in range(2):
        mine = trace[trace["seed"] == s]
        rows = mine["row"].to_numpy()
        assert len(set(rows)) == total and (rows // 2048 == np.arange(total) // 2048).all()
        assert (order == "given") == np.array_equal(rows, np.arange(total))
        asked = replace(stream, outcomes=stream.outcomes.take(rows), context=stream.context[rows])
        # Both seeds are replayed, since a seed's keys are its own; the other one's arms are not looked at.
        theirs = replay(POLICIES["linucb"](10, 8), asked, reward_table(linear, asked), seeds=2, order="given")
        assert np.array_equal(mine["arm"], theirs.arms[s])


def patchy_table(rows: int, seed: int = 0) -> Outcomes:
    """A wide table with embeddings, three data sets and a third of the outcomes missing."""
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(rows, 6)).astype(np.float32)
    utility = (text[:, :4] + rng.normal(size=(rows, 4)) > 0).astype(float)
    hidden = rng.random((rows, 4)) < 1 / 3
    hidden[np.arange(rows), rng.integers(0, 4, rows)] = False
    utility[hidden] = np.nan
    cost = np.where(hidden, np.nan, rng.lognormal(0, 0.3, (rows, 4)) * (1 + np.arange(4)))
    return Outcomes(
        models=("a", "b", "c", "d"),
        utility=utility,
        cost=cost,
        query_id=np.arange(rows).astype(str).astype(object),
        dataset=np.array(["x", "y", "z"], object)[rng.integers(0, 3, rows)],
        text=text,
        cost_unit="USD/query",
    )


@pytest.mark.parametrize("seeds", [1, 3])
def test_tables_of_windows_are_those_of_the_table_in_memory(tmp_path, small_windows, seeds) -> None:
    """Byte for byte: missing outcomes, three data sets and a cut last window included."""
    write(patchy_table(ROWS), tmp_path / "patchy.parquet")
    table = survey.opened(tmp_path / "patchy.parquet", **CONTEXT)
    stream = whole(table)
    policies, rounds = ("linucb", "uniform"), 5_500
    trace = played(table, tmp_path / "run", policies, seeds=seeds, rounds=rounds)
    traces = {}
    for name in policies:
        part = trace[trace["policy"] == name]
        rows, arms = (part[c].to_numpy().reshape(seeds, rounds) for c in ("row", "arm"))
        traces[name] = Trace(rows, arms)
    kept = summarise(stream, reward_table(linear, stream), traces)._asdict()
    kept["summary"]["preference"], kept["summary"]["budget"] = "0.2", ""
    for name, frame in kept.items():
        assert (tmp_path / "run" / sheets.file(name)).read_bytes() == sheets.written(name, frame), name


def test_a_streamed_trace_names_queries_and_rows_of_the_file(made, tmp_path, small_windows) -> None:
    """Names as a table in memory has them: of the file's own column, else the number of the row from 1."""
    named = replace(patchy_table(ROWS), query_id=np.array([f"q{i * 7}" for i in range(ROWS)], object))
    write(named, tmp_path / "named.parquet")
    for path, names in (
        (tmp_path / "named.parquet", named.query_id),
        (made, np.arange(1, ROWS + 1).astype(str)),
    ):
        trace = played(survey.opened(path, **CONTEXT), tmp_path / path.stem, ("uniform", "linucb"), seeds=2)
        assert np.array_equal(trace["file_row"], trace["row"]) and trace["file_row"].nunique() == ROWS
        assert (trace["query_id"].to_numpy() == names[trace["file_row"]]).all()


@pytest.mark.parametrize("context", ["embeddings", "+dataset", "dataset"])
def test_contexts_of_one_window_are_those_of_a_table_in_memory(tmp_path, context: str) -> None:
    write(patchy_table(500), tmp_path / "patchy.parquet")
    table = survey.opened(tmp_path / "patchy.parquet", **CONTEXT, context=context)
    stream = load(str(tmp_path / "patchy.parquet"), context=context)
    assert table.dim == stream.dim
    piece = next(table.pieces())
    np.testing.assert_allclose(piece.context, stream.context, atol=1e-6)
    assert table.cost_scale == pytest.approx(stream.cost_scale, rel=1e-12)
    assert np.array_equal(piece.utility, stream.utility, equal_nan=True) and table.models == stream.models
    assert any("first 500 rows" in note for note in table.notes) == (context != "dataset")


def test_questions_are_embedded_by_what_the_first_window_taught(tmp_path, monkeypatch) -> None:
    """Contexts of a question do not depend on where in the table it stands."""
    monkeypatch.setattr(big, "WINDOW", 1024)
    rng = np.random.default_rng(0)
    words = np.array(["cat", "dog", "sum", "angle", "sign", "price", "chart", "map"])
    questions = np.array([" ".join(rng.choice(words, 4)) for _ in range(1024)], object)
    outcomes = patchy_table(2048)
    outcomes = replace(outcomes, text=None, question=np.concatenate([questions, questions]))
    write(outcomes, tmp_path / "asked.parquet")
    first, second = survey.opened(tmp_path / "asked.parquet", **CONTEXT).pieces()
    assert first.context.shape[1] > 2 and np.array_equal(first.context, second.context)


def test_which_tables_are_streamed(made, tmp_path, monkeypatch) -> None:
    """A file from make-stream always; any other when asked; a large one unless that needs it in memory."""
    table = tmp_path / "patchy.parquet"
    write(patchy_table(50), table)
    plain = dict.fromkeys((*asks.Ask._fields, "data", "prices", "models", "embed", "checkpoint", "dry_run"))
    plain |= asks.Ask(("uniform",))._asdict() | {"stream": "all", "resume": False}

    def wanted(path: object, **options: object) -> bool:
        return streams.wanted({**plain, "data": str(path), **options}) is not None

    assert wanted(made) and wanted(made, budget=("30%",))
    assert not wanted(table) and wanted(table, resume=True) and wanted(table, checkpoint=3)
    monkeypatch.setattr(big, "LIMIT", 50)
    assert wanted(table) and not wanted(table, warm_start="30%") and wanted(table, models="a,b")
    assert not wanted(table, stream="x") and streams.wanted({**plain, "stream": "vqa"}) is None
    with pytest.raises(ValueError, match="need a Parquet table"):
        streams.wanted({**plain, "stream": "vqa", "resume": True})


def test_drawn_preferences_are_those_of_a_table_in_memory() -> None:
    ask = asks.Ask(("uniform",), preference="uniform(0,2)", seed=9)
    every = preferences("uniform(0,2)", 1000, 9)["uniform(0,2)"]
    parts = [asked.preference(ask, first, 250) for first in range(0, 1000, 250)]
    assert np.array_equal(np.concatenate(parts), every)
    assert asked.preference(asks.Ask(("uniform",), preference="0.3"), 5, 10) == 0.3


def test_the_command_makes_and_replays_a_stream(run) -> None:  # noqa: F811
    code, out, _ = run("make-stream", "--rounds", 3000, "--dim", 5, "--out", "s.parquet")
    assert code == 0 and "s.parquet" in out
    code, out, err = run("--policy", "linucb", "--stream", "s.parquet", "--seeds", 1, "--out", "done")
    assert code == 0 and "best_fixed" in out and "calibrated twin" in err
    summary = pd.read_csv("done/summary.csv").set_index("policy")
    assert summary.loc["linucb", "rounds"] == 3000 and np.isnan(summary.loc["linucb", "reward_lo"])
    assert len(pd.read_csv("done/curves.csv")["round"].unique()) <= 2000
    assert "no interval over one seed" in Path("done/report.html").read_text()
    for words, said in (
        (("--policy", "linucb", "--stream", "s.parquet", "--warm-start", "30%"), "--warm-start"),
        (("--policy", "linucb", "--stream", "s.parquet", "--context", "dataset"), "--context cannot change"),
        (("--policy", "linucb", "--stream", "s.parquet", "--models", "a,b"), "--models"),
        (("--policy", "linucb", "--stream", "s.parquet", "--order", "dataset"), "--order"),
        (("--policy", "linucb", "--stream", "s.parquet", "--dim", 8), "--dim cannot change"),
        (("--policy", "linucb", "--stream", "vqa", "--resume"), "need a Parquet table"),
        (("inspect", "s.parquet"), "not read whole"),
        (("export", "done", "--policy", "linucb"), "was streamed"),
        (("make-stream", "--rounds", 10, "--out", "s.csv"), ".parquet"),
    ):
        code, _, err = run(*words)
        assert code == 2 and said in err and len(err.splitlines()) == 1
    assert {p.name for p in Path().iterdir()} == {"s.parquet", "done"}


def test_a_wrong_cell_is_named_with_its_row(tmp_path, small_windows, monkeypatch) -> None:
    monkeypatch.setattr(wide, "FITTED", 2048)  # the cell is not among the rows that are looked at first
    write(patchy_table(3_000), tmp_path / "wrong.parquet")
    columns = pq.read_table(tmp_path / "wrong.parquet")
    values = columns.column("a_utility").to_numpy().copy()
    values[2050] = 3.0
    place = columns.column_names.index("a_utility")
    pq.write_table(columns.set_column(place, "a_utility", pa.array(values)), tmp_path / "wrong.parquet")
    with pytest.raises(ValueError, match=r"row 3, column 'a_utility'.*found 3.*\(rows counted from row 2049"):
        survey.opened(tmp_path / "wrong.parquet", **CONTEXT)


def test_a_streamed_run_gives_index_policies_the_range_of_all_its_windows(
    made, tmp_path, small_windows
) -> None:
    table = survey.opened(made, **CONTEXT)
    rewards = [reward_table(linear, piece, 1.0) for piece in table.pieces(context=False)]
    low, high = min(float(np.nanmin(r)) for r in rewards), max(float(np.nanmax(r)) for r in rewards)
    ask = asks.Ask(("ucb1", f"ucb1,low={low!r},high={high!r}"), preference="1", seeds=1)
    summary = streamed.run(table, ask, tmp_path / "run", {"command": "", "context": CONTEXT})["summary"]
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    mine, given = summary[summary["policy"].str.startswith("ucb1")]["accuracy"]
    assert low < -0.2 and mine == given and manifest["reward_range"] == [low, high]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"warm_start": "10%"}, r"--warm-start needs a table held in memory \(rows are set aside"),
        ({"hard": True}, "--pacing and --hard need a --budget"),
        (
            {"budget": ("latency=3",)},
            "a budget on latency needs a table that records it; this one records cost$",
        ),
        ({"budget": ("1e-9",)}, "pays for no call"),
        ({"budget": ("30%", "40%")}, "one preference and budget, got 0.2 and 30%, 40%"),
        ({"feedback": "dueling"}, "--feedback dueling needs a table held in memory"),
        ({"change": ("price,model=@best",)}, "--change"),
        ({"order": "dataset"}, "--order"),
        ({"preference": "0,1"}, "one preference and budget, got 0,1"),
        ({"rounds": ROWS + 1}, "--rounds"),
    ],
)
def test_what_a_streamed_run_cannot_give_is_refused(made, tmp_path, options, said) -> None:
    ask = asks.Ask(**{"policies": ("uniform",), **options})
    table = survey.opened(made, **CONTEXT)
    with pytest.raises(ValueError, match=said) as error:
        streamed.run(table, ask, tmp_path / "run", {"command": "", "context": CONTEXT})
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_sums_keep_what_rounding_drops() -> None:
    total = np.zeros((2, 1))
    for value in (1e16, 1.0, 1.0, -1e16):
        survey.add(total, np.array([value]))
    assert total.sum() == 2.0


def test_order_of_the_first_window_is_that_of_replay(known) -> None:
    rows = orders(known, seeds=3, seed=7)
    assert np.array_equal(rows, window_order(600, 0, seeds=3, seed=7, order="shuffle"))
    assert not np.array_equal(rows, window_order(600, 1, seeds=3, seed=7, order="shuffle"))


def test_best_in_hindsight_is_over_all_windows() -> None:
    """Sums of fixed choices by data set, with the fall-back and rows played again, against a plain loop."""
    rng = np.random.default_rng(0)
    reward, code, often = rng.random((1000, 4)), rng.integers(0, 3, 1000), rng.integers(0, 3, 1000)
    reward[rng.random((1000, 4)) < 0.2] = np.nan
    reward[np.arange(1000), rng.integers(0, 4, 1000)] = 0.5  # some model answers every row
    order = np.array([2, 0, 3, 1], np.int32)
    parts = [slice(i, i + 300) for i in range(0, 1000, 300)]
    others = stand_in(~np.isnan(reward), order)
    found = fixed_sums(((reward[p], others[p], code[p], often[p]) for p in parts), 3)
    want = np.zeros((3, 4))
    for row in range(1000):
        for k in range(4):
            arm = next(a for a in (k, *order) if not np.isnan(reward[row, a]))
            want[code[row], k] += often[row] * reward[row, arm]
    np.testing.assert_allclose(found, want, rtol=1e-12)


def test_the_file_of_the_documentation_is_streamed(tmp_path, monkeypatch) -> None:
    """The example in docs/streams.md runs as it stands, and its file is a table."""
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).resolve().parents[1] / "docs" / "streams.md").read_text(encoding="utf-8")
    exec(page.partition("```python")[2].partition("```")[0], {})
    table = survey.opened("mine.parquet", **CONTEXT)
    assert big.kind("mine.parquet") == "ready" and table.models == ("small", "large")
    assert (table.rows, table.dim, table.label, table.datasets) == (100_000, 4, "made up", ("mine",))
    assert len(list(table.pieces())) == 2

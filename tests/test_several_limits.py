"""Several calls a query under budgets, pacing, the hard promise, a log, delay and changes: against plain loops."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bandits.experiment import several, worlds
from bandits.experiment.ask import Ask
from bandits.experiment.play import finish
from bandits.folders.export import export
from bandits.loop import slots
from bandits.loop.feedback import parse
from bandits.rewards import linear
from bandits.sweeps import job, plan, results
from envs import load
from envs.calls import STOP, Calls, last
from envs.stream import Stream
from simulate import answer

COUNT, SEEDS = 120, 2
CHAIN = "cascade,order=small>large>huge,thresholds=0.7>0.6"
MODELS = ("small", "large", "huge")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wide table of three models with costs, latencies, a judge that costs, and answers."""
    rng, frame = np.random.default_rng(0), {"id": [f"q{i}" for i in range(COUNT)], "dataset": ["d"] * COUNT}
    for k, model in enumerate(MODELS):
        right = rng.random(COUNT) < 0.5 + 0.15 * k
        frame[f"{model}_correct"] = right * 1
        frame[f"{model}_cost"] = rng.uniform(1, 2, COUNT).round(3) * 4**k
        frame[f"{model}_latency"] = rng.uniform(1, 2, COUNT).round(3)
        frame[f"{model}_tokens"] = rng.integers(10, 90, COUNT)
        frame[f"{model}_conf"] = np.clip(0.4 * right + 0.6 * rng.random(COUNT), 1e-3, 1).round(5)
        frame[f"{model}_judge_cost"] = 0.25
    path = tmp_path_factory.mktemp("limits") / "judged.csv"
    pd.DataFrame(frame).to_csv(path, index=False)
    return path


def played(path: Path, *policies: str, **given):
    ask = Ask(policies, seeds=SEEDS, calls=3, preference="0.1", **given)
    stream = several.judged(load(data=str(path)), ask, str(path))
    return stream, list(finish(stream, ask))


def chain_by_hand(
    stream: Stream, rows: np.ndarray, limit: float, *, hard: bool, blind: bool = False
) -> tuple[list, float]:
    """Return the sequences that CHAIN calls in a plain loop with a budget on cost, and what they cost in all."""
    cost, said = stream.cost + 0.25, stream.several.scores  # type: ignore[union-attr]
    worst, left, made = cost.max(axis=0), limit, []
    for row in rows:
        called: list[int] = []
        for k, enough in zip(range(3), (0.7, 0.6, -1.0), strict=True):
            if left < 0 or (hard and worst[k] > left):
                if hard:  # a model that cannot be called is left out
                    continue
                break
            called.append(k)
            left -= cost[row, k]
            if said[row, k] >= enough:
                break
        made.append(tuple(called))
    return made, limit - left


@pytest.mark.parametrize("hard", [False, True])
def test_a_cascade_under_a_budget_is_that_of_a_plain_loop(table: Path, hard: bool) -> None:
    """Calls are paid one after the other, with their judge; with --hard no seed spends more, over all calls."""
    stream, (run,) = played(table, CHAIN, budget=("600",), hard=hard)
    trace = run.traces[CHAIN]
    for rows, arms in zip(trace.order, trace.arms, strict=True):
        made, spent = chain_by_hand(stream, rows, 600.0, hard=hard)
        columns = [run.stream.models[k] if k >= 0 else "" for k in arms]
        names = [">".join(MODELS[k] for k in calls) for calls in made]
        assert [c.removesuffix(" (judged)") for c in columns] == names
        paid = np.where(arms >= 0, run.stream.cost[rows, np.maximum(arms, 0)], 0.0).sum()
        assert paid == pytest.approx(spent)
        assert (paid <= 600) == hard and "" in names and any(">" in n for n in names)


@pytest.mark.parametrize(
    ("pacing", "parallel"),
    [*((p, False) for p in ("primal_dual", "threshold", "mirror", "bwk", "lp")), ("mirror", True)],
)
def test_every_pacing_takes_a_policy_that_may_call_again(table: Path, pacing: str, parallel: bool) -> None:
    """All calls of a query count against the promise; pacing makes fewer calls than the money of the first rounds."""
    given = {"budget": ("500",), "pacing": pacing, "hard": True, "parallel": parallel}
    _, (run,) = played(table, "pandora", **given)
    trace = run.traces["pandora"]
    paid = np.where(trace.arms >= 0, run.stream.cost[trace.order, np.maximum(trace.arms, 0)], 0.0)
    assert (paid.sum(axis=1) <= 500).all() and (paid.sum(axis=1) > 300).all()
    (row,) = run.calls
    assert 0.5 < row["calls"] < 2.5
    assert np.isfinite(trace.probed[:, -1]).all()


def test_a_cascade_has_no_index_to_pace_by(table: Path) -> None:
    with pytest.raises(ValueError, match="pacing mirror needs a policy with an index"):
        played(table, CHAIN, budget=("500",), pacing="mirror")


def test_parallel_takes_the_slowest_and_adds_up_the_rest(table: Path) -> None:
    """Nothing is heard between calls: the whole chain is made; costs and tokens add up, latency is the slowest's."""
    for parallel in (False, True):
        stream, (run,) = played(table, CHAIN, parallel=parallel)
        trace = run.traces[CHAIN]
        for rows, arms in zip(trace.order, trace.arms, strict=True):
            for row, arm in zip(rows, arms, strict=True):
                called = [
                    MODELS.index(m) for m in run.stream.models[arm].removesuffix(" (judged)").split(">")
                ]
                if parallel:
                    assert called == [0, 1, 2]
                took = [stream.latency[row, k] for k in called]
                assert run.stream.latency[row, arm] == pytest.approx(max(took) if parallel else sum(took))
                assert run.stream.tokens[row, arm] == sum(stream.tokens[row, k] for k in called)
                assert run.stream.cost[row, arm] == pytest.approx(
                    sum(stream.cost[row, k] + 0.25 for k in called)
                )


def test_a_log_teaches_what_its_judge_said(table: Path) -> None:
    """Pandora starts from the log's outcomes and scores: its first rounds are better than cold."""
    _, (warm,) = played(table, "pandora", CHAIN, warm_start="60", rounds=30, order="given")
    _, (cold,) = played(table, "pandora", CHAIN, rounds=30, order="given")
    assert len(warm.stream) == COUNT - 60 and warm.judged.stream.several.scores.shape == (COUNT - 60, 3)
    assert set(warm.stream.query_id).isdisjoint({f"q{i}" for i in range(60)})
    assert warm.traces["pandora"].arms.tolist() != cold.traces["pandora"].arms.tolist()


def test_late_feedback_is_heard_with_its_own_round(known) -> None:
    """A threshold that moves by what second calls gained, heard 7 rounds late: the same as a plain loop."""
    from tests.test_slots import FIRST, RATE, SECOND, scored
    from tests.test_slots import cascade as moving

    stream = scored(known, Calls(most=2, combine=last))
    late = parse("7")
    trace = slots.replay(moving(4), stream, linear, seeds=1, rounds=400, preference=0.3, feedback=late)
    scores, scale = stream.several.scores, stream.cost_scale
    threshold, waiting, arms = 0.5, [], []
    for t, row in enumerate(trace.order[0]):
        again = scores[row, FIRST] < threshold
        arms.append([FIRST, SECOND if again else STOP])
        if again:
            gain = (
                stream.utility[row, SECOND]
                - stream.utility[row, FIRST]
                - 0.3 * stream.cost[row, SECOND] / scale
            )
            waiting.append((t + 7, gain))
        threshold += RATE * sum(g for due, g in waiting if due == t)
    assert (np.array(arms) != trace.arms[0]).any(axis=1).sum() <= 1
    assert 0.1 < (trace.arms[0, :, 1] >= 0).mean() < 0.9


def test_a_stopped_run_goes_on_and_a_report_is_made_again(table: Path, tmp_path: Path) -> None:
    """What had finished is taken up, sequence by sequence; a run stopped before its tables gets them from the trace."""
    command = ["--data", str(table), "--calls", "3", "--seeds", "2", "--policy", CHAIN, "--policy", "greedy"]
    place = tmp_path / "run"
    assert answer([*command, "--out", str(place)]) == (0, "")
    tables = {name: (place / name).read_bytes() for name in ("summary.csv", "calls.csv", "trace.parquet")}
    manifest = json.loads((place / "manifest.json").read_text())
    assert manifest["again"] == [CHAIN] and [0, 1] in manifest["sequences"]
    for name in ("summary.csv", "calls.csv", "curves.csv", "by_dataset.csv", "report.html"):
        (place / name).unlink()
    (place / "manifest.json").write_text(json.dumps({**manifest, "tables": False}))
    assert answer(["report", str(place), "--out", str(tmp_path / "page.html")]) == (0, "")
    assert {name: (place / name).read_bytes() for name in tables} == tables
    from bandits.folders.unfinished import read

    found = read(place, manifest)
    assert found[CHAIN].arms.shape == (2, COUNT, 3) and found["greedy"].arms.shape == (2, COUNT)
    _, (run,) = played(table, CHAIN)
    sequences = [tuple(a for a in arms if a >= 0) for arms in found[CHAIN].arms[0].tolist()]
    assert [">".join(MODELS[k] for k in s) for s in sequences] == [
        run.stream.models[k].removesuffix(" (judged)") for k in run.traces[CHAIN].arms[0]
    ]


def test_a_sweep_and_an_export_take_several_calls(table: Path, tmp_path: Path) -> None:
    """A sweep's job comes to what the run does; a policy of one call is exported from a run with several."""
    file = tmp_path / "sweep.toml"
    file.write_text(
        f'policies = ["{CHAIN}"]\nstreams = ["{table}"]\nseeds = 2\ncalls = 3\npreferences = [0.1]\n'
        'budgets = ["600"]\nhard = true\nabstain = 0.6\n'
    )
    (one,) = plan.jobs(file, tried=False)
    results.prepare(tmp_path / "kept")
    (got,) = json.loads(job.result(one))["runs"]
    _, (run,) = played(table, CHAIN, budget=("600",), hard=True, abstain=0.6)
    trace = run.traces[CHAIN]
    earned = np.where(trace.arms >= 0, run.table[trace.order, np.maximum(trace.arms, 0)], 0.0)
    assert got["reward"] == pytest.approx(earned.mean(axis=1).tolist()) and max(got["spent_cost"]) <= 600
    assert len(got["coverage"]) == len(got["aurc"]) == SEEDS and 0 < max(got["coverage"]) < 1
    results.keep(tmp_path / "kept", one.digest, job.result(one))
    assert results.read(tmp_path / "kept", [one])[0][1][0]["reward"] == got["reward"]
    command = [
        "--data",
        str(table),
        "--calls",
        "3",
        "--seeds",
        "2",
        "--rounds",
        "40",
        "--out",
        str(tmp_path / "run"),
    ]
    assert answer([*command, "--policy", "ucb1", "--policy", CHAIN]) == (0, "")
    router = export(tmp_path / "run", "ucb1", seed=1)
    assert router.settings.models == MODELS
    with pytest.raises(ValueError, match="export needs a policy that has a form"):
        export(tmp_path / "run", CHAIN)


def test_a_judge_goes_with_the_answers_as_they_are(table: Path) -> None:
    """A simulated judge scores changed answers anew and the others as before; the table's judge cannot."""
    worse = ("quality,model=huge,change=-0.4,at=0.5",)
    ask = Ask((CHAIN,), seeds=SEEDS, calls=3, judge="auc=0.9", change=worse)
    plain = several.judged(load(data=str(table)), ask, str(table))
    world = worlds.changed(plain, worse, seeds=SEEDS)
    now, row = several.changed(world, ask), world.world.row
    before, after = plain.several.scores[row], now.several.scores
    flipped = plain.utility[row] != now.utility
    assert flipped[:, 2].sum() > 20 and not flipped[:, :2].any()
    np.testing.assert_allclose(after[~flipped], before[~flipped])
    assert (after[flipped] < before[flipped]).all()
    recorded = ask._replace(judge=None)
    own = several.judged(load(data=str(table)), recorded, str(table))
    with pytest.raises(ValueError, match="what the table's judge and models said is of the recorded answers"):
        several.changed(worlds.changed(own, worse, seeds=SEEDS), recorded)
    dearer = worlds.changed(own, ("price,model=huge,factor=2",), seeds=SEEDS)
    np.testing.assert_array_equal(several.changed(dearer, recorded).several.scores, own.several.scores[row])

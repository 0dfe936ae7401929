"""Router against cascade at equal cost: the comparison against slow forms and a bootstrap, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from bandits.contests import contest, words
from bandits.money import money
from bandits.sequential import chains
from bandits.sequential.chains import Judged
from simulate import answer


def made(seed: int = 0, n: int = 900, judge: float = 0.6) -> contest.Sides:
    """A third to learn on; the first feature tells which of three models is right, the judge a little more."""
    rng = np.random.default_rng(seed)
    context = np.column_stack([rng.normal(size=n), np.ones(n)])
    chance = 1 / (1 + np.exp(-(np.array([-0.3, 0.4, 1.4]) + context[:, :1] * [1.0, 0.3, 0.6])))
    utility = (rng.random((n, 3)) < chance) * 1.0
    cost = rng.lognormal(0, 0.2, (n, 3)) * [1, 3, 10]
    judged = Judged(utility, cost, np.clip(judge * utility + (1 - judge) * rng.random((n, 3)), 0, 1))
    learn = np.arange(n) < n // 3
    cluster = np.arange((~learn).sum()) // 2  # pairs of near copies
    return contest.Sides(judged.take(learn), judged.take(~learn), context[learn], context[~learn], cluster)


def test_the_router_pays_what_the_cascade_pays() -> None:
    sides = made()
    rungs = contest.ladder(sides)
    means = rungs.cost.mean(axis=1)
    assert (np.diff(means) >= 0).all() and len(means) > 20
    for met in contest.meet(sides, [2.0, 4.0, 7.0], levels=7):
        utility, cost, slope = contest.matched(rungs, met.ran.cost.mean())
        assert cost.mean() == pytest.approx(met.ran.cost.mean()) and slope >= 0
        assert utility.mean() == pytest.approx(met.router)
        assert met.against_router.mean == pytest.approx(met.ran.utility.mean() - met.router)
        assert met.promised <= met.budget
        shares = chains.going_on(met.ran, len(met.chain.order))
        reach = np.cumprod([1, *shares])
        assert reach.sum() == pytest.approx(met.ran.calls.mean())
    cheap, _, slope = contest.matched(rungs, 0.0)
    assert slope == 0 and cheap.mean() == rungs.utility[0].mean()


def test_the_router_pays_for_no_judge() -> None:
    """However dear a judge, the router is the one of the same rows without a judge, at the cascade's cost."""
    free = made()
    dear = [side._replace(cost=side.cost + 2.0) for side in free[:2]]
    sides = free._replace(train=dear[0], test=dear[1], train_bare=free.train.cost, test_bare=free.test.cost)
    bare = contest.ladder(free)
    assert all((a == b).all() for a, b in zip(contest.ladder(sides), bare, strict=True))
    (met,) = contest.meet(sides, [6.0], length=2, levels=4)
    paid = float(met.ran.cost.mean())
    assert bare.cost.mean(axis=1)[0] < paid < bare.cost.mean(axis=1)[-1]
    utility, cost, _ = contest.matched(bare, paid)
    assert met.router == pytest.approx(utility.mean()) and cost.mean() == pytest.approx(paid)


def test_the_interval_is_that_of_a_bootstrap_over_clusters() -> None:
    """Each resample matches costs anew; the delta method has its standard error within a tenth."""
    sides = made(3)
    rungs = contest.ladder(sides)
    (met,) = contest.meet(sides, [4.0], levels=7)
    rng, pairs, draws = np.random.default_rng(0), np.arange(len(sides.cluster)).reshape(-1, 2), []
    for _ in range(600):
        rows = pairs[rng.integers(0, len(pairs), len(pairs))].ravel()
        again = contest.Ladder(rungs.utility[:, rows], rungs.cost[:, rows])
        order = np.argsort(again.cost.mean(axis=1), kind="stable")
        again = contest.Ladder(again.utility[order], again.cost[order])
        utility, _, _ = contest.matched(again, met.ran.cost[rows].mean())
        draws.append(met.ran.utility[rows].mean() - utility.mean())
    half = (met.against_router.hi - met.against_router.lo) / 2 / 1.96
    assert half == pytest.approx(np.std(draws), rel=0.1)


def test_a_good_judge_is_worth_hearing_and_a_blind_one_is_not() -> None:
    good = contest.meet(made(2, judge=0.8), [3.0, 5.0], levels=7)
    blind = contest.meet(made(2, judge=0.0), [3.0, 5.0], levels=7)
    assert contest.shown([m.against_random for m in good], 300)[1].all()
    assert not contest.shown([m.against_random for m in blind], 300)[1].any()
    assert all(g.against_router.mean > b.against_router.mean for g, b in zip(good, blind, strict=True))
    assert not contest.shown([m.against_random for m in good], 20)[1].any()  # too few queries for a verdict


def test_break_even_is_where_the_line_crosses() -> None:
    assert contest.break_even([0.5, 0.7, 0.9], [-0.02, -0.01, 0.01]) == pytest.approx(0.8)
    assert contest.break_even([0.5, 0.7], [0.01, 0.02]) == -np.inf
    assert contest.break_even([0.5, 0.7], [-0.01, 0.0]) == np.inf


def test_sentences() -> None:
    sides = made(1, judge=0.8)
    met = contest.meet(sides, [3.0, 5.0], levels=7)
    told = words.rows(met, sides, ("a", "b", "c"), money("USD/query"))
    lines = " ".join(words.verdict(told, 600, 300, money("USD/query")))
    assert "the cascade is better than the router at" in lines and "beat chance" in lines
    assert told[0]["chain"].startswith("cascade,order=") and told[0]["budget"] == 3000.0
    assert told[0]["over_promise"] == pytest.approx(told[0]["paid"] / told[0]["promised"] - 1)


def run(*arguments: str) -> tuple[int, str, str]:
    with CliRunner().isolation() as streams:
        code, message = answer(["cascade", *arguments])
        return code, message, streams[0].getvalue().decode()


def test_the_command_on_recorded_answers(shared: Path) -> None:
    """Learned on `split=train` alone: MMLU's chains of the facts, with what they give on the test rows."""
    path = shared / "outcomes" / "cascade_llama.csv.gz"
    code, message, said = run(str(path), "--stream", "mmlu", "--format", "json")
    assert (code, message) == (0, "")
    rows = json.loads(said)
    assert len(rows) == 10 and rows[0]["promised"] <= rows[0]["budget"]
    assert {"difference", "lo", "hi", "p_holm", "better", "over_chance", "chain"} <= set(rows[0])
    assert sum(row["better"] == "cascade" for row in rows) == 2
    code, _, said = run(
        str(path), "--stream", "mmlu", "--budgets", "2", "--length", "2", "--search", "frugal"
    )
    assert code == 0 and said.count(", below ") == 2
    code, _, said = run(str(path), "--stream", "mmlu", "--budgets", "3")
    assert code == 0 and "At equal cost, on 1,531 queries" in said and "auroc" in said


def test_break_even_of_a_command(tmp_path: Path) -> None:
    rng, frame = np.random.default_rng(0), {"id": [f"q{i}" for i in range(400)]}
    for k, model in enumerate("ab"):
        frame[f"{model}_correct"] = (rng.random(400) < 0.5 + 0.3 * k) * 1
        frame[f"{model}_cost"] = 1.0 + 9 * k
    pd.DataFrame(frame).to_csv(tmp_path / "t.csv", index=False)
    code, _, said = run(
        str(tmp_path / "t.csv"), "--break-even", "0.5,0.9", "--budgets", "3", "--format", "json"
    )
    rows = json.loads(said)
    assert code == 0 and all(row["auc_0.9"] >= row["auc_0.5"] for row in rows)
    assert any(row["leads"] == "above" and 0.5 < row["break_even"] < 0.9 for row in rows)
    drawn = tmp_path / "even.svg"
    assert (
        run(str(tmp_path / "t.csv"), "--break-even", "0.5,0.9", "--budgets", "3", "--draw", str(drawn))[0]
        == 0
    )
    lines = ElementTree.parse(drawn).getroot().findall("{*}polyline")
    assert len(lines) == 2 and all(len(line.get("points", "").split()) == 3 for line in lines)
    for given, message in (
        (["--judge", "auc=0.7", "--draw", "x.svg"], "--draw needs --break-even"),
        (["--break-even", "0.5,x"], "--judge needs auc=A"),
        (["--break-even", "0.5", "--judge", "auc=0.5"], "goes without --judge"),
        ([], "needs something to hear after the first"),
        (["--judge", "auc=0.7", "--train", "400"], "needs to leave rows on both sides"),
        (
            ["--judge", "auc=0.7", "--length", "9"],
            "--length needs 1 to 2, as many as there are models, got 9",
        ),
        (["--judge", "auc=0.7", "--judge-column", "conf"], "give one of them"),
        (["--judge", "auc=0.7", "--budgets", "0"], "--budgets needs at least 1, got 0"),
    ):
        code, told, _ = run(str(tmp_path / "t.csv"), *given)
        assert code == 2 and message in told and "\n" not in told


def test_a_blind_judge_is_said_to_beat_chance_as_often_as_five_in_a_hundred() -> None:
    """Over 20 worlds with a judge that knows nothing, each with a test of its own at 5 %."""
    hits = []
    for seed in range(20):
        (met,) = contest.meet(made(seed, n=450, judge=0.0), [5.0], levels=4)
        hits.append(float(met.against_random.p) < 0.05)
    assert sum(hits) <= 4  # more than that: once in 400 such tests

"""Logs with one call a query: made, read, valued; on real logs, and against a truth that is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import simulate
from bandits.experiment.lineup import build
from bandits.loop.replay import replay
from bandits.metrics import off_policy as ope
from bandits.off_policy import ask, drawn, objectives, rounds, targets, trials, words
from bandits.off_policy.valued import RECOMMENDED, How, modelled, recommended, tuned, valued
from bandits.rewards import linear, reward_table
from bandits.serving.router import load
from envs.outcomes import Outcomes
from envs.tables.log import read_log
from tests.conftest import make_stream


def _ready(path: Path) -> rounds.Rounds:
    return rounds.ready(read_log(path), linear)


@pytest.fixture(scope="module")
def known() -> tuple[Any, np.ndarray]:
    """A stream and its rewards."""
    stream = make_stream(rows=500)
    return stream, reward_table(linear, stream)


def test_real_logs_give_the_published_figures(shared: Path) -> None:
    """Means .0046 and .0069; the Thompson policy from the uniform log .00454, .00461, effective size 2,479."""
    uniform, bts = (_ready(shared / "logs" / f"obd_men_{name}.csv.gz") for name in ("random", "bts"))
    assert uniform.values["utility"].mean() == pytest.approx(0.0046, abs=1e-12)
    assert bts.values["utility"].mean() == pytest.approx(0.0069, abs=1e-12)
    prior = pd.read_csv(shared / "logs" / "obd_men_bts_policy.csv").set_index("item")
    by_place = prior.loc[[int(m) for m in uniform.models], ["p_pos1", "p_pos2", "p_pos3"]].to_numpy().T
    position = read_log(shared / "logs" / "obd_men_random.csv.gz").context["position"].astype(int)
    chances = by_place[position - 1]
    chances /= chances.sum(axis=1, keepdims=True)
    found = words.diagnosed(uniform, chances)
    assert found is not None
    assert found.effective == pytest.approx(2479, abs=1)
    assert found.mean_weight == pytest.approx(1, abs=2 * found.mean_error)
    own = {
        e.estimator: e.mean
        for e in valued(uniform, chances, "utility", np.zeros_like(chances), How(wide=True))
    }
    assert own["IPS"] == pytest.approx(0.00454, abs=5e-6)
    assert own["SNIPS"] == pytest.approx(0.00461, abs=5e-6)


def test_a_log_says_how_likely_each_call_was(known: Any) -> None:
    """Given the policy's own choice a call has (1 - e) 1[chosen] + e / K; weights of any target average 1."""
    stream, table = known
    found = drawn.draw(build("linucb", stream, linear), stream, table, explore=0.4, rounds=4000)
    expected = 0.6 * (found.arm == found.own) + 0.4 / stream.n_arms
    np.testing.assert_allclose(found.propensity, expected, rtol=1e-12)
    np.testing.assert_allclose(found.every.sum(axis=1), 1, rtol=1e-12)
    explored = (found.arm != found.own).mean()  # binomial with chance e (K - 1) / K
    chance = 0.4 * (stream.n_arms - 1) / stream.n_arms
    assert abs(explored - chance) < 3 * np.sqrt(chance * (1 - chance) / 4000)
    for arm in range(stream.n_arms):
        weight = (found.arm == arm) / found.propensity
        assert abs(weight.mean() - 1) < 3 * weight.std() / np.sqrt(4000)


def test_a_policy_with_chances_leaves_the_marginal_ones(known: Any) -> None:
    stream, table = known
    found = drawn.draw(build("exp3", stream, linear), stream, table, explore=0.3, rounds=3000)
    assert found.marginal
    np.testing.assert_allclose(found.every.sum(axis=1), 1, rtol=1e-6)
    for arm in range(stream.n_arms):  # calls follow the marginal chances: a martingale
        gap = (found.arm == arm) - found.every[:, arm]
        assert abs(gap.sum()) < 3 * np.sqrt((found.every[:, arm] * (1 - found.every[:, arm])).sum())


@pytest.mark.parametrize("estimator", ["IPS", "DR", "SWITCH"])
def test_the_mean_error_over_a_thousand_logs_is_within_three_standard_errors(
    known: Any, estimator: str
) -> None:
    stream, table = known
    rng = np.random.default_rng(5)
    truth_model = np.tile(table.mean(axis=0), (60, 1))  # fixed before any log: DR is unbiased with it
    target = np.full(table.shape, 0.1) + 0.6 * (np.arange(stream.n_arms) == 1)
    every = np.full(table.shape, 0.15) + 0.4 * (np.arange(stream.n_arms) == 0)
    truth, found = (target * table).sum(axis=1).mean(), []
    for _ in range(1000):
        log, row = trials.log_of(stream, table, every, 60, rng)
        at = np.arange(60), log.arm
        w, y, pi = target[row][at] / log.propensity, log.values["reward"], target[row]
        if estimator == "IPS":
            values = ope.ips(w, y)
        elif estimator == "DR":
            values = ope.dr(w, y, truth_model[at], ope.dm(pi, truth_model))
        else:  # no weight is above the threshold: then it is unbiased
            values = ope.switch(w, y, pi / every[row], pi, truth_model, threshold=10)
        found.append(values.mean() - truth)
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(1000)


def test_a_round_trip_from_log_to_ope(tmp_path: Path) -> None:
    """The command's log gives the same means as the table at the logged calls, and DR holds the truth."""
    place = tmp_path / "log.parquet"
    log = ["log", "--policy", "uniform", "--explore", "0.5", "--stream", "vqa", "--out", str(place)]
    done = CliRunner().invoke(simulate.cli, log)
    assert done.exit_code == 0, done.output
    assert CliRunner().invoke(simulate.cli, log).exit_code == 0  # a log of its own may be written over
    out = tmp_path / "rows.csv"
    asked = ["ope", str(place), "--policy", "uniform", "--truth", "vqa", "--out", str(out), "-q"]
    done = CliRunner().invoke(simulate.cli, asked)
    assert done.exit_code == 0, done.output
    rows, frame = pd.read_csv(out).set_index("policy"), pd.read_parquet(place)
    for name in ("utility", "cost", "reward"):
        assert rows.loc[ask.LOGGED, name] == pytest.approx(frame[name].mean(), rel=1e-12)
        low, high = rows.loc["uniform", [f"{name}_lo", f"{name}_hi"]]
        assert low < rows.loc["uniform", f"{name}_true"] < high


def test_what_is_not_its_own_is_never_written_over(tmp_path: Path) -> None:
    place = tmp_path / "mine.parquet"
    pd.DataFrame({"a": [1]}).to_parquet(place)
    before = place.read_bytes()
    done = CliRunner().invoke(
        simulate.cli, ["log", "--policy", "uniform", "--stream", "vqa", "--out", str(place)]
    )
    assert isinstance(done.exception, ValueError)
    assert "stays as it is" in str(done.exception)
    assert place.read_bytes() == before


GOOD = "query_id,model,utility,cost,propensity,candidates\n" + "".join(
    f"q{i},{'ab'[i % 2]},{i % 3 / 2},1,0.5,a|b\n" for i in range(40)
)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "q3,b,0.0,1,0.5",
            "q3,b,0.0,1,0",
            "row 4, column 'propensity' needs a probability in (0, 1], found 0",
        ),
        (
            "q3,b,0.0,1,0.5",
            "q3,b,0.0,1,1.5",
            "row 4, column 'propensity' needs a probability in (0, 1], found 1.5",
        ),
        (
            "q3,b,0.0,1,0.5,a|b",
            "q3,b,0.0,1,0.5,a|c",
            "row 4 needs a model among its candidates (a, c), found 'b'",
        ),
        (
            "q3,b,0.0,1,0.5,a|b",
            "q3,b,0.0,1,0.5,a:0.6|b:0.6",
            "row 4, column 'candidates' needs probabilities that add up to 1, found 'a:0.6|b:0.6'",
        ),
        ("query_id,model", "query_id,something", "a log needs a column model"),
    ],
)
def test_a_bad_log_is_one_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    place = tmp_path / "log.csv"
    place.write_text(GOOD.replace(old, new, 1))
    done = CliRunner().invoke(simulate.cli, ["ope", str(place), "--policy", "uniform"])
    assert isinstance(done.exception, ValueError)
    assert says in str(done.exception)
    assert "\n" not in str(done.exception)


def test_an_unknown_arm_and_hindsight_are_one_line(tmp_path: Path) -> None:
    place = tmp_path / "log.csv"
    place.write_text(GOOD)
    for spec, says in (
        ("always,model=z", "no model 'z'"),
        ("oracle", "hindsight"),
        ("learned,objective=x", "dm, ips"),
    ):
        done = CliRunner().invoke(simulate.cli, ["ope", str(place), "--policy", spec])
        assert says in str(done.exception)


def test_a_table_is_no_log(tmp_path: Path) -> None:
    place = tmp_path / "table.csv"
    place.write_text("query_id,model,utility\n" + "".join(f"q{i},{m},0.5\n" for i in range(9) for m in "ab"))
    with pytest.raises(ValueError, match=r"a table of outcomes \(2.0 models a query\), not a log"):
        _ready(place)


def test_without_propensities_only_the_model_is_used(tmp_path: Path) -> None:
    place = tmp_path / "log.csv"
    frame = pd.read_csv(pd.io.common.StringIO(GOOD)).drop(columns=["propensity", "candidates"])
    frame["difficulty"] = np.linspace(0, 1, 40)
    frame.to_csv(place, index=False)
    plain = _ready(place)
    found = ask.answer(plain, {"uniform": np.full((40, 2), 0.5)})
    assert found.rows[1]["estimator"] == "DM"
    assert "--estimate-propensities" in found.warnings[0]
    with pytest.raises(ValueError, match="needs propensities, which the log lacks"):
        objectives.chances(plain, "learned,objective=ips")
    assert (
        ask.answer(rounds.estimated(plain), {"uniform": np.full((40, 2), 0.5)}).rows[1]["estimator"]
        == RECOMMENDED
    )


def test_a_log_of_certain_calls_is_called_what_it_is(tmp_path: Path) -> None:
    place = tmp_path / "log.csv"
    place.write_text(GOOD.replace(",0.5,a|b", ",1,a|b"))
    found = ask.answer(_ready(place), {"uniform": np.full((40, 2), 0.5)})
    assert any("every propensity is 1" in line for line in found.warnings)
    assert not found.verdict


def test_a_thompson_log_that_recorded_one_over_n_is_found(known: Any) -> None:
    """The same log with its true propensities is not blamed."""
    stream, _ = known
    rng, n, k = np.random.default_rng(0), 2000, stream.n_arms
    every = np.tile([0.55, 0.15, 0.15, 0.15], (len(stream), 1))
    true, _ = trials.log_of(stream, reward_table(linear, stream), every, n, rng)
    wrong = true.__class__(**{**vars(true), "propensity": np.full(n, 1 / k), "every": np.full((n, k), 1 / k)})
    assert not words.of_the_log(true)
    assert "the recorded 1/n is not what the logging policy did" in words.of_the_log(wrong)[0]
    first = np.tile(np.eye(k)[0], (n, 1))
    found = words.diagnosed(wrong, first)
    assert found is not None
    assert found.doubtful
    assert "mean weight" in words.warnings(wrong, "always", found)[0]


def test_no_round_is_valued_by_a_policy_that_has_seen_it(known: Any) -> None:
    """With rewards of the valued half turned round, what a policy does there stays."""
    stream, table = known
    every = np.full(table.shape, 1 / stream.n_arms)
    log, _ = trials.log_of(stream, table, every, 400, np.random.default_rng(1))
    log = log.__class__(**{**vars(log), "values": {"utility": log.values["reward"], **log.values}})
    first = targets.halves(log)
    assert not set(log.group[first]) & set(log.group[~first])
    turned = {name: np.where(first, -y, y) for name, y in log.values.items()}
    other = log.__class__(**{**vars(log), "values": turned})
    for spec in ("greedy", "learned,objective=dr"):
        same, changed = ask.chances(log, spec, linear), ask.chances(other, spec, linear)
        np.testing.assert_array_equal(same[first], changed[first])
        assert (same[~first] != changed[~first]).any()


def test_learned_objectives_find_the_right_model(known: Any) -> None:
    """Models are right with .9 on their topic: a learned policy beats the best single one (the fourth, .5)."""
    stream, table = known
    every = np.full(table.shape, 1 / stream.n_arms)
    log, row = trials.log_of(stream, stream.utility, every, 3000, np.random.default_rng(2))
    for name in objectives.OBJECTIVES:
        pi = objectives.chances(log, f"learned,objective={name}")
        assert (pi * stream.utility[row]).sum(axis=1).mean() > 0.7


def test_rejection_replay_accepts_one_in_k_of_a_uniform_log(known: Any) -> None:
    """Of n rounds, n / K are accepted (Li et al. 2011), on which the policy earns what it earns online."""
    stream, table = known
    n, k = 4000, stream.n_arms
    every = np.full(table.shape, 1 / k)
    log, _ = trials.log_of(stream, table, every, n, np.random.default_rng(3))
    log = log.__class__(**{**vars(log), "values": {"utility": log.values["reward"], **log.values}})
    row = ask.replayed(log, "always,model=model-3", linear)
    assert abs(row["accepted"] - n / k) < 3 * np.sqrt(n / k * (1 - 1 / k))
    assert row["reward_lo"] < table[:, 3].mean() < row["reward_hi"]


def test_the_benchmark_counts_errors_against_the_truth(known: Any) -> None:
    """IPS is unbiased; its error falls as the root of the size; the model alone has intervals that fail."""
    stream, _ = known
    rows = trials.trials(stream, linear, explores=(0.5,), sizes=(200, 800), logs=30)
    at = {(r["rounds"], r["estimator"]): r for r in rows}
    ratio = at[200, "IPS"]["sd"] / at[800, "IPS"]["sd"]
    assert 1.4 < ratio < 2.8  # 2, but for sampling
    assert at[800, "IPS"]["bias"] < 3 * at[800, "IPS"]["sd"] / np.sqrt(30)
    assert at[800, "DR"]["coverage"] > 0.85
    assert at[800, "DM"]["coverage"] < 0.8
    said = trials.trusted(rows)
    assert said.startswith(f"to trust here: {RECOMMENDED}") and said.split("fail")[1].count("DM") == 1
    told = ask.answer(*_small(stream)).warnings[0]
    assert RECOMMENDED in told  # what ope uses is what the trials name


def _small(stream: Any) -> tuple[rounds.Rounds, dict[str, np.ndarray]]:
    """Return a uniform log of 100 rounds and the uniform target."""
    even = np.full((len(stream), stream.n_arms), 1 / stream.n_arms)
    log, row = trials.log_of(stream, reward_table(linear, stream), even, 100, np.random.default_rng(0))
    return log, {"uniform": even[row]}


def test_another_estimator_is_named_where_it_is_better_by_a_tenth() -> None:
    def rows(score: float) -> list[dict[str, Any]]:
        best = {"explore": 0.1, "rounds": 9, "coverage": 0.95, "score": 1.0}
        return [best | {"estimator": "IPS"}, best | {"estimator": RECOMMENDED, "score": score}]

    assert trials.trusted(rows(1.05)).startswith(f"to trust here: {RECOMMENDED}")
    assert trials.trusted(rows(1.2)).startswith("to trust here: IPS")
    assert f"ope has {RECOMMENDED} (95 %), whose score is 20 % more" in trials.trusted(rows(1.2))


@pytest.mark.parametrize("whole", [True, False])
def test_the_design_holds_the_truth_where_students_interval_does_not(known: Any, whole: bool) -> None:
    """300 logs of 500 rounds, 8 % explored: about ten calls of the target's arm; with p of every arm or one."""
    stream, table = known
    every = np.full(table.shape, 0.02) + 0.92 * (np.arange(stream.n_arms) == 0)
    target = np.eye(stream.n_arms)[np.full(len(stream), 2)]
    truth, inside = float(table[:, 2].mean()), []
    for number in range(300):
        log, row = trials.log_of(stream, table, every, 500, np.random.default_rng([6, number]))
        if not whole:
            log = log.__class__(**{**vars(log), "every": None})
        model = modelled(log)["reward"]
        one = recommended(log, target[row], "reward", model)
        plain = valued(log, target[row], "reward", model, How(wide=True))[1]
        assert plain.estimator == "DR"
        inside.append([e.low <= truth <= e.high for e in (one, plain)])
    design, student = np.mean(inside, axis=0)
    assert design >= 0.93  # .95 less two standard errors of 300 trials, .013
    assert student < 0.92


def test_more_rounds_than_named_part_two_targets(known: Any) -> None:
    """What `needed` names for a uniform log grows as the inverse square of the difference."""
    stream, table = known
    every = np.full(table.shape, 1 / stream.n_arms)
    log, _ = trials.log_of(stream, table, every, 2000, np.random.default_rng(4))
    model = modelled(log)["reward"]
    apart = np.tile([1.0, -1.0, 0.0, 0.0], (2000, 1))
    texts = [words.needed(log, apart, gap, model) for gap in (0.02, 0.04)]
    numbers = [float(t.split("about ")[1].split(" more")[0].replace(",", "")) for t in texts]
    assert numbers[0] / numbers[1] == pytest.approx(4, rel=0.1)


def test_an_exported_router_calls_on_a_log_what_it_calls_in_service(tmp_path: Path, monkeypatch: Any) -> None:
    """Contexts of a log are those that the router was trained on; a greedy choice is one model."""
    monkeypatch.chdir(tmp_path)
    for spoken in (
        "--policy greedy --stream vqa --seeds 1 --rounds 300 --out run -q",
        "export run --policy greedy --out router.npz -q",
        "log --policy uniform --stream vqa --rounds 200 --out log.parquet -q",
    ):
        done = CliRunner().invoke(simulate.cli, spoken.split())
        assert done.exit_code == 0, done.output
    log = _ready(Path("log.parquet"))
    router = load("router.npz")
    found = targets.exported(router, log)
    worth = log.context @ router.learned["weight"][:, 0].T
    np.testing.assert_allclose(np.sort(found, axis=1)[:, -1], 1)
    called = [log.models[k] for k in found.argmax(axis=1)]
    assert called == [router.settings.models[k] for k in worth.argmax(axis=1)]


def test_mips_slope_and_the_bootstrap_from_the_command(tmp_path: Path) -> None:
    """MIPS is the hand-made ratio of groups, SLOPE the choice of `slope`, the bootstrap an interval of its own."""
    rng = np.random.default_rng(0)
    n, p = 400, np.array([0.5, 0.3, 0.2])
    arm = rng.choice(3, n, p=p)
    y = (rng.random(n) < np.array([0.2, 0.5, 0.8])[arm]).astype(float)
    frame = pd.DataFrame({"model": np.array(list("abc"))[arm], "utility": y, "propensity": p[arm]})
    for name, chance in zip("abc", p, strict=True):
        frame[f"chance:{name}"] = chance
    frame.to_csv(tmp_path / "log.csv", index=False)
    out = tmp_path / "rows.csv"
    asked = [
        "ope",
        str(tmp_path / "log.csv"),
        "--policy",
        "always,model=c",
        "--wide",
        "--out",
        str(out),
        "-q",
    ]
    more = ["--groups", "b,c", "--tune", "slope", "--bootstrap", "200"]
    done = CliRunner().invoke(simulate.cli, [*asked, *more])
    assert done.exit_code == 0, done.output
    rows = pd.read_csv(out)
    rows = rows[(rows["policy"] != ask.LOGGED) & (rows["quantity"] == "utility")].set_index("estimator")
    by_hand = np.where(arm == 0, 0, y / 0.5).mean()  # p(group of c) = .5
    assert rows.loc["MIPS", "mean"] == pytest.approx(by_hand, abs=1e-12)
    w = (arm == 2) / p[2]
    tried = [(c, ope.ips(w, y, clip=c), np.minimum(w, c)) for c in (2.0, 5.0, 10.0, 30.0, 100.0)]
    assert f"IPS clipped at {tuned(tried, w, y, by='slope'):g}" in rows.index
    booted = rows[rows["interval"] == "bootstrap"]
    assert {RECOMMENDED, "DR", "SNIPS", "SNDR"} <= set(booted.index)
    again = np.random.default_rng(0)
    ratios = []
    for _ in range(200):
        drawn = again.integers(0, n, n)
        ratios.append(np.average(y[drawn], weights=w[drawn]))
    assert rows.loc["SNIPS", "lo"] == pytest.approx(np.quantile(ratios, 0.025), abs=1e-12)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--groups", "a,b"], "one of the estimators of --wide"),
        (["--groups", "a,z", "--wide"], "names 'z'"),
        (["--groups", "a,b;a", "--wide"], "each model once"),
        (["--groups", "no.csv", "--wide"], "no.csv"),
    ],
)
def test_senseless_groups_are_one_line(tmp_path: Path, options: list[str], says: str) -> None:
    place = tmp_path / "log.csv"
    place.write_text(GOOD)
    done = CliRunner().invoke(simulate.cli, ["ope", str(place), "--policy", "uniform", *options])
    assert isinstance(done.exception, ValueError)
    assert says in str(done.exception)


def test_mips_needs_the_whole_distribution(tmp_path: Path) -> None:
    place = tmp_path / "log.csv"
    place.write_text(GOOD.replace("0.5,a|b", "0.4,a|b"))
    asked = ["ope", str(place), "--policy", "uniform", "--wide", "--groups", "a,b"]
    assert "whole distribution" in str(CliRunner().invoke(simulate.cli, asked).exception)


@pytest.mark.parametrize("cell", ["a:0.7|openai/b:free:0.3", '"{""a"": 0.7, ""openai/b:free"": 0.3}"'])
@pytest.mark.parametrize("column", [True, False])
def test_candidates_with_probabilities_are_the_whole_distribution(
    tmp_path: Path, cell: str, column: bool
) -> None:
    """Of models whose names have colons too; the propensity is that of the model called."""
    place = tmp_path / "log.csv"
    lines = [("a", 0.7), ("openai/b:free", 0.3)] * 5
    head = "model,utility,propensity,candidates" if column else "model,utility,candidates"
    rows = [f"{m},{i % 3 / 2},{f'{p},' if column else ''}{cell}" for i, (m, p) in enumerate(lines)]
    place.write_text("\n".join([head, *rows]) + "\n")
    log = _ready(place)
    assert log.models == ("a", "openai/b:free")
    np.testing.assert_allclose(log.every, np.tile([0.7, 0.3], (10, 1)), rtol=1e-12)
    np.testing.assert_allclose(log.propensity, [p for _, p in lines], rtol=1e-12)


def test_candidates_that_contradict_the_propensity_are_one_line(tmp_path: Path) -> None:
    place = tmp_path / "log.csv"
    place.write_text(GOOD.replace("a|b", "a:0.5|b:0.5").replace("q3,b,0.0,1,0.5", "q3,b,0.0,1,0.4"))
    with pytest.raises(ValueError, match=r"row 4 needs one probability .* found 0.4 .* and 0.5 among"):
        _ready(place)
    place.write_text(GOOD.replace("a|b", "a:0.5|b:0.5").replace("1,0.5,a:0.5|b:0.5", "1,0.5,a:1|b:0", 1))
    with pytest.raises(ValueError, match="row 1 needs one probability"):
        _ready(place)


def test_a_number_after_a_colon_may_be_of_a_name(tmp_path: Path) -> None:
    place = tmp_path / "log.csv"
    rows = [f"llama:{7 + i % 2},{i % 3 / 2},0.5,llama:7|llama:8\n" for i in range(10)]
    place.write_text("model,utility,propensity,candidates\n" + "".join(rows))
    log = _ready(place)
    assert log.models == ("llama:7", "llama:8")
    assert log.even


@pytest.mark.parametrize("spec", ["linucb", "exp3", "ucb1"])
def test_what_rejection_replay_accepts_is_the_loops_own_run(known: Any, spec: str) -> None:
    """The loop, given the accepted queries in their order, calls what the log has called in each of them."""
    stream, table = known
    even = np.full(table.shape, 1 / stream.n_arms)
    log, row = trials.log_of(stream, table, even, 1500, np.random.default_rng(7))
    log = replace(log, values={"utility": stream.utility[row, log.arm], **log.values})
    policy = build(spec, stream, linear)
    found = targets.rejection(policy, log, seed=3)
    part = row[found.accepted]
    assert abs(len(part) - 1500 / 4) < 3 * np.sqrt(1500 * 3 / 16)
    ids = np.array([f"r{i}" for i in range(len(part))], object)
    queries = Outcomes(stream.models, stream.utility[part], stream.cost[part], ids)
    short = replace(stream, outcomes=queries, context=stream.context[part], unit=log.scale)
    trace = replay(policy, short, table[part], seeds=1, seed=3, order="given")
    np.testing.assert_array_equal(trace.arms[0], log.arm[found.accepted])


@pytest.mark.parametrize("floor", [0.25, 0.1])
def test_rejection_replay_earns_what_the_policy_earns_online(known: Any, floor: float) -> None:
    """LinUCB over 40 logs, uniform or not: its mean reward is that of online runs just as long, within four errors."""
    stream, table = known
    every = np.full(table.shape, floor) + (1 - 4 * floor) * (np.arange(stream.n_arms) == 0)
    policy, earned, lengths = build("linucb", stream, linear), [], []
    for number in range(40):
        log, row = trials.log_of(stream, table, every, 1200, np.random.default_rng([8, number]))
        log = replace(log, values={"utility": stream.utility[row, log.arm], **log.values})
        found = targets.rejection(policy, log, seed=number)
        assert found.bound == pytest.approx(floor)
        earned.append(log.values["reward"][found.accepted].mean())
        lengths.append(int(found.accepted.sum()))
    assert np.mean(lengths) == pytest.approx(1200 * floor, rel=0.05)
    online = replay(policy, stream, table, seeds=40, rounds=int(np.mean(lengths)))
    truth = table[online.order, online.arms].mean(axis=1)
    error = np.sqrt((np.var(earned) + np.var(truth)) / 40)
    assert abs(np.mean(earned) - truth.mean()) < 4 * error


def test_replay_says_how_little_was_accepted(tmp_path: Path) -> None:
    place = tmp_path / "log.csv"
    place.write_text(GOOD)
    out = tmp_path / "rows.csv"
    asked = ["ope", str(place), "--replay", "--policy"]
    done = CliRunner().invoke(simulate.cli, [*asked, "ucb1", "--out", str(out)])
    assert done.exit_code == 0, done.output
    count = pd.read_csv(out).loc[0, "accepted"]
    assert f"ucb1: {count} of 40 rounds accepted" in done.output
    assert "fewer than 100 tell little" in done.output
    for spec in ("oracle", "learned,objective=dm", "router.npz"):
        assert "needs a policy that plays" in str(CliRunner().invoke(simulate.cli, [*asked, spec]).exception)
    place.write_text(GOOD.replace(",propensity", ",other"))
    assert "needs propensities" in str(CliRunner().invoke(simulate.cli, [*asked, "ucb1"]).exception)


FAULTS = {
    "p is 0": (lambda text: text.replace("1,0.5,", "1,0,", 1), "uniform", "(0, 1], found 0"),
    "p is above 1": (lambda text: text.replace("1,0.5,", "1,1.5,", 1), "uniform", "(0, 1], found 1.5"),
    "p is no number": (lambda text: text.replace("1,0.5,", "1,x,", 1), "uniform", "row 1, column 'propensity'"),
    "an unknown arm": (lambda text: text, "always,model=z", "no model 'z'"),
    "outside its candidates": (lambda text: text.replace("a|b", "c|b", 1), "uniform", "a model among its candidates"),
    "a table": (
        lambda text: "query_id,model,utility\n" + "".join(f"q{i},{m},1\n" for i in range(9) for m in "ab"),
        "uniform",
        "a table of outcomes",
    ),
    "no scores": (lambda text: text.replace(",utility,", ",other,"), "uniform", "needs two models and two rows"),
    "one model": (lambda text: text.replace(",b,", ",a,").replace("a|b", "a"), "uniform", "needs two models"),
    "objective without p": (
        lambda text: text.replace(",propensity,", ",other,"),
        "learned,objective=ips",
        "needs propensities",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_of_a_log_is_one_line_and_exit_two(
    fault: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    change, policy, says = FAULTS[fault]
    place = tmp_path / "log.csv"
    place.write_text(change(GOOD))
    monkeypatch.setattr("sys.argv", ["simulate.py", "ope", str(place), "--policy", policy])
    with pytest.raises(SystemExit) as left:
        simulate.main()
    said = capsys.readouterr()
    assert left.value.code == 2
    assert says in said.err
    assert said.err.strip().count("\n") == 0
    assert not said.out

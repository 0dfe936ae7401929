"""`decide`: its verdict, recomputed from the files alone; its gates; its mistakes; what it writes and where."""

from __future__ import annotations

import gzip
import json
import math
import re
import shlex
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy import stats

from bandits.decision import choices as taken
from bandits.decision.compare import Pair, compare, net
from bandits.decision.decide import decide, learning, reach
from bandits.decision.limits import parse
from bandits.decision.worths import best_by_worth, mixed_accuracy
from bandits.loop.replay import Trace
from bandits.money import money, plain
from bandits.rows import narrow
from envs import load, write
from envs.outcomes import Outcomes
from tests.conftest import make_stream
from tests.test_command import run

__all__ = ["run"]  # a fixture

QUICK = ("--seeds", 5, "-q")


def worthless(rows: int = 400, seed: int = 1) -> Outcomes:
    """A table on which the data set says nothing of which model is right, the dearest being the most accurate."""
    rng = np.random.default_rng(seed)
    chance, price = np.array([0.5, 0.65, 0.8]), np.array([0.001, 0.002, 0.01])
    return Outcomes(
        models=("little", "middle", "large"),
        utility=(rng.random((rows, 3)) < chance).astype(float),
        cost=price * rng.lognormal(0.0, 0.2, (rows, 3)),
        query_id=np.array([f"q{i}" for i in range(rows)], object),
        dataset=np.array([f"d{i % 3}" for i in range(rows)], object),
        cost_unit="1e-3 USD/query",
    )


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, Path]:
    """A table on which a policy wins by far, and one on which the context is worth nothing."""
    folder = tmp_path_factory.mktemp("tables")
    made = {"topics": make_stream(rows=400, seed=3).outcomes, "worthless": worthless()}
    for name, outcomes in made.items():
        write(outcomes, folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in made}


def told(out: str) -> str:
    """Return what stands on stdout with its lines joined."""
    return " ".join(out.split())


def test_a_policy_that_wins_by_far_is_deployed_and_every_figure_follows_from_the_files(run, tables) -> None:
    given = (
        "decide",
        tables["topics"],
        *QUICK,
        "--worth",
        20,
        "--queries-per-month",
        50_000,
        "--out",
        "done",
    )
    code, out, err = run(*given)
    assert code == 0, err
    assert max(map(len, out.split("page:")[0].splitlines())) <= 80
    found = json.loads(Path("done/decision.json").read_text())
    [piece] = found["by_worth"]
    row = next(r for r in found["choices"] if r["name"] == piece["choice"])
    other = next(r for r in found["choices"] if r["name"] == row["against"])
    stream = load(str(tables["topics"]))
    calls = pq.read_table("done/trace.parquet").to_pandas()
    calls = calls[calls["policy"] == row["policy"]]
    got = {
        "accuracy": stream.utility[calls["row"], calls["arm"]].mean(),
        "cost": stream.cost[calls["row"], calls["arm"]].mean(),
    }
    assert row["accuracy"] == pytest.approx(got["accuracy"]) and got["accuracy"] > 0.75
    assert row["cost_per_1000"] == pytest.approx(1000 * got["cost"])
    assert row["cost_per_month"] == pytest.approx(50_000 * got["cost"])
    worth = 20 * stream.utility.mean(axis=0) - stream.cost.mean(axis=0)
    best = int(worth.argmax())
    assert other["name"] == stream.models[best]
    assert row["difference"] == pytest.approx(got["accuracy"] - got["cost"] / 20 - worth[best] / 20)
    money_then = plain(1000 * stream.cost[:, best].mean())
    verdict = (
        f"Deploy {row['name']}: {100 * got['accuracy']:.1f} % of answers right"
        f" ({100 * row['accuracy_lo']:.1f} to {100 * row['accuracy_hi']:.1f}), ${plain(1000 * got['cost'])} per"
        f" 1,000 queries, ${plain(50_000 * got['cost'])} a month at 50,000 queries; always calling"
        f" {stream.models[best]} gives {100 * stream.utility[:, best].mean():.1f} % at ${money_then}."
    )
    assert told(out).startswith(verdict)
    assert verdict in told(re.sub("<[^>]*>", "", Path("done/decision.html").read_text()))


def test_an_interval_is_over_queries_or_over_seeds_whichever_is_wider(run, tables) -> None:
    assert run("decide", tables["topics"], *QUICK, "--worth", 20, "--out", "done")[0] == 0
    found = json.loads(Path("done/decision.json").read_text())
    stream = load(str(tables["topics"]))
    calls = pq.read_table("done/trace.parquet").to_pandas()
    calls["right"] = stream.utility[calls["row"], calls["arm"]]
    for row in found["choices"]:
        if row["kind"] == "model":
            each = stream.utility[:, stream.models.index(row["name"])]
            ends = stats.t.interval(0.95, len(each) - 1, each.mean(), stats.sem(each))
        else:
            own = calls[calls["policy"] == row["policy"]]
            spans = []
            for by in ("seed", "row"):
                each = own.groupby(by)["right"].mean().to_numpy()
                spans.append(stats.t.interval(0.95, len(each) - 1, each.mean(), stats.sem(each)))
            ends = min(s[0] for s in spans), max(s[1] for s in spans)
        assert (row["accuracy_lo"], row["accuracy_hi"]) == pytest.approx(ends)
    models = [row for row in found["choices"] if row["kind"] == "model"]
    best, dearest = (max(row[name] for row in models) for name in ("accuracy", "cost_per_1000"))
    low = min(row["cost_per_1000"] for row in models)
    for row in found["choices"]:  # what other papers would say, each from its formula
        assert row["gain_over_best"] == pytest.approx(row["accuracy"] / best - 1)
        assert row["ies_of_means"] == pytest.approx(
            row["accuracy"] / max(row["cost_per_1000"] / dearest, 0.01)
        )
        cheap = np.log2(dearest / row["cost_per_1000"]) / np.log2(dearest / low)
        cheap = min(max(cheap, 0.0), 1.0)
        rank = 1.1 * row["accuracy"] * cheap / (0.1 * row["accuracy"] + cheap)
        assert row["rank_score"] == pytest.approx(rank)


def test_where_context_is_worth_nothing_a_model_is_called_always_by_what_a_right_answer_is_worth(
    run, tables
) -> None:
    """The table counts in thousandths of a dollar; what is said and asked is in dollars."""
    code, out, err = run("decide", tables["worthless"], *QUICK, "--out", "done")
    assert code == 0, err
    models = "little, middle or large"
    assert told(out).startswith(
        f"Always call {models}, by what a right answer is worth: no policy is shown to be better."
    )
    stream = load(str(tables["worthless"]))
    a, c = stream.utility.mean(axis=0), stream.cost.mean(axis=0) / 1000
    first, second = (c[1] - c[0]) / (a[1] - a[0]), (c[2] - c[1]) / (a[2] - a[1])
    assert first < second
    pieces = json.loads(Path("done/decision.json").read_text())["by_worth"]
    assert [piece["choice"] for piece in pieces] == ["little", "middle", "large"]
    assert [piece["from"] for piece in pieces] == pytest.approx([0, first, second])
    assert [piece["to"] for piece in pieces[:2]] == pytest.approx([first, second]) and pieces[2]["to"] is None
    assert "no policy is shown to be better" in Path("done/decision.html").read_text()
    for worth, name in ((first / 2, "little"), (math.sqrt(first * second), "middle"), (second * 3, "large")):
        code, out, _ = run("decide", tables["worthless"], *QUICK, "--worth", worth)
        k = stream.models.index(name)
        assert code == 0
        begun = (
            f"Always call {name}: no policy is shown to be better. It has {100 * a[k]:.1f} % of answers right"
        )
        assert told(out).startswith(begun) and f"${plain(1000 * c[k])} per 1,000 queries" in told(out)


def from_cascade(shared: Path) -> pd.DataFrame:
    frame = pd.read_csv(shared / "outcomes" / "cascade_llama.csv.gz")
    models = [c.removesuffix("_correct") for c in frame if c.endswith("_correct")]
    points = {m: (frame[f"{m}_correct"].mean(), frame[f"{m}_cost"].mean()) for m in models}
    return pd.DataFrame(points, index=["accuracy", "cost"]).T


def from_pareto(shared: Path) -> pd.DataFrame:
    with gzip.open(shared / "outcomes" / "pareto_k4.jsonl.gz", "rt") as file:
        lines = file.read().splitlines()
    arms = pd.DataFrame(
        [{"model": m, **cell} for line in lines for m, cell in json.loads(line)["arms"].items()]
    )
    return arms.groupby("model")[["reward", "cost"]].mean().set_axis(["accuracy", "cost"], axis=1)


@pytest.mark.parametrize(
    ("file", "points"), [("cascade_llama.csv.gz", from_cascade), ("pareto_k4.jsonl.gz", from_pareto)]
)
def test_on_recorded_answers_the_verdict_follows_from_the_raw_file_and_the_calls(
    run, shared, file, points
) -> None:
    """Points, break points and the deployed policy's figures, without any of our readers or sums."""
    code, out, err = run("decide", shared / "outcomes" / file, "--seeds", 3, "-q", "--out", "done")
    assert code == 0, err
    assert max(map(len, out.split("page:")[0].splitlines())) <= 80
    raw, found = points(shared), json.loads(Path("done/decision.json").read_text())
    rows = {row["name"]: row for row in found["choices"]}
    for name, (accuracy, cost) in raw.iterrows():
        assert rows[name]["accuracy"] == pytest.approx(accuracy)
        assert rows[name]["cost_per_1000"] == pytest.approx(1000 * cost)
    for worth in np.geomspace(1e-6, 10, 200):
        best = (worth * raw["accuracy"] - raw["cost"]).idxmax()
        [said] = [p["choice"] for p in found["fixed_by_worth"] if p["from"] < worth <= (p["to"] or math.inf)]
        assert said == best
        [named] = [p for p in found["by_worth"] if p["from"] < worth <= (p["to"] or math.inf)]
        if named["kind"] == "model":
            assert named["choice"] == best
        else:
            own = rows[named["choice"]]
            ahead = worth * own["accuracy"] - own["cost_per_1000"] / 1000
            assert ahead > worth * raw["accuracy"][best] - raw["cost"][best] and own["shown"]
    deployed = any(p["kind"] == "policy" for p in found["by_worth"])
    assert told(out).startswith("Deploy " if deployed else "Always call ")


GATES = {
    "kept": ("accuracy>=0.6, cost<=3", 0),
    "a lower bound that misses though the mean does not": ("accuracy>=0.84", 3),
    "an upper bound that misses": ("accuracy >= 0.6,cost<=1.7", 3),
}


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_is_an_exit_code(run, tables, gate: str) -> None:
    text, wanted = GATES[gate]
    code, out, _ = run(
        "decide", tables["topics"], *QUICK, "--worth", 20, "--require", text, "--format", "json"
    )
    found = json.loads(out)
    [piece] = found["by_worth"]
    row = next(r for r in found["choices"] if r["name"] == piece["choice"])
    if gate.startswith("a lower"):
        assert row["accuracy_lo"] < 0.84 < row["accuracy"]
    assert code == wanted


MISTAKES = {
    "no number": (("--require", "accuracy>=much"), "accuracy as a number in [0, 1], got 'much'"),
    "another measure": (("--require", "speed>=1"), "got 'speed>=1'"),
    "the wrong way": (("--require", "cost>=0.1"), "got 'cost>=0.1'"),
    "twice": (("--require", "cost<=1,cost<=2"), "names cost twice"),
    "per cent": (("--require", "accuracy>=90"), "number in [0, 1], got '90'"),
    "nothing": (("--require", ""), "got ''"),
    "latency that is not recorded": (("--max-latency", "2"), "needs a table that records latency"),
    "no worth": (("--worth", "0"), "--worth needs a number > 0"),
    "no queries": (("--queries-per-month", "-1"), "--queries-per-month needs a number > 0"),
    "an accuracy above 1": (("--min-accuracy", "75"), "--min-accuracy needs accuracy as a number in [0, 1]"),
    "no folder": (("--out", ""), "--out needs a value, got ''"),
    "no seed": (("--seeds", "0"), "seeds"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(run, tables, mistake: str) -> None:
    options, message = MISTAKES[mistake]
    code, out, err = run("decide", tables["topics"], *options)
    assert code == 2 and out == "" and message in err and err.count("\n") == 1 and "Traceback" not in err


def test_a_table_without_costs_has_no_worth_and_no_limit_on_cost(run, tables, tmp_path) -> None:
    frame = pd.DataFrame(
        {f"{m}_correct": worthless().utility[:, k] for k, m in enumerate(worthless().models)}
    )
    frame.to_csv("free.csv", index=False)
    code, _, err = run("decide", "free.csv", "--max-cost", 1)
    assert code == 2 and "needs a table with costs" in err and err.count("\n") == 1
    code, out, _ = run("decide", "free.csv", *QUICK)
    assert code == 0 and told(out).startswith("Always call large: no policy is shown to be better.")
    assert "$" not in out and "per 1,000" not in out


def test_limits_are_answered_to_and_mixtures_of_two_models_stand_beside_them(run, tables) -> None:
    stream = load(str(tables["worthless"]))
    a, c = stream.utility.mean(axis=0), stream.cost.mean(axis=0) / 1000
    limit = 0.6 * c[1] + 0.4 * c[2]
    code, out, _ = run("decide", tables["worthless"], *QUICK, "--worth", 1, "--max-cost", limit)
    assert code == 0 and told(out).startswith("Call 60 % middle and 40 % large, drawn at random: no policy")
    assert f"{60 * a[1] + 40 * a[2]:.1f} % of answers right" in told(out)
    code, out, _ = run("decide", tables["worthless"], *QUICK, "--worth", 1, "--min-accuracy", 0.99)
    assert code == 0 and told(out).startswith("Nothing is shown to fulfil accuracy >= 0.99")
    required = ("--require", "accuracy>=0.1")
    assert run("decide", tables["worthless"], *QUICK, "--worth", 1, "--min-accuracy", 0.99, *required)[0] == 3


def test_the_folder_follows_the_rules_of_runs_and_can_be_reported(run, tables) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work")
    code, _, err = run("decide", tables["topics"], *QUICK, "--out", "mine")
    assert code == 2 and "holds other files" in err and Path("mine/thesis.txt").exists()
    given = ("decide", tables["topics"], *QUICK, "--worth", 20, "--out", "done")
    assert run(*given)[0] == 0
    Path("done/notes.txt").write_text("mine")
    assert run(*given)[0] == 0 and Path("done/notes.txt").read_text() == "mine"
    command = json.loads(Path("done/decision.json").read_text())["command"]
    assert command.startswith("simulate.py decide ") and "--worth 20" in command
    assert run("report", "done", "--out", "all.html")[0] == 0


def test_the_command_that_it_prints_exports_a_policy_that_loads(run, tmp_path) -> None:
    """A table with embeddings, from which a single query's context can be made."""
    import bandits

    base = make_stream(rows=400, seed=3)
    rng = np.random.default_rng(0)
    text = base.context[:, :-1] + 0.01 * rng.standard_normal((400, base.dim - 1)).astype(np.float32)
    kept = {name: getattr(base.outcomes, name) for name in ("models", "utility", "cost", "query_id", "price")}
    write(Outcomes(**kept, text=text, cost_unit="USD/query"), tmp_path / "seen.parquet")
    code, out, err = run("decide", "seen.parquet", *QUICK, "--worth", 20, "--out", "a folder")
    assert code == 0, err
    found = json.loads(Path("a folder/decision.json").read_text())
    lines = [line for line in out.splitlines() if line.startswith("for bandits.load: ")]
    assert len(lines) == 1 and found["export"] in lines[0]
    assert ("auto cannot be exported" in out) == found["nearest"]["name"].startswith("auto")
    _, _, *words = shlex.split(lines[0].removeprefix("for bandits.load: "))
    assert run(*words)[0] == 0
    router = bandits.load(words[words.index("--out") + 1])
    assert router.choose(text[0]).model in base.models


class Page(HTMLParser):
    """What a page loads and runs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_loads_nothing_and_escapes_names(run, tmp_path) -> None:
    outcomes = worthless()
    nasty = Outcomes(
        **{
            **{n: getattr(outcomes, n) for n in ("utility", "cost", "query_id", "cost_unit")},
            "models": ("<b>&x", "'\"y", "z"),
        }
    )
    write(nasty, tmp_path / "nasty.parquet")
    code, _, err = run("decide", "nasty.parquet", *QUICK, "--out", "done")
    assert code == 0, err
    text = Path("done/decision.html").read_text()
    page = Page(text)
    [policy] = [a["content"] for tag, a in page.found if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and policy.startswith("default-src 'none'; style-src 'sha256-")
    assert not {"script", "link", "img", "iframe", "b"} & {tag for tag, _ in page.found}
    assert not any({"src", "style"} & set(a) for _, a in page.found) and "&lt;b&gt;&amp;x" in text


def test_wide_csv_and_json_have_every_choice(run, tables) -> None:
    code, out, _ = run("decide", tables["topics"], *QUICK, "--format", "json")
    found = json.loads(out)
    assert code == 0 and {r["kind"] for r in found["choices"]} == {"policy", "model"}
    out_csv = run("decide", tables["topics"], *QUICK, "--format", "csv")[1]
    assert len(out_csv.splitlines()) == 1 + len(found["choices"])
    wide = run("decide", tables["topics"], *QUICK, "--wide")[1]
    assert all(
        name in wide for name in ("p_holm", "mixture_accuracy", *{r["name"] for r in found["choices"]})
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_best_choice_by_worth_is_the_best_at_every_worth(seed: int) -> None:
    """Against a plain search over worths; break points are where both neighbours earn the same."""
    rng = np.random.default_rng(seed)
    a, c = rng.random(7).round(3), rng.lognormal(0, 2, 7)
    pieces = best_by_worth(a, c)
    assert pieces[0].low == 0 and pieces[-1].high == math.inf
    assert pieces[0].choice == c.argmin() and a[pieces[-1].choice] == a.max()
    for before, after in pairwise(pieces):
        w = before.high
        assert w == after.low
        i, j = before.choice, after.choice
        assert w == pytest.approx((c[j] - c[i]) / (a[j] - a[i]))
    for w in np.geomspace(1e-3, 1e4, 300):
        piece = next(p for p in pieces if w <= p.high)
        assert w * a[piece.choice] - c[piece.choice] == pytest.approx((w * a - c).max(), rel=1e-9, abs=1e-9)


def test_the_best_mixture_lies_between_two_models() -> None:
    a, c = np.array([0.5, 0.6, 0.9]), np.array([1.0, 2.0, 3.0])  # the second lies below the line
    assert mixed_accuracy(a, c, [1, 2, 3, 5]) == pytest.approx([0.5, 0.7, 0.9, 0.9])
    assert np.isnan(mixed_accuracy(a, c, 0.5))


def _fabricated(lead: float, seed: int = 0) -> tuple[taken.Choices, np.ndarray, np.ndarray]:
    """A policy that calls the better of two models with a chance; `(S, N)` its right answers and the table."""
    rng = np.random.default_rng(seed)
    table = (rng.random((300, 2)) < [0.6, 0.55]).astype(float)
    order = np.stack([rng.permutation(300) for _ in range(6)]).astype(np.int32)
    best = table.argmax(axis=1)[order]
    arms = np.where(rng.random(order.shape) < lead, best, rng.integers(0, 2, order.shape)).astype(np.int32)
    outcomes = Outcomes(
        models=("a", "b"), utility=table, cost=np.full((300, 2), [1.0, 0.9]),
        query_id=np.array([f"q{i:03d}" for i in range(300)], object), cost_unit="USD/query",
    )  # fmt: skip
    from envs.stream import Stream

    stream = Stream("made", outcomes, np.ones((300, 1), np.float32))
    return taken.measured(stream, [("0.1", {"policy": Trace(order, arms)})]), table, table[order, arms]


@pytest.mark.parametrize("lead", [0.0, 0.15, 0.9])
def test_a_lead_has_to_be_shown_over_seeds_and_queries_against_every_model(lead: float) -> None:
    """By SciPy's t-tests on the raw answers: the largest p-value of four counts."""
    choices, table, _ = _fabricated(lead)
    worth = 20.0
    found = compare(choices, [Pair(0, 1, worth)], [1, 2])
    by_query = choices.by_cluster[:, 0, 0] / 6 - choices.by_cluster[:, 0, 1] / 6 / worth
    by_seed = net(choices.by_seed[:, 0], worth)
    p = []
    for k, price in ((0, 1.0), (1, 0.9)):
        gap = by_query - (table[:, k] - price / worth)
        p.append(stats.ttest_1samp(gap, 0).pvalue)
        p.append(stats.ttest_1samp(by_seed - (table[:, k].mean() - price / worth), 0).pvalue)
    ahead = by_query.mean() > (table[:, 0] - 1.0 / worth).mean()
    assert ahead or lead == 0.0
    assert found.verdict.p[0] == pytest.approx(max(p) if ahead else max(p[:2]))
    assert bool(found.verdict.shown[0]) == (found.verdict.p[0] < 0.05)


def test_what_cannot_be_shown_is_the_least_difference_that_would_be() -> None:
    choices, _, _ = _fabricated(0.1)
    found = compare(choices, [Pair(0, 1, 20.0)])
    far = reach(found, 0, queries=300, seeds=6)
    least = []
    for gap in (
        net(choices.by_seed[:, 0], 20.0) - net(choices.by_seed[:, 1], 20.0),
        (net(choices.by_cluster[:, 0], 20.0) - net(choices.by_cluster[:, 1], 20.0)) / 6,
    ):
        error = stats.sem(gap)
        assert stats.ttest_1samp(gap - gap.mean() + stats.t.ppf(0.975, len(gap) - 1) * error, 0).pvalue == (
            pytest.approx(0.05)
        )
        least.append(stats.t.ppf(0.975, len(gap) - 1) * error)
    assert far.detectable == pytest.approx(max(least))


def test_learning_costs_what_is_earned_less_than_at_the_end() -> None:
    gap = np.array([[-1.0] * 10 + [0.5] * 30])
    found = learning(gap)
    assert (found.rounds, found.lost, found.after) == (10, 15.0, 0.5)


def test_noise_alone_is_no_cost_of_learning() -> None:
    """Of 200 curves without learning at most 5 % and four standard errors are said to have a cost."""
    rng = np.random.default_rng(5)
    said = [learning(rng.normal(size=(3, 400))).rounds > 0 for _ in range(200)]
    assert np.mean(said) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)
    slow = rng.normal(0, 0.3, (3, 400)) - 0.5 * (np.arange(400) < 60)
    assert learning(slow).lost == pytest.approx(30, abs=6)


def test_a_policy_that_was_found_by_looking_at_many_has_to_pass_holm() -> None:
    """The same lead, once alone and once beside 200 that are none: shown alone, not among them."""
    choices, _, _ = _fabricated(0.22, seed=2)
    alone = compare(choices, [Pair(0, 1, 20.0)], [1, 2])
    many = compare(choices, [Pair(0, 1, 20.0), *[Pair(2, 1, 20.0)] * 200], [1, 2])
    assert alone.verdict.shown[0]
    assert many.verdict.p_holm[0] >= alone.verdict.p[0]
    ranks = decide(choices, {"0.1": 20.0}, given=20.0)
    assert ranks.pieces[0].choice == 0


def test_money_is_told_in_its_currency() -> None:
    assert [plain(x) for x in (0.9999999, 0.99949, 0.0999999)] == ["1.00", "0.999", "0.1"]
    assert money("1e-3 USD/query") == ("USD", 1e-3) and money("EUR/query") == ("EUR", 1.0)
    assert money("units/query").currency == "units" and money("").currency == "units"
    shown = {0.0288: "$0.0288", 0.01: "$0.01", 4.801: "$4.80", 1230.4: "$1,230", 0.0: "$0", -0.5: "-$0.5"}
    assert {value: money("USD/query").shown(value) for value in shown} == shown
    assert money("EUR/query").shown(2.0) == "2.00 EUR"


def test_a_narrow_table_is_80_columns_and_keeps_names_apart() -> None:
    long = "a/very-long-name-of-a-model-that-nobody-can-read-in-one-go-because-it-goes-on"
    lines = [[f"{long}{middle}{long}", "12.3 (10.0-14.0)", "$1.00", "+1.2 shown"] for middle in ("1", "2")]
    text = narrow(["", "accuracy %", "USD per 1,000", "difference"], [*lines, ["b", "1", "2", "3"]])
    assert max(map(len, text.splitlines())) <= 80 and len(text.splitlines()) == 1 + 2 * 2 + 1


def test_limits_are_read_strictly() -> None:
    assert [(x.measure, x.value) for x in parse("accuracy>=0.9, cost<=0.002")] == [
        ("accuracy", 0.9),
        ("cost", 0.002),
    ]
    for text in (
        "accuracy>0.9",
        "accuracy=0.9",
        "cost<=nan",
        "cost<=inf",
        "accuracy>=0.9;cost<=1",
        "cost<=1,",
    ):
        with pytest.raises(ValueError, match="--require"):
            parse(text)

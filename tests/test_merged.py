"""What one more model adds to a pool: against a plain loop over folds, and on models whose worth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import RidgeCV

from bandits.ceiling.learners import PENALTIES
from bandits.sweeps import merged
from envs.stream import Stream
from simulate import answer


def test_a_router_gains_from_a_model_that_answers_what_no_other_does(known: Stream) -> None:
    """`model-0` alone is right on its topic; `model-3` is right on half of all, and dearest."""
    rows = {(r["weight"], r["decided"]): r for r in merged.worth(known, merged.recorded(known, "model-0"))}
    first = rows[0.0, "router"]
    assert first["verdict"] == "adds" and 0.08 < first["value"] < 0.2 and 0.25 < first["share"] < 0.4
    assert np.isnan(first["lo"]) and first["queries_lo"] > 0
    assert first["accuracy"] == pytest.approx(known.utility[:, 0].mean())
    dear = merged.worth(known, merged.recorded(known, "model-3"))
    assert all(row["verdict"] != "adds" for row in dear if row["weight"] == 1.0)


def test_the_value_is_that_of_a_plain_loop_over_the_folds(known: Stream) -> None:
    few = known.outcomes.take(np.arange(90))
    stream = Stream("few", few, known.context[:90])
    pool = merged.recorded(stream, "model-1")
    row = next(
        r for r in merged.worth(stream, pool, seed=4) if (r["weight"], r["decided"]) == (0.2, "router")
    )
    order = [0, 2, 3, 1]
    worths = [stream.utility[:, order], stream.cost[:, order] / stream.cost_scale]
    names, code = np.unique(stream.dataset.astype(str), return_inverse=True)
    x = np.hstack([stream.context[:, :-1], np.eye(len(names))[code]])
    ids = np.unique([f"id {q}" for q in stream.query_id], return_inverse=True)[1]
    fold = (np.random.default_rng([4, 13]).permutation(90) % 5)[ids]
    gain = np.zeros(90)
    for f in range(5):
        held = fold == f
        told = [RidgeCV(PENALTIES).fit(x[~held], y[~held]).predict(x[held]) for y in worths]
        guess, true = told[0] - 0.2 * told[1], (worths[0] - 0.2 * worths[1])[held]
        for i, (g, t) in enumerate(zip(guess, true, strict=True)):
            gain[np.flatnonzero(held)[i]] = t[g.argmax()] - t[g[:3].argmax()]
    assert row["value"] == pytest.approx(gain.mean())
    half = 1.987 * gain.std(ddof=1) / np.sqrt(90)
    assert row["queries_hi"] - row["value"] == pytest.approx(half, rel=1e-3)


def test_a_synthetic_merge_has_the_quality_that_is_stated_and_its_price(known: Stream) -> None:
    pools = merged.merges(known, "model-0+model-3", between=(0.0, 1.0), factor=0.1, draws=3, seed=0)
    for text, quality in (("0", 0.0), ("1", 1.0)):
        for pool in pools[text]:
            want = 0.0
            for name in np.unique(known.dataset):
                own = known.utility[known.dataset == name][:, [0, 3]].mean(axis=0)
                want += (quality * own.max() + (1 - quality) * own.min()) * (known.dataset == name).mean()
            assert pool.utility[:, -1].mean() == pytest.approx(want)
            both = known.cost[:, [0, 3]].mean(axis=1) / known.cost_scale
            np.testing.assert_allclose(pool.cost[:, -1], 0.1 * both)
    rows = merged.worth(known, pools)
    assert {row["quality"] for row in rows} == {"0", "1"} and len(rows) == 20
    assert "with the new model in the pool" in merged.verdict(rows)


def test_the_command_on_recorded_answers(shared: Path, tmp_path: Path) -> None:
    path = str(shared / "outcomes" / "judge_r1.csv.gz")
    assert answer(["merge", path, "--model", "mistral-large-2512", "--out", str(tmp_path), "-q"]) == (0, "")
    frame = pd.read_csv(tmp_path / "merge.csv")
    own = pd.read_csv(path)["mistral-large-2512_score"].mean()
    assert len(frame) == 10 and frame["accuracy"].unique() == pytest.approx(own)
    assert "Content-Security-Policy" in (tmp_path / "merge.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--between", "0.5,2"], "--between needs different numbers in [0, 1]"),
        (["--parents", "@best"], "needs merge=A+B of two different models"),
        (["--model", "nothing"], "--model: no model 'nothing'"),
        (["--model", "x", "--draws", "3"], "--draws is for a synthetic merge, not for --model"),
        (["--model", "x", "--parents", "@best+@second"], "--parents is for a synthetic merge"),
        (["--price-factor", "-1"], "--price-factor needs a number >= 0, got -1"),
    ],
)
def test_what_cannot_be_merged_is_said_in_one_line(given: list[str], said: str) -> None:
    code, message = answer(["merge", "--stream", "RealWorldQA", *given])
    assert code == 2 and said in message and "\n" not in message


def test_too_few_draws_are_said_to_give_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["merge", "--stream", "RealWorldQA", "--between", "1", "--draws"]
    assert answer([*given, "2"])[0] == 0
    assert "No verdict: it needs at least 3 draws, got 2." in " ".join(capsys.readouterr().out.split())
    assert answer([*given, "3"])[0] == 0
    assert "No verdict" not in capsys.readouterr().out

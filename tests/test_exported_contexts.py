"""Whatever a context is made of, an exported policy makes the same one of a new query, and decides without JAX."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import bandits
import envs
from envs.contexts.projection import fit, project
from simulate import cli

WORDS = ("area", "circle", "of", "the", "chart", "Größe", "total", "price", "map", "x", "42", "read")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of questions without embeddings, scores from 1 to 10."""
    rng = np.random.default_rng(0)
    place = tmp_path_factory.mktemp("asked") / "asked.csv"
    lines = ["question,dataset,a_score,b_score,c_score,a_cost,b_cost,c_cost"]
    for row in range(150):
        question = " ".join(rng.choice(WORDS, rng.integers(1, 9))) if row else "?"
        scores = ",".join(f"{s}" for s in rng.integers(1, 11, 3))
        lines.append(f"{question},{'maps' if 'map' in question else 'else'},{scores},0.001,0.002,0.004")
    place.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return place


def command(*words: Any) -> None:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, done.output


def test_a_text_alone_is_enough_where_questions_stood_in_for_embeddings(asked: Path, tmp_path: Path) -> None:
    """`--scale` is kept too: without it the table would be refused when it is read again."""
    specs = ("averaged", "klucb")
    given = [word for spec in specs for word in ("--policy", spec)]
    command(*given, "--data", asked, "--scale", "1,10", "--seeds", 2, "--out", tmp_path / "run", "-q")
    for spec in specs:
        command("export", tmp_path / "run", "--policy", spec, "--out", tmp_path / f"{spec}.npz", "-q")
    stream = envs.load(data=asked, scale="1,10")
    router = bandits.load(tmp_path / "averaged.npz")
    for row in (0, 1, 77):
        choice = router.choose(str(stream.outcomes.question[row]))
        np.testing.assert_allclose(choice.context, stream.context[row], atol=1e-6)
    with pytest.raises(ValueError, match="choose needs the text of the question as a string, got ndarray"):
        router.choose(np.ones(64))
    assert router.choose("words that were in no question").model in stream.models
    router.learn(choice, utility=1.0, cost=0.002)
    router.save(tmp_path / "averaged.npz")
    again = bandits.load(tmp_path / "averaged.npz")
    assert all(np.array_equal(again.learned[name], array) for name, array in router.learned.items())
    assert bandits.load(tmp_path / "klucb.npz").choose().context.tolist() == [1.0]  # it reads no query


def test_a_service_imports_no_jax(asked: Path, tmp_path: Path) -> None:
    command(
        "--policy", "ucb1", "--data", asked, "--scale", "1,10", "--seeds", 2, "--out", tmp_path / "run", "-q"
    )
    command("export", tmp_path / "run", "--policy", "ucb1", "--out", tmp_path / "policy.npz", "-q")
    code = "import sys, bandits; bandits.load(sys.argv[1]).choose(); print('jax' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "policy.npz"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_indicators_of_data_sets_and_adaptive_fusion_are_made_again(asked: Path) -> None:
    plain = asked.with_name("plain.csv")
    plain.write_text(asked.read_text(encoding="utf-8").replace("question,", "note,"), encoding="utf-8")
    context: dict[str, Any] = {"modality": "both", "fusion": "concat", "dim": 32, "whiten": False}
    stream = envs.load(data=plain, scale="1,10", **context)
    fitted = fit(stream.outcomes, **context)
    assert fitted.datasets == ("else", "maps")
    for row in (0, 5, 60):
        found = project(fitted, {"dataset": str(stream.dataset[row])})
        np.testing.assert_array_equal(found, stream.context[row])
    with pytest.raises(ValueError, match=r"choose needs dataset=..., one of else, maps; got 'new'"):
        project(fitted, {"dataset": "new"})
    adaptive = context | {"fusion": "adaptive"}
    twin = envs.load("RealWorldQA", **adaptive)
    fitted = fit(twin.outcomes, **adaptive)
    for row in (0, 100):
        given = {"text": twin.outcomes.text[row], "image": twin.outcomes.image[row]}
        np.testing.assert_allclose(project(fitted, given), twin.context[row], atol=1e-6)


def test_data_sets_beside_the_text_are_exported(asked: Path, tmp_path: Path) -> None:
    """The base `averaged` has its fourth model, by data set, in service too."""
    spec = "balanced,of=averaged+ebucb"
    beside = ("--data", asked, "--scale", "1,10", "--context", "+dataset")
    command("--policy", spec, *beside, "--seeds", 1, "--out", tmp_path / "run", "-q")
    command("export", tmp_path / "run", "--policy", spec, "--out", tmp_path / "policy.npz", "-q")
    stream = envs.load(data=asked, scale="1,10", context="+dataset")
    router = bandits.load(tmp_path / "policy.npz")
    assert stream.indicators == 2 and router.learned["0.evidence"].shape == (4,)
    # Both bases heard every outcome, averaged too, which has probabilities but does not weigh what it hears by them.
    heard = [router.learned[name].sum() for name in ("calls", "1.calls")] + [
        router.learned["0.pulls"][0].sum()
    ]
    assert heard == [len(stream)] * 3
    for row in (0, 1, 77):
        text, name = str(stream.outcomes.question[row]), str(stream.dataset[row])
        choice = router.choose(text, dataset=name)
        np.testing.assert_allclose(choice.context, stream.context[row], atol=1e-6)
        router.learn(choice, utility=1.0, cost=0.002)
    for given in ({}, {"dataset": "new"}):
        with pytest.raises(ValueError, match=r"^choose needs dataset=\.\.\., one of else, maps; got [^\n]*$"):
            router.choose("text", **given)


def test_indicators_instead_of_the_text_are_made_again(asked: Path) -> None:
    alone = {"modality": "both", "fusion": "concat", "dim": 8, "whiten": False, "context": "dataset"}
    stream = envs.load(data=asked, scale="1,10", **alone)
    fitted = fit(stream.outcomes, **alone)
    for row in (0, 5, 60):
        found = project(fitted, {"dataset": str(stream.dataset[row])})
        np.testing.assert_array_equal(found, stream.context[row])

"""Task graphs: programs, the synthetic outcomes, one bandit a kind of step, M3's network against plain NumPy."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge

import bandits
from bandits.graphs import network, play, robust, training
from bandits.loop import slots
from bandits.policies.sequential.factored import factored
from bandits.rewards import accuracy
from envs.graphs import made, released, tasks
from envs.graphs.programs import CROP, LOC, START, VQA, graphs, of_program
from tests.test_command import run

__all__ = ["run"]  # a fixture

PROGRAM = (
    "BOX0=LOC(image=IMAGE,object='a VQA(image=BOX0) in quotes')\nIMAGE0=CROP_ABOVE(image=IMAGE, box=BOX0)\n"
    "ANSWER0=VQA(image=IMAGE0,question='Is the IMAGE clean?')\nANSWER1=COUNT(box=BOX0)\n"
    "ANSWER2=EVAL(expr=\"'yes' if {ANSWER0} == 'x' and {BOX0[0]} < {ANSWER1} else 'no'\")\n"
    "FINAL_RESULT=RESULT(var=ANSWER2)"
)
GRAPH = "LOC<0 CROP_ABOVE<0+1 VQA<2 COUNT<1 EVAL<3+1+4 RESULT<5"


@pytest.fixture(scope="module")
def small() -> tasks.Tasks:
    """A few hundred synthetic queries that something solves."""
    return tasks.solvable(made.make(400, seed=3))


def fewer(source: tasks.Tasks, vqa: int = 2, loc: int = 3) -> tasks.Tasks:
    """Return the tasks with the first models of each kind alone, so that training takes a tenth of the time."""
    step = np.concatenate([source.step[:, :vqa], source.step[:, 7 : 7 + loc]], axis=1)
    names = {"vqa": source.vqa[:vqa], "loc": source.loc[:loc]}
    return tasks.solvable(replace(source, success=source.success[:, :vqa, :loc], step=step, **names))


def test_a_program_is_its_graph() -> None:
    assert of_program(PROGRAM) == GRAPH
    found = graphs([GRAPH, "VQA< RESULT<1"])
    assert found.kind[0, :8].tolist() == [START, LOC, CROP, VQA, 5, 6, 7, 0]
    edges = {(int(a), int(b)) for b, a in np.argwhere(found.edge[0])}
    assert edges == {
        (0, 1),
        (1, 2),
        (2, 3),
        (1, 4),
        (3, 5),
        (1, 5),
        (4, 5),
        (5, 6),
    }  # the crop's image is left out
    assert found.steps(VQA).tolist() == [1, 1] and found.edge[1].sum() == 1
    for text, said in (
        ("LOC<0 VQA<2", "takes node 2"),
        ("loc<0", "OP<inputs"),
        ("", "1 to 13 steps, got 0"),
        (" ".join(["VQA<0"] * 14), "got 14"),
    ):
        with pytest.raises(ValueError, match=said):
            graphs([text])
    with pytest.raises(ValueError, match="NAME=OP"):
        of_program("print('hello')")


def test_the_mix_is_that_of_the_release(shared: Path) -> None:
    """Counts in data/ against the release's programs, row by row; figures of the facts' sheet."""
    graph, split = made.counted()
    assert Counter(split.tolist()) == {"train": 5054, "val": 1684, "test": 1686}
    with gzip.open(shared / "outcomes/ms_gqa_graphs.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["graph"]]
    assert Counter(zip(graph, split, strict=True)) == Counter((r["graph"], r["split"]) for r in rows)
    shape = graphs([row["graph"] for row in rows])
    invented = np.array([row["graph"].count("LOC_") for row in rows])  # LOC_LEFTOF: no module of the release
    assert shape.steps(LOC).tolist() == [int(r["n_loc"]) - n for r, n in zip(rows, invented, strict=True)]
    assert invented.sum() == 3
    assert shape.steps(VQA).tolist() == [int(r["n_vqa"]) for r in rows]
    assert ((shape.steps(LOC) == 0).sum(), (shape.steps(VQA) == 0).sum()) == (1361, 2061)


def test_synthetic_outcomes_are_products_of_steps_and_fail_together(small) -> None:
    step = np.nan_to_num(small.step, nan=1.0)
    np.testing.assert_array_equal(small.success, step[:, :7, None] * step[:, None, 7:])
    no_loc = small.kinds == tasks.NO_LOC
    assert no_loc.any() and (small.success[no_loc] == small.success[no_loc][:, :, :1]).all()
    assert np.isnan(small.step[no_loc][:, 7:]).all()
    # A shared difficulty: two models of a kind agree more often than by chance.
    both = small.step[:, :2][~np.isnan(small.step[:, 0])]
    assert np.corrcoef(both.T)[0, 1] > 0.2
    assert "synthetic" in small.label and len(small) < 400
    again, other = made.make(400, seed=3), made.make(400, seed=4)
    assert (again.success == made.make(400, seed=3).success).all()
    assert (again.graph != other.graph).any()


def test_slots_of_steps_deliver_the_product_and_each_hears_its_own(small) -> None:
    """The factored policy's calls against two float64 LinUCBs, each with the outcomes of its own kind."""
    stream, alpha, rounds = tasks.by_step(small), 0.5, 150
    policy = factored([bandits.linucb(n, stream.dim, alpha=alpha) for n in (7, 10)], (7, 10))
    trace = slots.replay(policy, stream, accuracy, seeds=1, rounds=rounds, preference=0.0)
    won = slots.gained(trace, stream, accuracy, 0.0).sum(axis=2)[0]
    d = stream.dim
    a = np.tile(np.eye(d), (17, 1, 1))
    b, worst = np.zeros((17, d)), 0.0
    for row, arms, got in zip(trace.order[0], trace.arms[0], won, strict=True):
        x, called = stream.context[row].astype(np.float64), arms[arms >= 0]
        due = [span for span in (range(7), range(7, 17)) if stream.available[row, span[0]]]
        assert len(called) == len(due) and all(k in span for k, span in zip(called, due, strict=True))
        for k, span in zip(called, due, strict=True):
            index = [
                x @ np.linalg.solve(a[j], b[j]) + alpha * np.sqrt(x @ np.linalg.solve(a[j], x)) for j in span
            ]
            worst = max(worst, max(index) - index[k - span[0]])
        for k in called:
            a[k] += np.outer(x, x)
            b[k] += stream.utility[row, k] * x
        assert got == stream.utility[row, called].prod()
    assert worst < 1e-3


def test_one_bandit_a_step_wins_where_the_choice_of_loc_says_nothing() -> None:
    """Programs without LOC: 10 of 70 assignments are the same; shown by the one rule, and why."""
    whole = tasks.solvable(made.make(4500, seed=5))
    both, alone = (np.flatnonzero(whole.kinds == kind) for kind in (tasks.BOTH, tasks.NO_LOC))
    mostly = whole.take(np.r_[both[:30], alone[:500]])
    found = play.rows(mostly, play.play(mostly, ["linucb"], seeds=10))
    flat, steps = (
        next(r for r in found if r["way"] == way and r["programs"] == "no LOC") for way in ("flat", "steps")
    )
    assert steps["shown"] and steps["over_flat"] > 0 and steps["lo"] > 0, steps
    assert {row["programs"] for row in found} == {
        "all",
        tasks.BOTH,
        tasks.NO_LOC,
    }  # no row of what nothing was asked
    assert steps["heard_before"] > 4 * flat["heard_before"]  # 7 estimates hear what 70 heard
    np.testing.assert_allclose(steps["over_flat"], steps["ser"] - flat["ser"], atol=1e-12)


def forward(weights, small, query: int, assignment: tuple[int, int]) -> float:
    """Return one logit in float64, written out node by node from the equations of GAT and of the release."""
    w = jax.tree.map(lambda a: np.asarray(a, np.float64), weights)

    def dense(name, x):
        return x @ w[name]["weight"] + w[name]["bias"]

    def norm(x):
        return w["norm"]["scale"] * (x - x.mean()) / np.sqrt(x.var() + 1e-6) + w["norm"]["bias"]

    def attend(layer, nodes, neighbours, heads):
        out = []
        for i in range(len(nodes)):
            parts = []
            for h in range(heads):
                wh = [node @ w[layer]["weight"].reshape(len(node), heads, -1)[:, h] for node in nodes]
                scores = {}
                for j in neighbours[i]:
                    e = w[layer]["to"][h] @ wh[i] + w[layer]["from"][h] @ wh[j]
                    scores[j] = np.exp(e if e > 0 else 0.2 * e)
                parts.append(sum(s * wh[j] for j, s in scores.items()) / sum(scores.values()))
            out.append(np.concatenate(parts) + w[layer]["bias"])
        return [np.where(o > 0, o, np.expm1(np.minimum(o, 0))) for o in out]  # ELU

    kinds = [int(k) for k in small.shape.kind[query] if k]
    nodes = []
    for kind in kinds:
        if kind == START:
            both = [dense(part, getattr(small, part)[query].astype(np.float64)) for part in ("image", "text")]
            nodes.append(norm(dense("start", np.concatenate(both))))
        else:
            row = {VQA: 8 + assignment[0], LOC: 15 + assignment[1]}.get(kind, kind)
            nodes.append(norm(dense("node", w["name"][row])))
    neighbours = [[i, *np.flatnonzero(small.shape.edge[query, i])] for i in range(len(kinds))]
    hidden = attend("second", attend("first", nodes, neighbours, 4), neighbours, 1)
    last = dense("head", np.mean(hidden, axis=0))
    return float(dense("out", np.where(last > 0, last, 0.01 * last))[0])


def test_the_network_is_a_plain_numpy_forward_pass(small) -> None:
    weights = network.first_weights(jax.random.key(4), 7, 10, 768)
    weights = jax.tree.map(lambda a: a + 0.05 * jax.random.normal(jax.random.key(a.size), a.shape), weights)
    at = np.array([[3, 17, 40, -1]])
    batch = jax.tree.map(lambda a: a[0], training.packed(small, at))
    found = network.logits(weights, jnp.asarray(network.names(7, 10)), batch)
    assert found.shape == (4, 70)
    for place, query in enumerate((3, 17, 40)):
        for v, k in ((0, 0), (2, 9), (6, 3)):
            np.testing.assert_allclose(
                found[place, v * 10 + k], forward(weights, small, query, (v, k)), atol=2e-5
            )


def test_the_loss_is_the_papers_and_a_missing_label_counts_nowhere() -> None:
    rng = np.random.default_rng(0)
    logit, label = (
        rng.normal(size=(3, 6)),
        np.array([[1, 0, 1, 0, 0, 1], [1] * 6, [np.nan, 0, 1, np.nan, 0, 0]]),
    )
    wanted = [
        np.log1p(sum(np.exp(s) for s, y in zip(row, own, strict=True) if y == 0))
        + np.log1p(sum(np.exp(-s) for s, y in zip(row, own, strict=True) if y == 1))
        for row, own in zip(logit, label, strict=True)
    ]
    np.testing.assert_allclose(network.cce(jnp.asarray(logit), jnp.asarray(label)), wanted, rtol=1e-5)
    slope = jax.grad(lambda s: network.cce(s, jnp.asarray(label)).sum())(jnp.asarray(logit))
    assert np.isfinite(slope).all() and (np.asarray(slope)[np.isnan(label)] == 0).all()
    assert (np.asarray(slope)[label == 1] < 0).all() and (np.asarray(slope)[label == 0] > 0).all()


def test_missing_choices_the_baseline_and_the_ridge(small) -> None:
    label = training.labels(small)
    hidden = training.masked(label, 0.4, 1)
    assert abs(np.isnan(hidden).mean() - 0.4) < 0.01 and (training.masked(label, 0.0, 1) == label).all()
    some = np.array([[1.0, 0.0, np.nan], [0.0, np.nan, 1.0], [1.0, 0.0, np.nan]])
    assert robust.dataset_level(some, 2).tolist() == [2, 2]  # of one label that is there, all succeed
    x = tasks.flat(small).context
    best = robust.ridge(x, hidden, x[:50])
    for k in (0, 33):
        known = ~np.isnan(hidden[:, k])
        model = Ridge(alpha=1.0, fit_intercept=False).fit(x[known], hidden[known, k])
        said = model.predict(x[:50])
        others = Ridge(alpha=1.0, fit_intercept=False)
        top = others.fit(x[~np.isnan(hidden[:, best[0]])], hidden[~np.isnan(hidden[:, best[0]]), best[0]])
        assert top.predict(x[:1])[0] >= said[0] - 1e-5


def test_training_learns_and_the_curves_are_paired(small) -> None:
    few = fewer(small)
    found = robust.curves(few, [0.0, 0.8], seeds=2, epochs=3)
    by = {(row["missing"], row["method"]): row for row in found}
    assert len(found) == 8 and np.isnan(by[0.0, robust.BASE]["over_base"])
    m3 = by[0.0, "m3"]
    assert m3["ser"] > by[0.0, "random"]["ser"]
    np.testing.assert_allclose(m3["over_base"], m3["ser"] - by[0.0, robust.BASE]["ser"], atol=1e-12)
    with pytest.raises(ValueError, match=r"--labelled needs programs of each split .*none of 328 is of val"):
        robust.curves(replace(few, split=np.full(len(few), "train", object)), [0.0])


def write_release(folder: Path, source: tasks.Tasks) -> None:
    """Write tasks as M3 lays its release out, with programs that have the graphs' first kind only."""
    program = {
        tasks.NO_LOC: "A=VQA(image=IMAGE,question='?')\nR=RESULT(var=A)",
        tasks.NO_VQA: "B=LOC(image=IMAGE)",
    }
    program |= {tasks.BOTH: "B=LOC(image=IMAGE)\nA=VQA(image=IMAGE,question='?')"}
    kinds = source.kinds.tolist()
    entries = [
        {"imageId": f"n{i // 2}", "question": f"q{i}?", "program": program[k]} for i, k in enumerate(kinds)
    ]
    outcomes = {
        str(i + 1): [
            {"vqa": v, "loc": k, "time": 1.5, "y": int(source.success[i, a, b])}
            for a, v in enumerate(source.vqa)
            for b, k in enumerate(source.loc)
        ]
        for i in range(len(source))
    }
    (folder / released.LABELS).write_text(json.dumps(outcomes))
    (folder / released.PROGRAMS).write_text(json.dumps(entries))
    for part, name in released.PARTS.items():
        (folder / name).write_text(json.dumps(np.flatnonzero(source.split == part).tolist()))


def test_a_release_is_read_as_laid_out(small, tmp_path: Path) -> None:
    source = small.take(np.arange(60))
    write_release(tmp_path, source)
    found, notes = released.read(tmp_path)
    np.testing.assert_array_equal(found.success, source.success)
    assert (found.vqa, found.loc) == (source.vqa, source.loc) and found.step is None
    assert (found.split == source.split).all() and (found.kinds == source.kinds).all()
    assert found.group[:4].tolist() == ["n0", "n0", "n1", "n1"] and "TF-IDF" in notes[0]
    assert found.label == "recorded outcomes of MS-GQA"
    (tmp_path / "embs").mkdir()
    np.save(tmp_path / "embs/blip_embs_10k.npy", np.ones((70, 1, 12), np.float32))
    again, notes = released.read(tmp_path, queries=20)
    assert again.text.shape == (20, 12) and notes == ["embeddings: blip_embs_10k.npy"]
    with pytest.raises(ValueError, match="end alone"):
        tasks.by_step(found)
    np.save(tmp_path / "embs/blip_embs_10k.npy", np.ones((9, 12), np.float32))
    with pytest.raises(ValueError, match=r"blip_embs_10k.npy: needs finite numbers for 60 queries"):
        released.read(tmp_path)
    (tmp_path / released.LABELS).write_text('{"1": [{"vqa": "a", "loc": "b", "time": 1, "y": 2}]}')
    with pytest.raises(ValueError, match=r"query 1 needs choices of VQA model"):
        released.read(tmp_path)
    (tmp_path / released.PARTS["val"]).unlink()
    with pytest.raises(ValueError, match=r"val_random_list_0\.6\.json is missing"):
        released.read(tmp_path)


def test_each_is_compared_with_its_own_flat_policy(small) -> None:
    shape, rng = (3, 40), np.random.default_rng(1)

    def one(name: str, way: str) -> play.Played:
        order = np.tile(np.arange(40, dtype=np.int32), (3, 1))
        return play.Played(name, way, order, (rng.random(shape) < 0.5).astype(float), np.zeros(shape))

    names = [("paired", play.PARTS), ("ucb1", play.FLAT), ("linucb", play.FLAT), ("ucb1", play.STEPS)]
    played = [one(*each) for each in names]
    found = [row for row in play.rows(small.take(np.arange(40)), played) if row["programs"] == "all"]
    assert [row["base"] for row in found] == ["linucb", "", "", "ucb1"]
    gap = played[3].success.mean() - played[1].success.mean()
    assert found[3]["over_flat"] == pytest.approx(gap)
    with pytest.raises(ValueError, match="none was played"):
        play.rows(small, played[:1])


def test_the_command_prints_and_writes(run, small, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    write_release(folder, fewer(small.take(np.arange(120))))
    few = ("--missing", ".5", "--epochs", 1, "--trainings", 1, "--policy", "linucb", "--seeds", 2)
    code, out, err = run("graphs", folder, *few, "--out", "made")
    assert code == 0 and "recorded outcomes of MS-GQA" in err and "m3 leads" in out
    assert {p.name for p in Path("made").iterdir()} == {"online.csv", "missing.csv", "graphs.svg"}
    assert Path("made/graphs.svg").read_text().startswith("<svg")
    few = ("--missing", "none", "--programs", 60, "--seeds", 3, "--policy", "uniform", "--out", "made")
    code, out, err = run("graphs", *few)
    assert {p.name for p in Path("made").iterdir()} == {"online.csv", "graphs.svg"}
    Path("made/missing.csv").write_text("a user's own\n")
    assert run("graphs", *few)[0] == 0 and Path("made/missing.csv").read_text() == "a user's own\n"
    assert code == 0 and "each step" in out and "synthetic" in err
    for arguments, said in (
        (("--missing", "2"), "shares from 0"),
        (("--missing", "a"), "shares such as"),
        (("--programs", 9000), "1 to 8,424"),
        (("--seeds", 0), "--seeds needs at least 1"),
        (("nowhere",), "no release of MS-GQA"),
        (("--labelled", 1), "--labelled needs programs of each split"),
        (("--missing", "none", "--programs", 60, "--policy", "llmbandit"), "graphs has none"),
        (("--missing", "none", "--programs", 60, "--policy", "linucb", "--policy", "nosuch"), "'nosuch'"),
        (("--missing", "none", "--programs", 60, "--policy", "paired,own=0"), "give --policy linucb beside"),
    ):
        code, _, err = run("graphs", *arguments)
        assert code == 2 and said in err and err.count("\n") == 1, err

"""An exported policy chooses as the one that was replayed, learns as it does, and is fast enough to serve."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner

import bandits
from bandits.base import Feedback, example
from bandits.experiment import ask as runs
from bandits.experiment.play import finish
from bandits.folders import read as compare
from bandits.folders import write as artefacts
from bandits.folders.export import export
from bandits.forms.form import leaves
from envs import load
from envs.contexts.projection import fit, project
from envs.stream import Stream
from simulate import cli

CONTEXT = {"modality": "both", "fusion": "concat", "dim": 32, "whiten": False}
POLICIES = (
    "linucb,alpha=0.3",
    "greedy,prior=1",
    "preference",
    "thompson,v=0",
    "epsilon,epsilon=0",
    "regcb,c=0.2",
    "averaged",
    "ucb1",
    "regcb,mode=elimination",
    "best_fixed",
)


@pytest.fixture(scope="module")
def stream() -> Stream:
    return load("ocr", **CONTEXT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, stream: Stream) -> Path:
    """A finished run: 500 rounds, two seeds."""
    place = tmp_path_factory.mktemp("serving") / "run"
    ask = runs.Ask(policies=POLICIES, seeds=2, rounds=500)
    where = {"name": "ocr", "data": None, "prices": None, "models": None}
    known = {"command": "", "context": CONTEXT, "data": "ocr", "load": where, "seconds": 1.0}
    for run in finish(stream, ask):
        artefacts.publish(place, run, ask, known)
    return place


def replayed(folder: Path, stream: Stream, spec: str) -> tuple[bandits.Policy, Any]:
    """Return the JAX policy of a spec and the state in which it ends the second seed of the run."""
    import pyarrow.parquet as pq

    from bandits.experiment.lineup import build

    calls = pq.read_table(folder / "trace.parquet").to_pandas().query("policy == @spec and seed == 1")
    rows, arms = calls["row"].to_numpy(), calls["arm"].to_numpy()
    policy = build(spec, stream, bandits.rewards.linear)
    seen = example(stream.n_arms, stream.dim)[0]._replace(cost_scale=jnp.float32(stream.cost_scale))
    reward = bandits.reward_table(bandits.rewards.linear, stream)[rows, arms]
    utility, cost = (sheet[rows, arms] for sheet in (stream.utility, stream.cost))

    def step(state: Any, now: Any) -> tuple[Any, None]:
        context, arm, *outcome = now
        heard = Feedback(outcome[0], outcome[1], outcome[2], jnp.float32(0), jnp.float32(0))
        return policy.update(jax.random.key(0), state, seen._replace(context=context), arm, heard), None

    given = [np.asarray(x, np.float32) for x in (utility, cost, reward)]
    xs = (stream.context[rows].astype(np.float32), arms.astype(np.int32), *given)
    return policy, jax.lax.scan(step, policy.init(jax.random.key(0)), xs)[0]


@pytest.mark.parametrize("spec", POLICIES[:-4])
def test_it_chooses_as_the_replayed_policy(folder: Path, stream: Stream, spec: str, tmp_path: Path) -> None:
    export(folder, spec, seed=1).save(tmp_path / "policy.npz")
    router = bandits.load(tmp_path / "policy.npz")
    policy, state = replayed(folder, stream, spec)
    np.testing.assert_allclose(router.learned["inverse"], state.inverse, atol=2e-5)
    np.testing.assert_allclose(
        router.learned["weight"].squeeze(), np.asarray(state.weight).squeeze(), atol=2e-4
    )
    assert router.learned["pulls"].tolist() == state.pulls.tolist()
    scale, unpriced = jnp.float32(stream.cost_scale), jnp.zeros(stream.n_arms)
    seen = example(stream.n_arms, stream.dim)[0]._replace(cost_scale=scale, price=unpriced)
    for wanted in (0.2, 1.0):
        seen = seen._replace(preference=jnp.float32(wanted))
        act = partial(_chosen, policy, state, seen)
        expected = np.asarray(jax.jit(jax.vmap(act))(jnp.asarray(stream.context)))
        text, image = stream.outcomes.text, stream.outcomes.image
        found = [router.choose(t, i, preference=wanted).arm for t, i in zip(text, image, strict=True)]
        # float32 against float64: a query in a thousand may stand on the edge between two models.
        assert (expected == found).mean() >= 0.998
        if spec != "preference":
            break


def test_a_policy_without_a_closed_form_hears_its_calls_again(folder: Path, stream: Stream) -> None:
    """Against the plain scan of the policy's own update, and sums in NumPy."""
    import pyarrow.parquet as pq

    router = export(folder, "averaged", seed=1)
    _, state = replayed(folder, stream, "averaged")
    kept = leaves(state)
    for name, array in router.learned.items():
        np.testing.assert_allclose(array, kept[name], atol=1e-4, err_msg=name)
    calls = pq.read_table(folder / "trace.parquet").to_pandas().query("policy == 'ucb1' and seed == 1")
    table = bandits.reward_table(bandits.rewards.linear, stream)
    low, high = np.nanmin(table), np.nanmax(table)
    got = (table[calls["row"], calls["arm"]] - low) / (high - low)
    learned = export(folder, "ucb1", seed=1).learned
    for arm in range(stream.n_arms):
        mine = got[calls["arm"].to_numpy() == arm]
        assert learned["pulls"][arm] == len(mine)
        assert learned["mean"][arm] == pytest.approx(mine.mean(), abs=1e-5)


def _chosen(policy: bandits.Policy, state: Any, seen: bandits.Observation, context: jax.Array) -> jax.Array:
    return policy.act(jax.random.key(0), state, seen._replace(context=context))


def test_the_context_is_the_streams(stream: Stream) -> None:
    for settings in (
        CONTEXT,
        CONTEXT | {"fusion": "mean", "dim": 5},
        CONTEXT | {"modality": "image", "whiten": True},
    ):
        other = load("ocr", **settings)
        fitted = fit(other.outcomes, **settings)
        for row in (0, 7, 799):
            given = {"text": other.outcomes.text[row] * 3.0, "image": other.outcomes.image[row]}  # any length
            np.testing.assert_allclose(project(fitted, given), other.context[row], atol=1e-6)


def test_it_goes_on_learning_as_before(folder: Path, stream: Stream) -> None:
    """What the first 500 rounds left and 40 more give is the ridge posterior of all of them, solved at once."""
    router = export(folder, "linucb,alpha=0.3", seed=1)
    precision = np.linalg.inv(router.learned["inverse"])
    moment = np.einsum("kij,kj->ki", precision, router.learned["weight"][:, 0])
    for row in range(40):
        choice = router.choose(stream.outcomes.text[row], stream.outcomes.image[row])
        utility, cost = stream.utility[row, choice.arm], stream.cost[row, choice.arm]
        router.learn(choice, utility=utility, cost=cost)
        reward = utility - 0.2 * cost / stream.cost_scale
        precision[choice.arm] += np.outer(choice.context, choice.context)
        moment[choice.arm] += reward * choice.context
    expected = np.linalg.solve(precision, moment[:, :, None])[:, :, 0]
    np.testing.assert_allclose(router.learned["weight"][:, 0], expected, atol=1e-8)
    assert router.learned["pulls"].sum() == 540


def test_a_dearer_preference_never_costs_more(folder: Path, stream: Stream) -> None:
    router = export(folder, "preference", seed=0)
    mean_cost = []
    for wanted in (0.0, 0.5, 5.0):
        pairs = zip(stream.outcomes.text, stream.outcomes.image, strict=True)
        arms = [router.choose(t, i, preference=wanted).arm for t, i in pairs]
        mean_cost.append(stream.cost[np.arange(len(arms)), arms].mean())
    assert mean_cost == sorted(mean_cost, reverse=True) and mean_cost[0] > mean_cost[-1]


def test_the_command_exports(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "policy.npz"
    done = CliRunner().invoke(cli, ["export", str(folder), "--policy", "preference", "--out", str(target)])
    assert done.exit_code == 0 and done.output == f"policy: {target}\n"
    settings = bandits.load(target).settings
    assert (settings.policy, settings.preference, settings.reward) == ("preference", 0.2, "linear")
    assert settings.label == "calibrated twin, not recorded answers"
    assert [p.name for p in tmp_path.iterdir()] == ["policy.npz"]


def test_what_cannot_be_exported_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a policy that learned; 'best_fixed' knows the outcomes"):
        export(folder, "best_fixed")
    with pytest.raises(
        ValueError, match=r"a policy that has a form of its own .*; 'regcb,mode=elimination' has none"
    ):
        export(folder, "regcb,mode=elimination")
    with pytest.raises(ValueError, match=r"no policy 'linucb' in .*; did you mean"):
        export(folder, "linucb")
    with pytest.raises(ValueError, match="a seed from 0 to 1, got 2"):
        export(folder, "preference", seed=2)
    with pytest.raises(ValueError, match=r"has no manifest\.json"):
        export(tmp_path, "preference")
    manifest = dict(compare.read(folder).manifest)
    changes = {
        "run without --warm-start": {"warm_start": "10%"},
        "run without --pacing": {"pacing": "lp"},
        "it has changed since": {"data": manifest["data"] | {"sha256": "0" * 64}},
    }
    (tmp_path / "trace.parquet").write_bytes((folder / "trace.parquet").read_bytes())
    for message, change in changes.items():
        (tmp_path / "manifest.json").write_text(json.dumps(manifest | change))
        with pytest.raises(ValueError, match=message):
            export(tmp_path, "preference")

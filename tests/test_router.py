"""Does a router in service decide as the policy it came from, whatever its form, and refuse what is no answer?"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

import bandits
from bandits.base import Feedback, Policy, example, form_of
from bandits.experiment.lineup import build
from bandits.forms.exploring import Bonus
from bandits.forms.form import taken
from bandits.forms.linear import Ridges, log_gap_weights
from bandits.policies.linear.affine import gap_weights
from bandits.rewards import REWARDS, linear, reward_table
from bandits.serving.router import Choice, Router
from bandits.serving.settings import Settings, check_values
from envs.contexts.projection import Projection
from tests.conftest import make_stream

INDEXED = (
    "linucb,alpha=0.5",
    "linucb,alpha=0.5,prior=1,ridge=2",
    "greedy,prior=1",
    "thompson,v=0",
    "regcb,c=0.3",
    "averaged",
    "averaged,alpha=0,noise=0.2",
    "ebucb",
    "ebucb,alpha=2,prior=0.4",
    "hierarchical,difficulty=0",
    "balanced,of=averaged+ebucb",
    "balanced,of=linucb:prior=1+klucb,shared=false,bound=0.01,width=0.02",
    "conservative(averaged),model=model-1,radius=0.5,low=-0.2",
    "conservative(linucb,prior=1),model=model-0,low=-0.2",
    "dlinucb,gamma=0.95,alpha=0.3",
    "swlinucb,window=50,alpha=0.3",
    "hybrid,alpha=0.3",
    "paired,alpha=0.3",
    "ucb1,alpha=0.5",
    "klucb",
    "successive_elimination,delta=1,alpha=0.1",
    "always,model=model-2",
)
JOINED = ("preference,alpha=0.3,prior=1", "glm")
DRAWN = ("thompson,v=0.5", "epsilon,epsilon=0.9,decay=0.001", "softmax,temperature=2", "squarecb,gamma=3")
FEATURES = 5
DRAWS = 4000


def served(spec: str, *, reward: str = "linear", stream: Any = None, draws: int = 0) -> tuple[Router, Policy]:
    """Return a router before its first call and the policy that it came from; its embeddings are its features."""
    stream = make_stream() if stream is None else stream
    policy = build(spec, stream, REWARDS[reward], checked=False)
    form = form_of(policy)
    settings = Settings(
        policy=spec,
        form=form.served,
        reward=reward,
        preference=0.2,
        cost_scale=stream.cost_scale,
        models=stream.models,
        price=(1.0,) * stream.n_arms,
        label="known",
        sha256="0" * 64,
    )
    plain = Projection(("text",), (FEATURES,), "concat", np.zeros(FEATURES), np.eye(FEATURES))
    arrays = taken(form.served, policy.init(jax.random.key(0)), stream.n_arms, FEATURES + 1)
    router = Router(settings, plain, arrays, REWARDS[reward], np.random.default_rng())
    router.draw.bit_generator.state = np.random.default_rng(draws).bit_generator.state
    return router, policy


def rounds(spec: str, number: int, reward: str = "linear") -> tuple[float, Router, Any, Policy]:
    """Play both side by side on what the policy calls; return the share of equal choices, and where both end."""
    stream = make_stream()
    router, policy = served(spec, reward=reward, stream=stream)
    begin = example(stream.n_arms, stream.dim)[0]
    wanted = (
        np.random.default_rng(1).choice([0.0, 0.2, 1.0], number)
        if "preference" in spec
        else np.full(number, 0.2)
    )
    table = reward_table(REWARDS[reward], stream, np.resize(wanted, len(stream)))
    act, update = jax.jit(policy.act), jax.jit(policy.update)
    state, same, key = policy.init(jax.random.key(0)), 0, jax.random.key(3)
    for row in range(number):
        weight = float(wanted[row])
        seen = begin._replace(
            context=jnp.asarray(stream.context[row]),
            preference=jnp.float32(weight),
            cost_scale=jnp.float32(stream.cost_scale),
        )
        arm = int(act(key, state, seen))
        choice = router.choose(stream.context[row, :-1], preference=weight)
        same += choice.arm == arm
        utility, cost = stream.utility[row, arm], stream.cost[row, arm]
        given = (jnp.float32(x) for x in (utility, cost, table[row, arm], 0.0, 0.0))
        state = update(key, state, seen, jnp.int32(arm), Feedback(*given))
        router.learn(choice._replace(arm=arm, model=stream.models[arm]), utility=utility, cost=cost)
    return same / number, router, state, policy


@pytest.mark.parametrize(
    ("spec", "reward"),
    [*((spec, "linear") for spec in INDEXED + JOINED), (JOINED[0], "log_cost"), ("linucb", "accuracy")],
)
def test_index_policies_call_the_same_models_round_by_round(spec: str, reward: str) -> None:
    same, router, state, _ = rounds(spec, 300, reward)
    assert same == 1.0  # float32 against float64: no round of this seed stands on an edge
    kept = router.settings.form.arrays(state)
    for name, array in router.learned.items():
        np.testing.assert_allclose(array.squeeze(), kept[name].squeeze(), atol=2e-4, err_msg=name)
    if "inverse" in router.learned:
        inverse = router.learned["inverse"]
        assert np.array_equal(inverse, np.swapaxes(inverse, -1, -2))
    router.settings.form.check(router.learned)


def chances(spec: str, router: Router, x: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return the probabilities by the definition of each policy, of its hyperparameters in `DRAWN`."""
    mean, turn = router.learned["weight"][:, 0] @ x, router.learned["pulls"].sum() + 1
    if spec.startswith("softmax"):
        weights = np.exp(mean / (2 / np.sqrt(turn)))
        return weights / weights.sum()
    if spec.startswith("epsilon"):
        explore = 0.9 / (1 + 0.001 * turn)
        return np.where(np.arange(len(mean)) == mean.argmax(), 1 - explore, 0.0) + explore / len(mean)
    if spec.startswith("squarecb"):
        alike = jnp.ones(len(mean), bool)
        return np.asarray(gap_weights(jnp.asarray(mean), alike, jnp.float32(3 * np.sqrt(turn))))
    grid = np.linspace(-8, 8, 4001)  # Thompson: the chance that each arm's normal is the highest
    from scipy.stats import norm

    values = mean[:, None] + 0.5 * width[:, None] * grid
    below = norm.cdf((values[:, None, :] - mean[None, :, None]) / (0.5 * width)[None, :, None])
    others = np.array([np.prod(np.delete(below[k], k, axis=0), axis=0) for k in range(len(mean))])
    return (others * norm.pdf(grid)).sum(axis=1) * (grid[1] - grid[0])


@pytest.mark.parametrize("spec", DRAWN)
def test_drawn_policies_call_with_their_probabilities(spec: str) -> None:
    _, router, _, _ = rounds(spec, 25)
    features = np.eye(FEATURES)[1]
    x = np.append(features, 1.0)
    width = np.sqrt(np.einsum("i,kij,j->k", x, router.learned["inverse"], x))
    expected = chances(spec, router, x, width) * DRAWS
    assert expected.sum() == pytest.approx(DRAWS, rel=1e-3) and (expected > 5).all()
    counts = np.bincount([router.choose(features).arm for _ in range(DRAWS)], minlength=4)
    # Beyond the 1 - 1e-4 quantile once in 10,000 seeds; this one is fixed.
    assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(1 - 1e-4, len(expected) - 1)
    mask = np.arange(4) != counts.argmax()
    assert router.settings.models[counts.argmax()] not in {
        router.choose(features, available=mask).model for _ in range(200)
    }


@pytest.mark.parametrize(
    "spec", ["neuralucb", "exp4", "restart(linucb)", "regcb,mode='elimination'", "explore_new(ucb1)"]
)
def test_what_acts_in_another_way_has_no_form(spec: str) -> None:
    assert form_of(build(spec, make_stream(), linear, checked=False)) is None


def bits(router: Router) -> tuple[bytes, ...]:
    return tuple(a.tobytes() for a in router.learned.values())


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "gave",
    [
        {"utility": NAN},
        {"utility": 2},
        {"utility": -0.1},
        {"utility": INF},
        {"utility": "1"},
        {"utility": None},
        {"utility": 0.5, "cost": -1},
        {"utility": 0.5, "cost": NAN},
        {"utility": 0.5, "cost": INF},
        {"utility": [1.0, 0.0]},
        {"utility": 1j},
    ],
)
@pytest.mark.parametrize("spec", ["linucb", "preference"])
def test_learn_refuses_what_is_no_outcome_and_stays_as_it_was(spec: str, gave: dict[str, Any]) -> None:
    router, _ = served(spec)
    before, choice = bits(router), router.choose(np.ones(FEATURES))
    with pytest.raises(ValueError, match=r"^learn needs [^\n]*$"):
        router.learn(choice, **gave)
    assert bits(router) == before


@pytest.mark.parametrize(
    "change",
    [
        {"model": "gone"},
        {"arm": 3},
        {"arm": -1},
        {"arm": 0.0},
        {"context": np.full(FEATURES + 1, NAN)},
        {"context": np.ones(FEATURES)},
        {"context": np.ones((2, FEATURES + 1))},
        {"context": np.array(["1"] * (FEATURES + 1))},
        {"context": np.zeros(FEATURES + 1)},
        {"context": np.full(FEATURES + 1, 1e200)},
        {"preference": NAN},
        {"preference": -1.0},
    ],
)
def test_learn_refuses_a_choice_that_it_cannot_have_made(change: dict[str, Any]) -> None:
    router, _ = served("linucb")
    before, choice = bits(router), router.choose(np.ones(FEATURES))
    with pytest.raises(ValueError, match=r"^learn (needs|knows) [^\n]*$"):
        router.learn(choice._replace(**change), utility=1.0)
    with pytest.raises(ValueError, match="learn needs a Choice"):
        router.learn(tuple(choice), utility=1.0)  # type: ignore[arg-type]
    assert bits(router) == before


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ([NAN] * FEATURES, {}),
        ([INF] * FEATURES, {}),
        ([1e308] * FEATURES, {}),
        ([1.0] * (FEATURES + 1), {}),
        ([[1.0] * FEATURES], {}),
        (["1"] * FEATURES, {}),
        ([1j] * FEATURES, {}),
        ([[1.0], [1.0, 2.0]], {}),
        (np.array([1.0] * FEATURES, object), {}),
        ([True] * FEATURES, {}),
        ((), {}),
        (None, {}),
        ([1.0] * FEATURES, {"preference": NAN}),
        ([1.0] * FEATURES, {"preference": -1}),
        ([1.0] * FEATURES, {"preference": "much"}),
        ([1.0] * FEATURES, {"preference": 10**400}),
        ([1.0] * FEATURES, {"available": [False] * 4}),
        ([1.0] * FEATURES, {"available": []}),
        ([1.0] * FEATURES, {"available": [True] * 5}),
        ([1.0] * FEATURES, {"available": [0, 1, 2, 3]}),
        ([1.0] * FEATURES, {"available": ["model-1", "model-1"]}),
        ([1.0] * FEATURES, {"available": ["model-1", "modle-2"]}),
        ([1.0] * FEATURES, {"available": "model-1"}),
    ],
)
def test_choose_refuses_what_is_no_query(given: Any, options: dict[str, Any]) -> None:
    router, _ = served("linucb")
    before = bits(router)
    with pytest.raises(ValueError, match=r"^choose (needs|knows) [^\n]*$"):
        router.choose(given, **options)
    assert bits(router) == before


def test_available_models_are_named_or_masked() -> None:
    router, _ = served("linucb")
    names = ["model-3", "model-2"]
    mask = np.isin(router.settings.models, names)
    chosen = router.choose(np.ones(FEATURES), available=names)
    assert chosen.model == router.choose(np.ones(FEATURES), available=mask).model == "model-2"
    assert isinstance(chosen, Choice)


def test_ties_go_to_the_lowest_model() -> None:
    router, _ = served("greedy")
    assert router.choose(np.ones(FEATURES)).arm == 0
    assert bandits.choose(jnp.zeros(4), jnp.ones(4, bool)) == 0


def test_gaps_are_weighed_among_the_models_that_can_be_called() -> None:
    """The service's logarithm against the policy's own probabilities, models away or near ties included."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        mean, mask = rng.random(5), rng.random(5) < 0.7
        mask[rng.integers(5)] = True
        rate = float(rng.choice([0.5, 20.0]))
        want = gap_weights(jnp.asarray(mean), jnp.asarray(mask), jnp.float32(rate))
        np.testing.assert_allclose(
            np.exp(log_gap_weights(mean, mask, rate))[mask], want[mask], rtol=1e-5, atol=1e-7
        )


@pytest.mark.parametrize(("share", "fine"), [(1.0, True), (1 + 9e-7, True), (1 + 2e-6, False)])
def test_no_inverse_is_wider_than_before_the_first_call_but_for_rounding(share: float, fine: bool) -> None:
    about: Any = SimpleNamespace(settings=SimpleNamespace(form=Ridges(Bonus(), 2.0)))
    arrays: Any = {"inverse": np.eye(3)[None] * share / 2.0, "pulls": np.zeros(1, np.int64)}
    if fine:
        check_values(about, arrays)
    else:
        with pytest.raises(ValueError, match="diagonals up to 1/ridge"):
            check_values(about, arrays)

"""LLM Bandit: set encoder, tasks, training and taking in new models, against NumPy and planted answers."""

from __future__ import annotations

import importlib
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bandits.base import check, example
from bandits.experiment.lineup import build
from bandits.loop.keys import seed_keys
from bandits.loop.replay import replay
from bandits.policies.llmbandit import identity, networks
from bandits.policies.llmbandit import tasks as llmbandit_tasks
from bandits.policies.llmbandit import training as llmbandit_training
from bandits.policies.llmbandit.identity import Settings
from bandits.policies.llmbandit.networks import Models
from bandits.policies.llmbandit.tasks import Known, Log, Schedule, Task, draw, targets
from bandits.policies.llmbandit.training import part, train
from bandits.rewards import linear, reward_table
from tests.conftest import make_stream

# The package offers the factory under the module's name, so the module itself is asked for by its path.
llmbandit = importlib.import_module("bandits.policies.llmbandit.policy")
QUICK = Schedule(
    irt=Settings(size=4, width=8, steps=150, batch=64),
    width=8,
    pretrain_steps=150,
    pretrain_batch=64,
    rollouts=20,
    rollout_batch=64,
    passes=2,
)


def planted(rows: int = 300, models: int = 6, seed: int = 0) -> Log:
    """Return a log of two topics: even models know the first (0.9 against 0.2), odd ones the second; costs double."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, 2, rows)
    context = np.stack([topic == 0, topic == 1, rng.normal(size=rows) * 0.1, np.ones(rows)], axis=1)
    chance = np.where((np.arange(models) % 2) == topic[:, None], 0.9, 0.2)
    cost = rng.uniform(0.8, 1.2, (rows, models)) * 2.0 ** np.arange(models)
    return Log(context.astype(np.float32), (rng.random((rows, models)) < chance).astype(float), cost)


@pytest.fixture(scope="module")
def trained() -> networks.Trained:
    return train(planted(), seed=0, schedule=QUICK)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def _networks(models: int = 5):
    rng = np.random.default_rng(4)
    actor, critic = networks.first_actor(rng, 3, 4, 8), networks.first_critic(rng, 3, 4, 8)
    told = [rng.normal(size=(models, 4)), rng.random(models), rng.random(models), np.arange(models) != 2]
    return actor, critic, Models(*(jnp.asarray(a) for a in told)), jnp.asarray(rng.normal(size=3))


def test_scores_move_with_the_models_and_values_do_not() -> None:
    actor, critic, models, context = _networks()
    order = np.array([3, 0, 4, 2, 1])
    moved = Models(*(a[order] for a in models))
    ask, value = jax.jit(networks.scores), jax.jit(networks.values)
    score = np.asarray(ask(actor, models, context, jnp.float32(0.4)))
    assert np.ptp(score) > 0.1
    assert np.allclose(ask(actor, moved, context, jnp.float32(0.4)), score[order], atol=1e-5)
    assert np.allclose(value(critic, moved, context), value(critic, models, context), atol=1e-5)
    # Models outside the set change nothing for those in it.
    inside = np.asarray(models.available)
    alone = Models(*(a[inside] for a in models))
    assert np.allclose(ask(actor, alone, context, jnp.float32(0.4)), score[inside], atol=1e-5)


def test_identity_match_is_equation_5() -> None:
    """With the head made for identities alone, equal identities have equal logits whatever they cost."""
    _, _, models, context = _networks()
    actor = networks.first_actor(np.random.default_rng(0), 3, 4, 8, "identity")
    twins = models._replace(vector=models.vector.at[1].set(models.vector[0]))
    score = jax.jit(networks.scores)(actor, twins, context, jnp.float32(0.4))
    assert float(score[0]) == pytest.approx(float(score[1]), abs=1e-6)
    assert not np.allclose(score[0], score[3], atol=1e-3)


def test_attention_against_numpy() -> None:
    rng = np.random.default_rng(5)
    block = networks.first_attention(rng, 8)
    asking, tokens, available = (
        rng.normal(size=(2, 8)),
        rng.normal(size=(4, 8)),
        np.array([True, False, True, True]),
    )

    def dense(layer, x):
        return x @ np.asarray(layer["weight"], np.float64) + np.asarray(layer["bias"], np.float64)

    query, key, value = dense(block.query, asking), dense(block.key, tokens), dense(block.value, tokens)
    heard = np.zeros((2, 8))
    for q, head in itertools.product(range(2), range(networks.HEADS)):
        part = slice(2 * head, 2 * head + 2)
        weight = np.where(available, np.exp(key[:, part] @ query[q, part] / np.sqrt(2)), 0)
        heard[q, part] = weight / weight.sum() @ value[:, part]
    hidden = asking + dense(block.out, heard)
    expected = hidden + dense(block.feed[1], np.maximum(dense(block.feed[0], hidden), 0))
    found = networks.attend(block, *(jnp.asarray(a) for a in (asking, tokens, available)))
    assert np.allclose(found, expected, atol=1e-5)


def test_unseen_sets_run_without_retrace(trained) -> None:
    rng = np.random.default_rng(6)
    observation, _ = example(6, 4)
    networks.decide(trained, trained.pool, observation)
    before = networks.decide._cache_size()
    for _ in range(3):
        unseen = networks.Pool(
            jnp.asarray(rng.normal(size=(6, 4)), jnp.float32), jnp.asarray(rng.random(6), jnp.float32)
        )
        available = jnp.asarray(rng.random(6) < 0.5).at[3].set(True)
        arm = networks.decide(trained, unseen, observation._replace(available=available))
        assert bool(available[arm])
    assert networks.decide._cache_size() == before


def test_keeps_the_contract_and_learns_nothing_online(trained) -> None:
    check(llmbandit.policy(trained), 6, 4, "llmbandit")
    smaller = networks.Pool(trained.pool.vector[:3], trained.pool.cost[:3])
    built = check(llmbandit.policy(trained, smaller), 3, 4, "llmbandit")
    observation, feedback = example(3, 4)
    state = built.init(jax.random.key(0))
    assert built.update(jax.random.key(0), state, observation, jnp.int32(1), feedback) is state


def test_each_seed_of_a_run_is_trained_for_itself_whatever_their_number() -> None:
    """Parameters differ between run seeds, and a run seed's are those of a training by its own draw alone."""
    known, log = make_stream(rows=40, arms=4, features=3), planted(rows=60, models=4)
    spec = "llmbandit,rollouts=1,width=4"
    two, one = (build(spec, known, linear, log, checked=False, runs=(3, s)) for s in (2, 1))
    keys = seed_keys(3, 2)
    first, second, alone = two.init(keys[0]), two.init(keys[1]), one.init(keys[0])
    pairs = [jax.tree.leaves(state) for state in (first, second, alone)]
    assert all(np.array_equal(a, c) for a, c in zip(pairs[0], pairs[2], strict=True))
    assert not np.allclose(first[0].actor.omega["weight"], second[0].actor.omega["weight"])
    drawn = int(np.random.SeedSequence([0, 3, 1]).generate_state(1)[0] >> 1)
    by_hand = llmbandit.llmbandit(4, 4, log=log, rollouts=1, width=4, seed=drawn).init(keys[1])
    assert all(np.array_equal(a, c) for a, c in zip(pairs[1], jax.tree.leaves(by_hand), strict=True))
    table = reward_table(linear, known)
    arms = [replay(policy, known, table, seeds=s, seed=3).arms for policy, s in ((two, 2), (one, 1))]
    assert np.array_equal(arms[0][0], arms[1][0])


def _calls(trained, pool, topic: int, preference: float) -> int:
    observation, _ = example(len(pool.cost), 4)
    context = jnp.array([topic == 0, topic == 1, 0.0, 1.0], jnp.float32)
    return int(
        networks.decide(
            trained,
            pool,
            observation._replace(
                context=context,
                preference=jnp.float32(preference),
                price=jnp.full(len(pool.cost), jnp.nan),
                cost_scale=pool.cost.max(),
            ),
        )
    )


def test_routes_new_models_by_their_quiz(trained) -> None:
    """Two new models, each of one topic, at equal cost: the quiz says which is which."""
    log = planted(seed=9)
    telling = np.asarray(identity.quiz(trained.response, jnp.asarray(log.context), trained.pool.vector, 32))
    quiz = Log(log.context[telling], log.utility[telling][:, [1, 0]], np.ones((32, 2)))
    pool = llmbandit_training.take_in(trained, quiz)
    assert [_calls(trained, pool, topic, 0.1) for topic in (0, 1)] == [1, 0]


def test_calls_the_right_topic_and_cheaper_as_the_preference_rises(trained) -> None:
    free = [_calls(trained, trained.pool, topic, 0.05) for topic in (0, 1)]
    assert [arm % 2 for arm in free] == [0, 1]
    dear = [_calls(trained, trained.pool, topic, 2.0) for topic in (0, 1)]
    assert max(dear) < 5 and np.mean(dear) <= np.mean(free)


def test_tasks_and_their_targets() -> None:
    rng = np.random.default_rng(7)
    seen = rng.random((40, 5)) < 0.8
    seen[:, 0] = True
    log = Log(*(jnp.asarray(a, jnp.float32) for a in (rng.normal(size=(40, 3)), seen, rng.random((40, 5)))))
    response = [{"weight": jnp.asarray(rng.normal(size=(3, 3)), jnp.float32), "bias": jnp.zeros(3)}]
    pool = networks.Pool(jnp.asarray(rng.normal(size=(5, 2)), jnp.float32), jnp.arange(1.0, 6.0))
    known = Known(log, jnp.asarray(seen), response, jnp.array([0.5, 0.2]), pool)
    task, rows = draw(jax.random.key(0), known, Schedule(), 32)
    available, cost, unit, rows = (np.asarray(a) for a in (task.available, task.cost, task.unit, rows))
    assert len(set(rows.tolist())) == 32
    assert not (available & ~seen[rows]).any() and available.any(axis=1).all()
    assert np.allclose(np.where(available, cost, 0).max(axis=1), 1)
    assert np.allclose(cost, np.asarray(pool.cost) / unit, rtol=1e-5)
    found = np.asarray(targets(known, task))
    # The logits, the calibration and the argmax once more, in float64 and one task at a time.
    for i, row in enumerate(rows):
        told = np.asarray(log.context[row], np.float64) @ np.asarray(response[0]["weight"], np.float64)
        chance = sigmoid(0.5 * (np.asarray(pool.vector) @ told[:2] - told[2]) + 0.2)
        worth = chance / chance[available[i]].max() - float(task.preference[i]) * cost[i]
        assert found[i] == np.where(available[i], worth, -np.inf).argmax()


def test_trains_on_the_log_alone_and_repeats() -> None:
    """Queries that are not in the log cannot matter: training hears of nothing else."""
    whole = planted(rows=400)
    changed = Log(whole.context.copy(), whole.utility.copy(), whole.cost.copy())
    logged, evaluated = np.arange(300), np.arange(300, 400)
    changed.utility[evaluated] = 1 - changed.utility[evaluated]
    changed.cost[evaluated] *= 7
    first, second = (train(part(log, logged), schedule=QUICK) for log in (whole, changed))
    assert all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    )


@pytest.mark.parametrize("pick", llmbandit.PICKS)
def test_enrols_half_of_the_models_by_a_quiz(pick: str, trained) -> None:
    log, known = planted(models=12, seed=3), np.array([0, 1, 4, 6, 9, 11])
    rows = llmbandit_training.quiz_rows(trained, log, known, size=24, pick=pick, seed=1)
    assert len(set(rows.tolist())) == 24
    pool = llmbandit_training.enrol(trained, log, known, rows)
    assert np.array_equal(pool.vector[known], trained.pool.vector)
    new = np.delete(np.arange(12), known)
    # Costs differ by model alone here, give or take 20 %: the mean of 24 of them is within 4 * .2 / sqrt(3 * 24).
    assert np.allclose(pool.cost[new], log.cost[:, new].mean(axis=0), rtol=0.1)
    # Only the quiz is read of the new models.
    hidden = Log(log.context, log.utility.copy(), log.cost)
    hidden.utility[np.ix_(np.setdiff1d(np.arange(300), rows), new)] = np.nan
    assert np.array_equal(llmbandit_training.enrol(trained, hidden, known, rows).vector, pool.vector)
    with pytest.raises(ValueError, match=r"needs quiz in \[1, 24\].*got quiz=32"):
        llmbandit_training.quiz_rows(trained, hidden, known, size=32, pick=pick)


def test_costs_of_a_dear_quiz_are_put_right() -> None:
    """Where a query's cost is a factor of the query times one of the model, the estimate is exact on any quiz."""
    rng = np.random.default_rng(8)
    factor, mean = rng.lognormal(size=200), np.array([1.0, 5.0, 20.0])
    log = Log(rng.normal(size=(200, 2)), rng.integers(0, 2, (200, 3)).astype(float), factor[:, None] * mean)
    rows = np.argsort(-factor)[:20]  # the dearest queries
    response = [{"weight": jnp.ones((2, 3)), "bias": jnp.zeros(3)}]
    trained = networks.Trained(response, None, None, None, None)
    told = llmbandit_training.dearness(part(log, columns=[0, 1]), rows)
    pool = llmbandit_training.take_in(trained, part(log, rows, [2]), told)
    assert float(pool.cost[0]) == pytest.approx(20.0 * factor.mean(), rel=1e-5)


def test_imagined_models_stand_in_for_half() -> None:
    shape = (500, 4, 3)
    ones = jnp.ones(shape[:2])
    task = Task(jnp.zeros((500, 2)), jnp.full(shape, 2.0), ones > 0, ones[:, 0], ones, ones)
    vector = np.asarray(llmbandit_tasks.imagine(jax.random.key(0), task).vector)
    kept = (vector == 2.0).all(axis=2)
    # 2,000 draws: the share has a standard error of .011, the imagined ones' spread one of about 2 / sqrt(6000).
    assert kept.mean() == pytest.approx(0.5, abs=0.045)
    assert vector[~kept].std() == pytest.approx(2.0, abs=0.11)


def test_factory_names_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="llmbandit needs logged outcomes to train on, got none"):
        llmbandit.llmbandit(4, 3)
    with pytest.raises(ValueError, match="needs a log of 4 models and 3 features"):
        llmbandit.llmbandit(4, 3, log=planted())
    with pytest.raises(ValueError, match="needs pick to be one of discrimination, random, got pick=best"):
        llmbandit.llmbandit(4, 3, log=planted(), pick="best")
    with pytest.raises(ValueError, match="multiple of 4"):
        llmbandit.llmbandit(4, 3, log=planted(), width=30)


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (Log(np.zeros((5, 2)), np.zeros((5, 2)), np.zeros((5, 2))), "at least 10 queries and 2 models"),
        (Log(np.zeros((20, 2)), np.array([[1, np.nan]] * 20), np.zeros((20, 2))), "none of model 1"),
    ],
)
def test_refuses_a_log_without_answers(log: Log, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(log)

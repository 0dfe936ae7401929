"""The whole contract between the loop and what decides: Policy, Observation, Feedback, and `check`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import threefry
from bandits.late import jax, jnp

State = Any  # any pytree of arrays; its structure, shapes and dtypes never change
RESOURCES = ("cost", "latency", "tokens")  # what a budget can be put on: `R` of them, in this order


class Observation(NamedTuple):
    """All that a policy sees before it chooses. Nothing here is an outcome of the coming call.

    Attributes:
        context: `(d,)` float32 features of the query; the last one is the constant 1 (the stream adds it).
        available: `(K,)` bool, which models can be called.
        price: `(K,)` posted cost of a call, in cost units; NaN where none is posted.
        preference: `()` the weight on cost that this query's user holds.
        cost_scale: `()` the unit in which rewards count cost: mean cost of the stream's dearest model.
        budget: `(R,)` what is left of each of `RESOURCES`; inf where there is no limit.
        rounds_left: `()` float32, rounds to come including this one.
        asked: `(K,)` bool, called for this query already; None: one call a query.
        heard: `(K,)` what a judge said of the answers after each call, NaN where there was none; None: one call.
        room: `(R,)` what this query alone may still use; None: no limit of its own.
        features: `(K, e)` what is known of each arm in this round; None: nothing.
        spent: `(R,)` what the calls made for this query have used so far; None: one call a query.
        votes: `(K,)` codes of the answers heard, equal for equal ones, -1 where there is none; None: not known.
    """

    context: jax.Array
    available: jax.Array
    price: jax.Array
    preference: jax.Array
    cost_scale: jax.Array
    budget: jax.Array
    rounds_left: jax.Array
    asked: jax.Array | None = None
    heard: jax.Array | None = None
    room: jax.Array | None = None
    features: jax.Array | None = None
    spent: jax.Array | None = None
    votes: jax.Array | None = None


class Feedback(NamedTuple):
    """All that a policy hears after it chose: the chosen model's outcome and no other's, each `()` float32.

    `latency` and `tokens` are NaN where the table does not record them. `chance` is the probability with which this
    outcome came to be heard: that of the call by the policy's `chances` where it has them, as it was at the call
    however late the outcome comes, and 1 where every model's is heard. `kept` is what the policy's `keep` returned at
    the call; None where the outcome is heard before the next round. `score` is what a judge said of the answer, NaN
    where there is no judge; None: one call a query. Of several calls for a query the world may tell `utility` of the
    delivered answer alone, with what the whole round was worth as its `reward`; both are NaN for the others then.
    """

    utility: jax.Array
    cost: jax.Array
    reward: jax.Array
    latency: jax.Array
    tokens: jax.Array
    chance: Any = 1.0
    kept: Any = None
    score: Any = None


class Prior(NamedTuple):
    """What a log says of each arm, float64; made by `bandits.wrappers.warm.fit`.

    Attributes:
        inverse: `(K, d, d)`, `A^-1`.
        weight: `(K, d)` for each target: `reward`, `utility`, `cost in scale` and each of `RESOURCES`.
        mean: `(K, R)` mean use of each of `RESOURCES`.
        n_eff: observations that it counts for, each arm.
        worth: `(N, K)` reward that it expects of each logged call, -inf where there is no outcome.
        used: `(N, K, R)` what each logged call used.
        price: `(K,)` posted cost of a call, NaN where none is.
        ridge: prior precision of every weight that it was fitted with.
    """

    inverse: NDArray[np.float64]
    weight: dict[str, NDArray[np.float64]]
    mean: NDArray[np.float64]
    n_eff: float
    worth: NDArray[np.float64]
    used: NDArray[np.float64]
    price: NDArray[np.float64]
    ridge: float


Index = Callable[["jax.Array | None", State, Observation], "jax.Array"]
Chances = Callable[["jax.Array", State, Observation], "jax.Array"]


class Policy(NamedTuple):
    """Pure functions of one query; seeds, rounds and batching are the loop's business. The first three are needed.

    Attributes:
        init: `(key) -> state`.
        act: `(key, state, observation) -> arm`, an int32 scalar among the available ones.
        update: `(key, state, observation, arm, feedback) -> state`, the same tree, shapes and dtypes.
        index: `(key, state, observation) -> (K,)` in units of reward, of which `act` calls the highest with the same
            key; with the key None, without what chance adds: what a call may be worth, which pacing weighs. None:
            the policy does not choose by what a call is worth. Of one that may call again it is what a further call is
            worth over stopping, so that it stops where none is above 0. See `ranked`.
        chances: `(key, state, observation) -> (K,)` the probabilities with which `act` calls each arm, over all keys;
            None: not known, see `chances_of`.
        form: what it is made of, with the `act` and `update` that it speaks for: from it kernels play a linear policy
            and `bandits.serving` decides without JAX. See `formed` and `form_of`.
        keep: `(state, observation) -> tree`, what `update` needs of the call where the outcome comes late.
        prime: `(state, prior) -> state` that begins where a log's `Prior` ends; None: see `bandits.wrappers.warm`.
        price: `(state) -> (R,)`, the dual price of a call that paces spending; None: none is set.
        again: whether `act` may call again for the query that it has called for, and then answers -1 to stop.
    """

    init: Callable[[jax.Array], State]
    act: Callable[[jax.Array, State, Observation], jax.Array]
    update: Callable[[jax.Array, State, Observation, jax.Array, Feedback], State]
    index: Index | None = None  # type: ignore[assignment]  # hides `tuple.index`, which nothing needs of a policy
    chances: Chances | None = None
    form: Any = None
    keep: Callable[[State, Observation], Any] | None = None
    prime: Callable[[State, Prior], State] | None = None
    price: Callable[[State], jax.Array] | None = None
    again: bool = False


def ranked(
    init: Callable[[jax.Array], State],
    index: Index,
    update: Callable[[jax.Array, State, Observation, jax.Array, Feedback], State],
    *,
    chances: Chances | None = None,
) -> Policy:
    """Return the policy that calls the available arm of the highest index: the one way to have an index."""

    def act(key: jax.Array, state: State, observation: Observation) -> jax.Array:
        return choose(index(key, state, observation), observation.available)

    return Policy(init, act, update, index=index, chances=chances)


class Spoken(NamedTuple):
    """A form, the functions of the policy that it speaks for, whether it says all that a kernel has to know, and the
    `init` that the policy had with it."""

    form: Any
    functions: tuple[Any, Any]
    whole: bool
    init: Any


def formed(policy: Policy, form: Any, *, whole: bool = True) -> Policy:
    """Return the policy with a form, which speaks for its `act` and `update` as they are.

    Args:
        policy: without one.
        form: what it is made of.
        whole: whether the form says all of it; not where a reward function that it does not name is a part.
    """
    return policy._replace(form=Spoken(form, (policy.act, policy.update), whole, policy.init))


def form_of(policy: Policy) -> Any:
    """Return the form of a policy, or None where it has none or acts or learns in another way since."""
    spoken = policy.form
    return None if spoken is None or spoken.functions != (policy.act, policy.update) else spoken.form


def played_form_of(policy: Policy) -> Any:
    """Return the form of a policy that a kernel may play by it, or None."""
    return form_of(policy) if policy.form is not None and policy.form.whole else None


def around(
    policy: Policy, outside: Policy, inside: Callable[[State, Observation], tuple[State, Observation]]
) -> Policy:
    """Return `outside`, a wrapper's three functions, with the `chances` and `keep` of the policy that it wraps.

    Args:
        policy: the wrapped one.
        outside: may answer that no arm is called and has no index therefore, unless it brings its own.
        inside: `(state, observation) -> (state, observation)` that the wrapped one acts on.
    """
    chances, keep = policy.chances, policy.keep
    if chances is not None and outside.chances is None:
        outside = outside._replace(chances=lambda key, state, seen: chances(key, *inside(state, seen)))
    if keep is not None:
        outside = outside._replace(keep=lambda state, seen: keep(*inside(state, seen)))
    return outside


def chances_of(
    policy: Policy, key: jax.Array, state: State, observation: Observation, *, draws: int = 1000
) -> jax.Array:
    """Return the `(K,)` probabilities of a policy's next call: its own, or estimated from so many keys."""
    if policy.chances is not None:
        return policy.chances(key, state, observation)
    arms = jax.vmap(lambda one: policy.act(one, state, observation))(jax.random.split(key, draws))
    return jnp.bincount(arms, length=len(observation.available)) / draws


def even(open_arms: jax.Array) -> jax.Array:
    """Return the `(K,)` probabilities of a choice that makes no difference between the open arms, `(K,)` bool."""
    return open_arms / open_arms.sum()


def before_all(index: jax.Array, calls: jax.Array, due: jax.Array, most: int) -> jax.Array:
    """Return the index in which arms that are `due` `(K,)`, with at most `most` calls, lead, the least called first."""
    return jnp.where(due, 1e3 + most - calls, index)


def choose(index: jax.Array, available: jax.Array) -> jax.Array:
    """Return the available arm of the highest index, as int32; one tie rule for every policy and backend.

    The lowest arm within a relative 1e-5 of the best wins: two decimal digits above the rounding of a
    float32 dot product of 64 terms, so that the order of a summation never decides.

    Args:
        index: `(K,)` score of each arm.
        available: `(K,)` bool.
    """
    masked = jnp.where(available, index, -jnp.inf)
    best = masked.max()
    slack = jnp.where(jnp.isfinite(best), 1e-5 * jnp.abs(best), 0.0)
    return jnp.argmax(available & (masked >= best - slack)).astype(jnp.int32)


def example(n_arms: int, dim: int) -> tuple[Observation, Feedback]:
    """Return an observation and a feedback of the right shapes and dtypes, for checks and shape inference."""
    one = jnp.float32(1.0)
    context = jnp.full(dim, 0.5, jnp.float32).at[-1].set(1.0)
    open_budget = jnp.full(len(RESOURCES), jnp.inf, jnp.float32)
    available = jnp.ones(n_arms, bool)
    posted = jnp.ones(n_arms, jnp.float32)
    return (
        Observation(context, available, posted, 0.2 * one, one, open_budget, 10 * one),
        Feedback(0.5 * one, one, 0.3 * one, one, one),
    )


def check(policy: Policy, n_arms: int, dim: int, name: str = "policy") -> Policy:
    """Return `policy` if it keeps the contract on example inputs.

    Raises:
        ValueError: one line naming the function of the policy, what it needs and what it returned.
    """
    if not isinstance(policy, Policy):
        raise ValueError(
            f"{name} needs to return a bandits.Policy(init, act, update), got {type(policy).__name__}"
        )
    key = threefry.key(0)
    observation, feedback = example(n_arms, dim)
    # Shapes are found by tracing alone, and choices by one program for all arms: a check costs no eager dispatch.
    state = jax.eval_shape(policy.init, key)
    arm = jax.eval_shape(policy.act, key, state, observation)
    found = (getattr(arm, "shape", None), str(getattr(arm, "dtype", type(arm).__name__)))
    if found != ((), "int32"):
        raise ValueError(f"{name}: act needs to return an int32 scalar, got shape {found[0]} of {found[1]}")
    asked = {"index": (policy.index, None), "chances": (policy.chances, key)}
    for part, (function, given) in asked.items():
        shape = None if function is None else jax.eval_shape(function, given, state, observation).shape
        if shape not in (None, (n_arms,)):
            raise ValueError(f"{name}: {part} needs to return shape ({n_arms},), got {shape}")
    after = jax.eval_shape(policy.update, key, state, observation, jnp.int32(0), feedback)
    before_tree, after_tree = str(jax.tree.structure(state)), str(jax.tree.structure(after))
    if before_tree != after_tree:
        raise ValueError(
            f"{name}: update needs to return a state like init's, {before_tree}, got {after_tree}"
        )
    for was, now in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        if (was.shape, was.dtype) != (now.shape, now.dtype):
            raise ValueError(
                f"{name}: update changed a state array from {was.shape} {was.dtype} to {now.shape} {now.dtype}"
            )

    def choices(key: jax.Array) -> jax.Array:
        begun = policy.init(key)
        only = jnp.eye(n_arms, dtype=bool)
        return jax.vmap(lambda seen: policy.act(key, begun, observation._replace(available=seen)))(only)

    for only, chosen in enumerate(jax.jit(choices)(key).tolist()):
        if chosen != only:
            raise ValueError(f"{name}: act chose arm {chosen} when only arm {only} was available")
    return policy

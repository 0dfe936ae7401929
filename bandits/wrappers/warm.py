"""A warm start: ridge posteriors fitted on logged queries whose every outcome is known, never on the evaluated ones.

ParetoBandit, arXiv 2604.00136, section 3: with `A_off`, `b_off` from the log, `s = n_eff / A_off[d, d]` (the constant's
entry, the number of logged rows), `A = s A_off + ridge I` and `b = s b_off + ridge theta_off`: the log counts as
`n_eff` observations of each arm, and the prior is centred on what it says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bandits import require
from bandits.base import RESOURCES, Feedback, Policy, State, example
from bandits.policies.linear.affine import Form, heard_reward
from bandits.policies.linear.forgetting import Discount, Discounted
from bandits.policies.linear.preference import both
from bandits.policies.linear.ridge import Ridge
from bandits.wrappers.pacing.paced import Means
from bandits.wrappers.pacing.primal_dual import Past

Floats = NDArray[np.float64]
_LEARNED = {heard_reward: ("reward",), both: ("utility", "cost in scale")}  # what a linear form learns


class Prior(NamedTuple):
    """What the log says of each arm.

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

    inverse: Floats
    weight: dict[str, Floats]
    mean: Floats
    n_eff: float
    worth: Floats
    used: Floats
    price: Floats
    ridge: float


def split(stream: Any, amount: str, *, seed: int = 0) -> tuple[Any, Any]:
    """Return the logged and the evaluated part of a stream; rows of one group stay on one side.

    Args:
        stream: a `Stream` of `N` rows.
        amount: `10%` of the rows, drawn at random, or `1785`, the first so many in file order.
        seed: of the draw.

    Raises:
        ValueError: the amount is neither, or leaves a side empty.
    """
    share, number = amount.endswith("%"), amount.removesuffix("%")
    try:
        wanted = round(float(number) / 100 * len(stream)) if share else int(number)
    except ValueError:
        raise ValueError(
            f"--warm-start needs a share such as 10%, a number of rows or a table, got {amount!r}"
        ) from None
    group = np.asarray(stream.outcomes.group_id, str)
    # A row without a group is one of its own.
    _, code = np.unique(
        np.where(group == "", [f"\0{row}" for row in range(len(stream))], group), return_inverse=True
    )
    if (group == "").all():
        code = np.arange(len(stream))
    place = np.random.default_rng([seed, 3]).permutation(code.max() + 1)[code] if share else code
    # Whole groups, in the order drawn (or of the file), until there are enough rows.
    order = np.argsort(place, kind="stable") if share else np.arange(len(stream))
    logged = np.isin(code, code[order[: max(wanted, 0)]])
    if not 0 < logged.sum() < len(stream):
        raise ValueError(
            f"--warm-start {amount!r} needs to leave rows on both sides, got {int(logged.sum())} of {len(stream)}"
        )
    rest = _part(stream, np.flatnonzero(~logged))
    return replace(_part(stream, np.flatnonzero(logged)), unit=rest.cost_scale), rest


def _part(stream: Any, rows: NDArray[np.intp]) -> Any:
    return replace(stream, outcomes=stream.outcomes.take(rows), context=stream.context[rows])


def fit(logged: Any, table: Floats, *, n_eff: float | None = None, ridge: float = 1.0) -> Prior:
    """Return the prior that the log supports.

    Args:
        logged: a `Stream` of rows that are not evaluated.
        table: `(N, K)` the logged outcomes' reward, from `reward_table`.
        n_eff: observations of each arm that the log counts for, > 0; None: as many as there are.
        ridge: `l0`, prior precision of every weight, > 0; the policy's own.

    Raises:
        ValueError: a number out of range, or a model without a logged outcome.
    """
    require.above("warm start", 0, ridge=ridge, **({} if n_eff is None else {"n_eff": n_eff}))
    seen = logged.available
    if not seen.any(axis=0).all():
        raise ValueError(f"no logged outcome of model {logged.models[int(seen.any(axis=0).argmin())]!r}")
    recorded = {name: getattr(logged, name) for name in RESOURCES}
    known = {name: np.zeros_like(table) if x is None else np.nan_to_num(x) for name, x in recorded.items()}
    targets = {"reward": table, "utility": logged.utility, "cost in scale": logged.cost / logged.cost_scale}
    y = np.stack([np.where(seen, np.nan_to_num(x), 0.0) for x in (targets | known).values()], axis=-1)
    x, eye = logged.context.astype(np.float64), ridge * np.eye(logged.dim)
    inverse, weight = [], []
    for k in range(logged.n_arms):
        precision, moment = (x * seen[:, k, None]).T @ x, x.T @ y[:, k]
        scale = 1.0 if n_eff is None else n_eff / precision[-1, -1]
        centre = np.linalg.solve(precision + eye, moment)
        inverse.append(np.linalg.inv(scale * precision + eye))
        weight.append(inverse[-1] @ (scale * moment + ridge * centre))
    each = np.stack(weight)
    used = y[:, :, -len(RESOURCES) :]
    mean = used.sum(axis=0) / seen.sum(axis=0)[:, None]
    count = float(seen.sum(axis=0).mean()) if n_eff is None else n_eff
    named = {name: each[:, :, i] for i, name in enumerate(targets | known)}
    worth = np.where(seen, x @ named["reward"].T, -np.inf)
    return Prior(
        np.stack(inverse), named, mean, count, worth, used, np.asarray(logged.price, np.float64), ridge
    )


def hear(policy: Policy, logged: Any, table: Floats, preference: float) -> Policy:
    """Return a policy of any kind that begins after hearing every logged outcome once, in an order of its seed's.

    Args:
        policy: not wrapped yet: what is logged was not paid for by this run's budget.
        logged: a `Stream` of rows that are not evaluated.
        table: `(N, K)` the logged outcomes' reward.
        preference: shown with each of them.
    """
    row, arm = np.nonzero(logged.available)
    unknown = np.full(logged.utility.shape, np.nan)
    recorded = [getattr(logged, name) for name in RESOURCES]
    every = [logged.utility, *(unknown if x is None else x for x in recorded), table]
    utility, cost, latency, tokens, reward = (jnp.asarray(x[row, arm], jnp.float32) for x in every)
    told = utility, cost, reward, latency, tokens
    context = jnp.asarray(logged.context, jnp.float32)
    available = jnp.asarray(logged.available)
    blank = example(logged.n_arms, logged.dim)[0]._replace(
        price=jnp.asarray(logged.price, jnp.float32),
        cost_scale=jnp.float32(logged.cost_scale),
        preference=jnp.float32(preference),
    )
    rows, arms, left = jnp.asarray(row), jnp.asarray(arm, jnp.int32), jnp.arange(len(row), 0, -1, jnp.float32)

    def init(key: jax.Array) -> State:
        order = jax.random.permutation(key, len(row))

        def step(state: State, xs: Any) -> tuple[State, None]:
            i, rounds_left = xs
            seen = blank._replace(
                context=context[rows[i]], available=available[rows[i]], rounds_left=rounds_left
            )
            heard = Feedback(*(x[i] for x in told))
            return policy.update(jax.random.fold_in(key, i), state, seen, arms[i], heard), None

        return jax.lax.scan(step, policy.init(key), (order, left))[0]

    return policy._replace(init=init)


def targets(policy: Policy) -> tuple[str, ...] | None:
    """Return what the ridge of a policy predicts whose whole state is a ridge posterior or its sums; None for others.

    The policy is asked by its form, which stands for how it learns; it may choose in another way.
    """
    form = policy.form
    if form is None or form.speaks_for is None or form.speaks_for[1] != policy.update:
        return None
    if isinstance(form, Discount):
        return ("reward",)
    return _LEARNED.get(form.target) if isinstance(form, Form) else None


def start(policy: Policy, prior: Prior, targets: tuple[str, ...]) -> Policy:
    """Return the policy, paced or not, that begins where the prior ends.

    The policy's own ridge is set to predict `targets`, a pacer's to predict what calls use, and a pacer that takes its
    first price from a log gets what this one would have spent.

    Args:
        policy: one that has `targets`, in any wrappers.
        prior: from `fit`, with the same number of models and features.
        targets: of the policy's ridge, see `targets`.
    """

    cost = prior.mean.copy()
    cost[:, 0] = np.where(np.isnan(prior.price), cost[:, 0], prior.price)

    def informed(path: Any, leaf: Any) -> Any:
        if isinstance(leaf, Past):
            return leaf.after(*(jnp.asarray(x, jnp.float32) for x in (prior.worth, prior.used, cost)))
        if isinstance(leaf, Means):
            calls = jnp.full_like(leaf.calls, prior.n_eff)
            return Means(jnp.asarray(prior.mean * prior.n_eff, leaf.total.dtype), calls)
        if isinstance(leaf, Discounted):
            return _discounted(leaf, prior)
        if not isinstance(leaf, Ridge):
            return leaf
        if any(getattr(step, "name", "") == "costs" for step in path):
            predicted: tuple[str, ...] = RESOURCES if leaf.weight.ndim == 3 else ("cost",)
        else:
            predicted = targets
        weight = np.stack([prior.weight[name] for name in predicted], axis=1).reshape(leaf.weight.shape)
        pulls = jnp.full_like(leaf.pulls, round(prior.n_eff))
        return Ridge(jnp.asarray(prior.inverse, jnp.float32), jnp.asarray(weight, jnp.float32), pulls)

    def init(key: jax.Array) -> State:
        return jax.tree_util.tree_map_with_path(
            informed,
            policy.init(key),
            is_leaf=lambda node: isinstance(node, (Ridge, Discounted, Means, Past)),
        )

    return policy._replace(init=init)


def _discounted(state: Discounted, prior: Prior) -> Discounted:
    """Return what a `dlinucb` begins with: the log as evidence of one moment, which fades from then on.

    `V = A`, so that the sums are `A - ridge I`, and `b = A theta`.
    """
    precision = np.linalg.inv(prior.inverse)
    evidence = jnp.asarray(precision - prior.ridge * np.eye(precision.shape[1]), jnp.float32)
    moment = jnp.asarray(np.einsum("kij,kj->ki", precision, prior.weight["reward"]), jnp.float32)
    return state._replace(evidence=evidence, squared=evidence, moment=moment)

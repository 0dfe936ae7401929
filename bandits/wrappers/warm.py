"""A warm start: ridge posteriors fitted on logged queries whose every outcome is known, never on the evaluated ones.

ParetoBandit, arXiv 2604.00136, section 3: with `A_off`, `b_off` from the log, `s = n_eff / A_off[d, d]` (the constant's
entry, the number of logged rows), `A = s A_off + ridge I` and `b = s b_off + ridge theta_off`: the log counts as
`n_eff` observations of each arm, and the prior is centred on what it says.

Of a log with one call a query an arm's rows are those in which it was called, each with importance weight
`min(1 / p, CLIP)`, `p` its propensity (the MTR regression of Bietti, Agarwal, Langford 2018, 1802.04064, section 2.3):
the fit is then of all logged queries, not of those that the log's policy gave to the arm. Weights of an arm are scaled
to add up to their effective number `(sum w)^2 / sum w^2` (Kish 1965), which is what the log counts for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits import require
from bandits.base import RESOURCES, Feedback, Policy, Prior, State, example
from bandits.late import jax, jnp

if TYPE_CHECKING:
    from envs.stream import Stream

Floats = NDArray[np.float64]

CLIP = 20.0  # the most that one call of a partial log counts for, against a call of probability 1


def split(stream: Stream, amount: str, *, seed: int = 0, option: str = "--warm-start") -> tuple[Any, Any]:
    """Return the logged and the evaluated part of a stream; rows of one group stay on one side.

    Args:
        stream: a `Stream` of `N` rows.
        amount: `10%` of the rows, drawn at random, or `1785`, the first so many in file order.
        seed: of the draw.
        option: that an amount which cannot be taken is blamed on.

    Raises:
        ValueError: the amount is neither, or leaves a side empty.
    """
    share, number = amount.endswith("%"), amount.removesuffix("%")
    try:
        wanted = round(float(number) / 100 * len(stream)) if share else int(number)
    except ValueError:
        table = " or a table" if option == "--warm-start" else ""
        raise ValueError(
            f"{option} needs a share such as 10% or a number of rows{table}, got {amount!r}"
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
            f"{option} {amount!r} needs to leave rows on both sides, got {int(logged.sum())} of {len(stream)}"
        )
    rest = part(stream, np.flatnonzero(~logged))
    return replace(part(stream, np.flatnonzero(logged)), unit=rest.cost_scale), rest


def part(stream: Stream, rows: NDArray[np.intp]) -> Any:
    """Return the stream of these rows."""
    several = None if stream.several is None else stream.several.take(rows)
    return replace(stream, outcomes=stream.outcomes.take(rows), context=stream.context[rows], several=several)


def fit(logged: Stream, table: Floats, *, n_eff: float | None = None, ridge: float = 1.0) -> Prior:
    """Return the prior that the log supports.

    Args:
        logged: a `Stream` of rows that are not evaluated; with a `chance` without NaN where it has one call a query.
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
    x, eye, counts = logged.context.astype(np.float64), ridge * np.eye(logged.dim), counted(logged)
    inverse, weight = [], []
    for k in range(logged.n_arms):
        each = x * counts[:, k, None]
        precision, moment = each.T @ x, each.T @ y[:, k]
        scale = 1.0 if n_eff is None else n_eff / precision[-1, -1]
        centre = np.linalg.solve(precision + eye, moment)
        inverse.append(np.linalg.inv(scale * precision + eye))
        weight.append(inverse[-1] @ (scale * moment + ridge * centre))
    each = np.stack(weight)
    used = y[:, :, -len(RESOURCES) :]
    mean = (counts[..., None] * used).sum(axis=0) / counts.sum(axis=0)[:, None]
    count = float(counts.sum(axis=0).mean()) if n_eff is None else n_eff
    named = {name: each[:, :, i] for i, name in enumerate(targets | known)}
    worth = x @ named["reward"].T
    if logged.chance is None:
        worth = np.where(seen, worth, -np.inf)
    else:  # what was not called would have been worth and used what the ridge says
        said = np.stack([x @ named[name].T for name in RESOURCES], axis=-1)
        used = np.where(seen[..., None], used, np.maximum(said, 0.0))
    return Prior(
        np.stack(inverse), named, mean, count, worth, used, np.asarray(logged.price, np.float64), ridge
    )


def counted(logged: Stream) -> Floats:
    """Return `(N, K)` what each outcome counts in a fit: 1 where all are known, scaled importance weights of one call.

    Raises:
        ValueError: a propensity of a log with one call a query is not in (0, 1].
    """
    seen = logged.available.astype(np.float64)
    if logged.chance is None:
        return seen
    if not ((logged.chance > 0) & (logged.chance <= 1)).all():
        raise ValueError(f"a warm start from calls needs propensities in (0, 1], got {logged.chance.min():g}")
    w = seen * np.minimum(1 / logged.chance, CLIP)[:, None]
    return np.asarray(w * w.sum(axis=0) / (w**2).sum(axis=0))


def hear(policy: Policy, logged: Stream, table: Floats, preference: float) -> Policy:
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
    told = {"utility": utility, "cost": cost, "reward": reward, "latency": latency, "tokens": tokens}
    if logged.chance is not None:
        told["chance"] = jnp.asarray(logged.chance[row], jnp.float32)
    if (
        policy.again
    ):  # each logged outcome is the first call of its query, with what the log's judge said of it
        said = unknown if logged.several is None or logged.several.scores is None else logged.several.scores
        told["score"] = jnp.asarray(said[row, arm], jnp.float32)
    context = jnp.asarray(logged.context, jnp.float32)
    available = jnp.asarray(logged.available)
    blank = example(logged.n_arms, logged.dim)[0]._replace(
        price=jnp.asarray(logged.price, jnp.float32),
        cost_scale=jnp.float32(logged.cost_scale),
        preference=jnp.float32(preference),
    )
    if policy.again:
        none, nothing = jnp.zeros(logged.n_arms, bool), jnp.full(logged.n_arms, jnp.nan)
        blank = blank._replace(asked=none, heard=nothing)
    rows, arms, left = jnp.asarray(row), jnp.asarray(arm, jnp.int32), jnp.arange(len(row), 0, -1, jnp.float32)

    def init(key: jax.Array) -> State:
        order = jax.random.permutation(key, len(row))

        def step(state: State, xs: Any) -> tuple[State, None]:
            i, rounds_left = xs
            seen = blank._replace(
                context=context[rows[i]], available=available[rows[i]], rounds_left=rounds_left
            )
            heard = Feedback(**{name: x[i] for name, x in told.items()})
            return policy.update(jax.random.fold_in(key, i), state, seen, arms[i], heard), None

        return jax.lax.scan(step, policy.init(key), (order, left))[0]

    return policy._replace(init=init)


def start(policy: Policy, prior: Prior) -> Policy:
    """Return the policy, paced or not, that begins where the prior ends.

    The policy's own ridge is set to predict what it learns, a pacer's to predict what calls use, and a pacer that takes
    its first price from a log gets what this one would have spent.

    Args:
        policy: one that has `prime`.
        prior: from `fit`, with the same number of models and features.
    """
    prime = policy.prime
    assert prime is not None
    return policy._replace(init=lambda key: prime(policy.init(key), prior))

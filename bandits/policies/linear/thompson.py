"""Linear Thompson sampling: Agrawal and Goyal 2013, arXiv 1209.3352, Algorithm 1."""

from __future__ import annotations

from bandits import require
from bandits.base import Policy
from bandits.forms.exploring import Posterior
from bandits.policies.linear.affine import Form, affine


def thompson(n_arms: int, dim: int, *, v: float = 0.25, ridge: float = 1.0, prior: float = 0.0) -> Policy:
    """Call the arm whose reward is highest under a draw from the ridge posterior (linear Thompson sampling).

    With disjoint arms, drawing `theta_k ~ N(mean_k, v^2 A_k^-1)` and taking `x' theta_k` is the same as drawing
    `N(mean_k' x, (v width_k)^2)`, so no `(d,)` sample is needed.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        v: posterior scale, >= 0; the theory's `R sqrt(9 d log(T / delta))` explores far more than pays here.
        ridge: prior precision of every weight, > 0.
        prior: reward that every arm is believed to give before its first call; 0 as in the paper, 1 tries them all.
    """
    require.at_least("thompson", 0, v=v)
    require.above("thompson", 0, ridge=ridge)
    require.finite("thompson", prior=prior)

    return affine(n_arms, dim, Form(Posterior(v), ridge, prior))

"""LinUCB with disjoint arms: Li, Chu, Langford, Schapire 2010, arXiv 1003.0146, Algorithm 1."""

from __future__ import annotations

from bandits import require
from bandits.base import Policy
from bandits.forms.exploring import Bonus
from bandits.policies.linear.affine import Form, affine


def linucb(n_arms: int, dim: int, *, alpha: float = 1.0, ridge: float = 1.0, prior: float = 0.0) -> Policy:
    """Call the arm with the highest ridge estimate plus alpha times its width (disjoint LinUCB).

    The index is `theta_k' x + alpha sqrt(x' A_k^-1 x)` (Algorithm 1, line 9). The defaults are the paper's form: its
    `ridge` and its prior 0, and alpha 1 for its `1 + sqrt(ln(2 / delta) / 2)`, which is above 2. They explore more than
    pays here: by the protocol of `benchmarks/defaults.py` `alpha=0.1,prior=1` loses about half as much reward, with
    worse worst seeds, and `auto` less than a third (docs/policies.md).

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        alpha: width of the confidence bound, >= 0; 0 is greedy.
        ridge: prior precision of every weight, > 0 (the paper has 1).
        prior: reward that every arm is believed to give before its first call; 0 as in the paper, 1 tries them all.
    """
    require.at_least("linucb", 0, alpha=alpha)
    require.above("linucb", 0, ridge=ridge)
    require.finite("linucb", prior=prior)

    return affine(n_arms, dim, Form(Bonus(alpha), ridge, prior))

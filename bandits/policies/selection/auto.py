"""The policy that the protocol of `benchmarks/defaults.py` chose: one name for what to begin with."""

from __future__ import annotations

from bandits.base import Policy
from bandits.policies.tabular.ebucb import ebucb
from bandits.rewards import Reward, linear


def auto(n_arms: int, dim: int, *, reward: Reward = linear) -> Policy:
    """Play what lost least where settings are chosen: `ebucb` at its defaults, whatever the query (auto).

    Of 22 candidates on the twin's `ocr` and on `pareto_k3` it lost least of the way from the best fixed model to
    uniform; docs/policies.md has what it loses on the streams that had no part in choosing it. After a log
    (`--warm-start`) it has heard every logged outcome. It looks at no feature: where `inspect --gain` shows that these
    pay, `averaged` earns more.

    Args:
        n_arms: `K`.
        dim: not used.
        reward: `(outcome, preference) -> reward`, elementwise; the run's own.
    """
    return ebucb(n_arms, dim, reward=reward)

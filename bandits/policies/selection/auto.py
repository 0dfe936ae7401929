"""The policy to begin with, by one name; chosen by the protocol of `benchmarks/defaults.py`."""

from __future__ import annotations

from bandits import require
from bandits.base import Policy
from bandits.policies.linear.averaged import averaged
from bandits.rewards import Reward, linear


def auto(n_arms: int, dim: int, *, indicators: int = 0, reward: Reward = linear) -> Policy:
    """Play what loses little at every setting that was tried where settings are chosen: `averaged` (auto).

    Of the methods that a budget can pace it is the one whose worst setting lost least of the way from the best fixed
    model to uniform on the twin's `ocr` and on `pareto_k3`. docs/policies.md has how that rule came about and what it
    loses on the other streams. After a log (`--warm-start`) it has heard every logged outcome once.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        indicators: how many features right before the constant are indicators; given by the stream.
        reward: `(outcome, preference) -> reward`, elementwise; the run's own.
    """
    require.whole("auto", 0, indicators=indicators)
    return averaged(n_arms, dim, indicators=indicators, reward=reward)

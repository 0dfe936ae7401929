"""Ridge estimates with exploration that ignores the width: epsilon-greedy, greedy and Boltzmann."""

from __future__ import annotations

from bandits import require
from bandits.base import Policy
from bandits.forms.exploring import Boltzmann, Bonus, Coin
from bandits.policies.linear.affine import Form, affine


def epsilon(
    n_arms: int, dim: int, *, epsilon: float = 0.3, decay: float = 0.02, ridge: float = 1.0
) -> Policy:
    """Call the best arm by ridge, or with a decaying chance any available one (linear epsilon-greedy).

    The chance at round `t` is `epsilon / (1 + decay t)` (Auer, Cesa-Bianchi, Fischer 2002, Figure 3: order `1/t`).

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        epsilon: chance of exploring at the start, in [0, 1].
        decay: how fast it falls, per round, >= 0; 0 keeps it constant.
        ridge: prior precision of every weight, > 0.
    """
    require.within("epsilon", 0, 1, epsilon=epsilon)
    require.at_least("epsilon", 0, decay=decay)
    require.above("epsilon", 0, ridge=ridge)

    return affine(n_arms, dim, Form(Coin(epsilon, decay), ridge))


def greedy(n_arms: int, dim: int, *, ridge: float = 1.0, prior: float = 0.0) -> Policy:
    """Call the best arm by ridge and never explore (the myopic reference: any gain of exploring is over this).

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        ridge: prior precision of every weight, > 0.
        prior: reward that every arm is believed to give before its first call; 0 as in the paper, 1 tries them all.
    """
    require.above("greedy", 0, ridge=ridge)
    require.finite("greedy", prior=prior)

    return affine(n_arms, dim, Form(Bonus(), ridge, prior))


def softmax(
    n_arms: int, dim: int, *, temperature: float = 1.0, decay: float = 0.5, ridge: float = 1.0
) -> Policy:
    """Call an arm with probability proportional to exp(ridge estimate / temperature), cooling over time (Boltzmann).

    The temperature at round `t` is `temperature / t^decay`. The draw is by the Gumbel-max identity: the arm of the
    highest `mean / temperature + Gumbel` has the softmax distribution over the available arms.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        temperature: at the first round, in units of reward, > 0.
        decay: exponent of the cooling, >= 0; 0 keeps the temperature.
        ridge: prior precision of every weight, > 0.
    """
    require.above("softmax", 0, temperature=temperature, ridge=ridge)
    require.at_least("softmax", 0, decay=decay)

    return affine(n_arms, dim, Form(Boltzmann(temperature, decay), ridge))

"""Two small networks, one for utility and one for cost (arXiv 2601.17814, MLP)."""

from __future__ import annotations

from bandits import require
from bandits.late import jax
from bandits.mmrbench.routers.base import Fit
from bandits.mmrbench.routers.training import Params, Schedule, network
from bandits.policies.neural.layers import relu_net, stack


def mlp(
    *,
    first: int = 256,
    second: int = 128,
    epochs: int = 50,
    batch: int = 32,
    lr: float = 1e-3,
    seed: int = 42,
) -> Fit:
    """Return a router of two networks with two hidden layers, trained on squared error with Adam.

    Args:
        first, second: widths of the hidden layers, >= 1.
        epochs: passes over the training queries, >= 1; 50 as in the published class, its command line says 100.
        batch: queries a step, >= 1.
        lr: learning rate, > 0.
        seed: of parameters and minibatches.

    Raises:
        ValueError: a number out of its range.
    """
    require.whole("mlp", 1, first=first, second=second)

    def initial(key: jax.Array, dim: int, n_models: int) -> Params:
        return jax.vmap(lambda k: stack(k, (dim, first, second, n_models)))(jax.random.split(key))

    return network("mlp", initial, _forward, Schedule(epochs, batch, lr), seed)


def _forward(params: Params, context: jax.Array, key: jax.Array | None) -> jax.Array:
    del key
    return jax.vmap(relu_net, in_axes=(0, None))(params, context)

"""A network to a latent space in which every model is a vector (arXiv 2601.17814, MLPMF)."""

from __future__ import annotations

from bandits import require
from bandits.late import jax, jnp
from bandits.mmrbench.routers.base import Fit
from bandits.mmrbench.routers.training import Params, Schedule, network
from bandits.policies.neural.layers import relu_net, stack


def mlpmf(
    *,
    latent: int = 64,
    first: int = 256,
    second: int = 128,
    epochs: int = 50,
    batch: int = 32,
    lr: float = 1e-3,
    seed: int = 42,
) -> Fit:
    """Return a router that predicts `z W_m + b_m` for each model `m`, `z` the latent vector of a query.

    Args:
        latent: length of `z`, >= 1.
        first, second: widths of the hidden layers, >= 1.
        epochs: passes over the training queries, >= 1; 50 as in the published class, its command line says 100.
        batch: queries a step, >= 1.
        lr: learning rate of Adam, > 0.
        seed: of parameters and minibatches.

    Raises:
        ValueError: a number out of its range.
    """
    require.whole("mlpmf", 1, latent=latent, first=first, second=second)

    def initial(key: jax.Array, dim: int, n_models: int) -> Params:
        of_net, of_models = jax.random.split(key)
        return {
            "net": jax.vmap(lambda k: stack(k, (dim, first, second, latent)))(jax.random.split(of_net)),
            "model": 0.01 * jax.random.normal(of_models, (2, latent, n_models)),
            "bias": jnp.zeros((2, n_models)),
        }

    return network("mlpmf", initial, _forward, Schedule(epochs, batch, lr), seed)


def _forward(params: Params, context: jax.Array, key: jax.Array | None) -> jax.Array:
    del key
    latent = jax.vmap(relu_net, in_axes=(0, None))(params["net"], context)
    told: jax.Array = latent @ params["model"] + params["bias"][:, None]
    return told

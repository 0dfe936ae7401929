"""Cross-modal attention over a text and an image token (arXiv 2601.17814, CMR)."""

from __future__ import annotations

from bandits import require
from bandits.late import jax, jnp
from bandits.mmrbench.routers.base import Fit
from bandits.mmrbench.routers.training import Params, Schedule, network
from bandits.policies.neural.layers import Layer, apply, dense

DROPOUT = 0.1


def cmr(
    *,
    width: int = 512,
    layers: int = 2,
    heads: int = 8,
    epochs: int = 20,
    batch: int = 64,
    lr: float = 1e-4,
    decay: float = 1e-4,
    seed: int = 42,
) -> Fit:
    """Return a router whose context is two tokens side by side, text in the first half and image in the second.

    Each half is projected to `width`; self-attention layers mix the two tokens; utility and cost are read from
    the mean token by a head each.

    Args:
        width: of a token and of the heads' hidden layer, a multiple of `heads`.
        layers: of self-attention, >= 1.
        heads: of each layer, >= 1.
        epochs: passes over the training queries, >= 1.
        batch: queries a step, >= 1.
        lr: learning rate of AdamW, > 0; epochs, batch and lr are those of the published class.
        decay: weight decay, >= 0.
        seed: of parameters, minibatches and dropout.

    Raises:
        ValueError: a number out of its range, or (when fitted) a context of odd width.
    """
    require.whole("cmr", 1, width=width, layers=layers, heads=heads)
    require.at_least("cmr", 0, decay=decay)
    if width % heads:
        raise ValueError(f"cmr needs width to be a multiple of heads, got width={width}, heads={heads}")

    def initial(key: jax.Array, dim: int, n_models: int) -> Params:
        if dim % 2:
            raise ValueError(
                f"cmr needs a text and an image token of one width side by side, got {dim} features"
            )
        of_project, of_blocks, of_hidden, of_out = jax.random.split(key, 4)
        return {
            "project": _twice(of_project, dim // 2, width),
            "blocks": [_block(k, width, heads) for k in jax.random.split(of_blocks, layers)],
            "hidden": _twice(of_hidden, width, width),
            "out": _twice(of_out, width, n_models),
        }

    return network("cmr", initial, _forward, Schedule(epochs, batch, lr, decay), seed)


def _twice(key: jax.Array, n_in: int, n_out: int) -> Layer:
    """Return two dense layers, stacked: one for each token, or one for each of utility and cost."""
    return jax.vmap(lambda k: dense(k, n_in, n_out))(jax.random.split(key))


def _block(key: jax.Array, width: int, heads: int) -> Params:
    """Return one layer's parameters; the shape of `qkv`, `(3, width, heads, width / heads)`, tells the heads."""
    of_qkv, of_mix, of_wide, of_back = jax.random.split(key, 4)
    bound = (6 / (4 * width)) ** 0.5  # Glorot over the three projections as one matrix, as PyTorch draws them
    shape = (3, width, heads, width // heads)
    norm = {"scale": jnp.ones(width), "shift": jnp.zeros(width)}
    return {
        "qkv": jax.random.uniform(of_qkv, shape, minval=-bound, maxval=bound),
        "qkv_bias": jnp.zeros((3, *shape[2:])),
        "mix": dense(of_mix, width, width) | {"bias": jnp.zeros(width)},
        "wide": dense(of_wide, width, 4 * width),
        "back": dense(of_back, 4 * width, width),
        "norms": [norm, norm],
    }


def _forward(params: Params, context: jax.Array, key: jax.Array | None) -> jax.Array:
    tokens = context.reshape(len(context), 2, -1)
    x = jnp.einsum("bti,tio->bto", tokens, params["project"]["weight"]) + params["project"]["bias"]
    for i, block in enumerate(params["blocks"]):
        x = _attend(block, x, None if key is None else jax.random.fold_in(key, i))
    pooled = x.mean(axis=1)
    hidden = jax.nn.gelu(jax.vmap(apply, in_axes=(0, None))(params["hidden"], pooled), approximate=False)
    return jax.vmap(apply)(params["out"], hidden)


def _attend(block: Params, x: jax.Array, key: jax.Array | None) -> jax.Array:
    """Return the tokens `(b, 2, width)` after self-attention and a feed-forward step, each added and normalised."""
    of_weight, of_step = (None, None) if key is None else jax.random.split(key)
    bias = block["qkv_bias"][:, None, None]
    query, key_, value = jnp.einsum("bti,cihd->cbthd", x, block["qkv"]) + bias
    score = jnp.einsum("bthd,bshd->bhts", query, key_) / query.shape[-1] ** 0.5
    weight = _drop(jax.nn.softmax(score), of_weight)
    mixed = jnp.einsum("bhts,bshd->bthd", weight, value).reshape(x.shape)
    x = _normalised(block["norms"][0], x + apply(block["mix"], mixed))
    step = apply(block["back"], jax.nn.gelu(apply(block["wide"], x), approximate=False))
    return _normalised(block["norms"][1], x + _drop(step, of_step))


def _drop(x: jax.Array, key: jax.Array | None) -> jax.Array:
    """Return `x` with dropout while training, `x` itself when asked."""
    if key is None:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - DROPOUT, x.shape), x / (1 - DROPOUT), 0.0)


def _normalised(norm: Params, x: jax.Array) -> jax.Array:
    """Return layer normalisation over the last axis."""
    spread = jnp.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    scaled = (x - x.mean(axis=-1, keepdims=True)) / spread * norm["scale"]
    shifted: jax.Array = scaled + norm["shift"]
    return shifted

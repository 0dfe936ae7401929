"""M3's network: graph attention over a program, one logit for each assignment (arXiv 2310.08446).

As released (LINs-lab/M3, `code/models/dag_backbones.py`, class GAT, and the loss of Su 2020 that it names CCE): the
query's text and image are projected to 32 numbers each and joined as node 0; a step is the embedding of the model that
is called for it, or of its operation; layer norm, graph attention with 4 heads, ELU, graph attention with 1 head, ELU,
the mean over the nodes that are there, a layer with leaky ReLU, and one number. Attention is Velickovic et al. 2018
(arXiv 1710.10903, Eq. 1 to 5), each node attending to itself too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.late import jax, jnp
from envs.graphs.programs import KINDS, LOC, START, VQA

HIDDEN, HEADS = 32, 4
_SLOPE_OF_ATTENTION, _SLOPE_OF_HEAD, _EPS = 0.2, 0.01, 1e-6
Weights = dict[str, Any]


class Batch(NamedTuple):
    """What the network sees of `B` queries: their nodes one query after the other, `M` places, and `E` edges.

    Attributes:
        text, image: `(B, e)`.
        kind: `(M,)` kinds of `programs`; 0 in places that are not used.
        query: `(M,)` which query a node is of; `B` in places that are not used.
        source, target: `(E,)` nodes of the edges, loops among them; the target is `M` where an edge is not used.
    """

    text: Any
    image: Any
    kind: Any
    query: Any
    source: Any
    target: Any


def names(vqa: int, loc: int) -> NDArray[np.int64]:
    """Return `(A, KINDS)` row of the embedding that a node of each kind has under each assignment, VQA outermost."""
    rows = np.tile(np.arange(len(KINDS)), (vqa * loc, 1))
    first, second = np.divmod(np.arange(vqa * loc), loc)
    rows[:, VQA], rows[:, LOC] = len(KINDS) + first, len(KINDS) + vqa + second
    return rows


def first_weights(key: jax.Array, vqa: int, loc: int, size: int, hidden: int = HIDDEN) -> Weights:
    """Return weights as the release begins: Xavier's uniform, biases 0, embeddings standard normal.

    Args:
        key: randomness.
        vqa, loc: models of both kinds.
        size: `e`, of an embedding of text or image.
        hidden: width; 32 as published.
    """
    keys = iter(jax.random.split(key, 12))

    def xavier(n_in: int, n_out: int) -> jax.Array:
        bound = (6.0 / (n_in + n_out)) ** 0.5
        return jax.random.uniform(next(keys), (n_in, n_out), minval=-bound, maxval=bound)

    def dense(n_in: int, n_out: int) -> dict[str, jax.Array]:
        return {"weight": xavier(n_in, n_out), "bias": jnp.zeros(n_out)}

    def attention(n_in: int, heads: int) -> dict[str, jax.Array]:
        from_to = xavier(2 * heads, hidden).reshape(2, heads, hidden)
        weight = xavier(n_in, heads * hidden)
        return {"weight": weight, "from": from_to[0], "to": from_to[1], "bias": jnp.zeros(heads * hidden)}

    return {
        "text": dense(size, hidden),
        "image": dense(size, hidden),
        "start": dense(2 * hidden, hidden),
        "name": jax.random.normal(next(keys), (len(KINDS) + vqa + loc, hidden)),
        "node": dense(hidden, hidden),
        "norm": {"scale": jnp.ones(hidden), "bias": jnp.zeros(hidden)},
        "first": attention(hidden, HEADS),
        "second": attention(hidden * HEADS, 1),
        "head": dense(hidden, hidden),
        "out": dense(hidden, 1),
    }


def logits(weights: Weights, rows: jax.Array, batch: Batch) -> jax.Array:
    """Return `(B, A)`, the higher the likelier that the program succeeds with the assignment.

    A node's state before attention depends on its kind and on its own model alone, so it and what attention makes of
    it are computed once for each row of the embedding and looked up. Nodes stand first, assignments second: what an
    edge carries is then one piece of memory for all assignments.

    Args:
        weights: from `first_weights`.
        rows: `(A, KINDS)` from `names`.
        batch: the queries.
    """
    table = _norm(weights["norm"], _dense(weights["node"], weights["name"]))
    seen = [_dense(weights[part], getattr(batch, part)) for part in ("image", "text")]
    start = _norm(weights["norm"], _dense(weights["start"], jnp.concatenate(seen, axis=-1)))
    of_table, of_start = table @ weights["first"]["weight"], start @ weights["first"]["weight"]
    queries = len(batch.text)
    own = of_start[jnp.minimum(batch.query, queries - 1)][:, None]
    nodes = jnp.where(
        (batch.kind == START)[:, None, None], own, of_table[rows.T[batch.kind]]
    )  # (M, A, heads x h)
    hidden = jax.nn.elu(attend(weights["first"], nodes, batch, HEADS))
    hidden = jax.nn.elu(attend(weights["second"], hidden @ weights["second"]["weight"], batch, 1))
    total = jax.ops.segment_sum(hidden, batch.query, queries + 1)[:queries]
    count = jax.ops.segment_sum(jnp.ones(len(batch.query)), batch.query, queries + 1)[:queries]
    mean = total / count[:, None, None]
    last = jax.nn.leaky_relu(_dense(weights["head"], mean), _SLOPE_OF_HEAD)
    return _dense(weights["out"], last)[..., 0]


def attend(layer: Weights, nodes: jax.Array, batch: Batch, heads: int) -> jax.Array:
    """Return nodes after attention, heads side by side: `out_i = sum_j softmax_j(LeakyReLU(a'W h_j + b'W h_i)) W h_j`.

    Args:
        layer: weights.
        nodes: `(M, A, heads x width)`, `W h` of each node.
        batch: with the edges `j -> i`.
        heads: of the layer.
    """
    places = len(nodes)
    split = nodes.reshape(*nodes.shape[:-1], heads, -1)
    from_, to = ((split * layer[end]).sum(axis=-1) for end in ("from", "to"))  # (M, A, heads)
    target = jnp.minimum(batch.target, places - 1)
    score = jax.nn.leaky_relu(to[target] + from_[batch.source], _SLOPE_OF_ATTENTION)
    top = jax.ops.segment_max(jax.lax.stop_gradient(score), batch.target, places + 1)
    weight = jnp.exp(score - jax.lax.stop_gradient(top)[batch.target])
    whole = jax.ops.segment_sum(weight, batch.target, places + 1)[batch.target]
    sent = (weight / whole)[..., None] * split[batch.source]
    heard = jax.ops.segment_sum(sent, batch.target, places + 1)[:places]
    return jnp.asarray(heard.reshape(nodes.shape) + layer["bias"])


def cce(logit: jax.Array, label: jax.Array) -> jax.Array:
    """Return `(B,)` `log(1 + sum_neg e^s) + log(1 + sum_pos e^-s)`; a label that is NaN counts in neither sum.

    Args:
        logit: `(B, A)`.
        label: `(B, A)` 1 where the assignment succeeds, 0 where not, NaN where it was not tried.
    """
    zero = jnp.zeros_like(logit[..., :1])
    against = jnp.where(label == 0, logit, -jnp.inf)
    towards = jnp.where(label == 1, -logit, -jnp.inf)
    return jax.nn.logsumexp(jnp.concatenate([against, zero], axis=-1), axis=-1) + jax.nn.logsumexp(
        jnp.concatenate([towards, zero], axis=-1), axis=-1
    )


def _dense(layer: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    return x @ layer["weight"] + layer["bias"]


def _norm(layer: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = jnp.sqrt(jnp.mean(jnp.square(centred), axis=-1, keepdims=True) + _EPS)
    return layer["scale"] * centred / spread + layer["bias"]

"""What a policy takes of memory while it plays, from shapes alone: nothing is computed, no program is compiled."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bandits.base import Policy
    from bandits.experiment.ask import Ask
    from envs.stream import Stream

_KEY = 1024  # bytes of a seed's key, about: an array of its own
_TOLD = 4 * 5  # bytes of what a call tells: utility, reward, cost, latency and tokens in float32
# Bytes of a lane that the C library keeps, whatever its shape, where JAX draws ahead; measured.
_DRAWN = 3 << 19
_SCANNED = 3 << 18  # the same, where JAX plays
_LAPACK = ("cholesky", "eigh", "lu", "qr", "svd", "triangular_solve")
_PRODUCTS = ("dot_general", "conv_general_dilated", *_LAPACK)
_COPIES = 3  # of a product: as it goes on, what its slope needs, and the slope itself


def playing(policy: Any, loaded: Stream, ask: Ask, runs: int) -> int:
    """Return the bytes that a policy takes while it plays: sheets, two chunks, what is computed ahead, states."""
    from bandits.loop import lanes
    from bandits.loop.player import keyless
    from bandits.policies.linear.affine import form_of

    arms, dim = loaded.n_arms, loaded.dim
    # What is no number of seeds is refused where it is played.
    group = lanes.group_size(max(1, runs * ask.seeds))
    cells = group * lanes.CHUNK * arms
    chunk = cells * (_TOLD + 1) + group * lanes.CHUNK * 4 * (dim + 1)
    states = group * state(policy)
    beginning = 2 * states  # JAX makes it, and then it is where it is played
    if ask.calls > 1:  # what a further call is decided from is not to be had here
        ahead = 2 * chunk
    elif late(ask):  # beside what is met what is heard, of two chunks, and once more where JAX reads it
        ahead = 5 * chunk + _working(policy, arms, dim, group)
    elif keyless(policy):
        ahead = 6 * 4 * cells if form_of(policy) is not None else 0  # three weights, targets of three chunks
        states += states // group  # each has a copy of what the policy begins with
        beginning = 0
    elif form_of(policy) is not None:
        # Of three chunks, the chunk where JAX reads it, and as much that is free again and of no use to others.
        ahead = 3 * 4 * 4 * cells + 2 * chunk + _DRAWN * group
    else:
        ahead = 2 * chunk + _working(policy, arms, dim, group)  # the chunk where JAX reads it, and by rounds
    sheets = (_TOLD + 1) * runs * loaded.utility.size
    rows = 4 * group * (ask.rounds or len(loaded))
    return int(max(sheets + 2 * chunk + ahead + states, beginning) + 2 * rows + _KEY * group)


def late(ask: Ask) -> bool:
    """Return whether something is heard late, or of every model: then no kernel plays."""
    from bandits.experiment import worlds

    return worlds.late(ask) is not None


def state(policy: Policy) -> int:
    """Return the bytes of a policy's state for one seed."""
    from bandits import threefry
    from bandits.late import jax, mapped
    from bandits.loop.player import keyless

    if keyless(policy):  # its state can be looked at without JAX
        sizes: list[int] = []
        mapped(lambda part: sizes.append(part.nbytes), policy.init(None))  # type: ignore[arg-type]
        return sum(sizes)
    return sum(map(_bytes, jax.tree.leaves(jax.eval_shape(policy.init, threefry.key(0)))))


def _working(policy: Policy, arms: int, dim: int, lanes: int) -> int:
    """Return the bytes that the programs of a scanned policy work in, and what the C library keeps of its lanes.

    Only groups that are under way at once work.
    """
    from bandits.loop.scan import groups
    from envs.cores import cores

    traced = _traced(policy, arms, dim)
    many, size = groups(lanes)
    at_once = 1 if any(part.primitive.name in _LAPACK for part in _parts(traced)) else min(many, cores())
    return at_once * size * working(traced) + _SCANNED * lanes


def _traced(policy: Policy, arms: int, dim: int) -> Any:
    """Return what a round of a policy computes, as JAX writes it down."""
    from bandits import threefry
    from bandits.base import example
    from bandits.late import jax, jnp

    def one(key: Any, state: Any, seen: Any, arm: Any, told: Any) -> Any:
        return policy.act(key, state, seen), policy.update(key, state, seen, arm, told)

    key = threefry.key(0)
    kept = jax.eval_shape(policy.init, key)
    seen, told = example(arms, dim)
    return jax.make_jaxpr(one)(key, kept, seen, jnp.int32(0), told).jaxpr


def working(traced: Any) -> int:
    """Return the bytes of one lane that matrix products hold at once, what they read of the state among them.

    Everything else is computed on the way from one product to the next and never stands in memory. A matrix that is
    multiplied by a matrix is laid out anew first.

    Args:
        traced: a `Jaxpr`.
    """
    last = {v: i for i, part in enumerate(traced.eqns) for v in part.invars if not hasattr(v, "val")}
    given = set(traced.invars) | set(traced.constvars)
    held: dict[Any, int] = {}
    most = 0
    for i, part in enumerate(traced.eqns):
        inside = max(map(working, _inside(part)), default=0)
        own = 0
        if part.primitive.name in _PRODUCTS:
            held |= {v: _COPIES * _bytes(v.aval) for v in part.outvars}
            own = sum(_bytes(v.aval) for v in part.invars if _by_matrix(part) and v in given)
        most = max(most, sum(held.values()) + own + inside)
        held = {v: size for v, size in held.items() if last.get(v, -1) > i}
    return most


def _by_matrix(part: Any) -> bool:
    """Return whether both sides of a product have rows of their own: a vector on one side is read as it stands."""
    if part.primitive.name != "dot_general":
        return False
    contracted, batched = part.params["dimension_numbers"]
    sides = zip(part.invars, contracted, batched, strict=True)
    return all(len(v.aval.shape) > len(c) + len(b) for v, c, b in sides)


def _inside(part: Any) -> Iterator[Any]:
    """Yield the programs that a step of one runs: branches, bodies of loops."""
    for value in part.params.values():
        for each in value if isinstance(value, (tuple, list)) else (value,):
            program = getattr(each, "jaxpr", each)
            if hasattr(program, "eqns"):
                yield program


def _parts(traced: Any) -> Iterator[Any]:
    """Yield each step of a program and of those inside it."""
    for part in traced.eqns:
        yield part
        for program in _inside(part):
            yield from _parts(program)


def _bytes(shape: Any) -> int:
    return math.prod(getattr(shape, "shape", ())) * getattr(getattr(shape, "dtype", None), "itemsize", 8)

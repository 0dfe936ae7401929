"""How kernels are compiled (numba), their calls of BLAS, and what they do in vectors of numbers.

What a first run of a command waits for is mostly numba, so kernels are written for it: arrays are made by the caller
(`np.empty` alone is six functions to compile), and the loops read and write them through pointers, since every
`a[i, j]` carries a description of the whole array into LLVM. What is called in one place is a `part`, inlined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

# Sums may be reordered, which is what lets them run in vector registers; infinities keep their meaning.
REORDERED = {"reassoc", "contract", "arcp", "nsz"}
_njit: Any = njit  # whose stub does not know every option
_types: Any = types
_cgutils: Any = cgutils
ir: Any = _cgutils.ir  # llvmlite's
F = TypeVar("F", bound=Callable[..., Any])


def exact(function: F) -> F:
    """Compile a function once, cached on disk, to run without Python's lock; what divides by zero gets an infinity."""
    return cast(F, _njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function))


def kernel(function: F) -> F:
    """Compile as `exact` does, but with sums `REORDERED`."""
    options = {"fastmath": REORDERED, "error_model": "numpy", "no_cfunc_wrapper": True}
    return cast(F, _njit(cache=True, nogil=True, **options)(function))


def part(function: F) -> F:
    """Let kernels have a function's code as if it stood in them: compiled with them, at less cost than alone."""
    return cast(F, _njit(fastmath=REORDERED, error_model="numpy", inline="always")(function))


@intrinsic
def _pointer(typing: Any, where: Any, start: Any) -> Any:
    """Return where entry `start` of a contiguous array, or of what a pointer points to, lies.

    With `p = pointer(a, 0)` is `p[i * columns + j]` what `a[i, j]` is.
    """
    array = not isinstance(where, _types.CPointer)
    if array and where.layout != "C":
        raise TypingError(f"a pointer needs an array that is contiguous by rows, got {where}")

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, given[0]).data if array else given[0]
        return builder.gep(data, [given[1]])

    return _types.CPointer(where.dtype)(where, _types.intp), generate


pointer: Any = _pointer

SPAN = 16  # columns that `reach` and `lower` take at once: two vector registers of AVX2, one of AVX-512
_place = _types.CPointer(_types.float32)
_Vector: Any = ir.VectorType(ir.FloatType(), SPAN)


def _several(builder: Any, place: Any, start: Any = None) -> Any:
    """Return where `SPAN` numbers lie, `start` after a place, as one vector."""
    place = place if start is None else builder.gep(place, [start])
    return builder.bitcast(place, _Vector.as_pointer())


def _spread(builder: Any, number: Any) -> Any:
    """Return a vector of a number, over and over."""
    one = builder.insert_element(_Vector(ir.Undefined), number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), SPAN), [0] * SPAN))


def _added(builder: Any, x: Any, y: Any, total: Any) -> Any:
    """Return `x y + total`, rounded once where the processor can."""
    return builder.fadd(builder.fmul(x, y, flags=["contract"]), total, flags=["contract"])


@intrinsic
def _reach(typing: Any, d: Any, lead: Any, u: Any, here: Any, told: Any) -> Any:
    """Fill `told (SPAN,)` with the products of `u (d,)` and the first columns of `here`, whose rows are `lead` apart.

    Written in vectors, since what LLVM makes of the loops is neither kept in registers nor, as short as they are,
    made of vectors.
    """

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        d, lead, u, here, told = given
        # Two sums, since each waits for the one before it.
        sums = [_cgutils.alloca_once_value(builder, _Vector([0.0] * SPAN)) for _ in range(2)]

        def add(q: Any, total: Any) -> None:
            row = builder.load(_several(builder, here, builder.mul(q, lead)), align=4)
            factor = _spread(builder, builder.load(builder.gep(u, [q])))
            builder.store(_added(builder, row, factor, builder.load(total)), total)

        even = builder.and_(d, d.type(-2))
        with _cgutils.for_range_slice(builder, d.type(0), even, d.type(2), inc=True) as (q, _):
            add(q, sums[0])
            add(builder.add(q, q.type(1)), sums[1])
        with builder.if_then(builder.icmp_signed("<", even, d)):
            add(even, sums[0])
        whole = builder.fadd(*(builder.load(total) for total in sums))
        builder.store(whole, _several(builder, told), align=4)
        return context.get_dummy_value()

    return _types.void(_types.intp, _types.intp, _place, _place, _place), generate


@intrinsic
def _lower(typing: Any, d: Any, lead: Any, u: Any, told: Any, here: Any) -> Any:
    """Take the products of `u (d,)` and `told (SPAN,)` off the first columns of `here`, whose rows are `lead` apart."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        d, lead, u, told, here = given
        minus = builder.fneg(builder.load(_several(builder, told), align=4))
        with _cgutils.for_range(builder, d) as loop:
            row = _several(builder, here, builder.mul(loop.index, lead))
            factor = _spread(builder, builder.load(builder.gep(u, [loop.index])))
            builder.store(_added(builder, minus, factor, builder.load(row, align=4)), row, align=4)
        return context.get_dummy_value()

    return _types.void(_types.intp, _types.intp, _place, _place, _place), generate


reach: Any = _reach
lower: Any = _lower


@intrinsic
def _beyond(typing: Any, where: Any, limit: Any) -> Any:
    """Return a bit for each of the 32 numbers from a pointer on: whether it is not at most `limit`."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        vector = ir.VectorType(context.get_value_type(where.dtype), 32)
        numbers = builder.load(
            builder.bitcast(given[0], vector.as_pointer()), align=where.dtype.bitwidth // 8
        )
        limits = ir.Constant(vector, ir.Undefined)
        for place in range(32):
            limits = builder.insert_element(limits, given[1], ir.Constant(ir.IntType(32), place))
        bits = builder.fcmp_unordered(">", numbers, limits)
        return builder.zext(builder.bitcast(bits, ir.IntType(32)), ir.IntType(64))

    return _types.int64(where, where.dtype), generate


@intrinsic
def _lowest(typing: Any, bits: Any) -> Any:
    """Return the number of the lowest bit that is set; one is."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.cttz(given[0], ir.Constant(ir.IntType(1), 1))

    return _types.int64(_types.int64), generate


beyond: Any = _beyond
lowest: Any = _lowest


# The symbols that `np.dot` calls, which look up SciPy's BLAS.
_letter, _number = _types.char, _types.intp
_gemm: Any = _types.ExternalFunction("numba_xxgemm", _types.intc(
    _letter, _letter, _letter, _number, _number, _number, _place, _place, _number, _place, _number, _place, _place,
    _number,
))  # fmt: skip
_gemv: Any = _types.ExternalFunction("numba_xxgemv", _types.intc(
    _letter, _letter, _number, _number, _place, _place, _number, _place, _place, _place
))  # fmt: skip
_FACTORS = np.array([0.0, 1.0, -1.0], np.float32)
_SINGLE, _PLAIN, _TURNED = ord("s"), ord("n"), ord("t")


@part
def product(
    m: int, n: int, k: int, a: Any, a_lead: int, b: Any, b_lead: int, out: Any, out_lead: int
) -> None:
    """Fill `out (m, n)` with the product of `a (m, k)` and `b (k, n)`, float32 by rows of so many numbers (BLAS)."""
    zero, one = pointer(_FACTORS, 0), pointer(_FACTORS, 1)
    # BLAS counts by columns: it is given the product of the transposes.
    _gemm(_SINGLE, _PLAIN, _PLAIN, n, m, k, one, b, b_lead, a, a_lead, zero, out, out_lead)


@part
def along_rows(m: int, n: int, x: Any, a: Any, lead: int, out: Any) -> None:
    """Fill `out (n,)` with the product of `x (m,)` and `a (m, n)`, whose rows have so many numbers (BLAS)."""
    _gemv(_SINGLE, _PLAIN, n, m, pointer(_FACTORS, 1), a, lead, x, pointer(_FACTORS, 0), out)


@part
def take_off(n: int, d: int, left: Any, right: Any, out: Any) -> None:
    """Take `V'U` off `out (d, d)`, where `V` and `U`, `(n, d)` both, are made of rows (BLAS)."""
    one, minus = pointer(_FACTORS, 1), pointer(_FACTORS, 2)
    _gemm(_SINGLE, _PLAIN, _TURNED, d, d, n, minus, right, d, left, d, one, out, d)

"""How kernels are compiled (numba), and their one call of BLAS.

What a first run of a command waits for is mostly numba, so kernels are written for it: arrays are made by the caller
(`np.empty` alone is six functions to compile), and the loops read and write them through pointers, since every
`a[i, j]` carries a description of the whole array into LLVM. What is called in one place is a `part`, inlined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit, types
from numba.core.errors import TypingError
from numba.extending import intrinsic

# Sums may be reordered, which is what lets them run in vector registers; infinities keep their meaning.
REORDERED = {"reassoc", "contract", "arcp", "nsz"}
_njit: Any = njit  # whose stub does not know every option
_types: Any = types
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


@intrinsic
def _beyond(typing: Any, where: Any, limit: Any) -> Any:
    """Return a bit for each of the 32 numbers from a pointer on: whether it is not at most `limit`."""
    from llvmlite import ir  # type: ignore[import-untyped]

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
    from llvmlite import ir

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.cttz(given[0], ir.Constant(ir.IntType(1), 1))

    return _types.int64(_types.int64), generate


beyond: Any = _beyond
lowest: Any = _lowest


# The symbols that `np.dot` calls, which look up SciPy's BLAS.
_letter, _number, _place = _types.char, _types.intp, _types.CPointer(_types.float32)
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
def take_off(n: int, d: int, rows: Any, out: Any) -> None:
    """Take `U'U` off `out (d, d)`, where `U (n, d)` is made of rows (BLAS)."""
    one, minus = pointer(_FACTORS, 1), pointer(_FACTORS, 2)
    _gemm(_SINGLE, _PLAIN, _TURNED, d, d, n, minus, rows, d, rows, d, one, out, d)

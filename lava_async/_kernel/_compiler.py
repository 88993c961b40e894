"""How functions are compiled, and what Numba lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numba.extending
from llvmlite import ir
from numba import types

# No fastmath: integer-exact, and the only floating-point numbers are ranks of spikes.
jit = numba.njit(nogil=True)
inline = numba.njit(nogil=True, inline="always")


def intrinsic(define: Callable[..., Any]) -> Callable[..., Any]:
    """`numba.extending.intrinsic`, typed as what callers see: Numba adds the context itself."""
    return numba.extending.intrinsic(define)


@intrinsic
def borrow(typing_context, value):
    """The same array, or tuple of arrays, without reference counting.

    The caller keeps them alive. Numba counts at each use, atomically; on a few neurons that
    takes longer than the work, and threads that count the same arrays slow each other.
    """

    def without_count(context, builder, kind, value):
        if isinstance(kind, types.Array):
            array = context.make_array(kind)(context, builder, value)
            array.meminfo = context.get_constant_null(types.MemInfoPointer(types.voidptr))
            return array._getvalue()
        if isinstance(kind, (types.Tuple, types.UniTuple, types.NamedTuple, types.NamedUniTuple)):
            members = [
                without_count(context, builder, member, builder.extract_value(value, i))
                for i, member in enumerate(kind)
            ]
            return context.make_tuple(builder, kind, members)
        return value

    def generate(context, builder, signature, arguments):
        return without_count(context, builder, value, arguments[0])

    return value(value), generate


@intrinsic
def trailing_zeros(typing_context, word):
    """Number of the lowest bit that is set, of a number that is not 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate

"""How functions are compiled, and what Numba lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numba.extending
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

LINE = 64  # bytes that come from memory together
BLOCK = 64  # entries that are looked at together: as many as a word has bits

# No fastmath: integer-exact, and the only floating-point numbers are keys of spikes and quotients
# of whole numbers.
jit = numba.njit(nogil=True)
# By LLVM: with Numba's own way a time step would compile anew for all entries. But arrays are
# counted at each call then, which matters where little is done in one.
inline = numba.njit(nogil=True, forceinline=True)
inline_early = numba.njit(nogil=True, inline="always")


def apart(function: Callable[..., Any]) -> Any:
    """`inline` for loops over arrays that share no memory.

    The compiler need not check that then, which takes as long as a loop over 64 entries.
    """
    dispatcher: Any = numba.njit(nogil=True, forceinline=True)(function)

    def customize(flags: Any) -> Any:
        flags.noalias = True
        return flags

    dispatcher._compiler._customize_flags = customize
    return dispatcher


def intrinsic(define: Callable[..., Any]) -> Callable[..., Any]:
    """`numba.extending.intrinsic`, typed as what callers see: Numba adds the context itself."""
    return numba.extending.intrinsic(define)


@intrinsic
def borrow(typing_context, value):
    """The same array, or tuple of arrays, without reference counting.

    The caller keeps them alive. Numba counts at each use, atomically; on a few neurons that
    takes longer than the work, and threads that count the same arrays slow each other. A function
    that is compiled by itself has to say so anew.
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
def _fetch(typing_context, array, place):
    """Bring the line of memory that an entry is in close to the processor."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(array)(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # To read, kept in all caches, data.
        builder.call(prefetch, [address, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


@inline
def fetch(array, first, last):
    """Have entries first..last brought from memory while other work goes on.

    Processors guess what comes next, but not across pages, nor from rows that lie apart.
    """
    size = np.uint64(LINE // array.itemsize)
    for place in range(np.uint64(first), np.uint64(last), size):
        _fetch(array, place)


@intrinsic
def trailing_zeros(typing_context, word):
    """Number of the lowest bit that is set; of 0, as many as there are bits."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


def _marks(context, builder, array, operator, arguments, limit):
    """One bit for each of the `BLOCK` entries from a place on, the lowest first: how it compares.

    All at once, in the processor's vector registers.
    """
    data = context.make_array(array)(context, builder, arguments[0]).data
    block = ir.VectorType(context.get_data_type(array.dtype), BLOCK)
    place = builder.bitcast(builder.gep(data, [arguments[1]]), block.as_pointer())
    entries = builder.load(place)
    entries.align = 1
    lanes = ir.Constant(block, ir.Undefined)
    lanes = builder.insert_element(lanes, limit, ir.Constant(ir.IntType(32), 0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), None)
    limits = builder.shuffle_vector(lanes, lanes, everywhere)
    is_float = isinstance(block.element, (ir.FloatType, ir.DoubleType))
    compare = builder.fcmp_unordered if is_float else builder.icmp_signed
    flags = compare(operator, entries, limits)
    return builder.bitcast(flags, ir.IntType(BLOCK))


@intrinsic
def not_zero(typing_context, array, first):
    """Marks, in one word, of those of the `BLOCK` entries from ``first`` on that are not 0."""

    def generate(context, builder, signature, arguments):
        zero = ir.Constant(context.get_data_type(array.dtype), 0)
        return _marks(context, builder, array, "!=", arguments, zero)

    return types.uint64(array, first), generate


@intrinsic
def above(typing_context, array, first, limit):
    """Marks of those that exceed a limit of their own, signed type."""

    def generate(context, builder, signature, arguments):
        return _marks(context, builder, array, ">", arguments, arguments[2])

    return types.uint64(array, types.uint64, array.dtype), generate
